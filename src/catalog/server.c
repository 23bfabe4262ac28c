/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - reads a server's file: its sections, but for rows (row.c), tables of texts (lookup.c) and where gauges
 * begin (gauge.c). */
#include "catalog/server.h"

#include <string.h>

#include "base/arena.h"

/* ---- [server] */

static int read_server(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"name", "exe", "orphans", "title", "about"};
	struct reader *reader = tables->reader;
	const struct toml_node *name, *exe, *orphans;
	struct string_array globs;
	const char *prose;
	int ret = read_keys(reader, node, KEYS(keys));

	/* what only the documentation shows */
	if (!ret)
		ret = read_optional(reader, toml_get(node, "title"), NAME_LENGTH, &prose);
	if (!ret)
		ret = read_optional(reader, toml_get(node, "about"), PROSE_BYTES, &prose);
	if (ret)
		return ret;
	name = toml_get(node, "name");
	exe = toml_get(node, "exe");
	orphans = toml_get(node, "orphans");
	if (orphans)
		ret = read_kind(reader, orphans, TOML_BOOL);
	if (ret)
		return ret;
	tables->server->has_orphans = orphans && orphans->boolean;
	if (!name || !exe)
		return fail_missing(reader, node, name ? "exe" : "name");
	ret = read_text(reader, name, NAME_LENGTH, &tables->server->name);
	if (!ret && !name_is_word(tables->server->name, "-"))
		ret = fail_value(reader, name, "%s is no name of a server: words of a-z and 0-9 joined by \"-\"",
				 shown(reader, tables->server->name));
	if (!ret)
		ret = read_texts(reader, exe, TEXT_LENGTH, &globs);
	if (ret)
		return ret;
	tables->server->line = (int)name->line;
	tables->server->col = (int)name->col;
	tables->server->exe = globs.items;
	tables->server->exe_cnt = globs.count;
	return 0;
}

/* ---- sections of named tables */

static int read_object(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"file"};
	struct object_def *object = &tables->server->objects[tables->server->object_cnt++];
	const struct toml_node *file;
	int ret = read_keys(tables->reader, node, KEYS(keys));

	if (ret)
		return ret;
	*object = (struct object_def){.name = node->key, .line = (int)node->key_line, .col = (int)node->key_col};
	file = toml_get(node, "file");
	if (!file)
		return fail_missing(tables->reader, node, "file");
	ret = read_text(tables->reader, file, TEXT_LENGTH, &object->file);
	if (!ret && strchr(object->file, '/'))
		ret = fail_inside(tables->reader, file, strcspn(object->file, "/"),
				  "a \"/\": the base name of a file is wanted here");
	return ret;
}

static int read_case(struct reader *reader, const struct toml_node *node, bool is_last, struct constant_case *out)
{
	static const char *const keys[] = {"if-symbol", "value"};
	const struct toml_node *value;
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	value = toml_get(node, "value");
	if (!value)
		return fail_missing(reader, node, "value");
	ret = read_optional(reader, toml_get(node, "if-symbol"), TEXT_LENGTH, &out->if_symbol);
	if (!ret)
		ret = read_integer(reader, value, INT32_MIN, INT32_MAX, &out->value);
	if (!ret && !out->if_symbol && !is_last)
		ret = fail_value(reader, node, "this case always applies: those behind it never do");
	return ret;
}

static int read_cases(struct reader *reader, const struct toml_node *node, struct constant_def *constant)
{
	int ret = read_kind(reader, node, TOML_ARRAY);

	if (ret)
		return ret;
	if (!node->count || node->count > LIST_MAX)
		return fail_value(reader, node, "1 to %d cases are wanted here, not %zu", LIST_MAX, node->count);
	constant->cases = arena_array(reader->mem, node->count, sizeof(*constant->cases));
	constant->case_cnt = node->count;
	for (size_t i = 0; !ret && i < node->count; i++) {
		ret = read_case(reader, &node->items[i], i + 1 == node->count, &constant->cases[i]);
		for (size_t k = 0; !ret && k < i; k++)
			if (constant->cases[i].if_symbol &&
			    !strcmp(constant->cases[i].if_symbol, constant->cases[k].if_symbol))
				ret = fail_value(reader, &node->items[i], "case %zu has this symbol already", k + 1);
	}
	return ret;
}

static const struct object_def *find_object(const struct server_def *server, const char *name)
{
	for (size_t i = 0; i < server->object_cnt; i++)
		if (!strcmp(server->objects[i].name, name))
			return &server->objects[i];
	return NULL;
}

int read_object_name(struct server_tables *tables, const struct toml_node *node, const struct object_def **out)
{
	struct nearest nearest;
	int ret = read_kind(tables->reader, node, TOML_STRING);

	if (ret)
		return ret;
	*out = find_object(tables->server, node->string);
	if (*out)
		return 0;
	nearest_init(&nearest, node->string);
	for (size_t i = 0; i < tables->server->object_cnt; i++)
		nearest_offer(&nearest, tables->server->objects[i].name);
	return fail_value(tables->reader, node, "unknown object %s%s", shown(tables->reader, node->string),
			  hint(tables->reader, &nearest));
}

static int read_constant(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"object", "load", "agree", "cases"};
	struct reader *reader = tables->reader;
	struct constant_def *constant = &tables->scope.constants[tables->scope.constant_cnt++];
	const struct toml_node *object, *load, *agree, *cases;
	const struct object_def *def;
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	*constant = (struct constant_def){.name = node->key, .line = (int)node->key_line, .col = (int)node->key_col};
	object = toml_get(node, "object");
	load = toml_get(node, "load");
	agree = toml_get(node, "agree");
	cases = toml_get(node, "cases");
	if (!object)
		return fail_missing(reader, node, "object");
	if (!load == !cases)
		return fail_value(reader, node, "either \"load\" or \"cases\" is wanted here");
	if (agree && !load)
		return fail_key(reader, agree, "\"agree\" is there only with \"load\"");
	ret = read_object_name(tables, object, &def);
	if (ret)
		return ret;
	constant->object = def->name;
	ret = read_optional(reader, load, TEXT_LENGTH, &constant->load);
	if (!ret)
		ret = read_optional(reader, agree, TEXT_LENGTH, &constant->agree);
	if (!ret && cases)
		ret = read_cases(reader, cases, constant);
	return ret;
}

static int read_layout(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"parent", "array",  "key",       "type",
					   "text",   "number", "type-text", "type-number"};
	struct layout_def *layout = &tables->scope.layouts[tables->scope.layout_cnt++];
	struct number_def *const numbers[] = {&layout->parent,    &layout->array,      &layout->key,
					      &layout->type,      &layout->text,       &layout->number,
					      &layout->type_text, &layout->type_number};
	int ret = read_keys(tables->reader, node, KEYS(keys));

	if (ret)
		return ret;
	*layout = (struct layout_def){.name = node->key, .line = (int)node->key_line, .col = (int)node->key_col};
	for (size_t i = 0; !ret && i < sizeof(keys) / sizeof(keys[0]); i++) {
		const struct toml_node *number = toml_get(node, keys[i]);

		if (!number)
			return fail_missing(tables->reader, node, keys[i]);
		ret = expr_number(tables->reader, &tables->scope, number, 0, INT32_MAX, numbers[i]);
	}
	return ret;
}

static int read_slot(struct server_tables *tables, const struct toml_node *node)
{
	struct slot_def *slot = &tables->server->slots[tables->server->slot_cnt++];
	const char *purpose;

	*slot = (struct slot_def){.name = node->key, .line = (int)node->key_line, .col = (int)node->key_col};
	if (expr_is_reserved(node->key))
		return fail_key(tables->reader, node, "\"%s\" has a meaning in expressions already", node->key);
	return read_text(tables->reader, node, TEXT_LENGTH, &purpose);
}

static int read_section(struct server_tables *tables, const struct toml_node *table, bool is_identifier,
			int (*read)(struct server_tables *tables, const struct toml_node *node))
{
	struct reader *reader = tables->reader;
	int ret = read_kind(reader, table, TOML_TABLE);

	if (!ret && table->count > TABLES_MAX)
		ret = fail_value(reader, table, "%zu of \"%s\", where %d are the most", table->count, table->key,
				 TABLES_MAX);
	for (size_t i = 0; !ret && i < table->count; i++) {
		const struct toml_node *node = &table->items[i];

		if (is_identifier ? !name_is_identifier(node->key) : !name_is_word(node->key, "-_"))
			return fail_key(reader, node, "%s is no name of this kind: %s", shown(reader, node->key),
					is_identifier ? "[a-z_][a-z0-9_]*"
						      : "words of a-z and 0-9 joined by \"-\" or \"_\"");
		ret = read(tables, node);
	}
	return ret;
}

/* read_cost - { for = "...", hits = N } */
static int read_cost(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"for", "hits"};
	struct reader *reader = tables->reader;
	struct cost_def *cost = &tables->server->costs[tables->server->cost_cnt++];
	const struct toml_node *what, *hits;
	int64_t count;
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	what = toml_get(node, "for");
	hits = toml_get(node, "hits");
	if (!what || !hits)
		return fail_missing(reader, node, what ? "hits" : "for");
	ret = read_text(reader, what, TEXT_LENGTH, &cost->what);
	if (!ret)
		ret = read_integer(reader, hits, 1, 1000000, &count);
	if (!ret)
		cost->hits = (unsigned)count;
	return ret;
}

/* read_limit - what cannot be seen of this server: for readers only */
static int read_limit(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"events", "text"};
	struct reader *reader = tables->reader;
	const struct toml_node *text, *items;
	const char *prose;
	size_t count;
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	text = toml_get(node, "text");
	if (!text)
		return fail_missing(reader, node, "text");
	ret = read_text(reader, text, PROSE_BYTES, &prose);
	if (!ret)
		ret = strings_of(reader, toml_get(node, "events"), &items, &count);
	for (size_t i = 0; !ret && i < count; i++)
		ret = read_any_event(tables, &items[i], false);
	return ret;
}

/* read_notes - [note] "EVENT" = "...": what one should know of it on this server; for readers only */
static int read_notes(struct server_tables *tables, const struct toml_node *notes)
{
	struct reader *reader = tables->reader;
	const char *prose;
	int ret = read_kind(reader, notes, TOML_TABLE);

	for (size_t i = 0; !ret && i < notes->count; i++) {
		const struct toml_node *note = &notes->items[i];

		ret = read_any_event(tables, note, true);
		if (!ret)
			ret = read_text(reader, note, PROSE_BYTES, &prose);
	}
	return ret;
}

/* read_list - [[NAME]] */
static int read_list(struct server_tables *tables, const struct toml_node *list,
		     int (*read)(struct server_tables *tables, const struct toml_node *node))
{
	int ret = read_kind(tables->reader, list, TOML_ARRAY);

	if (!ret && list->count > TABLES_MAX)
		ret = fail_value(tables->reader, list, "%zu of \"%s\", where %d are the most", list->count, list->key,
				 TABLES_MAX);
	for (size_t i = 0; !ret && i < list->count; i++)
		ret = read(tables, &list->items[i]);
	return ret;
}

/* read_lists - sections that stand before or behind the rows, whatever the order in the file */
static int read_lists(struct server_tables *tables, const struct toml_node *root)
{
	const struct toml_node *notes = toml_get(root, "note");
	static const struct {
		const char *key;
		int (*read)(struct server_tables *tables, const struct toml_node *node);
	} lists[] = {{"seed", read_seed}, {"directory", read_directory}, {"limit", read_limit}, {"cost", read_cost}};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct toml_node *list = toml_get(root, lists[i].key);

		if (list)
			ret = read_list(tables, list, lists[i].read);
	}
	return ret || !notes ? ret : read_notes(tables, notes);
}

/* read_sections - in an order in which each finds the names that it may use */
static int read_sections(struct server_tables *tables, const struct toml_node *root)
{
	static const struct {
		const char *key;
		bool is_identifier; /* expressions use the names */
		int (*read)(struct server_tables *tables, const struct toml_node *node);
	} sections[] = {
	    {"object", false, read_object}, {"function", false, read_function}, {"constant", true, read_constant},
	    {"layout", true, read_layout},  {"slot", true, read_slot},          {"label", true, read_label_set},
	    {"choice", true, read_choice},
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(sections) / sizeof(sections[0]); i++) {
		const struct toml_node *table = toml_get(root, sections[i].key);

		if (table)
			ret = read_section(tables, table, sections[i].is_identifier, sections[i].read);
	}
	tables->scope.slots = tables->server->slots;
	tables->scope.slot_cnt = tables->server->slot_cnt;
	return ret;
}

static void tables_init(struct server_tables *tables, struct reader *reader, const struct events *events)
{
	struct arena *mem = reader->mem;

	*tables = (struct server_tables){
	    .reader = reader,
	    .events = events,
	    .server = arena_alloc(mem, sizeof(*tables->server)),
	    .scope.constants = arena_array(mem, TABLES_MAX, sizeof(*tables->scope.constants)),
	    .scope.layouts = arena_array(mem, TABLES_MAX, sizeof(*tables->scope.layouts)),
	    .functions = arena_array(mem, TABLES_MAX, sizeof(*tables->functions)),
	};
	tables->server->objects = arena_array(mem, TABLES_MAX, sizeof(*tables->server->objects));
	tables->server->slots = arena_array(mem, TABLES_MAX, sizeof(*tables->server->slots));
	tables->server->label_sets = arena_array(mem, TABLES_MAX, sizeof(*tables->server->label_sets));
	tables->server->choices = arena_array(mem, TABLES_MAX, sizeof(*tables->server->choices));
	tables->server->seeds = arena_array(mem, TABLES_MAX, sizeof(*tables->server->seeds));
	tables->server->directories = arena_array(mem, TABLES_MAX, sizeof(*tables->server->directories));
	tables->server->costs = arena_array(mem, TABLES_MAX, sizeof(*tables->server->costs));
}

int catalog_parse_server(struct server_def **out, const struct events *events, const char *file, const char *text,
			 size_t len, struct arena *mem, char err[static 512])
{
	static const char *const keys[] = {"server", "object", "function",  "constant", "layout", "slot", "label",
					   "choice", "seed",   "directory", "limit",    "cost",   "note", "probe"};
	struct reader reader = {.file = arena_strdup(mem, file), .text = text, .len = len, .mem = mem, .err = err};
	struct server_tables tables;
	const struct toml_node *root, *server, *rows;
	int ret = reader_parse(&reader, &root);

	if (!ret)
		ret = read_keys(&reader, root, KEYS(keys));
	if (ret)
		return ret;
	server = toml_get(root, "server");
	rows = toml_get(root, "probe");
	if (!server || !rows)
		return fail_value(&reader, root, server ? "[[probe]] is missing" : "[server] is missing");
	tables_init(&tables, &reader, events);
	tables.server->file = reader.file;
	ret = read_server(&tables, server);
	if (!ret)
		ret = read_sections(&tables, root);
	if (!ret)
		ret = read_lists(&tables, root);
	if (!ret)
		ret = read_rows(&tables, rows);
	if (!ret)
		ret = check_server(&tables);
	if (!ret)
		*out = tables.server;
	return ret;
}
