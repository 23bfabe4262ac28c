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

/* A block of neighbouring cells: one event of one server with constant labels, once for each combination of the values
 * of its looked-up labels (the last one changes fastest); or several events, one for each text of a choice. */
struct plan_series {
	const struct event_def **events; /* one, or one for each text of a choice: then that is the slowest dimension */
	size_t event_cnt;
	const bool *disabled; /* by event of a choice: it is not to be shown; NULL: none */
	const struct server_def *server;
	const struct label_def *labels;
	size_t label_cnt;
	const struct label_set **sets; /* of the looked-up labels */
	size_t set_cnt;
	uint32_t cell_cnt;    /* of the whole block */
	uint32_t event_cells; /* of one combination: 1, of a histogram bounds + 2 */
	bool is_level;        /* a gauge that is exported only once it has been counted: see struct plan_directory */
	const char *key;      /* "SERVER auth.failed reason=...": the identity over plans */
};

/* Texts that stand for numbers: the hash of each. */
struct plan_class {
	uint64_t value;
	uint32_t number;
};
struct plan_classes {
	struct plan_class *items; /* sorted by value */
	size_t count;
};

/* Processes of an instance that may hold something of a gauge. */
struct plan_seed {
	const struct seed_def *def;
	const struct target *target;
	uint32_t gauge;
};

/* A directory of an instance whose files are to be counted. */
struct plan_directory {
	const struct directory_def *def;
	const struct target *target;
	uint32_t series;
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

/* A gauge of what processes hold, and what the end of a process that holds some of it means. */
struct plan_gauge {
	const struct event_def *event;
	const struct server_def *server;
	bool is_disabled; /* it is not to be shown: only the ends matter */
	const char *key;  /* "SERVER imap.active-connections" */
	struct plan_spec end;
	const struct event_def **end_events; /* that it can move */
	size_t end_event_cnt, end_event_cap;
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
	/* shared by all files: what the BPF side's operations name by number */
	char (*needles)[PROBE_NEEDLE];
	size_t needle_cnt, needle_cap;
	struct probe_layout *layouts;
	size_t layout_cnt, layout_cap;
	struct probe_bounds *bounds;
	size_t bounds_cnt, bounds_cap;
	struct plan_classes *classes;
	size_t classes_cnt, classes_cap;
	struct plan_gauge *gauges;
	size_t gauge_cnt, gauge_cap;
	struct plan_seed *seeds;
	size_t seed_cnt, seed_cap;
	struct plan_directory *directories;
	size_t directory_cnt, directory_cap;
	struct arena *mem;
};

/* plan_build - 0 or -errno with a reason in err. `scan`, `catalog` and `config` are borrowed and must outlive it. */
int plan_build(struct plan **out, const struct config *config, const struct catalog *catalog,
	       const struct target_scan *scan, char err[static 256]);
void plan_free(struct plan **plan);

/* plan_count_cells - how much of a row of counters the plan takes; plan_count_series - how many series it can give at
 * most, a histogram being one */
size_t plan_count_cells(const struct plan *plan);
size_t plan_count_series(const struct plan *plan);

/* plan_count_points - how many of the plan's points are in files of this instance; *emulated of them are cheap */
size_t plan_count_points(const struct plan *plan, const struct target *target, size_t *emulated);

#endif
