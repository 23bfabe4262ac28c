/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - owns the vocabulary (events.toml): every event's name, kind, unit and help text.
 * It knows no server and no probe. */
#ifndef MAILGAUGE_EVENTS_H
#define MAILGAUGE_EVENTS_H
#include <stddef.h>

struct arena;

/* A counter counts events. A gauge is how much of something there is now. A histogram says how values (of which each
 * event has one) are spread. */
enum event_kind { EVENT_COUNTER, EVENT_GAUGE, EVENT_HISTOGRAM };
#define EVENT_KINDS (EVENT_HISTOGRAM + 1)

/* event_kind_name - "counter", "gauge", "histogram" */
const char *event_kind_name(enum event_kind kind);

struct event_def {
	const char *name; /* "auth.success" */
	enum event_kind kind;
	const char *unit; /* "{event}"; of a histogram of times "s" */
	const char *help; /* one sentence */
	const double
	    *bounds; /* EVENT_HISTOGRAM: in `unit`, ascending, 1 to PROBE_BUCKETS; a value equal to one is within */
	size_t bound_cnt;
};

/* event_scale - what is observed is in this part of the unit: 1e9 for "s" (the BPF side has ns), else 1 */
double event_scale(const struct event_def *event);

/* A list of bounds that several histograms have: [bounds] NAME = [...]. */
struct bounds_def {
	const char *name;
	const double *bounds;
	size_t bound_cnt;
};

struct events {
	struct event_def *items; /* sorted by name */
	size_t count;
	struct bounds_def *bounds; /* in the order of the files */
	size_t bounds_cnt;
};

/* events_parse - read a vocabulary from TOML text; `file` names it in messages. All memory is taken from `mem`.
 * 0, or -EINVAL with "file:line:column: reason" in err. */
int events_parse(struct events *out, const char *file, const char *text, size_t len, struct arena *mem,
		 char err[static 512]);
/* events_add - the same, added to what `events` has; an event that is there already is an error. The items move:
 * pointers to them that were taken before are stale. */
int events_add(struct events *events, const char *file, const char *text, size_t len, struct arena *mem,
	       char err[static 512]);
/* events_find - by exact name, or NULL */
const struct event_def *events_find(const struct events *events, const char *name);

#endif
