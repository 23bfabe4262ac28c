/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - what one row shows once it has been read: rules that cannot be reached, values that do not fit, constants
 * of another object; and the order of all checks of a file. */
#include <string.h>

#include "catalog/cond.h"
#include "catalog/server.h"

/* check_exit - rules for the end of a process, which holds nothing afterwards */
static int check_exit(struct server_tables *tables, const struct probe_def *row, size_t rules)
{
	if (rules > PROBE_END_RULES)
		return fail_def(tables, row, "%zu rules (for each process name) with \"exit\", where %d are the most",
				rules, PROBE_END_RULES);
	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < row->rules[i].act_cnt; k++)
			if (row->rules[i].acts[k].kind == ACT_HOLD || row->rules[i].acts[k].kind == ACT_RELEASE)
				return fail_def(tables, &row->rules[i],
						"a process that ends holds nothing any more, without a rule for it");
	return 0;
}

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
	if (row->where == WHERE_EXIT)
		return check_exit(tables, row, rules);
	if (rules > PROBE_SPEC_RULES)
		return fail_def(tables, row, "%zu rules for each of %zu process names are %zu, more than %d",
				row->rule_cnt, row->who_cnt, rules, PROBE_SPEC_RULES);
	return 0;
}

/* mark_conditions - what conditions compare */
static void mark_conditions(const struct probe_def *row, const struct rule_def *rule, bool needed[CATALOG_VALUES])
{
	for (size_t i = 0; i < rule->cond_cnt; i++) {
		const struct cond_def *cond = &rule->conds[i];

		/* The comparison reads the text itself. */
		if (cond->op == COND_PREFIX || cond->op == COND_CONTAINS)
			needed[row->values[cond->value].base] = true;
		else
			needed[cond->value] = true;
	}
}

/* mark_actions - what actions observe, look up, remember or use as keys */
static void mark_actions(const struct rule_def *rule, bool needed[CATALOG_VALUES])
{
	for (size_t i = 0; i < rule->act_cnt; i++) {
		const struct act_def *act = &rule->acts[i];

		if (!act_moves(act))
			needed[act->key] = true;
		if (act->value >= 0)
			needed[act->value] = true;
		for (size_t k = 0; k < act->dim_cnt; k++)
			needed[act->dims[k].value] = true;
	}
}

/* mark_needed - the values that rules use, and all that those are made of */
static void mark_needed(const struct probe_def *row, bool needed[CATALOG_VALUES])
{
	if (row->select >= 0)
		needed[row->select] = true;
	for (size_t i = 0; i < row->rule_cnt; i++) {
		mark_conditions(row, &row->rules[i], needed);
		mark_actions(&row->rules[i], needed);
	}
	for (size_t i = row->value_cnt; i-- > 0;) {
		const struct value_def *value = &row->values[i];
		/* These read the text themselves, which they are written of. */
		bool is_of_text = value->kind == VALUE_HEAD || value->kind == VALUE_UPPER;

		if (needed[i] && value->base >= 0)
			needed[is_of_text ? row->values[value->base].base : value->base] = true;
		if (needed[i] && value->other >= 0)
			needed[value->other] = true;
	}
}

/* is_same_comparison - one operation serves both: equal texts, or beginnings of one length */
static bool is_same_comparison(const struct cond_def *a, const struct cond_def *b)
{
	if (a->value != b->value || a->op != b->op)
		return false;
	return a->op == COND_PREFIX ? strlen(a->text) == strlen(b->text) : !strcmp(a->text, b->text);
}

/* is_head - does a value of the row read this beginning anyhow? */
static bool is_head(const struct probe_def *row, const bool needed[CATALOG_VALUES], const struct cond_def *cond)
{
	for (size_t i = 0; i < row->value_cnt; i++)
		if (needed[i] && cond->op == COND_PREFIX && row->values[i].kind == VALUE_HEAD &&
		    row->values[i].base == cond->value && row->values[i].size == (int)strlen(cond->text))
			return true;
	return false;
}

/* count_comparisons - those with ^= and *=, which are operations of their own */
static size_t count_comparisons(const struct probe_def *row, const bool needed[CATALOG_VALUES])
{
	const struct cond_def *seen[PROBE_SPEC_RULES * PROBE_RULE_CONDS];
	size_t count = 0;

	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < row->rules[i].cond_cnt; k++) {
			const struct cond_def *cond = &row->rules[i].conds[k];
			size_t n = 0;

			if ((cond->op != COND_PREFIX && cond->op != COND_CONTAINS) || is_head(row, needed, cond))
				continue;
			while (n < count && !is_same_comparison(seen[n], cond))
				n++;
			if (n == count)
				seen[count++] = cond;
		}
	return count;
}

/* A text that is looked up: an operation of its own, for each distance that its values have in a block of cells. */
struct lookup {
	const void *table; /* the label_set or choice_def */
	int value;
	size_t cells;
};

struct lookups {
	struct lookup items[PROBE_SPEC_RULES * PROBE_RULE_ACTS * PROBE_ACT_CELLS];
	size_t count;
};

static void add_lookup(struct lookups *lookups, const void *table, int value, size_t cells)
{
	for (size_t i = 0; i < lookups->count; i++) {
		const struct lookup *item = &lookups->items[i];

		if (item->table == table && item->value == value && item->cells == cells)
			return;
	}
	lookups->items[lookups->count++] = (struct lookup){table, value, cells};
}

/* count_lookups - the last label of an action changes fastest, its choice slowest */
static size_t count_lookups(const struct probe_def *row)
{
	struct lookups lookups = {.count = 0};

	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < row->rules[i].act_cnt; k++) {
			const struct act_def *act = &row->rules[i].acts[k];
			size_t cells = act->kind == ACT_OBSERVE ? act->event->bound_cnt + 2 : 1;

			for (size_t n = act->dim_cnt; n-- > 0; cells *= act->dims[n].set->value_cnt)
				add_lookup(&lookups, act->dims[n].set, act->dims[n].value, cells);
			if (act->kind == ACT_CHOOSE)
				add_lookup(&lookups, act->choice, act->value, cells);
		}
	return lookups.count;
}

/* check_values - do all operations of the row fit into one spec? */
static int check_values(struct server_tables *tables, const struct probe_def *row)
{
	bool needed[CATALOG_VALUES] = {false}, has_comm = !row->who_cnt;
	size_t count = count_lookups(row) + (row->constant.arg >= 0);

	mark_needed(row, needed);
	count += count_comparisons(row, needed);
	for (size_t i = 0; i < row->value_cnt; i++) {
		count += needed[i];
		has_comm = has_comm || (needed[i] && row->values[i].kind == VALUE_COMM);
	}
	count += !has_comm;
	if (count > PROBE_SPEC_VALUES)
		return fail_def(tables, row,
				"this row needs %zu values, more than %d (\"who\" is one, each text of *=, each length "
				"of ^= and each looked-up text as well)",
				count, PROBE_SPEC_VALUES);
	return 0;
}

/* check_constants - a constant is a fact about one object */
static int check_constant(struct server_tables *tables, const struct probe_def *row, const struct number_def *number)
{
	if (!number->constant || (row->object && !strcmp(number->constant->object, row->object->name)))
		return 0;
	if (!row->object)
		return fail_def(tables, row, "constant \"%s\" is one of object \"%s\", this row is at no file",
				number->constant->name, number->constant->object);
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

int check_server(struct server_tables *tables)
{
	const struct server_def *server = tables->server;
	int ret = 0;

	for (size_t i = 0; !ret && i < server->probe_cnt; i++) {
		const struct probe_def *row = &server->probes[i];

		ret = check_rules(tables, row);
		if (!ret)
			ret = check_values(tables, row);
		if (!ret)
			ret = check_constants(tables, row);
		if (!ret)
			ret = check_meetings(tables, row);
	}
	if (!ret)
		ret = check_uses(tables);
	return ret ? ret : check_series(tables);
}
