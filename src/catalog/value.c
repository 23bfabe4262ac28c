/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - the grammar of one expression that is a value. */
#include <string.h>

#include "base/arena.h"
#include "catalog/parser.h"

#define DEPTH_MAX 32 /* of brackets and words before a value */
#define ARG_COUNT 10 /* arg0 ... */

static const char *const reserved[] = {"ret",     "pid",  "tid",  "comm", "str",  "mix", "field",
				       "number",  "has",  "and",  "or",   "not",  "now", "realtime",
				       "timeval", "span", "args", "head", "upper"};
#define RESERVED_CNT (sizeof(reserved) / sizeof(reserved[0]))

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
	return kind == VALUE_STR || kind == VALUE_COMM || kind == VALUE_FIELD_STR || kind == VALUE_HEAD ||
	       kind == VALUE_UPPER;
}

bool expr_same_value(const struct value_def *a, const struct value_def *b)
{
	return a->kind == b->kind && a->arg == b->arg && a->base == b->base && a->other == b->other &&
	       a->off.value == b->off.value && a->off.constant == b->off.constant && a->number == b->number &&
	       a->size == b->size && a->is_signed == b->is_signed && a->layout == b->layout && a->slot == b->slot &&
	       !a->key == !b->key && (!a->key || !strcmp(a->key, b->key));
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
	value.name = written_value(values, &value);
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

	if (!ret && parser->values->when == WHEN_EXIT)
		ret = parser_fail(parser, offset, "nothing can be read of a process that ends");
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

/* parse_timeval - E: its address */
static int parse_timeval(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_TIMEVAL);

	value.base = parse_operand(parser);
	return value.base < 0 ? value.base : add_value(parser, value, offset);
}

/* is_two_clocks - is the one a time since 1970 and the other not? */
static bool is_two_clocks(enum value_kind a, enum value_kind b)
{
	return a == VALUE_NOW && (b == VALUE_REALTIME || b == VALUE_TIMEVAL);
}

/* parse_span - E E: from the one to the other */
static int parse_span(struct parser *parser, size_t offset)
{
	const struct value_def *items = parser->values->items;
	struct value_def value = VALUE(VALUE_SPAN);
	size_t other_offset;

	value.base = parse_operand(parser);
	if (value.base < 0)
		return value.base;
	other_offset = parser->token.offset;
	value.other = parse_operand(parser);
	if (value.other < 0)
		return value.other;
	if (value.base == value.other)
		return parser_fail(parser, other_offset, "a span from a value to itself");
	if (is_two_clocks(items[value.base].kind, items[value.other].kind) ||
	    is_two_clocks(items[value.other].kind, items[value.base].kind))
		return parser_fail(parser, other_offset, "two clocks: \"now\" does not count from 1970");
	return add_value(parser, value, offset);
}

/* parse_head - N E: the first bytes of a text */
static int parse_head(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_HEAD);
	const struct token *token = &parser->token;
	enum value_kind kind;
	size_t text_offset;
	int ret;

	if (token->kind != TOKEN_NUMBER)
		return parser_unexpected(parser, "a number of bytes");
	if (token->number < 1 || token->number >= PROBE_STRING)
		return parser_fail(parser, token->offset, "1 to %d bytes are wanted here", PROBE_STRING - 1);
	value.size = (int)token->number;
	ret = parser_advance(parser);
	text_offset = parser->token.offset;
	if (ret || (ret = parse_value(parser)) < 0)
		return ret;
	value.base = ret;
	kind = parser->values->items[value.base].kind;
	if (kind != VALUE_STR && kind != VALUE_FIELD_STR)
		return parser_fail(parser, text_offset, "\"head\" needs \"str\" or \"field\"");
	return add_value(parser, value, offset);
}

/* parse_upper - E: a text in capital letters */
static int parse_upper(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_UPPER);
	size_t text_offset = parser->token.offset;

	value.base = parse_value(parser);
	if (value.base < 0)
		return value.base;
	if (parser->values->items[value.base].kind != VALUE_STR)
		return parser_fail(parser, text_offset, "\"upper\" needs \"str\"");
	return add_value(parser, value, offset);
}

/* parse_argument - argN; its word is the current token */
static int parse_argument(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_ARG);
	int ret;

	value.arg = argument_number(parser->token.text);
	if (value.arg >= ARG_COUNT)
		return parser_fail(parser, offset, "there are only arg0 to arg%d", ARG_COUNT - 1);
	if (parser->values->when != WHEN_ENTRY)
		return parser_fail(parser, offset,
				   "arguments are gone when a function returns, or its process ends: remember at the "
				   "entry what is needed here");
	ret = parser_advance(parser);
	return ret ? ret : add_value(parser, value, offset);
}

/* reads_memory - is this value read from the process' memory? */
static bool reads_memory(enum value_kind kind)
{
	switch (kind) {
	case VALUE_STR:
	case VALUE_FIELD_STR:
	case VALUE_FIELD_NUM:
	case VALUE_FIELD_HAS:
	case VALUE_TIMEVAL:
	case VALUE_ARGS:
	case VALUE_HEAD:
	case VALUE_UPPER:
		return true;
	default:
		return false;
	}
}

/* parse_reserved - a value that begins with a reserved word, which is the current token */
static int parse_reserved(struct parser *parser, size_t offset)
{
	static const struct {
		const char *word;
		enum value_kind kind;
	} words[] = {
	    {"ret", VALUE_RET},       {"pid", VALUE_PID},   {"tid", VALUE_TID},           {"comm", VALUE_COMM},
	    {"str", VALUE_STR},       {"mix", VALUE_MIX},   {"field", VALUE_FIELD_STR},   {"number", VALUE_FIELD_NUM},
	    {"has", VALUE_FIELD_HAS}, {"now", VALUE_NOW},   {"realtime", VALUE_REALTIME}, {"timeval", VALUE_TIMEVAL},
	    {"span", VALUE_SPAN},     {"args", VALUE_ARGS}, {"head", VALUE_HEAD},         {"upper", VALUE_UPPER}};
	size_t i = 0;
	int ret;

	while (i < sizeof(words) / sizeof(words[0]) && !token_is(&parser->token, words[i].word))
		i++;
	if (i == sizeof(words) / sizeof(words[0]))
		return parser_unexpected(parser, "a value");
	if (parser->values->when == WHEN_EXIT && reads_memory(words[i].kind))
		return parser_fail(parser, offset, "nothing can be read of a process that ends");
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
	case VALUE_TIMEVAL:
		return parse_timeval(parser, offset);
	case VALUE_SPAN:
		return parse_span(parser, offset);
	case VALUE_HEAD:
		return parse_head(parser, offset);
	case VALUE_UPPER:
		return parse_upper(parser, offset);
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

/* parse_arithmetic - what stands behind E in (E + NUMBER), (E * NUMBER) and (E & NUMBER) */
static int parse_arithmetic(struct parser *parser, int base, size_t offset)
{
	bool is_sum = token_is(&parser->token, "+");
	struct value_def value = VALUE(is_sum ? VALUE_SUM : token_is(&parser->token, "*") ? VALUE_TIMES : VALUE_AND);
	int ret;

	value.base = base;
	if (expr_is_text(parser->values->items[base].kind))
		return parser_fail(parser, parser->token.offset, "a text is no number");
	ret = parser_advance(parser);
	if (!ret && is_sum) {
		ret = parse_offset(parser, &value.off);
	} else if (!ret) {
		if (parser->token.kind != TOKEN_NUMBER)
			return parser_unexpected(parser, "a number");
		value.number = parser->token.number;
		ret = parser_advance(parser);
	}
	return ret ? ret : add_value(parser, value, offset);
}

/* parse_brackets - (E), (E + NUMBER), (E * NUMBER), (E & NUMBER); the bracket is the current token */
static int parse_brackets(struct parser *parser, size_t offset)
{
	int ret = parser_advance(parser), value;

	if (ret || (value = parse_value(parser)) < 0)
		return ret ? ret : value;
	if (token_is(&parser->token, "+") || token_is(&parser->token, "*") || token_is(&parser->token, "&"))
		value = parse_arithmetic(parser, value, offset);
	if (value < 0)
		return value;
	ret = parser_expect(parser, ")");
	return ret ? ret : value;
}

/* parse_place - &NAME: where an object of the file is; the & is the current token */
static int parse_place(struct parser *parser, size_t offset)
{
	struct value_def value = VALUE(VALUE_PLACE);
	int ret = parser_advance(parser);

	if (ret)
		return ret;
	if (parser->values->when != WHEN_ENTRY)
		return parser_fail(parser, offset, "what belongs to the file can be read only at an entry or a call");
	if (parser->token.kind != TOKEN_WORD)
		return parser_unexpected(parser, "the name of a symbol");
	value.key = parser->token.text;
	ret = parser_advance(parser);
	return ret ? ret : add_value(parser, value, offset);
}

static int parse_primary(struct parser *parser)
{
	size_t offset = parser->token.offset;

	if (token_is(&parser->token, "&"))
		return parse_place(parser, offset);
	if (token_is(&parser->token, "["))
		return parse_read(parser, offset);
	if (token_is(&parser->token, "("))
		return parse_brackets(parser, offset);
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
