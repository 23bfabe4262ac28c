/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h - owns the decision what to attach where and what a hit means: configuration, catalog and the servers
 * found are joined into attach points, specs, series, and reasons why not.
 * Pure: it reads files that are already open, but loads no BPF, opens no socket and attaches nothing. */
#ifndef MAILGAUGE_PLAN_H
#define MAILGAUGE_PLAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../bpf/probe.h"
#include "catalog/catalog.h"
#include "target/insn.h"
#include "target/target.h"

struct arena;
struct config;

/* A counter: one event of one server with constant labels. */
struct plan_series {
	const struct event_def *event;
	const struct server_def *server;
	const struct label_def *labels;
	size_t label_cnt;
	const char *key; /* "SERVER auth.failed reason=...": the identity over plans */
};

/* For this text (its hash) the switch goes on at that spec. */
struct plan_case {
	uint64_t value;
	uint16_t spec;
};

/* A specification before it has a place in the map: numbers of rules, specs and series count within this plan
 * (series) or within its file (specs). */
struct plan_spec {
	struct probe_spec spec; /* .next counts within the file; first_rule and rule_cnt are not filled in */
	struct probe_rule *rules;
	size_t rule_cnt;
	struct plan_case *cases; /* of a switch */
	size_t case_cnt;
};

/* A place to attach to. */
struct plan_point {
	struct insn_site site;
	bool is_return;
	uint16_t spec;                   /* first of the chain, an index into plan_file.specs */
	const struct event_def **events; /* what a hit here can count; sorted */
	size_t event_cnt, event_cap;
};

/* One file (inode) with all that is to be attached to it. */
struct plan_file {
	const struct server_def *server;
	const struct target_file *file; /* borrowed from the scan */
	const char *build_id;
	struct plan_point *points; /* sorted by is_return, then offset */
	size_t point_cnt;
	struct plan_spec *specs;
	size_t spec_cnt;
};

/* Why an event that a running server could give is not (fully) counted. */
enum plan_why { WHY_DISABLED, WHY_UNRESOLVED, WHY_NO_FILE };
struct plan_miss {
	const struct event_def *event;
	const struct server_def *server;
	enum plan_why why;
	const char *file;            /* path, or the object's name */
	const char *reason;          /* a sentence */
	bool is_partial;             /* other places still count this event */
	const struct probe_def *row; /* that was looked for; NULL: disabled */
};

struct plan {
	struct plan_file *files;
	size_t file_cnt, file_cap;
	struct plan_series *series; /* in the order in which rules name them */
	size_t series_cnt, series_cap;
	struct plan_miss *misses; /* sorted by server, event */
	size_t miss_cnt;
	/* shared by all files: texts of PROBE_OP_CONTAINS and layouts of keyed lists */
	char (*needles)[PROBE_NEEDLE];
	size_t needle_cnt, needle_cap;
	struct probe_layout *layouts;
	size_t layout_cnt, layout_cap;
	struct arena *mem;
};

/* plan_build - 0 or -errno with a reason in err. `scan`, `catalog` and `config` are borrowed and must outlive it. */
int plan_build(struct plan **out, const struct config *config, const struct catalog *catalog,
	       const struct target_scan *scan, char err[static 256]);
void plan_free(struct plan **plan);

/* plan_count_points - how many of the plan's points are in files of this instance; *emulated of them are cheap */
size_t plan_count_points(const struct plan *plan, const struct target *target, size_t *emulated);

#endif
