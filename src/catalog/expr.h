/* SPDX-License-Identifier: Apache-2.0 */
/* expr.h - owns the expressions of the catalog language: what stands inside the strings of let, select, if,
 * by, choose, observe, remember and forget becomes values, conditions and actions of one probe.
 * It knows no section of the file but the names that an expression may use.
 * Equal expressions of a probe are one value; a value stands behind those that it is made of. */
#ifndef MAILGAUGE_CATALOG_EXPR_H
#define MAILGAUGE_CATALOG_EXPR_H
#include "../bpf/probe.h"
#include "catalog/catalog.h"
#include "catalog/reader.h"

/* What names mean in all expressions of a file. */
struct expr_scope {
	struct slot_def *slots;
	size_t slot_cnt;
	struct layout_def *layouts;
	size_t layout_cnt;
	struct constant_def *constants;
	size_t constant_cnt;
};

/* The values of one probe while it is read. */
struct expr_values {
	struct reader *reader;
	const struct expr_scope *scope;
	enum when_kind when;
	struct value_def items[CATALOG_VALUES];
	size_t count;
	struct expr_name { /* of let */
		const char *name;
		int value;
		bool is_used;
		const struct toml_node *node;
	} names[CATALOG_VALUES];
	size_t name_cnt;
};

/* expr_is_reserved - words that cannot name a value or a slot */
bool expr_is_reserved(const char *name);
/* expr_is_text - is a value of this kind always compared with texts? */
bool expr_is_text(enum value_kind kind);
/* expr_same_value - do both compute the same from the same earlier values? */
bool expr_same_value(const struct value_def *a, const struct value_def *b);
/* expr_can_be - can the value, a text, be this one? */
bool expr_can_be(const struct value_def *value, const char *text);
/* expr_comm - a process name cut as the kernel cuts it */
const char *expr_comm(struct reader *reader, const char *name);
/* expr_number - an integer from min to max, or "$NAME" of a constant: the value of a layout's key */
int expr_number(struct reader *reader, const struct expr_scope *scope, const struct toml_node *node, int64_t min,
		int64_t max, struct number_def *out);

/* All return 0, or -EINVAL with the place of the mistake in reader.err. */
/* expr_let - NAME = E */
int expr_let(struct expr_values *values, const struct toml_node *node);
/* expr_let_unused - fails when there is a name of let that nothing uses */
int expr_let_unused(const struct expr_values *values);
/* expr_select - E == "text" */
int expr_select(struct expr_values *values, const struct toml_node *node, int *value, const char **text);
/* expr_conditions - E OP LITERAL and ...; `max` of them */
int expr_conditions(struct expr_values *values, const struct toml_node *node, size_t max, struct cond_def **conds,
		    size_t *cond_cnt);
/* expr_remember - SLOT[E] = E or NUMBER; expr_forget - SLOT[E] */
int expr_remember(struct expr_values *values, const struct toml_node *node, struct act_def *act);
int expr_forget(struct expr_values *values, const struct toml_node *node, struct act_def *act);
/* expr_observed - E, a number */
int expr_observed(struct expr_values *values, const struct toml_node *node, int *value);
/* expr_looked_up - E, a text or what a slot holds */
int expr_looked_up(struct expr_values *values, const struct toml_node *node, int *value);

#endif
