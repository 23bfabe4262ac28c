/* SPDX-License-Identifier: Apache-2.0 */
#include "config/option.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/nearest.h"
#include "config/value.h"

#define MESSAGE_MAX ((size_t)4096)
#define SHOWN_MAX   ((size_t)200) /* bytes of a bad text in a message */

/* ---- types: how a text becomes a value */

static const char *parse_boolean(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	bool value = !strcmp(text, "true");

	(void)mem, (void)option;
	if (!value && strcmp(text, "false"))
		return "must be true or false";
	*(bool *)field = value;
	return NULL;
}

static const char *parse_duration(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	struct buf limit;
	const char *why;
	uint64_t ms = 0;

	why = duration_parse(text, &ms);
	if (!why && (ms < option->min_ms || ms > option->max_ms)) {
		buf_init(&limit, 32);
		duration_print(&limit, ms < option->min_ms ? option->min_ms : option->max_ms);
		why = arena_printf(mem, "must be at %s %s", ms < option->min_ms ? "least" : "most", buf_text(&limit));
		buf_free(&limit);
	}
	if (!why)
		*(uint64_t *)field = ms;
	return why;
}

static const char *store_text(struct arena *mem, const char *text, const char *why, void *field)
{
	if (!why)
		*(const char **)field = arena_strdup(mem, text);
	return why;
}

static const char *parse_text(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	(void)option;
	return store_text(mem, text, text_check(text), field);
}

static const char *parse_username(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	const char *why = strchr(text, ':') ? "must not contain a colon" : text_check(text);

	(void)option;
	return store_text(mem, text, why, field);
}

static const char *parse_prefix(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	(void)option;
	return store_text(mem, text, prefix_check(text), field);
}

static const char *parse_path(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	(void)option;
	return store_text(mem, text, path_check(text), field);
}

static const char *parse_address(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	struct sockaddr_storage address;

	(void)option;
	return store_text(mem, text, address_parse(text, &address), field);
}

static const char *parse_url(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	if (text == option->def) /* known to be good; to parse it would load libcurl for nothing (base/curl_lazy.c) */
		return store_text(mem, text, NULL, field);
	return url_parse(text, NULL, mem, field);
}

static const char *parse_header(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	(void)option;
	return header_parse(text, mem, field);
}

static const char *parse_event(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	const char *name = trim(arena_strdup(mem, text));

	(void)option;
	return store_text(mem, name, text_check(name), field);
}

static const struct choice {
	const char *type, *word;
	unsigned value;
	const char *refusal;
} choices[] = {
#define CHOICE(type_, word_, value_, refusal_) {#type_, word_, value_, refusal_},
#include "config/options.def"
};

#define CHOICE_COUNT (sizeof(choices) / sizeof(choices[0]))

/* choice_list - `"a", "b" or "c"`: all words of a type that can be had */
static const char *choice_list(struct arena *mem, const char *type)
{
	const char *list = NULL, *last = NULL;

	for (size_t i = 0; i < CHOICE_COUNT; i++) {
		if (strcmp(choices[i].type, type) || choices[i].refusal)
			continue;
		if (last)
			list = list ? arena_printf(mem, "%s, \"%s\"", list, last) : arena_printf(mem, "\"%s\"", last);
		last = choices[i].word;
	}
	return list ? arena_printf(mem, "%s or \"%s\"", list, last) : arena_printf(mem, "\"%s\"", last);
}

static const char *parse_choice(struct arena *mem, const struct config_option *option, const char *text, void *field)
{
	for (size_t i = 0; i < CHOICE_COUNT; i++) {
		if (strcmp(choices[i].type, option->type->name) || strcmp(choices[i].word, text))
			continue;
		if (choices[i].refusal)
			return choices[i].refusal;
		memcpy(field, &choices[i].value, sizeof(choices[i].value));
		return NULL;
	}
	return arena_printf(mem, "must be %s", choice_list(mem, option->type->name));
}
_Static_assert(sizeof(enum naming) == sizeof(unsigned) && sizeof(enum transport) == sizeof(unsigned),
	       "parse_choice stores any of them");

/* TYPE(name in options.def, type of the field, members of struct option_type) */
#define TYPES                                                                                                 \
	TYPE(boolean, bool, "true or false", NULL, TOML_BOOL, false, parse_boolean)                           \
	TYPE(duration, uint64_t, "duration", "DURATION", TOML_STRING, false, parse_duration)                  \
	TYPE(text, const char *, "text", "TEXT", TOML_STRING, false, parse_text)                              \
	TYPE(directory, const char *, "directory", "DIR", TOML_STRING, false, parse_text)                     \
	TYPE(username, const char *, "text without a colon", "NAME", TOML_STRING, false, parse_username)      \
	TYPE(prefix, const char *, "name", "NAME", TOML_STRING, false, parse_prefix)                          \
	TYPE(path, const char *, "path", "PATH", TOML_STRING, false, parse_path)                              \
	TYPE(address, const char *, "address", "ADDRESS", TOML_STRING, false, parse_address)                  \
	TYPE(url, const char *, "URL", "URL", TOML_STRING, false, parse_url)                                  \
	TYPE(naming, enum naming, "naming", "WORD", TOML_STRING, false, parse_choice)                         \
	TYPE(transport, enum transport, "transport", "WORD", TOML_STRING, false, parse_choice)                \
	TYPE(events, struct string_list, "text or list of texts", "NAME,...", TOML_STRING, true, parse_event) \
	TYPE(headers, struct string_list, "text or list of texts", NULL, TOML_STRING, true, parse_header)

#define TYPE(type_, field_, ...) static const struct option_type type_##_type = {__VA_ARGS__};
TYPES
#undef TYPE
#define TYPE(type_, field_, ...) typedef field_ type_##_field;
TYPES
#undef TYPE

/* ---- the table */

/* The offset of a field; a field of another type than the option's does not compile. */
#define OFFSET(field_, type_)              \
	(offsetof(struct config, field_) + \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((struct config *)0)->field_), type_) ? 1 : -1]))

static const struct config_option options[] = {
#define OPTION(key_, field_, type_, ...) \
	{.key = key_, .type = &type_##_type, .offset = OFFSET(field_, type_##_field), __VA_ARGS__},
#include "config/options.def"
};

const struct option_table option_table = {options, sizeof(options) / sizeof(options[0])};

const struct config_option *option_find(const char *key)
{
	for (size_t i = 0; i < option_table.count; i++)
		if (!strcmp(options[i].key, key))
			return &options[i];
	return NULL;
}

const struct config_option *option_by_flag(const char *flag)
{
	for (size_t i = 0; i < option_table.count; i++)
		if (options[i].flag && !strcmp(options[i].flag, flag))
			return &options[i];
	return NULL;
}

bool config_describe_flag(const char *flag, struct config_flag_info *info)
{
	const struct config_option *option = option_by_flag(flag);

	if (!option)
		return false;
	*info = (struct config_flag_info){option->type->flag_value, option->help, option->def};
	return true;
}

/* ---- setting */

struct config_place *option_place(const struct loader *loader, const struct config_option *option)
{
	return &loader->places[option - options];
}

void *option_field(const struct loader *loader, const struct config_option *option)
{
	return (char *)loader->config + option->offset;
}

static void list_add(struct string_list *list, struct arena *mem, const char *item, struct config_place place)
{
	size_t cap = list->cap;

	list->items = arena_grow(mem, list->items, list->count, &cap, sizeof(*list->items));
	list->places = arena_grow(mem, list->places, list->count, &list->cap, sizeof(*list->places));
	list->items[list->count] = item;
	list->places[list->count++] = place;
}

const char *option_try(struct loader *loader, const struct config_option *option, const char *text,
		       struct config_place place)
{
	struct arena *mem = loader->config->mem;
	void *field = option_field(loader, option);
	const char *item = NULL, *why;

	why = option->type->parse(mem, option, text, option->type->is_list ? &item : field);
	if (why)
		return why;
	if (option->type->is_list)
		list_add(field, mem, item, place);
	*option_place(loader, option) = place;
	return NULL;
}

void option_set(struct loader *loader, const struct config_option *option, const char *text, struct config_place place)
{
	const char *why = option_try(loader, option, text, place);
	/* What stands before an @ in a URL is a password; a URL with one is refused, but not printed. */
	bool is_secret = option->is_secret || (option->type == &url_type && strchr(text, '@'));

	if (why)
		loader_error(loader, &(struct complaint){place, option->key, why, is_secret ? NULL : text, NULL});
}

void option_clear(struct loader *loader, const struct config_option *option)
{
	struct string_list *list = option_field(loader, option);

	if (option->type->is_list)
		list->count = 0;
}

/* ---- messages */

static void quote(struct buf *out, const char *text)
{
	buf_putc(out, '`');
	buf_visible(out, text, SHOWN_MAX);
	buf_putc(out, '\'');
}

void complain(const struct config_report *report, enum log_level level, const struct complaint *complaint)
{
	const struct config_place *place = &complaint->place;
	struct buf message;

	buf_init(&message, MESSAGE_MAX);
	if (place->source)
		buf_visible(&message, place->source, SHOWN_MAX * 4);
	if (place->line)
		buf_printf(&message, ":%u:%u", place->line, place->col);
	if (place->source)
		buf_puts(&message, ": ");
	/* A flag or a variable says by itself which option is meant. */
	if (complaint->key && (place->line || !place->source)) {
		buf_visible(&message, complaint->key, SHOWN_MAX);
		buf_puts(&message, ": ");
	}
	buf_visible(&message, complaint->reason, MESSAGE_MAX); /* it may quote the file */
	if (complaint->text) {
		buf_puts(&message, ": ");
		quote(&message, complaint->text);
	}
	if (complaint->meant) {
		buf_puts(&message, ", did you mean ");
		quote(&message, complaint->meant);
		buf_putc(&message, '?');
	}
	if (report && report->say)
		report->say(report->context, level, buf_text(&message));
	else
		log_at(level, "%s", buf_text(&message));
	buf_free(&message);
}

void loader_error(struct loader *loader, const struct complaint *complaint)
{
	loader->errors++;
	complain(&loader->input->report, LOG_ERROR, complaint);
}

void loader_warn(const struct loader *loader, const struct complaint *complaint)
{
	complain(&loader->input->report, LOG_WARN, complaint);
}

/* ---- the reference */

static void print_type(struct buf *out, struct arena *mem, const struct config_option *option)
{
	if (option->type->parse == parse_choice)
		buf_puts(out, choice_list(mem, option->type->name));
	else
		buf_puts(out, option->type->name);
	if (option->type->parse == parse_duration) {
		buf_puts(out, ", ");
		duration_print(out, option->min_ms);
		buf_puts(out, " to ");
		duration_print(out, option->max_ms);
	}
}

void config_reference(struct buf *out)
{
	struct arena *mem = arena_new();

	buf_puts(out, "| key | value | default | flag | meaning |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < option_table.count; i++) {
		const struct config_option *option = &options[i];
		const char *quotes = option->type->kind == TOML_STRING ? "\"" : "";

		buf_printf(out, "| `%s` | ", option->key);
		print_type(out, mem, option);
		buf_puts(out, " | ");
		if (option->def)
			buf_printf(out, "`%s%s%s`", quotes, option->def, quotes);
		buf_puts(out, " | ");
		if (option->flag)
			buf_printf(out, "`--%s`", option->flag);
		buf_printf(out, " | %s |\n", option->help);
	}
	buf_putc(out, '\n');
	environment_reference(out);
	arena_free(&mem);
}
