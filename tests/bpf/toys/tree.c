/* SPDX-License-Identifier: Apache-2.0 */
/* A server that forks. Usage: tree leaf CALLS, or tree tree CALLS. Says "r"; then for each "g" it reads it works and
 * says "d"; ends with its input.
 * A leaf calls toy_one() CALLS times. A tree does it in five processes: one forked before "r", one forked after "g",
 * a child and a grandchild of that one, and a grandchild that runs this program anew. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library.h"

static long calls;
static char *self;
static int start[2]; /* what a child that exists before "g" waits at */

static void work(void)
{
	for (long i = 0; i < calls; i++)
		toy_one(i, 0, 0, 0, 0, 0, 0, 0, 0);
}

static void must(int holds)
{
	if (!holds)
		_exit(1);
}

static void wait_for_child(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0) == pid && status == 0);
}

static void run_anew(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", calls);
	execl("/proc/self/exe", self, "now", text, (char *)NULL);
	_exit(1);
}

/* child_after - works and has two children that do: one by fork alone, one that runs the program again */
static void child_after(void)
{
	pid_t forked = fork(), again;

	must(forked >= 0);
	if (!forked) {
		pid_t grandchild = fork();

		must(grandchild >= 0);
		work();
		if (grandchild)
			wait_for_child(grandchild);
		_exit(0);
	}
	again = fork();
	must(again >= 0);
	if (!again)
		run_anew();
	work();
	wait_for_child(forked);
	wait_for_child(again);
	_exit(0);
}

static void tree(void)
{
	pid_t before, after;
	char byte;

	must(!pipe(start));
	before = fork();
	must(before >= 0);
	if (!before) {
		must(read(start[0], &byte, 1) == 1);
		work();
		_exit(0);
	}
	must(write(1, "r", 1) == 1 && read(0, &byte, 1) == 1);
	must(write(start[1], "g", 1) == 1);
	after = fork();
	must(after >= 0);
	if (!after)
		child_after();
	wait_for_child(before);
	wait_for_child(after);
	must(write(1, "d", 1) == 1 && read(0, &byte, 1) == 0);
}

int main(int argc, char **argv)
{
	char byte;

	must(argc == 3);
	self = argv[0];
	calls = strtol(argv[2], NULL, 10);
	if (!strcmp(argv[1], "now")) {
		work();
		return 0;
	}
	if (!strcmp(argv[1], "tree")) {
		tree();
		return 0;
	}
	must(write(1, "r", 1) == 1);
	while (read(0, &byte, 1) == 1) {
		work();
		must(write(1, "d", 1) == 1);
	}
	return 0;
}
