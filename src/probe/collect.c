/* SPDX-License-Identifier: Apache-2.0 */
/* collect.c - owns the reading of counters: from the mapped rows of all CPUs to a snapshot, without a system call. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "probe/parts.h"

static uint64_t counter_read(const struct probe_set *set, unsigned column)
{
	uint64_t sum = 0;

	for (unsigned cpu = 0; cpu < set->cpu_cnt; cpu++)
		sum += __atomic_load_n(&set->counters[(size_t)cpu * PROBE_SERIES + column], __ATOMIC_RELAXED);
	return sum;
}

static void add_events(struct probe_set *set, struct snapshot *snap)
{
	for (size_t i = 0; i < set->series_cnt; i++) {
		const struct series_entry *entry = &set->series[i];
		struct family *family = snapshot_family(snap, SCOPE_EVENT, METRIC_COUNTER, entry->event->name,
							entry->event->unit, entry->event->help);

		snapshot_sample(snap, family, entry->labels, entry->label_cnt)->counter =
		    counter_read(set, PROBE_OWN_SERIES + (unsigned)i);
	}
}

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
		    counter_read(set, PROBE_OWN_HITS));
	add_counter(snap, "mailgauge.missed.hits", "{hit}", "Probe hits that the kernel did not hand over.",
		    missed_hits(set));
	add_counter(snap, "mailgauge.read.failures", "{failure}",
		    "Reads of a server's memory that failed, so that a hit may have been judged without a value.",
		    counter_read(set, PROBE_OWN_READ_FAILURES));
	add_counter(snap, "mailgauge.store.failures", "{failure}",
		    "Values that could not be remembered from one hit to a later one.",
		    counter_read(set, PROBE_OWN_STORE_FAILURES));
}

int probe_set_snapshot(struct probe_set *set, struct snapshot **out)
{
	struct snapshot *snap = snapshot_new(set->start_ns);

	pthread_mutex_lock(&set->lock);
	add_events(set, snap);
	add_attached(set, snap);
	add_own(set, snap);
	pthread_mutex_unlock(&set->lock);
	*out = snap;
	return 0;
}
