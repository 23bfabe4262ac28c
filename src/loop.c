/* SPDX-License-Identifier: Apache-2.0 */
#include "loop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "collector.h"
#include "export/http.h"
#include "export/push.h"

struct daemon {
	struct collector *collector;
	struct http *http;
	struct push *push;
};

/* take - what exporters get: the collector's numbers and what the exporters say of themselves */
static int take(void *ctx, struct snapshot **out)
{
	struct daemon *d = ctx;
	int ret = collector_snapshot(d->collector, out);

	if (ret)
		return ret;
	http_add_metrics(d->http, *out);
	push_add_metrics(d->push, *out);
	snapshot_finish(*out);
	return 0;
}

static bool ready(void *ctx, struct buf *reason)
{
	return collector_ready(((struct daemon *)ctx)->collector, reason);
}

static void servers(void *ctx, struct buf *lines)
{
	collector_servers(((struct daemon *)ctx)->collector, lines);
}

static int start_exporters(struct daemon *d, const struct config *config)
{
	const struct http_options http = {
	    .config = config,
	    .version = MAILGAUGE_VERSION,
	    .take = take,
	    .ready = ready,
	    .servers = servers,
	    .ctx = d,
	};
	const struct push_options push = {.config = config, .version = MAILGAUGE_VERSION, .take = take, .ctx = d};
	char err[256];
	int ret = 0;

	if (config->prometheus_enable) {
		ret = http_start(&d->http, &http, err, sizeof(err));
		if (!ret)
			log_info("metrics are at http://%s%s", config->prometheus_listen, config->prometheus_path);
	}
	if (!ret && config->otlp_transport != TRANSPORT_DISABLE) {
		ret = push_start(&d->push, &push, err, sizeof(err));
		if (!ret)
			log_info("pushing to %s every %llu s", config->otlp_endpoint,
				 (unsigned long long)config->otlp_interval_ms / 1000);
	}
	if (ret)
		log_error("%s", err);
	return ret;
}

static void watch(struct daemon *d, const struct config *config, const sigset_t *signals)
{
	const struct timespec interval = {
	    .tv_sec = (time_t)(config->rescan_interval_ms / 1000),
	    .tv_nsec = (long)(config->rescan_interval_ms % 1000) * 1000000,
	};
	char err[256], said[256] = "";

	for (;;) {
		int signal = sigtimedwait(signals, NULL, &interval);

		if (signal > 0) {
			log_info("stopping");
			return;
		}
		if (errno != EAGAIN) /* EINTR: stopped and continued */
			continue;
		if (!collector_refresh(d->collector, err)) {
			said[0] = '\0';
		} else if (strcmp(said, err)) { /* once, not every few seconds */
			log_error("%s", err);
			memcpy(said, err, sizeof(said));
		}
	}
}

int loop_run(const struct cli *cli, const struct config *config, const struct catalog *catalog)
{
	struct daemon d = {0};
	sigset_t signals;
	char err[256];
	int ret;

	/* Blocked before any thread is made, so that only the loop sees them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);

	ret = collector_open(&d.collector, config, catalog, cli->pid, err);
	if (!ret)
		ret = collector_refresh(d.collector, err);
	if (ret)
		log_error("%s", err);
	else
		ret = start_exporters(&d, config);
	if (!ret)
		watch(&d, config, &signals);
	/* The servers are left alone first; a last push may take its time. */
	if (d.collector)
		collector_detach(d.collector);
	push_stop(&d.push);
	http_stop(&d.http);
	collector_close(&d.collector);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
