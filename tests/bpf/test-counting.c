/* SPDX-License-Identifier: Apache-2.0 */
/* No hit is lost and none is counted twice: known numbers of calls by threads, by a stripped static-pie whose log
 * function is found by vote, and by a tree of processes that forks and runs programs anew while it is counted.
 * Usage: test-counting METHOD. Must be run by root. TOY_DIVISOR=N makes do with an Nth of the calls. */
#include "bed.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "toys/library.h"

#define CALLS 10000000L /* of all threads or processes together */

static enum probe_method method;
static long (*toy)(TOY_NINE);

#define LIBRARY_ROWS                                                                         \
	"[object.library]\nfile = \"library.so\"\n"                                          \
	"[[probe]]\nobject = \"library\"\nsymbol = \"toy_one\"\n"                            \
	"rules = [ { if = \"arg0:u8 < 128\", count = \"toy.a\" }, { count = \"toy.b\" } ]\n" \
	"[[probe]]\nobject = \"library\"\nsymbol = \"toy_two\"\nevent = \"toy.c\"\n"

/* check_toy_one - all were counted, by their first argument: 0, 1, 2 ... up to `calls`, `times` times */
static void check_toy_one(struct bed *bed, long calls, long times)
{
	long low = calls / 256 * 128 + (calls % 256 < 128 ? calls % 256 : 128);
	char want[64];

	snprintf(want, sizeof(want), "a %ld, b %ld", low * times, (calls - low) * times);
	bed_check(bed, "toy_one", want);
	assert_int_equal(bed_value(bed, "mailgauge.probe.hits"), calls * times);
}

/* ---- threads */

static void *call_toy(void *calls)
{
	for (long i = 0; i < (long)calls; i++)
		toy(i, 0, 0, 0, 0, 0, 0, 0, 0);
	return NULL;
}

static void work_in_threads(void)
{
	void *calls = (void *)bed_scale(CALLS / 2);
	pthread_t thread;

	if (pthread_create(&thread, NULL, call_toy, calls))
		_exit(2);
	call_toy(calls);
	pthread_join(thread, NULL);
}

static void test_threads(void **state)
{
	struct toy child;
	struct bed bed;

	(void)state;
	bed_open(&bed, "test-counting", LIBRARY_ROWS, &(struct bed_options){.method = method});
	child = toy_fork(work_in_threads);
	bed_attach(&bed, getpid(), 2);
	toy_go(&child);
	check_toy_one(&bed, bed_scale(CALLS / 2), 2);
	bed_close(&bed);
	toy_end(&child);
}

/* ---- a static-pie without symbols */

static const char static_rows[] =
    "[object.program]\nfile = \"static\"\n"
    "[function.say]\nvote = { arg = 1, min = 3, texts = [\"connect from %s\", \"disconnect from %s\","
    " \"login of %ld refused\", \"nothing that is counted\"] }\n"
    "[[probe]]\nobject = \"program\"\ncall = \"say\"\narg1 = \"connect from %s\"\nevent = \"toy.a\"\n"
    "[[probe]]\nobject = \"program\"\ncall = \"say\"\narg1 = \"disconnect from %s\"\nevent = \"toy.b\"\n"
    "[[probe]]\nobject = \"program\"\ncall = \"say\"\narg1-prefix = \"login of \"\n"
    "rules = [ { if = \"arg2 < 0\", count = \"toy.c\" }, { count = \"toy.d\" } ]\n";

static void test_static(void **state)
{
	long calls = bed_scale(CALLS / 2) / 5 * 5;
	char text[32], want[128];
	struct toy server;
	struct bed bed;

	(void)state;
	snprintf(text, sizeof(text), "%ld", calls);
	bed_open(&bed, "static", static_rows, &(struct bed_options){.method = method});
	server = toy_run(bed_file("static"), text, NULL);
	bed_attach(&bed, server.pid, 3);
	toy_go(&server);
	snprintf(want, sizeof(want), "a %ld, b %ld, d %ld", 2 * calls / 5 * 2, 2 * calls / 5, 2 * calls / 5);
	bed_check(&bed, "static", want);
	assert_int_equal(bed_value(&bed, "mailgauge.probe.hits"), 2 * calls / 5 * 4);
	bed_close(&bed);
	toy_end(&server);
}

/* ---- a tree of processes */

static void test_tree(void **state)
{
	long calls = bed_scale(CALLS / 5);
	struct toy server;
	char text[32];
	struct bed bed;

	(void)state;
	snprintf(text, sizeof(text), "%ld", calls);
	bed_open(&bed, "tree", LIBRARY_ROWS, &(struct bed_options){.method = method});
	server = toy_run(bed_file("tree"), "tree", text);
	bed_attach(&bed, server.pid, 2);
	toy_go(&server);
	check_toy_one(&bed, calls, 5);
	bed_close(&bed);
	toy_end(&server);
}

/* The kernel is asked for what it can do; here its version must say the same. */
static void test_auto(void **state)
{
	bool has_multi;
	struct utsname name;
	unsigned major, minor;
	struct probe_status status;
	struct bed bed;

	(void)state;
	uname(&name);
	assert_int_equal(sscanf(name.release, "%u.%u", &major, &minor), 2);
	has_multi = major > 6 || (major == 6 && minor >= 6);
	assert_int_equal(probe_kernel_has_multi(), has_multi);
	bed_open(&bed, "test-counting", LIBRARY_ROWS, &(struct bed_options){.method = METHOD_AUTO});
	probe_set_status(bed.probes, &status);
	assert_int_equal(status.method, has_multi ? METHOD_MULTI : METHOD_PERF);
	bed_close(&bed);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_auto),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_static),
	    cmocka_unit_test(test_tree),
	};
	void *handle = dlopen(bed_file("library.so"), RTLD_NOW), *found = handle ? dlsym(handle, "toy_one") : NULL;

	method = bed_method(argc, argv, 1);
	if (!found) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	memcpy(&toy, &found, sizeof(found));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
