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

/* A series in the map. It outlives the plan that asked for it: what was counted does not vanish with the server. */
struct series_entry {
	const char *key;
	const struct event_def *event; /* the catalog outlives the set */
	struct label *labels;          /* sorted by name, "server" among them */
	size_t label_cnt;
};

/* A place with a breakpoint, or where there should be one. */
struct point_entry {
	uint64_t offset;
	uint16_t spec; /* within the file */
	bool is_return, is_attached;
	const char **events;
	size_t event_cnt;
};

/* The content of the maps for one file: numbers of series, needles and layouts are those of the maps, numbers of
 * specs count within the file. Two plans want the same of a file if their images are the same bytes. */
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
	struct arena *mem;      /* owns what is never taken back: series, needles, layouts */
	struct probe_bpf *skel; /* seen by load.c only: its header holds the whole object */
	struct bpf_program *on_entry, *on_return;
	int specs_fd, rules_fd, cases_fd, needles_fd, layouts_fd; /* maps; the skeleton owns them */
	enum probe_method method;
	uint64_t linger_ms;
	uint64_t start_ns;
	unsigned cpu_cnt;
	const uint64_t *counters; /* map `series`, mapped: a row of PROBE_SERIES per possible CPU */
	size_t counters_size;
	struct series_entry *series; /* number i counts in column PROBE_OWN_SERIES + i */
	size_t series_cnt, series_cap;
	char needles[PROBE_NEEDLES][PROBE_NEEDLE];
	size_t needle_cnt;
	struct probe_layout layouts[PROBE_LAYOUTS];
	size_t layout_cnt;
	struct file_entry **files;
	size_t file_cnt;
	bool spec_used[PROBE_SPECS];
	bool rule_used[PROBE_RULES];
};

/* tables.c: plan -> maps */
/* image_make - what the maps should hold for a file; 0 or -ENOSPC with a reason in err. Memory is taken from `mem`. */
int image_make(struct image *out, struct probe_set *set, const struct plan *plan, const struct plan_file *from,
	       struct arena *mem, char err[static 256]);
bool image_equal(const struct image *a, const struct image *b);
/* tables_write - find room for the file's image and write it; 0 or -errno with a reason in err */
int tables_write(struct probe_set *set, struct file_entry *file, char err[static 256]);
/* tables_release - give the room back; nothing may be attached any more */
void tables_release(struct probe_set *set, struct file_entry *file);

/* link.c: maps -> breakpoints */
/* link_attach - attach all points of the file, which `fd` has open; what cannot be attached is marked and reported */
void link_attach(struct probe_set *set, struct file_entry *file, int fd);
/* link_detach - detach all points of these files */
void link_detach(struct file_entry *const *files, size_t file_cnt);

#endif
