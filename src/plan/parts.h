/* SPDX-License-Identifier: Apache-2.0 */
/* parts.h - private to the plan room: what its files hand to each other. */
#ifndef MAILGAUGE_PLAN_PARTS_H
#define MAILGAUGE_PLAN_PARTS_H
#include "plan/plan.h"
#include "target/elf.h"
#include "target/xref.h"

/* A file under analysis: opened once, decoded once, and only if some probe needs it. */
struct source {
	const struct target_file *file;
	struct elf_image *elf;
	struct xref *xref;
	char err[256]; /* why elf or xref is not there */
	bool tried_elf, tried_xref;
};

/* source_elf, source_xref - NULL when the file cannot be read; the reason is in source->err */
const struct elf_image *source_elf(struct source *source);
const struct xref *source_xref(struct source *source);
void source_close(struct source *source);

/* A place that a probe of the catalog resolves to in one file. */
struct spot {
	struct insn_site site;
	bool is_return;
	bool is_call; /* probed at the call: nothing is on the stack yet but the arguments */
};

/* The constants that the argument must be: pointers in the file's view, or numbers of 32 bits. */
struct spots {
	struct spot *items;
	size_t count;
	int constant_arg; /* -1: no constant is asked for */
	bool is_number;
	uint64_t *constants;
	size_t constant_cnt;
};

/* resolve - find where `probe` is in this file. 0 with at least one spot; -ENOENT it is not for this file's version
 * (if-symbol, unless-symbol); -ESRCH the file has no such thing; else -errno with a sentence in err. All memory is
 * taken from `mem`. */
int resolve(struct spots *out, const struct probe_def *probe, struct source *source, struct arena *mem,
	    char err[static 256]);
/* resolve_number - a constant of the catalog in this file; 0 or -errno with a sentence in err */
int resolve_number(int64_t *out, const struct number_def *number, struct source *source, char err[static 256]);

/* resolve_place - address of an object of this file; 0 or -errno with a sentence in err */
int resolve_place(uint64_t *out, const char *symbol, struct source *source, char err[static 256]);

/* What lowering needs to know and what it adds to. */
struct lowering {
	struct plan *plan;
	const struct config *config;
	const struct server_def *server;
	const bool *slot_is_live; /* by index in server->slots */
	unsigned server_index;    /* in the catalog: slots of servers are apart */
	struct source *source;
	char *err; /* 256 bytes */
};

/* lower - what a hit of `probe` at `spot` means, as a spec that continues behind the values of `head` (a switch, or
 * NULL). 0 or -errno with a sentence in lowering->err. */
int lower(struct plan_spec *out, const struct lowering *lowering, const struct probe_def *probe,
	  const struct spots *spots, const struct spot *spot, const struct plan_spec *head);
/* lower_exit - what the end of a process means by a row with `exit`: rule_cnt is 0 if nothing of it matters */
int lower_exit(struct plan_spec *out, const struct lowering *lowering, const struct probe_def *probe);
/* lower_switch - the spec that computes the value which `probe` selects by; place.c adds its cases */
int lower_switch(struct plan_spec *out, const struct lowering *lowering, const struct probe_def *probe,
		 const struct spot *spot);
/* text_hash - what the BPF side computes for this text */
uint64_t text_hash(const char *text);

/* series.c */
/* series_add - index of the block of cells that this action moves, made if it is new */
uint32_t series_add(struct plan *plan, const struct config *config, const struct server_def *server,
		    const struct act_def *act);
/* series_of_directory - the same for a gauge of files */
uint32_t series_of_directory(struct plan *plan, const struct config *config, const struct server_def *server,
			     const struct directory_def *directory);
/* series_stride - how many cells one step of looked-up label `dim` of the block is; -1: of the choice's event */
uint32_t series_stride(const struct plan_series *series, int dim);
/* gauge_add, bounds_add - index in the plan's table, made if it is new */
uint32_t gauge_add(struct plan *plan, const struct config *config, const struct server_def *server,
		   const struct event_def *event);
uint32_t bounds_add(struct plan *plan, const struct event_def *event);
/* classes_of_set, classes_of_choice - index of the table that has the numbers of these texts; a choice leaves out
 * events that are disabled */
uint32_t classes_of_set(struct plan *plan, const struct label_set *set);
uint32_t classes_of_choice(struct plan *plan, const struct config *config, const struct plan_series *series,
			   const struct choice_def *choice);

/* What is known of one row in one instance. */
enum row_state { ROW_UNSEEN, ROW_FOUND, ROW_NOT_FOUND };

/* One file of the plan while it is being made; plan->files[] has the same index. */
struct draft {
	struct source source;
	bool *done, *found; /* by probe index: this row was looked for, and found, in this file */
	size_t point_cap, spec_cap;
};

struct planner {
	struct plan *plan;
	const struct config *config;
	const struct catalog *catalog;
	bool calls_are_fatal;
	struct draft *drafts;
	size_t draft_cap, miss_cap;
	/* of the instance at hand */
	const struct target *target;
	unsigned server_index;
	bool *slot_is_live, *row_is_useful;
	enum row_state *rows;
};

/* plan.c */
/* row_moves - number `i` of the enabled events that the row can move, or NULL; an event can come twice */
const struct event_def *row_moves(const struct planner *p, const struct probe_def *probe, size_t i);
/* is_held_for_somebody - is the gauge enabled, or something that the end of a process which holds it means? */
bool is_held_for_somebody(const struct config *config, const struct server_def *server, const struct event_def *gauge);

/* place.c */
/* draft_of - the draft of this file for the instance's server, made if it is new. The pointer holds until the next. */
struct draft *draft_of(struct planner *p, const struct target_file *file);
/* place_row - find the row in one file and put it into the plan. 0 or -errno with a sentence in err; *placed tells
 * whether it is there, at all its places or (with an error) at some of them */
int place_row(struct planner *p, struct draft *draft, const struct probe_def *probe, bool *placed,
	      char err[static 256]);

#endif
