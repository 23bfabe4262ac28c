/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c - reads the tables that a text is looked up in: [label.NAME] gives a label's value, [choice.NAME] an event.
 * Also the names of events and labels, here and elsewhere in a server's file. */
#include <string.h>

#include "base/arena.h"
#include "catalog/server.h"

#define TEXTS_MAX   128 /* of one table */
#define TEXT_BYTES  ((size_t)PROBE_STRING - 1)
#define OTHER_VALUE "other"

/* ---- names of events */

/* fail_named - at a key or at a value */
#define fail_named(reader, node, is_key, ...) \
	((is_key) ? fail_key(reader, node, __VA_ARGS__) : fail_value(reader, node, __VA_ARGS__))

/* unknown_event - those of a wanted kind are offered first */
static int unknown_event(struct server_tables *tables, const struct toml_node *node, bool is_key, enum event_kind kind)
{
	const char *name = is_key ? node->key : node->string;
	const struct events *events = tables->events;
	struct nearest nearest;

	nearest_init(&nearest, name);
	for (size_t i = 0; i < events->count; i++)
		if (events->items[i].kind == kind)
			nearest_offer(&nearest, events->items[i].name);
	for (size_t i = 0; i < events->count; i++)
		nearest_offer(&nearest, events->items[i].name);
	return fail_named(tables->reader, node, is_key, "unknown event %s%s", shown(tables->reader, name),
			  hint(tables->reader, &nearest));
}

static int read_event(struct server_tables *tables, const struct toml_node *node, bool is_key, enum event_kind kind,
		      const struct event_def **out)
{
	const char *name = is_key ? node->key : node->string;

	*out = events_find(tables->events, name);
	if (!*out)
		return unknown_event(tables, node, is_key, kind);
	if ((*out)->kind != kind)
		return fail_named(tables->reader, node, is_key, "\"%s\" is a %s: a %s is wanted here", name,
				  event_kind_name((*out)->kind), event_kind_name(kind));
	return 0;
}

int read_any_event(struct server_tables *tables, const struct toml_node *node, bool is_key)
{
	int ret = is_key ? 0 : read_kind(tables->reader, node, TOML_STRING);

	if (!ret && !events_find(tables->events, is_key ? node->key : node->string))
		ret = unknown_event(tables, node, is_key, EVENT_COUNTER);
	return ret;
}

int read_event_name(struct server_tables *tables, const struct toml_node *node, enum event_kind kind,
		    const struct event_def **out)
{
	int ret = read_kind(tables->reader, node, TOML_STRING);

	return ret ? ret : read_event(tables, node, false, kind, out);
}

int read_event_key(struct server_tables *tables, const struct toml_node *node, enum event_kind kind,
		   const struct event_def **out)
{
	if (node->kind == TOML_TABLE) /* FAMILY.NAME = ... makes two tables */
		return fail_key(tables->reader, node, "the name of an event as a key is wanted here, in quotes");
	return read_event(tables, node, true, kind, out);
}

/* ---- labels */

int check_label_name(struct reader *reader, const struct toml_node *node)
{
	if (!name_is_identifier(node->key) || !strncmp(node->key, "__", 2))
		return fail_key(reader, node, "%s is no name of a label: [a-z_][a-z0-9_]*", shown(reader, node->key));
	if (!strcmp(node->key, "server"))
		return fail_key(reader, node, "the label \"server\" is set by mailgauge itself");
	if (!strcmp(node->key, "le") || !strcmp(node->key, "quantile"))
		return fail_key(reader, node, "the label \"%s\" has a meaning in Prometheus already", node->key);
	return 0;
}

int read_label_value(struct reader *reader, const struct toml_node *node, const char **out)
{
	int ret = read_text(reader, node, NAME_LENGTH, out);

	if (!ret && strpbrk(*out, "\t\n\r"))
		ret = fail_value(reader, node, "a control character");
	return ret;
}

/* read_key - a text that stands as a key */
static int read_key(struct reader *reader, const struct toml_node *node)
{
	size_t len = strlen(node->key);

	if (!len)
		return fail_key(reader, node, "an empty text");
	if (len > TEXT_BYTES)
		return fail_key(reader, node, "a text of %zu bytes, where %zu are the most", len, TEXT_BYTES);
	for (const char *c = node->key; *c; c++)
		if (((unsigned char)*c < 0x20 && !strchr("\t\n\r", *c)) || *c == 0x7f)
			return fail_key(reader, node, "a control character");
	return 0;
}

/* What a [label] is made of, while it is read: which value each text becomes. */
struct pairs {
	struct pair {
		const char *text, *value;
	} items[LIST_MAX + TEXTS_MAX];
	size_t count;
};

static int read_values(struct reader *reader, const struct toml_node *node, struct pairs *pairs)
{
	const struct toml_node *items;
	struct string_array texts;
	size_t count;
	int ret = read_texts(reader, node, NAME_LENGTH, &texts); /* different ones */

	if (!ret)
		ret = strings_of(reader, node, &items, &count);
	for (size_t i = 0; !ret && i < texts.count; i++) {
		struct pair *pair = &pairs->items[pairs->count++];

		ret = read_label_value(reader, &items[i], &pair->value);
		pair->text = pair->value;
	}
	return ret;
}

/* read_also - { text = "value", ... } */
static int read_also(struct reader *reader, const struct toml_node *node, struct pairs *pairs)
{
	size_t value_cnt = pairs->count;
	int ret = read_kind(reader, node, TOML_TABLE);

	if (ret)
		return ret;
	if (!node->count || node->count > TEXTS_MAX)
		return fail_value(reader, node, "1 to %d texts are wanted here, not %zu", TEXTS_MAX, node->count);
	for (size_t i = 0; !ret && i < node->count; i++) {
		const struct toml_node *item = &node->items[i];
		struct pair *pair = &pairs->items[pairs->count++];

		pair->text = item->key;
		ret = read_key(reader, item);
		for (size_t k = 0; !ret && k < value_cnt; k++)
			if (!strcmp(pairs->items[k].text, item->key))
				ret =
				    fail_key(reader, item, "%s is one of the values already", shown(reader, item->key));
		if (!ret)
			ret = read_label_value(reader, item, &pair->value);
	}
	return ret;
}

/* put_value - its index */
static size_t put_value(struct label_set *set, const char *value)
{
	for (size_t i = 0; i < set->value_cnt; i++)
		if (!strcmp(set->values[i], value))
			return i;
	set->values[set->value_cnt] = value;
	return set->value_cnt++;
}

/* make_set - values in the order of the file, `other` behind them */
static void make_set(struct label_set *set, const struct pairs *pairs, const char *other, struct arena *mem)
{
	set->values = arena_array(mem, pairs->count + 1, sizeof(*set->values));
	set->texts = arena_array(mem, pairs->count, sizeof(*set->texts));
	set->text_cnt = pairs->count;
	for (size_t i = 0; i < pairs->count; i++)
		if (strcmp(pairs->items[i].value, other))
			put_value(set, pairs->items[i].value);
	set->other = put_value(set, other);
	for (size_t i = 0; i < pairs->count; i++)
		set->texts[i] =
		    (struct label_text){.text = pairs->items[i].text, .value = put_value(set, pairs->items[i].value)};
}

int read_label_set(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"values", "also", "other"};
	struct label_set *set = &tables->server->label_sets[tables->server->label_set_cnt++];
	const struct toml_node *values, *also, *other;
	struct reader *reader = tables->reader;
	const char *other_value = OTHER_VALUE;
	struct pairs pairs = {.count = 0};
	int ret = check_label_name(reader, node);

	if (!ret)
		ret = read_keys(reader, node, KEYS(keys));
	if (ret)
		return ret;
	*set = (struct label_set){.name = node->key, .line = (int)node->key_line, .col = (int)node->key_col};
	values = toml_get(node, "values");
	also = toml_get(node, "also");
	other = toml_get(node, "other");
	if (!values)
		return fail_missing(reader, node, "values");
	ret = read_values(reader, values, &pairs);
	if (!ret && also)
		ret = read_also(reader, also, &pairs);
	if (!ret && other)
		ret = read_label_value(reader, other, &other_value);
	if (!ret)
		make_set(set, &pairs, other_value, reader->mem);
	return ret;
}

/* ---- choices */

int read_choice(struct server_tables *tables, const struct toml_node *node)
{
	struct choice_def *choice = &tables->server->choices[tables->server->choice_cnt++];
	struct reader *reader = tables->reader;
	int ret = read_kind(reader, node, TOML_TABLE);

	if (ret)
		return ret;
	if (!node->count || node->count > TEXTS_MAX)
		return fail_value(reader, node, "1 to %d texts are wanted here, not %zu", TEXTS_MAX, node->count);
	*choice = (struct choice_def){.name = node->key, .line = (int)node->key_line, .col = (int)node->key_col};
	choice->texts = arena_array(reader->mem, node->count, sizeof(*choice->texts));
	choice->text_cnt = node->count;
	for (size_t i = 0; !ret && i < node->count; i++) {
		choice->texts[i].text = node->items[i].key;
		ret = read_key(reader, &node->items[i]);
		if (!ret)
			ret = read_event_name(tables, &node->items[i], EVENT_COUNTER, &choice->texts[i].event);
	}
	return ret;
}

/* ---- by name */

int find_label_set(struct server_tables *tables, const struct toml_node *node, const struct label_set **out)
{
	const struct server_def *server = tables->server;
	struct nearest nearest;

	nearest_init(&nearest, node->key);
	for (size_t i = 0; i < server->label_set_cnt; i++) {
		*out = &server->label_sets[i];
		if (!strcmp((*out)->name, node->key))
			return 0;
		nearest_offer(&nearest, (*out)->name);
	}
	return fail_key(tables->reader, node, "there is no [label.%s]%s", node->key, hint(tables->reader, &nearest));
}

int find_choice(struct server_tables *tables, const struct toml_node *node, const struct choice_def **out)
{
	const struct server_def *server = tables->server;
	struct nearest nearest;

	nearest_init(&nearest, node->key);
	for (size_t i = 0; i < server->choice_cnt; i++) {
		*out = &server->choices[i];
		if (!strcmp((*out)->name, node->key))
			return 0;
		nearest_offer(&nearest, (*out)->name);
	}
	return fail_key(tables->reader, node, "unknown choice %s%s", shown(tables->reader, node->key),
			hint(tables->reader, &nearest));
}
