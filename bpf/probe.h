/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* probe.h - contract between bpf/probe.bpf.c and src/probe/: the only header that both sides include.
 * User space writes one struct probe_spec per attach point into the map `specs`, its rules into `rules`, and
 * attaches with cookie = the spec's index. The BPF side runs specs and knows neither mail servers, nor event
 * names, nor the configuration.
 *
 * A spec is a small straight-line program:
 *   1. `values` are computed in order, each from registers, memory or earlier values;
 *   2. of `rules` the first one whose conditions all hold is taken, and its actions are done.
 * Every identifier has the prefix PROBE_/probe_, since vmlinux.h owns most short names. */
#ifndef MAILGAUGE_PROBE_H
#define MAILGAUGE_PROBE_H
#ifndef __bpf__
#include <linux/types.h> /* the BPF side has __u64 from vmlinux.h */
#endif

#define PROBE_SPECS  8192  /* attach points of all files together, and cases of switches */
#define PROBE_RULES  16384 /* rules of all specs together */
#define PROBE_SERIES 8192  /* cells of one CPU's row: a counter is one, a histogram several */
#define PROBE_CASES  4096  /* entries of all switches together */
#define PROBE_STORE  65536 /* remembered values, all slots together; the oldest give way */

#define PROBE_SPEC_VALUES  16 /* values of one spec; a power of two: it bounds the verifier's view of an index */
#define PROBE_SPEC_RULES   32 /* rules of one spec */
#define PROBE_RULE_CONDS   4
#define PROBE_RULE_ACTS    6
#define PROBE_ACT_CELLS    3   /* looked-up labels of one action */
#define PROBE_STRING       64  /* bytes of a string that are read and hashed, its NUL included */
#define PROBE_NEEDLE       32  /* longest text of PROBE_OP_CONTAINS */
#define PROBE_HAYSTACK     384 /* where in a text PROBE_OP_CONTAINS lets a match begin */
#define PROBE_FIELD_LEVELS 8   /* parents that PROBE_OP_FIELD climbs at most */
#define PROBE_FIELD_COUNT  24  /* fields of one level that it looks at */
#define PROBE_CHAIN        4   /* specs at one attach point */
#define PROBE_NEEDLES      64
#define PROBE_LAYOUTS      16
#define PROBE_CLASSES      4096    /* texts of all tables of classes together */
#define PROBE_BOUNDS       32      /* histograms that differ in their bounds */
#define PROBE_BUCKETS      24      /* bounds of one of them */
#define PROBE_GAUGES       32      /* gauges of what processes hold */
#define PROBE_HOLDERS      65536   /* processes that hold something */
#define PROBE_END_RULES    4       /* rules for the end of a process that holds a gauge */
#define PROBE_NONE         0xffffu /* no such spec */

/* What a value is computed from. `v[src]` is the value number `src`, computed before. */
enum probe_op {
	PROBE_OP_ARG,     /* argument register number `src` */
	PROBE_OP_STACK,   /* 8 bytes at stack pointer + off */
	PROBE_OP_RET,     /* the return value (return probes only) */
	PROBE_OP_ARG_REL, /* argument register `src` minus the probe's address: tells a constant, whatever the load base
			   */
	PROBE_OP_READ,    /* `size` bytes at v[src] + off (0 if unreadable) */
	PROBE_OP_TRUNC,   /* the low `size` bytes of v[src] */
	PROBE_OP_STR,     /* hash of the string at v[src], at most PROBE_STRING bytes with its NUL */
	PROBE_OP_PREFIX,  /* hash of the string's first `off` bytes; a shorter string never equals */
	PROBE_OP_CONTAINS,  /* 1 if text number `key` of map `needles` begins in the string's first PROBE_HAYSTACK bytes
			     */
	PROBE_OP_COMM,      /* hash of the process name */
	PROBE_OP_PID,       /* process id (of all its threads), in the initial pid namespace */
	PROBE_OP_TID,       /* thread id, in the initial pid namespace */
	PROBE_OP_MIX,       /* hash of v[src] and v[off]: a key made of two */
	PROBE_OP_RECALL,    /* what is stored in slot `off` under key v[src]; 0 if nothing */
	PROBE_OP_FIELD_STR, /* hash of the text of the field with name hash `key` in the keyed list at v[src] of
			     * layout number `off`; of its first `size` bytes, if size is not 0; 0 if there is none */
	PROBE_OP_FIELD_NUMBER, /* its number; 0 if there is none */
	PROBE_OP_FIELD_HAS,    /* 1 if it is there */
	PROBE_OP_NOW,          /* CLOCK_MONOTONIC in ns */
	PROBE_OP_REALTIME,     /* CLOCK_REALTIME in ns */
	PROBE_OP_TIMEVAL,      /* the struct timeval at v[src], in ns */
	PROBE_OP_SPAN,         /* v[off] - v[src], not below 0 */
	PROBE_OP_SUM,          /* v[src] + off */
	PROBE_OP_TIMES,        /* v[src] * key */
	PROBE_OP_AND,          /* v[src] & key */
	PROBE_OP_PLACE,        /* the probe's address + key: where something of the same file is (not at a return) */
	PROBE_OP_ARGS,         /* address of the process' argument area: argv[0], NUL, argv[1], NUL, ... */
	PROBE_OP_CLASS /* the low half of `key` times the number that table `off` of map `classes` has for v[src]; if
			* it has none, times the high half, or PROBE_NO_CELL if that is PROBE_NO_CLASS */
};
#define PROBE_F_SIGNED 1 /* sign-extend what READ and TRUNC give */
#define PROBE_F_UPPER  2 /* STR: hash the text as if its letters a-z were A-Z */
#define PROBE_NO_CELL  (~0ull)
#define PROBE_NO_CLASS 0xffffffffu

struct probe_value {
	__u8 op;  /* enum probe_op */
	__u8 src; /* value or argument number */
	__u8 size;
	__u8 flags;
	__s32 off;
	__u64 key;
};

enum probe_cmp { PROBE_EQ, PROBE_NE, PROBE_LT, PROBE_GE }; /* signed */

struct probe_cond {
	__u8 value; /* v[value] CMP operand */
	__u8 cmp;
	__u8 pad[6];
	__s64 operand;
};

enum probe_do {
	PROBE_DO_COUNT,    /* add `operand` (two's complement) to a cell */
	PROBE_DO_OBSERVE,  /* put v[value] (signed; below 0 is taken for 0) into a histogram: a cell for each bound, one
			    * for what is above all, the sum */
	PROBE_DO_HOLD,     /* the current process holds one more of gauge `slot` */
	PROBE_DO_RELEASE,  /* one less, if it holds any; what it still holds when it ends is released by its end */
	PROBE_DO_REMEMBER, /* store in slot `slot` under key v[key]: v[value], or `operand` if there is no `value` */
	PROBE_DO_FORGET
};

struct probe_act {
	__u8 act; /* enum probe_do */
	__u8 key;
	__u16 slot;   /* OBSERVE: which bounds */
	__u32 series; /* COUNT, OBSERVE: first cell in the row of each CPU ... */
	__u64 operand;
	__u8 value;                  /* PROBE_SPEC_VALUES: none */
	__u8 cells[PROBE_ACT_CELLS]; /* ... + v[cells[i]] each, unless it is PROBE_SPEC_VALUES; nothing is done if
				      * one of them is PROBE_NO_CELL */
	__u8 pad[4];
};

/* Upper bounds of a histogram's buckets, ascending; a value equal to a bound is within. In the unit of what is
 * observed: times are in ns. */
struct probe_bounds {
	__u32 cnt, pad;
	__u64 upper[PROBE_BUCKETS];
};

struct probe_class_key {
	__u64 value; /* hash of a text */
	__u32 table;
	__u32 pad;
};

/* What one process holds, by gauge. The entry goes when the process ends. */
struct probe_holder {
	__u32 held[PROBE_GAUGES]; /* with PROBE_HELD_SEEN once the process has held or released any, or was seeded */
};
#define PROBE_HELD_SEEN 0x80000000u

/* What the program `seed_holder` is given: the process holds so much of the gauge, if it has not been seen yet. */
struct probe_seed {
	__u32 tgid, gauge, count;
};

struct probe_rule {
	struct probe_cond conds[PROBE_RULE_CONDS];
	struct probe_act acts[PROBE_RULE_ACTS];
	__u8 cond_cnt, act_cnt;
	__u8 pad[6];
};

/* What the end of a process means that holds something of a gauge: rules that are applied once, the amounts of their
 * counts and observations multiplied by how much it holds. Nothing can be read of the process any more: values may be
 * COMM, PID, TID, RECALL, MIX, TRUNC, CLASS, those made of clocks, and arithmetic. */
struct probe_end {
	struct probe_value values[PROBE_SPEC_VALUES];
	struct probe_rule rules[PROBE_END_RULES];
	__u32 value_cnt, rule_cnt;
};

/* Where a keyed list keeps things: a structure with a pointer to its parent and a growing array of fields.
 * All offsets in bytes. The array is {void *data; size_t used_bytes} behind a pointer. */
struct probe_layout {
	__s32 parent;       /* in the object: pointer to the parent object */
	__s32 array;        /* in the object: pointer to the array, then the size of an element */
	__s32 key, type;    /* in a field: pointer to its name; u32 kind of its value */
	__s32 text, number; /* in a field: pointer to its text; 64-bit number */
	__u32 type_text, type_number;
};

/* Specs at one attach point form a chain by `next`; each is run. The first one may be a switch: it looks v[select]
 * up among its cases and runs the chain of specs found there, which sees the values computed so far. A switch has
 * no rules of its own. */
struct probe_spec {
	struct probe_value values[PROBE_SPEC_VALUES];
	__u16 first_value, value_cnt; /* a case goes on behind the values that its switch has computed */
	__u16 first_rule, rule_cnt;   /* in map `rules` */
	__u16 next;                   /* another spec at the same attach point, or PROBE_NONE */
	__u8 is_switch, select;
	__u8 pad[4];
};

struct probe_case_key {
	__u64 value;
	__u32 spec; /* the switch */
	__u32 pad;
};

struct probe_store_key {
	__u64 key;
	__u32 slot;
	__u32 pad;
};

/* Cells of the BPF side itself come first in each CPU's row; those of events follow. */
enum probe_own_series {
	PROBE_OWN_HITS,           /* probe hits handled */
	PROBE_OWN_READ_FAILURES,  /* memory of the server that could not be read: a value is missing */
	PROBE_OWN_STORE_FAILURES, /* a value that could not be remembered, or a gauge that could not be held */
	PROBE_OWN_SERIES = 8      /* the first one of events: a cache line of their own */
};

_Static_assert(sizeof(struct probe_value) == 16, "BPF and user space must agree");
_Static_assert(sizeof(struct probe_cond) == 16, "BPF and user space must agree");
_Static_assert(sizeof(struct probe_act) == 24, "BPF and user space must agree");
_Static_assert(sizeof(struct probe_spec) == PROBE_SPEC_VALUES * 16 + 16, "BPF and user space must agree");

/* probe_hash_words - of a text in a zero-filled buffer: the one hash that both sides compute. A long text can be hashed
 * in parts of whole words, each going on from the hash of what precedes it.
 * 64 bits: among some hundred texts of a catalog a wrong match is less likely than 1 in 10^14. */
#define PROBE_HASH_START 0x243f6a8885a308d3ull

static inline __attribute__((always_inline)) __u64 probe_hash_word(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ (hash >> 29);
}

static inline __attribute__((always_inline)) __u64 probe_hash_words(__u64 hash, const __u64 *words, int count)
{
	for (int i = 0; i < count; i++) {
		if (!words[i]) /* the text has ended */
			break;
		hash = probe_hash_word(hash, words[i]);
	}
	return hash;
}
#endif
