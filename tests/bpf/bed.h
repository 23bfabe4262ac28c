/* SPDX-License-Identifier: Apache-2.0 */
/* bed.h - what the tests of the BPF side share: a made-up server with a catalog of its own, and the way from there to
 * numbers: scan, plan, attach, let the toy work, read. It knows no test. Everything that goes wrong fails the test. */
#ifndef MAILGAUGE_BED_H
#define MAILGAUGE_BED_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/buf.h"
#include "catalog/catalog.h"
#include "config/config.h"
#include "plan/plan.h"
#include "probe/probe_set.h"
#include "target/target.h"

/* ---- toys: processes that wait until they are told to work */

struct toy {
	pid_t pid;
	int to, from; /* its input and output: "r" when it is ready, "g" go, "d" done; at the end of input it ends */
};

/* toy_run - start a program and wait until it is ready */
struct toy toy_run(const char *path, const char *arg1, const char *arg2);
/* toy_fork - a child of this process that will run `work` once */
struct toy toy_fork(void (*work)(void));
/* toy_start - let it work, without waiting; toy_wait - until it is done; toy_go - both */
void toy_start(struct toy *toy);
void toy_wait(struct toy *toy);
void toy_go(struct toy *toy);
/* toy_end - wait for its end, which must be an ordinary one */
void toy_end(struct toy *toy);

/* ---- beds */

struct bed_options {
	enum probe_method method;
	pid_t scope_pid;
	const char *disabled; /* an event, or pattern, that is disabled; NULL none */
};

struct bed {
	struct arena *mem;
	struct catalog catalog;
	struct config config;
	struct probe_set *probes;
	struct target_scan *scan; /* of the last bed_plan */
	struct plan *plan;
	struct buf log; /* what was logged by the last bed_apply */
};

/* bed_open - a server with these rows. In `catalog` stands what follows the [server] of name "toy"; `exe` is the base
 * name of its executable. The events are toy.a to toy.j; the gauges toy.level, toy.held and toy.held-too; the
 * histograms toy.size, toy.time and toy.most: their bounds are in bed.c. */
void bed_open(struct bed *bed, const char *exe, const char *catalog, const struct bed_options *options);
/* bed_scan - look at what runs and plan; pid 0: all instances */
void bed_scan(struct bed *bed, pid_t pid);
/* bed_apply - attach the plan; how many probes there must be then, all of them attached */
void bed_apply(struct bed *bed, size_t probes);
/* bed_attach - both, for the instance that this process belongs to */
void bed_attach(struct bed *bed, pid_t pid, size_t probes);
/* bed_counts - all series that are not 0, and all failures: "a 3, b reason=x 1, read.failures 2"; owned by the bed.
 * Histograms as "size 1/0/2 25": the buckets, the last one of what is above all bounds, and the sum. */
const char *bed_counts(struct bed *bed);
/* bed_samples - how many series an event has, those that are 0 included */
size_t bed_samples(struct bed *bed, const char *family);
/* bed_value - of one of the collector's own metrics, all samples added up */
double bed_value(struct bed *bed, const char *family);
/* bed_check - compare bed_counts, tell `name` when it fails */
void bed_check(struct bed *bed, const char *name, const char *want);
void bed_close(struct bed *bed);

/* bed_file - path of something built for the tests: below the directory of the test program */
const char *bed_file(const char *name);
/* bed_method - argument number `at`, the last one, must be a METHOD: auto, multi or perf. Exits if not. */
enum probe_method bed_method(int argc, char **argv, int at);
/* bed_scale - `count`, divided by TOY_DIVISOR of the environment (for slow machines such as emulated ones) */
long bed_scale(long count);
/* bed_seconds - a clock */
double bed_seconds(void);

#endif
