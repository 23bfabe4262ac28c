/* SPDX-License-Identifier: Apache-2.0 */
/* series.c - owns the numbering of what is counted: the blocks of cells, and the tables shared by all files that say
 * which cell a looked-up label, a choice or an observed value means. It knows nothing of files and places. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "plan/parts.h"

/* ---- blocks */

static bool has_event(const struct plan_series *series, const struct event_def *event)
{
	for (size_t i = 0; i < series->event_cnt; i++)
		if (series->events[i] == event)
			return true;
	return false;
}

static void add_events(struct arena *mem, struct plan_series *series, const struct config *config,
		       const struct act_def *act)
{
	bool *disabled;
	size_t count = 0;

	while (act_event(act, count))
		count++;
	series->events = arena_array(mem, count, sizeof(*series->events));
	for (size_t i = 0; i < count; i++)
		if (!has_event(series, act_event(act, i)))
			series->events[series->event_cnt++] = act_event(act, i);
	disabled = arena_array(mem, series->event_cnt, sizeof(*disabled));
	for (size_t i = 0; i < series->event_cnt; i++)
		disabled[i] = config_event_disabled(config, series->events[i]->name);
	series->disabled = disabled;
}

static void add_sets(struct arena *mem, struct plan_series *series, const struct act_def *act)
{
	series->sets = arena_array(mem, act->dim_cnt, sizeof(*series->sets));
	series->set_cnt = act->dim_cnt;
	for (size_t i = 0; i < act->dim_cnt; i++)
		series->sets[i] = act->dims[i].set;
}

static char *series_key(struct arena *mem, const struct plan_series *series, const struct choice_def *choice)
{
	char *key = arena_printf(mem, "%s %s", series->server->name, choice ? choice->name : series->events[0]->name);

	for (size_t i = 0; i < series->label_cnt; i++)
		key = arena_printf(mem, "%s %s=%s", key, series->labels[i].name, series->labels[i].value);
	for (size_t i = 0; i < series->set_cnt; i++)
		key = arena_printf(mem, "%s %s", key, series->sets[i]->name);
	return key;
}

uint32_t series_stride(const struct plan_series *series, int dim)
{
	uint32_t stride = series->event_cells;

	for (size_t i = (size_t)(dim + 1); i < series->set_cnt; i++)
		stride *= (uint32_t)series->sets[i]->value_cnt;
	return stride;
}

/* push_series - index of the block with this key, which is added if there is none */
static uint32_t push_series(struct plan *plan, struct plan_series *series)
{
	const struct event_def *event = series->events[0];

	for (size_t i = 0; i < plan->series_cnt; i++)
		if (!strcmp(plan->series[i].key, series->key))
			return (uint32_t)i;
	series->event_cells = event->kind == EVENT_HISTOGRAM ? (uint32_t)event->bound_cnt + 2 : 1;
	series->cell_cnt = series_stride(series, -1) * (uint32_t)series->event_cnt;
	plan->series = arena_grow(plan->mem, plan->series, plan->series_cnt, &plan->series_cap, sizeof(*plan->series));
	plan->series[plan->series_cnt] = *series;
	return (uint32_t)plan->series_cnt++;
}

uint32_t series_add(struct plan *plan, const struct config *config, const struct server_def *server,
		    const struct act_def *act)
{
	struct plan_series series = {
	    .server = server,
	    .labels = act->labels,
	    .label_cnt = act->label_cnt,
	    .is_level = act->kind == ACT_ADD,
	};

	add_events(plan->mem, &series, config, act);
	add_sets(plan->mem, &series, act);
	series.key = series_key(plan->mem, &series, act->choice);
	return push_series(plan, &series);
}

uint32_t series_of_directory(struct plan *plan, const struct config *config, const struct server_def *server,
			     const struct directory_def *directory)
{
	const struct act_def act = {
	    .kind = ACT_ADD,
	    .event = directory->event,
	    .labels = directory->labels,
	    .label_cnt = directory->label_cnt,
	};

	return series_add(plan, config, server, &act);
}

/* ---- tables */

uint32_t gauge_add(struct plan *plan, const struct config *config, const struct server_def *server,
		   const struct event_def *event)
{
	for (size_t i = 0; i < plan->gauge_cnt; i++)
		if (plan->gauges[i].server == server && plan->gauges[i].event == event)
			return (uint32_t)i;
	plan->gauges = arena_grow(plan->mem, plan->gauges, plan->gauge_cnt, &plan->gauge_cap, sizeof(*plan->gauges));
	plan->gauges[plan->gauge_cnt] = (struct plan_gauge){
	    .event = event,
	    .server = server,
	    .is_disabled = config_event_disabled(config, event->name),
	    .key = arena_printf(plan->mem, "%s %s", server->name, event->name),
	};
	return (uint32_t)plan->gauge_cnt++;
}

uint32_t bounds_add(struct plan *plan, const struct event_def *event)
{
	struct probe_bounds bounds = {.cnt = (__u32)event->bound_cnt};

	/* Whole numbers are observed: what is not above 2.5 is not above 2. Of a time 0.3 s must be 300 ms, although
	 * its double is a little less. */
	const double round_by = event_scale(event) > 1 ? 0.5 : 0;

	for (size_t i = 0; i < event->bound_cnt && i < PROBE_BUCKETS; i++)
		bounds.upper[i] = (__u64)(event->bounds[i] * event_scale(event) + round_by);
	for (size_t i = 0; i < plan->bounds_cnt; i++)
		if (!memcmp(&plan->bounds[i], &bounds, sizeof(bounds)))
			return (uint32_t)i;
	plan->bounds = arena_grow(plan->mem, plan->bounds, plan->bounds_cnt, &plan->bounds_cap, sizeof(bounds));
	plan->bounds[plan->bounds_cnt] = bounds;
	return (uint32_t)plan->bounds_cnt++;
}

static int compare_classes(const void *a, const void *b)
{
	const struct plan_class *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

static uint32_t push_classes(struct plan *plan, struct plan_classes *classes)
{
	if (classes->count)
		qsort(classes->items, classes->count, sizeof(*classes->items), compare_classes);
	for (size_t i = 0; i < plan->classes_cnt; i++)
		if (plan->classes[i].count == classes->count &&
		    !memcmp(plan->classes[i].items, classes->items, classes->count * sizeof(*classes->items)))
			return (uint32_t)i;
	plan->classes =
	    arena_grow(plan->mem, plan->classes, plan->classes_cnt, &plan->classes_cap, sizeof(*plan->classes));
	plan->classes[plan->classes_cnt] = *classes;
	return (uint32_t)plan->classes_cnt++;
}

uint32_t classes_of_set(struct plan *plan, const struct label_set *set)
{
	struct plan_classes classes = {.items = arena_array(plan->mem, set->text_cnt, sizeof(*classes.items))};

	for (size_t i = 0; i < set->text_cnt; i++)
		classes.items[classes.count++] =
		    (struct plan_class){text_hash(set->texts[i].text), (uint32_t)set->texts[i].value};
	return push_classes(plan, &classes);
}

uint32_t classes_of_choice(struct plan *plan, const struct config *config, const struct plan_series *series,
			   const struct choice_def *choice)
{
	struct plan_classes classes = {.items = arena_array(plan->mem, choice->text_cnt, sizeof(*classes.items))};

	for (size_t i = 0; i < choice->text_cnt; i++) {
		uint32_t number = 0;

		if (config_event_disabled(config, choice->texts[i].event->name))
			continue;
		while (series->events[number] != choice->texts[i].event)
			number++;
		classes.items[classes.count++] = (struct plan_class){text_hash(choice->texts[i].text), number};
	}
	return push_classes(plan, &classes);
}
