/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what only the whole file shows: rules that cannot be reached, rows that meet at one place, names that
 * nothing uses, and the list of all events. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "catalog/cond.h"
#include "catalog/server.h"

#define fail_def(tables, def, ...) fail_place((tables)->reader, (def)->line, (def)->col, __VA_ARGS__)

/* ---- the rules of one row */

static int check_rules(struct server_tables *tables, const struct probe_def *row)
{
	const struct rule_def *last = &row->rules[row->rule_cnt - 1];
	size_t rules = row->rule_cnt * (row->who_cnt ? row->who_cnt : 1);

	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < i; k++)
			if (rule_shadows(&row->rules[k], &row->rules[i]))
				return fail_def(
				    tables, &row->rules[i],
				    "this rule is never reached: the one in line %d, column %d comes before it",
				    row->rules[k].line, row->rules[k].col);
	if (!last->act_cnt)
		return fail_def(tables, last, "this rule does nothing: it has no action, and no rule follows");
	if (rules > PROBE_SPEC_RULES)
		return fail_def(tables, row, "%zu rules for each of %zu process names are %zu, more than %d",
				row->rule_cnt, row->who_cnt, rules, PROBE_SPEC_RULES);
	return 0;
}

/* mark_needed - the values that rules compare, remember or use as keys, and all that those are made of */
static void mark_needed(const struct probe_def *row, bool needed[CATALOG_VALUES])
{
	if (row->select >= 0)
		needed[row->select] = true;
	for (size_t i = 0; i < row->rule_cnt; i++) {
		const struct rule_def *rule = &row->rules[i];

		for (size_t k = 0; k < rule->cond_cnt; k++) {
			const struct cond_def *cond = &rule->conds[k];

			/* The comparison reads the text itself. */
			if (cond->op == COND_PREFIX || cond->op == COND_CONTAINS)
				needed[row->values[cond->value].base] = true;
			else
				needed[cond->value] = true;
		}
		for (size_t k = 0; k < rule->act_cnt; k++) {
			if (rule->acts[k].kind != ACT_COUNT)
				needed[rule->acts[k].key] = true;
			if (rule->acts[k].value >= 0)
				needed[rule->acts[k].value] = true;
		}
	}
	for (size_t i = row->value_cnt; i-- > 0;) {
		if (needed[i] && row->values[i].base >= 0)
			needed[row->values[i].base] = true;
		if (needed[i] && row->values[i].other >= 0)
			needed[row->values[i].other] = true;
	}
}

/* is_same_comparison - one operation serves both: equal texts, or beginnings of one length */
static bool is_same_comparison(const struct cond_def *a, const struct cond_def *b)
{
	if (a->value != b->value || a->op != b->op)
		return false;
	return a->op == COND_PREFIX ? strlen(a->text) == strlen(b->text) : !strcmp(a->text, b->text);
}

/* count_comparisons - those with ^= and *=, which are operations of their own */
static size_t count_comparisons(const struct probe_def *row)
{
	const struct cond_def *seen[PROBE_SPEC_RULES * PROBE_RULE_CONDS];
	size_t count = 0;

	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < row->rules[i].cond_cnt; k++) {
			const struct cond_def *cond = &row->rules[i].conds[k];
			size_t n = 0;

			if (cond->op != COND_PREFIX && cond->op != COND_CONTAINS)
				continue;
			while (n < count && !is_same_comparison(seen[n], cond))
				n++;
			if (n == count)
				seen[count++] = cond;
		}
	return count;
}

/* check_values - do all operations of the row fit into one spec? */
static int check_values(struct server_tables *tables, const struct probe_def *row)
{
	bool needed[CATALOG_VALUES] = {false}, has_comm = !row->who_cnt;
	size_t count = count_comparisons(row);

	mark_needed(row, needed);
	for (size_t i = 0; i < row->value_cnt; i++) {
		count += needed[i];
		has_comm = has_comm || (needed[i] && row->values[i].kind == VALUE_COMM);
	}
	count += !has_comm;
	if (count > PROBE_SPEC_VALUES)
		return fail_def(tables, row,
				"this row needs %zu values, more than %d (\"who\" is one, each text of *= and each "
				"length of ^= as well)",
				count, PROBE_SPEC_VALUES);
	return 0;
}

/* check_constants - a constant is a fact about one object */
static int check_constant(struct server_tables *tables, const struct probe_def *row, const struct number_def *number)
{
	if (!number->constant || !strcmp(number->constant->object, row->object->name))
		return 0;
	return fail_def(tables, row, "constant \"%s\" is one of object \"%s\", this row is at \"%s\"",
			number->constant->name, number->constant->object, row->object->name);
}

static int check_constants(struct server_tables *tables, const struct probe_def *row)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < row->value_cnt; i++) {
		const struct layout_def *layout = row->values[i].layout;

		ret = check_constant(tables, row, &row->values[i].off);
		if (!layout)
			continue;
		const struct number_def *const numbers[] = {&layout->parent,    &layout->array,      &layout->key,
							    &layout->type,      &layout->text,       &layout->number,
							    &layout->type_text, &layout->type_number};

		for (size_t k = 0; !ret && k < sizeof(numbers) / sizeof(numbers[0]); k++)
			ret = check_constant(tables, row, numbers[k]);
	}
	return ret;
}

/* ---- rows at one place */

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
static bool constants_meet(const struct text_match *a, const struct text_match *b)
{
	if (a->arg < 0 || b->arg < 0 || a->arg != b->arg)
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
	if (a->object != b->object || a->where != b->where || a->when != b->when || a->callee != b->callee)
		return false;
	if (stands_in_for(a, b) || stands_in_for(b, a) || excludes_version(a, b) || excludes_version(b, a))
		return false;
	if (a->where == WHERE_CALL)
		return constants_meet(&a->constant, &b->constant);
	return lists_meet(a->symbols, a->symbol_cnt, b->symbols, b->symbol_cnt);
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

static bool is_same_labels(const struct act_def *a, const struct act_def *b)
{
	if (a->label_cnt != b->label_cnt)
		return false;
	for (size_t i = 0; i < a->label_cnt; i++)
		if (strcmp(a->labels[i].name, b->labels[i].name) || strcmp(a->labels[i].value, b->labels[i].value))
			return false;
	return true;
}

/* counted_twice - an event that both rows count, with the same labels, at every hit */
static const struct event_def *counted_twice(const struct probe_def *a, const struct probe_def *b)
{
	const struct rule_def *left = a->rules, *right = b->rules;

	if (left->cond_cnt || right->cond_cnt)
		return NULL;
	for (size_t i = 0; i < left->act_cnt; i++)
		for (size_t k = 0; k < right->act_cnt; k++)
			if (left->acts[i].kind == ACT_COUNT && left->acts[i].event == right->acts[k].event &&
			    is_same_labels(&left->acts[i], &right->acts[k]))
				return left->acts[i].event;
	return NULL;
}

/* check_pair - `row` and an earlier one at the same place */
static int check_pair(struct server_tables *tables, const struct probe_def *earlier, const struct probe_def *row)
{
	const struct event_def *event;

	if (earlier->select >= 0 && row->select >= 0 && !is_same_expression(earlier, earlier->select, row, row->select))
		return fail_def(tables, row, "the row in line %d is at the same place and selects by %s, not by %s",
				earlier->line, earlier->values[earlier->select].name, row->values[row->select].name);
	event = are_hit_together(earlier, row) ? counted_twice(earlier, row) : NULL;
	if (event)
		return fail_def(tables, row, "the row in line %d counts \"%s\" at the same place already",
				earlier->line, event->name);
	return 0;
}

/* check_meetings - `row` and all earlier ones at its place. One hit runs a chain of specs: the rows without
 * "select" and one switch; and within the switch the rows that select the same text. */
static int check_meetings(struct server_tables *tables, const struct probe_def *row)
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

/* ---- labels, events */

static bool has_label_names(const struct act_def *a, const struct act_def *b)
{
	if (a->label_cnt != b->label_cnt)
		return false;
	for (size_t i = 0; i < a->label_cnt; i++)
		if (strcmp(a->labels[i].name, b->labels[i].name))
			return false;
	return true;
}

/* What is known of an event while all rules are gone through. */
struct first_count {
	const struct act_def *act;
	int line;
};

static int note_count(struct server_tables *tables, struct first_count *firsts, const struct rule_def *rule,
		      const struct act_def *act)
{
	struct first_count *first = &firsts[act->event - tables->events->items];

	if (!first->act) {
		*first = (struct first_count){act, rule->line};
		tables->server->event_cnt++;
	}
	if (!has_label_names(first->act, act))
		return fail_def(tables, rule, "\"%s\" has other labels here than in line %d", act->event->name,
				first->line);
	return 0;
}

static int list_events(struct server_tables *tables)
{
	struct server_def *server = tables->server;
	struct arena *mem = tables->reader->mem;
	struct first_count *firsts = arena_array(mem, tables->events->count, sizeof(*firsts));
	size_t n = 0;

	for (size_t i = 0; i < server->probe_cnt; i++)
		for (size_t k = 0; k < server->probes[i].rule_cnt; k++) {
			const struct rule_def *rule = &server->probes[i].rules[k];

			for (size_t a = 0; a < rule->act_cnt; a++) {
				int ret = rule->acts[a].kind == ACT_COUNT
					      ? note_count(tables, firsts, rule, &rule->acts[a])
					      : 0;

				if (ret)
					return ret;
			}
		}
	server->events = arena_array(mem, server->event_cnt, sizeof(*server->events));
	for (size_t i = 0; i < tables->events->count; i++) /* they are sorted */
		if (firsts[i].act)
			server->events[n++] = &tables->events->items[i];
	return 0;
}

/* ---- what nothing uses */

/* What is known of the file's names; by index. */
struct uses {
	bool object[CATALOG_SLOTS], callee[CATALOG_SLOTS], constant[CATALOG_SLOTS], layout[CATALOG_SLOTS];
	bool read[CATALOG_SLOTS], remembered[CATALOG_SLOTS], holds_text[CATALOG_SLOTS]; /* slots */
	bool live[CATALOG_SLOTS]; /* slots that a useful row reads */
};

static void use_constant(struct uses *uses, const struct server_tables *tables, const struct number_def *number)
{
	if (number->constant)
		uses->constant[number->constant - tables->scope.constants] = true;
}

static void use_layout(struct uses *uses, const struct server_tables *tables, const struct layout_def *layout)
{
	uses->layout[layout - tables->scope.layouts] = true;
	use_constant(uses, tables, &layout->parent);
	use_constant(uses, tables, &layout->array);
	use_constant(uses, tables, &layout->key);
	use_constant(uses, tables, &layout->type);
	use_constant(uses, tables, &layout->text);
	use_constant(uses, tables, &layout->number);
	use_constant(uses, tables, &layout->type_text);
	use_constant(uses, tables, &layout->type_number);
}

static void use_acts(struct uses *uses, const struct server_tables *tables, const struct probe_def *row,
		     const struct rule_def *rule)
{
	for (size_t i = 0; i < rule->act_cnt; i++) {
		const struct act_def *act = &rule->acts[i];
		size_t slot = act->slot ? (size_t)(act->slot - tables->server->slots) : 0;

		if (act->kind != ACT_REMEMBER)
			continue;
		uses->remembered[slot] = true;
		if (act->value >= 0 &&
		    (expr_is_text(row->values[act->value].kind) || row->values[act->value].kind == VALUE_RECALL))
			uses->holds_text[slot] = true;
	}
}

static void find_uses(struct uses *uses, const struct server_tables *tables)
{
	const struct server_def *server = tables->server;

	for (size_t i = 0; i < server->probe_cnt; i++) {
		const struct probe_def *row = &server->probes[i];

		uses->object[row->object - server->objects] = true;
		if (row->callee)
			uses->callee[row->callee - tables->callees] = true;
		for (size_t k = 0; k < row->value_cnt; k++) {
			use_constant(uses, tables, &row->values[k].off);
			if (row->values[k].layout)
				use_layout(uses, tables, row->values[k].layout);
			if (row->values[k].slot)
				uses->read[row->values[k].slot - server->slots] = true;
		}
		for (size_t k = 0; k < row->rule_cnt; k++)
			use_acts(uses, tables, row, &row->rules[k]);
	}
}

static int check_used(struct server_tables *tables, const struct uses *uses)
{
	const struct server_def *server = tables->server;
	const struct expr_scope *scope = &tables->scope;

	for (size_t i = 0; i < server->object_cnt; i++)
		if (!uses->object[i])
			return fail_def(tables, &server->objects[i], "no row is at object \"%s\"",
					server->objects[i].name);
	for (size_t i = 0; i < tables->callee_cnt; i++)
		if (!uses->callee[i])
			return fail_def(tables, &tables->callees[i], "no row is at calls of \"%s\"",
					tables->callees[i].name);
	for (size_t i = 0; i < scope->layout_cnt; i++)
		if (!uses->layout[i])
			return fail_def(tables, &scope->layouts[i], "nothing uses layout \"%s\"",
					scope->layouts[i].name);
	for (size_t i = 0; i < scope->constant_cnt; i++)
		if (!uses->constant[i])
			return fail_def(tables, &scope->constants[i], "nothing uses constant \"%s\"",
					scope->constants[i].name);
	for (size_t i = 0; i < server->slot_cnt; i++)
		if (!uses->read[i] || !uses->remembered[i])
			return fail_def(tables, &server->slots[i], "nothing %s slot \"%s\"",
					uses->remembered[i] ? "reads" : "is remembered in", server->slots[i].name);
	return 0;
}

/* check_slot_texts - a slot that only ever holds numbers never equals a text */
static int check_slot_texts(struct server_tables *tables, const struct uses *uses, const struct probe_def *row)
{
	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < row->rules[i].cond_cnt; k++) {
			const struct cond_def *cond = &row->rules[i].conds[k];
			const struct slot_def *slot = row->values[cond->value].slot;

			if (cond->text && slot && !uses->holds_text[slot - tables->server->slots])
				return fail_def(tables, &row->rules[i], "slot \"%s\" never holds a text", slot->name);
		}
	return 0;
}

/* is_useful - does the row count, or change a slot that a useful row reads? */
static bool is_useful(const struct uses *uses, const struct server_def *server, const struct probe_def *row)
{
	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < row->rules[i].act_cnt; k++) {
			const struct act_def *act = &row->rules[i].acts[k];

			if (act->kind == ACT_COUNT || uses->live[act->slot - server->slots])
				return true;
		}
	return false;
}

static int check_useful(struct server_tables *tables, struct uses *uses)
{
	const struct server_def *server = tables->server;
	bool has_changed = true;

	while (has_changed) { /* a slot more each time */
		has_changed = false;
		for (size_t i = 0; i < server->probe_cnt; i++)
			for (size_t k = 0; k < server->probes[i].value_cnt; k++) {
				const struct slot_def *slot = server->probes[i].values[k].slot;

				if (!slot || uses->live[slot - server->slots] ||
				    !is_useful(uses, server, &server->probes[i]))
					continue;
				uses->live[slot - server->slots] = has_changed = true;
			}
	}
	for (size_t i = 0; i < server->probe_cnt; i++)
		if (!is_useful(uses, server, &server->probes[i]))
			return fail_def(
			    tables, &server->probes[i],
			    "this row is of no use: it counts nothing, and no row that counts reads what it remembers");
	return 0;
}

int check_server(struct server_tables *tables)
{
	const struct server_def *server = tables->server;
	struct uses uses = {0};
	int ret = 0;

	find_uses(&uses, tables);
	for (size_t i = 0; !ret && i < server->probe_cnt; i++) {
		const struct probe_def *row = &server->probes[i];

		ret = check_rules(tables, row);
		if (!ret)
			ret = check_values(tables, row);
		if (!ret)
			ret = check_constants(tables, row);
		if (!ret)
			ret = check_slot_texts(tables, &uses, row);
		if (!ret)
			ret = check_meetings(tables, row);
	}
	if (!ret)
		ret = check_used(tables, &uses);
	if (!ret)
		ret = check_useful(tables, &uses);
	return ret ? ret : list_events(tables);
}
