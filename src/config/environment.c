/* SPDX-License-Identifier: Apache-2.0 */
/* The OTEL_* variables. Whether the push is on is decided first; the variables about how to push are looked at only
 * when it is, so that variables meant for every program of a host cannot keep a collector without push from starting.
 * A variable that is set but empty counts as not set, as the OpenTelemetry specification demands. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/option.h"
#include "config/value.h"

#define TRANSPORT "metrics.open-telemetry.transport"

struct variable {
	const char *name;
	void (*apply)(struct loader *loader, const struct variable *variable, const char *value);
	const char *key; /* of the option that it sets, NULL none */
	const char *help;
	const char *beaten_by; /* a variable that wins when both are set */
	bool is_always;        /* looked at even when the push is off */
};

static const char *get(const struct loader *loader, const char *name)
{
	size_t len = strlen(name);

	for (char *const *line = loader->input->environment; line && *line; line++)
		if (!strncmp(*line, name, len) && (*line)[len] == '=')
			return (*line)[len + 1] ? *line + len + 1 : NULL;
	return NULL;
}

static struct config_place place_of(const struct variable *variable)
{
	return (struct config_place){variable->name, 0, 0};
}

static void set(struct loader *loader, const struct variable *variable, const char *value)
{
	option_set(loader, option_find(variable->key), value, place_of(variable));
}

static void warn(const struct loader *loader, const char *name, const char *reason, const char *text)
{
	loader_warn(loader, &(struct complaint){{name, 0, 0}, NULL, reason, text, NULL});
}

static void take_url(struct loader *loader, const struct variable *variable, const char *value)
{
	set(loader, variable, value);
}

static void take_base_url(struct loader *loader, const struct variable *variable, const char *value)
{
	const char *url;

	/* A text that is no URL goes on as it is: the option's own check says what is wrong with it. */
	if (url_parse(value, "v1/metrics", loader->config->mem, &url))
		url = value;
	set(loader, variable, url);
}

static void take_protocol(struct loader *loader, const struct variable *variable, const char *value)
{
	if (strcasecmp(value, "http/protobuf"))
		loader_error(
		    loader,
		    &(struct complaint){
			place_of(variable), NULL,
			"this build pushes by http/protobuf only (OTEL_METRICS_EXPORTER=none switches the push off)",
			value, NULL});
}

static void take_ms(struct loader *loader, const struct variable *variable, const char *value)
{
	const char *text = arena_printf(loader->config->mem, "%sms", value);
	const char *why = strspn(value, "0123456789") == strlen(value) ? NULL : "must be a whole number (milliseconds)";

	if (!why)
		why = option_try(loader, option_find(variable->key), text, place_of(variable));
	if (why)
		warn(loader, variable->name, arena_printf(loader->config->mem, "is ignored: %s", why), value);
}

/* next_pair - cut the next "key=value" off a list that commas separate, blanks removed; empty items are skipped.
 * 1 a pair, 0 the end, -1 an item without key or "=" */
static int next_pair(char **list, char **key, char **value)
{
	char *item;

	while ((item = strsep(list, ","))) {
		item = trim(item);
		if (!*item)
			continue;
		*value = strchr(item, '=');
		if (!*value || *value == item)
			return -1;
		*(*value)++ = '\0';
		*key = trim(item);
		*value = trim(*value);
		return 1;
	}
	return 0;
}

static void take_headers(struct loader *loader, const struct variable *variable, const char *value)
{
	const struct config_option *option = option_find(variable->key);
	struct arena *mem = loader->config->mem;
	char *list = arena_strdup(mem, value), *name, *content;
	int rc;

	option_clear(loader, option);
	while ((rc = next_pair(&list, &name, &content)) > 0 && percent_decode(content))
		set(loader, variable, arena_printf(mem, "%s: %s", name, content));
	if (rc) /* the text may be a secret: it is not shown */
		loader_error(loader, &(struct complaint){place_of(variable), NULL,
							 rc < 0 ? "must be a list of name=value"
								: "has a bad percent sequence in a value",
							 NULL, NULL});
}

/* put_attribute - the last of several with the same key wins */
static void put_attribute(struct config *config, size_t *cap, const char *key, const char *value)
{
	for (size_t i = 0; i < config->resource_cnt; i++)
		if (!strcmp(config->resource[i].key, key)) {
			config->resource[i].value = value;
			return;
		}
	config->resource =
	    arena_grow(config->mem, config->resource, config->resource_cnt, cap, sizeof(*config->resource));
	config->resource[config->resource_cnt++] = (struct config_attribute){key, value};
}

static void take_attributes(struct loader *loader, const struct variable *variable, const char *value)
{
	struct config *config = loader->config;
	char *list = arena_strdup(config->mem, value), *key, *content;
	const char *service_name = config->service_name;
	size_t cap = 0;
	int rc;

	while ((rc = next_pair(&list, &key, &content)) > 0) {
		if (!percent_decode(key) || !percent_decode(content) || !utf8_valid(key) || !utf8_valid(content))
			break;
		if (strcmp(key, "service.name"))
			put_attribute(config, &cap, key, content);
		else if (*content)
			service_name = content;
	}
	if (rc) {
		config->resource_cnt = 0;
		warn(loader, variable->name, "is ignored: must be a list of key=value, percent-encoded UTF-8", value);
		return;
	}
	config->service_name = service_name;
}

static void take_service_name(struct loader *loader, const struct variable *variable, const char *value)
{
	const char *why = text_check(value);

	if (why)
		warn(loader, variable->name, arena_printf(loader->config->mem, "is ignored: it %s", why), value);
	else
		loader->config->service_name = arena_strdup(loader->config->mem, value);
}

static const struct variable variables[] = {
#define VARIABLE(name_, apply_, key_, ...) {.name = name_, .apply = apply_, .key = key_, __VA_ARGS__},
#include "config/options.def"
};

#define VARIABLE_COUNT (sizeof(variables) / sizeof(variables[0]))

static const char *endpoint_variable(const struct loader *loader)
{
	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		if ((variables[i].apply == take_url || variables[i].apply == take_base_url) &&
		    get(loader, variables[i].name))
			return variables[i].name;
	return NULL;
}

static bool is_true(const struct loader *loader, const char *name)
{
	const char *value = get(loader, name);

	if (!value || !strcasecmp(value, "false"))
		return false;
	if (!strcasecmp(value, "true"))
		return true;
	warn(loader, name, "is taken as false: must be true or false", value);
	return false;
}

/* read_exporters - OTEL_METRICS_EXPORTER: false when it names nothing that is known */
static bool read_exporters(struct loader *loader, const char *name, bool *otlp)
{
	const char *value = get(loader, name);
	char *list = value ? arena_strdup(loader->config->mem, value) : NULL, *item;
	bool is_known = false;

	*otlp = false;
	while ((item = strsep(&list, ","))) {
		item = trim(item);
		if (!strcasecmp(item, "otlp")) {
			*otlp = true;
		} else if (!strcasecmp(item, "prometheus")) {
			option_set(loader, option_find("metrics.prometheus.enable"), "true",
				   (struct config_place){name, 0, 0});
		} else if (*item && strcasecmp(item, "none")) {
			warn(loader, name, "names an unknown exporter", item);
			continue;
		}
		is_known |= *item != '\0';
	}
	return is_known;
}

static void switch_push(struct loader *loader, bool on, const char *name)
{
	option_set(loader, option_find(TRANSPORT), on ? "http" : "disable", (struct config_place){name, 0, 0});
}

static void decide_transport(struct loader *loader)
{
	bool file_says = option_place(loader, option_find(TRANSPORT))->source, otlp;
	const char *endpoint = endpoint_variable(loader);
	bool is_disabled = is_true(loader, "OTEL_SDK_DISABLED");
	bool has_exporters = read_exporters(loader, "OTEL_METRICS_EXPORTER", &otlp);

	if (is_disabled)
		switch_push(loader, false, "OTEL_SDK_DISABLED");
	else if (has_exporters)
		switch_push(loader, otlp, "OTEL_METRICS_EXPORTER");
	else if (endpoint && !file_says)
		switch_push(loader, true, endpoint);
}

/* warn_of_others - variables about the push that are known to OpenTelemetry but not to us: saying nothing would let
 * a user believe that, say, his certificate is used */
static void warn_of_others(const struct loader *loader)
{
	static const char prefix[] = "OTEL_EXPORTER_OTLP_";
	static const char *const other_signals[] = {"TRACES_", "LOGS_", "PROFILES_"};

	for (char *const *line = loader->input->environment; line && *line; line++) {
		const char *rest = *line + sizeof(prefix) - 1;
		size_t len = strcspn(*line, "=");
		bool is_known = strncmp(*line, prefix, sizeof(prefix) - 1) || !(*line)[len] || !(*line)[len + 1];

		for (size_t i = 0; !is_known && i < sizeof(other_signals) / sizeof(other_signals[0]); i++)
			is_known = !strncmp(rest, other_signals[i], strlen(other_signals[i]));
		for (size_t i = 0; !is_known && i < VARIABLE_COUNT; i++)
			is_known = strlen(variables[i].name) == len && !strncmp(variables[i].name, *line, len);
		if (!is_known)
			warn(loader, arena_strndup(loader->config->mem, *line, len), "is not supported, it is ignored",
			     NULL);
	}
}

void environment_apply(struct loader *loader)
{
	bool push_by_flag = false, push;

	for (size_t i = 0; i < loader->input->flag_cnt; i++)
		push_by_flag |= !strcmp(loader->input->flags[i].name, "otlp.endpoint");
	if (!push_by_flag)
		decide_transport(loader);
	push = push_by_flag || loader->config->otlp_transport != TRANSPORT_DISABLE;
	for (size_t i = 0; i < VARIABLE_COUNT; i++) {
		const struct variable *variable = &variables[i];
		const char *value = get(loader, variable->name);
		/* The flag says by itself where and how to push. */
		bool is_where =
		    variable->apply == take_url || variable->apply == take_base_url || variable->apply == take_protocol;

		if (!value || !variable->apply || (!push && !variable->is_always) || (push_by_flag && is_where))
			continue;
		if (!variable->beaten_by || !get(loader, variable->beaten_by))
			variable->apply(loader, variable, value);
	}
	if (push)
		warn_of_others(loader);
}

void environment_reference(struct buf *out)
{
	buf_puts(out, "| variable | sets | meaning |\n|---|---|---|\n");
	for (size_t i = 0; i < VARIABLE_COUNT; i++) {
		buf_printf(out, "| `%s` | ", variables[i].name);
		if (variables[i].key)
			buf_printf(out, "`%s`", variables[i].key);
		buf_printf(out, " | %s", variables[i].help);
		if (variables[i].beaten_by)
			buf_printf(out, "; `%s` wins over it", variables[i].beaten_by);
		buf_puts(out, " |\n");
	}
}
