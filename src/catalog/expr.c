/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/expr.h"

#include <string.h>

#include "base/arena.h"
#include "catalog/cond.h"
#include "catalog/parser.h"

#define COMM_LENGTH 15 /* bytes of a process name that the kernel keeps */

/* ---- let */

int expr_let(struct expr_values *values, const struct toml_node *node)
{
	struct parser parser;
	struct token name;
	int ret = parser_begin(&parser, values, node), value;

	if (ret)
		return ret;
	name = parser.token;
	if (name.kind != TOKEN_WORD)
		return parser_unexpected(&parser, "a name for the value");
	if (!name_is_identifier(name.text))
		return parser_fail(&parser, name.offset, "%s is no name: [a-z_][a-z0-9_]*, %d bytes at most",
				   token_shown(&parser.lexer, &name), NAME_LENGTH);
	if (expr_is_reserved(name.text) || find_slot(values->scope, name.text) || find_name(values, name.text))
		return parser_fail(&parser, name.offset, "%s has a meaning already", token_shown(&parser.lexer, &name));
	if (values->name_cnt == CATALOG_VALUES)
		return parser_fail(&parser, name.offset, "more than %d names", CATALOG_VALUES);
	ret = parser_advance(&parser);
	if (!ret)
		ret = parser_expect(&parser, "=");
	if (ret || (value = parse_value(&parser)) < 0)
		return ret ? ret : value;
	for (size_t i = 0; i < values->name_cnt; i++)
		if (values->names[i].value == value)
			return parser_fail(&parser, name.offset, "this is \"%s\" already", values->names[i].name);
	values->items[value].name = name.text;
	values->names[values->name_cnt++] = (struct expr_name){.name = name.text, .value = value, .node = node};
	return parser_expect_end(&parser);
}

int expr_let_unused(const struct expr_values *values)
{
	for (size_t i = 0; i < values->name_cnt; i++)
		if (!values->names[i].is_used)
			return fail_inside(values->reader, values->names[i].node, 0, "nothing uses \"%s\"",
					   values->names[i].name);
	return 0;
}

/* ---- conditions */

static int parse_operator(struct parser *parser, enum cond_op *op)
{
	static const struct {
		const char *text;
		enum cond_op op;
	} ops[] = {{"==", COND_EQ}, {"!=", COND_NE},     {"<", COND_LT},
		   {">=", COND_GE}, {"^=", COND_PREFIX}, {"*=", COND_CONTAINS}};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (token_is(&parser->token, ops[i].text)) {
			*op = ops[i].op;
			return parser_advance(parser);
		}
	return parser_unexpected(parser, "a comparison (== != < >= ^= *=)");
}

/* number_range - the numbers that a value can be */
static void number_range(const struct value_def *value, int64_t *min, int64_t *max)
{
	int bits = value->kind == VALUE_FIELD_HAS ? 1 : value->size * 8;

	*min = value->kind == VALUE_SPAN ? 0 : INT64_MIN;
	*max = INT64_MAX;
	if (bits == 0 || bits == 64)
		return;
	*max = ((int64_t)1 << (value->is_signed ? bits - 1 : bits)) - 1;
	*min = value->is_signed ? -*max - 1 : 0;
}

/* check_number - can this value be compared so with this number, and be so? */
static int check_number(struct parser *parser, const struct cond_def *cond, size_t op_offset)
{
	const struct value_def *value = &parser->values->items[cond->value];
	int64_t min, max;

	if (expr_is_text(value->kind))
		return parser_unexpected(parser, "a text in quotes");
	if (cond->op == COND_PREFIX || cond->op == COND_CONTAINS)
		return parser_fail(parser, op_offset, "numbers are compared by == != < >=");
	if (value->kind == VALUE_AND && (cond->number & ~value->number))
		return parser_fail(parser, parser->token.offset, "the value is never that: it has only bits of 0x%llx",
				   (unsigned long long)value->number);
	number_range(value, &min, &max);
	if (cond->number < min || cond->number > max)
		return parser_fail(parser, parser->token.offset, "the value is never that: it is within %lld to %lld",
				   (long long)min, (long long)max);
	return 0;
}

/* text_max - the longest text that a value can be compared with */
static size_t text_max(const struct value_def *value, enum cond_op op)
{
	if (op == COND_CONTAINS)
		return PROBE_NEEDLE - 1;
	if (value->kind == VALUE_HEAD)
		return (size_t)value->size;
	return value->kind == VALUE_COMM ? NAME_LENGTH : PROBE_STRING - 1;
}

/* has_small_letter - no text in capital letters has one */
static bool has_small_letter(const char *text)
{
	return strpbrk(text, "abcdefghijklmnopqrstuvwxyz") != NULL;
}

static int check_text(struct parser *parser, const struct cond_def *cond, size_t op_offset)
{
	const struct value_def *value = &parser->values->items[cond->value];
	size_t max = text_max(value, cond->op);

	if (!expr_is_text(value->kind) && value->kind != VALUE_RECALL)
		return parser_unexpected(parser, "a number (the value is no text)");
	if (cond->op == COND_LT || cond->op == COND_GE)
		return parser_fail(parser, op_offset, "texts are compared by == != ^= *=");
	if (cond->op == COND_PREFIX && value->kind != VALUE_STR && value->kind != VALUE_FIELD_STR)
		return parser_fail(parser, op_offset, "^= needs \"str\" or \"field\"");
	if (cond->op == COND_CONTAINS && value->kind != VALUE_STR)
		return parser_fail(parser, op_offset, "*= needs \"str\"");
	if (!cond->text[0])
		return parser_fail(parser, parser->token.offset, "an empty text");
	if (strlen(cond->text) > max)
		return parser_fail(parser, parser->token.offset, "a text of %zu bytes, where %zu are the most",
				   strlen(cond->text), max);
	if (value->kind == VALUE_UPPER && has_small_letter(cond->text))
		return parser_fail(parser, parser->token.offset, "the value is never that: it is in capital letters");
	return 0;
}

const char *expr_comm(struct reader *reader, const char *name)
{
	return strlen(name) > COMM_LENGTH ? arena_strndup(reader->mem, name, COMM_LENGTH) : name;
}

static int parse_condition(struct parser *parser, struct cond_def *cond)
{
	size_t op_offset;
	int ret = parse_value(parser);

	if (ret < 0)
		return ret;
	*cond = (struct cond_def){.value = ret};
	op_offset = parser->token.offset;
	ret = parse_operator(parser, &cond->op);
	if (ret)
		return ret;
	cond->number = parser->token.number;
	if (parser->token.kind == TOKEN_NUMBER) {
		ret = check_number(parser, cond, op_offset);
	} else if (parser->token.kind == TOKEN_TEXT) {
		cond->text = parser->token.text;
		ret = check_text(parser, cond, op_offset);
		if (parser->values->items[cond->value].kind == VALUE_COMM)
			cond->text = expr_comm(parser->values->reader, cond->text);
	} else {
		ret = parser_unexpected(parser, "a number or a text in quotes");
	}
	return ret ? ret : parser_advance(parser);
}

int expr_select(struct expr_values *values, const struct toml_node *node, int *value, const char **text)
{
	struct parser parser;
	struct cond_def cond;
	int ret = parser_begin(&parser, values, node);

	if (!ret)
		ret = parse_condition(&parser, &cond);
	if (!ret)
		ret = parser_expect_end(&parser);
	if (ret)
		return ret;
	if (cond.op != COND_EQ || !cond.text)
		return fail_inside(values->reader, node, 0, "select tells rows apart by VALUE == \"text\" only");
	*value = cond.value;
	*text = cond.text;
	return 0;
}

int expr_conditions(struct expr_values *values, const struct toml_node *node, size_t max, struct cond_def **conds,
		    size_t *cond_cnt)
{
	struct parser parser;
	int ret = parser_begin(&parser, values, node);

	*conds = arena_array(values->reader->mem, max, sizeof(**conds));
	*cond_cnt = 0;
	while (!ret) {
		struct cond_def *cond = &(*conds)[*cond_cnt];
		size_t offset = parser.token.offset;

		if (*cond_cnt == max)
			return parser_fail(&parser, offset, "more than %zu conditions%s", max,
					   max < PROBE_RULE_CONDS ? " beside \"who\"" : "");
		ret = parse_condition(&parser, cond);
		for (size_t i = 0; !ret && i < *cond_cnt; i++) {
			if (cond_excludes(&(*conds)[i], cond))
				ret =
				    parser_fail(&parser, offset, "this never holds together with condition %zu", i + 1);
			else if (cond_implies(&(*conds)[i], cond))
				ret = parser_fail(&parser, offset, "condition %zu says so already", i + 1);
		}
		++*cond_cnt;
		if (ret || parser.token.kind == TOKEN_END)
			return ret;
		ret = token_is(&parser.token, "and") ? parser_advance(&parser) : parser_unexpected(&parser, "\"and\"");
	}
	return ret;
}

/* ---- actions */

int expr_remember(struct expr_values *values, const struct toml_node *node, struct act_def *act)
{
	struct parser parser;
	int ret = parser_begin(&parser, values, node);

	*act = (struct act_def){.kind = ACT_REMEMBER, .value = -1};
	if (!ret)
		ret = parse_slot(&parser, &act->slot, &act->key);
	if (!ret)
		ret = parser_expect(&parser, "=");
	if (ret)
		return ret;
	if (parser.token.kind == TOKEN_NUMBER) {
		act->number = parser.token.number;
		ret = parser_advance(&parser);
	} else {
		act->value = parse_value(&parser);
		ret = act->value < 0 ? act->value : 0;
	}
	return ret ? ret : parser_expect_end(&parser);
}

int expr_forget(struct expr_values *values, const struct toml_node *node, struct act_def *act)
{
	struct parser parser;
	int ret = parser_begin(&parser, values, node);

	*act = (struct act_def){.kind = ACT_FORGET, .value = -1};
	if (!ret)
		ret = parse_slot(&parser, &act->slot, &act->key);
	return ret ? ret : parser_expect_end(&parser);
}

int expr_observed(struct expr_values *values, const struct toml_node *node, int *value)
{
	struct parser parser;
	int ret = parser_begin(&parser, values, node);
	size_t offset = parser.token.offset;

	if (ret || (*value = parse_value(&parser)) < 0)
		return ret ? ret : *value;
	if (expr_is_text(values->items[*value].kind))
		return parser_fail(&parser, offset, "a number is wanted here, not a text");
	return parser_expect_end(&parser);
}

bool expr_can_be(const struct value_def *value, const char *text)
{
	size_t max = value->kind == VALUE_COMM ? COMM_LENGTH : text_max(value, COND_EQ);

	return strlen(text) <= max && (value->kind != VALUE_UPPER || !has_small_letter(text));
}

int expr_looked_up(struct expr_values *values, const struct toml_node *node, int *value)
{
	struct parser parser;
	enum value_kind kind;
	int ret = parser_begin(&parser, values, node);
	size_t offset = parser.token.offset;

	if (ret || (*value = parse_value(&parser)) < 0)
		return ret ? ret : *value;
	kind = values->items[*value].kind;
	if (!expr_is_text(kind) && kind != VALUE_RECALL)
		return parser_fail(&parser, offset, "a text is wanted here, not a number");
	return parser_expect_end(&parser);
}

/* ---- layouts */

int expr_number(struct reader *reader, const struct expr_scope *scope, const struct toml_node *node, int64_t min,
		int64_t max, struct number_def *out)
{
	struct nearest nearest;

	if (node->kind != TOML_STRING)
		return read_integer(reader, node, min, max, &out->value);
	if (node->string[0] != '$')
		return fail_inside(reader, node, 0, "a number or \"$NAME\" of a constant is wanted here");
	nearest_init(&nearest, node->string + 1);
	out->constant = find_constant(scope, node->string + 1, &nearest);
	if (!out->constant)
		return fail_inside(reader, node, 0, "unknown constant %s%s", shown(reader, node->string),
				   hint(reader, &nearest));
	return 0;
}
