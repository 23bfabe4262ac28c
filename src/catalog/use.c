/* SPDX-License-Identifier: Apache-2.0 */
/* use.c - names that nothing uses, rows of no use, slots that never hold what is wanted of them. */
#include <string.h>

#include "catalog/server.h"

/* What is known of the file's names; by index. */
struct uses {
	bool object[CATALOG_SLOTS], function[CATALOG_SLOTS], constant[CATALOG_SLOTS], layout[CATALOG_SLOTS];
	bool label_set[CATALOG_SLOTS], choice[CATALOG_SLOTS];
	bool read[CATALOG_SLOTS], remembered[CATALOG_SLOTS]; /* slots */
	bool holds_text[CATALOG_SLOTS], holds_number[CATALOG_SLOTS];
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

static void use_slot(struct uses *uses, const struct server_tables *tables, const struct probe_def *row,
		     const struct act_def *act)
{
	size_t slot = (size_t)(act->slot - tables->server->slots);
	enum value_kind kind = act->value >= 0 ? row->values[act->value].kind : VALUE_ARG;

	uses->remembered[slot] = true;
	if (kind == VALUE_RECALL || expr_is_text(kind))
		uses->holds_text[slot] = true;
	if (!expr_is_text(kind))
		uses->holds_number[slot] = true;
}

static void use_acts(struct uses *uses, const struct server_tables *tables, const struct probe_def *row,
		     const struct rule_def *rule)
{
	for (size_t i = 0; i < rule->act_cnt; i++) {
		const struct act_def *act = &rule->acts[i];

		if (act->kind == ACT_REMEMBER)
			use_slot(uses, tables, row, act);
		if (act->choice)
			uses->choice[act->choice - tables->server->choices] = true;
		for (size_t k = 0; k < act->dim_cnt; k++)
			uses->label_set[act->dims[k].set - tables->server->label_sets] = true;
	}
}

static void find_uses(struct uses *uses, const struct server_tables *tables)
{
	const struct server_def *server = tables->server;

	for (size_t i = 0; i < server->probe_cnt; i++) {
		const struct probe_def *row = &server->probes[i];

		if (row->object)
			uses->object[row->object - server->objects] = true;
		if (row->function)
			uses->function[row->function - tables->functions] = true;
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
	for (size_t i = 0; i < tables->function_cnt; i++)
		if (!uses->function[i])
			return fail_def(tables, &tables->functions[i], "no row is at function \"%s\" or its calls",
					tables->functions[i].name);
	for (size_t i = 0; i < scope->layout_cnt; i++)
		if (!uses->layout[i])
			return fail_def(tables, &scope->layouts[i], "nothing uses layout \"%s\"",
					scope->layouts[i].name);
	for (size_t i = 0; i < scope->constant_cnt; i++)
		if (!uses->constant[i])
			return fail_def(tables, &scope->constants[i], "nothing uses constant \"%s\"",
					scope->constants[i].name);
	for (size_t i = 0; i < server->label_set_cnt; i++)
		if (!uses->label_set[i])
			return fail_def(tables, &server->label_sets[i], "nothing uses [label.%s]",
					server->label_sets[i].name);
	for (size_t i = 0; i < server->choice_cnt; i++)
		if (!uses->choice[i])
			return fail_def(tables, &server->choices[i], "nothing uses [choice.%s]",
					server->choices[i].name);
	for (size_t i = 0; i < server->slot_cnt; i++)
		if (!uses->read[i] || !uses->remembered[i])
			return fail_def(tables, &server->slots[i], "nothing %s slot \"%s\"",
					uses->remembered[i] ? "reads" : "is remembered in", server->slots[i].name);
	return 0;
}

/* check_holds - can the slot, if the value is read from one, hold a text (a number)? */
static int check_holds(struct server_tables *tables, const struct uses *uses, const struct probe_def *row,
		       const struct rule_def *rule, int value, bool wants_text)
{
	const struct slot_def *slot = row->values[value].slot;
	const bool *holds = wants_text ? uses->holds_text : uses->holds_number;

	if (!slot || holds[slot - tables->server->slots])
		return 0;
	return fail_def(tables, rule, "slot \"%s\" never holds a %s", slot->name, wants_text ? "text" : "number");
}

/* check_slots_of_rule - a slot that only ever holds numbers never equals a text, and the other way round */
static int check_slots_of_rule(struct server_tables *tables, const struct uses *uses, const struct probe_def *row,
			       const struct rule_def *rule)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < rule->cond_cnt; i++)
		if (rule->conds[i].text)
			ret = check_holds(tables, uses, row, rule, rule->conds[i].value, true);
	for (size_t i = 0; !ret && i < rule->act_cnt; i++) {
		const struct act_def *act = &rule->acts[i];

		if (act->kind == ACT_CHOOSE || act->kind == ACT_OBSERVE)
			ret = check_holds(tables, uses, row, rule, act->value, act->kind == ACT_CHOOSE);
		for (size_t k = 0; !ret && k < act->dim_cnt; k++)
			ret = check_holds(tables, uses, row, rule, act->dims[k].value, true);
	}
	return ret;
}

static int check_slots(struct server_tables *tables, const struct uses *uses)
{
	const struct server_def *server = tables->server;
	int ret = 0;

	for (size_t i = 0; i < server->probe_cnt; i++)
		for (size_t k = 0; !ret && k < server->probes[i].rule_cnt; k++)
			ret = check_slots_of_rule(tables, uses, &server->probes[i], &server->probes[i].rules[k]);
	return ret;
}

/* is_useful - does the row count (or move a metric in another way), or change a slot that a useful row reads? */
static bool is_useful(const struct uses *uses, const struct server_def *server, const struct probe_def *row)
{
	for (size_t i = 0; i < row->rule_cnt; i++)
		for (size_t k = 0; k < row->rules[i].act_cnt; k++) {
			const struct act_def *act = &row->rules[i].acts[k];

			if (act_moves(act) || uses->live[act->slot - server->slots])
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

int check_uses(struct server_tables *tables)
{
	struct uses uses = {0};
	int ret;

	find_uses(&uses, tables);
	ret = check_slots(tables, &uses);
	if (!ret)
		ret = check_used(tables, &uses);
	return ret ? ret : check_useful(tables, &uses);
}
