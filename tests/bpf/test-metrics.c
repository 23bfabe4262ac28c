/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of what was counted: gauges of what processes hold, whatever way these end; gauges that move from a
 * level; which combinations of looked-up labels are shown; the clock.
 * Usage: test-metrics METHOD. Must be run by root. TOY_SETS_CLOCK=1 lets it tell the kernel another CLOCK_TAI. */
#include "bed.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "toys/library.h"

static enum probe_method method;
static long (*one)(TOY_NINE), (*two)(TOY_NINE), (*three)(TOY_NINE), (*four)(TOY_NINE);

#define CALL(f, a, b) f((long)(a), (long)(b), 5000, 0, 0, 0, 0, 0, 0)
#define TIMES(n)      for (long times = 0; times < (n); times++)
#define AT(symbol)    "[[probe]]\nobject = \"library\"\nsymbol = \"" symbol "\"\n"
#define RULES(text)   "rules = [ " text " ]\n"
#define LIBRARY       "[object.library]\nfile = \"library.so\"\n"
#define THREADS       4
#define THREADS_CALLS 20000L
#define COMBINATIONS(values)                                                   \
	"[label.first]\nvalues = [\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]\n" \
	"[label.second]\nvalues = [" values " ]\n"

static const char held_rows[] =
    LIBRARY AT("toy_one") RULES("{ hold = \"toy.held\" }") AT("toy_two") RULES("{ release = \"toy.held\" }")
	AT("toy_three") RULES("{ hold = \"toy.held-too\" }") AT("toy_four") RULES("{ release = \"toy.held-too\" }");

/* ---- a process that does what it is told, a letter each, and says so by the same letter */

struct worker {
	pid_t pid;
	int fd;
};

static pid_t forked; /* of a worker */

static void *hold_and_release(void *unused)
{
	(void)unused;
	TIMES(bed_scale(THREADS_CALLS))
	{
		CALL(one, 0, 0);
		CALL(one, 0, 0);
		CALL(two, 0, 0);
		CALL(two, 0, 0);
	}
	CALL(one, 0, 0);
	return NULL;
}

static void hold_in_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, hold_and_release, NULL))
			_exit(2);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void hold_in_child(void)
{
	int ready[2];
	char byte;

	if (pipe(ready))
		_exit(2);
	forked = fork();
	if (!forked) {
		CALL(one, 0, 0);
		CALL(one, 0, 0);
		CALL(one, 0, 0);
		CALL(two, 0, 0);
		if (write(ready[1], "r", 1) == 1)
			pause();
		_exit(2);
	}
	if (read(ready[0], &byte, 1) != 1)
		_exit(2);
	close(ready[0]);
	close(ready[1]);
}

static void *serve(void *arg);

/* go_on_in_thread - and end the main thread */
static void go_on_in_thread(void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve, arg))
		_exit(2);
	pthread_exit(NULL);
}

static void run_again(int fd)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", fd);
	execl("/proc/self/exe", "test-metrics", "worker", text, (char *)NULL);
	_exit(2);
}

static void obey(char command, int fd)
{
	switch (command) {
	case 'h':
		CALL(one, 0, 0);
		break;
	case 'r':
		CALL(two, 0, 0);
		break;
	case 'H':
		CALL(three, 0, 0);
		break;
	case 'R':
		CALL(four, 0, 0);
		break;
	case 'f':
		hold_in_child();
		break;
	case 'k':
		kill(forked, SIGKILL);
		waitpid(forked, NULL, 0);
		break;
	case 't':
		hold_in_threads();
		break;
	case 'x':
		run_again(fd);
	}
}

static void *serve(void *arg)
{
	int fd = (int)(long)arg;
	char command;

	while (read(fd, &command, 1) == 1) {
		if (command == 'm') {
			if (getpid() == gettid())
				go_on_in_thread(arg); /* which is asked again */
		} else {
			obey(command, fd);
		}
		if (write(fd, &command, 1) != 1)
			break;
	}
	_exit(0);
}

static void order(const struct worker *worker, const char *commands)
{
	for (; *commands; commands++)
		assert_int_equal(write(worker->fd, commands, 1), 1);
}

static void await(const struct worker *worker, const char *commands)
{
	char byte;

	for (; *commands; commands++) {
		assert_int_equal(read(worker->fd, &byte, 1), 1);
		assert_int_equal(byte, *commands);
	}
}

static void tell(const struct worker *worker, const char *commands)
{
	order(worker, commands);
	await(worker, commands);
}

static struct worker start_worker(void)
{
	struct worker worker;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fflush(NULL);
	worker.pid = fork();
	assert_true(worker.pid >= 0);
	if (!worker.pid) {
		close(fds[0]);
		serve((void *)(long)fds[1]);
	}
	close(fds[1]);
	worker.fd = fds[0];
	return worker;
}

static void end_worker(struct worker *worker, int signal)
{
	if (signal)
		kill(worker->pid, signal);
	close(worker->fd);
	assert_int_equal(waitpid(worker->pid, NULL, 0), worker->pid);
}

/* ---- what processes hold */

static struct worker open_held(struct bed *bed)
{
	struct worker worker = start_worker();

	bed_open(bed, "test-metrics", held_rows, &(struct bed_options){.method = method});
	bed_attach(bed, getpid(), 4);
	return worker;
}

static void check_held(struct bed *bed, const char *name, double held, double held_too)
{
	double found = bed_value(bed, "toy.held"), found_too = bed_value(bed, "toy.held-too");

	if (found != held || found_too != held_too) /* NOLINT: they are whole numbers */
		fail_msg("%s: %g and %g are held, not %g and %g", name, found, found_too, held, held_too);
	assert_int_equal(bed_samples(bed, "toy.held"), 1);
	assert_int_equal(bed_value(bed, "mailgauge.store.failures"), 0);
}

static void test_hold(void **state)
{
	struct bed bed;
	struct worker worker = open_held(&bed), other = start_worker();

	(void)state;
	check_held(&bed, "nothing yet", 0, 0);
	tell(&worker, "r");
	check_held(&bed, "a release without a hold", 0, 0);
	tell(&worker, "hh");
	check_held(&bed, "two", 2, 0);
	tell(&worker, "rrr");
	check_held(&bed, "one more release than there was", 0, 0);
	tell(&worker, "hHH");
	tell(&other, "hhhR");
	check_held(&bed, "two processes", 4, 2);
	tell(&other, "rr");
	tell(&worker, "hR");
	check_held(&bed, "two processes", 3, 1);
	end_worker(&other, 0);
	check_held(&bed, "one has ended", 2, 1);
	end_worker(&worker, 0);
	check_held(&bed, "both have", 0, 0);
	bed_close(&bed);
}

static void test_ends(void **state)
{
	static const int signals[] = {0, SIGKILL, SIGABRT, SIGTERM};
	struct bed bed;
	struct worker worker = open_held(&bed);

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct worker victim = start_worker();

		tell(&victim, "hhHf");
		check_held(&bed, "a process and its child", 4, 1);
		tell(&victim, "k");
		check_held(&bed, "the child is dead", 2, 1);
		tell(&victim, i % 2 ? "t" : "h");
		check_held(&bed, "more", i % 2 ? 2 + THREADS : 3, 1);
		end_worker(&victim, signals[i]);
		check_held(&bed, "the process has ended", 0, 0);
	}
	tell(&worker, "hx");
	check_held(&bed, "another program in the same process", 1, 0);
	tell(&worker, "hr");
	check_held(&bed, "another program in the same process", 1, 0);
	end_worker(&worker, SIGKILL);
	check_held(&bed, "all have ended", 0, 0);
	bed_close(&bed);
}

/* What it means that a process ends: once for each that it held. */
static void test_exit_rules(void **state)
{
	static const char rows[] = LIBRARY "[slot]\nbegan = \"by process\"\n" AT("toy_one") RULES(
	    "{ hold = \"toy.held\", remember = \"began[pid] = 300\" }") AT("toy_two") RULES("{ release = \"toy.held\" }")
	    AT("toy_three") RULES("{ hold = \"toy.held-too\" }") "[[probe]]\nexit = \"toy.held\"\n" RULES(
		"{ if = \"began[pid] == 0\", count = \"toy.b\" }, "
		"{ count = \"toy.a\", observe = { \"toy.size\" = \"began[pid]\" }, forget = \"began[pid]\" }") "[[probe]]\nexit = \"toy.held-too\"\nwho = \"test-metrics\"\nevent = \"toy.c\"\n";
	static const char *const disabled[] = {NULL, "toy.held*", "toy.a"};
	static const char *const wants[] = {"a 4, b 7, c 1, size ", "a 4, b 7, c 1, size ", "b 7, c 1, size "};

	(void)state;
	for (size_t i = 0; i < sizeof(wants) / sizeof(*wants); i++) {
		struct worker worker = start_worker(), old = start_worker();
		struct bed bed;
		const char *got;

		bed_open(&bed, "test-metrics", rows, &(struct bed_options){.method = method, .disabled = disabled[i]});
		bed_attach(&bed, getpid(), 3);
		assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", old.pid, 7), 0);
		tell(&worker, "hhhhr");
		tell(&worker, "hH");
		assert_int_equal(bed_samples(&bed, "toy.held"), i != 1);
		assert_int_equal(bed_value(&bed, "mailgauge.probe.hits"), 7);
		assert_int_equal(bed_value(&bed, "mailgauge.store.failures"), 0);
		end_worker(&worker, SIGKILL);
		end_worker(&old, 0);
		got = bed_counts(&bed);
		if (strncmp(got, wants[i], strlen(wants[i])) != 0)
			fail_msg("%s disabled: %s, not %s...", disabled[i] ? disabled[i] : "nothing", got, wants[i]);
		assert_non_null(strstr(got, " 1200")); /* the sum of four times 300 */
		bed_close(&bed);
	}
}

/* The process is there as long as one of its threads is. */
static void test_main_thread_ends(void **state)
{
	struct bed bed;
	struct worker worker = open_held(&bed);

	(void)state;
	tell(&worker, "hh");
	order(&worker, "mm"); /* the first one is not answered */
	await(&worker, "m");
	usleep(100000); /* the main thread can be a little later */
	check_held(&bed, "the main thread has ended", 2, 0);
	tell(&worker, "r");
	check_held(&bed, "another thread", 1, 0);
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held-too", worker.pid, 6), 0);
	check_held(&bed, "the process is alive", 1, 6);
	end_worker(&worker, SIGKILL);
	check_held(&bed, "the process has ended", 0, 0);
	bed_close(&bed);
}

static void test_threads(void **state)
{
	struct bed bed;
	struct worker worker = open_held(&bed);

	(void)state;
	order(&worker, "t");
	for (int i = 0; i < 20; i++) {
		usleep(1000);
		assert_int_equal(probe_set_hold(bed.probes, "toy toy.held-too", worker.pid, 7), 0);
	}
	await(&worker, "t");
	check_held(&bed, "threads", THREADS, 7);
	assert_int_equal(bed_value(&bed, "mailgauge.probe.hits"), THREADS * (4 * bed_scale(THREADS_CALLS) + 1));
	end_worker(&worker, SIGKILL);
	check_held(&bed, "threads have ended", 0, 0);
	bed_close(&bed);
}

static pid_t make_zombie(void)
{
	siginfo_t info;
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return pid;
}

static void test_seeds(void **state)
{
	struct bed bed;
	struct worker worker = open_held(&bed), seen = start_worker();
	pid_t dead = make_zombie();

	(void)state;
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", worker.pid, 3), 0);
	check_held(&bed, "seeded", 3, 0);
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", worker.pid, 5), 0);
	check_held(&bed, "seeded again", 3, 0);
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held-too", worker.pid, 2), 0);
	check_held(&bed, "another gauge", 3, 2);
	tell(&worker, "rhhRR");
	check_held(&bed, "after hits", 4, 0);
	tell(&seen, "r");
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", seen.pid, 9), 0);
	check_held(&bed, "a probe has seen a release", 4, 0);
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", dead, 8), 0);
	check_held(&bed, "a zombie", 4, 0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", dead, 8), 0);
	check_held(&bed, "no process", 4, 0);
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.other", worker.pid, 1), -ENOENT);
	assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", worker.pid, 1u << 31), -ERANGE);
	bed_apply(&bed, 4);
	check_held(&bed, "the same plan again", 4, 0);
	end_worker(&worker, SIGKILL);
	end_worker(&seen, 0);
	check_held(&bed, "all have ended", 0, 0);
	bed_close(&bed);
}

/* More processes than are read at once. */
static void test_many_holders(void **state)
{
	enum { COUNT = 600 };
	struct bed bed;
	struct worker worker = open_held(&bed);
	pid_t pids[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (!pids[i]) {
			pause();
			_exit(0);
		}
		assert_int_equal(probe_set_hold(bed.probes, "toy toy.held", pids[i], (uint32_t)i), 0);
	}
	check_held(&bed, "many", COUNT * (COUNT - 1) / 2, 0);
	for (int i = 0; i < COUNT; i++) {
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	}
	check_held(&bed, "none", 0, 0);
	end_worker(&worker, 0);
	bed_close(&bed);
}

/* ---- gauges that move */

static const char level_rows[] =
    LIBRARY "[[directory]]\nevent = \"toy.level\"\nlabels = { queue = \"still\" }\npath = \"nowhere\"\n"
	    "[[directory]]\nevent = \"toy.level\"\nlabels = { queue = \"moves\" }\npath = \"moves\"\n" AT("toy_one")
		RULES("{ add = \"toy.level\", labels = { queue = \"moves\" } }") AT("toy_two")
		    RULES("{ subtract = \"toy.level\", labels = { queue = \"moves\" } }");
#define MOVES "toy toy.level queue=moves"
#define STILL "toy toy.level queue=still"

static void move_on(size_t cpu, int up, int down)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus); /* if there is this CPU */
	TIMES(up)
	CALL(one, 0, 0);
	TIMES(down)
	CALL(two, 0, 0);
}

static void work_level(void)
{
	move_on(0, 9, 2);
	move_on(1, 0, 12); /* below 0 on this one */
}

static void test_level(void **state)
{
	struct toy toy;
	struct bed bed;
	int64_t moved;

	(void)state;
	bed_open(&bed, "test-metrics", level_rows, &(struct bed_options){.method = method});
	toy = toy_fork(work_level);
	bed_attach(&bed, getpid(), 2);
	assert_int_equal(bed_samples(&bed, "toy.level"), 0);
	toy_go(&toy);
	assert_int_equal(bed_samples(&bed, "toy.level"), 0);
	assert_int_equal(probe_set_moved(bed.probes, MOVES, &moved), 0);
	assert_int_equal(moved, -5);
	probe_set_level(bed.probes, MOVES, 3, true);
	bed_check(&bed, "a level", "level queue=moves -2");
	probe_set_level(bed.probes, MOVES, 1000, true);
	bed_check(&bed, "another level", "level queue=moves 995");
	probe_set_level(bed.probes, STILL, 4, true);
	bed_check(&bed, "one that does not move", "level queue=moves 995, level queue=still 4");
	probe_set_level(bed.probes, MOVES, 0, false);
	bed_check(&bed, "unknown", "level queue=still 4");
	assert_int_equal(probe_set_moved(bed.probes, STILL, &moved), 0);
	assert_int_equal(moved, 0);
	assert_int_equal(probe_set_moved(bed.probes, "toy toy.level", &moved), -ENOENT);
	probe_set_level(bed.probes, "toy toy.level", 1, true);
	bed_check(&bed, "no such series", "level queue=still 4");
	bed_close(&bed);
	toy_end(&toy);
}

/* ---- combinations of looked-up labels */

static void work_combinations(void)
{
	CALL(one, "c", "h");
	CALL(two, "c", "h");
	CALL(two, "f", "f");
}

static void work_first(void)
{
	CALL(one, "a", "a");
}

static void check_combinations(const char *name, const char *rows, size_t before, size_t later, size_t last)
{
	struct toy toy, first;
	struct bed bed;

	bed_open(&bed, "test-metrics", rows, &(struct bed_options){.method = method});
	toy = toy_fork(work_combinations);
	first = toy_fork(work_first);
	bed_attach(&bed, getpid(), 2);
	assert_int_equal(bed_samples(&bed, "toy.a"), before);
	toy_go(&toy);
	bed_check(&bed, name,
		  "a first=c second=h 1, size first=c second=h 0/0/0/1 5000, size first=f second=f 0/0/0/1 5000");
	assert_int_equal(bed_samples(&bed, "toy.a"), later);
	assert_int_equal(bed_samples(&bed, "toy.size"), before > 1 ? before : 3);
	toy_go(&first);
	assert_int_equal(bed_samples(&bed, "toy.a"), last);
	bed_close(&bed);
	toy_end(&first); /* it has the first one's pipes */
	toy_end(&toy);
}

#define COMBINED                                                                             \
	AT("toy_one")                                                                        \
	RULES("{ count = \"toy.a\", by = { first = \"str arg0\", second = \"str arg1\" } }") \
	AT("toy_two")                                                                        \
	RULES("{ observe = { \"toy.size\" = \"arg2\" }, by = { first = \"str arg0\", second = \"str arg1\" } }")

static void test_combinations(void **state)
{
	(void)state;
	check_combinations(
	    "63", LIBRARY COMBINATIONS("\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\"") COMBINED, 63, 63, 63);
	check_combinations(
	    "70", LIBRARY COMBINATIONS("\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"") COMBINED, 1, 2,
	    2);
}

/* What a choice can lead to is there from the start, unless it is disabled. */
static void test_disabled(void **state)
{
	static const bool disabled[] = {false, true};
	struct toy toy;
	struct bed bed;

	(void)state;
	bed_open(&bed, "test-metrics",
		 LIBRARY "[choice.letter]\na = \"toy.a\"\nb = \"toy.b\"\n" AT("toy_one")
		     RULES("{ choose = { letter = \"str arg0\" } }"),
		 &(struct bed_options){.method = method});
	toy = toy_fork(work_first);
	bed_scan(&bed, getpid());
	bed.plan->series[0].disabled = disabled;
	bed_apply(&bed, 1);
	assert_int_equal(bed_samples(&bed, "toy.a"), 1);
	assert_int_equal(bed_samples(&bed, "toy.b"), 0);
	toy_go(&toy);
	bed_check(&bed, "a choice", "a 1");
	bed_attach(&bed, getpid(), 1);
	assert_int_equal(bed_samples(&bed, "toy.b"), 1);
	bed_check(&bed, "enabled again", "a 1");
	bed_close(&bed);
	toy_end(&toy);
}

/* ---- the clock */

static long real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void work_clock(void)
{
	CALL(one, real_ns() - 5000000000, 0);
}

static long tai_offset(void)
{
	struct timex timex = {0};

	adjtimex(&timex);
	return timex.tai;
}

static void set_tai_offset(long seconds)
{
	struct timex timex = {.modes = ADJ_TAI, .constant = seconds};

	assert_true(adjtimex(&timex) >= 0);
}

static void test_clock(void **state)
{
	const long offset = tai_offset();
	bool sets_clock = getenv("TOY_SETS_CLOCK");
	struct toy before, after;
	struct bed bed;

	(void)state;
	bed_open(&bed, "test-metrics",
		 LIBRARY AT("toy_one") "let = [ \"age = span arg0 realtime\" ]\n" RULES(
		     "{ if = \"age >= 5000000000 and age < 7000000000\", count = \"toy.a\" }, { count = \"toy.b\" }"),
		 &(struct bed_options){.method = method});
	before = toy_fork(work_clock);
	after = toy_fork(work_clock);
	bed_attach(&bed, getpid(), 1);
	toy_go(&before);
	if (sets_clock)
		set_tai_offset(offset + 37);
	bed_check(&bed, "as it is", "a 1");
	toy_go(&after);
	if (sets_clock)
		set_tai_offset(offset);
	bed_check(&bed, "37 seconds more", "a 2");
	bed_close(&bed);
	toy_end(&after); /* it has the first one's pipes */
	toy_end(&before);
}

static void find_functions(void)
{
	void *handle = dlopen(bed_file("library.so"), RTLD_NOW);
	struct {
		const char *name;
		void *address;
	} wanted[] = {{"toy_one", &one}, {"toy_two", &two}, {"toy_three", &three}, {"toy_four", &four}};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		void *found = handle ? dlsym(handle, wanted[i].name) : NULL;

		if (!found) {
			fprintf(stderr, "%s\n", dlerror());
			exit(2);
		}
		memcpy(wanted[i].address, &found, sizeof(found));
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hold),     cmocka_unit_test(test_ends),       cmocka_unit_test(test_main_thread_ends),
	    cmocka_unit_test(test_threads),  cmocka_unit_test(test_seeds),      cmocka_unit_test(test_many_holders),
	    cmocka_unit_test(test_level),    cmocka_unit_test(test_clock),      cmocka_unit_test(test_combinations),
	    cmocka_unit_test(test_disabled), cmocka_unit_test(test_exit_rules),
	};

	find_functions();
	if (argc == 3 && !strcmp(argv[1], "worker")) { /* run by a worker, which has asked for it */
		int fd = (int)strtol(argv[2], NULL, 10);

		if (write(fd, "x", 1) == 1)
			serve((void *)(long)fd);
		return 2;
	}
	method = bed_method(argc, argv, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
