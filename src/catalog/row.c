/* SPDX-License-Identifier: Apache-2.0 */
/* row.c - reads the rows of a server's file: [[probe]]. Their rules are read by rule.c. */
#include <string.h>

#include "base/arena.h"
#include "catalog/server.h"

#define ROWS_MAX      512
#define CONSTANT_ARGS 6 /* in registers */

static const char *const row_keys[] = {
    "optional", "id",   "instead-of",  "object",      "symbol",        "function",    "call",        "stub",
    "exit",     "when", "who",         "if-symbol",   "unless-symbol", "let",         "select",      "event",
    "labels",   "by",   "rules",       "note",        "arg0",          "arg1",        "arg2",        "arg3",
    "arg4",     "arg5", "arg0-prefix", "arg1-prefix", "arg2-prefix",   "arg3-prefix", "arg4-prefix", "arg5-prefix"};

/* ---- where */

static void add_texts(struct reader *reader, struct constant_match *match, const struct string_array *texts,
		      bool is_prefix)
{
	const char **all = arena_array(reader->mem, match->text_cnt + texts->count, sizeof(*all));
	bool *prefixes = arena_array(reader->mem, match->text_cnt + texts->count, sizeof(*prefixes));

	for (size_t i = 0; i < match->text_cnt; i++) {
		all[i] = match->texts[i];
		prefixes[i] = match->is_prefix[i];
	}
	for (size_t i = 0; i < texts->count; i++) {
		all[match->text_cnt + i] = texts->items[i];
		prefixes[match->text_cnt + i] = is_prefix;
	}
	match->texts = all;
	match->is_prefix = prefixes;
	match->text_cnt += texts->count;
}

static bool is_number(const struct toml_node *node)
{
	return node->kind == TOML_INTEGER ||
	       (node->kind == TOML_ARRAY && node->count && node->items[0].kind == TOML_INTEGER);
}

/* read_numbers - a number of 32 bits, or a list of different ones */
static int read_numbers(struct reader *reader, const struct toml_node *node, struct constant_match *match)
{
	bool is_list = node->kind == TOML_ARRAY;
	const struct toml_node *items = is_list ? node->items : node;
	size_t count = is_list ? node->count : 1;
	int ret = 0;

	if (count > LIST_MAX)
		return fail_value(reader, node, "%zu numbers, where %d are the most", count, LIST_MAX);
	match->numbers = arena_array(reader->mem, count, sizeof(*match->numbers));
	for (size_t i = 0; !ret && i < count; i++) {
		ret = read_integer(reader, &items[i], INT32_MIN, UINT32_MAX, &match->numbers[i]);
		for (size_t k = 0; !ret && k < i; k++)
			if ((uint32_t)match->numbers[i] == (uint32_t)match->numbers[k])
				ret = fail_value(reader, &items[i], "numbers %zu and %zu are the same 32 bits", k + 1,
						 i + 1);
	}
	match->number_cnt = ret ? 0 : count;
	return ret;
}

/* read_constants - argN and argN-prefix, of one N */
static int read_constants(struct reader *reader, const struct toml_node *row, struct constant_match *match)
{
	match->arg = -1;
	for (size_t i = 0; i < row->count; i++) {
		const struct toml_node *item = &row->items[i];
		struct string_array texts;
		size_t digits;
		int ret;

		if (strncmp(item->key, "arg", 3) || !(digits = strspn(item->key + 3, "0123456789")))
			continue;
		if (item->key[3 + digits] && strcmp(item->key + 3 + digits, "-prefix"))
			continue;
		if (digits > 1 || item->key[3] - '0' >= CONSTANT_ARGS)
			return fail_key(reader, item, "a constant can be asked for in arg0 to arg%d only",
					CONSTANT_ARGS - 1);
		if (match->arg >= 0 && match->arg != item->key[3] - '0')
			return fail_key(reader, item, "a constant is asked for in arg%d already", match->arg);
		if (!item->key[4] && is_number(item)) {
			ret = read_numbers(reader, item, match);
		} else {
			ret = read_texts(reader, item, TEXT_LENGTH, &texts);
			if (!ret)
				add_texts(reader, match, &texts, item->key[4] != '\0');
		}
		if (ret)
			return ret;
		match->arg = item->key[3] - '0';
		if (match->number_cnt && match->text_cnt)
			return fail_key(reader, item, "either numbers or texts are wanted in one argument");
	}
	return 0;
}

static int read_when(struct reader *reader, const struct toml_node *node, enum when_kind *out)
{
	int ret;

	*out = WHEN_ENTRY;
	if (!node)
		return 0;
	ret = read_kind(reader, node, TOML_STRING);
	if (ret)
		return ret;
	if (!strcmp(node->string, "return"))
		*out = WHEN_RETURN;
	else if (strcmp(node->string, "entry"))
		return fail_value(reader, node, "%s is neither \"entry\" nor \"return\"", shown(reader, node->string));
	return 0;
}

/* The keys that say where a row is: one of them. */
static const struct place_key {
	const char *key;
	enum where_kind where;
} place_keys[] = {{"symbol", WHERE_SYMBOL},
		  {"function", WHERE_FUNCTION},
		  {"call", WHERE_CALL},
		  {"stub", WHERE_STUB},
		  {"exit", WHERE_EXIT}};
#define PLACE_KEYS (sizeof(place_keys) / sizeof(place_keys[0]))

static int find_place(struct reader *reader, const struct toml_node *row, const struct toml_node **place,
		      enum where_kind *where)
{
	*place = NULL;
	for (size_t i = 0; i < PLACE_KEYS; i++) {
		const struct toml_node *node = toml_get(row, place_keys[i].key);

		if (!node)
			continue;
		if (*place)
			return fail_key(reader, node, "the row is at \"%s\" already", (*place)->key);
		*place = node;
		*where = place_keys[i].where;
	}
	return *place ? 0
		      : fail_value(reader, row,
				   "one of \"symbol\", \"function\", \"call\", \"stub\" and \"exit\" is wanted here");
}

/* read_exit - the end of processes is in no file, and nothing can be read then */
static int read_exit(struct server_tables *tables, const struct toml_node *row, const struct toml_node *place,
		     struct probe_def *probe)
{
	static const char *const none[] = {"object", "when", "select", "if-symbol", "unless-symbol", "instead-of"};
	int ret = read_event_name(tables, place, EVENT_GAUGE, &probe->held);

	for (size_t i = 0; !ret && i < sizeof(none) / sizeof(none[0]); i++) {
		const struct toml_node *node = toml_get(row, none[i]);

		if (node)
			ret = fail_key(tables->reader, node, "there is no \"%s\" with \"exit\"", none[i]);
	}
	probe->when = WHEN_EXIT;
	return ret;
}

/* read_in_file - all places but the end of processes */
static int read_in_file(struct server_tables *tables, const struct toml_node *row, const struct toml_node *place,
			struct probe_def *probe)
{
	struct reader *reader = tables->reader;
	const struct toml_node *object = toml_get(row, "object"), *when = toml_get(row, "when");
	struct string_array symbols = {0};
	int ret;

	if (!object)
		return fail_missing(reader, row, "object");
	ret = read_object_name(tables, object, &probe->object);
	if (!ret)
		ret = read_when(reader, when, &probe->when);
	if (ret)
		return ret;
	if (probe->where == WHERE_SYMBOL) {
		ret = read_texts(reader, place, TEXT_LENGTH, &symbols);
	} else if (probe->where == WHERE_STUB) {
		symbols = (struct string_array){arena_array(reader->mem, 1, sizeof(*symbols.items)), 1};
		ret = read_text(reader, place, TEXT_LENGTH, &symbols.items[0]);
	} else {
		ret = find_function(tables, place, &probe->function);
	}
	if (!ret && probe->where == WHERE_CALL && probe->when == WHEN_RETURN)
		ret = fail_value(reader, when, "the end of a call cannot be probed: only that of a function");
	probe->symbols = symbols.items;
	probe->symbol_cnt = symbols.count;
	return ret;
}

static int read_place(struct server_tables *tables, const struct toml_node *row, struct probe_def *probe)
{
	const struct toml_node *place;
	int ret = find_place(tables->reader, row, &place, &probe->where);

	if (!ret)
		ret = probe->where == WHERE_EXIT ? read_exit(tables, row, place, probe)
						 : read_in_file(tables, row, place, probe);
	if (!ret && probe->constant.arg >= 0 &&
	    (probe->where == WHERE_STUB || probe->where == WHERE_EXIT || probe->when == WHEN_RETURN))
		ret = fail_key(tables->reader, place,
			       "a constant argument can be asked for at calls and at the entry of functions only");
	return ret;
}

static int read_version(struct reader *reader, const struct toml_node *row, struct probe_def *probe)
{
	const struct toml_node *unless = toml_get(row, "unless-symbol");
	int ret = read_optional(reader, toml_get(row, "if-symbol"), TEXT_LENGTH, &probe->if_symbol);

	if (!ret)
		ret = read_optional(reader, unless, TEXT_LENGTH, &probe->unless_symbol);
	if (!ret && probe->if_symbol && probe->unless_symbol && !strcmp(probe->if_symbol, probe->unless_symbol))
		ret = fail_value(reader, unless, "no file both has and lacks this symbol");
	return ret;
}

int read_process_names(struct reader *reader, const struct toml_node *node, struct string_array *out)
{
	int ret = read_texts(reader, node, NAME_LENGTH, out);

	for (size_t i = 0; !ret && i < out->count; i++) {
		out->items[i] = expr_comm(reader, out->items[i]);
		for (size_t k = 0; !ret && k < i; k++)
			if (!strcmp(out->items[i], out->items[k]))
				ret = fail_value(reader, &node->items[i], "the kernel cuts names %zu and %zu to %s",
						 k + 1, i + 1, shown(reader, out->items[i]));
	}
	return ret;
}

static int read_who(struct reader *reader, const struct toml_node *node, struct probe_def *probe)
{
	struct string_array names = {0};
	int ret = node ? read_process_names(reader, node, &names) : 0;

	if (ret)
		return ret;
	probe->who = names.items;
	probe->who_cnt = names.count;
	return 0;
}

/* ---- the row */

static int read_let(struct expr_values *values, const struct toml_node *node)
{
	const struct toml_node *items;
	size_t count;
	int ret = strings_of(values->reader, node, &items, &count);

	for (size_t i = 0; !ret && i < count; i++)
		ret = expr_let(values, &items[i]);
	return ret;
}

static int read_values_and_rules(struct server_tables *tables, const struct toml_node *row, struct probe_def *probe)
{
	struct expr_values values = {.reader = tables->reader, .scope = &tables->scope, .when = probe->when};
	const struct toml_node *select = toml_get(row, "select");
	int ret = read_let(&values, toml_get(row, "let"));

	probe->select = -1;
	if (!ret && select)
		ret = expr_select(&values, select, &probe->select, &probe->select_text);
	if (!ret)
		ret = read_rules(tables, &values, row, probe);
	if (!ret)
		ret = expr_let_unused(&values);
	if (ret)
		return ret;
	probe->value_cnt = values.count;
	probe->values = arena_array(tables->reader->mem, values.count, sizeof(*probe->values));
	for (size_t i = 0; i < values.count; i++)
		probe->values[i] = values.items[i];
	return 0;
}

static int read_id(struct server_tables *tables, const struct toml_node *node, struct probe_def *probe)
{
	const char *id;
	int ret;

	if (!node)
		return 0;
	ret = read_text(tables->reader, node, NAME_LENGTH, &id);
	if (ret)
		return ret;
	for (size_t i = 0; i < probe->index; i++) {
		const struct probe_def *other = &tables->server->probes[i];

		if (other->id && !strcmp(other->id, id))
			return fail_value(tables->reader, node, "the row in line %d has this id already", other->line);
	}
	probe->id = id;
	return 0;
}

static int read_is_optional(struct reader *reader, const struct toml_node *node, bool *out)
{
	int ret = node ? read_kind(reader, node, TOML_BOOL) : 0;

	*out = node && !ret && node->boolean;
	return ret;
}

static int read_row(struct server_tables *tables, const struct toml_node *row, struct probe_def *probe)
{
	int ret = read_kind(tables->reader, row, TOML_TABLE);
	const char *note;

	if (ret)
		return ret;
	probe->line = (int)row->line;
	probe->col = (int)row->col;
	ret = read_constants(tables->reader, row, &probe->constant); /* says more of "arg6" than "unknown key" */
	if (!ret)
		ret = read_keys(tables->reader, row, KEYS(row_keys));
	if (!ret)
		ret = read_optional(tables->reader, toml_get(row, "note"), PROSE_BYTES, &note);
	if (!ret)
		ret = read_is_optional(tables->reader, toml_get(row, "optional"), &probe->is_optional);
	if (!ret)
		ret = read_id(tables, toml_get(row, "id"), probe);
	if (!ret)
		ret = read_place(tables, row, probe);
	if (!ret)
		ret = read_version(tables->reader, row, probe);
	if (!ret)
		ret = read_who(tables->reader, toml_get(row, "who"), probe);
	return ret ? ret : read_values_and_rules(tables, row, probe);
}

/* read_alternative - instead-of, when all rows are known */
static int read_alternative(struct server_tables *tables, const struct toml_node *row, struct probe_def *probe)
{
	const struct toml_node *node = toml_get(row, "instead-of");
	struct nearest nearest;
	const char *id;
	int ret;

	if (!node)
		return 0;
	ret = read_text(tables->reader, node, NAME_LENGTH, &id);
	if (ret)
		return ret;
	nearest_init(&nearest, id);
	for (size_t i = 0; i < tables->server->probe_cnt; i++) {
		const struct probe_def *other = &tables->server->probes[i];

		if (!other->id)
			continue;
		nearest_offer(&nearest, other->id);
		if (!strcmp(other->id, id))
			probe->instead_of = other;
	}
	if (!probe->instead_of)
		return fail_value(tables->reader, node, "no row has the id %s%s", shown(tables->reader, id),
				  hint(tables->reader, &nearest));
	for (const struct probe_def *other = probe->instead_of; other; other = other->instead_of)
		if (other == probe)
			return fail_value(tables->reader, node, "this row stands in for itself in the end");
	return 0;
}

int read_rows(struct server_tables *tables, const struct toml_node *rows)
{
	struct server_def *server = tables->server;
	int ret = read_kind(tables->reader, rows, TOML_ARRAY);

	if (ret)
		return ret;
	if (!rows->count || rows->count > ROWS_MAX)
		return fail_value(tables->reader, rows, "1 to %d rows are wanted here, not %zu", ROWS_MAX, rows->count);
	server->probes = arena_array(tables->reader->mem, rows->count, sizeof(*server->probes));
	for (size_t i = 0; !ret && i < rows->count; i++) {
		server->probes[i].index = i;
		ret = read_row(tables, &rows->items[i], &server->probes[i]);
		server->probe_cnt = i + 1;
	}
	for (size_t i = 0; !ret && i < rows->count; i++)
		ret = read_alternative(tables, &rows->items[i], &server->probes[i]);
	return ret;
}
