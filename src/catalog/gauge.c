/* SPDX-License-Identifier: Apache-2.0 */
/* gauge.c - reads where a gauge's value at the beginning comes from: [[seed]] and [[directory]]. */
#include <string.h>

#include "base/arena.h"
#include "catalog/server.h"

/* ---- seeds */

static int read_clients(struct reader *reader, const struct toml_node *node, struct seed_def *seed)
{
	static const struct {
		const char *text;
		int accepted, paired;
	} known[] = {{"accepted", 1, 0}, {"accepted + paired", 1, 1}, {"accepted - paired", 1, -1}, {"paired", 0, 1}};
	int ret = read_kind(reader, node, TOML_STRING);

	if (ret)
		return ret;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].text, node->string)) {
			seed->accepted = known[i].accepted;
			seed->paired = known[i].paired;
			return 0;
		}
	return fail_value(reader, node,
			  "%s is none of \"accepted\", \"accepted + paired\", \"accepted - paired\" and \"paired\"",
			  shown(reader, node->string));
}

/* check_seeds_meet - would a process get two numbers for one gauge? */
static int check_seeds_meet(struct server_tables *tables, const struct toml_node *who, const struct seed_def *seed)
{
	for (const struct seed_def *other = tables->server->seeds; other < seed; other++) {
		if (other->event != seed->event)
			continue;
		for (size_t i = 0; i < seed->who_cnt; i++)
			for (size_t k = 0; k < other->who_cnt; k++)
				if (!strcmp(seed->who[i], other->who[k]))
					return fail_value(tables->reader, who,
							  "processes %s have \"%s\" by the seed in line %d already",
							  shown(tables->reader, seed->who[i]), seed->event->name,
							  other->line);
	}
	return 0;
}

int read_seed(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"event", "who", "clients"};
	struct seed_def *seed = &tables->server->seeds[tables->server->seed_cnt++];
	struct reader *reader = tables->reader;
	const struct toml_node *items[3];
	struct string_array who;
	int ret = read_keys(reader, node, KEYS(keys));

	for (size_t i = 0; !ret && i < 3; i++)
		if (!(items[i] = toml_get(node, keys[i])))
			ret = fail_missing(reader, node, keys[i]);
	if (ret)
		return ret;
	seed->line = (int)node->line;
	seed->col = (int)node->col;
	ret = read_event_name(tables, items[0], EVENT_GAUGE, &seed->event);
	if (!ret)
		ret = read_process_names(reader, items[1], &who);
	if (!ret)
		ret = read_clients(reader, items[2], seed);
	if (ret)
		return ret;
	seed->who = who.items;
	seed->who_cnt = who.count;
	return check_seeds_meet(tables, items[1], seed);
}

/* ---- directories */

static int read_path(struct reader *reader, const struct toml_node *node, const char **out)
{
	int ret = read_text(reader, node, TEXT_LENGTH, out);

	if (ret)
		return ret;
	if (**out == '/')
		return fail_inside(reader, node, 0,
				   "a path below the server's directory is wanted here, without a \"/\" "
				   "at its beginning");
	for (const char *at = *out; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (!strncmp(at, "..", 2) && (at[2] == '/' || !at[2]))
			return fail_inside(reader, node, (size_t)(at - *out), "\"..\" leads out of the directory");
	}
	return 0;
}

static int read_files(struct reader *reader, const struct toml_node *node, bool *is_executable)
{
	int ret = node ? read_kind(reader, node, TOML_STRING) : 0;

	if (!ret && node && strcmp(node->string, "executable"))
		ret = fail_value(reader, node, "%s is not \"executable\", the only kind of files that can be asked for",
				 shown(reader, node->string));
	*is_executable = node != NULL;
	return ret;
}

static int read_name_pattern(struct reader *reader, const struct toml_node *node, const char **out)
{
	int ret = read_optional(reader, node, NAME_LENGTH, out);

	if (!ret && *out && strchr(*out, '/'))
		ret = fail_inside(reader, node, strcspn(*out, "/"), "a \"/\": the name of a file is wanted here");
	return ret;
}

int read_directory(struct server_tables *tables, const struct toml_node *node)
{
	static const char *const keys[] = {"event", "path", "labels", "files", "name"};
	struct directory_def *directory = &tables->server->directories[tables->server->directory_cnt++];
	struct reader *reader = tables->reader;
	const struct toml_node *event, *path, *labels;
	struct label_def *label_items = NULL;
	int ret = read_keys(reader, node, KEYS(keys));

	if (ret)
		return ret;
	event = toml_get(node, "event");
	path = toml_get(node, "path");
	labels = toml_get(node, "labels");
	if (!event || !path)
		return fail_missing(reader, node, event ? "path" : "event");
	directory->line = (int)node->line;
	directory->col = (int)node->col;
	ret = read_event_name(tables, event, EVENT_GAUGE, &directory->event);
	if (!ret)
		ret = read_path(reader, path, &directory->path);
	if (!ret && labels)
		ret = read_labels(reader, labels, &label_items, &directory->label_cnt);
	if (!ret)
		ret = read_files(reader, toml_get(node, "files"), &directory->is_executable);
	if (!ret)
		ret = read_name_pattern(reader, toml_get(node, "name"), &directory->name);
	directory->labels = label_items;
	for (const struct directory_def *other = tables->server->directories; !ret && other < directory; other++)
		if (other->event == directory->event &&
		    is_same_labels(other->labels, other->label_cnt, directory->labels, directory->label_cnt))
			ret =
			    fail_value(reader, node, "the directory in line %d gives \"%s\" with these labels already",
				       other->line, directory->event->name);
	return ret;
}
