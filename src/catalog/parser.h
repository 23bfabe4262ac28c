/* SPDX-License-Identifier: Apache-2.0 */
/* parser.h - owns the reading of one expression that is a value, one token ahead (parser.c, value.c); expr.c reads what
 * stands round values. It knows no statement. */
#ifndef MAILGAUGE_CATALOG_PARSER_H
#define MAILGAUGE_CATALOG_PARSER_H
#include "catalog/expr.h"
#include "catalog/token.h"

/* One string while it is read. */
struct parser {
	struct expr_values *values;
	struct lexer lexer;
	struct token token; /* the current one */
	unsigned depth;
};

#define parser_fail(parser, offset, ...) fail_inside((parser)->lexer.reader, (parser)->lexer.node, offset, __VA_ARGS__)

/* All return 0, or -EINVAL with the place of the mistake in reader.err. */
/* parser_begin - at the first token of a string */
int parser_begin(struct parser *parser, struct expr_values *values, const struct toml_node *node);
int parser_advance(struct parser *parser);
/* parser_unexpected - "WANTED is wanted here, not TOKEN" */
int parser_unexpected(struct parser *parser, const char *wanted);
/* parser_expect - this word or operator, and go on behind it */
int parser_expect(struct parser *parser, const char *text);
int parser_expect_end(struct parser *parser);
/* parse_value - E or E:TYPE; gives the index of the value */
int parse_value(struct parser *parser);
/* parse_slot - SLOT[E] */
int parse_slot(struct parser *parser, const struct slot_def **slot, int *key);

/* written_value - a value as one would write it, or "value N" if that is long; the values that it is made of have
 * names already */
const char *written_value(const struct expr_values *values, const struct value_def *value);
/* find_slot, find_name, find_constant - by name, or NULL; `nearest` is offered all constants */
const struct slot_def *find_slot(const struct expr_scope *scope, const char *name);
struct expr_name *find_name(struct expr_values *values, const char *name);
const struct constant_def *find_constant(const struct expr_scope *scope, const char *name, struct nearest *nearest);

#endif
