/* SPDX-License-Identifier: Apache-2.0 */
/* xref_flow.c - where a constant goes, and which constants come. Both know of registers, and of the stack as one
 * place; neither knows of other memory, nor of values that functions return. */
#include "target/xref_index.h"

#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"

#define FORWARD_INSNS_MAX  10000000 /* followed for one question: only a made-up file needs more */
#define BACKWARD_INSNS_MAX 4096
#define BACKWARD_PATHS_MAX 64

/* insn_at - the instruction at `addr`, which must be one of those that the index has seen */
static bool insn_at(const struct xref *xref, const struct code *code, uint64_t addr, struct x86_insn *insn)
{
	return code_bit(code, code->starts, addr) &&
	       x86_decode(code->bytes + (addr - code->addr), code->size - (addr - code->addr), addr, xref->is_fixed,
			  insn);
}

static bool effect_of(const struct code *code, const struct x86_insn *insn, struct x86_effect *effect)
{
	return x86_effect(code->bytes + (insn->addr - code->addr), insn->len, effect);
}

/* ---- forward */

struct point {
	uint64_t addr;
	uint32_t mask; /* registers that hold the value in front of the instruction at addr */
};

struct flow {
	const struct xref *xref;
	struct flow_work *work;
	flow_seen *seen;
	void *context;
	XREF_ARRAY(struct point) todo;
};

/* join - what is known to arrive at the label `addr`, with `mask` added; 0 when that is nothing new */
static uint32_t join(struct flow *flow, uint64_t addr, uint32_t mask)
{
	size_t low = 0, high = flow->xref->labels.count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (flow->xref->labels.items[middle] <= addr)
			low = middle;
		else
			high = middle;
	}
	if (!(mask & ~flow->work->masks[low]))
		return 0;
	flow->work->masks[low] |= mask;
	return flow->work->masks[low];
}

/* go_to - continue at a label later */
static void go_to(struct flow *flow, uint64_t addr, uint32_t mask)
{
	const struct code *code = code_at(flow->xref, addr);

	if (!code || !mask || !code_bit(code, code->labels, addr))
		return;
	mask = join(flow, addr, mask);
	if (mask)
		XREF_ADD(&flow->todo, (struct point){addr, mask});
}

/* leave - follow the control transfer `insn` out of the straight line; the registers that it leaves behind it */
static uint32_t leave(struct flow *flow, const struct x86_insn *insn, uint64_t function, uint32_t mask)
{
	size_t count;
	const struct edge *entries;

	switch (insn->kind) {
	case X86_CALL:
		if (!flow->seen(flow->context, insn, mask))
			go_to(flow, insn->target, mask & X86_ARGUMENTS);
		return mask & ~X86_CALLER_SAVED;
	case X86_CALL_INDIRECT:
		flow->seen(flow->context, insn, mask);
		return mask & ~X86_CALLER_SAVED;
	case X86_JUMP:
		if (!flow->seen(flow->context, insn, mask))
			go_to(flow, insn->target, mask);
		return 0;
	case X86_BRANCH:
		if (!flow->seen(flow->context, insn, mask))
			go_to(flow, insn->target, mask);
		return mask;
	case X86_JUMP_INDIRECT:
		flow->seen(flow->context, insn, mask);
		entries = table_edges(flow->xref, function, &count);
		for (size_t i = 0; !insn->target && i < count; i++)
			go_to(flow, entries[i].dst, mask);
		return 0;
	default:
		return 0;
	}
}

static uint32_t pass(const struct code *code, const struct x86_insn *insn, uint32_t mask)
{
	struct x86_effect effect;
	bool has_source;

	if (!effect_of(code, insn, &effect))
		return 0;
	has_source = effect.src != X86_NO_REGISTER && mask & X86_BIT(effect.src);
	if (effect.move == X86_MOVE_SELECT)
		effect.written &= ~X86_BIT(effect.dst);
	mask &= ~effect.written;
	if (has_source && (effect.move == X86_MOVE_COPY || effect.move == X86_MOVE_SELECT))
		mask |= X86_BIT(effect.dst);
	return mask;
}

static void follow(struct flow *flow, uint64_t addr, uint32_t mask)
{
	const struct code *code = code_at(flow->xref, addr);
	uint64_t function, end;
	struct x86_insn insn;

	if (!code)
		return;
	function_of(flow->xref, addr, &function, &end);
	while (mask && insn_at(flow->xref, code, addr, &insn) && flow->work->insn_cnt++ < FORWARD_INSNS_MAX) {
		mask = insn.kind == X86_PLAIN ? pass(code, &insn, mask) : leave(flow, &insn, function, mask);
		addr += insn.len;
		if (addr >= end || addr - code->addr >= code->size)
			break;
		if (mask && code_bit(code, code->labels, addr))
			mask = join(flow, addr, mask);
	}
}

int flow_forward(const struct xref *xref, uint64_t seed, struct flow_work *work, flow_seen *seen, void *context)
{
	struct flow flow = {.xref = xref, .work = work, .seen = seen, .context = context};
	const struct code *code = code_at(xref, seed);
	struct x86_insn insn;

	if (!code || !insn_at(xref, code, seed, &insn) || insn.constant_reg == X86_NO_REGISTER)
		return 0;
	follow(&flow, seed + insn.len, X86_BIT(insn.constant_reg));
	while (flow.todo.count) {
		struct point point = flow.todo.items[--flow.todo.count];

		follow(&flow, point.addr, point.mask);
	}
	free(flow.todo.items);
	return work->insn_cnt < FORWARD_INSNS_MAX ? 0 : -E2BIG;
}

/* ---- backward */

/* The question what is in `reg` in front of the instruction at `addr`. */
struct path {
	uint64_t addr;
	int reg;
};

struct search {
	const struct xref *xref;
	const struct wanted *wanted;
	struct path paths[BACKWARD_PATHS_MAX]; /* asked so far; the first `done` of them are answered */
	size_t path_cnt, done, insn_cnt;
	unsigned result;
};

static void ask(struct search *search, uint64_t addr, int reg)
{
	for (size_t i = 0; i < search->path_cnt; i++)
		if (search->paths[i].addr == addr && search->paths[i].reg == reg)
			return;
	if (search->path_cnt == BACKWARD_PATHS_MAX || reg == X86_STACK)
		search->result |= ARRIVES_UNKNOWN;
	else
		search->paths[search->path_cnt++] = (struct path){addr, reg};
}

static bool is_wanted(const struct search *search, uint64_t value)
{
	size_t low = 0, high = search->wanted->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (search->wanted->items[middle] == value)
			return true;
		if (search->wanted->items[middle] < value)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* ask_jumps - ask what arrives at the label `addr` by other ways than falling into it */
static void ask_jumps(struct search *search, uint64_t addr, int reg)
{
	size_t count;
	const struct edge *edge = edges_to(search->xref, addr, &count);

	for (; count && !(search->result & ARRIVES_UNKNOWN); count--, edge++) {
		if (edge->kind == EDGE_JUMP || edge->kind == EDGE_BRANCH)
			ask(search, edge->src, reg);
		else
			search->result |= ARRIVES_UNKNOWN; /* a table, or callers */
	}
}

/* insn_before - the instruction that ends at `addr` */
static bool insn_before(const struct search *search, const struct code *code, uint64_t start, uint64_t addr,
			struct x86_insn *insn)
{
	for (uint64_t at = addr - 1; at >= start && at >= code->addr && addr - at <= X86_INSN_MAX; at--)
		if (code_bit(code, code->starts, at))
			return insn_at(search->xref, code, at, insn) && at + insn->len == addr;
	return false;
}

/* is_wanted_number - a negative int is written to the lower half as well as to the whole register */
static bool is_wanted_number(const struct search *search, const struct x86_effect *effect)
{
	return is_wanted(search, effect->number) ||
	       (effect->is_half && is_wanted(search, (uint64_t)(int64_t)(int32_t)effect->number));
}

/* is_address - does the instruction take an address? In a file that is not moved that may be a number, too. */
static bool is_address(const struct search *search, const struct x86_insn *insn)
{
	return !search->wanted->are_numbers || insn->opcode == 0x8d; /* lea */
}

/* step_back - over one instruction. False when the question is answered; otherwise *reg is the register to ask for
 * in front of it. */
static bool step_back(struct search *search, const struct code *code, const struct x86_insn *insn, int *reg)
{
	struct x86_effect effect;

	if (insn->constant_reg == *reg && is_address(search, insn)) {
		search->result |=
		    !search->wanted->are_numbers && is_wanted(search, insn->constant) ? ARRIVES_WANTED : ARRIVES_OTHER;
		return false;
	}
	if (insn->kind == X86_CALL || insn->kind == X86_CALL_INDIRECT) {
		if (!(X86_CALLER_SAVED & X86_BIT(*reg)))
			return true;
		search->result |= ARRIVES_UNKNOWN;
		return false;
	}
	if (!effect_of(code, insn, &effect)) {
		search->result |= ARRIVES_UNKNOWN;
		return false;
	}
	if (!(effect.written & X86_BIT(*reg)))
		return true;
	if (effect.dst != *reg || effect.move == X86_MOVE_NONE) {
		search->result |= ARRIVES_UNKNOWN;
		return false;
	}
	if (effect.move == X86_MOVE_CONSTANT) {
		search->result |=
		    search->wanted->are_numbers && is_wanted_number(search, &effect) ? ARRIVES_WANTED : ARRIVES_OTHER;
		return false;
	}
	ask(search, insn->addr, effect.src);
	return effect.move == X86_MOVE_SELECT;
}

static bool ends_flow(enum x86_kind kind)
{
	return kind == X86_JUMP || kind == X86_JUMP_INDIRECT || kind == X86_RETURN || kind == X86_TRAP;
}

/* trace - answer one question by walking back to where the value is made */
static void trace(struct search *search, uint64_t addr, int reg)
{
	const struct code *code = code_at(search->xref, addr);
	uint64_t start, end;
	bool is_reached = true; /* by nothing but falling through from above */
	struct x86_insn insn;

	if (!code) {
		search->result |= ARRIVES_UNKNOWN;
		return;
	}
	function_of(search->xref, addr, &start, &end);
	for (;;) {
		if (code_bit(code, code->labels, addr)) {
			ask_jumps(search, addr, reg);
			is_reached = false;
		}
		if (addr == start || search->insn_cnt++ > BACKWARD_INSNS_MAX ||
		    !insn_before(search, code, start, addr, &insn)) {
			search->result |= ARRIVES_UNKNOWN;
			return;
		}
		if (ends_flow(insn.kind)) {
			/* Code behind a jump must be reached somehow; but what is in front of a label may be padding.
			 */
			if (is_reached)
				search->result |= ARRIVES_UNKNOWN;
			return;
		}
		if (!insn.is_nop)
			is_reached = true;
		if (!step_back(search, code, &insn, &reg))
			return;
		addr = insn.addr;
	}
}

unsigned flow_arriving(const struct xref *xref, uint64_t addr, int reg, const struct wanted *wanted)
{
	struct search search = {.xref = xref, .wanted = wanted};

	ask(&search, addr, reg);
	while (search.done < search.path_cnt && !(search.result & ARRIVES_UNKNOWN)) {
		struct path path = search.paths[search.done++];

		trace(&search, path.addr, path.reg);
	}
	return search.result;
}
