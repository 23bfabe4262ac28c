/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/nearest.h"
#include "config/option.h"
#include "config/value.h"

#define FILE_MAX ((size_t)1 << 20)

/* ---- the file */

static struct config_place place_of_value(const struct loader *loader, const struct toml_node *node)
{
	return (struct config_place){loader->config->file, node->line, node->col};
}

/* is_table_key - does any option's key begin with these parts? */
static bool is_table_key(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < option_table.count; i++)
		if (!strncmp(option_table.items[i].key, key, len) && option_table.items[i].key[len] == '.')
			return true;
	return false;
}

static const char *last_part(const char *key)
{
	const char *dot = strrchr(key, '.');

	return dot ? dot + 1 : key;
}

/* What a wrong key may have been meant to be. */
struct guess {
	const char *key, *same_part;
	bool is_ambiguous;
	struct nearest nearest;
};

static void guess_offer(struct guess *guess, const char *known)
{
	nearest_offer(&guess->nearest, known);
	if (strcmp(last_part(known), last_part(guess->key)))
		return;
	if (guess->same_part && strcmp(guess->same_part, known))
		guess->is_ambiguous = true;
	guess->same_part = known;
}

/* meant_key - the known key or table that a wrong key was probably meant to be, or NULL. A key in the wrong table is
 * the usual mistake in TOML: the one with the same last part is looked for before a mistyped key. */
static const char *meant_key(struct arena *mem, const char *key)
{
	struct guess guess = {.key = key};

	nearest_init(&guess.nearest, key);
	for (size_t i = 0; i < option_table.count; i++) {
		const char *known = option_table.items[i].key;

		guess_offer(&guess, known);
		for (const char *dot = strchr(known, '.'); dot; dot = strchr(dot + 1, '.'))
			guess_offer(&guess, arena_strndup(mem, known, (size_t)(dot - known)));
	}
	return guess.same_part && !guess.is_ambiguous ? guess.same_part : guess.nearest.best;
}

static void wrong_kind(struct loader *loader, const struct toml_node *node, const char *key, const char *wanted)
{
	const char *reason =
	    arena_printf(loader->config->mem, "must be %s, not %s", wanted, toml_kind_name(node->kind));

	loader_error(loader, &(struct complaint){place_of_value(loader, node), key, reason, NULL, NULL});
}

static void read_value(struct loader *loader, const struct config_option *option, const struct toml_node *node)
{
	const struct option_type *type = option->type;

	if (node->kind != type->kind && type->kind == TOML_STRING && option->def)
		wrong_kind(loader, node, option->key,
			   arena_printf(loader->config->mem, "a string such as \"%s\"", option->def));
	else if (node->kind != type->kind)
		wrong_kind(loader, node, option->key, toml_kind_name(type->kind));
	else if (node->kind == TOML_BOOL)
		option_set(loader, option, node->boolean ? "true" : "false", place_of_value(loader, node));
	else
		option_set(loader, option, node->string, place_of_value(loader, node));
}

static void read_option(struct loader *loader, const struct config_option *option, const struct toml_node *node)
{
	if (option->type->is_list && node->kind == TOML_ARRAY) {
		for (size_t i = 0; i < node->count; i++)
			read_value(loader, option, &node->items[i]);
		return;
	}
	if (option->type->is_list && node->kind != TOML_STRING)
		wrong_kind(loader, node, option->key, "a string or an array of strings");
	else
		read_value(loader, option, node);
}

static void unknown_key(struct loader *loader, const struct toml_node *node, const char *key)
{
	struct config_place place = {loader->config->file, node->key_line, node->key_col};

	loader_error(loader, &(struct complaint){place, key, "unknown key", NULL, meant_key(loader->config->mem, key)});
}

/* join - the whole key. A part that needs quotes gets them: `"a.b"` is one part, not two. */
static const char *join(struct arena *mem, const char *prefix, const char *part)
{
	const char *bare = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
	const char *quote = *part && strspn(part, bare) == strlen(part) ? "" : "\"";

	return arena_printf(mem, "%s%s%s%s%s", prefix, *prefix ? "." : "", quote, part, quote);
}

static void read_table(struct loader *loader, const struct toml_node *table, const char *prefix)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct toml_node *node = &table->items[i];
		const char *key = join(loader->config->mem, prefix, node->key);
		const struct config_option *option = option_find(key);

		if (option)
			read_option(loader, option, node);
		else if (!is_table_key(key))
			unknown_key(loader, node, key);
		else if (node->kind != TOML_TABLE)
			wrong_kind(loader, node, key, toml_kind_name(TOML_TABLE));
		else
			read_table(loader, node, key);
	}
}

/* read_text - the whole file, or NULL with errno; the caller frees */
static char *read_text(const char *path, size_t *len)
{
	char *text = NULL;
	FILE *file = fopen(path, "re");

	*len = 0;
	if (!file)
		return NULL;
	text = xrealloc_array(NULL, FILE_MAX + 1, 1);
	*len = fread(text, 1, FILE_MAX + 1, file);
	if (ferror(file) || *len > FILE_MAX) {
		int saved = *len > FILE_MAX ? EFBIG : errno;

		free(text);
		text = NULL;
		errno = saved;
	}
	fclose(file);
	return text;
}

static void read_file(struct loader *loader)
{
	const char *file = loader->config->file;
	const struct toml_node *root;
	char err[512], *text;
	size_t len;

	text = read_text(file, &len);
	if (!text) {
		const char *reason = arena_printf(loader->config->mem, "cannot be read: %s", strerror(errno));

		loader_error(loader, &(struct complaint){{file, 0, 0}, NULL, reason, NULL, NULL});
		return;
	}
	if (toml_parse(&root, file, text, len, loader->config->mem, err, sizeof(err))) {
		loader->errors++;
		complain(&loader->input->report, LOG_ERROR, &(struct complaint){.reason = err});
	} else {
		read_table(loader, root, "");
	}
	free(text);
}

/* ---- flags */

static void read_flags(struct loader *loader)
{
	for (size_t i = 0; i < loader->input->flag_cnt; i++) {
		const struct config_flag *flag = &loader->input->flags[i];
		const struct config_option *option = option_by_flag(flag->name);
		struct config_place place = {arena_printf(loader->config->mem, "--%s", flag->name), 0, 0};
		char *list = arena_strdup(loader->config->mem, flag->value), *item;

		if (!option->type->is_list) {
			option_set(loader, option, flag->value, place);
		} else {
			option_clear(loader, option);
			while ((item = strsep(&list, ",")))
				if (*item)
					option_set(loader, option, item, place);
		}
		if (!strcmp(option->key, "metrics.open-telemetry.endpoint"))
			option_set(loader, option_find("metrics.open-telemetry.transport"), "http", place);
	}
}

/* ---- the whole */

static void set_defaults(struct loader *loader)
{
	loader->config->service_name = "mailgauge";
	for (size_t i = 0; i < option_table.count; i++)
		if (option_table.items[i].def)
			option_set(loader, &option_table.items[i], option_table.items[i].def, (struct config_place){0});
}

/* check_pair - both of two options, or none */
static void check_pair(struct loader *loader, const char *key, const char *other)
{
	const struct config_place *here = option_place(loader, option_find(key));

	if (here->source && !option_place(loader, option_find(other))->source)
		loader_error(loader, &(struct complaint){*here, key, "goes with a key that is missing", other, NULL});
}

static void check(struct loader *loader)
{
	const struct config *config = loader->config;

	check_pair(loader, "metrics.prometheus.auth.username", "metrics.prometheus.auth.secret");
	check_pair(loader, "metrics.prometheus.auth.secret", "metrics.prometheus.auth.username");
	if (!config->prometheus_enable && config->otlp_transport == TRANSPORT_DISABLE)
		loader_warn(loader, &(struct complaint){.place.source = config->file,
							.reason = "neither the Prometheus endpoint nor the push is "
								  "on: nothing will be exported"});
}

int config_load(struct config **out, const struct config_input *input)
{
	struct arena *mem = arena_new();
	struct config *config = arena_alloc(mem, sizeof(*config));
	struct loader loader = {
	    .config = config, .input = input, .places = arena_array(mem, option_table.count, sizeof(*loader.places))};

	config->mem = mem;
	config->file = input->file ? arena_strdup(mem, input->file) : NULL;
	set_defaults(&loader);
	if (config->file)
		read_file(&loader);
	environment_apply(&loader);
	read_flags(&loader);
	if (!loader.errors)
		check(&loader);
	if (loader.errors) {
		config_free(&config);
		return -EINVAL;
	}
	*out = config;
	return 0;
}

void config_free(struct config **config)
{
	struct arena *mem = *config ? (*config)->mem : NULL;

	arena_free(&mem);
	*config = NULL;
}
