/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "config/option.h"
#include "config/value.h"
#include "golden.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DEFAULT_PUSH "http://127.0.0.1:4318/v1/metrics"

static const char *const event_names[] = {"auth.attempt", "auth.error",        "auth.failed",
					  "auth.success", "delivery.deferred", "smtp.connection-start",
					  "smtp.error"};

/* hear - a report that writes "error: ..." and "warning: ..." lines into a buffer */
static void hear(void *context, enum log_level level, const char *message)
{
	buf_printf(context, "%s: %s\n", level == LOG_ERROR ? "error" : "warning", message);
}

/* A configuration from a text, "NAME=value" variables and flags; what was said about it. */
struct loaded {
	struct config *config;
	int rc;
	struct buf said;
};

static struct loaded load(const char *toml, char *const *environment, const struct config_flag *flags)
{
	struct loaded loaded = {0};
	struct config_input input = {.environment = environment, .flags = flags, .report = {hear, NULL}};
	char path[64];
	int memory = -1;

	buf_init(&loaded.said, 1 << 20);
	input.report.context = &loaded.said;
	while (flags && flags[input.flag_cnt].name)
		input.flag_cnt++;
	if (toml) {
		memory = memfd_create("config", 0);
		assert_true(memory >= 0);
		assert_int_equal(write(memory, toml, strlen(toml)), (ssize_t)strlen(toml));
		snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
		input.file = path;
	}
	loaded.rc = config_load(&loaded.config, &input);
	if (memory >= 0)
		close(memory);
	return loaded;
}

static void unload(struct loaded *loaded)
{
	config_free(&loaded->config);
	buf_free(&loaded->said);
}

static void put_list(struct buf *out, const char *name, const struct string_list *list)
{
	buf_printf(out, " %s=", name);
	for (size_t i = 0; i < list->count; i++)
		buf_printf(out, "%s%s", i ? "|" : "", list->items[i]);
}

/* put_push - all that concerns the push, in one line */
static void put_push(struct buf *out, const struct config *config)
{
	buf_printf(out, "%s %s interval=%llu timeout=%llu", config->otlp_transport == TRANSPORT_HTTP ? "on" : "off",
		   config->otlp_endpoint, (unsigned long long)config->otlp_interval_ms,
		   (unsigned long long)config->otlp_timeout_ms);
	put_list(out, "headers", &config->otlp_headers);
}

/* put_all - every field, in lines */
static void put_all(struct buf *out, const struct config *config)
{
	buf_printf(out, "prefix=%s naming=%d catalog=%s rescan=%llu\n", config->prefix, (int)config->naming,
		   config->catalog_dir ? config->catalog_dir : "-", (unsigned long long)config->rescan_interval_ms);
	buf_printf(out, "pull=%d %s%s %s:%s\n", config->prometheus_enable, config->prometheus_listen,
		   config->prometheus_path, config->prometheus_username ? config->prometheus_username : "-",
		   config->prometheus_secret ? config->prometheus_secret : "-");
	put_list(out, "disabled", &config->disabled_events);
	buf_puts(out, "\npush=");
	put_push(out, config);
	buf_printf(out, "\nservice=%s", config->service_name);
	for (size_t i = 0; i < config->resource_cnt; i++)
		buf_printf(out, " %s=%s", config->resource[i].key, config->resource[i].value);
	buf_putc(out, '\n');
}

static const char all_defaults[] = "prefix=mail naming=0 catalog=- rescan=5000\n"
				   "pull=1 127.0.0.1:9925/metrics -:-\n"
				   " disabled=\n"
				   "push=off " DEFAULT_PUSH " interval=60000 timeout=10000 headers=\n"
				   "service=mailgauge\n";

static void every_option_has_its_default(void **state)
{
	static const char *const texts[] = {NULL, "", "# nothing\n", "[metrics]\n[metrics.prometheus]\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct loaded loaded = load(texts[i], NULL, NULL);
		struct buf all;

		assert_int_equal(loaded.rc, 0);
		buf_init(&all, 4096);
		put_all(&all, loaded.config);
		assert_string_equal(buf_text(&all), all_defaults);
		assert_string_equal(buf_text(&loaded.said), "");
		assert_int_equal(!loaded.config->file, !texts[i]);
		buf_free(&all);
		unload(&loaded);
		assert_null(loaded.config);
	}
}

/* Each NAME.toml of tests/golden/config, and the messages about it in NAME.err. */
static void files_are_judged(void **state)
{
	glob_t files;

	(void)state;
	assert_int_equal(chdir(GOLDEN_DIR "/config"), 0);
	assert_int_equal(glob("*.toml", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct buf said;
		struct config_report report = {hear, &said};
		struct config_input input = {.file = files.gl_pathv[i], .report = report};
		struct config *config = NULL;
		char name[128];
		int rc;

		buf_init(&said, 1 << 20);
		rc = config_load(&config, &input);
		assert_int_equal(!rc, !!config); /* nothing half-configured */
		if (config)
			rc = config_check_events(config, event_names, COUNT(event_names), &report);
		assert_int_equal(rc, strstr(buf_text(&said), "error: ") ? -EINVAL : 0);
		snprintf(name, sizeof(name), "config/%.*s.err", (int)strcspn(files.gl_pathv[i], "."),
			 files.gl_pathv[i]);
		golden_check(name, buf_text(&said));
		assert_null(strstr(buf_text(&said), "hunter2"));
		config_free(&config);
		buf_free(&said);
	}
	globfree(&files);
}

static void tables_and_dotted_keys_are_the_same(void **state)
{
	static const char *const names[] = {"all-keys.toml", "same-by-dots.toml"};
	static const char want[] = "prefix=mx naming=1 catalog=/etc/mailgauge/catalog rescan=30000\n"
				   "pull=0 [::1]:9926/mail/metrics reader:\xc3\xb6pen: sesame\n"
				   " disabled=auth.error|smtp.*|*.attempt\n"
				   "push=on https://otlp.example.org/v1/metrics interval=90000 timeout=2500 "
				   "headers=Authorization: Bearer abc|X-Scope-OrgID: mail\n"
				   "service=mailgauge\n";

	(void)state;
	assert_int_equal(chdir(GOLDEN_DIR "/config"), 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		struct config_input input = {.file = names[i]};
		struct config *config;
		struct buf all;

		assert_int_equal(config_load(&config, &input), 0);
		buf_init(&all, 4096);
		put_all(&all, config);
		assert_string_equal(buf_text(&all), want);
		buf_free(&all);
		config_free(&config);
	}
}

static void syntax_errors_have_a_place(void **state)
{
	struct loaded loaded = load("[metrics]\nprefix = \"mail\n", NULL, NULL);

	(void)state;
	assert_int_equal(loaded.rc, -EINVAL);
	assert_null(loaded.config);
	assert_int_equal(strncmp(buf_text(&loaded.said), "error: /proc/self/fd/", 21), 0);
	assert_non_null(strstr(buf_text(&loaded.said), ":2:"));
	unload(&loaded);
}

static void unreadable_files_are_refused(void **state)
{
	static const struct {
		const char *file, *want;
	} rows[] = {
	    {"/nonexistent/x.toml", "error: /nonexistent/x.toml: cannot be read: No such file or directory\n"},
	    {"/", "error: /: cannot be read: Is a directory\n"},
	    {"/dev/zero", "error: /dev/zero: cannot be read: File too large\n"},
	    {"", "error: : cannot be read: No such file or directory\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf said;
		struct config_input input = {.file = rows[i].file, .report = {hear, &said}};
		struct config *config = (struct config *)&input;

		buf_init(&said, 4096);
		assert_int_equal(config_load(&config, &input), -EINVAL);
		assert_ptr_equal(config, &input); /* on reload, the old one stays */
		assert_string_equal(buf_text(&said), rows[i].want);
		buf_free(&said);
	}
}

/* ---- values */

static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
		const char *why; /* a part of it, NULL: good */
	} rows[] = {
	    {"0", 0, NULL},
	    {"0s", 0, NULL},
	    {"1ms", 1, NULL},
	    {"007s", 7000, NULL},
	    {"90s", 90000, NULL},
	    {"2m", 120000, NULL},
	    {"3h", 10800000, NULL},
	    {"1d", 86400000, NULL},
	    {"18446744073709551615ms", UINT64_MAX, NULL},
	    {"18446744073709551616ms", 0, "is too large"},
	    {"18446744073709551615s", 0, "is too large"},
	    {"99999999999999999999999999d", 0, "is too large"},
	    {"", 0, "is empty"},
	    {"10", 0, "needs a unit"},
	    {"-1s", 0, "must not be negative"},
	    {"-", 0, "must not be negative"},
	    {"+1s", 0, "must be a whole number and a unit"},
	    {"1.5s", 0, "must be a whole number and a unit"},
	    {"1,5s", 0, "must be a whole number and a unit"},
	    {".5s", 0, "must be a whole number and a unit"},
	    {"s", 0, "must be a whole number and a unit"},
	    {"0x10s", 0, "must end with one unit"},
	    {"1e3s", 0, "must end with one unit"},
	    {" 1s", 0, "must be a whole number and a unit"},
	    {"1 s", 0, "must end with one unit"},
	    {"1s ", 0, "must end with one unit"},
	    {"1S", 0, "must end with one unit"},
	    {"1m30s", 0, "must end with one unit"},
	    {"1us", 0, "must end with one unit"},
	    {"1w", 0, "must end with one unit"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t ms = 42;
		const char *why = duration_parse(rows[i].text, &ms);

		if (!rows[i].why != !why || (why && strncmp(why, rows[i].why, strlen(rows[i].why))))
			fail_msg("\"%s\": got \"%s\", want \"%s\"", rows[i].text, why ? why : "-",
				 rows[i].why ? rows[i].why : "-");
		assert_int_equal(ms, why ? 42 : rows[i].ms);
	}
}

static void durations_are_printed_shortest(void **state)
{
	static const struct {
		uint64_t ms;
		const char *want;
	} rows[] = {{0, "0ms"},    {1, "1ms"},     {999, "999ms"},  {1000, "1s"},     {1500, "1500ms"},
		    {60000, "1m"}, {90000, "90s"}, {3600000, "1h"}, {86400000, "1d"}, {90000000, "25h"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf out;
		uint64_t again;

		buf_init(&out, 64);
		duration_print(&out, rows[i].ms);
		assert_string_equal(buf_text(&out), rows[i].want);
		assert_null(duration_parse(buf_text(&out), &again));
		assert_int_equal(again, rows[i].ms);
		buf_free(&out);
	}
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *host; /* NULL: refused */
		unsigned port;
		const char *why;
	} rows[] = {
	    {"127.0.0.1:9925", "127.0.0.1", 9925, NULL},
	    {"0.0.0.0:1", "0.0.0.0", 1, NULL},
	    {"localhost:65535", "127.0.0.1", 65535, NULL},
	    {"[::1]:9925", "::1", 9925, NULL},
	    {"[::]:80", "::", 80, NULL},
	    {"[2001:db8::1]:80", "2001:db8::1", 80, NULL},
	    {"", NULL, 0, "must be ADDRESS:PORT"},
	    {"127.0.0.1", NULL, 0, "must be ADDRESS:PORT"},
	    {":9925", NULL, 0, "needs an address before the port; for all of them write 0.0.0.0 or [::]"},
	    {"127.0.0.1:", NULL, 0, "must end with a port"},
	    {"127.0.0.1:0", NULL, 0, "must end with a port"},
	    {"127.0.0.1:65536", NULL, 0, "must end with a port"},
	    {"127.0.0.1:99999999999", NULL, 0, "must end with a port"},
	    {"127.0.0.1:-1", NULL, 0, "must end with a port"},
	    {"127.0.0.1: 80", NULL, 0, "must end with a port"},
	    {"127.0.0.1:http", NULL, 0, "must end with a port"},
	    {"127.0.0.1:80/metrics", NULL, 0, "must end with a port"},
	    {"127.0.0:80", NULL, 0, "needs an IPv4"},
	    {"256.0.0.1:80", NULL, 0, "needs an IPv4"},
	    {"127.0.0.1 :80", NULL, 0, "needs an IPv4"},
	    {"[127.0.0.1]:80", NULL, 0, "needs an IPv4"},
	    {"::1:80", NULL, 0, "needs an IPv4"},
	    {"[::1:80", NULL, 0, "needs an IPv4"},
	    {"[]:80", NULL, 0, "needs an IPv4"},
	    {"[:80", NULL, 0, "needs an IPv4"},
	    {"[fe80::1%eth0]:80", NULL, 0, "needs an IPv4"},
	    {"[::1", NULL, 0, "needs an IPv4"},
	    {"mail.example.org:80", NULL, 0, "needs an IPv4"},
	    {"http://127.0.0.1:80", NULL, 0, "needs an IPv4"},
	    {"1111111111111111111111111111111111111111111111111111111111111111111111111:80", NULL, 0, "needs an IPv4"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_storage address = {0};
		const struct sockaddr_in *v4 = (const void *)&address;
		const struct sockaddr_in6 *v6 = (const void *)&address;
		const char *why = address_parse(rows[i].text, &address);
		bool is_v6 = address.ss_family == AF_INET6;
		char host[64] = "";

		if (!rows[i].why != !why || (why && strncmp(why, rows[i].why, strlen(rows[i].why))))
			fail_msg("\"%s\": got \"%s\"", rows[i].text, why ? why : "-");
		if (why)
			continue;
		inet_ntop(address.ss_family, is_v6 ? (const void *)&v6->sin6_addr : &v4->sin_addr, host, sizeof(host));
		assert_string_equal(host, rows[i].host);
		assert_int_equal(ntohs(is_v6 ? v6->sin6_port : v4->sin_port), rows[i].port);
	}
}

/* Texts of one key each: want is the value, or NULL: refused with a message that ends with why. */
static void texts_of_options(void **state)
{
	static const struct {
		const char *key, *text, *want, *why;
	} rows[] = {
	    {"metrics.prefix", "", "", NULL},
	    {"metrics.prefix", "mx_1", "mx_1", NULL},
	    {"metrics.prefix", "Mail", "Mail", NULL},
	    {"metrics.prefix", "1mail", NULL, "must begin with a letter: `1mail'"},
	    {"metrics.prefix", "_mail", NULL, "must begin with a letter: `_mail'"},
	    {"metrics.prefix", "\xc3\xa4", NULL, "must begin with a letter: `\xc3\xa4'"},
	    {"metrics.prefix", "mail:x", NULL, "must consist of letters, digits and underscores: `mail:x'"},
	    {"metrics.prefix", "mail-x", NULL, "must consist of letters, digits and underscores: `mail-x'"},
	    {"metrics.prefix", "mail_", NULL,
	     "must have underscores only singly and between other characters: `mail_'"},
	    {"metrics.prefix", "a__b", NULL, "must have underscores only singly and between other characters: `a__b'"},
	    {"metrics.prefix", "a1234567890123456789012345678901234567890123456789012345678901234", NULL,
	     "is too long: `a1234567890123456789012345678901234567890123456789012345678901234'"},
	    {"metrics.prometheus.path", "/m", "/m", NULL},
	    {"metrics.prometheus.path", "/a/b-c.d_e~f", "/a/b-c.d_e~f", NULL},
	    {"metrics.prometheus.path", "", NULL, "must begin with a slash: `'"},
	    {"metrics.prometheus.path", "/", NULL, "is the path of another page: `/'"},
	    {"metrics.prometheus.path", "/healthz", NULL, "is the path of another page: `/healthz'"},
	    {"metrics.prometheus.path", "/readyz", NULL, "is the path of another page: `/readyz'"},
	    {"metrics.prometheus.path", "/a b", NULL, "must consist of letters, digits and / . _ ~ -: `/a b'"},
	    {"metrics.prometheus.path", "/a?b", NULL, "must consist of letters, digits and / . _ ~ -: `/a?b'"},
	    {"metrics.prometheus.path", "/<b>", NULL, "must consist of letters, digits and / . _ ~ -: `/<b>'"},
	    {"metrics.prometheus.path", "/%41", NULL, "must consist of letters, digits and / . _ ~ -: `/%41'"},
	    {"metrics.open-telemetry.endpoint", "http://h", "http://h/", NULL},
	    {"metrics.open-telemetry.endpoint", "HTTPS://h:4318/a/b?c=d", "https://h:4318/a/b?c=d", NULL},
	    {"metrics.open-telemetry.endpoint", "http://[::1]:4318/v1/metrics", "http://[::1]:4318/v1/metrics", NULL},
	    {"metrics.open-telemetry.endpoint", "", NULL, "must be a URL that begins with http:// or https://: `'"},
	    {"metrics.open-telemetry.endpoint", "localhost:4318", NULL,
	     "must be a URL that begins with http:// or https://: `localhost:4318'"},
	    {"metrics.open-telemetry.endpoint", "file:///etc/passwd", NULL,
	     "must be a URL that begins with http:// or https://: `file:///etc/passwd'"},
	    {"metrics.open-telemetry.endpoint", "http://h#f", NULL, "must not have a fragment (#...): `http://h#f'"},
	    {"metrics.open-telemetry.endpoint", "http://u@h", NULL,
	     "must not hold a user or password; give an Authorization header"},
	    {"metrics.open-telemetry.timeout", "1h", "3600000", NULL},
	    {"metrics.open-telemetry.timeout", "3601s", NULL, "must be at most 1h: `3601s'"},
	    {"metrics.open-telemetry.timeout", "0", NULL, "must be at least 1ms: `0'"},
	    {"metrics.open-telemetry.interval", "100ms", "100", NULL},
	    {"metrics.open-telemetry.interval", "99ms", NULL, "must be at least 100ms: `99ms'"},
	    {"metrics.open-telemetry.interval", "25h", NULL, "must be at most 1d: `25h'"},
	    {"rescan-interval", "1s", "1000", NULL},
	    {"rescan-interval", "999ms", NULL, "must be at least 1s: `999ms'"},
	    {"catalog-dir", "x\ty", NULL, "must not contain control characters: `x\\x09y'"},
	    {"metrics.open-telemetry.transport", "disabled", "0", NULL},
	    {"metrics.open-telemetry.transport", "https", "1", NULL},
	    {"metrics.open-telemetry.transport", "HTTP", NULL,
	     "must be \"disable\", \"disabled\", \"http\" or \"https\": `HTTP'"},
	    {"metrics.naming", "", NULL, "must be \"prometheus\" or \"stalwart\": `'"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *mem = arena_new();
		struct config *config = arena_alloc(mem, sizeof(*config));
		struct buf said, value;
		struct config_input input = {.report = {hear, &said}};
		const struct config_option *option = option_find(rows[i].key);
		struct loader loader = {config, &input, arena_array(mem, option_table.count, sizeof(*loader.places)),
					0};
		const char *text;

		config->mem = mem;
		buf_init(&said, 4096);
		buf_init(&value, 4096);
		assert_non_null(option);
		option_set(&loader, option, rows[i].text, (struct config_place){"--x", 0, 0});
		text = buf_text(&said);
		if (option->max_ms)
			buf_printf(&value, "%llu", *(unsigned long long *)option_field(&loader, option));
		else if (strstr(rows[i].key, "transport"))
			buf_printf(&value, "%u", *(unsigned *)option_field(&loader, option));
		else if (rows[i].want)
			buf_puts(&value, *(const char **)option_field(&loader, option));
		if (rows[i].want) {
			assert_string_equal(text, "");
			assert_string_equal(buf_text(&value), rows[i].want);
		} else {
			buf_reset(&value);
			buf_printf(&value, "error: --x: %s\n", rows[i].why);
			assert_string_equal(text, buf_text(&value));
			assert_int_equal(loader.errors, 1);
			assert_null(option_place(&loader, option)->source);
		}
		buf_free(&said);
		buf_free(&value);
		arena_free(&mem);
	}
}

/* What curl's parser refuses, in its own words; here only that it is refused. */
static void urls_that_are_none(void **state)
{
	static const char *const texts[] = {"http://",     "http:///v1",  "http://a b/",  "http://h:99999/",
					    "http://h:x/", "http://h/\n", "http://[::1/", "http://h/\x7f",
					    "http://?a",   "https://#"};
	struct arena *mem = arena_new();
	const char *url;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (!url_parse(texts[i], NULL, mem, &url))
			fail_msg("\"%s\" is taken", texts[i]);
	arena_free(&mem);
}

static void headers(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
	    {"A: b", "A: b"},
	    {"A:b", "A: b"},
	    {" A \t:\t b c ", "A: b c"},
	    {"A: b: c", "A: b: c"},
	    {"x-a_b: \xc3\xa4", "x-a_b: \xc3\xa4"},
	    {"A: b\tc", "A: b\tc"},
	    {"", NULL},
	    {"A", NULL},
	    {":", NULL},
	    {": b", NULL},
	    {"A:", NULL},
	    {"A:  ", NULL}, /* curl would remove its own header A */
	    {"A b: c", NULL},
	    {"\xc3\xa4: c", NULL},
	    {"A: b\r\nC: d", NULL},
	    {"A: b\n", NULL},
	    {"A\r: b", NULL},
	    {"A: \x7f", NULL},
	    {"content-type: x", NULL},
	    {"Content-Length: 0", NULL},
	    {"Content-Encoding: gzip", NULL},
	    {"Transfer-Encoding: chunked", NULL},
	};
	struct arena *mem = arena_new();
	char longer[9000];
	const char *header;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *why = header_parse(rows[i].text, mem, &header);

		if (!why != !!rows[i].want)
			fail_msg("\"%s\": got \"%s\"", rows[i].text, why ? why : "-");
		if (rows[i].want)
			assert_string_equal(header, rows[i].want);
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[1] = ':';
	longer[sizeof(longer) - 1] = '\0';
	assert_string_equal(header_parse(longer, mem, &header), "is too long");
	arena_free(&mem);
}

static void percent_sequences(void **state)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} rows[] = {
	    {"", ""},     {"a", "a"},   {"%41%5a", "AZ"}, {"%2C%3d%25", ",=%"}, {"a+b", "a+b"}, {"%c3%a4", "\xc3\xa4"},
	    {"%", NULL},  {"%4", NULL}, {"%4g", NULL},    {"%g4", NULL},        {"%%41", NULL}, {"%00", NULL},
	    {"a%0", NULL}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[32];

		strcpy(text, rows[i].text);
		assert_int_equal(percent_decode(text), !!rows[i].want);
		if (rows[i].want)
			assert_string_equal(text, rows[i].want);
	}
}

/* ---- environment and flags */

#define HTTP_FILE "metrics.open-telemetry.transport = \"http\"\n"
#define OFF_FILE  "metrics.open-telemetry.transport = \"disable\"\n"
#define OTHER     "http://other:1/x"
#define REST      " interval=60000 timeout=10000 headers="
#define OFF       "off " DEFAULT_PUSH REST
#define ON        "on " DEFAULT_PUSH REST

static void variables_about_the_push(void **state)
{
	static const struct {
		const char *toml;
		char *environment[5];
		const char *endpoint_flag, *want, *said;
	} rows[] = {
	    {NULL, {NULL}, NULL, OFF, ""},
	    {NULL, {"UNRELATED=1", "NO_EQUALS", "OTEL_METRICS_EXPORTER_=otlp"}, NULL, OFF, ""},

	    /* An endpoint switches the push on, unless the file or OTEL_METRICS_EXPORTER decides. */
	    {NULL, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" OTHER}, NULL, "on " OTHER REST, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://h"}, NULL, "on http://h/" REST, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="}, NULL, OFF, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4318"}, NULL, "on http://h:4318/v1/metrics" REST, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://h/"}, NULL, "on http://h/v1/metrics" REST, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://h/a?b"}, NULL, "on http://h/a/v1/metrics?b" REST, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_ENDPOINT=http://h/a/"}, NULL, "on http://h/a/v1/metrics" REST, ""},
	    {NULL,
	     {"OTEL_EXPORTER_OTLP_ENDPOINT=bad", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" OTHER},
	     NULL,
	     "on " OTHER REST,
	     ""},
	    {OFF_FILE, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" OTHER}, NULL, OFF, ""},
	    {HTTP_FILE, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" OTHER}, NULL, "on " OTHER REST, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" OTHER, "OTEL_METRICS_EXPORTER=none"}, NULL, OFF, ""},
	    {NULL,
	     {"OTEL_EXPORTER_OTLP_ENDPOINT=h:4317"},
	     NULL,
	     NULL,
	     "error: OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL that begins with http:// or https://: `h:4317'\n"},

	    /* OTEL_METRICS_EXPORTER */
	    {NULL, {"OTEL_METRICS_EXPORTER=otlp"}, NULL, ON, ""},
	    {OFF_FILE, {"OTEL_METRICS_EXPORTER= OTLP , prometheus"}, NULL, ON, ""},
	    {HTTP_FILE, {"OTEL_METRICS_EXPORTER=none"}, NULL, OFF, ""},
	    {HTTP_FILE, {"OTEL_METRICS_EXPORTER=prometheus"}, NULL, OFF, ""},
	    {HTTP_FILE, {"OTEL_METRICS_EXPORTER="}, NULL, ON, ""},
	    {HTTP_FILE, {"OTEL_METRICS_EXPORTER=,"}, NULL, ON, ""},
	    {HTTP_FILE,
	     {"OTEL_METRICS_EXPORTER=console"},
	     NULL,
	     ON,
	     "warning: OTEL_METRICS_EXPORTER: names an unknown exporter: `console'\n"},
	    {NULL,
	     {"OTEL_METRICS_EXPORTER=console,otlp"},
	     NULL,
	     ON,
	     "warning: OTEL_METRICS_EXPORTER: names an unknown exporter: `console'\n"},

	    /* OTEL_SDK_DISABLED */
	    {HTTP_FILE, {"OTEL_SDK_DISABLED=True", "OTEL_METRICS_EXPORTER=otlp"}, NULL, OFF, ""},
	    {HTTP_FILE, {"OTEL_SDK_DISABLED=false"}, NULL, ON, ""},
	    {HTTP_FILE,
	     {"OTEL_SDK_DISABLED=1"},
	     NULL,
	     ON,
	     "warning: OTEL_SDK_DISABLED: is taken as false: must be true or false: `1'\n"},

	    /* OTEL_EXPORTER_OTLP_PROTOCOL */
	    {HTTP_FILE, {"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, NULL, ON, ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, NULL, OFF, ""},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
	     NULL,
	     NULL,
	     "error: OTEL_EXPORTER_OTLP_PROTOCOL: this build pushes by http/protobuf only "
	     "(OTEL_METRICS_EXPORTER=none switches the push off): `grpc'\n"},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"},
	     NULL,
	     NULL,
	     "error: OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: this build pushes by http/protobuf only "
	     "(OTEL_METRICS_EXPORTER=none switches the push off): `http/json'\n"},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"},
	     NULL,
	     ON,
	     ""},

	    /* times */
	    {HTTP_FILE "metrics.open-telemetry.timeout = \"3s\"",
	     {"OTEL_EXPORTER_OTLP_TIMEOUT=1500", "OTEL_METRIC_EXPORT_INTERVAL=5000"},
	     NULL,
	     "on " DEFAULT_PUSH " interval=5000 timeout=1500 headers=",
	     ""},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=2"},
	     NULL,
	     "on " DEFAULT_PUSH " interval=60000 timeout=2 headers=",
	     ""},
	    {HTTP_FILE "metrics.open-telemetry.timeout = \"3s\"",
	     {"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_METRIC_EXPORT_INTERVAL=-5"},
	     NULL,
	     "on " DEFAULT_PUSH " interval=60000 timeout=3000 headers=",
	     "warning: OTEL_EXPORTER_OTLP_TIMEOUT: is ignored: must be a whole number (milliseconds): `10s'\n"
	     "warning: OTEL_METRIC_EXPORT_INTERVAL: is ignored: must be a whole number (milliseconds): `-5'\n"},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_TIMEOUT=0", "OTEL_METRIC_EXPORT_INTERVAL=99999999999999999999"},
	     NULL,
	     ON,
	     "warning: OTEL_EXPORTER_OTLP_TIMEOUT: is ignored: must be at least 1ms: `0'\n"
	     "warning: OTEL_METRIC_EXPORT_INTERVAL: is ignored: is too large: `99999999999999999999'\n"},
	    {NULL, {"OTEL_EXPORTER_OTLP_TIMEOUT=10s"}, NULL, OFF, ""}, /* nobody asked */

	    /* headers */
	    {HTTP_FILE "metrics.open-telemetry.headers = [\"A: file\", \"B: file\"]",
	     {"OTEL_EXPORTER_OTLP_HEADERS=C=1, authorization = Basic%20dXNlcjpw=,,"},
	     NULL,
	     ON "C: 1|authorization: Basic dXNlcjpw=",
	     ""},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_HEADERS=bad", "OTEL_EXPORTER_OTLP_METRICS_HEADERS=a=b"},
	     NULL,
	     ON "a: b",
	     ""},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_HEADERS=a=b,hunter2"},
	     NULL,
	     NULL,
	     "error: OTEL_EXPORTER_OTLP_HEADERS: must be a list of name=value\n"},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_HEADERS=a=b,=hunter2"},
	     NULL,
	     NULL,
	     "error: OTEL_EXPORTER_OTLP_HEADERS: must be a list of name=value\n"},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_HEADERS=a=hunter2%0"},
	     NULL,
	     NULL,
	     "error: OTEL_EXPORTER_OTLP_HEADERS: has a bad percent sequence in a value\n"},
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_HEADERS=a=hunter2%0d%0ab:c"},
	     NULL,
	     NULL,
	     "error: OTEL_EXPORTER_OTLP_HEADERS: must not contain control characters\n"},

	    /* what OpenTelemetry knows and we do not */
	    {HTTP_FILE,
	     {"OTEL_EXPORTER_OTLP_CERTIFICATE=/x", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t",
	      "OTEL_EXPORTER_OTLP_COMPRESSION="},
	     NULL,
	     ON,
	     "warning: OTEL_EXPORTER_OTLP_CERTIFICATE: is not supported, it is ignored\n"},
	    {NULL, {"OTEL_EXPORTER_OTLP_CERTIFICATE=/x"}, NULL, OFF, ""},

	    /* the flag wins over all that says whether and where, and leaves the rest */
	    {OFF_FILE "metrics.open-telemetry.endpoint = \"http://file/\"\n",
	     {"OTEL_SDK_DISABLED=true", "OTEL_METRICS_EXPORTER=none", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
	      "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=bad"},
	     OTHER,
	     "on " OTHER REST,
	     ""},
	    {NULL, {"OTEL_EXPORTER_OTLP_HEADERS=a=b"}, OTHER, "on " OTHER REST "a: b", ""},
	    {NULL,
	     {NULL},
	     "h:4318",
	     NULL,
	     "error: --otlp.endpoint: must be a URL that begins with http:// or https://: `h:4318'\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct config_flag flags[] = {{"otlp.endpoint", rows[i].endpoint_flag}, {NULL, NULL}};
		struct loaded loaded = load(rows[i].toml, rows[i].environment, rows[i].endpoint_flag ? flags : NULL);
		struct buf got;

		buf_init(&got, 4096);
		if (loaded.config)
			put_push(&got, loaded.config);
		if (strcmp(buf_text(&got), rows[i].want ? rows[i].want : "") ||
		    strcmp(buf_text(&loaded.said), rows[i].said))
			fail_msg("row %zu: got \"%s\" and \"%s\"", i, buf_text(&got), buf_text(&loaded.said));
		assert_int_equal(loaded.rc, rows[i].want ? 0 : -EINVAL);
		buf_free(&got);
		unload(&loaded);
	}
}

static void variables_about_the_resource(void **state)
{
#define IGNORED "warning: OTEL_RESOURCE_ATTRIBUTES: is ignored: must be a list of key=value, percent-encoded UTF-8: "
	static const struct {
		char *environment[3];
		const char *want, *said;
	} rows[] = {
	    {{"OTEL_RESOURCE_ATTRIBUTES=a=1,b.c = x%2Cy%3d , d="}, "mailgauge a=1 b.c=x,y= d=", ""},
	    {{"OTEL_RESOURCE_ATTRIBUTES=a=1,a=2"}, "mailgauge a=2", ""},
	    {{"OTEL_RESOURCE_ATTRIBUTES=a=1=2"}, "mailgauge a=1=2", ""},
	    {{"OTEL_RESOURCE_ATTRIBUTES=%61=1"}, "mailgauge a=1", ""},
	    {{"OTEL_RESOURCE_ATTRIBUTES=service.name=x,a=1"}, "x a=1", ""},
	    {{"OTEL_RESOURCE_ATTRIBUTES=service.name="}, "mailgauge", ""},
	    {{"OTEL_SERVICE_NAME=y", "OTEL_RESOURCE_ATTRIBUTES=service.name=x,a=1"}, "y a=1", ""},
	    {{"OTEL_SERVICE_NAME="}, "mailgauge", ""},
	    {{"OTEL_SERVICE_NAME=\xff"},
	     "mailgauge",
	     "warning: OTEL_SERVICE_NAME: is ignored: it is not well-formed UTF-8: `"
	     "\xef\xbf\xbd"
	     "'\n"},
	    {{"OTEL_SERVICE_NAME=a\nb"},
	     "mailgauge",
	     "warning: OTEL_SERVICE_NAME: is ignored: it must not contain control characters: `a\\x0ab'\n"},
	    /* One mistake, and all of it is thrown away. */
	    {{"OTEL_RESOURCE_ATTRIBUTES=service.name=x,a=1,b"}, "mailgauge", IGNORED "`service.name=x,a=1,b'\n"},
	    {{"OTEL_RESOURCE_ATTRIBUTES=a=1,b=%zz"}, "mailgauge", IGNORED "`a=1,b=%zz'\n"},
	    {{"OTEL_RESOURCE_ATTRIBUTES=a=%ff"}, "mailgauge", IGNORED "`a=%ff'\n"},
	    {{"OTEL_RESOURCE_ATTRIBUTES==1"}, "mailgauge", IGNORED "`=1'\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct loaded loaded = load(NULL, rows[i].environment, NULL);
		struct buf got;

		assert_int_equal(loaded.rc, 0);
		buf_init(&got, 4096);
		buf_puts(&got, loaded.config->service_name);
		for (size_t j = 0; j < loaded.config->resource_cnt; j++)
			buf_printf(&got, " %s=%s", loaded.config->resource[j].key, loaded.config->resource[j].value);
		assert_string_equal(buf_text(&got), rows[i].want);
		assert_string_equal(buf_text(&loaded.said), rows[i].said);
		buf_free(&got);
		unload(&loaded);
	}
}

static void an_exporter_switches_the_endpoint_on(void **state)
{
	static const struct {
		char *environment[2];
		bool want;
	} rows[] = {{{NULL}, false},
		    {{"OTEL_METRICS_EXPORTER=prometheus"}, true},
		    {{"OTEL_METRICS_EXPORTER=otlp,prometheus"}, true},
		    {{"OTEL_METRICS_EXPORTER=otlp"}, false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct loaded loaded = load("metrics.prometheus.enable = false", rows[i].environment, NULL);

		assert_int_equal(loaded.rc, 0);
		assert_int_equal(loaded.config->prometheus_enable, rows[i].want);
		unload(&loaded);
	}
	for (size_t i = 0; i < COUNT(rows); i++) { /* and nothing switches it off */
		struct loaded loaded = load(NULL, rows[i].environment, NULL);

		assert_true(loaded.config->prometheus_enable);
		unload(&loaded);
	}
}

static void flags_win(void **state)
{
	static const char toml[] = "catalog-dir = \"/file\"\n"
				   "[metrics]\n"
				   "disabled-events = [\"auth.error\"]\n"
				   "prometheus = { listen = \"127.0.0.1:1\", path = \"/file\" }\n"
				   "open-telemetry.endpoint = \"http://file/\"\n";
	char *environment[] = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://environment/", NULL};
	const struct config_flag flags[] = {{"catalog-dir", "/flag"},
					    {"disabled-events", "smtp.*, *.failed,"},
					    {"web.listen-address", "127.0.0.1:2"},
					    {"web.telemetry-path", "/flag"},
					    {"otlp.endpoint", "http://flag/"},
					    {NULL, NULL}};
	const struct {
		char **environment;
		const struct config_flag *flags;
		const char *want;
	} rows[] = {
	    {NULL, NULL, "/file 127.0.0.1:1 /file http://file/ disabled=auth.error"},
	    {environment, NULL, "/file 127.0.0.1:1 /file http://environment/ disabled=auth.error"},
	    {environment, flags, "/flag 127.0.0.1:2 /flag http://flag/ disabled=smtp.*|*.failed"},
	    {NULL, flags, "/flag 127.0.0.1:2 /flag http://flag/ disabled=smtp.*|*.failed"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct loaded loaded = load(toml, rows[i].environment, rows[i].flags);
		const struct config *config = loaded.config;
		struct buf got;

		assert_int_equal(loaded.rc, 0);
		buf_init(&got, 4096);
		buf_printf(&got, "%s %s %s %s", config->catalog_dir, config->prometheus_listen, config->prometheus_path,
			   config->otlp_endpoint);
		put_list(&got, "disabled", &config->disabled_events);
		assert_string_equal(buf_text(&got), rows[i].want);
		buf_free(&got);
		unload(&loaded);
	}
	for (size_t i = 0; i < option_table.count; i++) { /* none is forgotten above */
		const char *flag = option_table.items[i].flag;
		bool is_tested = !flag;

		for (size_t j = 0; flags[j].name && !is_tested; j++)
			is_tested = !strcmp(flags[j].name, flag);
		assert_true(is_tested);
	}
}

/* A bad value is an error even where another source wins: the next one who leaves the flag out would meet it. */
static void all_sources_are_judged(void **state)
{
	const struct config_flag flags[] = {
	    {"web.listen-address", "127.0.0.1:1"}, {"web.telemetry-path", "x"}, {NULL, NULL}};
	char *environment[] = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=bad", NULL};
	struct loaded loaded = load("metrics.prometheus.listen = \"bad\"", environment, flags);
	const char *said = buf_text(&loaded.said);

	(void)state;
	assert_int_equal(loaded.rc, -EINVAL);
	assert_non_null(strstr(said, ":1:29: metrics.prometheus.listen: must be ADDRESS:PORT: `bad'\n"));
	assert_non_null(strstr(said, "error: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: must be a URL"));
	assert_non_null(strstr(said, "error: --web.telemetry-path: must begin with a slash: `x'\n"));
	unload(&loaded);
}

/* ---- events */

static void events_are_disabled(void **state)
{
	static const struct {
		const char *toml, *want; /* the events that are left */
	} rows[] = {
	    {"",
	     "auth.attempt auth.error auth.failed auth.success delivery.deferred smtp.connection-start smtp.error "},
	    {"metrics.disabled-events = []",
	     "auth.attempt auth.error auth.failed auth.success delivery.deferred smtp.connection-start smtp.error "},
	    {"metrics.disabled-events = \"*\"", ""},
	    {"metrics.disabled-events = [\"auth.error\", \"*\"]", ""},
	    {"metrics.disabled-events = \"auth.*\"", "delivery.deferred smtp.connection-start smtp.error "},
	    {"metrics.disabled-events = \" auth.* \"", "delivery.deferred smtp.connection-start smtp.error "},
	    {"metrics.disabled-events = [\"*.error\", \"auth.f*\", \"delivery.deferred\"]",
	     "auth.attempt auth.success smtp.connection-start "},
	    {"metrics.disabled-events = \"*auth*\"",
	     "auth.attempt auth.error auth.failed auth.success delivery.deferred smtp.connection-start smtp.error "},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct loaded loaded = load(rows[i].toml, NULL, NULL);
		struct buf got;

		assert_int_equal(loaded.rc, 0);
		buf_init(&got, 4096);
		for (size_t j = 0; j < COUNT(event_names); j++)
			if (!config_event_disabled(loaded.config, event_names[j]))
				buf_printf(&got, "%s ", event_names[j]);
		assert_string_equal(buf_text(&got), rows[i].want);
		buf_free(&got);
		unload(&loaded);
	}
}

static void events_of_a_flag_are_checked(void **state)
{
	const struct config_flag flags[] = {{"disabled-events", "auth.eror,*.eror"}, {NULL, NULL}};
	struct loaded loaded = load("metrics.disabled-events = \"nonsense\"", NULL, flags);
	struct config_report report = {hear, &loaded.said};

	(void)state;
	assert_int_equal(loaded.rc, 0);
	assert_int_equal(config_check_events(loaded.config, event_names, COUNT(event_names), &report), -EINVAL);
	assert_string_equal(buf_text(&loaded.said),
			    "error: --disabled-events: unknown event: `auth.eror', did you mean `auth.error'?\n"
			    "warning: --disabled-events: matches no event: `*.eror'\n");
	unload(&loaded);
}

/* ---- what is written about it */

/* The part of docs/CONFIGURATION.md between the marks is what `mailgauge help config` prints. */
static void the_manual_is_up_to_date(void **state)
{
	static const char begin[] = "<!-- begin: mailgauge help config -->\n", end[] = "<!-- end -->\n";
	static char manual[1 << 18];
	FILE *file = fopen(GOLDEN_DIR "/../../docs/CONFIGURATION.md", "r");
	char *from, *to;
	struct buf want;

	(void)state;
	assert_non_null(file);
	assert_true(fread(manual, 1, sizeof(manual) - 1, file) > 0);
	fclose(file);
	from = strstr(manual, begin);
	to = strstr(manual, end);
	assert_true(from && to && from < to);
	buf_init(&want, 1 << 20);
	buf_add(&want, manual, (size_t)(from - manual) + strlen(begin));
	config_reference(&want);
	buf_puts(&want, to);
	golden_check("../../docs/CONFIGURATION.md", buf_text(&want));
	buf_free(&want);
}

static void the_reference_has_every_option(void **state)
{
	struct buf reference, cell;

	(void)state;
	buf_init(&reference, 1 << 20);
	buf_init(&cell, 256);
	config_reference(&reference);
	assert_false(buf_failed(&reference));
	for (size_t i = 0; i < option_table.count; i++) {
		buf_reset(&cell);
		buf_printf(&cell, "\n| `%s` | ", option_table.items[i].key);
		assert_non_null(strstr(buf_text(&reference), buf_text(&cell)));
		/* A bar in a text would break the table. */
		assert_null(strchr(option_table.items[i].help, '|'));
	}
	assert_non_null(strstr(buf_text(&reference), "| `rescan-interval` | duration, 1s to 1d | `\"5s\"` |  | "));
	assert_non_null(strstr(buf_text(&reference), "| `metrics.naming` | \"prometheus\" or \"stalwart\" | "));
	buf_free(&cell);
	buf_free(&reference);
}

/* deploy/mailgauge.toml changes nothing as it is; with the comment signs of its "#key = value" lines removed it is
 * still good, and has every option. */
static void the_example_is_good(void **state)
{
	static char text[1 << 16], used[1 << 16];
	FILE *file = fopen(GOLDEN_DIR "/../../deploy/mailgauge.toml", "r");
	char *rest = text, *line, *to = used;
	struct loaded loaded;
	struct buf all;

	(void)state;
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	loaded = load(text, NULL, NULL);
	assert_int_equal(loaded.rc, 0);
	buf_init(&all, 4096);
	put_all(&all, loaded.config);
	assert_string_equal(buf_text(&all), all_defaults);
	buf_free(&all);
	unload(&loaded);

	while ((line = strsep(&rest, "\n")))
		to += sprintf(to, "%s\n", line + (line[0] == '#' && line[1] >= 'a' && line[1] <= 'z'));
	loaded = load(used, NULL, NULL);
	assert_string_equal(buf_text(&loaded.said), "");
	assert_int_equal(loaded.rc, 0);
	assert_int_equal(config_check_events(loaded.config, event_names, COUNT(event_names), NULL), 0);
	unload(&loaded);
	for (size_t i = 0; i < option_table.count; i++) {
		const char *key = option_table.items[i].key, *dot = strrchr(key, '.');
		char wanted[128];

		snprintf(wanted, sizeof(wanted), "\n%s = ", dot ? dot + 1 : key);
		if (!strstr(used, wanted))
			fail_msg("%s is missing", key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_option_has_its_default),
	    cmocka_unit_test(files_are_judged),
	    cmocka_unit_test(tables_and_dotted_keys_are_the_same),
	    cmocka_unit_test(syntax_errors_have_a_place),
	    cmocka_unit_test(unreadable_files_are_refused),
	    cmocka_unit_test(durations),
	    cmocka_unit_test(durations_are_printed_shortest),
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(texts_of_options),
	    cmocka_unit_test(urls_that_are_none),
	    cmocka_unit_test(headers),
	    cmocka_unit_test(percent_sequences),
	    cmocka_unit_test(variables_about_the_push),
	    cmocka_unit_test(variables_about_the_resource),
	    cmocka_unit_test(an_exporter_switches_the_endpoint_on),
	    cmocka_unit_test(flags_win),
	    cmocka_unit_test(all_sources_are_judged),
	    cmocka_unit_test(events_are_disabled),
	    cmocka_unit_test(events_of_a_flag_are_checked),
	    cmocka_unit_test(the_manual_is_up_to_date),
	    cmocka_unit_test(the_reference_has_every_option),
	    cmocka_unit_test(the_example_is_good),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
