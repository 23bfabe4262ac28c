/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - owns the vocabulary (events.toml): every event's name, kind, unit and help text.
 * It knows no server and no probe. */
#ifndef MAILGAUGE_EVENTS_H
#define MAILGAUGE_EVENTS_H
#include <stddef.h>

struct arena;

enum event_kind { EVENT_COUNTER };

struct event_def {
	const char *name; /* "auth.success" */
	enum event_kind kind;
	const char *unit; /* "{event}" */
	const char *help; /* one sentence */
};

struct events {
	struct event_def *items; /* sorted by name */
	size_t count;
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
