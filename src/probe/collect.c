/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c - owns the reading of metrics: from the mapped rows of all CPUs to a snapshot. It takes no system call but
 * for what processes hold. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "probe/parts.h"

/* A block with more combinations of looked-up labels than this shows only those that are not 0. All of them, from a
 * thousand hosts, would be a burden to whoever collects them, and most never happen. The first combination is always
 * there, so that an event that did not happen can be told from one that is not counted; and once a counter is shown it
 * stays, for it does not go back to 0. */
#define COMBINATIONS_SHOWN 64

/* read_cell - the sum over all CPUs; of a gauge it is two's complement */
static uint64_t read_cell(const struct probe_set *set, unsigned cell)
{
	uint64_t sum = 0;

	for (unsigned cpu = 0; cpu < set->cpu_cnt; cpu++)
		sum += __atomic_load_n(&set->counters[(size_t)cpu * PROBE_SERIES + cell], __ATOMIC_RELAXED);
	return sum;
}

static bool is_zero(const struct probe_set *set, const struct series_entry *entry, uint32_t cell)
{
	for (uint32_t i = 0; i < entry->event_cells; i++)
		if (read_cell(set, cell + i))
			return false;
	return true;
}

/* ---- events */

static void fill_histogram(struct sample *sample, const struct probe_set *set, const struct event_def *event,
			   uint32_t cell)
{
	const uint32_t buckets = (uint32_t)event->bound_cnt + 1;

	for (uint32_t i = 0; i < buckets; i++)
		sample->histogram.buckets[i] = read_cell(set, cell + i);
	sample->histogram.sum = (double)read_cell(set, cell + buckets) / event_scale(event);
}

static void fill(struct sample *sample, const struct probe_set *set, const struct series_entry *entry,
		 const struct event_def *event, uint32_t cell)
{
	switch (event->kind) {
	case EVENT_COUNTER:
		sample->counter = read_cell(set, cell);
		break;
	case EVENT_GAUGE:
		sample->gauge = (double)(entry->base + (int64_t)read_cell(set, cell));
		break;
	case EVENT_HISTOGRAM:
		fill_histogram(sample, set, event, cell);
		break;
	}
}

/* set_labels - the values of the looked-up labels in combination number `n`; the last one changes fastest */
static void set_labels(struct series_entry *entry, uint32_t n)
{
	for (size_t i = entry->set_cnt; i-- > 0;) {
		const struct label_set *labels = entry->sets[i];

		entry->labels[entry->label_cnt + i].value = labels->values[n % labels->value_cnt];
		n /= (uint32_t)labels->value_cnt;
	}
}

static struct family *family_of(struct snapshot *snap, const struct event_def *event)
{
	if (event->kind == EVENT_HISTOGRAM)
		return snapshot_histogram(snap, SCOPE_EVENT, event->name, event->unit, event->help, event->bounds,
					  event->bound_cnt);
	return snapshot_family(snap, SCOPE_EVENT, event->kind == EVENT_GAUGE ? METRIC_GAUGE : METRIC_COUNTER,
			       event->name, event->unit, event->help);
}

/* add_event - all samples of one event of a block, whose cells begin at `cell` */
static void add_event(struct probe_set *set, struct snapshot *snap, struct series_entry *entry,
		      const struct event_def *event, uint32_t cell)
{
	const uint32_t combinations = entry->cell_cnt / (uint32_t)entry->event_cnt / entry->event_cells;
	struct family *family = family_of(snap, event);

	for (uint32_t n = 0; n < combinations; n++, cell += entry->event_cells) {
		if (n && combinations > COMBINATIONS_SHOWN && is_zero(set, entry, cell))
			continue;
		set_labels(entry, n);
		fill(snapshot_sample(snap, family, entry->labels, entry->label_cnt + entry->set_cnt), set, entry, event,
		     cell);
	}
}

static void add_events(struct probe_set *set, struct snapshot *snap)
{
	for (size_t i = 0; i < set->given.series; i++) {
		struct series_entry *entry = &set->series[i];
		const uint32_t cells = entry->cell_cnt / (uint32_t)entry->event_cnt;

		if (entry->is_level && !entry->is_known)
			continue;
		for (uint32_t n = 0; n < entry->event_cnt; n++)
			if (entry->is_shown[n])
				add_event(set, snap, entry, entry->events[n], entry->first_cell + n * cells);
	}
}

/* add_held - gauges of what processes hold */
static int add_held(struct probe_set *set, struct snapshot *snap)
{
	uint64_t sums[PROBE_GAUGES];
	int ret = set->given.gauges ? held_read(set, sums) : 0;

	for (size_t i = 0; i < set->given.gauges && !ret; i++) {
		const struct label label = {"server", set->gauges[i].server};

		if (!set->gauges[i].is_shown)
			continue;
		snapshot_sample(snap, family_of(snap, set->gauges[i].event), &label, 1)->gauge = (double)sums[i];
	}
	return ret;
}

int probe_set_moved(struct probe_set *set, const char *series_key, int64_t *moved)
{
	const struct series_entry *entry;
	uint64_t sum = 0;

	pthread_mutex_lock(&set->lock);
	entry = series_find(set, series_key);
	for (uint32_t i = 0; entry && i < entry->cell_cnt; i++)
		sum += read_cell(set, entry->first_cell + i);
	pthread_mutex_unlock(&set->lock);
	*moved = (int64_t)sum;
	return entry ? 0 : -ENOENT;
}

void probe_set_level(struct probe_set *set, const char *series_key, int64_t base, bool is_known)
{
	struct series_entry *entry;

	pthread_mutex_lock(&set->lock);
	entry = series_find(set, series_key);
	if (entry) {
		entry->base = base;
		entry->is_known = is_known;
	}
	pthread_mutex_unlock(&set->lock);
}

/* ---- the collector's own */

/* add_attached - mailgauge_probe_attached{server,event,site}: how many breakpoints are there (files with equal
 * content are added up), 0 where one is missing */
static void add_attached(struct probe_set *set, struct snapshot *snap)
{
	struct family *family = snapshot_family(snap, SCOPE_SELF, METRIC_GAUGE, "mailgauge.probe.attached", "{probe}",
						"Breakpoints in place for an event, by server and site.");

	for (size_t i = 0; i < set->file_cnt; i++) {
		const struct file_entry *file = set->files[i];
		const char *base = strrchr(file->file.path, '/');

		for (size_t k = 0; k < file->point_cnt; k++) {
			const struct point_entry *point = &file->points[k];
			const char *site =
			    arena_printf(snap->mem, "%s+0x%llx%s", base ? base + 1 : file->file.path,
					 (unsigned long long)point->offset, point->is_return ? " return" : "");

			for (size_t n = 0; n < point->event_cnt; n++) {
				const struct label labels[] = {
				    {"event", point->events[n]}, {"server", file->server}, {"site", site}};

				snapshot_sample(snap, family, labels, 3)->gauge = point->is_attached;
			}
		}
	}
}

/* missed_hits - hits that the kernel did not give to the programs, because they were already running on that CPU */
static uint64_t missed_hits(const struct probe_set *set)
{
	const struct bpf_program *progs[] = {set->on_entry, set->on_return};
	uint64_t missed = 0;

	for (int i = 0; i < 2; i++) {
		struct bpf_prog_info info = {0};
		__u32 len = sizeof(info);

		if (!bpf_obj_get_info_by_fd(bpf_program__fd(progs[i]), &info, &len))
			missed += info.recursion_misses;
	}
	return missed;
}

static void add_counter(struct snapshot *snap, const char *name, const char *unit, const char *help, uint64_t value)
{
	struct family *family = snapshot_family(snap, SCOPE_SELF, METRIC_COUNTER, name, unit, help);

	snapshot_sample(snap, family, NULL, 0)->counter = value;
}

static void add_own(struct probe_set *set, struct snapshot *snap)
{
	add_counter(snap, "mailgauge.probe.hits", "{hit}", "Probe hits that were handled.",
		    read_cell(set, PROBE_OWN_HITS));
	add_counter(snap, "mailgauge.missed.hits", "{hit}", "Probe hits that the kernel did not hand over.",
		    missed_hits(set));
	add_counter(snap, "mailgauge.read.failures", "{failure}",
		    "Reads of a server's memory that failed, so that a hit may have been judged without a value.",
		    read_cell(set, PROBE_OWN_READ_FAILURES));
	add_counter(snap, "mailgauge.store.failures", "{failure}",
		    "Values that could not be remembered from one hit to a later one.",
		    read_cell(set, PROBE_OWN_STORE_FAILURES));
}

int probe_set_snapshot(struct probe_set *set, struct snapshot **out)
{
	struct snapshot *snap = snapshot_new(set->start_ns);
	int ret;

	pthread_mutex_lock(&set->lock);
	clock_refresh(set);
	add_events(set, snap);
	ret = add_held(set, snap);
	add_attached(set, snap);
	add_own(set, snap);
	pthread_mutex_unlock(&set->lock);
	if (ret)
		snapshot_free(&snap);
	*out = snap;
	return ret;
}
