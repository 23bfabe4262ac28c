/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.c - owns the numbers that everything shared by files has in the BPF maps: series, texts, layouts, bounds,
 * tables of classes, gauges. Each is given once and never taken back, so that what is attached and what has been
 * counted stays valid over all later plans. What has the same content has the same number. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "probe/parts.h"

/* ---- series */

static void series_init(struct series_entry *entry, const struct plan_series *from, uint32_t first, struct arena *mem)
{
	*entry = (struct series_entry){
	    .key = arena_strdup(mem, from->key),
	    .events = arena_array(mem, from->event_cnt, sizeof(*entry->events)),
	    .is_shown = arena_array(mem, from->event_cnt, sizeof(*entry->is_shown)),
	    .event_cnt = from->event_cnt,
	    .sets = arena_array(mem, from->set_cnt, sizeof(*entry->sets)),
	    .set_cnt = from->set_cnt,
	    .labels = arena_array(mem, 1 + from->label_cnt + from->set_cnt, sizeof(*entry->labels)),
	    .label_cnt = 1 + from->label_cnt,
	    .first_cell = first,
	    .cell_cnt = from->cell_cnt,
	    .event_cells = from->event_cells,
	    .is_level = from->is_level,
	};
	memcpy(entry->events, from->events, from->event_cnt * sizeof(*entry->events));
	entry->labels[0] = (struct label){"server", arena_strdup(mem, from->server->name)};
	for (size_t i = 0; i < from->label_cnt; i++)
		entry->labels[1 + i] =
		    (struct label){arena_strdup(mem, from->labels[i].name), arena_strdup(mem, from->labels[i].value)};
	for (size_t i = 0; i < from->set_cnt; i++) {
		entry->sets[i] = from->sets[i];
		entry->labels[entry->label_cnt + i].name = from->sets[i]->name;
	}
}

struct series_entry *series_find(struct probe_set *set, const char *key)
{
	for (size_t i = 0; i < set->given.series; i++)
		if (!strcmp(set->series[i].key, key))
			return &set->series[i];
	return NULL;
}

/* series_cell - number of the first cell of this block, made if it is new; or -ENOSPC */
static int series_cell(struct probe_set *set, const struct plan_series *from)
{
	struct series_entry *entry = series_find(set, from->key);

	if (!entry) {
		if (from->cell_cnt > PROBE_SERIES - PROBE_OWN_SERIES - set->given.cells)
			return -ENOSPC;
		set->series =
		    arena_grow(set->mem, set->series, set->given.series, &set->series_cap, sizeof(*set->series));
		entry = &set->series[set->given.series++];
		series_init(entry, from, (uint32_t)(PROBE_OWN_SERIES + set->given.cells), set->mem);
		set->given.cells += from->cell_cnt;
	}
	for (size_t i = 0; i < from->event_cnt; i++)
		if (!from->disabled || !from->disabled[i])
			entry->is_shown[i] = true;
	return (int)entry->first_cell;
}

/* ---- what the operations name */

static int needle_number(struct probe_set *set, const char *text)
{
	__u32 key = (__u32)set->given.needles;

	for (size_t i = 0; i < set->given.needles; i++)
		if (!strcmp(set->needles[i], text))
			return (int)i;
	if (set->given.needles == PROBE_NEEDLES)
		return -ENOSPC;
	strncpy(set->needles[key], text, PROBE_NEEDLE - 1);
	if (bpf_map_update_elem(set->needles_fd, &key, set->needles[key], BPF_ANY))
		return -errno;
	return (int)set->given.needles++;
}

static int layout_number(struct probe_set *set, const struct probe_layout *layout)
{
	__u32 key = (__u32)set->given.layouts;

	for (size_t i = 0; i < set->given.layouts; i++)
		if (!memcmp(&set->layouts[i], layout, sizeof(*layout)))
			return (int)i;
	if (set->given.layouts == PROBE_LAYOUTS)
		return -ENOSPC;
	set->layouts[key] = *layout;
	if (bpf_map_update_elem(set->layouts_fd, &key, layout, BPF_ANY))
		return -errno;
	return (int)set->given.layouts++;
}

static int bounds_number(struct probe_set *set, const struct probe_bounds *bounds)
{
	__u32 key = (__u32)set->given.bounds;

	for (size_t i = 0; i < set->given.bounds; i++)
		if (!memcmp(&set->bounds[i], bounds, sizeof(*bounds)))
			return (int)i;
	if (set->given.bounds == PROBE_BOUNDS)
		return -ENOSPC;
	set->bounds[key] = *bounds;
	if (bpf_map_update_elem(set->bounds_fd, &key, bounds, BPF_ANY))
		return -errno;
	return (int)set->given.bounds++;
}

static void forget_classes(struct probe_set *set, size_t table)
{
	for (size_t i = 0; i < set->classes[table].count; i++) {
		const struct probe_class_key key = {
		    .value = set->classes[table].items[i].value,
		    .table = (__u32)table,
		};

		bpf_map_delete_elem(set->classes_fd, &key);
	}
}

static int write_classes(struct probe_set *set, size_t table)
{
	const struct plan_classes *classes = &set->classes[table];

	for (size_t i = 0; i < classes->count; i++) {
		const struct probe_class_key key = {.value = classes->items[i].value, .table = (__u32)table};

		if (bpf_map_update_elem(set->classes_fd, &key, &classes->items[i].number, BPF_ANY)) {
			int ret = -errno;

			forget_classes(set, table);
			return ret == -E2BIG ? -ENOSPC : ret;
		}
	}
	return 0;
}

static bool same_classes(const struct plan_classes *a, const struct plan_classes *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (a->items[i].value != b->items[i].value || a->items[i].number != b->items[i].number)
			return false;
	return true;
}

static int classes_number(struct probe_set *set, const struct plan_classes *classes)
{
	const size_t table = set->given.classes;
	struct plan_classes *copy = &set->classes[table];
	int ret;

	for (size_t i = 0; i < table; i++)
		if (same_classes(&set->classes[i], classes))
			return (int)i;
	if (table == CLASS_TABLES)
		return -ENOSPC;
	*copy = (struct plan_classes){
	    .items = arena_array(set->mem, classes->count, sizeof(*copy->items)),
	    .count = classes->count,
	};
	for (size_t i = 0; i < classes->count; i++)
		copy->items[i] = classes->items[i];
	ret = write_classes(set, table);
	if (ret)
		return ret;
	return (int)set->given.classes++;
}

static int gauge_number(struct probe_set *set, const struct plan_gauge *gauge)
{
	size_t number = 0;

	while (number < set->given.gauges && strcmp(set->gauges[number].key, gauge->key) != 0)
		number++;
	if (number == PROBE_GAUGES)
		return -ENOSPC;
	if (number == set->given.gauges) {
		set->gauges[number] = (struct gauge_entry){
		    .key = arena_strdup(set->mem, gauge->key),
		    .event = gauge->event,
		    .server = arena_strdup(set->mem, gauge->server->name),
		};
		set->given.gauges++;
	}
	set->gauges[number].is_shown = set->gauges[number].is_shown || !gauge->is_disabled;
	return (int)number;
}

/* ---- all of a plan */

/* Number `i` of one of the plan's tables: its number in the map, or -errno. */
typedef int (*number_fn)(struct probe_set *set, const struct plan *plan, size_t i);

static int give_series(struct probe_set *set, const struct plan *plan, size_t i)
{
	return series_cell(set, &plan->series[i]);
}

static int give_needle(struct probe_set *set, const struct plan *plan, size_t i)
{
	return needle_number(set, plan->needles[i]);
}

static int give_layout(struct probe_set *set, const struct plan *plan, size_t i)
{
	return layout_number(set, &plan->layouts[i]);
}

static int give_bounds(struct probe_set *set, const struct plan *plan, size_t i)
{
	return bounds_number(set, &plan->bounds[i]);
}

static int give_classes(struct probe_set *set, const struct plan *plan, size_t i)
{
	return classes_number(set, &plan->classes[i]);
}

static int give_gauge(struct probe_set *set, const struct plan *plan, size_t i)
{
	return gauge_number(set, &plan->gauges[i]);
}

int numbers_give(struct numbers *out, struct probe_set *set, const struct plan *plan, struct arena *mem,
		 char err[static 256])
{
	const struct {
		const char *what;
		size_t count;
		uint32_t **numbers;
		number_fn give;
	} tables[] = {
	    {"series", plan->series_cnt, &out->series, give_series},
	    {"texts to search for", plan->needle_cnt, &out->needles, give_needle},
	    {"layouts", plan->layout_cnt, &out->layouts, give_layout},
	    {"bounds of histograms", plan->bounds_cnt, &out->bounds, give_bounds},
	    {"texts of labels and choices", plan->classes_cnt, &out->classes, give_classes},
	    {"gauges", plan->gauge_cnt, &out->gauges, give_gauge},
	};

	for (size_t t = 0; t < sizeof(tables) / sizeof(*tables); t++) {
		*tables[t].numbers = arena_array(mem, tables[t].count, sizeof(uint32_t));
		for (size_t i = 0; i < tables[t].count; i++) {
			int number = tables[t].give(set, plan, i);

			if (number < 0) {
				snprintf(err, 256, "no room left for %s: %s", tables[t].what, strerror(-number));
				return number;
			}
			(*tables[t].numbers)[i] = (uint32_t)number;
		}
	}
	return 0;
}

void numbers_take_back(struct probe_set *set, const struct given *given)
{
	for (size_t table = given->classes; table < set->given.classes; table++)
		forget_classes(set, table);
	set->given = *given;
}
