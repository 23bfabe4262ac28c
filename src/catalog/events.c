/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "catalog/reader.h"

#define EVENTS_MAX ((size_t)2048)

static int by_name(const void *a, const void *b)
{
	const struct event_def *left = a, *right = b;

	return strcmp(left->name, right->name);
}

const struct event_def *events_find(const struct events *events, const char *name)
{
	struct event_def wanted = {.name = name};

	return events->count ? bsearch(&wanted, events->items, events->count, sizeof(wanted), by_name) : NULL;
}

/* read_line - a text that stands in one line of every list and exposition */
static int read_line(struct reader *reader, const struct toml_node *node, const char **out)
{
	int ret = read_text(reader, node, TEXT_LENGTH, out);

	if (!ret && strpbrk(*out, "\t\n\r"))
		ret = fail_inside(reader, node, strcspn(*out, "\t\n\r"), "a control character");
	return ret;
}

/* read_details - NAME = { help = "...", kind = "counter", unit = "{event}" } */
static int read_details(struct reader *reader, const struct toml_node *node, struct event_def *event)
{
	static const char *const keys[] = {"help", "kind", "unit"};
	const struct toml_node *help = NULL, *kind = NULL, *unit = NULL;
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	help = toml_get(node, "help");
	kind = toml_get(node, "kind");
	unit = toml_get(node, "unit");
	if (!help)
		return fail_missing(reader, node, "help");
	ret = read_line(reader, help, &event->help);
	if (!ret && unit)
		ret = read_line(reader, unit, &event->unit);
	if (!ret && kind)
		ret = read_kind(reader, kind, TOML_STRING);
	if (!ret && kind && strcmp(kind->string, "counter"))
		ret =
		    fail_value(reader, kind, "unknown kind %s: there is only \"counter\"", shown(reader, kind->string));
	return ret;
}

static int read_event(struct reader *reader, const char *family, const struct toml_node *node, struct event_def *event)
{
	*event = (struct event_def){.kind = EVENT_COUNTER, .unit = "{event}"};
	event->name = arena_printf(reader->mem, "%s.%s", family, node->key);
	if (!name_is_word(node->key, "-") || strlen(event->name) > NAME_LENGTH)
		return fail_key(reader, node,
				"%s is no name of an event: words of a-z and 0-9 joined by \"-\", %d bytes at most",
				shown(reader, event->name), NAME_LENGTH);
	if (node->kind == TOML_TABLE)
		return read_details(reader, node, event);
	return read_line(reader, node, &event->help);
}

static int read_family(struct reader *reader, const struct toml_node *family, const struct events *known,
		       struct events *fresh)
{
	if (!name_is_word(family->key, "-"))
		return fail_key(reader, family, "%s is no family of events: words of a-z and 0-9 joined by \"-\"",
				shown(reader, family->key));
	if (family->kind != TOML_TABLE)
		return fail_key(reader, family, "an event's name has two parts: %s.NAME", family->key);
	for (size_t i = 0; i < family->count; i++) {
		struct event_def *event = &fresh->items[fresh->count];
		int ret = read_event(reader, family->key, &family->items[i], event);

		if (ret)
			return ret;
		if (events_find(known, event->name))
			return fail_key(reader, &family->items[i], "event \"%s\" exists already", event->name);
		fresh->count++;
	}
	return 0;
}

int events_add(struct events *events, const char *file, const char *text, size_t len, struct arena *mem,
	       char err[static 512])
{
	struct reader reader = {.file = file, .text = text, .len = len, .mem = mem, .err = err};
	const struct toml_node *root;
	struct events all = {0};
	size_t count = events->count;
	int ret = reader_parse(&reader, &root);

	if (ret)
		return ret;
	for (size_t i = 0; i < root->count; i++)
		count += root->items[i].kind == TOML_TABLE ? root->items[i].count : 0;
	if (count > EVENTS_MAX)
		return fail_place(&reader, 1, 1, "%zu events, where %zu are the most", count, EVENTS_MAX);
	all.items = arena_array(mem, count, sizeof(*all.items));
	for (size_t i = 0; i < events->count; i++)
		all.items[all.count++] = events->items[i];
	for (size_t i = 0; !ret && i < root->count; i++)
		ret = read_family(&reader, &root->items[i], events, &all);
	if (ret)
		return ret;
	qsort(all.items, all.count, sizeof(*all.items), by_name);
	*events = all;
	return 0;
}

int events_parse(struct events *out, const char *file, const char *text, size_t len, struct arena *mem,
		 char err[static 512])
{
	*out = (struct events){0};
	return events_add(out, file, text, len, mem, err);
}
