/* SPDX-License-Identifier: Apache-2.0 */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"

static const char events_text[] =
    "toy.a = \"A\"\ntoy.b = \"B\"\ntoy.c = \"C\"\ntoy.d = \"D\"\ntoy.e = \"E\"\n"
    "toy.f = \"F\"\ntoy.g = \"G\"\ntoy.h = \"H\"\ntoy.i = \"I\"\ntoy.j = \"J\"\n"
    "toy.level = { kind = \"gauge\", unit = \"{thing}\", help = \"L\" }\n"
    "toy.held = { kind = \"gauge\", unit = \"{thing}\", help = \"H\" }\n"
    "toy.held-too = { kind = \"gauge\", unit = \"{thing}\", help = \"T\" }\n"
    "toy.size = { kind = \"histogram\", unit = \"By\", bounds = [10, 20, 1000],"
    " help = \"S\" }\n"
    "toy.time = { kind = \"histogram\", unit = \"s\", bounds = [0.005, 0.01, 0.7, 60],"
    " help = \"T\" }\n"
    "toy.most = { kind = \"histogram\", unit = \"{thing}\", bounds = [1, 2, 3, 4, 5, 6,"
    " 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24], help = \"M\" }\n";

/* ---- files and clocks */

const char *bed_file(const char *name)
{
	static char path[2 * PATH_MAX];
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(len > 0);
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	snprintf(path, sizeof(path), "%s/%s", self, name);
	return path;
}

enum probe_method bed_method(int argc, char **argv, int at)
{
	static const char *const names[] = {[METHOD_AUTO] = "auto", [METHOD_MULTI] = "multi", [METHOD_PERF] = "perf"};

	for (enum probe_method method = METHOD_AUTO; argc == at + 1 && method <= METHOD_PERF; method++)
		if (!strcmp(argv[at], names[method]))
			return method;
	fprintf(stderr, "usage: %s%s auto|multi|perf\n", argv[0], at > 1 ? " LIBRARY" : "");
	exit(2);
}

long bed_scale(long count)
{
	const char *text = getenv("TOY_DIVISOR");
	long divisor = text ? strtol(text, NULL, 10) : 1;

	return divisor > 1 ? count / divisor : count;
}

double bed_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- toys */

static void expect_byte(const struct toy *toy, char want)
{
	char byte = 0;

	assert_int_equal(read(toy->from, &byte, 1), 1);
	assert_int_equal(byte, want);
}

/* fork_with_pipes - in the child `toy` is what it reads and writes */
static pid_t fork_with_pipes(struct toy *toy)
{
	int to[2], from[2];
	pid_t pid;

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid) {
		*toy = (struct toy){.pid = pid, .to = to[1], .from = from[0]};
		close(to[0]);
		close(from[1]);
	} else {
		*toy = (struct toy){.to = from[1], .from = to[0]};
		close(to[1]);
		close(from[0]);
	}
	return pid;
}

struct toy toy_run(const char *path, const char *arg1, const char *arg2)
{
	struct toy toy;

	if (!fork_with_pipes(&toy)) {
		dup2(toy.from, 0);
		dup2(toy.to, 1);
		execl(path, path, arg1, arg2, (char *)NULL);
		_exit(127);
	}
	expect_byte(&toy, 'r');
	return toy;
}

struct toy toy_fork(void (*work)(void))
{
	struct toy toy;
	char byte;

	if (!fork_with_pipes(&toy)) {
		if (write(toy.to, "r", 1) == 1 && read(toy.from, &byte, 1) == 1) {
			work();
			if (write(toy.to, "d", 1) == 1 && read(toy.from, &byte, 1) == 0)
				_exit(0);
		}
		_exit(1);
	}
	expect_byte(&toy, 'r');
	return toy;
}

void toy_start(struct toy *toy)
{
	assert_int_equal(write(toy->to, "g", 1), 1);
}

void toy_wait(struct toy *toy)
{
	expect_byte(toy, 'd');
}

void toy_go(struct toy *toy)
{
	toy_start(toy);
	toy_wait(toy);
}

void toy_end(struct toy *toy)
{
	int status;

	close(toy->to);
	close(toy->from);
	assert_int_equal(waitpid(toy->pid, &status, 0), toy->pid);
	assert_int_equal(status, 0);
}

/* ---- beds */

static void make_catalog(struct bed *bed, const char *exe, const char *text)
{
	struct server_def **servers = arena_alloc(bed->mem, sizeof(*servers));
	char *whole = arena_printf(bed->mem, "[server]\nname = \"toy\"\nexe = [\"*/%s\"]\n%s", exe, text);
	char err[512] = "";

	bed->catalog = (struct catalog){.servers = servers, .server_cnt = 1, .mem = bed->mem};
	if (events_parse(&bed->catalog.events, "events", events_text, sizeof(events_text) - 1, bed->mem, err) ||
	    catalog_parse_server(&servers[0], &bed->catalog.events, "toy.toml", whole, strlen(whole), bed->mem, err))
		fail_msg("%s", err);
}

void bed_open(struct bed *bed, const char *exe, const char *catalog, const struct bed_options *options)
{
	struct probe_options probe = {.method = options->method, .scope_pid = options->scope_pid};
	char err[256];

	*bed = (struct bed){.mem = arena_new()};
	make_catalog(bed, exe, catalog);
	buf_init(&bed->log, 1 << 16);
	if (options->disabled) {
		bed->config.disabled_events.items = arena_alloc(bed->mem, sizeof(char *));
		bed->config.disabled_events.items[0] = options->disabled;
		bed->config.disabled_events.count = 1;
	}
	if (probe_set_open(&bed->probes, &probe, err))
		fail_msg("%s", err);
}

void bed_scan(struct bed *bed, pid_t pid)
{
	char err[256];

	plan_free(&bed->plan);
	target_scan_free(&bed->scan);
	if (target_scan_proc(&bed->scan, &bed->catalog, "/proc", pid, err) ||
	    plan_build(&bed->plan, &bed->config, &bed->catalog, bed->scan, err))
		fail_msg("%s", err);
	for (size_t i = 0; i < bed->plan->miss_cnt; i++)
		if (bed->plan->misses[i].why != WHY_DISABLED)
			fail_msg("%s: %s: %s", bed->plan->misses[i].event->name, bed->plan->misses[i].file,
				 bed->plan->misses[i].reason);
}

/* catch_log, release_log - what is written to stderr in between goes into bed->log */
static int catch_log(int *kept)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	fflush(stderr);
	*kept = dup(2);
	dup2(fd, 2);
	return fd;
}

static void release_log(struct bed *bed, int fd, int kept)
{
	char text[4096];
	ssize_t len;

	fflush(stderr);
	dup2(kept, 2);
	close(kept);
	buf_reset(&bed->log);
	lseek(fd, 0, SEEK_SET);
	while ((len = read(fd, text, sizeof(text))) > 0)
		buf_add(&bed->log, text, (size_t)len);
	close(fd);
}

void bed_apply(struct bed *bed, size_t probes)
{
	struct probe_status status;
	char err[256];
	int kept, fd = catch_log(&kept), ret = probe_set_apply(bed->probes, bed->plan, err);

	release_log(bed, fd, kept);
	if (ret)
		fail_msg("%s", err);
	probe_set_status(bed->probes, &status);
	if (status.attached != probes)
		fail_msg("%zu probes are attached, not %zu, and %zu are not: %s", status.attached, probes,
			 status.failed, buf_text(&bed->log));
}

void bed_attach(struct bed *bed, pid_t pid, size_t probes)
{
	bed_scan(bed, pid);
	bed_apply(bed, probes);
	assert_string_equal(buf_text(&bed->log), "");
}

static struct snapshot *take(struct bed *bed)
{
	struct snapshot *snap;

	assert_int_equal(probe_set_snapshot(bed->probes, &snap), 0);
	snapshot_finish(snap);
	return snap;
}

/* add_value - behind what add_count has written */
static void add_value(struct buf *out, const struct family *family, const struct sample *sample)
{
	switch (family->kind) {
	case METRIC_COUNTER:
		buf_printf(out, " %llu", (unsigned long long)sample->counter);
		break;
	case METRIC_GAUGE:
		buf_printf(out, " %.15g", sample->gauge);
		break;
	case METRIC_HISTOGRAM:
		for (size_t i = 0; i <= family->bound_cnt; i++)
			buf_printf(out, "%c%llu", i ? '/' : ' ', (unsigned long long)sample->histogram.buckets[i]);
		buf_printf(out, " %.15g", sample->histogram.sum);
		break;
	}
}

static bool is_zero(const struct family *family, const struct sample *sample)
{
	if (family->kind == METRIC_HISTOGRAM)
		return !sample_count(family, sample);
	return family->kind == METRIC_GAUGE ? sample->gauge == 0 : !sample->counter;
}

static void add_count(struct buf *out, const struct family *family, const struct sample *sample)
{
	if (is_zero(family, sample))
		return;
	buf_printf(out, "%s%s", out->len ? ", " : "", strchr(family->name, '.') + 1);
	for (size_t i = 0; i < sample->label_cnt; i++)
		if (strcmp(sample->labels[i].name, "server"))
			buf_printf(out, " %s=%s", sample->labels[i].name, sample->labels[i].value);
	add_value(out, family, sample);
}

/* is_bad - is it one of the collector's own counters that should stay 0? */
static bool is_bad(const struct family *family)
{
	return !strcmp(family->name, "mailgauge.read.failures") || !strcmp(family->name, "mailgauge.store.failures") ||
	       !strcmp(family->name, "mailgauge.missed.hits");
}

const char *bed_counts(struct bed *bed)
{
	struct snapshot *snap = take(bed);
	struct buf out;
	const char *text;

	buf_init(&out, 1 << 16);
	for (size_t i = 0; i < snap->family_cnt; i++)
		if (snap->families[i].scope == SCOPE_EVENT || is_bad(&snap->families[i]))
			for (size_t k = 0; k < snap->families[i].sample_cnt; k++)
				add_count(&out, &snap->families[i], &snap->families[i].samples[k]);
	text = arena_strdup(bed->mem, buf_text(&out));
	buf_free(&out);
	snapshot_free(&snap);
	return text;
}

double bed_value(struct bed *bed, const char *name)
{
	struct snapshot *snap = take(bed);
	const struct family *family = snapshot_find(snap, name);
	double sum = 0;

	assert_non_null(family);
	for (size_t i = 0; i < family->sample_cnt; i++)
		sum += family->kind == METRIC_GAUGE ? family->samples[i].gauge : (double)family->samples[i].counter;
	snapshot_free(&snap);
	return sum;
}

size_t bed_samples(struct bed *bed, const char *name)
{
	struct snapshot *snap = take(bed);
	const struct family *family = snapshot_find(snap, name);
	size_t count = family ? family->sample_cnt : 0;

	snapshot_free(&snap);
	return count;
}

void bed_check(struct bed *bed, const char *name, const char *want)
{
	const char *got = bed_counts(bed);

	if (strcmp(got, want))
		fail_msg("%s: counted \"%s\", not \"%s\"", name, got, want);
}

void bed_close(struct bed *bed)
{
	probe_set_close(&bed->probes);
	plan_free(&bed->plan);
	target_scan_free(&bed->scan);
	buf_free(&bed->log);
	arena_free(&bed->mem);
}
