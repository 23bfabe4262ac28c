/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/token.h"

#include <string.h>

#include "base/arena.h"

#define DIGITS  "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static int lex_number(struct lexer *lexer, struct token *token, const char *text)
{
	bool is_negative = *text == '-', overflow = false;
	const char *at = text + is_negative;
	int base = at[0] == '0' && (at[1] == 'x' || at[1] == 'X') ? 16 : 10;
	const char *digits = at += base == 16 ? 2 : 0;

	token->kind = TOKEN_NUMBER;
	token->number = 0;
	for (; digit_value(*at) < base; at++) {
		int digit = is_negative ? -digit_value(*at) : digit_value(*at);

		overflow |= __builtin_mul_overflow(token->number, base, &token->number) ||
			    __builtin_add_overflow(token->number, digit, &token->number);
	}
	if (at == digits || is_one_of(*at, LETTERS DIGITS) || (base == 10 && *digits == '0' && at - digits > 1))
		return fail_inside(lexer->reader, lexer->node, token->offset,
				   "no number: it is written as 12, -12 or 0x1f");
	if (overflow)
		return fail_inside(lexer->reader, lexer->node, token->offset, "a number beyond 64 bits");
	lexer->at += (size_t)(at - text);
	return 0;
}

static int lex_text(struct lexer *lexer, struct token *token, const char *text)
{
	static const char escapes[] = "\"\\ntr", meant[] = "\"\\\n\t\r";
	char *out = arena_alloc(lexer->reader->mem, strlen(text)), *end = out;
	const char *at = text + 1;

	token->kind = TOKEN_TEXT;
	token->text = out;
	for (; *at && *at != '"'; at++) {
		if (*at != '\\') {
			*end++ = *at;
			continue;
		}
		at++;
		if (!is_one_of(*at, escapes))
			return fail_inside(lexer->reader, lexer->node, lexer->at + (size_t)(at - 1 - text),
					   "unknown escape: there are \\\" \\\\ \\n \\t \\r");
		*end++ = meant[strchr(escapes, *at) - escapes];
	}
	if (!*at)
		return fail_inside(lexer->reader, lexer->node, token->offset, "this text has no closing quote");
	lexer->at += (size_t)(at + 1 - text);
	return 0;
}

static int lex_operator(struct lexer *lexer, struct token *token, const char *text)
{
	size_t len = text[1] == '=' && is_one_of(text[0], "=!<>^*$") ? 2 : 1;

	token->kind = TOKEN_OPERATOR;
	if (len == 1 && !is_one_of(text[0], "[]()+*&:=<>")) {
		while (((unsigned char)text[len] & 0xc0) == 0x80)
			len++;
		return fail_inside(lexer->reader, lexer->node, token->offset, "unexpected character %s",
				   shown(lexer->reader, arena_strndup(lexer->reader->mem, text, len)));
	}
	token->text = arena_strndup(lexer->reader->mem, text, len);
	lexer->at += len;
	return 0;
}

int token_next(struct lexer *lexer, struct token *token)
{
	const char *text = lexer->node->string + lexer->at;
	size_t blank = strspn(text, " \t\r\n"), len;

	lexer->at += blank;
	text += blank;
	*token = (struct token){.kind = TOKEN_END, .offset = lexer->at, .text = ""};
	if (!*text)
		return 0;
	if (is_one_of(*text, DIGITS) || (*text == '-' && is_one_of(text[1], DIGITS)))
		return lex_number(lexer, token, text);
	if (*text == '"')
		return lex_text(lexer, token, text);
	if (*text == '$' && is_one_of(text[1], LETTERS))
		token->kind = TOKEN_CONSTANT;
	else if (is_one_of(*text, LETTERS))
		token->kind = TOKEN_WORD;
	else
		return lex_operator(lexer, token, text);
	text += token->kind == TOKEN_CONSTANT;
	len = strspn(text, LETTERS DIGITS);
	token->text = arena_strndup(lexer->reader->mem, text, len);
	lexer->at += len + (token->kind == TOKEN_CONSTANT);
	return 0;
}

bool token_is(const struct token *token, const char *text)
{
	return (token->kind == TOKEN_WORD || token->kind == TOKEN_OPERATOR) && !strcmp(token->text, text);
}

const char *token_shown(const struct lexer *lexer, const struct token *token)
{
	switch (token->kind) {
	case TOKEN_END:
		return "the end";
	case TOKEN_NUMBER:
		return arena_printf(lexer->reader->mem, "%lld", (long long)token->number);
	case TOKEN_CONSTANT:
		return shown(lexer->reader, arena_printf(lexer->reader->mem, "$%s", token->text));
	case TOKEN_WORD:
	case TOKEN_TEXT:
	case TOKEN_OPERATOR:
		break;
	}
	return shown(lexer->reader, token->text);
}
