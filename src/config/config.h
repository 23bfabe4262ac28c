/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - owns what the user wants: one table of options (options.def) with key, type, default and help parses,
 * checks and documents the file; OTEL_* variables and flags are laid over it. It knows no server, no probe, no socket.
 * Order: flag > environment > file > default. */
#ifndef MAILGAUGE_CONFIG_H
#define MAILGAUGE_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/log.h"

struct arena;
struct buf;

/* Where a value was given. */
struct config_place {
	const char *source; /* the file, "--otlp.endpoint", "OTEL_SERVICE_NAME"; NULL: it is the default */
	unsigned line, col; /* 0 when it is no file */
};

struct string_list {
	const char **items;
	struct config_place *places; /* of each item */
	size_t count, cap;
};

struct config_attribute {
	const char *key, *value;
};

/* NAMING_PROMETHEUS: what Prometheus makes of the OTLP name. NAMING_BARE: the event's name and nothing else. */
enum naming { NAMING_PROMETHEUS, NAMING_BARE };
enum transport { TRANSPORT_DISABLE, TRANSPORT_HTTP };

struct config {
	const char *file;                   /* where it came from, NULL: no file */
	struct string_list disabled_events; /* patterns as written, blanks around them cut off */
	const char *prefix;                 /* "mail"; "" none */
	enum naming naming;
	const char *catalog_dir; /* NULL none */
	uint64_t rescan_interval_ms;

	bool prometheus_enable;
	const char *prometheus_listen; /* "127.0.0.1:9925", "[::1]:9925"; address_parse() accepts it */
	const char *prometheus_path;   /* "/metrics" */
	const char *prometheus_username, *prometheus_secret; /* NULL: no authentication; both or none */

	enum transport otlp_transport;
	const char *otlp_endpoint; /* whole URL, the path included */
	uint64_t otlp_interval_ms, otlp_timeout_ms;
	struct string_list otlp_headers;   /* "Name: value", neither is empty, no control characters */
	const char *service_name;          /* "mailgauge" */
	struct config_attribute *resource; /* without service.name; decoded, well-formed UTF-8 */
	size_t resource_cnt;

	struct arena *mem; /* owns all of it */
};

/* Who hears of mistakes, one call for each. With .say NULL they are logged. */
struct config_report {
	void (*say)(void *context, enum log_level level, const char *message);
	void *context;
};

struct config_flag {
	const char *name; /* without the dashes; one that config_describe_flag() knows */
	const char *value;
};

struct config_input {
	const char *file;         /* NULL none */
	char *const *environment; /* "NAME=value" texts, NULL behind the last; or NULL: none */
	const struct config_flag *flags;
	size_t flag_cnt;
	struct config_report report;
};

/* config_load - read, overlay, check. 0, or -EINVAL when anything at all is wrong: every mistake has been reported
 * then ("file:line:column: KEY: reason: `text'") and *out is untouched. The input's texts are copied. */
int config_load(struct config **out, const struct config_input *input);
/* config_free - accepts NULL, sets *config to NULL */
void config_free(struct config **config);

/* config_check_events - compare disabled-events with the vocabulary. -EINVAL when an exact name is unknown; a pattern
 * that matches nothing is only warned of. */
int config_check_events(const struct config *config, const char *const *names, size_t count,
			const struct config_report *report);
/* config_event_disabled - does any pattern of disabled-events match this event? */
bool config_event_disabled(const struct config *config, const char *event);

/* What the command line says of a flag that overrides an option. */
struct config_flag_info {
	const char *value; /* "ADDRESS" */
	const char *help;
	const char *def; /* NULL none */
};
/* config_describe_flag - false when no option has this flag */
bool config_describe_flag(const char *flag, struct config_flag_info *info);
/* config_reference - append all keys and variables as Markdown */
void config_reference(struct buf *out);

/* duration_parse - "250ms", "10s", "1m", "2h", "1d", "0"; NULL, or what is wrong with it */
const char *duration_parse(const char *text, uint64_t *ms);
/* address_parse - "127.0.0.1:9925", "[::1]:9925", "localhost:9925"; NULL, or what is wrong with it */
const char *address_parse(const char *text, struct sockaddr_storage *address);

#endif
