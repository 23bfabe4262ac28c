/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake-exporter - the exporters without anything to probe: serves and pushes numbers that a test sets.
 *
 * Arguments are KEY=VALUE: listen (any free port of that address is taken), path, username, secret, prefix, naming,
 * deadline_ms; endpoint, interval_ms, timeout_ms, header (repeatable), resource (repeatable). Without `listen` nothing
 * is served, without `endpoint` nothing is pushed.
 * It answers each line of standard input with one line:
 *   counter NAME UNIT VALUE [LABEL=VALUE]...	set a number
 *   gauge NAME UNIT VALUE [LABEL=VALUE]...
 *   histogram NAME UNIT BOUND,...:COUNT,...:SUM [LABEL=VALUE]...	the counts are those of each bucket alone
 *   start					serve and push; answers "port N"
 *   fail 0|1					may numbers be had?
 *   ready 0|1					is anything attached?
 *   stats					the push's own figures
 *   stop					stop both; answers how many milliseconds it took
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "export/http.h"
#include "export/push.h"
#include "export/thread.h"

#define LABELS_MAX 8
#define SERIES_MAX 1024
#define BOUNDS_MAX 24
#define LINE_MAX   4096

struct series {
	enum metric_kind kind;
	char *name, *unit;
	struct label labels[LABELS_MAX];
	size_t label_cnt;
	uint64_t counter;
	double gauge;
	double bounds[BOUNDS_MAX], sum;
	size_t bound_cnt;
	uint64_t buckets[BOUNDS_MAX + 1];
};

struct fake {
	struct config config;
	unsigned deadline_ms;
	struct http *http;
	struct push *push;
	uint64_t start_ns;
	struct arena *mem;

	pthread_mutex_t lock; /* of what follows */
	struct series series[SERIES_MAX];
	size_t series_cnt;
	bool fail, ready;
};

static void add_histogram(struct snapshot *snap, const struct series *series)
{
	struct family *family = snapshot_histogram(snap, SCOPE_EVENT, series->name, series->unit, "Set by a test.",
						   series->bounds, series->bound_cnt);
	struct sample *sample = snapshot_sample(snap, family, series->labels, series->label_cnt);

	memcpy(sample->histogram.buckets, series->buckets, (series->bound_cnt + 1) * sizeof(*series->buckets));
	sample->histogram.sum = series->sum;
}

static void add_number(struct snapshot *snap, const struct series *series)
{
	struct family *family =
	    snapshot_family(snap, SCOPE_EVENT, series->kind, series->name, series->unit, "Set by a test.");
	struct sample *sample = snapshot_sample(snap, family, series->labels, series->label_cnt);

	if (series->kind == METRIC_COUNTER)
		sample->counter = series->counter;
	else
		sample->gauge = series->gauge;
}

static int take(void *ctx, struct snapshot **out)
{
	struct fake *fake = ctx;
	struct snapshot *snap;
	bool fail;

	snap = snapshot_new(fake->start_ns);
	pthread_mutex_lock(&fake->lock);
	fail = fake->fail;
	for (size_t i = 0; i < fake->series_cnt; i++) {
		if (fake->series[i].kind == METRIC_HISTOGRAM)
			add_histogram(snap, &fake->series[i]);
		else
			add_number(snap, &fake->series[i]);
	}
	pthread_mutex_unlock(&fake->lock);
	if (fail) {
		snapshot_free(&snap);
		return -EIO;
	}
	http_add_metrics(fake->http, snap);
	push_add_metrics(fake->push, snap);
	snapshot_finish(snap);
	*out = snap;
	return 0;
}

static bool is_ready(void *ctx, struct buf *reason)
{
	struct fake *fake = ctx;
	bool ready;

	pthread_mutex_lock(&fake->lock);
	ready = fake->ready;
	pthread_mutex_unlock(&fake->lock);
	if (!ready)
		buf_puts(reason, "no mail server was found");
	return ready;
}

static void servers(void *ctx, struct buf *lines)
{
	(void)ctx;
	buf_puts(lines, "postfix <3.10>");
}

static void add_item(struct fake *fake, struct string_list *list, const char *item)
{
	list->items = arena_grow(fake->mem, list->items, list->count, &list->cap, sizeof(*list->items));
	list->items[list->count++] = item;
}

static bool option(struct fake *fake, const char *key, char *value)
{
	struct config *config = &fake->config;
	const struct {
		const char *key;
		const char **text;
	} texts[] = {
	    {"listen", &config->prometheus_listen},
	    {"path", &config->prometheus_path},
	    {"username", &config->prometheus_username},
	    {"secret", &config->prometheus_secret},
	    {"prefix", &config->prefix},
	    {"endpoint", &config->otlp_endpoint},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!strcmp(key, texts[i].key)) {
			*texts[i].text = value;
			return true;
		}
	if (!strcmp(key, "naming")) {
		config->naming = strcmp(value, "bare") ? NAMING_PROMETHEUS : NAMING_BARE;
	} else if (!strcmp(key, "deadline_ms")) {
		fake->deadline_ms = (unsigned)atoi(value);
	} else if (!strcmp(key, "interval_ms")) {
		config->otlp_interval_ms = strtoull(value, NULL, 10);
	} else if (!strcmp(key, "timeout_ms")) {
		config->otlp_timeout_ms = strtoull(value, NULL, 10);
	} else if (!strcmp(key, "header")) {
		add_item(fake, &config->otlp_headers, value);
	} else if (!strcmp(key, "resource")) {
		config->resource[config->resource_cnt++] = (struct config_attribute){strsep(&value, "="), value};
	} else {
		return false;
	}
	return true;
}

/* set_histogram - BOUND,...:COUNT,...:SUM */
static bool set_histogram(struct series *series, char *value)
{
	char *bounds = strsep(&value, ":"), *buckets = strsep(&value, ":"), *item;
	size_t count = 0;

	while ((item = strsep(&bounds, ",")) && series->bound_cnt < BOUNDS_MAX)
		series->bounds[series->bound_cnt++] = strtod(item, NULL);
	while ((item = strsep(&buckets, ",")) && count <= series->bound_cnt)
		series->buckets[count++] = strtoull(item, NULL, 10);
	if (!value || count != series->bound_cnt + 1)
		return false;
	series->sum = strtod(value, NULL);
	return true;
}

/* set - "NAME UNIT VALUE [LABEL=VALUE]..." */
static bool set(struct fake *fake, enum metric_kind kind, char *rest)
{
	struct series series = {.kind = kind}, *at;
	char *value;

	rest = arena_strdup(fake->mem, rest);
	series.name = strsep(&rest, " ");
	series.unit = strsep(&rest, " ");
	value = strsep(&rest, " ");
	if (!value)
		return false;
	series.counter = strtoull(value, NULL, 10);
	series.gauge = strtod(value, NULL);
	if (kind == METRIC_HISTOGRAM && !set_histogram(&series, value))
		return false;
	while (rest && series.label_cnt < LABELS_MAX) {
		char *label = strsep(&rest, " ");

		series.labels[series.label_cnt].name = strsep(&label, "=");
		series.labels[series.label_cnt++].value = label ? label : "";
	}
	for (at = fake->series; at < fake->series + fake->series_cnt; at++) {
		bool same = !strcmp(at->name, series.name) && at->label_cnt == series.label_cnt;

		for (size_t i = 0; same && i < series.label_cnt; i++)
			same = !strcmp(at->labels[i].name, series.labels[i].name) &&
			       !strcmp(at->labels[i].value, series.labels[i].value);
		if (same)
			break;
	}
	if (at == fake->series + SERIES_MAX)
		return false;
	fake->series_cnt += at == fake->series + fake->series_cnt;
	*at = series;
	return true;
}

static void print_stats(struct fake *fake)
{
	struct push_stats stats = push_stats(fake->push);

	printf("{\"success\":%lu,\"partial\":%lu,\"rejected\":%lu,\"failed\":%lu,\"attempts\":%lu,\"points\":%lu}\n",
	       (unsigned long)stats.exports[PUSH_SUCCESS], (unsigned long)stats.exports[PUSH_PARTIAL],
	       (unsigned long)stats.exports[PUSH_REJECTED], (unsigned long)stats.exports[PUSH_FAILED],
	       (unsigned long)stats.attempts, (unsigned long)stats.rejected_points);
}

static void stop(struct fake *fake)
{
	uint64_t start_ms = monotonic_ms();

	push_stop(&fake->push);
	http_stop(&fake->http);
	printf("%lu\n", (unsigned long)(monotonic_ms() - start_ms));
}

static void command(struct fake *fake, char *line)
{
	const char *word = strsep(&line, " ");
	bool ok = line != NULL;

	if (!strcmp(word, "stats") && fake->push) {
		print_stats(fake);
		return;
	}
	if (!strcmp(word, "stop")) {
		stop(fake);
		return;
	}
	pthread_mutex_lock(&fake->lock);
	if (ok && !strcmp(word, "counter"))
		ok = set(fake, METRIC_COUNTER, line);
	else if (ok && !strcmp(word, "gauge"))
		ok = set(fake, METRIC_GAUGE, line);
	else if (ok && !strcmp(word, "histogram"))
		ok = set(fake, METRIC_HISTOGRAM, line);
	else if (ok && !strcmp(word, "fail"))
		fake->fail = *line == '1';
	else if (ok && !strcmp(word, "ready"))
		fake->ready = *line == '1';
	else
		ok = false;
	pthread_mutex_unlock(&fake->lock);
	puts(ok ? "ok" : "what?");
}

static int start(struct fake *fake, char *err, size_t err_size)
{
	const struct http_options http = {
	    .config = &fake->config,
	    .version = "1.2.3-test",
	    .any_port = true,
	    .deadline_ms = fake->deadline_ms,
	    .take = take,
	    .ready = is_ready,
	    .servers = servers,
	    .ctx = fake,
	};
	const struct push_options push = {.config = &fake->config, .version = "1.2.3-test", .take = take, .ctx = fake};
	int rc = 0;

	if (fake->config.prometheus_listen)
		rc = http_start(&fake->http, &http, err, err_size);
	if (!rc && fake->config.otlp_endpoint)
		rc = push_start(&fake->push, &push, err, err_size);
	return rc;
}

int main(int argc, char **argv)
{
	static struct fake fake;
	static struct config_attribute attributes[16];
	static char line[LINE_MAX];
	struct timespec now;
	char err[256];

	fake.mem = arena_new();
	fake.config = (struct config){
	    .prefix = "mail",
	    .prometheus_path = "/metrics",
	    .otlp_interval_ms = 60000,
	    .otlp_timeout_ms = 10000,
	    .service_name = "mailgauge",
	    .resource = attributes,
	};
	pthread_mutex_init(&fake.lock, NULL);
	clock_gettime(CLOCK_REALTIME, &now);
	fake.start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	for (int i = 1; i < argc; i++) {
		char *value = argv[i], *key = strsep(&value, "=");

		if (!value || !option(&fake, key, value)) {
			fprintf(stderr, "fake-exporter: %s?\n", key);
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "start")) {
			if (start(&fake, err, sizeof(err))) {
				fprintf(stderr, "fake-exporter: %s\n", err);
				return 1;
			}
			printf("port %u\n", fake.http ? http_port(fake.http) : 0);
			continue;
		}
		command(&fake, line);
	}
	push_stop(&fake.push);
	http_stop(&fake.http);
	arena_free(&fake.mem);
	return 0;
}
