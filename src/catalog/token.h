/* SPDX-License-Identifier: Apache-2.0 */
/* token.h - owns the cutting of an expression's text into words, numbers, texts and operators.
 * It knows no grammar and no name. */
#ifndef MAILGAUGE_CATALOG_TOKEN_H
#define MAILGAUGE_CATALOG_TOKEN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/reader.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,     /* text: the word */
	TOKEN_NUMBER,   /* number */
	TOKEN_TEXT,     /* text: what is between the quotes, escapes undone */
	TOKEN_CONSTANT, /* text: the name behind "$" */
	TOKEN_OPERATOR  /* text: one of [ ] ( ) + * : = < > and X= */
};

struct token {
	enum token_kind kind;
	size_t offset; /* where it begins in the string */
	const char *text;
	int64_t number;
};

struct lexer {
	struct reader *reader;
	const struct toml_node *node; /* the string */
	size_t at;
};

/* token_next - 0, or -EINVAL with the place of a character that begins no token */
int token_next(struct lexer *lexer, struct token *token);
/* token_is - is it this word or operator? */
bool token_is(const struct token *token, const char *text);
/* token_shown - for messages */
const char *token_shown(const struct lexer *lexer, const struct token *token);

#endif
