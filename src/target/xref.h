/* SPDX-License-Identifier: Apache-2.0 */
/* xref.h - owns the index of who calls whom with which constant text in one file, built by decoding all its code
 * once. "How we find an event in a stripped binary" is told at the head of xref.c. It knows no mail server. */
#ifndef MAILGAUGE_XREF_H
#define MAILGAUGE_XREF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/elf.h"
#include "target/insn.h"

struct xref;

/* xref_new - decode `elf` (borrowed: it must live longer than the index). 0, or -E2BIG with a
 * reason in err: too much code. On arm64 the index answers what functions use and which tables have them; votes and
 * sites are refused there. */
int xref_new(struct xref **out, const struct elf_image *elf, char err[static 256]);
void xref_free(struct xref **xref);

/* xref_vote - the function that most direct calls and tail calls with one of `texts` in argument `arg` go to.
 * Each text has one vote for each callee that it is passed to. 0 and its address; -ENOENT nobody has `min`
 * votes; -EOPNOTSUPP code of another machine; -ENOTUNIQ when the runner-up has more than half of the winner's votes.
 * The reason goes into err. */
int xref_vote(const struct xref *xref, int arg, const char *const *texts, size_t text_cnt, unsigned min, uint64_t *addr,
	      char err[static 256]);

/* xref_uses - the one function whose code takes the addresses of all of `texts` and of none of `without`. A part that
 * the compiler has split off (.cold) belongs to the function that jumps into it. 0 and its address; -ENOENT there is
 * none, or it has no bounds; -ENOTUNIQ several, which err names. */
int xref_uses(const struct xref *xref, const char *const *texts, size_t text_cnt, const char *const *without,
	      size_t without_cnt, uint64_t *addr, char err[static 256]);

/* xref_table - the function that a constant table has in the row of this text: in the `slot`-th word of 8 bytes behind
 * the pointer to the text. 0 and its address; -ENOENT the text is in no table, or there is no function; -ENOTUNIQ the
 * tables that have such a row do not agree. The reason goes into err. */
int xref_table(const struct xref *xref, const char *text, unsigned slot, uint64_t *addr, char err[static 256]);

/* xref_function_size - bytes of code of the function that begins at `addr`, without the parts that the compiler has
 * split off; 0 when none begins there */
uint64_t xref_function_size(const struct xref *xref, uint64_t addr);

/* One place where a callee is called, perhaps with one of the wanted texts. */
struct xref_site {
	struct insn_site insn;
	bool is_tail;    /* a jmp: the stack holds the caller's caller, stack arguments are 8 bytes further up */
	bool is_decided; /* nothing but wanted texts can be in the argument here */
};

struct xref_query {
	uint64_t callee; /* address of the function or of its PLT stub; 0 there is none, but a slot */
	uint64_t slot;   /* 0, or the .got slot: `call *slot(%rip)` counts as a call as well */
	int arg;         /* 0..5 the register that holds the text; -1: every call is wanted */
	const char *const *texts;
	const bool *is_prefix; /* text i is a beginning, not the whole argument */
	size_t text_cnt;
	/* Instead of texts, integers that are passed. One that is negative, or does not need more than 32 bits, is told
	 * from the lower 32 bits of the register: those above are not defined for an int. */
	const int64_t *numbers;
	size_t number_cnt;
};

/* xref_sites - all calls of the callee that one of the texts (numbers) can reach: decided ones, and those that other
 * values can reach too (merged code, variables; the argument must then be looked at when the probe is hit). A text is
 * followed through registers, the stack, jumps, and into functions that it is an argument of, not through other memory.
 * `sites` is malloc'ed, sorted by address; the caller frees it. 0 (with *count > 0), -ENOENT no site, -EOPNOTSUPP one
 * of the sites must not be probed, -E2BIG code too entangled to be followed; reason in err. */
int xref_sites(const struct xref *xref, const struct xref_query *query, struct xref_site **sites, size_t *count,
	       char err[static 256]);

/* xref_texts - addresses of all constants of the file that equal (or begin with) the text and that some instruction
 * takes; as an argument pointer would hold them, relative to the file's view. Malloc'ed, ascending; the caller frees.
 * The linker merges equal suffixes, so a text can stand at several addresses. 0 or -ENOENT. */
int xref_texts(const struct xref *xref, const char *text, bool is_prefix, uint64_t **addrs, size_t *count);

#endif
