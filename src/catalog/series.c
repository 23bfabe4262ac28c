/* SPDX-License-Identifier: Apache-2.0 */
/* series.c - what a server's file gives: the list of its events; each of them with the same label names everywhere,
 * each gauge in one way only. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "catalog/server.h"

struct label_names {
	const char *names[LABELS_MAX]; /* sorted */
	size_t count;
};

/* What is known of an event while the file is gone through: where each of these was first seen. */
struct event_use {
	struct label_names labels;
	int line;                       /* 0: the server does not give it */
	const struct rule_def *hold;    /* that holds it */
	const struct rule_def *release; /* that releases it */
	const struct probe_def *end;    /* what it means that a process ends which holds it */
	int added;                      /* line of what adds to it, or counts its files */
};

struct series_check {
	struct server_tables *tables;
	struct event_use *uses; /* by event */
};

static struct event_use *use_of(const struct series_check *check, const struct event_def *event)
{
	return &check->uses[event - check->tables->events->items];
}

/* ---- label names */

static int by_text(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

static struct label_names names_of(const struct label_def *labels, size_t label_cnt, const struct dim_def *dims,
				   size_t dim_cnt)
{
	struct label_names all = {.count = 0};

	for (size_t i = 0; i < label_cnt; i++)
		all.names[all.count++] = labels[i].name;
	for (size_t i = 0; i < dim_cnt; i++)
		all.names[all.count++] = dims[i].set->name;
	qsort(all.names, all.count, sizeof(all.names[0]), by_text);
	return all;
}

static bool has_same_names(const struct label_names *a, const struct label_names *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->names[i], b->names[i]) != 0)
			return false;
	return true;
}

static int note_labels(const struct series_check *check, const struct event_def *event,
		       const struct label_names *labels, int line, int col)
{
	struct event_use *use = use_of(check, event);

	if (!use->line) {
		use->line = line;
		use->labels = *labels;
		check->tables->server->event_cnt++;
	}
	if (has_same_names(&use->labels, labels))
		return 0;
	return fail_place(check->tables->reader, line, col, "\"%s\" has other labels here than in line %d", event->name,
			  use->line);
}

/* ---- gauges */

/* note_gauge - a gauge is what processes hold, or what is added up: its value cannot be told from both */
static int note_gauge(const struct series_check *check, const struct rule_def *rule, const struct act_def *act)
{
	struct event_use *use = use_of(check, act->event);

	if (act->kind == ACT_ADD && !use->added)
		use->added = rule->line;
	if (act->kind == ACT_HOLD && !use->hold)
		use->hold = rule;
	if (act->kind == ACT_RELEASE && !use->release)
		use->release = rule;
	if (!use->added || (!use->hold && !use->release))
		return 0;
	return fail_def(check->tables, rule, "\"%s\" is %s here, but %s in line %d: a gauge is either held or added to",
			act->event->name, act->kind == ACT_ADD ? "added to" : "held or released",
			act->kind == ACT_ADD ? "held or released" : "added to",
			act->kind != ACT_ADD ? use->added
			: use->hold          ? use->hold->line
					     : use->release->line);
}

static int note_act(const struct series_check *check, const struct rule_def *rule, const struct act_def *act)
{
	struct label_names labels = names_of(act->labels, act->label_cnt, act->dims, act->dim_cnt);
	const struct event_def *event;
	int ret = 0;

	if (act->kind == ACT_ADD || act->kind == ACT_HOLD || act->kind == ACT_RELEASE)
		ret = note_gauge(check, rule, act);
	for (size_t i = 0; !ret && (event = act_event(act, i)); i++)
		ret = note_labels(check, event, &labels, rule->line, rule->col);
	return ret;
}

/* for_acts - call `take` for every action of the file, until it fails */
static int for_acts(const struct series_check *check,
		    int (*take)(const struct series_check *check, const struct rule_def *rule,
				const struct act_def *act))
{
	const struct server_def *server = check->tables->server;
	int ret = 0;

	for (size_t i = 0; i < server->probe_cnt; i++)
		for (size_t k = 0; k < server->probes[i].rule_cnt; k++) {
			const struct rule_def *rule = &server->probes[i].rules[k];

			for (size_t n = 0; !ret && n < rule->act_cnt; n++)
				ret = take(check, rule, &rule->acts[n]);
		}
	return ret;
}

static int note_directory(const struct series_check *check, const struct directory_def *directory)
{
	struct label_names labels = names_of(directory->labels, directory->label_cnt, NULL, 0);
	const struct event_use *use = use_of(check, directory->event);

	if (use->hold || use->release)
		return fail_def(check->tables, directory, "\"%s\" is held or released in line %d: it has no files",
				directory->event->name, use->hold ? use->hold->line : use->release->line);
	return note_labels(check, directory->event, &labels, directory->line, directory->col);
}

/* check_added - what is added to a gauge is told only together with a count of what there was: both have the same
 * labels */
static int check_added(const struct series_check *check, const struct rule_def *rule, const struct act_def *act)
{
	const struct server_def *server = check->tables->server;

	if (act->kind != ACT_ADD)
		return 0;
	for (size_t i = 0; !act->dim_cnt && i < server->directory_cnt; i++)
		if (server->directories[i].event == act->event &&
		    is_same_labels(act->labels, act->label_cnt, server->directories[i].labels,
				   server->directories[i].label_cnt))
			return 0;
	return fail_def(check->tables, rule, "no [[directory]] has \"%s\" with these labels", act->event->name);
}

static int check_seed(const struct series_check *check, const struct seed_def *seed)
{
	if (use_of(check, seed->event)->hold)
		return 0;
	return fail_def(check->tables, seed, "no rule holds \"%s\"", seed->event->name);
}

/* check_held - what is held must be released, if only by the end of the process, and the other way round */
static int check_held(const struct series_check *check, const struct event_def *event)
{
	const struct event_use *use = use_of(check, event);

	if (use->end && !use->hold)
		return fail_def(check->tables, use->end, "no rule holds \"%s\"", event->name);
	if (!use->hold == !(use->release || use->end))
		return 0;
	return fail_def(check->tables, use->hold ? use->hold : use->release, "\"%s\" is %s", event->name,
			use->hold ? "held, but no rule releases it" : "released, but no rule holds it");
}

/* ---- the list */

/* list_events - they are sorted */
static void list_events(const struct series_check *check)
{
	struct server_def *server = check->tables->server;
	size_t n = 0;

	server->events = arena_array(check->tables->reader->mem, server->event_cnt, sizeof(*server->events));
	for (size_t i = 0; i < check->tables->events->count; i++)
		if (check->uses[i].line)
			server->events[n++] = &check->tables->events->items[i];
}

int check_series(struct server_tables *tables)
{
	struct series_check check = {.tables = tables};
	const struct server_def *server = tables->server;
	int ret;

	check.uses = arena_array(tables->reader->mem, tables->events->count, sizeof(*check.uses));
	ret = for_acts(&check, note_act);
	for (size_t i = 0; i < server->probe_cnt; i++)
		if (server->probes[i].held)
			use_of(&check, server->probes[i].held)->end = &server->probes[i];
	for (size_t i = 0; !ret && i < tables->events->count; i++)
		ret = check_held(&check, &tables->events->items[i]);
	for (size_t i = 0; !ret && i < server->directory_cnt; i++)
		ret = note_directory(&check, &server->directories[i]);
	if (!ret)
		ret = for_acts(&check, check_added);
	for (size_t i = 0; !ret && i < server->seed_cnt; i++)
		ret = check_seed(&check, &server->seeds[i]);
	if (!ret)
		list_events(&check);
	return ret;
}
