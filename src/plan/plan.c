/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - owns the joining of configuration, catalog and running servers into one plan.
 *
 * For each instance and each row of its server's catalog: is it of use to anybody (are its events enabled, is what
 * it remembers read), which of the instance's files are meant, where in them is it. Rows at one place of one file
 * become a chain of specs; rows there that select by a text become the cases of one switch. */
#include "plan/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "plan/parts.h"

#define SLOT_DEPTH 3 /* slots that are filled from others, as far as reasons go */

/* ---- which rows are of use */

/* enabled_event - number `i` of the enabled events that the row can move, or NULL */
static const struct event_def *enabled_event(const struct config *config, const struct probe_def *probe, size_t i)
{
	for (size_t rule = 0; rule < probe->rule_cnt; rule++)
		for (size_t k = 0; k < probe->rules[rule].act_cnt; k++) {
			const struct act_def *act = &probe->rules[rule].acts[k];
			const struct event_def *event;

			for (size_t n = 0; (event = act_event(act, n)); n++)
				if (!config_event_disabled(config, event->name) && !i--)
					return event;
		}
	return NULL;
}

const struct event_def *row_moves(const struct planner *p, const struct probe_def *probe, size_t i)
{
	return enabled_event(p->config, probe, i);
}

/* row_holds - does it hold or release a gauge for the sake of what the end of processes means? */
static bool row_holds(const struct planner *p, const struct probe_def *probe)
{
	for (size_t i = 0; i < probe->rule_cnt; i++)
		for (size_t k = 0; k < probe->rules[i].act_cnt; k++) {
			const struct act_def *act = &probe->rules[i].acts[k];

			if ((act->kind == ACT_HOLD || act->kind == ACT_RELEASE) &&
			    is_held_for_somebody(p->config, p->target->server, act->event))
				return true;
		}
	return false;
}

static bool row_counts(const struct planner *p, const struct probe_def *probe)
{
	return row_moves(p, probe, 0) || row_holds(p, probe);
}

/* row_touches_live - does it change (or, with `only_remember`, set) a slot that somebody reads? */
static bool row_touches_live(const struct planner *p, const struct probe_def *probe, bool only_remember)
{
	const struct slot_def *slots = p->target->server->slots;

	for (size_t i = 0; i < probe->rule_cnt; i++)
		for (size_t k = 0; k < probe->rules[i].act_cnt; k++) {
			const struct act_def *act = &probe->rules[i].acts[k];

			if (act_moves(act) || (only_remember && act->kind != ACT_REMEMBER))
				continue;
			if (p->slot_is_live[act->slot - slots])
				return true;
		}
	return false;
}

/* find_useful - a row is of use if it counts something enabled, or keeps a slot that such a row reads, directly or
 * through other slots */
static void find_useful(struct planner *p)
{
	const struct server_def *server = p->target->server;
	bool changed = true;

	memset(p->slot_is_live, 0, server->slot_cnt * sizeof(bool));
	while (changed) {
		changed = false;
		for (size_t i = 0; i < server->probe_cnt; i++) {
			const struct probe_def *probe = &server->probes[i];

			if (!row_counts(p, probe) && !row_touches_live(p, probe, true))
				continue;
			for (size_t k = 0; k < probe->value_cnt; k++) {
				const struct value_def *value = &probe->values[k];
				bool *live;

				if (value->kind != VALUE_RECALL)
					continue;
				live = &p->slot_is_live[value->slot - server->slots];
				changed = changed || !*live;
				*live = true;
			}
		}
	}
	for (size_t i = 0; i < server->probe_cnt; i++)
		p->row_is_useful[i] =
		    row_counts(p, &server->probes[i]) || row_touches_live(p, &server->probes[i], false);
}

bool is_held_for_somebody(const struct config *config, const struct server_def *server, const struct event_def *gauge)
{
	if (!config_event_disabled(config, gauge->name))
		return true;
	for (size_t i = 0; i < server->probe_cnt; i++)
		if (server->probes[i].held == gauge && enabled_event(config, &server->probes[i], 0))
			return true;
	return false;
}

/* ---- reasons why not */

static void add_miss(struct planner *p, const struct probe_def *row, const struct event_def *event, enum plan_why why,
		     const char *file, const char *reason)
{
	struct plan *plan = p->plan;
	const struct server_def *server = p->target->server;

	for (size_t i = 0; i < plan->miss_cnt; i++) {
		const struct plan_miss *old = &plan->misses[i];

		if (old->row == row && old->event == event && old->server == server && !strcmp(old->file, file) &&
		    !strcmp(old->reason, reason))
			return;
	}
	plan->misses = arena_grow(plan->mem, plan->misses, plan->miss_cnt, &p->miss_cap, sizeof(*plan->misses));
	plan->misses[plan->miss_cnt++] = (struct plan_miss){
	    .row = row,
	    .event = event,
	    .server = server,
	    .why = why,
	    .file = arena_strdup(plan->mem, file),
	    .reason = arena_strdup(plan->mem, reason),
	};
}

static bool row_reads(const struct probe_def *probe, const struct slot_def *slot)
{
	for (size_t i = 0; i < probe->value_cnt; i++)
		if (probe->values[i].kind == VALUE_RECALL && probe->values[i].slot == slot)
			return true;
	return false;
}

static bool row_remembers(const struct probe_def *probe, const struct slot_def *slot)
{
	for (size_t i = 0; i < probe->rule_cnt; i++)
		for (size_t k = 0; k < probe->rules[i].act_cnt; k++)
			if (probe->rules[i].acts[k].kind == ACT_REMEMBER && probe->rules[i].acts[k].slot == slot)
				return true;
	return false;
}

/* row_needs - does `reader` judge by what `writer` remembers, directly or through other slots? `depth`: of slots */
static bool row_needs(const struct server_def *server, const struct probe_def *reader, const struct probe_def *writer,
		      size_t depth)
{
	for (size_t i = 0; i < server->slot_cnt; i++) {
		const struct slot_def *slot = &server->slots[i];

		if (!row_reads(reader, slot))
			continue;
		if (row_remembers(writer, slot))
			return true;
		for (size_t k = 0; depth && k < server->probe_cnt; k++)
			if (&server->probes[k] != reader && row_remembers(&server->probes[k], slot) &&
			    row_needs(server, &server->probes[k], writer, depth - 1))
				return true;
	}
	return false;
}

/* add_row_misses - for all that the row moves, and all that is judged by what it remembers */
static void add_row_misses(struct planner *p, const struct probe_def *probe, enum plan_why why, const char *file,
			   const char *reason)
{
	const struct server_def *server = p->target->server;
	const struct event_def *event;

	for (size_t i = 0; (event = row_moves(p, probe, i)); i++)
		add_miss(p, probe, event, why, file, reason);
	for (size_t k = 0; k < server->probe_cnt; k++)
		if (&server->probes[k] != probe && row_needs(server, &server->probes[k], probe, SLOT_DEPTH))
			for (size_t i = 0; (event = row_moves(p, &server->probes[k], i)); i++)
				add_miss(p, probe, event, why, file, reason);
}

/* forget_misses - of the rows that this one has taken the place of */
static void forget_misses(struct planner *p, const struct probe_def *probe)
{
	struct plan *plan = p->plan;

	for (const struct probe_def *first = probe->instead_of; first; first = first->instead_of) {
		size_t kept = 0;

		for (size_t i = 0; i < plan->miss_cnt; i++)
			if (plan->misses[i].row != first)
				plan->misses[kept++] = plan->misses[i];
		plan->miss_cnt = kept;
	}
}

/* plan_row - the row in all files of its object */
static void plan_row(struct planner *p, const struct probe_def *probe)
{
	const char *missing = "no running process has it, nor is it on disk";
	enum row_state *state = &p->rows[probe->index];
	bool has_file = false;

	if (probe->instead_of) {
		enum row_state *first = &p->rows[probe->instead_of->index];

		if (*first == ROW_UNSEEN)
			plan_row(p, probe->instead_of);
		if (*first == ROW_FOUND) {
			*state = ROW_FOUND; /* the event is counted, whatever comes after in the row of alternatives */
			return;
		}
	}
	*state = ROW_NOT_FOUND;
	if (!p->row_is_useful[probe->index])
		return;
	if (probe->where == WHERE_EXIT) {
		*state = ROW_FOUND;
		return; /* see plan_exits: in no file */
	}
	for (size_t i = 0; i < p->target->file_cnt; i++) {
		const struct target_file *file = &p->target->files[i];
		char err[256] = "";
		struct draft *draft;
		int ret = 0;

		if (file->object != probe->object)
			continue;
		has_file = true;
		draft = draft_of(p, file);
		if (!draft->done[probe->index]) {
			draft->done[probe->index] = true;
			ret = place_row(p, draft, probe, &draft->found[probe->index], err);
		}
		if (draft->found[probe->index])
			*state = ROW_FOUND;
		if (ret && ret != -ENOENT && !(probe->is_optional && ret == -ESRCH))
			add_row_misses(p, probe, WHY_UNRESOLVED, file->path, err);
	}
	if (*state == ROW_FOUND)
		forget_misses(p, probe);
	if (!has_file)
		add_row_misses(p, probe, WHY_NO_FILE, probe->object->file, missing);
}

/* is_held - is a place known where the instance's processes hold this gauge? Else what they held before we came would
 * never be released. */
static bool is_held(const struct planner *p, const struct event_def *gauge)
{
	const struct server_def *server = p->target->server;

	for (size_t i = 0; i < server->probe_cnt; i++)
		for (size_t k = 0; p->rows[i] == ROW_FOUND && k < server->probes[i].rule_cnt; k++)
			for (size_t n = 0; n < server->probes[i].rules[k].act_cnt; n++)
				if (server->probes[i].rules[k].acts[n].kind == ACT_HOLD &&
				    server->probes[i].rules[k].acts[n].event == gauge)
					return true;
	return false;
}

/* plan_gauges - what the instance had before it was watched: connections of its processes, files in its directories */
static void plan_gauges(struct planner *p)
{
	const struct server_def *server = p->target->server;
	struct plan *plan = p->plan;

	for (size_t i = 0; i < server->seed_cnt; i++) {
		const struct seed_def *seed = &server->seeds[i];

		if (!is_held_for_somebody(p->config, server, seed->event) || !is_held(p, seed->event))
			continue;
		plan->seeds = arena_grow(plan->mem, plan->seeds, plan->seed_cnt, &plan->seed_cap, sizeof(*plan->seeds));
		plan->seeds[plan->seed_cnt++] =
		    (struct plan_seed){seed, p->target, gauge_add(plan, p->config, server, seed->event)};
	}
	for (size_t i = 0; i < server->directory_cnt; i++) {
		const struct directory_def *directory = &server->directories[i];

		if (config_event_disabled(p->config, directory->event->name))
			continue;
		plan->directories = arena_grow(plan->mem, plan->directories, plan->directory_cnt, &plan->directory_cap,
					       sizeof(*plan->directories));
		plan->directories[plan->directory_cnt++] = (struct plan_directory){
		    directory, p->target, series_of_directory(plan, p->config, server, directory)};
	}
}

static void set_end(struct planner *p, struct plan_gauge *gauge, const struct plan_spec *end,
		    const struct probe_def *probe)
{
	const struct event_def *event;

	gauge->end = *end;
	gauge->end_event_cnt = 0;
	for (size_t i = 0; (event = row_moves(p, probe, i)); i++) {
		gauge->end_events = arena_grow(p->plan->mem, gauge->end_events, gauge->end_event_cnt,
					       &gauge->end_event_cap, sizeof(*gauge->end_events));
		gauge->end_events[gauge->end_event_cnt++] = event;
	}
}

/* plan_exits - what the end of processes means that hold something */
static void plan_exits(struct planner *p)
{
	const struct server_def *server = p->target->server;
	char err[256] = "";
	struct lowering low = {
	    .plan = p->plan,
	    .config = p->config,
	    .server = server,
	    .slot_is_live = p->slot_is_live,
	    .server_index = p->server_index,
	    .err = err,
	};

	for (size_t i = 0; i < server->probe_cnt; i++) {
		const struct probe_def *probe = &server->probes[i];
		struct plan_spec end;

		if (probe->where != WHERE_EXIT || !p->row_is_useful[i])
			continue;
		if (!is_held(p, probe->held))
			add_row_misses(p, probe, WHY_UNRESOLVED, "",
				       "no place is known where a process begins to hold it");
		else if (lower_exit(&end, &low, probe))
			add_row_misses(p, probe, WHY_UNRESOLVED, "", err);
		else
			set_end(p, &p->plan->gauges[gauge_add(p->plan, p->config, server, probe->held)], &end, probe);
	}
}

static void plan_target(struct planner *p, const struct target *target)
{
	const struct server_def *server = target->server;
	struct arena *mem = p->plan->mem;

	p->target = target;
	p->server_index = 0;
	while (p->catalog->servers[p->server_index] != server)
		p->server_index++;
	p->slot_is_live = arena_array(mem, server->slot_cnt, sizeof(bool));
	p->row_is_useful = arena_array(mem, server->probe_cnt, sizeof(bool));
	p->rows = arena_array(mem, server->probe_cnt, sizeof(*p->rows));
	find_useful(p);
	for (size_t i = 0; i < server->probe_cnt; i++)
		if (p->rows[i] == ROW_UNSEEN)
			plan_row(p, &server->probes[i]);
	plan_gauges(p);
	plan_exits(p);
	for (size_t i = 0; i < server->event_cnt; i++)
		if (config_event_disabled(p->config, server->events[i]->name))
			add_miss(p, NULL, server->events[i], WHY_DISABLED, "", "disabled in the configuration");
}

/* ---- the finished plan */

static bool is_counted(const struct plan *plan, const struct plan_miss *miss)
{
	for (size_t i = 0; i < plan->file_cnt; i++)
		for (size_t k = 0; k < plan->files[i].point_cnt; k++)
			for (size_t n = 0; n < plan->files[i].points[k].event_cnt; n++)
				if (plan->files[i].server == miss->server &&
				    plan->files[i].points[k].events[n] == miss->event)
					return true;
	return false;
}

static int compare_points(const void *a, const void *b)
{
	const struct plan_point *x = a, *y = b;

	if (x->is_return != y->is_return)
		return x->is_return ? 1 : -1;
	return x->site.offset < y->site.offset ? -1 : x->site.offset > y->site.offset;
}

static int compare_events(const void *a, const void *b)
{
	const struct event_def *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int compare_misses(const void *a, const void *b)
{
	const struct plan_miss *x = a, *y = b;
	int order = strcmp(x->server->name, y->server->name);

	if (!order)
		order = strcmp(x->event->name, y->event->name);
	return order ? order : strcmp(x->file, y->file);
}

static void sort_array(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	if (count)
		qsort(items, count, size, compare);
}

static void finish(struct plan *plan)
{
	for (size_t i = 0; i < plan->file_cnt; i++) {
		struct plan_file *file = &plan->files[i];

		for (size_t k = 0; k < file->point_cnt; k++)
			sort_array(file->points[k].events, file->points[k].event_cnt, sizeof(struct event_def *),
				   compare_events);
		sort_array(file->points, file->point_cnt, sizeof(*file->points), compare_points);
	}
	for (size_t i = 0; i < plan->miss_cnt; i++)
		plan->misses[i].is_partial = plan->misses[i].why != WHY_DISABLED && is_counted(plan, &plan->misses[i]);
	sort_array(plan->misses, plan->miss_cnt, sizeof(*plan->misses), compare_misses);
}

int plan_build(struct plan **out, const struct config *config, const struct catalog *catalog,
	       const struct target_scan *scan, char err[static 256])
{
	struct arena *mem = arena_new();
	struct plan *plan = arena_alloc(mem, sizeof(*plan));
	struct planner p = {
	    .plan = plan, .config = config, .catalog = catalog, .calls_are_fatal = scan->calls_are_fatal};

	plan->mem = mem;
	for (size_t i = 0; i < scan->target_cnt; i++)
		plan_target(&p, &scan->targets[i]);
	for (size_t i = 0; p.drafts && i < plan->file_cnt; i++) {
		if (p.drafts[i].source.elf)
			plan->files[i].build_id = arena_strdup(mem, elf_build_id(p.drafts[i].source.elf));
		source_close(&p.drafts[i].source);
	}
	if (plan_count_cells(plan) > PROBE_SERIES - PROBE_OWN_SERIES) {
		snprintf(err, 256, "the catalog asks for %zu cells of counters, more than %d", plan_count_cells(plan),
			 PROBE_SERIES - PROBE_OWN_SERIES);
		plan_free(&plan);
		return -E2BIG;
	}
	finish(plan);
	*out = plan;
	return 0;
}

void plan_free(struct plan **plan)
{
	struct arena *mem;

	if (!*plan)
		return;
	mem = (*plan)->mem; /* which the plan itself lives in */
	*plan = NULL;
	arena_free(&mem);
}

size_t plan_count_cells(const struct plan *plan)
{
	size_t cells = 0;

	for (size_t i = 0; i < plan->series_cnt; i++)
		cells += plan->series[i].cell_cnt;
	return cells;
}

size_t plan_count_series(const struct plan *plan)
{
	size_t series = 0;

	for (size_t i = 0; i < plan->gauge_cnt; i++)
		series += !plan->gauges[i].is_disabled;

	for (size_t i = 0; i < plan->series_cnt; i++)
		series += plan->series[i].cell_cnt / plan->series[i].event_cells;
	return series;
}

static bool is_file_of(const struct target *target, const struct plan_file *file)
{
	if (file->server != target->server)
		return false;
	for (size_t i = 0; i < target->file_cnt; i++)
		if (target_same_file(&target->files[i], file->file))
			return true;
	return false;
}

size_t plan_count_points(const struct plan *plan, const struct target *target, size_t *emulated)
{
	size_t points = 0;

	*emulated = 0;
	for (size_t i = 0; i < plan->file_cnt; i++) {
		const struct plan_file *file = &plan->files[i];

		if (!is_file_of(target, file))
			continue;
		points += file->point_cnt;
		for (size_t k = 0; k < file->point_cnt; k++)
			*emulated += file->points[k].site.cost == INSN_EMULATED;
	}
	return points;
}
