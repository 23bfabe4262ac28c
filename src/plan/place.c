/* SPDX-License-Identifier: Apache-2.0 */
/* place.c - owns the putting of rows into the plan's files: which points and specs a row becomes, and how rows at one
 * place share it. It knows nothing of servers, processes, or why a row is wanted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "plan/parts.h"

struct draft *draft_of(struct planner *p, const struct target_file *file)
{
	struct plan *plan = p->plan;
	const struct server_def *server = p->target->server;
	struct draft *draft;

	for (size_t i = 0; i < plan->file_cnt; i++) {
		struct plan_file *old = &plan->files[i];

		if (old->server != server || !target_same_file(old->file, file))
			continue;
		if (!old->file->mapped_by) /* the view of who has it in memory can show whether breakpoints are there */
			old->file = file;
		return &p->drafts[i];
	}
	p->drafts = arena_grow(plan->mem, p->drafts, plan->file_cnt, &p->draft_cap, sizeof(*p->drafts));
	draft = &p->drafts[plan->file_cnt];
	plan->files = arena_grow(plan->mem, plan->files, plan->file_cnt, &plan->file_cap, sizeof(*plan->files));
	plan->files[plan->file_cnt++] = (struct plan_file){.server = server, .file = file, .build_id = ""};
	draft->source = (struct source){.file = file};
	draft->done = arena_array(plan->mem, server->probe_cnt, sizeof(bool));
	draft->found = arena_array(plan->mem, server->probe_cnt, sizeof(bool));
	return draft;
}

static struct plan_file *draft_file(const struct planner *p, const struct draft *draft)
{
	return &p->plan->files[draft - p->drafts];
}

static uint16_t add_spec(struct planner *p, struct draft *draft, const struct plan_spec *spec)
{
	struct plan_file *file = draft_file(p, draft);

	file->specs = arena_grow(p->plan->mem, file->specs, file->spec_cnt, &draft->spec_cap, sizeof(*spec));
	file->specs[file->spec_cnt] = *spec;
	return (uint16_t)file->spec_cnt++;
}

/* chain_append - put a spec at the end of the chain that begins at `first` */
static int chain_append(struct plan_file *file, uint16_t first, uint16_t spec)
{
	int len = 1;

	while (file->specs[first].spec.next != PROBE_NONE) {
		first = file->specs[first].spec.next;
		len++;
	}
	if (len >= PROBE_CHAIN)
		return -E2BIG;
	file->specs[first].spec.next = spec;
	return 0;
}

static struct plan_point *find_point(struct plan_file *file, const struct spot *spot)
{
	for (size_t i = 0; i < file->point_cnt; i++)
		if (file->points[i].site.offset == spot->site.offset && file->points[i].is_return == spot->is_return)
			return &file->points[i];
	return NULL;
}

static struct plan_point *add_point(struct planner *p, struct draft *draft, const struct spot *spot, uint16_t spec)
{
	struct plan_file *file = draft_file(p, draft);

	file->points =
	    arena_grow(p->plan->mem, file->points, file->point_cnt, &draft->point_cap, sizeof(*file->points));
	file->points[file->point_cnt] =
	    (struct plan_point){.site = spot->site, .is_return = spot->is_return, .spec = spec};
	return &file->points[file->point_cnt++];
}

static void add_case(struct planner *p, struct plan_spec *head, uint64_t value, uint16_t spec)
{
	struct plan_case *grown = arena_array(p->plan->mem, head->case_cnt + 1, sizeof(*grown));

	if (head->case_cnt)
		memcpy(grown, head->cases, head->case_cnt * sizeof(*grown));
	grown[head->case_cnt] = (struct plan_case){value, spec};
	head->cases = grown;
	head->case_cnt++;
}

/* place_case - make the row a case of the switch at this point; the switch comes first in a point's chain */
static int place_case(struct planner *p, struct draft *draft, struct lowering *low, const struct probe_def *probe,
		      const struct spots *spots, const struct spot *spot, struct plan_point **point)
{
	struct plan_file *file = draft_file(p, draft);
	uint64_t value = text_hash(probe->select_text);
	struct plan_spec spec;
	uint16_t head, index;
	int ret;

	if (!*point || !file->specs[(*point)->spec].spec.is_switch) {
		ret = lower_switch(&spec, low, probe, spot);
		if (ret)
			return ret;
		head = add_spec(p, draft, &spec);
		if (*point) {
			file->specs[head].spec.next = (*point)->spec;
			(*point)->spec = head;
		} else {
			*point = add_point(p, draft, spot, head);
		}
	}
	head = (*point)->spec;
	ret = lower(&spec, low, probe, spots, spot, &file->specs[head]);
	if (ret)
		return ret;
	index = add_spec(p, draft, &spec);
	for (size_t i = 0; i < file->specs[head].case_cnt; i++)
		if (file->specs[head].cases[i].value == value)
			return chain_append(file, file->specs[head].cases[i].spec, index);
	add_case(p, &file->specs[head], value, index);
	return 0;
}

static int place_plain(struct planner *p, struct draft *draft, struct lowering *low, const struct probe_def *probe,
		       const struct spots *spots, const struct spot *spot, struct plan_point **point)
{
	struct plan_spec spec;
	uint16_t index;
	int ret = lower(&spec, low, probe, spots, spot, NULL);

	if (ret)
		return ret;
	index = add_spec(p, draft, &spec);
	if (*point)
		return chain_append(draft_file(p, draft), (*point)->spec, index);
	*point = add_point(p, draft, spot, index);
	return 0;
}

static void add_point_event(struct planner *p, struct plan_point *point, const struct event_def *event)
{
	for (size_t i = 0; i < point->event_cnt; i++)
		if (point->events[i] == event)
			return;
	point->events =
	    arena_grow(p->plan->mem, point->events, point->event_cnt, &point->event_cap, sizeof(*point->events));
	point->events[point->event_cnt++] = event;
}

static void add_point_events(struct planner *p, struct plan_point *point, const struct probe_def *probe)
{
	const struct event_def *event;

	for (size_t i = 0; (event = row_moves(p, probe, i)); i++)
		add_point_event(p, point, event);
}

/* refuse_calls - no probe may be at a call: this kernel would kill a server that has a shadow stack */
static int refuse_calls(const struct spots *spots, char err[static 256])
{
	const unsigned char call = 0xe8; /* call rel32, x86-64 */

	for (size_t i = 0; i < spots->count; i++)
		if (spots->items[i].site.bytes[0] == call) {
			snprintf(err, 256,
				 "a probe at a call would kill processes with a shadow stack on a kernel before 6.18");
			return -EOPNOTSUPP;
		}
	return 0;
}

int place_row(struct planner *p, struct draft *draft, const struct probe_def *probe, bool *placed, char err[static 256])
{
	struct lowering low = {
	    .plan = p->plan,
	    .config = p->config,
	    .server = p->target->server,
	    .slot_is_live = p->slot_is_live,
	    .server_index = p->server_index,
	    .source = &draft->source,
	    .err = err,
	};
	struct spots spots;
	int ret = resolve(&spots, probe, &draft->source, p->plan->mem, err);

	if (!ret && p->calls_are_fatal)
		ret = refuse_calls(&spots, err);
	for (size_t i = 0; i < spots.count && !ret; i++) {
		struct plan_point *point = find_point(draft_file(p, draft), &spots.items[i]);

		if (probe->select >= 0)
			ret = place_case(p, draft, &low, probe, &spots, &spots.items[i], &point);
		else
			ret = place_plain(p, draft, &low, probe, &spots, &spots.items[i], &point);
		if (ret == -E2BIG && !err[0])
			snprintf(err, 256, "too many rows at one place");
		if (!ret) {
			add_point_events(p, point, probe);
			*placed = true;
		}
	}
	return ret;
}
