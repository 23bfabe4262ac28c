/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - private to the probe room: the set, and what its files do for each other. */
#ifndef MAILGAUGE_PROBE_PARTS_H
#define MAILGAUGE_PROBE_PARTS_H
#include <pthread.h>

#include "../bpf/probe.h"
#include "probe/probe_set.h"

/* From include/uapi/linux/bpf.h of Linux 6.6, 89ae89f53d20 ("bpf: Add multi uprobe link"): Debian 12's headers and
 * libbpf 1.1 are older, but the running kernel may not be. */
#define ATTACH_UPROBE_MULTI 48

struct bpf_link;
struct bpf_program;
struct probe_bpf;

#define CLASS_TABLES 256

/* A block of cells in the map, see struct plan_series. It outlives the plan that asked for it: what was counted does
 * not vanish with the server. The catalog outlives the set. */
struct series_entry {
	const char *key;
	const struct event_def **events;
	bool *is_shown; /* by event: a plan has had it enabled */
	size_t event_cnt;
	const struct label_set **sets; /* of the looked-up labels */
	size_t set_cnt;
	struct label *labels; /* the constant ones, "server" first; behind them those of `sets`, of changing value */
	size_t label_cnt;     /* of the constant ones */
	uint32_t first_cell, cell_cnt, event_cells;
	bool is_level, is_known; /* is_known: `base` is */
	int64_t base;
};

/* What processes hold of a gauge. It stays like a series. */
struct gauge_entry {
	const char *key;
	const struct event_def *event;
	const char *server;
	bool is_shown; /* a plan has had it enabled */
};

/* How many numbers have been given. */
struct given {
	size_t series, cells, needles, layouts, bounds, classes, gauges;
};

/* The numbers of what a plan's tables have, by index there. Of a series, that of its first cell. */
struct numbers {
	uint32_t *series, *needles, *layouts, *bounds, *classes, *gauges;
};

/* A place with a breakpoint, or where there should be one. */
struct point_entry {
	uint64_t offset;
	uint16_t spec; /* within the file */
	bool is_return, is_attached;
	const char **events;
	size_t event_cnt;
};

/* The content of the maps for one file: struct numbers have been put in, but numbers of specs count within the file.
 * Two plans want the same of a file if their images are the same bytes. */
struct image {
	struct probe_spec *specs; /* first_rule counts within `rules` */
	size_t spec_cnt;
	struct probe_rule *rules;
	size_t rule_cnt;
	struct probe_case_key *cases; /* .spec counts within the file */
	uint16_t *case_specs;
	size_t case_cnt;
};

/* All that is attached to one file. */
struct file_entry {
	struct arena *mem; /* owns the entry and what it points to, the links excepted */
	const char *server, *build_id;
	struct target_file file; /* its identity and path; nothing is open */
	struct image image;
	uint32_t first_spec, first_rule; /* in the maps */
	struct point_entry *points;
	size_t point_cnt;
	int *link_fds; /* MULTI */
	size_t link_fd_cnt;
	struct bpf_link **links; /* PERF */
	size_t link_cnt;
	bool is_wanted;             /* by the plan */
	uint64_t unwanted_since_ms; /* CLOCK_BOOTTIME, 0 while it is wanted */
};

struct probe_set {
	pthread_mutex_t lock;
	struct arena *mem;      /* owns what is never taken back: what has numbers */
	struct probe_bpf *skel; /* seen by load.c only: its header holds the whole object */
	struct bpf_program *on_entry, *on_return;
	/* maps, and a program; the skeleton owns them */
	int specs_fd, rules_fd, cases_fd, needles_fd, layouts_fd, bounds_fd, classes_fd, holders_fd, ends_fd, seed_fd;
	enum probe_method method;
	uint64_t linger_ms;
	uint64_t start_ns;
	unsigned cpu_cnt;
	const uint64_t *counters; /* map `series`, mapped: a row of PROBE_SERIES per possible CPU */
	size_t counters_size;
	struct given given; /* of each of these */
	struct series_entry *series;
	size_t series_cap;
	char needles[PROBE_NEEDLES][PROBE_NEEDLE];
	struct probe_layout layouts[PROBE_LAYOUTS];
	struct probe_bounds bounds[PROBE_BOUNDS];
	struct plan_classes classes[CLASS_TABLES];
	struct gauge_entry gauges[PROBE_GAUGES];
	struct file_entry **files;
	size_t file_cnt;
	bool spec_used[PROBE_SPECS];
	bool rule_used[PROBE_RULES];
};

/* numbers.c: what files share */
/* numbers_give - the numbers of all that the plan has, new ones where need be; their memory is taken from `mem`.
 * 0 or -errno with a reason in err: then numbers_take_back */
int numbers_give(struct numbers *out, struct probe_set *set, const struct plan *plan, struct arena *mem,
		 char err[static 256]);
/* numbers_take_back - those that were given since `given`; nothing may use them yet */
void numbers_take_back(struct probe_set *set, const struct given *given);
/* series_find - by its key; NULL if there is none */
struct series_entry *series_find(struct probe_set *set, const char *key);

/* tables.c: plan -> maps */
/* image_make - what the maps should hold for a file. Memory is taken from `mem`. */
void image_make(struct image *out, const struct numbers *numbers, const struct plan_file *from, struct arena *mem);
bool image_equal(const struct image *a, const struct image *b);
/* ends_write - what the end of processes means, for all gauges of the plan; 0 or -errno with a reason in err */
int ends_write(const struct probe_set *set, const struct numbers *numbers, const struct plan *plan,
	       char err[static 256]);
/* tables_write - find room for the file's image and write it; 0 or -errno with a reason in err */
int tables_write(struct probe_set *set, struct file_entry *file, char err[static 256]);
/* tables_release - give the room back; nothing may be attached any more */
void tables_release(struct probe_set *set, struct file_entry *file);

/* link.c: maps -> breakpoints */
/* link_attach - attach all points of the file, which `fd` has open; what cannot be attached is marked and reported */
void link_attach(struct probe_set *set, struct file_entry *file, int fd);
/* link_detach - detach all points of these files */
void link_detach(struct file_entry *const *files, size_t file_cnt);

/* load.c */
/* clock_refresh - tell the BPF side how CLOCK_REALTIME is now */
void clock_refresh(const struct probe_set *set);

/* held.c: what processes hold */
/* held_read - of each gauge, by all processes together. 0 or -errno. */
int held_read(const struct probe_set *set, uint64_t sums[static PROBE_GAUGES]);

#endif
