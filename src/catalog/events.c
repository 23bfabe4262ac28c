/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/events.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../bpf/probe.h"
#include "base/arena.h"
#include "catalog/reader.h"

#define EVENTS_MAX ((size_t)2048)
#define BOUNDS_MAX 64   /* lists with a name, of one file */
#define BOUND_MAX  9e18 /* of a bound in the unit of what is observed: it is a 64-bit number there */
#define NO_FAMILY  "bounds"

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

double event_scale(const struct event_def *event)
{
	return strcmp(event->unit, "s") ? 1 : 1e9;
}

/* A vocabulary while it is read. */
struct vocabulary {
	struct reader *reader;
	const struct events *known; /* those before this file */
	struct events all;
	bool *is_used; /* by list of bounds */
};

/* ---- lists of bounds */

static int read_bound(struct reader *reader, const struct toml_node *node, double *out)
{
	if (node->kind != TOML_INTEGER && node->kind != TOML_FLOAT)
		return fail_value(reader, node, "a number is wanted here, not %s", toml_kind_name(node->kind));
	*out = node->kind == TOML_INTEGER ? (double)node->integer : node->number;
	if (!isfinite(*out) || *out < 0)
		return fail_value(reader, node, "a bound is a finite number, and not below 0");
	return 0;
}

static int read_bounds(struct reader *reader, const struct toml_node *node, const double **out, size_t *count)
{
	double *bounds;
	int ret = read_kind(reader, node, TOML_ARRAY);

	if (ret)
		return ret;
	if (!node->count || node->count > PROBE_BUCKETS)
		return fail_value(reader, node, "1 to %d bounds are wanted here, not %zu", PROBE_BUCKETS, node->count);
	bounds = arena_array(reader->mem, node->count, sizeof(*bounds));
	for (size_t i = 0; i < node->count; i++) {
		ret = read_bound(reader, &node->items[i], &bounds[i]);
		if (ret)
			return ret;
		if (i && bounds[i] <= bounds[i - 1])
			return fail_value(reader, &node->items[i],
					  "bounds ascend: this one is not above the one before");
	}
	*out = bounds;
	*count = node->count;
	return 0;
}

static struct bounds_def *find_bounds(const struct events *events, const char *name)
{
	for (size_t i = 0; i < events->bounds_cnt; i++)
		if (!strcmp(events->bounds[i].name, name))
			return &events->bounds[i];
	return NULL;
}

/* read_bounds_names - [bounds] NAME = [...], behind those of earlier files */
static int read_bounds_names(struct vocabulary *vocabulary, const struct toml_node *table)
{
	struct reader *reader = vocabulary->reader;
	struct events *all = &vocabulary->all;
	size_t known = vocabulary->known->bounds_cnt;
	int ret = table ? read_kind(reader, table, TOML_TABLE) : 0;

	if (!ret && table && table->count > BOUNDS_MAX)
		ret = fail_value(reader, table, "%zu lists of bounds, where %d are the most", table->count, BOUNDS_MAX);
	if (ret)
		return ret;
	all->bounds = arena_array(reader->mem, known + (table ? table->count : 0), sizeof(*all->bounds));
	vocabulary->is_used = arena_array(reader->mem, known + (table ? table->count : 0), sizeof(bool));
	for (; all->bounds_cnt < known; all->bounds_cnt++)
		all->bounds[all->bounds_cnt] = vocabulary->known->bounds[all->bounds_cnt];
	for (size_t i = 0; !ret && table && i < table->count; i++) {
		const struct toml_node *node = &table->items[i];
		struct bounds_def def = {.name = node->key};

		if (!name_is_word(node->key, "-"))
			return fail_key(reader, node,
					"%s is no name of bounds: words of a-z and 0-9 joined by \"-\", %d bytes at "
					"most",
					shown(reader, node->key), NAME_LENGTH);
		if (find_bounds(all, node->key))
			return fail_key(reader, node, "bounds \"%s\" exist already", node->key);
		ret = read_bounds(reader, node, &def.bounds, &def.bound_cnt);
		all->bounds[all->bounds_cnt++] = def;
	}
	return ret;
}

/* check_bounds_used - do events of this file use all names of its bounds? */
static int check_bounds_used(const struct vocabulary *vocabulary, const struct toml_node *table)
{
	for (size_t i = 0; table && i < table->count; i++)
		if (!vocabulary->is_used[vocabulary->known->bounds_cnt + i])
			return fail_key(vocabulary->reader, &table->items[i], "nothing uses bounds \"%s\"",
					table->items[i].key);
	return 0;
}

/* read_bounds_of - of a histogram: a list, or its name */
static int read_bounds_of(struct vocabulary *vocabulary, const struct toml_node *node, struct event_def *event)
{
	struct reader *reader = vocabulary->reader;
	const struct bounds_def *def;
	struct nearest nearest;

	if (node->kind != TOML_STRING)
		return read_bounds(reader, node, &event->bounds, &event->bound_cnt);
	def = find_bounds(&vocabulary->all, node->string);
	nearest_init(&nearest, node->string);
	for (size_t i = 0; i < vocabulary->all.bounds_cnt; i++)
		nearest_offer(&nearest, vocabulary->all.bounds[i].name);
	if (!def)
		return fail_value(reader, node, "unknown bounds %s%s", shown(reader, node->string),
				  hint(reader, &nearest));
	vocabulary->is_used[def - vocabulary->all.bounds] = true;
	event->bounds = def->bounds;
	event->bound_cnt = def->bound_cnt;
	return 0;
}

/* ---- events */

/* read_line - a text that stands in one line of every list and exposition */
static int read_line(struct reader *reader, const struct toml_node *node, const char **out)
{
	int ret = read_text(reader, node, TEXT_LENGTH, out);

	if (!ret && strpbrk(*out, "\t\n\r"))
		ret = fail_inside(reader, node, strcspn(*out, "\t\n\r"), "a control character");
	return ret;
}

const char *event_kind_name(enum event_kind kind)
{
	static const char *const names[EVENT_KINDS] = {
	    [EVENT_COUNTER] = "counter", [EVENT_GAUGE] = "gauge", [EVENT_HISTOGRAM] = "histogram"};

	return names[kind];
}

static int read_event_kind(struct reader *reader, const struct toml_node *node, enum event_kind *out)
{
	struct nearest nearest;
	int ret = read_kind(reader, node, TOML_STRING);

	if (ret)
		return ret;
	nearest_init(&nearest, node->string);
	for (int i = 0; i < EVENT_KINDS; i++) {
		*out = (enum event_kind)i;
		nearest_offer(&nearest, event_kind_name(*out));
		if (!strcmp(event_kind_name(*out), node->string))
			return 0;
	}
	return fail_value(reader, node, "unknown kind %s%s: there are \"counter\", \"gauge\" and \"histogram\"",
			  shown(reader, node->string), hint(reader, &nearest));
}

/* read_spread - what only a histogram has */
static int read_spread(struct vocabulary *vocabulary, const struct toml_node *node, struct event_def *event)
{
	struct reader *reader = vocabulary->reader;
	const struct toml_node *bounds = toml_get(node, "bounds");
	int ret;

	if (event->kind != EVENT_HISTOGRAM)
		return bounds ? fail_key(reader, bounds, "only a histogram has bounds") : 0;
	if (!bounds)
		return fail_missing(reader, node, "bounds");
	ret = read_bounds_of(vocabulary, bounds, event);
	if (!ret && event->bounds[event->bound_cnt - 1] * event_scale(event) > BOUND_MAX)
		ret = fail_value(reader, bounds, "a bound beyond 64 bits%s",
				 event_scale(event) > 1 ? " (times are in nanoseconds)" : "");
	return ret;
}

/* read_details - NAME = { help = "...", kind = "counter", unit = "{event}" } */
static int read_details(struct vocabulary *vocabulary, const struct toml_node *node, struct event_def *event)
{
	static const char *const keys[] = {"help", "kind", "unit", "bounds"};
	struct reader *reader = vocabulary->reader;
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
	if (!ret && kind)
		ret = read_event_kind(reader, kind, &event->kind);
	if (!ret && unit)
		ret = read_line(reader, unit, &event->unit);
	else if (!ret && event->kind != EVENT_COUNTER) /* "{event}" is never right for these */
		ret = fail_missing(reader, node, "unit");
	return ret ? ret : read_spread(vocabulary, node, event);
}

static int read_event(struct vocabulary *vocabulary, const char *family, const struct toml_node *node,
		      struct event_def *event)
{
	struct reader *reader = vocabulary->reader;

	*event = (struct event_def){.kind = EVENT_COUNTER, .unit = "{event}"};
	event->name = arena_printf(reader->mem, "%s.%s", family, node->key);
	if (!name_is_word(node->key, "-") || strlen(event->name) > NAME_LENGTH)
		return fail_key(reader, node,
				"%s is no name of an event: words of a-z and 0-9 joined by \"-\", %d bytes at most",
				shown(reader, event->name), NAME_LENGTH);
	if (node->kind == TOML_TABLE)
		return read_details(vocabulary, node, event);
	return read_line(reader, node, &event->help);
}

static int read_family(struct vocabulary *vocabulary, const struct toml_node *family)
{
	struct reader *reader = vocabulary->reader;
	struct events *all = &vocabulary->all;

	if (!name_is_word(family->key, "-"))
		return fail_key(reader, family, "%s is no family of events: words of a-z and 0-9 joined by \"-\"",
				shown(reader, family->key));
	if (family->kind != TOML_TABLE)
		return fail_key(reader, family, "an event's name has two parts: %s.NAME", family->key);
	for (size_t i = 0; i < family->count; i++) {
		struct event_def *event = &all->items[all->count];
		int ret = read_event(vocabulary, family->key, &family->items[i], event);

		if (ret)
			return ret;
		if (events_find(vocabulary->known, event->name))
			return fail_key(reader, &family->items[i], "event \"%s\" exists already", event->name);
		all->count++;
	}
	return 0;
}

int events_add(struct events *events, const char *file, const char *text, size_t len, struct arena *mem,
	       char err[static 512])
{
	struct reader reader = {.file = file, .text = text, .len = len, .mem = mem, .err = err};
	struct vocabulary vocabulary = {.reader = &reader, .known = events};
	const struct toml_node *root, *bounds;
	struct events *all = &vocabulary.all;
	size_t count = events->count;
	int ret = reader_parse(&reader, &root);

	if (ret)
		return ret;
	bounds = toml_get(root, NO_FAMILY);
	for (size_t i = 0; i < root->count; i++)
		count += &root->items[i] != bounds && root->items[i].kind == TOML_TABLE ? root->items[i].count : 0;
	if (count > EVENTS_MAX)
		return fail_place(&reader, 1, 1, "%zu events, where %zu are the most", count, EVENTS_MAX);
	ret = read_bounds_names(&vocabulary, bounds);
	all->items = arena_array(mem, count, sizeof(*all->items));
	for (size_t i = 0; i < events->count; i++)
		all->items[all->count++] = events->items[i];
	for (size_t i = 0; !ret && i < root->count; i++)
		if (&root->items[i] != bounds)
			ret = read_family(&vocabulary, &root->items[i]);
	if (!ret)
		ret = check_bounds_used(&vocabulary, bounds);
	if (ret)
		return ret;
	qsort(all->items, all->count, sizeof(*all->items), by_name);
	*events = *all;
	return 0;
}

int events_parse(struct events *out, const char *file, const char *text, size_t len, struct arena *mem,
		 char err[static 512])
{
	*out = (struct events){0};
	return events_add(out, file, text, len, mem, err);
}
