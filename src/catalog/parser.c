/* SPDX-License-Identifier: Apache-2.0 */
/* parser.c - going through a string token by token, and what names mean. */
#include "catalog/parser.h"

#include <string.h>

#define EXPR_LENGTH 1024

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
