/* SPDX-License-Identifier: Apache-2.0 */
/* push.h - owns the OTLP/HTTP push: one thread that sends a fresh snapshot every interval, and what it says of itself.
 * It knows the snapshot and its OTLP form, and nothing of where the numbers come from. libcurl is set up only by
 * push_start(), so that who does not push does not pay for it. */
#ifndef MAILGAUGE_PUSH_H
#define MAILGAUGE_PUSH_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/snapshot.h"

struct config;
struct push;

struct push_options {
	const struct config *config; /* read (and copied) by push_start() only */
	const char *version;
	take_snapshot_fn take; /* called from the push's thread, with `ctx` */
	void *ctx;
};

/* How an export ended, after its last attempt. */
enum push_outcome {
	PUSH_SUCCESS,
	PUSH_PARTIAL,  /* taken but for some data points */
	PUSH_REJECTED, /* the peer answered with a status that is not to be retried */
	PUSH_FAILED,   /* no answer, or "later" until the next export was due */
	PUSH_OUTCOMES
};

struct push_stats {
	uint64_t exports[PUSH_OUTCOMES];
	uint64_t attempts;        /* requests made, retries included */
	uint64_t rejected_points; /* of partial successes */
	uint64_t last_success_ns; /* CLOCK_REALTIME, 0 never */
	uint64_t duration_ms;     /* of the last export, its retries included */
};

/* push_start - begin: the first export is made at once. 0, or -errno with a sentence in err.
 * *out is set before the first callback. */
int push_start(struct push **out, const struct push_options *options, char *err, size_t err_size);
struct push_stats push_stats(struct push *push);
/* push_add_metrics - what the push says of itself, into a snapshot that is being made; accepts NULL */
void push_add_metrics(struct push *push, struct snapshot *snap);
/* push_stop - break off what is under way, make one last export of the newest numbers (waiting no longer than the
 * configured timeout) and free; accepts NULL, sets *push to NULL */
void push_stop(struct push **push);

/* The pure parts, for tests: */
/* push_backoff_ms - how long to wait before the attempt after number `attempt` (from 0); `random` is any number */
uint64_t push_backoff_ms(unsigned attempt, uint32_t random);
/* push_status_is_retryable - those that OTLP lets a client repeat */
bool push_status_is_retryable(long status);

#endif
