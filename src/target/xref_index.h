/* SPDX-License-Identifier: Apache-2.0 */
/* xref_index.h - owns the inside of struct xref: what one pass over all code of a file has found. Private to
 * xref.c and xref_recipes.c (questions), xref_index.c (the pass), xref_parts.c (which code belongs together),
 * xref_flow.c (which value arrives where) and hubs.c (who gets which texts). */
#ifndef MAILGAUGE_XREF_INDEX_H
#define MAILGAUGE_XREF_INDEX_H
#include "target/x86.h"
#include "target/xref.h"

/* A range of code with two bits per byte: does an instruction begin here, does some edge lead here? */
struct code {
	uint64_t addr, size;
	const unsigned char *bytes;
	unsigned char *starts, *labels;
};

enum edge_kind {
	EDGE_CALL,      /* call dst */
	EDGE_JUMP,      /* jmp dst */
	EDGE_BRANCH,    /* jcc dst */
	EDGE_TABLE,     /* dst is an entry of a jump table of the function at src */
	EDGE_CALL_SLOT, /* call *dst(%rip) */
	EDGE_JUMP_SLOT  /* jmp *dst(%rip) */
};

struct edge {
	uint64_t dst, src;
	enum edge_kind kind;
};

/* An instruction that puts the address `value` into a register. */
struct constant {
	uint64_t value, addr;
};

/* A constant that is a text. */
struct text {
	uint64_t addr;
	const char *string;
};

#define XREF_ARRAY(type)           \
	struct {                   \
		type *items;       \
		size_t count, cap; \
	}

struct xref {
	const struct elf_image *elf;
	bool is_fixed;
	struct code *codes;
	size_t code_cnt;
	XREF_ARRAY(struct edge) edges;         /* by dst */
	XREF_ARRAY(struct edge) tables;        /* those of kind EDGE_TABLE again, by src */
	XREF_ARRAY(struct constant) constants; /* by value */
	XREF_ARRAY(struct text) texts;         /* by addr */
	XREF_ARRAY(uint64_t) labels;           /* all dst of edges into code, ascending */
	/* for each of elf_functions: the function it is (a part of); 0 cannot be told */
	uint64_t *owners;
};

/* XREF_ADD - append to one of the arrays above */
#define XREF_ADD(array, ...)                                                                                    \
	do {                                                                                                    \
		if ((array)->count == (array)->cap) {                                                           \
			(array)->cap = (array)->cap ? 2 * (array)->cap : 256;                                   \
			(array)->items = xrealloc_array((array)->items, (array)->cap, sizeof(*(array)->items)); \
		}                                                                                               \
		(array)->items[(array)->count++] = __VA_ARGS__;                                                 \
	} while (0)

/* code_at - the range of code that contains `addr`, or NULL */
const struct code *code_at(const struct xref *xref, uint64_t addr);
bool code_bit(const struct code *code, const unsigned char *bits, uint64_t addr);
/* first_constant - number of the first of the constants that are not below `value` */
size_t first_constant(const struct xref *xref, uint64_t value);
/* edges_to - the first of the edges that lead to `dst`, and how many there are */
const struct edge *edges_to(const struct xref *xref, uint64_t dst, size_t *count);
/* table_edges - those of the function at `function_addr` */
const struct edge *table_edges(const struct xref *xref, uint64_t function_addr, size_t *count);
/* function_of - start and end of the function that contains `addr`, else of its range of code */
void function_of(const struct xref *xref, uint64_t addr, uint64_t *start, uint64_t *end);

/* What the seeds of one question share. */
struct flow_work {
	uint32_t *masks; /* per label: registers that are known to hold the value there; zeroed by the caller */
	size_t insn_cnt; /* followed so far */
};
/* flow_forward - follow a value from behind the instruction `seed` that puts it into a register, through copies,
 * stack slots, jumps and calls, to every call and tail call that it reaches in some register. `seen` is told the
 * instruction and the registers (bits) that may hold the value; it returns true when the flow need not be followed
 * into what is called. 0, or -E2BIG when the code is too entangled. */
typedef bool flow_seen(void *context, const struct x86_insn *insn, uint32_t registers);
int flow_forward(const struct xref *xref, uint64_t seed, struct flow_work *work, flow_seen *seen, void *context);

/* What is looked for: addresses that instructions take, or plain numbers. */
struct wanted {
	const uint64_t *items; /* ascending */
	size_t count;
	bool are_numbers;
};
/* flow_arriving - which kinds of values can be in `reg` in front of the instruction at `addr`?
 * With ARRIVES_UNKNOWN the others may be missing: the answer is not looked for any further. */
enum { ARRIVES_WANTED = 1, ARRIVES_OTHER = 2, ARRIVES_UNKNOWN = 4 };
unsigned flow_arriving(const struct xref *xref, uint64_t addr, int reg, const struct wanted *wanted);

/* ---- xref_parts.c: which function a part that the compiler has split off belongs to */

/* find_owners - fill in xref->owners; the index must be complete but for that */
void find_owners(struct xref *xref);
/* owner_of - the function whose code the instruction at `addr` is. 0, or -ENOENT when that cannot be told; *owner is
 * then the beginning of the stretch of code that it is in, 0 for none. */
int owner_of(const struct xref *xref, uint64_t addr, uint64_t *owner);
/* is_function - does a function that is known by its unwind information begin here, no part of another one? */
bool is_function(const struct xref *xref, uint64_t addr);

#endif
