/* SPDX-License-Identifier: Apache-2.0 */
/* rule.c - reads the rules of a row: what is counted, observed, added, held and remembered, and with which labels. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "catalog/server.h"

int strings_of(struct reader *reader, const struct toml_node *node, const struct toml_node **items, size_t *count)
{
	bool is_list = node && node->kind == TOML_ARRAY;

	*items = is_list ? node->items : node;
	*count = is_list ? node->count : node ? 1 : 0;
	return is_list && !node->count ? fail_value(reader, node, "an empty list") : 0;
}

/* ---- labels */

static int by_label_name(const void *a, const void *b)
{
	const struct label_def *left = a, *right = b;

	return strcmp(left->name, right->name);
}

int read_labels(struct reader *reader, const struct toml_node *node, struct label_def **out, size_t *count)
{
	int ret = read_kind(reader, node, TOML_TABLE);

	if (ret)
		return ret;
	if (!node->count || node->count > LABELS_MAX)
		return fail_value(reader, node, "1 to %d labels are wanted here, not %zu", LABELS_MAX, node->count);
	*out = arena_array(reader->mem, node->count, sizeof(**out));
	for (size_t i = 0; i < node->count; i++) {
		const struct toml_node *item = &node->items[i];

		ret = check_label_name(reader, item);
		if (!ret)
			ret = read_label_value(reader, item, &(*out)[i].value);
		if (ret)
			return ret;
		(*out)[i].name = item->key;
	}
	*count = node->count;
	qsort(*out, *count, sizeof(**out), by_label_name);
	return 0;
}

bool is_same_labels(const struct label_def *a, size_t a_cnt, const struct label_def *b, size_t b_cnt)
{
	if (a_cnt != b_cnt)
		return false;
	for (size_t i = 0; i < a_cnt; i++)
		if (strcmp(a[i].name, b[i].name) || strcmp(a[i].value, b[i].value))
			return false;
	return true;
}

/* A rule while it is read. */
struct rule_reader {
	struct server_tables *tables;
	struct expr_values *values;
	const struct toml_node *node; /* of the rule, or of a row that is one */
	struct rule_def *rule;
	struct label_def *labels;
	size_t label_cnt;
	struct dim_def *dims;
	size_t dim_cnt;
};

static int by_set_name(const void *a, const void *b)
{
	const struct dim_def *left = a, *right = b;

	return strcmp(left->set->name, right->set->name);
}

/* read_dim - LABEL = "E" */
static int read_dim(struct rule_reader *r, const struct toml_node *node, struct dim_def *dim)
{
	struct reader *reader = r->tables->reader;
	bool can_be = false;
	int ret = find_label_set(r->tables, node, &dim->set);

	for (size_t i = 0; !ret && i < r->label_cnt; i++)
		if (!strcmp(r->labels[i].name, dim->set->name))
			ret = fail_key(reader, node, "\"labels\" has a label \"%s\" already", dim->set->name);
	if (!ret)
		ret = expr_looked_up(r->values, node, &dim->value);
	for (size_t i = 0; !ret && i < dim->set->text_cnt; i++)
		can_be = can_be || expr_can_be(&r->values->items[dim->value], dim->set->texts[i].text);
	if (!ret && !can_be)
		ret = fail_value(reader, node, "this is never one of the texts of [label.%s]", dim->set->name);
	return ret;
}

/* read_dims - by = { LABEL = "E", ... } */
static int read_dims(struct rule_reader *r, const struct toml_node *node)
{
	struct reader *reader = r->tables->reader;
	size_t max = PROBE_ACT_CELLS - (toml_get(r->node, "choose") ? 1 : 0);
	int ret = read_kind(reader, node, TOML_TABLE);

	if (ret)
		return ret;
	if (!node->count || node->count > max)
		return fail_value(reader, node, "1 to %zu looked-up labels are wanted here%s, not %zu", max,
				  max < PROBE_ACT_CELLS ? " beside \"choose\"" : "", node->count);
	if (r->label_cnt + node->count > LABELS_MAX)
		return fail_value(reader, node, "%zu labels with those of \"labels\", where %d are the most",
				  r->label_cnt + node->count, LABELS_MAX);
	r->dims = arena_array(reader->mem, node->count, sizeof(*r->dims));
	for (size_t i = 0; !ret && i < node->count; i++)
		ret = read_dim(r, &node->items[i], &r->dims[r->dim_cnt++]);
	if (!ret)
		qsort(r->dims, r->dim_cnt, sizeof(*r->dims), by_set_name);
	return ret;
}

/* ---- actions */

size_t act_cells(const struct act_def *act)
{
	size_t cells = act->kind == ACT_CHOOSE ? act->choice->text_cnt : 1;

	for (size_t i = 0; i < act->dim_cnt; i++)
		cells *= act->dims[i].set->value_cnt;
	return act->kind == ACT_OBSERVE ? cells * (act->event->bound_cnt + 2) : cells;
}

/* moves_both - an event that both actions move, or NULL */
static const struct event_def *moves_both(const struct act_def *a, const struct act_def *b)
{
	const struct event_def *left, *right;

	for (size_t i = 0; (left = act_event(a, i)); i++)
		for (size_t k = 0; (right = act_event(b, k)); k++)
			if (left == right)
				return left;
	return NULL;
}

/* add_act - one that moves something; `node` is where it stands */
static int add_act(struct rule_reader *r, const struct toml_node *node, struct act_def act)
{
	struct reader *reader = r->tables->reader;
	size_t cells;

	if (act.kind != ACT_HOLD && act.kind != ACT_RELEASE) {
		act.labels = r->labels;
		act.label_cnt = r->label_cnt;
		act.dims = r->dims;
		act.dim_cnt = r->dim_cnt;
	}
	cells = act_cells(&act);
	if (cells > CELLS_MAX)
		return fail_value(reader, node,
				  "all values of its looked-up labels together need %zu cells, where %d are the most",
				  cells, CELLS_MAX);
	for (size_t i = 0; i < r->rule->act_cnt; i++) {
		const struct event_def *event = moves_both(&r->rule->acts[i], &act);

		if (event)
			return fail_value(reader, node, "this rule %s \"%s\" already",
					  event->kind == EVENT_COUNTER ? "counts" : "changes", event->name);
	}
	r->rule->acts[r->rule->act_cnt++] = act;
	return 0;
}

static int read_count(struct rule_reader *r, const struct toml_node *node)
{
	struct act_def act = {.kind = ACT_COUNT, .value = -1};
	int ret = read_event_name(r->tables, node, EVENT_COUNTER, &act.event);

	return ret ? ret : add_act(r, node, act);
}

/* read_choose - CHOICE = "E" */
static int read_choose(struct rule_reader *r, const struct toml_node *node)
{
	struct act_def act = {.kind = ACT_CHOOSE, .value = -1};
	bool can_be = false;
	int ret = find_choice(r->tables, node, &act.choice);

	if (!ret)
		ret = expr_looked_up(r->values, node, &act.value);
	for (size_t i = 0; !ret && i < act.choice->text_cnt; i++)
		can_be = can_be || expr_can_be(&r->values->items[act.value], act.choice->texts[i].text);
	if (!ret && !can_be)
		ret = fail_value(r->tables->reader, node, "this is never one of the texts of [choice.%s]",
				 act.choice->name);
	return ret ? ret : add_act(r, node, act);
}

/* read_observe - "EVENT" = "E" */
static int read_observe(struct rule_reader *r, const struct toml_node *node)
{
	struct act_def act = {.kind = ACT_OBSERVE, .value = -1};
	int ret = read_event_key(r->tables, node, EVENT_HISTOGRAM, &act.event);

	if (!ret)
		ret = expr_observed(r->values, node, &act.value);
	return ret ? ret : add_act(r, node, act);
}

static int read_gauge_act(struct rule_reader *r, const struct toml_node *node, struct act_def act)
{
	int ret = read_event_name(r->tables, node, EVENT_GAUGE, &act.event);

	return ret ? ret : add_act(r, node, act);
}

static int read_add(struct rule_reader *r, const struct toml_node *node)
{
	return read_gauge_act(r, node, (struct act_def){.kind = ACT_ADD, .value = -1, .number = 1});
}

static int read_subtract(struct rule_reader *r, const struct toml_node *node)
{
	return read_gauge_act(r, node, (struct act_def){.kind = ACT_ADD, .value = -1, .number = -1});
}

static int read_hold(struct rule_reader *r, const struct toml_node *node)
{
	return read_gauge_act(r, node, (struct act_def){.kind = ACT_HOLD, .value = -1});
}

static int read_release(struct rule_reader *r, const struct toml_node *node)
{
	return read_gauge_act(r, node, (struct act_def){.kind = ACT_RELEASE, .value = -1});
}

static int read_remember(struct rule_reader *r, const struct toml_node *node)
{
	return expr_remember(r->values, node, &r->rule->acts[r->rule->act_cnt++]);
}

static int read_forget(struct rule_reader *r, const struct toml_node *node)
{
	return expr_forget(r->values, node, &r->rule->acts[r->rule->act_cnt++]);
}

/* Keys of a rule that make actions, in the order in which those are done. */
static const struct act_key {
	const char *key;
	bool is_table; /* { NAME = "E" }, else a text or a list */
	bool has_labels;
	int (*read)(struct rule_reader *r, const struct toml_node *node);
} act_keys[] = {
    {"count", false, true, read_count},       {"choose", true, true, read_choose},
    {"observe", true, true, read_observe},    {"add", false, true, read_add},
    {"subtract", false, true, read_subtract}, {"hold", false, false, read_hold},
    {"release", false, false, read_release},  {"remember", false, false, read_remember},
    {"forget", false, false, read_forget},
};
#define ACT_KEYS (sizeof(act_keys) / sizeof(act_keys[0]))

/* What stands behind one of those keys. */
struct act_list {
	const struct toml_node *items;
	size_t count;
};

static int read_list(struct reader *reader, const struct act_key *key, const struct toml_node *node,
		     struct act_list *list)
{
	int ret;

	if (!node || !key->is_table)
		return strings_of(reader, node, &list->items, &list->count);
	ret = read_kind(reader, node, TOML_TABLE);
	if (!ret && !node->count)
		ret = fail_value(reader, node, "an empty table");
	list->items = node->items;
	list->count = node->count;
	return ret;
}

/* read_labels_of_rule - `labels` and `by`, which belong to all actions of the rule that can have them */
static int read_labels_of_rule(struct rule_reader *r, bool has_labelled_act)
{
	struct reader *reader = r->tables->reader;
	const struct toml_node *labels = toml_get(r->node, "labels"), *by = toml_get(r->node, "by");
	int ret = 0;

	if ((labels || by) && !has_labelled_act)
		return fail_key(reader, labels ? labels : by,
				"labels of nothing: this rule neither counts, observes nor adds");
	if (labels)
		ret = read_labels(reader, labels, &r->labels, &r->label_cnt);
	return ret || !by ? ret : read_dims(r, by);
}

/* read_acts - all actions of a rule; `count` is what it counts, also that of a row which is a rule */
static int read_acts(struct rule_reader *r, const struct toml_node *count)
{
	struct reader *reader = r->tables->reader;
	struct act_list lists[ACT_KEYS];
	bool has_labelled_act = false;
	size_t total = 0;
	int ret = 0;

	for (size_t i = 0; !ret && i < ACT_KEYS; i++) {
		const struct toml_node *node = i ? toml_get(r->node, act_keys[i].key) : count;

		ret = read_list(reader, &act_keys[i], node, &lists[i]);
		total += ret ? 0 : lists[i].count;
		if (!ret && total > PROBE_RULE_ACTS)
			ret = fail_value(reader, node, "more than %d actions in one rule", PROBE_RULE_ACTS);
		has_labelled_act = has_labelled_act || (node && act_keys[i].has_labels);
	}
	if (!ret)
		ret = read_labels_of_rule(r, has_labelled_act);
	if (ret)
		return ret;
	r->rule->acts = arena_array(reader->mem, total, sizeof(*r->rule->acts));
	for (size_t i = 0; i < ACT_KEYS; i++)
		for (size_t k = 0; !ret && k < lists[i].count; k++)
			ret = act_keys[i].read(r, &lists[i].items[k]);
	return ret;
}

/* ---- rules */

static int read_rule(struct server_tables *tables, struct expr_values *values, const struct toml_node *node,
		     size_t max_conds, struct rule_def *rule)
{
	static const char *const keys[] = {"if",   "count",   "choose", "observe", "add",      "subtract",
					   "hold", "release", "labels", "by",      "remember", "forget"};
	struct rule_reader r = {.tables = tables, .values = values, .node = node, .rule = rule};
	const struct toml_node *condition;
	int ret = read_keys(tables->reader, node, KEYS(keys));

	if (ret)
		return ret;
	*rule = (struct rule_def){.line = (int)node->line, .col = (int)node->col};
	condition = toml_get(node, "if");
	if (condition)
		ret = expr_conditions(values, condition, max_conds, &rule->conds, &rule->cond_cnt);
	return ret ? ret : read_acts(&r, toml_get(node, "count"));
}

/* read_only_rule - of a row with `event` */
static int read_only_rule(struct server_tables *tables, struct expr_values *values, const struct toml_node *row,
			  const struct toml_node *event, struct probe_def *probe)
{
	struct rule_reader r = {.tables = tables, .values = values, .node = row};

	probe->rule_cnt = 1;
	probe->rules = r.rule = arena_alloc(tables->reader->mem, sizeof(*probe->rules));
	r.rule->line = (int)event->line;
	r.rule->col = (int)event->col;
	return read_acts(&r, event);
}

int read_rules(struct server_tables *tables, struct expr_values *values, const struct toml_node *row,
	       struct probe_def *probe)
{
	struct reader *reader = tables->reader;
	const struct toml_node *event = toml_get(row, "event"), *rules = toml_get(row, "rules"),
			       *labels = toml_get(row, "labels"), *by = toml_get(row, "by");
	size_t max_conds = PROBE_RULE_CONDS - (probe->who_cnt ? 1 : 0);
	int ret;

	if (!event == !rules)
		return fail_value(reader, row, "either \"event\" or \"rules\" is wanted here");
	if ((labels || by) && !event)
		return fail_key(reader, labels ? labels : by,
				"\"%s\" is there only with \"event\"; rules have their own", labels ? "labels" : "by");
	if (event)
		return read_only_rule(tables, values, row, event, probe);
	ret = read_kind(reader, rules, TOML_ARRAY);
	if (ret)
		return ret;
	if (!rules->count || rules->count > PROBE_SPEC_RULES)
		return fail_value(reader, rules, "1 to %d rules are wanted here, not %zu", PROBE_SPEC_RULES,
				  rules->count);
	probe->rules = arena_array(reader->mem, rules->count, sizeof(*probe->rules));
	for (size_t i = 0; !ret && i < rules->count; i++)
		ret = read_rule(tables, values, &rules->items[i], max_conds, &probe->rules[i]);
	probe->rule_cnt = rules->count;
	return ret;
}
