/* SPDX-License-Identifier: Apache-2.0 */
#include "plan/explain.h"

#include <string.h>

#include "base/buf.h"

static const char *cost_name(enum insn_cost cost)
{
	return cost == INSN_EMULATED ? "emulated" : "stepped";
}

static const char *why_name(enum plan_why why)
{
	switch (why) {
	case WHY_DISABLED:
		return "disabled";
	case WHY_UNRESOLVED:
		return "unresolved";
	case WHY_NO_FILE:
		return "no-file";
	}
	return "unknown";
}

/* ---- for people */

static void table_point(struct buf *out, const struct plan_point *point)
{
	const char *sep = "";

	buf_printf(out, "  0x%08llx  %-8s %-6s  %-44s ", (unsigned long long)point->site.offset,
		   cost_name(point->site.cost), point->is_return ? "return" : "entry", point->site.text);
	for (size_t i = 0; i < point->event_cnt; i++, sep = ", ")
		buf_printf(out, "%s%s", sep, point->events[i]->name);
	if (!point->event_cnt)
		buf_puts(out, "(remembers a value for others)");
	buf_putc(out, '\n');
}

static void table_file(struct buf *out, const struct plan_file *file)
{
	buf_printf(out, "%s  %s%s\n", file->server->name, file->file->path, file->file->is_deleted ? " (deleted)" : "");
	buf_printf(out, "  inode %llu, build id %s, %s\n", (unsigned long long)file->file->ino,
		   file->build_id[0] ? file->build_id : "none",
		   file->file->mapped_by ? "in use" : "not in use by a process yet");
	for (size_t i = 0; i < file->point_cnt; i++)
		table_point(out, &file->points[i]);
	buf_putc(out, '\n');
}

/* is_first_of - is this the first file of its server? */
static bool is_first_of(const struct plan *plan, size_t file)
{
	for (size_t i = 0; i < file; i++)
		if (plan->files[i].server == plan->files[file].server)
			return false;
	return true;
}

/* table_costs - what was measured when the catalog was made, with everything enabled */
static void table_costs(struct buf *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->file_cnt; i++) {
		const struct server_def *server = plan->files[i].server;

		for (size_t k = 0; is_first_of(plan, i) && k < server->cost_cnt; k++)
			buf_printf(out, "%s  measured: %u hits for %s\n", server->name, server->costs[k].hits,
				   server->costs[k].what);
	}
}

/* table_ends - what is counted when processes end */
static void table_ends(struct buf *out, const struct plan *plan)
{
	for (size_t i = 0; i < plan->gauge_cnt; i++) {
		const struct plan_gauge *gauge = &plan->gauges[i];

		for (size_t k = 0; k < gauge->end_event_cnt; k++)
			buf_printf(out, "%s  %s: when a process ends that holds %s\n", gauge->server->name,
				   gauge->end_events[k]->name, gauge->event->name);
	}
}

void explain_table(struct buf *out, const struct plan *plan)
{
	size_t points = 0;

	for (size_t i = 0; i < plan->file_cnt; i++) {
		if (!plan->files[i].point_cnt)
			continue;
		table_file(out, &plan->files[i]);
		points += plan->files[i].point_cnt;
	}
	table_ends(out, plan);
	for (size_t i = 0; i < plan->miss_cnt; i++) {
		const struct plan_miss *miss = &plan->misses[i];

		buf_printf(out, "%s %s  %s: %s%s%s\n", miss->is_partial ? "partly" : "not counted:", miss->server->name,
			   miss->event->name, miss->file, miss->file[0] ? ": " : "", miss->reason);
	}
	table_costs(out, plan);
	buf_printf(out, "%zu probes, %zu series, %zu remarks\n", points, plan_count_series(plan), plan->miss_cnt);
}

/* ---- for programs */

static void json_key(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "\"%s\":", name);
	buf_json_string(out, value);
}

static void json_point(struct buf *out, const struct plan_file *file, const struct plan_point *point)
{
	buf_putc(out, '{');
	json_key(out, "server", file->server->name);
	buf_puts(out, ",\"events\":[");
	for (size_t i = 0; i < point->event_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		buf_json_string(out, point->events[i]->name);
	}
	buf_puts(out, "],");
	json_key(out, "file", file->file->path);
	buf_printf(out, ",\"deleted\":%s,", file->file->is_deleted ? "true" : "false");
	json_key(out, "build_id", file->build_id);
	buf_printf(out, ",\"inode\":%llu,\"offset\":%llu,", (unsigned long long)file->file->ino,
		   (unsigned long long)point->site.offset);
	json_key(out, "when", point->is_return ? "return" : "entry");
	buf_putc(out, ',');
	json_key(out, "instruction", point->site.text);
	buf_putc(out, ',');
	json_key(out, "cost", cost_name(point->site.cost));
	buf_putc(out, '}');
}

static void json_miss(struct buf *out, const struct plan_miss *miss)
{
	buf_putc(out, '{');
	json_key(out, "server", miss->server->name);
	buf_putc(out, ',');
	json_key(out, "event", miss->event->name);
	buf_putc(out, ',');
	json_key(out, "why", why_name(miss->why));
	buf_printf(out, ",\"partial\":%s,", miss->is_partial ? "true" : "false");
	json_key(out, "file", miss->file);
	buf_putc(out, ',');
	json_key(out, "reason", miss->reason);
	buf_putc(out, '}');
}

/* json_series - one event of a block of cells; "looked_up" has the labels whose values come from the server, `count`
 * series in all */
static void json_series(struct buf *out, const struct plan_series *series, const struct event_def *event)
{
	size_t count = series->cell_cnt / series->event_cells / series->event_cnt;

	buf_putc(out, '{');
	json_key(out, "server", series->server->name);
	buf_putc(out, ',');
	json_key(out, "event", event->name);
	buf_puts(out, ",\"labels\":{");
	for (size_t i = 0; i < series->label_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		buf_json_string(out, series->labels[i].name);
		buf_putc(out, ':');
		buf_json_string(out, series->labels[i].value);
	}
	buf_puts(out, "},\"looked_up\":[");
	for (size_t i = 0; i < series->set_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		buf_json_string(out, series->sets[i]->name);
	}
	buf_printf(out, "],\"count\":%zu}", count);
}

static void json_all_series(struct buf *out, const struct plan *plan)
{
	const char *sep = "";

	for (size_t i = 0; i < plan->series_cnt; i++)
		for (size_t k = 0; k < plan->series[i].event_cnt; k++, sep = ",") {
			buf_puts(out, sep);
			json_series(out, &plan->series[i], plan->series[i].events[k]);
		}
	for (size_t i = 0; i < plan->gauge_cnt; i++) {
		const struct plan_series gauge = {
		    .server = plan->gauges[i].server, .event_cnt = 1, .cell_cnt = 1, .event_cells = 1};

		if (plan->gauges[i].is_disabled)
			continue;
		buf_puts(out, sep);
		json_series(out, &gauge, plan->gauges[i].event);
		sep = ",";
	}
}

static void json_costs(struct buf *out, const struct plan *plan)
{
	const char *sep = "";

	for (size_t i = 0; i < plan->file_cnt; i++) {
		const struct server_def *server = plan->files[i].server;

		for (size_t k = 0; is_first_of(plan, i) && k < server->cost_cnt; k++, sep = ",") {
			buf_printf(out, "%s{", sep);
			json_key(out, "server", server->name);
			buf_putc(out, ',');
			json_key(out, "for", server->costs[k].what);
			buf_printf(out, ",\"hits\":%u}", server->costs[k].hits);
		}
	}
}

static void json_ends(struct buf *out, const struct plan *plan)
{
	const char *sep = "";

	for (size_t i = 0; i < plan->gauge_cnt; i++)
		for (size_t k = 0; k < plan->gauges[i].end_event_cnt; k++, sep = ",") {
			buf_printf(out, "%s{", sep);
			json_key(out, "server", plan->gauges[i].server->name);
			buf_putc(out, ',');
			json_key(out, "event", plan->gauges[i].end_events[k]->name);
			buf_putc(out, ',');
			json_key(out, "held", plan->gauges[i].event->name);
			buf_putc(out, '}');
		}
}

void explain_json(struct buf *out, const struct plan *plan)
{
	const char *sep = "";

	buf_puts(out, "{\"points\":[");
	for (size_t i = 0; i < plan->file_cnt; i++)
		for (size_t k = 0; k < plan->files[i].point_cnt; k++, sep = ",") {
			buf_puts(out, sep);
			json_point(out, &plan->files[i], &plan->files[i].points[k]);
		}
	buf_puts(out, "],\"ends\":[");
	json_ends(out, plan);
	buf_puts(out, "],\"missing\":[");
	for (size_t i = 0; i < plan->miss_cnt; i++) {
		buf_puts(out, i ? "," : "");
		json_miss(out, &plan->misses[i]);
	}
	buf_puts(out, "],\"series\":[");
	json_all_series(out, plan);
	buf_puts(out, "],\"costs\":[");
	json_costs(out, plan);
	buf_puts(out, "]}\n");
}
