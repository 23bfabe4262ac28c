/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/cond.h"

#include <string.h>

static bool begins_with(const char *text, const char *beginning)
{
	return !strncmp(text, beginning, strlen(beginning));
}

/* text_satisfies - does a string that equals (or, if not is_whole, begins with or contains) `text` satisfy `b`? */
static bool text_satisfies(enum cond_op known, const char *text, const struct cond_def *b)
{
	switch (b->op) {
	case COND_EQ:
		return known == COND_EQ && !strcmp(text, b->text);
	case COND_NE: /* what we know of the string cannot be so of b's text */
		return known == COND_EQ       ? strcmp(text, b->text) != 0
		       : known == COND_PREFIX ? !begins_with(b->text, text)
					      : !strstr(b->text, text);
	case COND_PREFIX:
		return known != COND_CONTAINS && begins_with(text, b->text);
	case COND_CONTAINS:
		return strstr(text, b->text) != NULL;
	case COND_LT:
	case COND_GE:
		break;
	}
	return false;
}

static bool number_satisfies(int64_t number, const struct cond_def *b)
{
	switch (b->op) {
	case COND_EQ:
		return number == b->number;
	case COND_NE:
		return number != b->number;
	case COND_LT:
		return number < b->number;
	case COND_GE:
		return number >= b->number;
	case COND_PREFIX:
	case COND_CONTAINS:
		break;
	}
	return false;
}

/* range_implies - `a` is < or >= */
static bool range_implies(const struct cond_def *a, const struct cond_def *b)
{
	if (a->op == COND_LT)
		return (b->op == COND_LT && a->number <= b->number) || (b->op == COND_NE && b->number >= a->number);
	return (b->op == COND_GE && a->number >= b->number) || (b->op == COND_NE && b->number < a->number);
}

bool cond_implies(const struct cond_def *a, const struct cond_def *b)
{
	if (a->value != b->value || !a->text != !b->text)
		return false;
	if (a->op == COND_NE)
		return b->op == COND_NE && (a->text ? !strcmp(a->text, b->text) : a->number == b->number);
	if (a->text)
		return text_satisfies(a->op, a->text, b);
	return a->op == COND_EQ ? number_satisfies(a->number, b) : range_implies(a, b);
}

/* opposite - the condition that holds when `cond` does not; false when the language cannot say it */
static bool opposite(const struct cond_def *cond, struct cond_def *out)
{
	static const enum cond_op ops[] = {
	    [COND_EQ] = COND_NE, [COND_NE] = COND_EQ, [COND_LT] = COND_GE, [COND_GE] = COND_LT};

	*out = *cond;
	if (cond->op == COND_PREFIX || cond->op == COND_CONTAINS)
		return false;
	out->op = ops[cond->op];
	return true;
}

bool cond_excludes(const struct cond_def *a, const struct cond_def *b)
{
	struct cond_def inverse;

	if (opposite(b, &inverse) && cond_implies(a, &inverse))
		return true;
	if (opposite(a, &inverse) && cond_implies(b, &inverse))
		return true;
	return a->value == b->value && a->op == COND_PREFIX && b->op == COND_PREFIX && !begins_with(a->text, b->text) &&
	       !begins_with(b->text, a->text);
}

bool rule_shadows(const struct rule_def *earlier, const struct rule_def *later)
{
	for (size_t i = 0; i < earlier->cond_cnt; i++) {
		bool is_implied = false;

		for (size_t k = 0; k < later->cond_cnt && !is_implied; k++)
			is_implied = cond_implies(&later->conds[k], &earlier->conds[i]);
		if (!is_implied)
			return false;
	}
	return true;
}
