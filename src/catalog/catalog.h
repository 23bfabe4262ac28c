/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.h - owns what is known about each mail server, as data: one TOML file per server, compiled into the
 * binary; a directory given in the configuration adds to or overrides them.
 * Pure: text in, immutable tables out. It knows no BPF, no /proc and has no global state.
 * The language is described in docs/CATALOG.md; an unknown event, an unreachable or ambiguous rule is an error
 * with file, line and column when the catalog loads. */
#ifndef MAILGAUGE_CATALOG_H
#define MAILGAUGE_CATALOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "catalog/events.h"

struct arena;

#define CATALOG_SLOTS  64 /* slots of one server at most */
#define CATALOG_VALUES 64 /* values of one row; a spec computes only those that its rules need */

/* line and col: place in the server's file, for messages */

/* A file to probe: [object.NAME] file = "libx.so*" (a glob on the base name). */
struct object_def {
	const char *name, *file;
	int line, col;
};

/* Where a function is in a build that was looked at by hand. */
struct recorded_def {
	const char *build_id; /* lower-case hexadecimal */
	uint64_t addr;
};

/* How to find one function, all ways that are known: [function.NAME]. Tried in this order. */
struct function_def {
	const char *name;
	const char *import;   /* name in .rela.plt, or NULL: its calls can be found, but not itself */
	const char **symbols; /* names in .dynsym or .symtab, newest server first */
	size_t symbol_cnt;
	int vote_arg; /* the local function that most calls with these texts in this argument go to */
	const char **vote_texts;
	size_t vote_text_cnt;
	unsigned vote_min;      /* at least so many of the texts must agree on the winner */
	const char **use_texts; /* the one function whose code takes the addresses of all of these ... */
	size_t use_text_cnt;
	const char **without_texts; /* ... and of none of these */
	size_t without_text_cnt;
	const char
	    *table_text; /* what a table of constant pointers has `table_slot` places behind this text, or NULL */
	unsigned table_slot;
	uint64_t size_min, size_max; /* bytes of code that a function found by its texts must have; 0, 0: any */
	struct recorded_def *recorded;
	size_t recorded_cnt;
	int line, col;
};

/* A number that differs per build: [constant.NAME]. Either the displacement of the first load through the
 * first argument in `load` (checked against the one in `agree`), or the first of `cases` that applies. */
struct constant_case {
	const char *if_symbol; /* NULL: always */
	int64_t value;
};
struct constant_def {
	const char *name, *object;
	const char *load, *agree; /* symbols, or NULL */
	struct constant_case *cases;
	size_t case_cnt;
	int line, col;
};

/* A number in a value: itself, or a constant found in the file at plan time. */
struct number_def {
	int64_t value;
	const struct constant_def *constant; /* NULL: value */
};

/* The layout of keyed lists: [layout.NAME], see struct probe_layout. */
struct layout_def {
	const char *name;
	struct number_def parent, array, key, type, text, number, type_text, type_number;
	int line, col;
};

struct label_text {
	const char *text;
	size_t value; /* index into values */
};

/* The values that a looked-up label can have: [label.NAME], NAME being the label's. `texts` says which value a text
 * becomes; what is no such text becomes `other`. */
struct label_set {
	const char *name;
	const char **values; /* the other one is the last */
	size_t value_cnt;
	struct label_text *texts;
	size_t text_cnt;
	size_t other;
	int line, col;
};

struct choice_text {
	const char *text;
	const struct event_def *event; /* a counter */
};

/* A table of events by a text: [choice.NAME]. What is no such text counts nothing. */
struct choice_def {
	const char *name;
	struct choice_text *texts; /* in the order of the file; several may name one event */
	size_t text_cnt;
	int line, col;
};

/* A remembered value: [slot] NAME = "what for". */
struct slot_def {
	const char *name;
	int line, col;
};

enum value_kind {
	VALUE_ARG,       /* arg: arg0.. (register or stack, by position) */
	VALUE_RET,       /* ret */
	VALUE_READ,      /* [base + off] */
	VALUE_TRUNC,     /* base:u32 */
	VALUE_STR,       /* str base: compared with texts */
	VALUE_COMM,      /* comm: compared with texts */
	VALUE_PID,       /* pid */
	VALUE_TID,       /* tid */
	VALUE_MIX,       /* mix base other */
	VALUE_RECALL,    /* recall slot base: 0 if nothing is stored */
	VALUE_FIELD_STR, /* field layout base "key": compared with texts; never equal when absent */
	VALUE_FIELD_NUM, /* number layout base "key": 0 when absent */
	VALUE_FIELD_HAS, /* has layout base "key": 1 or 0 */
	VALUE_NOW,       /* now: ns of a clock that only spans are made of */
	VALUE_REALTIME,  /* realtime: ns since 1970 */
	VALUE_TIMEVAL,   /* timeval base: the struct timeval there, in ns since 1970 */
	VALUE_SPAN,      /* span base other: from the one to the other, not below 0 */
	VALUE_SUM,       /* (base + off) */
	VALUE_TIMES,     /* (base * number) */
	VALUE_ARGS,      /* args: address of the process' arguments, one behind the other, each with its NUL */
	VALUE_AND,       /* (base & number) */
	VALUE_PLACE,     /* &symbol: the address of an object of the file, as the process has it */
	VALUE_HEAD,      /* head size base: the first bytes of a text (STR, FIELD_STR); compared with texts */
	VALUE_UPPER      /* upper base: a text (STR) in capital letters; compared with texts */
};

struct value_def {
	const char *name; /* by let; made up ("[arg0 + 8]:u32") for values written in place */
	enum value_kind kind;
	int arg;
	int base, other; /* earlier values of the same probe, by index; -1 none */
	struct number_def off;
	int64_t number; /* of TIMES and AND */
	int size;       /* bytes of READ and TRUNC: 1, 2, 4, 8; of HEAD: 1 to PROBE_STRING - 1 */
	bool is_signed;
	const char *key; /* of a field; of PLACE the symbol */
	const struct layout_def *layout;
	const struct slot_def *slot;
};

enum cond_op { COND_EQ, COND_NE, COND_LT, COND_GE, COND_PREFIX, COND_CONTAINS };

struct cond_def {
	int value; /* index into probe_def.values */
	enum cond_op op;
	int64_t number;   /* for numbers */
	const char *text; /* for texts (VALUE_STR, VALUE_COMM, VALUE_FIELD_STR, VALUE_RECALL); NULL otherwise */
};

struct label_def {
	const char *name, *value;
};

/* A looked-up label: what `set` makes of a text. */
struct dim_def {
	const struct label_set *set;
	int value; /* value index: a text, or a RECALL of one */
};

enum act_kind {
	ACT_COUNT,    /* one more of a counter */
	ACT_CHOOSE,   /* one more of the counter that `choice` has for the text `value` */
	ACT_OBSERVE,  /* `value` into a histogram; times in ns */
	ACT_ADD,      /* `number` (1 or -1) to a gauge */
	ACT_HOLD,     /* the process holds one more of a gauge */
	ACT_RELEASE,  /* the process holds one less */
	ACT_REMEMBER, /* slot[key] = value or number */
	ACT_FORGET    /* slot[key] */
};

struct act_def {
	enum act_kind kind;
	const struct event_def *event;   /* COUNT, OBSERVE, ADD, HOLD, RELEASE; NULL for the others */
	const struct choice_def *choice; /* CHOOSE */
	const struct label_def *labels;  /* COUNT, CHOOSE, OBSERVE, ADD; sorted by name */
	size_t label_cnt;
	const struct dim_def
	    *dims; /* COUNT, CHOOSE, OBSERVE, ADD; sorted by name; PROBE_ACT_CELLS at most, CHOOSE one less */
	size_t dim_cnt;
	const struct slot_def *slot; /* REMEMBER, FORGET */
	int key;                     /* value index: the key */
	int value;                   /* value index, or -1 */
	int64_t number;
};

/* act_moves - does the action change a metric (and not only a slot)? */
bool act_moves(const struct act_def *act);
/* act_event - number `i` of the events that the action can move, or NULL: one, or those of its choice (where an event
 * that stands there twice comes twice) */
const struct event_def *act_event(const struct act_def *act, size_t i);

/* A rule without an action says: nothing of the following rules either. */
struct rule_def {
	struct cond_def *conds;
	size_t cond_cnt;
	struct act_def *acts;
	size_t act_cnt;
	int line, col;
};

enum where_kind {
	WHERE_SYMBOL,   /* a function with one of these names */
	WHERE_FUNCTION, /* a function of a [function] section */
	WHERE_CALL,     /* calls of one */
	WHERE_STUB,     /* the file's own PLT stub of an imported function */
	WHERE_EXIT      /* a process ends that holds something of a gauge; in no file */
};
enum when_kind { WHEN_ENTRY, WHEN_RETURN, WHEN_EXIT };

/* A constant argument: a text that equals, or begins with, any of these; or one of these numbers. */
struct constant_match {
	int arg; /* -1: none is asked for */
	const char **texts;
	bool *is_prefix;
	size_t text_cnt;
	int64_t *numbers; /* 32 bits of them are compared */
	size_t number_cnt;
};

struct probe_def {
	const char *id;                     /* name of a [[probe]] that others refer to, or NULL */
	const struct probe_def *instead_of; /* only where that one was not found; never in a circle */
	bool is_optional; /* not every build has what the row is about: where it is missing, nothing is lost */
	const struct object_def *object; /* NULL for WHERE_EXIT */
	enum where_kind where;
	enum when_kind when;
	const char **symbols; /* WHERE_SYMBOL: alternatives, newest server first; WHERE_STUB: one */
	size_t symbol_cnt;
	const struct function_def *function;   /* WHERE_FUNCTION, WHERE_CALL */
	const struct event_def *held;          /* WHERE_EXIT: the gauge */
	struct constant_match constant;        /* of what is called; none for WHERE_STUB and at returns */
	const char *if_symbol, *unless_symbol; /* of the same object: a mark of the version; or NULL */
	const char **who;                      /* process names, cut as the kernel cuts them; none: all */
	size_t who_cnt;
	int select; /* value that tells rows at the same point apart, -1 none */
	const char *select_text;
	struct value_def *values; /* in order of computation */
	size_t value_cnt;
	struct rule_def *rules;
	size_t rule_cnt;
	int line, col;
	size_t index; /* position in its server's file */
};

/* What processes hold of a gauge that were there before us: [[seed]]. The number of client connections that a process
 * has, told from its sockets: `accepted` have the address of a socket that the instance listens at, `paired` are one
 * end of a pair whose other end another process of the instance has. */
struct seed_def {
	const struct event_def *event; /* a gauge that rules hold and release */
	const char **who;              /* process names, cut as the kernel cuts them */
	size_t who_cnt;
	int accepted, paired; /* how often each of them counts: 1, 0, or -1 */
	int line, col;
};

/* A gauge of files in a directory: [[directory]]. Rules add to it what moves; the files are counted now and then. */
struct directory_def {
	const struct event_def *event; /* a gauge */
	const struct label_def *labels;
	size_t label_cnt;
	const char *path;   /* below the working directory of the instance's first process, subdirectories included */
	bool is_executable; /* only files that their owner may execute */
	const char *name;   /* only files whose name matches this pattern; NULL: all */
	int line, col;
};

/* What the probes cost, measured with everything enabled: [[cost]] for = "one message ...", hits = 20. */
struct cost_def {
	const char *what;
	unsigned hits;
};

struct server_def {
	const char *name; /* the label server */
	const char *file; /* the catalog file, for messages */
	const char **exe; /* globs on the path of the executable that an instance is rooted in */
	size_t exe_cnt;
	bool has_orphans; /* processes of it outlive their parents, and do not descend from its root any more */
	struct object_def *objects;
	size_t object_cnt;
	struct slot_def *slots;
	size_t slot_cnt;
	struct probe_def *probes;
	size_t probe_cnt;
	struct label_set *label_sets;
	size_t label_set_cnt;
	struct choice_def *choices;
	size_t choice_cnt;
	struct seed_def *seeds;
	size_t seed_cnt;
	struct directory_def *directories;
	size_t directory_cnt;
	struct cost_def *costs;
	size_t cost_cnt;
	const struct event_def **events; /* all that it gives; sorted by name */
	size_t event_cnt;
	int line, col; /* of its name */
};

struct catalog {
	struct events events;
	struct server_def **servers; /* sorted by name */
	size_t server_cnt;
	struct arena *mem; /* owns all of it */
};

/* catalog_load - the embedded files, and those of `dir` (NULL: none): DIR/events.toml adds events, DIR/NAME.toml
 * replaces the embedded server NAME or adds one. 0, or -errno with "file:line:column: reason" in err. */
int catalog_load(struct catalog **out, const char *dir, char err[static 512]);
/* catalog_parse_server - one server's file; for tests and for catalog_load. All memory is taken from `mem`. */
int catalog_parse_server(struct server_def **out, const struct events *events, const char *file, const char *text,
			 size_t len, struct arena *mem, char err[static 512]);
void catalog_free(struct catalog **catalog);
const struct server_def *catalog_find(const struct catalog *catalog, const char *name);
/* catalog_match_exe - the server whose instances are rooted in this executable, or NULL */
const struct server_def *catalog_match_exe(const struct catalog *catalog, const char *exe_path);
/* catalog_server_counts - does the server give this event? */
bool catalog_server_counts(const struct server_def *server, const struct event_def *event);

#endif
