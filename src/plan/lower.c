/* SPDX-License-Identifier: Apache-2.0 */
/* lower.c - owns the translation of a catalog row at one place into the small program that the BPF side runs
 * (struct probe_spec): values become operations, conditions on texts become comparisons of hashes, and alternatives
 * (process names, addresses of a constant) become rules of their own. It knows nothing of how places are found. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "plan/parts.h"

#define TOO_MUCH (-1)

/* A spec being made. */
struct builder {
	const struct lowering *low;
	const struct probe_def *probe;
	const struct spot *spot;
	struct plan_spec *out;
	size_t rule_cap;
	int numbers[CATALOG_VALUES]; /* by value of the catalog row: the spec's value that holds it, or -1 */
};

uint64_t text_hash(const char *text)
{
	__u64 words[PROBE_STRING / 8] = {0};
	size_t len = strlen(text);

	memcpy(words, text, len < PROBE_STRING ? len : PROBE_STRING);
	return probe_hash_words(PROBE_HASH_START, words, PROBE_STRING / 8);
}

static int fail(const struct builder *b, const char *why)
{
	snprintf(b->low->err, 256, "%s:%d: %s", b->low->server->file, b->probe->line, why);
	return -E2BIG;
}

/* add_value - number of an operation in the spec; equal ones are computed once */
static int add_value(struct builder *b, struct probe_value value)
{
	struct probe_spec *spec = &b->out->spec;

	for (int i = 0; i < spec->value_cnt; i++)
		if (!memcmp(&spec->values[i], &value, sizeof(value)))
			return i;
	if (spec->value_cnt == PROBE_SPEC_VALUES) {
		fail(b, "needs more values than a probe can have");
		return TOO_MUCH;
	}
	spec->values[spec->value_cnt] = value;
	return spec->value_cnt++;
}

/* add_needle, add_layout - number of an entry in the plan's shared tables */
static unsigned add_needle(struct plan *plan, const char *text)
{
	for (size_t i = 0; i < plan->needle_cnt; i++)
		if (!strncmp(plan->needles[i], text, PROBE_NEEDLE))
			return (unsigned)i;
	plan->needles = arena_grow(plan->mem, plan->needles, plan->needle_cnt, &plan->needle_cap, PROBE_NEEDLE);
	strncpy(plan->needles[plan->needle_cnt], text, PROBE_NEEDLE - 1);
	return (unsigned)plan->needle_cnt++;
}

static int add_layout(struct builder *b, const struct layout_def *def)
{
	struct plan *plan = b->low->plan;
	const struct number_def *numbers[] = {&def->parent, &def->array,  &def->key,       &def->type,
					      &def->text,   &def->number, &def->type_text, &def->type_number};
	int64_t found[8];
	struct probe_layout layout;

	for (int i = 0; i < 8; i++) {
		int ret = resolve_number(&found[i], numbers[i], b->low->source, b->low->err);

		if (ret)
			return ret;
	}
	layout = (struct probe_layout){
	    .parent = (__s32)found[0],
	    .array = (__s32)found[1],
	    .key = (__s32)found[2],
	    .type = (__s32)found[3],
	    .text = (__s32)found[4],
	    .number = (__s32)found[5],
	    .type_text = (__u32)found[6],
	    .type_number = (__u32)found[7],
	};
	for (size_t i = 0; i < plan->layout_cnt; i++)
		if (!memcmp(&plan->layouts[i], &layout, sizeof(layout)))
			return (int)i;
	plan->layouts = arena_grow(plan->mem, plan->layouts, plan->layout_cnt, &plan->layout_cap, sizeof(layout));
	plan->layouts[plan->layout_cnt] = layout;
	return (int)plan->layout_cnt++;
}

static int slot_number(const struct builder *b, const struct slot_def *slot)
{
	return (int)(b->low->server_index * CATALOG_SLOTS + (unsigned)(slot - b->low->server->slots));
}

static int lower_value(struct builder *b, int index);

static int lower_arg(struct builder *b, int arg)
{
	/* At a call nothing but arguments is on the stack; at an entry the return address is on top, and at a jump to
	 * the callee the caller's. */
	int skip = b->spot->is_call ? 0 : 8;

	if (arg < 6)
		return add_value(b, (struct probe_value){.op = PROBE_OP_ARG, .src = (__u8)arg});
	return add_value(b, (struct probe_value){.op = PROBE_OP_STACK, .off = skip + 8 * (arg - 6)});
}

/* lower_field - `prefix_len` 0 for the whole text */
static int lower_field(struct builder *b, const struct value_def *def, int base, size_t prefix_len)
{
	static const __u8 ops[] = {
	    [VALUE_FIELD_STR] = PROBE_OP_FIELD_STR,
	    [VALUE_FIELD_NUM] = PROBE_OP_FIELD_NUMBER,
	    [VALUE_FIELD_HAS] = PROBE_OP_FIELD_HAS,
	};
	int layout = add_layout(b, def->layout);

	if (layout < 0)
		return TOO_MUCH;
	return add_value(b, (struct probe_value){.op = ops[def->kind],
						 .src = (__u8)base,
						 .size = (__u8)prefix_len,
						 .off = layout,
						 .key = text_hash(def->key)});
}

/* resolve_offset - 0 or TOO_MUCH */
static int resolve_offset(struct builder *b, const struct number_def *def, __s32 *out)
{
	int64_t off;

	if (resolve_number(&off, def, b->low->source, b->low->err))
		return TOO_MUCH;
	if (off < INT32_MIN || off > INT32_MAX) {
		fail(b, "an offset is too large");
		return TOO_MUCH;
	}
	*out = (__s32)off;
	return 0;
}

static int lower_read(struct builder *b, const struct value_def *def, int base)
{
	__s32 off;

	if (resolve_offset(b, &def->off, &off))
		return TOO_MUCH;
	return add_value(b, (struct probe_value){.op = PROBE_OP_READ,
						 .src = (__u8)base,
						 .size = (__u8)def->size,
						 .flags = def->is_signed ? PROBE_F_SIGNED : 0,
						 .off = off});
}

/* lower_sum - the address `off` bytes behind another */
static int lower_sum(struct builder *b, const struct value_def *def, int base)
{
	__s32 off;

	if (resolve_offset(b, &def->off, &off))
		return TOO_MUCH;
	return add_value(b, (struct probe_value){.op = PROBE_OP_SUM, .src = (__u8)base, .off = off});
}

/* lower_place - the distance of the object from the probe is the same wherever the file was loaded */
static int lower_place(struct builder *b, const char *symbol)
{
	uint64_t addr;

	if (resolve_place(&addr, symbol, b->low->source, b->low->err))
		return TOO_MUCH;
	return add_value(b, (struct probe_value){.op = PROBE_OP_PLACE, .key = addr - b->spot->site.addr});
}

static int lower_prefix(struct builder *b, const struct value_def *def, size_t len);

static int lower_upper(struct builder *b, const struct value_def *text)
{
	int address = lower_value(b, text->base);

	if (address < 0)
		return address;
	return add_value(b, (struct probe_value){.op = PROBE_OP_STR, .src = (__u8)address, .flags = PROBE_F_UPPER});
}

/* lower_clock - the values that times are made of */
static int lower_clock(struct builder *b, const struct value_def *def, int base, int other)
{
	switch (def->kind) {
	case VALUE_NOW:
		return add_value(b, (struct probe_value){.op = PROBE_OP_NOW});
	case VALUE_REALTIME:
		return add_value(b, (struct probe_value){.op = PROBE_OP_REALTIME});
	case VALUE_TIMEVAL:
		return add_value(b, (struct probe_value){.op = PROBE_OP_TIMEVAL, .src = (__u8)base});
	case VALUE_SPAN:
		return add_value(b, (struct probe_value){.op = PROBE_OP_SPAN, .src = (__u8)base, .off = other});
	default:
		return add_value(
		    b, (struct probe_value){.op = PROBE_OP_TIMES, .src = (__u8)base, .key = (__u64)def->number});
	}
}

static int lower_new(struct builder *b, const struct value_def *def, int base, int other)
{
	switch (def->kind) {
	case VALUE_ARG:
		return lower_arg(b, def->arg);
	case VALUE_RET:
		return add_value(b, (struct probe_value){.op = PROBE_OP_RET});
	case VALUE_READ:
		return lower_read(b, def, base);
	case VALUE_TRUNC:
		return add_value(b, (struct probe_value){.op = PROBE_OP_TRUNC,
							 .src = (__u8)base,
							 .size = (__u8)def->size,
							 .flags = def->is_signed ? PROBE_F_SIGNED : 0});
	case VALUE_STR:
		return add_value(b, (struct probe_value){.op = PROBE_OP_STR, .src = (__u8)base});
	case VALUE_COMM:
		return add_value(b, (struct probe_value){.op = PROBE_OP_COMM});
	case VALUE_PID:
		return add_value(b, (struct probe_value){.op = PROBE_OP_PID});
	case VALUE_TID:
		return add_value(b, (struct probe_value){.op = PROBE_OP_TID});
	case VALUE_MIX:
		return add_value(b, (struct probe_value){.op = PROBE_OP_MIX, .src = (__u8)base, .off = other});
	case VALUE_RECALL:
		return add_value(b, (struct probe_value){
					.op = PROBE_OP_RECALL, .src = (__u8)base, .off = slot_number(b, def->slot)});
	case VALUE_FIELD_STR:
	case VALUE_FIELD_NUM:
	case VALUE_FIELD_HAS:
		return lower_field(b, def, base, 0);
	case VALUE_NOW:
	case VALUE_REALTIME:
	case VALUE_TIMEVAL:
	case VALUE_SPAN:
	case VALUE_TIMES:
		return lower_clock(b, def, base, other);
	case VALUE_SUM:
		return lower_sum(b, def, base);
	case VALUE_AND:
		return add_value(
		    b, (struct probe_value){.op = PROBE_OP_AND, .src = (__u8)base, .key = (__u64)def->number});
	case VALUE_PLACE:
		return lower_place(b, def->key);
	case VALUE_ARGS:
		return add_value(b, (struct probe_value){.op = PROBE_OP_ARGS});
	case VALUE_HEAD: /* see lower_value */
	case VALUE_UPPER:
		break;
	}
	return TOO_MUCH;
}

/* lower_value - number of the operation that computes value `index` of the catalog row; its own values first */
static int lower_value(struct builder *b, int index)
{
	const struct value_def *def = &b->probe->values[index];
	int base = 0, other = 0;

	if (b->numbers[index] >= 0)
		return b->numbers[index];
	/* These read the text themselves: the whole of it, which they are written of, need not be computed. */
	if (def->kind == VALUE_HEAD)
		return b->numbers[index] = lower_prefix(b, &b->probe->values[def->base], (size_t)def->size);
	if (def->kind == VALUE_UPPER)
		return b->numbers[index] = lower_upper(b, &b->probe->values[def->base]);
	if (def->base >= 0 && (base = lower_value(b, def->base)) < 0)
		return base;
	if (def->other >= 0 && (other = lower_value(b, def->other)) < 0)
		return other;
	return b->numbers[index] = lower_new(b, def, base, other);
}

/* lower_prefix - the first `len` bytes of a text */
static int lower_prefix(struct builder *b, const struct value_def *def, size_t len)
{
	int base = lower_value(b, def->base);

	if (base < 0)
		return base;
	if (def->kind == VALUE_FIELD_STR)
		return lower_field(b, def, base, len);
	return add_value(b, (struct probe_value){.op = PROBE_OP_PREFIX, .src = (__u8)base, .off = (__s32)len});
}

static int lower_contains(struct builder *b, const struct value_def *def, const char *text)
{
	int base = lower_value(b, def->base);

	if (base < 0)
		return base;
	return add_value(
	    b, (struct probe_value){.op = PROBE_OP_CONTAINS, .src = (__u8)base, .key = add_needle(b->low->plan, text)});
}

static int lower_cond(struct builder *b, struct probe_cond *out, const struct cond_def *def)
{
	static const __u8 cmps[] = {
	    [COND_EQ] = PROBE_EQ, [COND_NE] = PROBE_NE,     [COND_LT] = PROBE_LT,
	    [COND_GE] = PROBE_GE, [COND_PREFIX] = PROBE_EQ, [COND_CONTAINS] = PROBE_EQ,
	};
	const struct value_def *value = &b->probe->values[def->value];
	int number;

	*out = (struct probe_cond){.cmp = cmps[def->op], .operand = def->number};
	if (def->op == COND_PREFIX) {
		number = lower_prefix(b, value, strlen(def->text));
		out->operand = (__s64)text_hash(def->text);
	} else if (def->op == COND_CONTAINS) {
		number = lower_contains(b, value, def->text);
		out->operand = 1;
	} else {
		number = lower_value(b, def->value);
		if (def->text)
			out->operand = (__s64)text_hash(def->text);
	}
	if (number < 0)
		return -E2BIG;
	out->value = (__u8)number;
	return 0;
}

/* is_live - does this action matter, the user's disabled events and unread slots left out? */
static bool is_live(const struct lowering *low, const struct act_def *act)
{
	const struct event_def *event;

	if (!act_moves(act))
		return low->slot_is_live[act->slot - low->server->slots];
	if (act->kind == ACT_HOLD || act->kind == ACT_RELEASE)
		return is_held_for_somebody(low->config, low->server, act->event);
	for (size_t i = 0; (event = act_event(act, i)); i++)
		if (!config_event_disabled(low->config, event->name))
			return true;
	return false;
}

/* add_class - the value that says how many cells a text is away from the first one */
static int add_class(struct builder *b, int text, uint32_t classes, uint32_t stride, uint32_t other)
{
	return add_value(
	    b, (struct probe_value){
		   .op = PROBE_OP_CLASS, .src = (__u8)text, .off = (__s32)classes, .key = (__u64)other << 32 | stride});
}

/* lower_cells - which cells of which block the action moves */
static int lower_cells(struct builder *b, struct probe_act *out, const struct act_def *def)
{
	struct plan *plan = b->low->plan;
	const struct plan_series *series;
	int cells = 0, text, cell;

	out->series = series_add(plan, b->low->config, b->low->server, def);
	series = &plan->series[out->series];
	if (def->kind == ACT_CHOOSE) {
		text = lower_value(b, def->value);
		cell = text < 0 ? text
				: add_class(b, text, classes_of_choice(plan, b->low->config, series, def->choice),
					    series_stride(series, -1), PROBE_NO_CLASS);
		if (cell < 0)
			return -E2BIG;
		out->cells[cells++] = (__u8)cell;
	}
	for (size_t i = 0; i < def->dim_cnt; i++) {
		const struct label_set *set = def->dims[i].set;

		text = lower_value(b, def->dims[i].value);
		cell = text < 0 ? text
				: add_class(b, text, classes_of_set(plan, set), series_stride(series, (int)i),
					    (uint32_t)set->other);
		if (cell < 0)
			return -E2BIG;
		out->cells[cells++] = (__u8)cell;
	}
	return 0;
}

static int lower_slot(struct builder *b, struct probe_act *out, const struct act_def *def)
{
	int key = lower_value(b, def->key);

	if (key < 0)
		return -E2BIG;
	out->key = (__u8)key;
	out->slot = (__u16)slot_number(b, def->slot);
	out->operand = (__u64)def->number;
	return 0;
}

static int lower_act(struct builder *b, struct probe_act *out, const struct act_def *def)
{
	static const __u8 does[] = {
	    [ACT_COUNT] = PROBE_DO_COUNT,   [ACT_CHOOSE] = PROBE_DO_COUNT,      [ACT_OBSERVE] = PROBE_DO_OBSERVE,
	    [ACT_ADD] = PROBE_DO_COUNT,     [ACT_HOLD] = PROBE_DO_HOLD,         [ACT_RELEASE] = PROBE_DO_RELEASE,
	    [ACT_FORGET] = PROBE_DO_FORGET, [ACT_REMEMBER] = PROBE_DO_REMEMBER,
	};
	int value, ret = 0;

	*out = (struct probe_act){.act = does[def->kind], .value = PROBE_SPEC_VALUES};
	memset(out->cells, PROBE_SPEC_VALUES, sizeof(out->cells));
	switch (def->kind) {
	case ACT_REMEMBER:
	case ACT_FORGET:
		ret = lower_slot(b, out, def);
		break;
	case ACT_HOLD:
	case ACT_RELEASE:
		out->slot = (__u16)gauge_add(b->low->plan, b->low->config, b->low->server, def->event);
		break;
	case ACT_OBSERVE:
		out->slot = (__u16)bounds_add(b->low->plan, def->event);
		ret = lower_cells(b, out, def);
		break;
	case ACT_COUNT:
	case ACT_CHOOSE:
	case ACT_ADD:
		out->operand = def->kind == ACT_ADD ? (__u64)def->number : 1;
		return lower_cells(b, out, def);
	}
	if (ret || def->value < 0)
		return ret;
	value = lower_value(b, def->value);
	out->value = (__u8)value;
	return value < 0 ? -E2BIG : 0;
}

static int push_rule(struct builder *b, const struct probe_rule *rule)
{
	struct plan_spec *out = b->out;

	if (out->rule_cnt == PROBE_SPEC_RULES)
		return fail(b, "needs more rules than a probe can have");
	out->rules = arena_grow(b->low->plan->mem, out->rules, out->rule_cnt, &b->rule_cap, sizeof(*rule));
	out->rules[out->rule_cnt++] = *rule;
	return 0;
}

static int add_cond(struct builder *b, struct probe_rule *rule, int value, uint64_t operand)
{
	if (value < 0)
		return -E2BIG;
	if (rule->cond_cnt == PROBE_RULE_CONDS)
		return fail(b, "needs more conditions than a rule can have");
	rule->conds[rule->cond_cnt++] =
	    (struct probe_cond){.value = (__u8)value, .cmp = PROBE_EQ, .operand = (__s64)operand};
	return 0;
}

/* push_for_names - the rule once for each process name */
static int push_for_names(struct builder *b, const struct probe_rule *rule)
{
	int comm, ret = 0;

	if (!b->probe->who_cnt)
		return push_rule(b, rule);
	comm = add_value(b, (struct probe_value){.op = PROBE_OP_COMM});
	for (size_t i = 0; i < b->probe->who_cnt && !ret; i++) {
		struct probe_rule one = *rule;
		char name[16];

		snprintf(name, sizeof(name), "%s", b->probe->who[i]);
		ret = add_cond(b, &one, comm, text_hash(name));
		if (!ret)
			ret = push_rule(b, &one);
	}
	return ret;
}

/* push_for_constants - the rule once for each address where the wanted constant stands, or each wanted number. An
 * address is compared relative to the probed instruction: so it does not depend on where the file was loaded. */
static int push_for_constants(struct builder *b, const struct probe_rule *rule, const struct spots *spots)
{
	int arg, ret = 0;

	if (spots->constant_arg < 0)
		return push_for_names(b, rule);
	if (spots->is_number) {
		arg = add_value(b, (struct probe_value){.op = PROBE_OP_ARG, .src = (__u8)spots->constant_arg});
		if (arg >= 0)
			arg = add_value(b, (struct probe_value){.op = PROBE_OP_TRUNC, .src = (__u8)arg, .size = 4});
	} else {
		arg = add_value(b, (struct probe_value){.op = PROBE_OP_ARG_REL, .src = (__u8)spots->constant_arg});
	}
	for (size_t i = 0; i < spots->constant_cnt && !ret; i++) {
		struct probe_rule one = *rule;
		uint64_t constant = spots->constants[i];

		ret = add_cond(b, &one, arg, spots->is_number ? constant : constant - b->spot->site.addr);
		if (!ret)
			ret = push_for_names(b, &one);
	}
	return ret;
}

/* rules_in_use - how many rules matter: those behind the last one with a live action do nothing.
 * A rule before it whose actions are all off stays: its hits must not fall through to the next rule. */
static size_t rules_in_use(const struct builder *b)
{
	size_t used = 0;

	for (size_t i = 0; i < b->probe->rule_cnt; i++)
		for (size_t k = 0; k < b->probe->rules[i].act_cnt; k++)
			if (is_live(b->low, &b->probe->rules[i].acts[k]))
				used = i + 1;
	return used;
}

static void builder_init(struct builder *b, const struct plan_spec *head)
{
	*b->out = (struct plan_spec){.spec = {.next = PROBE_NONE}};
	memset(b->numbers, 0xff, sizeof(b->numbers));
	if (head) {
		memcpy(b->out->spec.values, head->spec.values, sizeof(head->spec.values));
		b->out->spec.value_cnt = b->out->spec.first_value = head->spec.value_cnt;
	}
}

int lower(struct plan_spec *out, const struct lowering *lowering, const struct probe_def *probe,
	  const struct spots *spots, const struct spot *spot, const struct plan_spec *head)
{
	struct builder b = {.low = lowering, .probe = probe, .spot = spot, .out = out};
	size_t used;
	int ret = 0;

	builder_init(&b, head);
	used = rules_in_use(&b);
	for (size_t i = 0; i < used && !ret; i++) {
		const struct rule_def *def = &probe->rules[i];
		struct probe_rule rule = {0};

		for (size_t k = 0; k < def->cond_cnt && !ret; k++)
			ret = lower_cond(&b, &rule.conds[rule.cond_cnt++], &def->conds[k]);
		for (size_t k = 0; k < def->act_cnt && !ret; k++)
			if (is_live(lowering, &def->acts[k]))
				ret = lower_act(&b, &rule.acts[rule.act_cnt++], &def->acts[k]);
		if (!ret)
			ret = push_for_constants(&b, &rule, spots);
	}
	return ret;
}

int lower_exit(struct plan_spec *out, const struct lowering *lowering, const struct probe_def *probe)
{
	const struct spots nowhere = {.constant_arg = -1};

	return lower(out, lowering, probe, &nowhere, NULL, NULL);
}

int lower_switch(struct plan_spec *out, const struct lowering *lowering, const struct probe_def *probe,
		 const struct spot *spot)
{
	struct builder b = {.low = lowering, .probe = probe, .spot = spot, .out = out};
	int number;

	builder_init(&b, NULL);
	number = lower_value(&b, probe->select);
	if (number < 0)
		return -E2BIG;
	out->spec.is_switch = 1;
	out->spec.select = (__u8)number;
	return 0;
}
