/* SPDX-License-Identifier: Apache-2.0 */
/* probe_set.h - owns everything that is in the kernel: the loaded BPF object, its maps, the links. The only door to
 * BPF for the rest of the program. It executes plans and reads counters; it decides nothing about servers.
 *
 * Life: probe_set_open -> probe_set_apply (again whenever the plan changes) -> probe_set_snapshot ... ->
 * probe_set_close. All functions may be called from any thread: one lock guards the set. */
#ifndef MAILGAUGE_PROBE_SET_H
#define MAILGAUGE_PROBE_SET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan/plan.h"
#include "snapshot/snapshot.h"

struct probe_set;

/* How probes are attached. */
enum probe_method {
	METHOD_AUTO,  /* MULTI where the kernel has it, else PERF */
	METHOD_MULTI, /* one uprobe_multi link per file and kind: Linux 6.6 */
	METHOD_PERF   /* one perf event per probe */
};

struct probe_options {
	enum probe_method method;
	pid_t scope_pid;       /* count only this process and its descendants; 0: everybody */
	uint32_t scope_pid_ns; /* or all processes of this pid namespace (its inode number); 0: everybody */
	/* So long a file stays attached that the plan no longer has: a server that is stopped is mostly started again,
	 * and what it does before the next look would be lost. Costs nothing while nobody runs the file. */
	uint64_t linger_ms;
};

/* probe_kernel_has_multi - can the running kernel make uprobe_multi links? */
bool probe_kernel_has_multi(void);

/* probe_set_open - load the BPF object. 0 or -errno with a reason in err. */
int probe_set_open(struct probe_set **out, const struct probe_options *options, char err[static 256]);
/* probe_set_close - detach everything; accepts NULL, sets *set to NULL */
void probe_set_close(struct probe_set **set);

/* probe_set_apply - make the attached probes those of the plan. Files that are attached as the plan wants them are
 * left alone; series keep their values, also those that the plan no longer has. A probe that cannot be attached is
 * reported by log and by the metric mailgauge_probe_attached, and costs the others nothing.
 * 0, or -errno with a reason in err when the plan does not fit into the maps: then nothing has changed. */
int probe_set_apply(struct probe_set *set, const struct plan *plan, char err[static 256]);

/* probe_set_release - detach files that the plan has not had for linger_ms, or all that it does not have */
void probe_set_release(struct probe_set *set, bool at_once);

/* probe_set_hold - what a process holds of a gauge (a key of struct plan_gauge) that it took before its probes were
 * there. Does nothing if a probe has seen this process already: then the BPF side knows better. 0 or -errno. */
int probe_set_hold(struct probe_set *set, const char *gauge_key, pid_t pid, uint32_t count);
/* probe_set_moved - sum of all that rules have added to a gauge (a series that is_level) since counting began.
 * 0, or -ENOENT if there is no such series. */
int probe_set_moved(struct probe_set *set, const char *series_key, int64_t *moved);
/* probe_set_level - from now on the gauge is `base` plus what moved; is_known false: it cannot be told, and is not
 * exported. A gauge is not exported before its first level. */
void probe_set_level(struct probe_set *set, const char *series_key, int64_t base, bool is_known);

/* probe_set_snapshot - all metrics now */
int probe_set_snapshot(struct probe_set *set, struct snapshot **out);

struct probe_status {
	enum probe_method method; /* MULTI or PERF */
	size_t attached, failed;  /* probes */
	size_t files;
};
void probe_set_status(struct probe_set *set, struct probe_status *out);

#endif
