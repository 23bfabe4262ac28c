/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/log.h"
#include "collector.h"
#include "export/dump.h"
#include "export/prom.h"
#include "plan/explain.h"

#define OUTPUT_MAX ((size_t)64 << 20)

static int print(struct buf *out)
{
	int ret = EXIT_SUCCESS;

	if (buf_failed(out)) {
		log_error("the output is too large");
		ret = EXIT_FAILURE;
	} else if (fwrite(buf_text(out), 1, out->len, stdout) != out->len || fflush(stdout)) {
		log_error("writing the output: %m");
		ret = EXIT_FAILURE;
	}
	buf_free(out);
	return ret;
}

/* ---- once */

/* wait_for - so long, or until ^C: what was counted by then is printed all the same */
static void wait_for(uint64_t duration_ms)
{
	const struct timespec duration = {
	    .tv_sec = (time_t)(duration_ms / 1000),
	    .tv_nsec = (long)(duration_ms % 1000) * 1000000,
	};
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sigtimedwait(&signals, NULL, &duration);
}

static int print_snapshot(const struct cli *cli, const struct config *config, struct collector *collector)
{
	const struct prom_options options = {
	    .prefix = config->prefix, .naming = config->naming, .version = MAILGAUGE_VERSION};
	struct snapshot *snap;
	struct buf out;

	if (collector_snapshot(collector, &snap)) {
		log_error("reading the counters failed");
		return EXIT_FAILURE;
	}
	snapshot_finish(snap);
	buf_init(&out, OUTPUT_MAX);
	switch (cli->format) {
	case CLI_PROMETHEUS:
		prom_write(&out, snap, &options);
		break;
	case CLI_JSON:
		dump_json(&out, snap);
		break;
	case CLI_TABLE:
		dump_table(&out, snap);
		break;
	}
	snapshot_free(&snap);
	return print(&out);
}

int command_once(const struct cli *cli, const struct config *config, const struct catalog *catalog)
{
	struct collector *collector = NULL;
	int ret = EXIT_FAILURE;
	struct buf reason;
	char err[256];

	buf_init(&reason, 4096);
	if (collector_open(&collector, config, catalog, cli->pid, err) || collector_refresh(collector, err)) {
		log_error("%s", err);
	} else if (!collector_ready(collector, &reason)) {
		log_error("%s", buf_text(&reason));
	} else {
		wait_for(cli->duration_ms);
		collector_detach(collector);
		ret = print_snapshot(cli, config, collector);
	}
	buf_free(&reason);
	collector_close(&collector);
	return ret;
}

/* ---- plan */

int command_plan(const struct cli *cli, const struct config *config, const struct catalog *catalog)
{
	struct target_scan *scan = NULL;
	struct plan *plan = NULL;
	int ret = EXIT_FAILURE;
	struct buf out;
	char err[256];

	buf_init(&out, OUTPUT_MAX);
	if (target_scan_proc(&scan, catalog, "/proc", cli->pid, err) || plan_build(&plan, config, catalog, scan, err)) {
		log_error("%s", err);
		goto out;
	}
	if (!scan->target_cnt)
		log_warn("no mail server is running that the catalog knows");
	if (cli->format == CLI_JSON)
		explain_json(&out, plan);
	else
		explain_table(&out, plan);
	ret = print(&out);
out:
	plan_free(&plan);
	target_scan_free(&scan);
	return ret;
}

/* ---- events */

/* put_servers - the servers whose catalog counts the event, each behind `sep` */
static void put_servers(struct buf *out, const struct catalog *catalog, const struct event_def *event, bool is_json)
{
	const char *sep = "";

	for (size_t i = 0; i < catalog->server_cnt; i++) {
		if (!catalog_server_counts(catalog->servers[i], event))
			continue;
		buf_puts(out, sep);
		if (is_json)
			buf_json_string(out, catalog->servers[i]->name);
		else
			buf_puts(out, catalog->servers[i]->name);
		sep = is_json ? "," : ", ";
	}
}

static void put_event_json(struct buf *out, const struct catalog *catalog, const struct event_def *event)
{
	buf_puts(out, "{\"name\":");
	buf_json_string(out, event->name);
	buf_printf(out, ",\"kind\":\"%s\",\"unit\":", event_kind_name(event->kind));
	buf_json_string(out, event->unit);
	buf_puts(out, ",\"help\":");
	buf_json_string(out, event->help);
	buf_puts(out, ",\"servers\":[");
	put_servers(out, catalog, event, true);
	buf_puts(out, "]}");
}

int command_events(const struct cli *cli, const struct catalog *catalog)
{
	const struct events *events = &catalog->events;
	struct buf out;

	buf_init(&out, OUTPUT_MAX);
	if (cli->format == CLI_JSON)
		buf_puts(&out, "[");
	for (size_t i = 0; i < events->count; i++) {
		if (cli->format == CLI_JSON) {
			buf_puts(&out, i ? ",\n" : "");
			put_event_json(&out, catalog, &events->items[i]);
			continue;
		}
		buf_printf(&out, "%-40s %-9s  ", events->items[i].name, event_kind_name(events->items[i].kind));
		put_servers(&out, catalog, &events->items[i], false);
		buf_putc(&out, '\n');
	}
	if (cli->format == CLI_JSON)
		buf_puts(&out, "]\n");
	return print(&out);
}
