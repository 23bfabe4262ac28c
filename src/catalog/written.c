/* SPDX-License-Identifier: Apache-2.0 */
/* written.c - names for values that have none of let: the values as one would write them. */
#include <string.h>

#include "base/arena.h"
#include "catalog/parser.h"

#define WRITTEN_LENGTH 255 /* bytes of such a name */

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

/* written_type - E:TYPE, with brackets where E is more than one word */
static const char *written_type(struct arena *mem, const struct value_def *value, const struct value_def *base)
{
	bool is_closed = base->kind == VALUE_SUM || base->kind == VALUE_TIMES || base->kind == VALUE_AND ||
			 !strpbrk(base->name, " [");

	return arena_printf(mem, is_closed ? "%s%s" : "(%s)%s", base->name, type_suffix(mem, value));
}

/* written_field - of the three kinds that read a keyed list */
static const char *written_field(struct arena *mem, const struct value_def *value, const char *base)
{
	return arena_printf(mem, "%s %s %s \"%s\"",
			    value->kind == VALUE_FIELD_STR   ? "field"
			    : value->kind == VALUE_FIELD_NUM ? "number"
							     : "has",
			    value->layout->name, base, value->key);
}

static const char *written(const struct expr_values *values, const struct value_def *value)
{
	struct arena *mem = values->reader->mem;
	const char *base = value->base >= 0 ? values->items[value->base].name : "";
	const char *other = value->other >= 0 ? values->items[value->other].name : "";

	switch (value->kind) {
	case VALUE_ARG:
		return arena_printf(mem, "arg%d", value->arg);
	case VALUE_RET:
		return "ret";
	case VALUE_READ:
		return arena_printf(mem, "[%s%s]%s", base, offset_suffix(mem, &value->off), type_suffix(mem, value));
	case VALUE_TRUNC:
		return written_type(mem, value, &values->items[value->base]);
	case VALUE_STR:
		return arena_printf(mem, "str %s", base);
	case VALUE_COMM:
		return "comm";
	case VALUE_PID:
		return "pid";
	case VALUE_TID:
		return "tid";
	case VALUE_MIX:
		return arena_printf(mem, "mix %s %s", base, other);
	case VALUE_RECALL:
		return arena_printf(mem, "%s[%s]", value->slot->name, base);
	case VALUE_NOW:
		return "now";
	case VALUE_REALTIME:
		return "realtime";
	case VALUE_TIMEVAL:
		return arena_printf(mem, "timeval %s", base);
	case VALUE_SPAN:
		return arena_printf(mem, "span %s %s", base, other);
	case VALUE_SUM:
		return arena_printf(mem, "(%s%s)", base, offset_suffix(mem, &value->off));
	case VALUE_TIMES:
		return arena_printf(mem, "(%s * %lld)", base, (long long)value->number);
	case VALUE_AND:
		return arena_printf(mem, "(%s & 0x%llx)", base, (unsigned long long)value->number);
	case VALUE_PLACE:
		return arena_printf(mem, "&%s", value->key);
	case VALUE_ARGS:
		return "args";
	case VALUE_HEAD:
		return arena_printf(mem, "head %d %s", value->size, base);
	case VALUE_UPPER:
		return arena_printf(mem, "upper %s", base);
	case VALUE_FIELD_STR:
	case VALUE_FIELD_NUM:
	case VALUE_FIELD_HAS:
		break;
	}
	return written_field(mem, value, base);
}

const char *written_value(const struct expr_values *values, const struct value_def *value)
{
	const char *name = written(values, value);

	return strlen(name) <= WRITTEN_LENGTH ? name : arena_printf(values->reader->mem, "value %zu", values->count);
}
