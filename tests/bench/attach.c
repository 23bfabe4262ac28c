/* SPDX-License-Identifier: Apache-2.0 */
/* How long attaching and detaching takes: 300 probes in one file, and in ten; all of them mapped by a process, as the
 * files of a running server are.
 * Usage: bench-attach LIBRARY (the library of tests/bpf/toys, beside this program). As root. */
#include "../bpf/bed.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../bpf/toys/library.h"

#define FILES  10
#define ROUNDS 5 /* at most */

struct bench_case {
	const char *name;
	enum probe_method method;
	int files, probes; /* in all */
	int rounds;
};

static const struct bench_case cases[] = {
    {"uprobe_multi, one file", METHOD_MULTI, 1, TOY_MANY, ROUNDS},
    {"uprobe_multi, ten files", METHOD_MULTI, FILES, TOY_MANY, ROUNDS},
    {"perf events, one file", METHOD_PERF, 1, 30, 1},
};

/* make_files - copies of the library that this process maps; the names end with their numbers */
static void make_files(const char *library, const char *dir)
{
	char command[1024], path[512];

	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/many-%d.so", dir, i);
		snprintf(command, sizeof(command), "cp '%s' '%s'", library, path);
		if (system(command) || !dlopen(path, RTLD_NOW)) {
			fprintf(stderr, "bench-attach: cannot copy and load %s\n", library);
			exit(1);
		}
	}
}

static const char *make_rows(const struct bench_case *this)
{
	static struct buf rows;
	int each = this->probes / this->files;

	buf_free(&rows);
	buf_init(&rows, 1 << 20);
	for (int i = 0; i < this->files; i++)
		buf_printf(&rows, "[object.many%d]\nfile = \"many-%d.so\"\n", i, i);
	for (int i = 0; i < this->files; i++)
		for (int k = 0; k < each; k++)
			buf_printf(&rows,
				   "[[probe]]\nobject = \"many%d\"\nsymbol = \"toy_many_%d\"\nevent = \"toy.a\"\n", i,
				   100 + k);
	return buf_text(&rows);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run_case(const struct bench_case *this)
{
	double attach[ROUNDS], detach[ROUNDS];

	for (int i = 0; i < this->rounds; i++) {
		struct probe_status status;
		struct bed bed;
		char err[256];
		double start;

		bed_open(&bed, "bench-attach", make_rows(this), &(struct bed_options){.method = this->method});
		bed_scan(&bed, getpid());
		start = bed_seconds();
		if (probe_set_apply(bed.probes, bed.plan, err))
			fail_msg("%s", err);
		attach[i] = bed_seconds() - start;
		probe_set_status(bed.probes, &status);
		if (status.attached != (size_t)this->probes)
			fail_msg("%zu probes are attached, not %d", status.attached, this->probes);
		start = bed_seconds();
		probe_set_close(&bed.probes);
		detach[i] = bed_seconds() - start;
		bed_close(&bed);
	}
	qsort(attach, (size_t)this->rounds, sizeof(double), compare);
	qsort(detach, (size_t)this->rounds, sizeof(double), compare);
	printf("| %-24s | %6d | %5.0f | %5.0f | %5.0f | %5.0f |\n", this->name, this->probes,
	       attach[this->rounds / 2] * 1e3, attach[this->rounds - 1] * 1e3, detach[this->rounds / 2] * 1e3,
	       detach[this->rounds - 1] * 1e3);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	char dir[] = "/tmp/bench-attach-XXXXXX", command[64];

	if (argc != 2 || !mkdtemp(dir)) {
		fprintf(stderr, "usage: bench-attach LIBRARY\n");
		return 2;
	}
	make_files(bed_file(argv[1]), dir);
	printf("| ms                       | probes | attach | worst | detach | worst |\n|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		if (cases[i].method == METHOD_PERF || probe_kernel_has_multi())
			run_case(&cases[i]);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command) != 0;
}
