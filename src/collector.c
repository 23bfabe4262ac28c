/* SPDX-License-Identifier: Apache-2.0 */
#include "collector.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "gauges.h"

#define LINGER_MS (10 * 60 * 1000)

struct server_state {
	const struct server_def *server;
	unsigned instances;
};

struct collector {
	const struct config *config;
	const struct catalog *catalog;
	pid_t only_pid; /* root of the only instance that counts, 0: all */
	uint64_t only_start;
	struct probe_set *probes;
	struct gauges *gauges;
	uint64_t seen; /* signature of the last scan that was planned */
	bool has_seen;
	pthread_mutex_t lock; /* of what follows: read by exporters, written by refresh */
	struct buf servers;   /* a line for each server found */
	size_t server_cnt;
	struct server_state *states; /* by position in the catalog */
	uint64_t refresh_failures;
};

int catalog_and_config(const struct config_input *input, struct config **config, struct catalog **catalog)
{
	char err[512];
	const char **names;
	int ret = config_load(config, input);

	if (ret)
		return ret;
	ret = catalog_load(catalog, (*config)->catalog_dir, err);
	if (ret) {
		log_error("%s", err);
		config_free(config);
		return -EINVAL;
	}
	names = xrealloc_array(NULL, (*catalog)->events.count, sizeof(*names));
	for (size_t i = 0; i < (*catalog)->events.count; i++)
		names[i] = (*catalog)->events.items[i].name;
	ret = config_check_events(*config, names, (*catalog)->events.count, &input->report);
	free(names);
	if (ret) {
		catalog_free(catalog);
		config_free(config);
	}
	return ret;
}

/* set_scope - count the tree of processes below the instance's root; of a server whose processes leave it, all of the
 * container */
static void set_scope(struct probe_options *options, const struct target *target)
{
	if (target->server->has_orphans && target->pid_ns) {
		options->scope_pid_ns = target->pid_ns;
		return;
	}
	options->scope_pid = target->pid;
	if (target->server->has_orphans)
		log_warn(
		    "%s: processes of it that outlive their parents are not counted with --pid, unless it runs in a "
		    "container",
		    target->server->name);
}

int collector_open(struct collector **out, const struct config *config, const struct catalog *catalog, pid_t only_pid,
		   char err[static 256])
{
	struct collector *c = calloc(1, sizeof(*c));
	struct probe_options options = {.method = METHOD_AUTO, .linger_ms = LINGER_MS};
	struct target_scan *scan;
	int ret = 0;

	if (!c) {
		snprintf(err, 256, "out of memory");
		return -ENOMEM;
	}
	c->config = config;
	c->catalog = catalog;
	c->only_pid = only_pid;
	pthread_mutex_init(&c->lock, NULL);
	buf_init(&c->servers, 1 << 16);
	c->states = xrealloc_array(NULL, catalog->server_cnt, sizeof(*c->states));
	for (size_t i = 0; i < catalog->server_cnt; i++)
		c->states[i] = (struct server_state){.server = catalog->servers[i]};
	if (only_pid) {
		/* Any process of the instance may be named. */
		ret = target_scan_proc(&scan, catalog, "/proc", only_pid, err);
		if (!ret) {
			c->only_pid = scan->targets[0].pid;
			c->only_start = scan->targets[0].start_ticks;
			set_scope(&options, &scan->targets[0]);
			target_scan_free(&scan);
		}
	}
	if (!ret)
		ret = probe_set_open(&c->probes, &options, err);
	if (ret)
		collector_close(&c);
	else
		c->gauges = gauges_new(c->probes);
	*out = c;
	return ret;
}

void collector_close(struct collector **collector)
{
	struct collector *c = *collector;

	if (!c)
		return;
	*collector = NULL;
	gauges_free(&c->gauges);
	probe_set_close(&c->probes);
	buf_free(&c->servers);
	free(c->states);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- refresh */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return probe_hash_word(hash, value);
}

/* signature - changes whenever a plan could: other instances, other files, a file written to */
static uint64_t signature(const struct target_scan *scan)
{
	uint64_t hash = scan->target_cnt;

	for (size_t i = 0; i < scan->target_cnt; i++) {
		const struct target *target = &scan->targets[i];

		hash = mix(mix(hash, (uint64_t)target->pid), target->start_ticks);
		for (size_t k = 0; k < target->file_cnt; k++) {
			const struct target_file *file = &target->files[k];

			hash = mix(mix(mix(hash, file->dev), file->ino), file->size);
			hash = mix(mix(hash, (uint64_t)file->mtime.tv_sec), (uint64_t)file->mtime.tv_nsec);
			hash = mix(hash, file->is_deleted);
		}
	}
	return hash;
}

static void describe(struct collector *c, const struct target_scan *scan, const struct plan *plan)
{
	pthread_mutex_lock(&c->lock);
	buf_reset(&c->servers);
	c->server_cnt = scan->target_cnt;
	for (size_t i = 0; i < c->catalog->server_cnt; i++)
		c->states[i].instances = 0;
	for (size_t i = 0; i < scan->target_cnt; i++) {
		const struct target *target = &scan->targets[i];
		size_t emulated, probes = plan_count_points(plan, target, &emulated);

		for (size_t k = 0; k < c->catalog->server_cnt; k++)
			if (c->states[k].server == target->server)
				c->states[k].instances++;
		buf_printf(&c->servers, "%s (pid %d, %s): %zu probes\n", target->server->name, (int)target->pid,
			   target->exe, probes);
	}
	pthread_mutex_unlock(&c->lock);
}

/* say_servers - a message for each line of the description */
static void say_servers(const struct collector *c)
{
	const char *line = buf_text(&c->servers);

	for (size_t len; *line; line += len + 1) {
		len = strcspn(line, "\n");
		log_info("found %.*s", (int)len, line);
		if (!line[len])
			break;
	}
}

static void say_changes(const struct collector *c, const struct plan *plan)
{
	struct probe_status status;

	probe_set_status(c->probes, &status);
	if (!c->server_cnt) {
		log_info("no mail server is running that the catalog knows; waiting for one");
		return;
	}
	say_servers(c);
	log_info("%zu probes in %zu files are attached, %zu series are counted", status.attached, status.files,
		 plan_count_series(plan));
	for (size_t i = 0; i < plan->miss_cnt; i++) {
		const struct plan_miss *miss = &plan->misses[i];

		if (miss->why != WHY_DISABLED)
			log_warn("%s: %s is %s counted: %s%s%s", miss->server->name, miss->event->name,
				 miss->is_partial ? "not fully" : "not", miss->file, miss->file[0] ? ": " : "",
				 miss->reason);
	}
}

/* scan_servers - look at what runs. The one instance that was asked for may be gone, its pid even be another's: then
 * nothing does, and what was counted stays. */
static int scan_servers(struct collector *c, struct target_scan **out, char err[static 256])
{
	int ret = target_scan_proc(out, c->catalog, "/proc", c->only_pid, err);
	bool is_gone = c->only_pid && (ret == -ESRCH || ret == -ENOENT);

	if (!ret && c->only_pid)
		is_gone = (*out)->targets[0].pid != c->only_pid || (*out)->targets[0].start_ticks != c->only_start;
	if (is_gone) {
		if (!ret)
			target_scan_free(out);
		*out = NULL;
		return 0;
	}
	return ret;
}

static int refresh(struct collector *c, char err[static 256])
{
	const struct target_scan none = {0};
	const struct target_scan *scan;
	struct target_scan *found = NULL;
	struct plan *plan = NULL;
	uint64_t seen;
	int ret = scan_servers(c, &found, err);

	if (ret)
		return ret;
	probe_set_release(c->probes, false);
	scan = found ? found : &none;
	seen = signature(scan);
	if (c->has_seen && seen == c->seen) {
		gauges_correct(c->gauges);
		goto out;
	}
	ret = plan_build(&plan, c->config, c->catalog, scan, err);
	if (!ret)
		ret = probe_set_apply(c->probes, plan, err);
	if (ret)
		goto out;
	c->seen = seen;
	c->has_seen = true;
	gauges_follow(c->gauges, plan);
	describe(c, scan, plan);
	say_changes(c, plan);
out:
	plan_free(&plan);
	target_scan_free(&found);
	malloc_trim(0); /* a plan takes megabytes for a moment, the daemon should not keep them */
	return ret;
}

void collector_detach(struct collector *c)
{
	const struct plan nothing = {0};
	char err[256];

	if (!probe_set_apply(c->probes, &nothing, err))
		probe_set_release(c->probes, true);
}

int collector_refresh(struct collector *c, char err[static 256])
{
	int ret = refresh(c, err);

	if (ret) {
		pthread_mutex_lock(&c->lock);
		c->refresh_failures++;
		pthread_mutex_unlock(&c->lock);
	}
	return ret;
}

/* ---- for exporters */

int collector_snapshot(void *collector, struct snapshot **out)
{
	struct collector *c = collector;
	struct family *family;
	int ret = probe_set_snapshot(c->probes, out);

	if (ret)
		return ret;
	pthread_mutex_lock(&c->lock);
	family = snapshot_family(*out, SCOPE_SELF, METRIC_GAUGE, "mailgauge.server.instances", "{instance}",
				 "Running instances of each mail server that the catalog knows.");
	for (size_t i = 0; i < c->catalog->server_cnt; i++) {
		const struct label label = {"server", c->states[i].server->name};

		snapshot_sample(*out, family, &label, 1)->gauge = c->states[i].instances;
	}
	family = snapshot_family(*out, SCOPE_SELF, METRIC_COUNTER, "mailgauge.refresh.failures", "{failure}",
				 "Looks for mail servers that ended with an error.");
	snapshot_sample(*out, family, NULL, 0)->counter = c->refresh_failures;
	pthread_mutex_unlock(&c->lock);
	return 0;
}

bool collector_ready(void *collector, struct buf *reason)
{
	struct collector *c = collector;
	struct probe_status status;

	probe_set_status(c->probes, &status);
	if (status.attached)
		return true;
	pthread_mutex_lock(&c->lock);
	if (!c->server_cnt)
		buf_puts(reason, "no mail server is running that the catalog knows\n");
	else if (status.failed)
		buf_puts(reason, "no probe could be attached, see the log\n");
	else
		buf_puts(reason, "nothing is to be counted: see `mailgauge plan`\n");
	pthread_mutex_unlock(&c->lock);
	return false;
}

void collector_servers(void *collector, struct buf *lines)
{
	struct collector *c = collector;

	pthread_mutex_lock(&c->lock);
	buf_puts(lines, buf_text(&c->servers));
	pthread_mutex_unlock(&c->lock);
}
