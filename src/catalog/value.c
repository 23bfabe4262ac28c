/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/arena.h"
#include "catalog/parser.h"

#define EXPR_LENGTH    1024
#define DEPTH_MAX      32  /* of brackets and words before a value */
#define ARG_COUNT      10  /* arg0 ... */
#define MADE_UP_LENGTH 255 /* bytes of a name made up for a value */

static const char *const reserved[] = {"ret",   "pid",    "tid", "comm", "str", "mix",
				       "field", "number", "has", "and",  "or",  "not"};
#define RESERVED_CNT (sizeof(reserved) / sizeof(reserved[0]))

/* ---- tokens */

int parser_advance(struct parser *parser)
{
	return token_next(&parser->lexer, &parser->token);
}

int parser_begin(struct parser *parser, struct expr_values *values, const struct toml_node *node)
{
	*parser = (struct parser){.values = values, .lexer = {.reader = values->reader, .node = node}};
	int ret = read_kind(values->reader, node, TOML_STRING);

	if (!ret && strlen(node->string) > EXPR_LENGTH)
		ret = fail_value(values->reader, node, "an expression of more than %d bytes", EXPR_LENGTH);
	return ret ? ret : parser_advance(parser);
}

int parser_unexpected(struct parser *parser, const char *wanted)
{
	return parser_fail(parser, parser->token.offset, "%s is wanted here, not %s", wanted,
			   token_shown(&parser->lexer, &parser->token));
}

int parser_expect(struct parser *parser, const char *text)
{
	if (!token_is(&parser->token, text))
		return parser_unexpected(parser, shown(parser->lexer.reader, text));
	return parser_advance(parser);
}

int parser_expect_end(struct parser *parser)
{
	return parser->token.kind == TOKEN_END ? 0 : parser_unexpected(parser, "the end");
}

/* ---- names */

/* argument_number - 0.. of "arg0", ...; -1 for other words */
static int argument_number(const char *name)
{
	size_t digits;

	if (strncmp(name, "arg", 3))
		return -1;
	digits = strspn(name + 3, "0123456789");
	if (!digits || name[3 + digits])
		return -1;
	return digits > 1 ? ARG_COUNT : name[3] - '0';
}

bool expr_is_reserved(const char *name)
{
	for (size_t i = 0; i < RESERVED_CNT; i++)
		if (!strcmp(reserved[i], name))
			return true;
	return argument_number(name) >= 0;
}

const struct slot_def *find_slot(const struct expr_scope *scope, const char *name)
{
	for (size_t i = 0; i < scope->slot_cnt; i++)
		if (!strcmp(scope->slots[i].name, name))
			return &scope->slots[i];
	return NULL;
}

struct expr_name *find_name(struct expr_values *values, const char *name)
{
	for (size_t i = 0; i < values->name_cnt; i++)
		if (!strcmp(values->names[i].name, name))
			return &values->names[i];
	return NULL;
}

const struct constant_def *find_constant(const struct expr_scope *scope, const char *name, struct nearest *nearest)
{
	for (size_t i = 0; i < scope->constant_cnt; i++) {
		if (!strcmp(scope->constants[i].name, name))
			return &scope->constants[i];
		nearest_offer(nearest, scope->constants[i].name);
	}
	return NULL;
}

static int unknown_name(struct parser *parser)
{
	const struct expr_values *values = parser->values;
	struct nearest nearest;

	nearest_init(&nearest, parser->token.text);
	for (size_t i = 0; i < values->name_cnt; i++)
		nearest_offer(&nearest, values->names[i].name);
	for (size_t i = 0; i < values->scope->slot_cnt; i++)
		nearest_offer(&nearest, values->scope->slots[i].name);
	for (size_t i = 0; i < RESERVED_CNT; i++)
		nearest_offer(&nearest, reserved[i]);
	return parser_fail(parser, parser->token.offset, "unknown name %s%s",
			   token_shown(&parser->lexer, &parser->token), hint(values->reader, &nearest));
}

/* ---- values */

bool expr_is_text(enum value_kind kind)
{
	return kind == VALUE_STR || kind == VALUE_COMM || kind == VALUE_FIELD_STR;
}

bool expr_same_value(const struct value_def *a, const struct value_def *b)
{
	return a->kind == b->kind && a->arg == b->arg && a->base == b->base && a->other == b->other &&
	       a->off.value == b->off.value && a->off.constant == b->off.constant && a->size == b->size &&
	       a->is_signed == b->is_signed && a->layout == b->layout && a->slot == b->slot && !a->key == !b->key &&
	       (!a->key || !strcmp(a->key, b->key));
}

static const char *type_suffix(struct arena *mem, const struct value_def *value)
{
	if (value->kind == VALUE_READ && value->size == 8)
		return "";
	return arena_printf(mem, ":%c%d", value->is_signed ? 's' : 'u', value->size * 8);
}

static const char *offset_suffix(struct arena *mem, const struct number_def *off)
{
	if (off->constant)
		return arena_printf(mem, " + $%s", off->constant->name);
	return off->value ? arena_printf(mem, " + %lld", (long long)off->value) : "";
}

/* made_up_name - a value as one would write it */
static const char *made_up_name(const struct expr_values *values, const struct value_def *value)
{
	struct arena *mem = values->reader->mem;
	const char *base = value->base >= 0 ? values->items[value->base].name : "";

	switch (value->kind) {
	case VALUE_ARG:
		return arena_printf(mem, "arg%d", value->arg);
	case VALUE_RET:
		return "ret";
	case VALUE_READ:
		return arena_printf(mem, "[%s%s]%s", base, offset_suffix(mem, &value->off), type_suffix(mem, value));
	case VALUE_TRUNC:
		return arena_printf(mem, strpbrk(base, " [") ? "(%s)%s" : "%s%s", base, type_suffix(mem, value));
	case VALUE_STR:
		return arena_printf(mem, "str %s", base);
	case VALUE_COMM:
		return "comm";
	case VALUE_PID:
		return "pid";
	case VALUE_TID:
		return "tid";
	case VALUE_MIX:
		return arena_printf(mem, "mix %s %s", base, values->items[value->other].name);
	case VALUE_RECALL:
		return arena_printf(mem, "%s[%s]", value->slot->name, base);
	case VALUE_FIELD_STR:
	case VALUE_FIELD_NUM:
	case VALUE_FIELD_HAS:
		break;
	}
	return arena_printf(mem, "%s %s %s \"%s\"",
			    value->kind == VALUE_FIELD_STR   ? "field"
			    : value->kind == VALUE_FIELD_NUM ? "number"
							     : "has",
			    value->layout->name, base, value->key);
}

/* add_value - its index, the same for equal values */
static int add_value(struct parser *parser, struct value_def value, size_t offset)
{
	struct expr_values *values = parser->values;

	for (size_t i = 0; i < values->count; i++)
		if (expr_same_value(&values->items[i], &value))
			return (int)i;
	if (values->count == CATALOG_VALUES)
		return parser_fail(parser, offset, "more than %d values in this row, those written in place included",
				   CATALOG_VALUES);
	value.name = made_up_name(values, &value);
	if (strlen(value.name) > MADE_UP_LENGTH)
		value.name = arena_printf(values->reader->mem, "value %zu", values->count);
	values->items[values->count] = value;
	return (int)values->count++;
}

#define VALUE(k) ((struct value_def){.kind = (k), .base = -1, .other = -1})

/* parse_operand - a value that is no text: a number or an address */
static int parse_operand(struct parser *parser)
{
	size_t offset = parser->token.offset;
	int value = parse_value(parser);

	if (value >= 0 && expr_is_text(parser->values->items[value].kind))
		return parser_fail(parser, offset, "a number or an address is wanted here, not a text");
	return value;
}

static int parse_type(struct parser *parser, int *size, bool *is_signed)
{
	static const struct {
		const char *name;
		int size;
		bool is_signed;
	} types[] = {{"u8", 1, false},  {"s8", 1, true},  {"u16", 2, false}, {"s16", 2, true},
		     {"u32", 4, false}, {"s32", 4, true}, {"u64", 8, false}, {"s64", 8, true}};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (token_is(&parser->token, types[i].name)) {
			*size = types[i].size;
			*is_signed = types[i].is_signed;
			return parser_advance(parser);
		}
	return parser_unexpected(parser, "a type (u8 s8 u16 s16 u32 s32 u64 s64)");
}

/* parse_offset - NUMBER or $NAME */
static int parse_offset(struct parser *parser, struct number_def *out)
{
	const struct token *token = &parser->token;
	struct nearest nearest;

	nearest_init(&nearest, token->text);
	if (token->kind == TOKEN_CONSTANT) {
		out->constant = find_constant(parser->values->scope, token->text, &nearest);
		if (!out->constant)
			return parser_fail(parser, token->offset, "unknown constant %s%s",
					   token_shown(&parser->lexer, token), hint(parser->values->reader, &nearest));
	} else if (token->kind != TOKEN_NUMBER) {
		return parser_unexpected(parser, "a number or a $constant");
	} else if (token->number < INT32_MIN || token->number > INT32_MAX) {
		return parser_fail(parser, token->offset, "an offset beyond 32 bits");
	} else {
		out->value = token->number;
	}
	return parser_advance(parser);
}

/* parse_read - [E], [E + NUMBER], with :TYPE or without; the bracket is the current token */
static int parse_read(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_READ);
	int ret = parser_advance(parser);

	value.size = 8;
	if (ret || (ret = parse_operand(parser)) < 0)
		return ret;
	value.base = ret;
	ret = 0;
	if (token_is(&parser->token, "+")) {
		ret = parser_advance(parser);
		if (!ret)
			ret = parse_offset(parser, &value.off);
	}
	if (!ret)
		ret = parser_expect(parser, "]");
	if (!ret && token_is(&parser->token, ":")) {
		ret = parser_advance(parser);
		if (!ret)
			ret = parse_type(parser, &value.size, &value.is_signed);
	}
	if (value.size == 8)
		value.is_signed = false; /* makes no difference */
	return ret ? ret : add_value(parser, value, offset);
}

int parse_slot(struct parser *parser, const struct slot_def **slot, int *key)
{
	*slot = find_slot(parser->values->scope, parser->token.text);
	if (parser->token.kind != TOKEN_WORD)
		return parser_unexpected(parser, "the name of a slot");
	if (!*slot) {
		struct nearest nearest;

		nearest_init(&nearest, parser->token.text);
		for (size_t i = 0; i < parser->values->scope->slot_cnt; i++)
			nearest_offer(&nearest, parser->values->scope->slots[i].name);
		return parser_fail(parser, parser->token.offset, "unknown slot %s%s",
				   token_shown(&parser->lexer, &parser->token), hint(parser->values->reader, &nearest));
	}
	int ret = parser_advance(parser);

	if (!ret)
		ret = parser_expect(parser, "[");
	if (ret || (ret = parse_value(parser)) < 0)
		return ret;
	*key = ret;
	return parser_expect(parser, "]");
}

/* parse_field - LAYOUT E "key" */
static int parse_field(struct parser *parser, enum value_kind kind, size_t offset)
{
	const struct expr_scope *scope = parser->values->scope;
	struct value_def value = VALUE(kind);
	struct nearest nearest;
	int ret;

	nearest_init(&nearest, parser->token.text);
	if (parser->token.kind != TOKEN_WORD)
		return parser_unexpected(parser, "the name of a layout");
	for (size_t i = 0; i < scope->layout_cnt && !value.layout; i++) {
		nearest_offer(&nearest, scope->layouts[i].name);
		if (token_is(&parser->token, scope->layouts[i].name))
			value.layout = &scope->layouts[i];
	}
	if (!value.layout)
		return parser_fail(parser, parser->token.offset, "unknown layout %s%s",
				   token_shown(&parser->lexer, &parser->token), hint(parser->values->reader, &nearest));
	ret = parser_advance(parser);
	if (ret || (ret = parse_operand(parser)) < 0)
		return ret;
	value.base = ret;
	if (parser->token.kind != TOKEN_TEXT || !parser->token.text[0])
		return parser_unexpected(parser, "the name of a field in quotes");
	if (strlen(parser->token.text) >= PROBE_STRING)
		return parser_fail(parser, parser->token.offset, "a name of more than %d bytes", PROBE_STRING - 1);
	value.key = parser->token.text;
	ret = parser_advance(parser);
	return ret ? ret : add_value(parser, value, offset);
}

static int parse_mix(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_MIX);

	value.base = parse_value(parser);
	if (value.base < 0)
		return value.base;
	value.other = parse_value(parser);
	return value.other < 0 ? value.other : add_value(parser, value, offset);
}

static int parse_str(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_STR);

	value.base = parse_operand(parser);
	return value.base < 0 ? value.base : add_value(parser, value, offset);
}

/* parse_argument - argN; its word is the current token */
static int parse_argument(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_ARG);
	int ret;

	value.arg = argument_number(parser->token.text);
	if (value.arg >= ARG_COUNT)
		return parser_fail(parser, offset, "there are only arg0 to arg%d", ARG_COUNT - 1);
	if (parser->values->when == WHEN_RETURN)
		return parser_fail(
		    parser, offset,
		    "arguments are gone when a function returns: remember at its entry what is needed here");
	ret = parser_advance(parser);
	return ret ? ret : add_value(parser, value, offset);
}

/* parse_reserved - a value that begins with a reserved word, which is the current token */
static int parse_reserved(struct parser *parser, size_t offset)
{
	static const struct {
		const char *word;
		enum value_kind kind;
	} words[] = {{"ret", VALUE_RET},         {"pid", VALUE_PID},          {"tid", VALUE_TID},
		     {"comm", VALUE_COMM},       {"str", VALUE_STR},          {"mix", VALUE_MIX},
		     {"field", VALUE_FIELD_STR}, {"number", VALUE_FIELD_NUM}, {"has", VALUE_FIELD_HAS}};
	size_t i = 0;
	int ret;

	while (i < sizeof(words) / sizeof(words[0]) && !token_is(&parser->token, words[i].word))
		i++;
	if (i == sizeof(words) / sizeof(words[0]))
		return parser_unexpected(parser, "a value");
	if (words[i].kind == VALUE_RET && parser->values->when != WHEN_RETURN)
		return parser_fail(parser, offset, "\"ret\" is there only with when = \"return\"");
	ret = parser_advance(parser);
	if (ret)
		return ret;
	switch (words[i].kind) {
	case VALUE_STR:
		return parse_str(parser, offset);
	case VALUE_MIX:
		return parse_mix(parser, offset);
	case VALUE_FIELD_STR:
	case VALUE_FIELD_NUM:
	case VALUE_FIELD_HAS:
		return parse_field(parser, words[i].kind, offset);
	default:
		return add_value(parser, VALUE(words[i].kind), offset);
	}
}

/* parse_name - a value of let, or a slot with its key */
static int parse_name(struct parser *parser, size_t offset)
{
	struct expr_name *name = find_name(parser->values, parser->token.text);
	struct value_def value = VALUE(VALUE_RECALL);
	int ret;

	if (name) {
		name->is_used = true;
		ret = parser_advance(parser);
		return ret ? ret : name->value;
	}
	if (!find_slot(parser->values->scope, parser->token.text))
		return unknown_name(parser);
	ret = parse_slot(parser, &value.slot, &value.base);
	return ret ? ret : add_value(parser, value, offset);
}

static int parse_primary(struct parser *parser)
{
	size_t offset = parser->token.offset;
	int value, ret;

	if (token_is(&parser->token, "["))
		return parse_read(parser, offset);
	if (token_is(&parser->token, "(")) {
		ret = parser_advance(parser);
		if (ret || (value = parse_value(parser)) < 0)
			return ret ? ret : value;
		ret = parser_expect(parser, ")");
		return ret ? ret : value;
	}
	if (parser->token.kind != TOKEN_WORD)
		return parser_unexpected(parser, "a value");
	if (argument_number(parser->token.text) >= 0)
		return parse_argument(parser, offset);
	return expr_is_reserved(parser->token.text) ? parse_reserved(parser, offset) : parse_name(parser, offset);
}

/* parse_value - E or E:TYPE; the index of a value, or -EINVAL */
int parse_value(struct parser *parser)
{
	size_t offset = parser->token.offset;
	struct value_def value = VALUE(VALUE_TRUNC);
	int ret;

	if (parser->depth == DEPTH_MAX)
		return parser_fail(parser, offset, "nested too deeply");
	parser->depth++;
	value.base = parse_primary(parser);
	parser->depth--;
	if (value.base < 0 || !token_is(&parser->token, ":"))
		return value.base;
	if (expr_is_text(parser->values->items[value.base].kind))
		return parser_fail(parser, parser->token.offset, "a text has no type");
	ret = parser_advance(parser);
	if (!ret)
		ret = parse_type(parser, &value.size, &value.is_signed);
	if (ret || value.size == 8)
		return ret ? ret : value.base;
	return add_value(parser, value, offset);
}
