/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* probe.bpf.c - the BPF programs: one for hits, which runs the specs of probe.h, and two small ones for what processes
 * hold. It knows neither servers nor events.
 *
 * The programs for hits are sleepable, so that texts which are not in memory (a page of constants nobody has touched
 * yet) can be faulted in and read; on 6.18 a sleepable program costs the same as another. That a sleepable program may
 * have a hash map that is not preallocated, and bpf_ktime_get_tai_ns(), need Linux 6.1.
 *
 * Stack is scarce: the deepest chain of calls (probe_entry, compute, find_field, walk_step, hash_user_text, hash_part)
 * takes all of the 512 bytes that 6.1 allows. What is not on it is in functions of its own.
 *
 * Functions that are not static are verified once, on their own ("global functions"), whatever they are called
 * with. That keeps the verifier's work small and the same on every kernel. */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "probe.h"
#include "field.bpf.h"
#include "holder.bpf.h"
#include "registers.bpf.h"
#include "text.bpf.h"

#define SCOPE_PARENTS 8 /* generations below a server's first process: 3 were the most seen */

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading. scope_pid: count only this process and its descendants; scope_pid_ns: only processes of this pid
 * namespace (its inode number); 0: all. */
const volatile __s32 scope_pid = 0;
const volatile __u32 scope_pid_ns = 0;
const volatile __u32 series_stride = PROBE_SERIES;

/* How far CLOCK_TAI is ahead of CLOCK_REALTIME, which BPF programs cannot read. User space keeps it up to date. */
volatile __u64 tai_offset_ns;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_SPECS);
	__type(key, __u32);
	__type(value, struct probe_spec);
} specs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_RULES);
	__type(key, __u32);
	__type(value, struct probe_rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROBE_CASES);
	__type(key, struct probe_case_key);
	__type(value, __u32);
} cases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROBE_STORE);
	__type(key, struct probe_store_key);
	__type(value, __u64);
} store SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, PROBE_CLASSES);
	__type(key, struct probe_class_key);
	__type(value, __u32);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_BOUNDS);
	__type(key, __u32);
	__type(value, struct probe_bounds);
} bounds SEC(".maps");

/* One row of series_stride cells per possible CPU; user space sets max_entries and reads it mapped. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} series SEC(".maps");

/* What the end of a process means, by gauge that it holds. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_GAUGES);
	__type(key, __u32);
	__type(value, struct probe_end);
} ends SEC(".maps");

/* What one hit knows. */
struct hit {
	__u64 v[PROBE_SPEC_VALUES];
	__u64 arg[6]; /* at a return: the return value first, and nothing else */
	__u64 sp, ip;
	__u64 times; /* how often it counts */
};

static __always_inline void add(__u32 which, __u64 amount)
{
	__u32 key = bpf_get_smp_processor_id() * series_stride + which;
	__u64 *cell = bpf_map_lookup_elem(&series, &key);

	/* Atomic although each CPU has its own row: a preempted program can share it with the next one. */
	if (cell)
		__sync_fetch_and_add(cell, amount);
}

static __always_inline void count(__u32 which)
{
	add(which, 1);
}

static __always_inline __u64 extend(__u64 value, __u8 size, __u8 flags)
{
	__u32 shift = size >= 1 && size <= 8 ? 64 - 8 * size : 0;

	value <<= shift;
	return flags & PROBE_F_SIGNED ? (__u64)((__s64)value >> shift) : value >> shift;
}

/* read_timeval - in ns; 0 for a null pointer; 0 or -errno */
__noinline int read_timeval(__u64 *out, __u64 addr)
{
	__u64 micro = 0;
	int err;

	if (!out)
		return 0;
	*out = 0;
	if (!addr)
		return 0;
	err = read_user(out, 8, addr);
	if (!err)
		err = read_user(&micro, 8, addr + 8);
	*out = err ? 0 : *out * 1000000000 + micro * 1000;
	return err;
}

/* cells_of - PROBE_OP_CLASS */
static __always_inline __u64 cells_of(const struct probe_value *value, __u64 text)
{
	struct probe_class_key key = {.value = text, .table = value->off};
	__u32 stride = value->key, other = value->key >> 32;
	__u32 *number = bpf_map_lookup_elem(&classes, &key);

	if (number)
		return (__u64)stride * *number;
	return other == PROBE_NO_CLASS ? PROBE_NO_CELL : (__u64)stride * other;
}

/* compute_quiet - values that need nothing of the process' memory: all that may be computed when it ends */
__noinline __u64 compute_quiet(const struct hit *hit, const struct probe_value *value)
{
	__u64 base, other;
	__s64 span;

	if (!hit || !value)
		return 0;
	base = hit->v[value->src & (PROBE_SPEC_VALUES - 1)];
	switch (value->op) {
	case PROBE_OP_TRUNC:
		return extend(base, value->size, value->flags);
	case PROBE_OP_COMM:
		return hash_comm();
	case PROBE_OP_PID:
		return bpf_get_current_pid_tgid() >> 32;
	case PROBE_OP_TID:
		return (__u32)bpf_get_current_pid_tgid();
	case PROBE_OP_MIX:
		other = hit->v[value->off & (PROBE_SPEC_VALUES - 1)];
		return probe_hash_word(probe_hash_word(0, base), other);
	case PROBE_OP_RECALL: {
		struct probe_store_key key = {.key = base, .slot = value->off};
		__u64 *stored = bpf_map_lookup_elem(&store, &key);

		return stored ? *stored : 0;
	}
	case PROBE_OP_NOW:
		return bpf_ktime_get_ns();
	case PROBE_OP_REALTIME:
		return bpf_ktime_get_tai_ns() - tai_offset_ns;
	case PROBE_OP_SPAN:
		span = hit->v[value->off & (PROBE_SPEC_VALUES - 1)] - base;
		return span < 0 ? 0 : span;
	case PROBE_OP_SUM:
		return base + value->off;
	case PROBE_OP_TIMES:
		return base * value->key;
	case PROBE_OP_AND:
		return base & value->key;
	case PROBE_OP_PLACE:
		return hit->ip + value->key;
	case PROBE_OP_ARGS: {
		struct task_struct *task = (struct task_struct *)bpf_get_current_task();

		return BPF_CORE_READ(task, mm, arg_start);
	}
	case PROBE_OP_CLASS:
		return cells_of(value, base);
	}
	return 0;
}

/* compute - the value that `value` describes */
__noinline __u64 compute(const struct hit *hit, const struct probe_value *value)
{
	__u64 base, out = 0;
	long err = 0;
	__u32 src;

	if (!hit || !value)
		return 0;
	src = value->src & (PROBE_SPEC_VALUES - 1);
	base = hit->v[src];
	switch (value->op) {
	case PROBE_OP_ARG:
		return src < 6 ? hit->arg[src] : 0;
	case PROBE_OP_ARG_REL:
		return src < 6 ? hit->arg[src] - hit->ip : 0;
	case PROBE_OP_RET:
		return hit->arg[0];
	case PROBE_OP_STACK:
		err = read_user(&out, 8, hit->sp + value->off);
		break;
	case PROBE_OP_READ:
		if (base)
			err = read_user(&out, value->size, base + value->off);
		out = extend(out, value->size, value->flags);
		break;
	case PROBE_OP_STR:
		err = hash_user_text(&out, base, PROBE_STRING, value->flags);
		break;
	case PROBE_OP_PREFIX:
		err = hash_user_text(&out, base, value->off + 1, 0);
		break;
	case PROBE_OP_CONTAINS:
		err = user_text_contains(&out, base, value->key);
		break;
	case PROBE_OP_TIMEVAL:
		err = read_timeval(&out, base);
		break;
	case PROBE_OP_FIELD_STR:
	case PROBE_OP_FIELD_NUMBER:
	case PROBE_OP_FIELD_HAS:
		err = find_field(&out, base, value);
		break;
	default:
		return compute_quiet(hit, value);
	}
	if (err)
		count(PROBE_OWN_READ_FAILURES);
	return out;
}

/* compute_all - all values of a spec */
static __always_inline void compute_all(struct hit *hit, const struct probe_spec *spec)
{
	for (__u32 i = 0; i < PROBE_SPEC_VALUES; i++) {
		if (i < spec->first_value)
			continue;
		if (i >= spec->value_cnt)
			break;
		hit->v[i] = compute(hit, &spec->values[i]);
	}
}

static __always_inline bool holds(const struct hit *hit, const struct probe_cond *cond)
{
	__s64 value = hit->v[cond->value & (PROBE_SPEC_VALUES - 1)];

	switch (cond->cmp) {
	case PROBE_EQ:
		return value == cond->operand;
	case PROBE_NE:
		return value != cond->operand;
	case PROBE_LT:
		return value < cond->operand;
	default:
		return value >= cond->operand;
	}
}

/* find_cell - which cell the action is about, if all its looked-up labels have one */
static __always_inline bool find_cell(__u32 *cell, const struct hit *hit, const struct probe_act *act)
{
	*cell = act->series;
	for (__u32 i = 0; i < PROBE_ACT_CELLS; i++) {
		__u64 cells;

		if (act->cells[i] == PROBE_SPEC_VALUES)
			continue;
		cells = hit->v[act->cells[i] & (PROBE_SPEC_VALUES - 1)];
		if (cells == PROBE_NO_CELL)
			return false;
		*cell += cells;
	}
	return true;
}

/* observe - PROBE_DO_OBSERVE */
__noinline int observe(const struct hit *hit, const struct probe_act *act)
{
	__u32 which, cell, bucket = 0;
	struct probe_bounds *limits;
	__u64 value;

	if (!hit || !act)
		return 0;
	which = act->slot;
	limits = bpf_map_lookup_elem(&bounds, &which);
	if (!limits || !find_cell(&cell, hit, act))
		return 0;
	value = hit->v[act->value & (PROBE_SPEC_VALUES - 1)];
	if ((__s64)value < 0)
		value = 0;
	while (bucket < PROBE_BUCKETS && bucket < limits->cnt && value > limits->upper[bucket])
		bucket++;
	add(cell + bucket, hit->times);
	add(cell + limits->cnt + 1, value * hit->times);
	return 0;
}

/* remember - PROBE_DO_REMEMBER and PROBE_DO_FORGET */
static __always_inline void remember(const struct hit *hit, const struct probe_act *act)
{
	struct probe_store_key key = {.slot = act->slot};
	__u64 stored;

	key.key = hit->v[act->key & (PROBE_SPEC_VALUES - 1)];
	if (act->act == PROBE_DO_FORGET) {
		bpf_map_delete_elem(&store, &key);
		return;
	}
	stored = act->value == PROBE_SPEC_VALUES ? act->operand : hit->v[act->value & (PROBE_SPEC_VALUES - 1)];
	if (bpf_map_update_elem(&store, &key, &stored, BPF_ANY))
		count(PROBE_OWN_STORE_FAILURES);
}

static __always_inline void act_on(const struct hit *hit, const struct probe_act *act)
{
	__u32 cell;

	switch (act->act) {
	case PROBE_DO_COUNT:
		if (find_cell(&cell, hit, act))
			add(cell, act->operand * hit->times);
		break;
	case PROBE_DO_OBSERVE:
		observe(hit, act);
		break;
	case PROBE_DO_HOLD:
	case PROBE_DO_RELEASE:
		if (change_held(act->slot, act->act == PROBE_DO_HOLD))
			count(PROBE_OWN_STORE_FAILURES);
		break;
	default:
		remember(hit, act);
	}
}

/* apply - do what the rule says, if all its conditions hold; 1 if so */
__noinline int apply(const struct hit *hit, const struct probe_rule *rule)
{
	if (!hit || !rule)
		return 0;
	for (__u32 i = 0; i < PROBE_RULE_CONDS; i++) {
		if (i >= rule->cond_cnt)
			break;
		if (!holds(hit, &rule->conds[i]))
			return 0;
	}
	for (__u32 i = 0; i < PROBE_RULE_ACTS; i++) {
		if (i >= rule->act_cnt)
			break;
		act_on(hit, &rule->acts[i]);
	}
	return 1;
}

static __always_inline void apply_first(const struct hit *hit, const struct probe_spec *spec)
{
	for (__u32 i = 0; i < PROBE_SPEC_RULES; i++) {
		__u32 index = spec->first_rule + i;
		struct probe_rule *rule;

		if (i >= spec->rule_cnt)
			return;
		rule = bpf_map_lookup_elem(&rules, &index);
		if (!rule || apply(hit, rule))
			return;
	}
}

/* run - a chain of specs without a switch: values, then rules, of each */
static __always_inline void run(struct hit *hit, __u32 index)
{
	for (int i = 0; i < PROBE_CHAIN; i++) {
		struct probe_spec *spec = bpf_map_lookup_elem(&specs, &index);

		if (!spec)
			return;
		compute_all(hit, spec);
		apply_first(hit, spec);
		index = spec->next;
	}
}

/* run_case - the chain that the switch names for its value, if any */
static __always_inline void run_case(struct hit *hit, const struct probe_spec *spec, __u32 index)
{
	struct probe_case_key key = {.spec = index};
	__u32 *chosen;

	compute_all(hit, spec);
	key.value = hit->v[spec->select & (PROBE_SPEC_VALUES - 1)];
	chosen = bpf_map_lookup_elem(&cases, &key);
	if (chosen)
		run(hit, *chosen);
}

/* in_scope - does the current process descend from the one that counting is restricted to, or is it in the namespace?
 */
static __always_inline bool in_scope(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (scope_pid_ns)
		return BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum) == scope_pid_ns;
	if (!scope_pid)
		return true;
	for (int i = 0; i < SCOPE_PARENTS; i++) {
		int tgid = BPF_CORE_READ(task, tgid);

		if (tgid == scope_pid)
			return true;
		if (tgid <= 1)
			return false;
		task = BPF_CORE_READ(task, real_parent);
	}
	return false;
}

static __always_inline int handle(struct pt_regs *ctx, bool is_return)
{
	/* All registers are copied out first: a switch over context loads makes clang 14 merge them into one with a
	 * computed offset, which the verifier refuses ("dereference of modified ctx ptr"). */
	struct hit hit = {
	    .arg = {REG_ARGS(ctx)},
	    .sp = REG_SP(ctx),
	    .ip = REG_IP(ctx),
	    .times = 1,
	};
	__u32 index = bpf_get_attach_cookie(ctx);
	struct probe_spec *spec;

	if (is_return)
		hit.arg[0] = REG_RET(ctx);
	if (!in_scope())
		return 0;
	count(PROBE_OWN_HITS);
	spec = bpf_map_lookup_elem(&specs, &index);
	if (spec && spec->is_switch) {
		run_case(&hit, spec, index);
		index = spec->next;
	}
	run(&hit, index);
	return 0;
}

SEC("uprobe.s")
int probe_entry(struct pt_regs *ctx)
{
	return handle(ctx, false);
}

SEC("uretprobe.s")
int probe_return(struct pt_regs *ctx)
{
	return handle(ctx, true);
}

/* end_holding - the current process ends and holds so much of the gauge */
static __always_inline void end_holding(__u32 gauge, __u32 held)
{
	struct probe_end *end = bpf_map_lookup_elem(&ends, &gauge);
	struct hit hit = {.times = held};

	if (!end)
		return;
	for (__u32 i = 0; i < PROBE_SPEC_VALUES && i < end->value_cnt; i++)
		hit.v[i] = compute_quiet(&hit, &end->values[i]);
	for (__u32 i = 0; i < PROBE_END_RULES && i < end->rule_cnt; i++)
		if (apply(&hit, &end->rules[i]))
			break;
}

/* Whatever the kernel gives to this tracepoint (it is not the same in all releases), the thread is the current one. */
SEC("raw_tp/sched_process_exit")
int process_exit(void *ctx)
{
	struct probe_holder *holder = ended_holder();

	(void)ctx;
	for (__u32 gauge = 0; holder && gauge < PROBE_GAUGES; gauge++) {
		__u32 held = holder->held[gauge] & ~PROBE_HELD_SEEN;

		if (held)
			end_holding(gauge, held);
	}
	if (holder)
		forget_holder();
	return 0;
}

/* Run by user space. */
SEC("syscall")
int seed_holder(struct probe_seed *seed)
{
	return seed_held(seed);
}
