/* SPDX-License-Identifier: Apache-2.0 */
/* What gauges begin with: client connections told from the sockets of real processes, files of real directories. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "target/directory.h"
#include "target/sockets.h"

/* ---- sockets: this process is the instance's first one, its children are those with clients */

static int listen_tcp(struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)address, len), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

static int connect_tcp(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(*address)), 0);
	return fd;
}

/* A child that keeps these two sockets (-1: none), and no other, until it is killed. */
static pid_t keep(const char *comm, int first, int second, const int *others, size_t other_cnt)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, comm);
		for (size_t i = 0; i < other_cnt; i++)
			if (others[i] != first && others[i] != second)
				close(others[i]);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static const struct clients *find(const struct clients *all, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (all[i].pid == pid)
			return &all[i];
	fail_msg("process %d is missing", (int)pid);
	return NULL;
}

static void expect(pid_t pid, const char *comm, unsigned accepted, unsigned paired)
{
	const struct clients *one;
	struct clients *all;
	size_t count;
	bool has_pairs;
	struct arena *mem = arena_new();

	assert_int_equal(clients_of_instance(&all, &count, getpid(), &has_pairs, mem), 0);
	assert_true(has_pairs);
	one = find(all, count, pid);
	assert_string_equal(one->comm, comm);
	assert_int_equal(one->accepted, accepted);
	assert_int_equal(one->paired, paired);
	arena_free(&mem);
}

static void tcp_clients(void **state)
{
	struct sockaddr_in address;
	int listener = listen_tcp(&address), client = connect_tcp(&address), server = accept(listener, NULL, NULL);
	int waiting = connect_tcp(&address); /* in the backlog: nobody has accepted it */
	const int all[] = {listener, client, server, waiting};
	pid_t busy = keep("busy", listener, server, all, 4), idle = keep("idle", listener, -1, all, 4),
	      caller = keep("caller", client, -1, all, 4);

	(void)state;
	expect(busy, "busy", 1, 0);
	expect(idle, "idle", 0, 0);
	expect(caller, "caller", 0, 0); /* its own port is not listened at */
	for (int i = 0; i < 4; i++)
		close(all[i]);
	expect(busy, "busy", 1, 0); /* the client has gone, the server does not know yet */
	end(busy);
	end(idle);
	end(caller);
}

static void unix_clients(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client, server;
	int all[3];
	pid_t busy;

	(void)state;
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/test-gauges-%d", (int)getpid());
	unlink(address.sun_path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	server = accept(listener, NULL, NULL);
	memcpy(all, (int[]){listener, client, server}, sizeof(all));
	busy = keep("agent", server, -1, all, 3);
	expect(busy, "agent", 1, 0);
	end(busy);
	for (int i = 0; i < 3; i++)
		close(all[i]);
	unlink(address.sun_path);
}

static void paired_processes(void **state)
{
	int pair[2], own[2];
	pid_t left, right, alone;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	left = keep("left", pair[0], -1, pair, 2);
	right = keep("right", pair[1], -1, pair, 2);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, own), 0);
	alone = keep("a-name-that-is-too-long", own[0], own[1], own, 2);
	close(own[0]);
	close(own[1]);
	expect(left, "left", 0, 1);
	expect(right, "right", 0, 1);
	expect(alone, "a-name-that-is-", 0, 0); /* both ends are its own */
	end(left);
	end(right);
	end(alone);
}

static void no_such_instance(void **state)
{
	struct clients *all;
	size_t count;
	bool has_pairs;
	struct arena *mem = arena_new();
	pid_t gone = fork();

	(void)state;
	if (!gone)
		_exit(0);
	waitpid(gone, NULL, 0);
	assert_int_equal(clients_of_instance(&all, &count, gone, &has_pairs, mem), 0);
	assert_int_equal(count, 0);
	arena_free(&mem);
}

/* ---- directories */

static char top[64];

static int in_temp_dir(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test-gauges-XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int remove_temp_dir(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", top);
	return system(command);
}

static void add(const char *name, mode_t mode)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	if (S_ISDIR(mode))
		assert_int_equal(mkdir(path, 0700), 0);
	else
		close(open(path, O_CREAT | O_WRONLY, mode));
}

static void expect_files_named(bool is_executable, const char *name, int ret, uint64_t want)
{
	const struct directory_filter filter = {is_executable, name};
	uint64_t count;

	assert_int_equal(directory_count(top, &filter, &count), ret);
	if (!ret)
		assert_int_equal(count, want);
}

static void expect_files(bool is_executable, int ret, uint64_t want)
{
	expect_files_named(is_executable, NULL, ret, want);
}

static void files(void **state)
{
	char path[256];

	(void)state;
	expect_files(false, 0, 0);
	add("A", 0700);
	add("B", 0600);
	add("0", S_IFDIR);
	add("0/C", 0700);
	add("0/1", S_IFDIR);
	add("0/1/D", 0600);
	snprintf(path, sizeof(path), "%s/link", top);
	assert_int_equal(symlink("A", path), 0);
	snprintf(path, sizeof(path), "%s/loop", top);
	assert_int_equal(symlink(".", path), 0);
	snprintf(path, sizeof(path), "%s/pipe", top);
	assert_int_equal(mkfifo(path, 0700), 0);
	expect_files(false, 0, 4);
	expect_files(true, 0, 2);
	add("0/1/one-H", 0600);
	add("0/two-H", 0700);
	expect_files_named(false, "*-H", 0, 2);
	expect_files_named(true, "*-H", 0, 1);
	expect_files_named(false, "D", 0, 1);
	expect_files_named(true, "D", 0, 0);
	expect_files_named(false, "0", 0, 0);
}

static void nested_too_deep(void **state)
{
	char name[256] = "x";

	(void)state;
	for (int i = 0; i < 30; i++) {
		add(name, S_IFDIR);
		strcat(name, "/x");
	}
	expect_files(false, -ELOOP, 0);
}

static void no_directory(void **state)
{
	const struct directory_filter all = {0};
	uint64_t count;

	(void)state;
	assert_int_equal(directory_count("/nonexistent/queue", &all, &count), -ENOENT);
	assert_int_equal(directory_count("/dev/null", &all, &count), -ENOTDIR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tcp_clients),
	    cmocka_unit_test(unix_clients),
	    cmocka_unit_test(paired_processes),
	    cmocka_unit_test(no_such_instance),
	    cmocka_unit_test_setup_teardown(files, in_temp_dir, remove_temp_dir),
	    cmocka_unit_test_setup_teardown(nested_too_deep, in_temp_dir, remove_temp_dir),
	    cmocka_unit_test(no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
