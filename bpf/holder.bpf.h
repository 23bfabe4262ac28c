/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* holder.bpf.h - what each process holds of the gauges. It knows no specs: a gauge is a number. */
#ifndef MAILGAUGE_HOLDER_BPF_H
#define MAILGAUGE_HOLDER_BPF_H

#define HELD_TRIES 64 /* each that fails is one of another thread of the process that succeeds */

/* Not preallocated: it would be 12 MB, for the some hundred processes of a mail server. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PROBE_HOLDERS);
	__type(key, __u32);
	__type(value, struct probe_holder);
} holders SEC(".maps");

static const struct probe_holder holds_nothing;

/* held_by - where it stands what the process holds of the gauge, made if it is not there; NULL: there is no room */
static __always_inline __u32 *held_by(__u32 tgid, __u32 gauge)
{
	struct probe_holder *holder = bpf_map_lookup_elem(&holders, &tgid);

	if (!holder) {
		/* Another thread may be quicker: then this one finds what that has made. */
		bpf_map_update_elem(&holders, &tgid, &holds_nothing, BPF_NOEXIST);
		holder = bpf_map_lookup_elem(&holders, &tgid);
	}
	return holder && gauge < PROBE_GAUGES ? &holder->held[gauge] : 0;
}

/* change_held - PROBE_DO_HOLD (`more`), PROBE_DO_RELEASE; 0, or -1 if there is no room for it */
__noinline int change_held(__u32 gauge, __u32 more)
{
	__u32 *held = held_by(bpf_get_current_pid_tgid() >> 32, gauge);

	if (!held)
		return -1;
	for (int i = 0; i < HELD_TRIES; i++) {
		__u32 old = *(volatile __u32 *)held, changed = old | PROBE_HELD_SEEN;

		if (more)
			changed++;
		else if (old & ~PROBE_HELD_SEEN)
			changed--;
		if (__sync_val_compare_and_swap(held, old, changed) == old)
			return 0;
	}
	return -1;
}

/* seed_held - probe_set_hold(); 0, also if the process has been seen already, or -1 if there is no room for it */
static __always_inline int seed_held(const struct probe_seed *seed)
{
	__u32 *held = held_by(seed->tgid, seed->gauge);

	if (!held)
		return -1;
	__sync_val_compare_and_swap(held, 0, seed->count | PROBE_HELD_SEEN);
	return 0;
}

/* ended_holder - the current thread ends: if it is the last one of its process, what that holds; else NULL */
static __always_inline struct probe_holder *ended_holder(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return BPF_CORE_READ(task, signal, live.counter) ? 0 : bpf_map_lookup_elem(&holders, &tgid);
}

/* forget_holder - the current process holds nothing any more */
static __always_inline void forget_holder(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	bpf_map_delete_elem(&holders, &tgid);
}
#endif
