/* SPDX-License-Identifier: Apache-2.0 */
/* meet.c - rows that meet at one place: do they go together, and do they say the same twice? */
#include <string.h>

#include "catalog/server.h"

static bool has_string(const char *const *items, size_t count, const char *wanted)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(items[i], wanted))
			return true;
	return false;
}

static bool lists_meet(const char **a, size_t a_cnt, const char **b, size_t b_cnt)
{
	for (size_t i = 0; i < a_cnt; i++)
		if (has_string(b, b_cnt, a[i]))
			return true;
	return false;
}

/* constants_meet - can one call pass what both ask for? */
static bool constants_meet(const struct constant_match *a, const struct constant_match *b)
{
	if (a->arg < 0 || b->arg < 0 || a->arg != b->arg || !a->number_cnt != !b->number_cnt)
		return true;
	for (size_t i = 0; i < a->number_cnt; i++)
		for (size_t k = 0; k < b->number_cnt; k++)
			if ((uint32_t)a->numbers[i] == (uint32_t)b->numbers[k])
				return true;
	for (size_t i = 0; i < a->text_cnt; i++)
		for (size_t k = 0; k < b->text_cnt; k++) {
			size_t a_len = strlen(a->texts[i]), b_len = strlen(b->texts[k]);
			size_t len = a_len < b_len ? a_len : b_len;

			if (strncmp(a->texts[i], b->texts[k], len))
				continue;
			if (a_len == b_len || (a_len < b_len ? a->is_prefix[i] : b->is_prefix[k]))
				return true;
		}
	return false;
}

static bool stands_in_for(const struct probe_def *a, const struct probe_def *b)
{
	while (a && a != b)
		a = a->instead_of;
	return a != NULL;
}

static bool excludes_version(const struct probe_def *a, const struct probe_def *b)
{
	return a->if_symbol && b->unless_symbol && !strcmp(a->if_symbol, b->unless_symbol);
}

/* is_same_place - are both rows at one place of some file? */
static bool is_same_place(const struct probe_def *a, const struct probe_def *b)
{
	if (a->object != b->object || a->where != b->where || a->when != b->when || a->function != b->function ||
	    a->held != b->held)
		return false;
	if (stands_in_for(a, b) || stands_in_for(b, a) || excludes_version(a, b) || excludes_version(b, a))
		return false;
	if (!constants_meet(&a->constant, &b->constant))
		return false;
	return !a->symbol_cnt || lists_meet(a->symbols, a->symbol_cnt, b->symbols, b->symbol_cnt);
}

/* are_hit_together - can one hit concern both? */
static bool are_hit_together(const struct probe_def *a, const struct probe_def *b)
{
	if (a->select >= 0 && b->select >= 0 && strcmp(a->select_text, b->select_text))
		return false;
	return !a->who_cnt || !b->who_cnt || lists_meet(a->who, a->who_cnt, b->who, b->who_cnt);
}

/* is_same_expression - do value `a_value` of one row and `b_value` of another compute the same? */
static bool is_same_expression(const struct probe_def *a, int a_value, const struct probe_def *b, int b_value)
{
	int in_b[CATALOG_VALUES]; /* by value of `a`: the equal one of `b`, or -1 */

	for (int i = 0; i <= a_value; i++) {
		struct value_def value = a->values[i];

		in_b[i] = -1;
		if ((value.base >= 0 && in_b[value.base] < 0) || (value.other >= 0 && in_b[value.other] < 0))
			continue;
		value.base = value.base < 0 ? -1 : in_b[value.base];
		value.other = value.other < 0 ? -1 : in_b[value.other];
		for (size_t k = 0; k < b->value_cnt && in_b[i] < 0; k++)
			if (expr_same_value(&value, &b->values[k]))
				in_b[i] = (int)k;
	}
	return in_b[a_value] == b_value;
}

/* is_same_lookup - do both look the same texts up, in the same tables? */
static bool is_same_lookup(const struct probe_def *a, const struct act_def *a_act, const struct probe_def *b,
			   const struct act_def *b_act)
{
	if (a_act->dim_cnt != b_act->dim_cnt || a_act->choice != b_act->choice)
		return false;
	for (size_t i = 0; i < a_act->dim_cnt; i++)
		if (a_act->dims[i].set != b_act->dims[i].set ||
		    !is_same_expression(a, a_act->dims[i].value, b, b_act->dims[i].value))
			return false;
	return !a_act->choice || is_same_expression(a, a_act->value, b, b_act->value);
}

/* moves_the_same - the same event in the same way, with the same labels */
static bool moves_the_same(const struct probe_def *a, const struct act_def *a_act, const struct probe_def *b,
			   const struct act_def *b_act)
{
	return act_moves(a_act) && a_act->kind == b_act->kind && a_act->event == b_act->event &&
	       a_act->number == b_act->number &&
	       is_same_labels(a_act->labels, a_act->label_cnt, b_act->labels, b_act->label_cnt) &&
	       is_same_lookup(a, a_act, b, b_act);
}

/* moved_twice - an action that both rows do at every hit, with the same labels */
static const struct act_def *moved_twice(const struct probe_def *a, const struct probe_def *b)
{
	const struct rule_def *left = a->rules, *right = b->rules;

	if (left->cond_cnt || right->cond_cnt)
		return NULL;
	for (size_t i = 0; i < left->act_cnt; i++)
		for (size_t k = 0; k < right->act_cnt; k++)
			if (moves_the_same(a, &left->acts[i], b, &right->acts[k]))
				return &left->acts[i];
	return NULL;
}

static int fail_twice(struct server_tables *tables, const struct probe_def *earlier, const struct probe_def *row,
		      const struct act_def *act)
{
	static const char *const verbs[] = {
	    [ACT_COUNT] = "counts",     [ACT_CHOOSE] = "counts by choice",
	    [ACT_OBSERVE] = "observes", [ACT_ADD] = "adds to",
	    [ACT_HOLD] = "holds",       [ACT_RELEASE] = "releases",
	};

	return fail_def(tables, row, "the row in line %d %s \"%s\" at the same place already", earlier->line,
			act->number < 0 ? "subtracts from" : verbs[act->kind],
			act->choice ? act->choice->name : act->event->name);
}

/* check_pair - `row` and an earlier one at the same place */
static int check_pair(struct server_tables *tables, const struct probe_def *earlier, const struct probe_def *row)
{
	const struct act_def *act;

	if (earlier->select >= 0 && row->select >= 0 && !is_same_expression(earlier, earlier->select, row, row->select))
		return fail_def(tables, row, "the row in line %d is at the same place and selects by %s, not by %s",
				earlier->line, earlier->values[earlier->select].name, row->values[row->select].name);
	act = are_hit_together(earlier, row) ? moved_twice(earlier, row) : NULL;
	return act ? fail_twice(tables, earlier, row, act) : 0;
}

/* check_meetings - `row` and all earlier ones at its place. One hit runs a chain of specs: the rows without
 * "select" and one switch; and within the switch the rows that select the same text. */
int check_meetings(struct server_tables *tables, const struct probe_def *row)
{
	const struct probe_def *rows = tables->server->probes;
	size_t plain = 0, same_text = 0;
	bool has_switch = row->select >= 0;

	for (size_t i = 0; i < row->index; i++) {
		int ret;

		if (!is_same_place(&rows[i], row))
			continue;
		ret = check_pair(tables, &rows[i], row);
		if (ret)
			return ret;
		if (rows[i].select < 0)
			plain++;
		else if (row->select >= 0 && !strcmp(rows[i].select_text, row->select_text))
			same_text++;
		has_switch = has_switch || rows[i].select >= 0;
		if (row->where == WHERE_EXIT)
			return fail_def(tables, row, "the row in line %d says what that end means already",
					rows[i].line);
	}
	plain += row->select < 0;
	if (plain + has_switch > PROBE_CHAIN)
		return fail_def(tables, row, "more than %d rows at this place (all with \"select\" are one)",
				PROBE_CHAIN);
	if (same_text == PROBE_CHAIN)
		return fail_def(tables, row, "more than %d rows at this place select %s", PROBE_CHAIN,
				shown(tables->reader, row->select_text));
	return 0;
}
