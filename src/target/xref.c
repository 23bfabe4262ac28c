/* SPDX-License-Identifier: Apache-2.0 */
/* xref.c - How we find an event in a stripped binary
 *
 * A server says what happens by calling a few functions with a constant text: a log function with its format, a
 * reply function with the reply's. In machine code that is
 *
 *	lea   text(%rip),%rdi	(or mov $text,%edi in a program that is not moved)
 *	...
 *	call  function
 *
 * so the event is one call instruction, and to count it a probe on that call is enough. Finding it takes three steps.
 *
 * 1. The index (xref_index.c). All code is decoded once, function by function as .eh_frame bounds them. Kept are:
 *    where instructions begin, who calls or jumps where, and which instruction takes the address of what. Jump tables
 *    are read where a function jumps through a register.
 *
 * 2. The function. An imported one has a PLT stub or a slot, an exported one a symbol. A local one has no name, but
 *    some texts that are surely passed to it: each votes for the functions that it is passed to, and the winner must
 *    be clearly ahead.
 *
 * 3. The sites (xref_flow.c). From each instruction that takes a wanted text the value is followed forward, through
 *    copies, stack slots, both ways of a branch, jump tables and the parameters of functions: each call of the
 *    wanted function that it reaches in the right register is a site. So code that the compiler has merged, where one
 *    call serves several texts, is found from each of them. Then we look back from the call: when nothing but wanted
 *    texts can arrive, it is decided; when it is certain that another constant does, it is no site; otherwise it is
 *    a site where the pointer must be compared at each hit.
 *
 * What this does not see: a text that passes through memory other than the stack, as a member of a structure or an
 * entry of a table, or that a function returns. */
#include "target/xref.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "target/xref_index.h"

#define CHECKED_BYTES_MAX ((uint64_t)256 << 20) /* of code in front of sites: only a made-up file has more */

/* A set of addresses that was asked for. */
struct addrs {
	uint64_t *items;
	size_t count, cap;
};

static int compare_addrs(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void sort_addrs(struct addrs *addrs)
{
	size_t kept = 0;

	if (addrs->count)
		qsort(addrs->items, addrs->count, sizeof(*addrs->items), compare_addrs);
	for (size_t i = 0; i < addrs->count; i++)
		if (!kept || addrs->items[kept - 1] != addrs->items[i])
			addrs->items[kept++] = addrs->items[i];
	addrs->count = kept;
}

/* ---- texts */

static void add_texts(struct addrs *out, const struct xref *xref, const char *text, bool is_prefix)
{
	size_t len = strlen(text) + !is_prefix; /* with its NUL */

	for (size_t i = 0; i < xref->texts.count; i++)
		if (!strncmp(xref->texts.items[i].string, text, len))
			XREF_ADD(out, xref->texts.items[i].addr);
}

int xref_texts(const struct xref *xref, const char *text, bool is_prefix, uint64_t **addrs, size_t *count)
{
	struct addrs found = {0};

	add_texts(&found, xref, text, is_prefix); /* in the order of addresses, as the index has them */
	*addrs = found.items;
	*count = found.count;
	return found.count ? 0 : -ENOENT;
}

/* flow_texts - follow each of the texts at `addrs` (ascending) from everywhere that the code takes it */
static int flow_texts(const struct xref *xref, const struct addrs *addrs, flow_seen *seen, void *context)
{
	struct flow_work work = {.masks = xrealloc_array(NULL, xref->labels.count, sizeof(*work.masks))};
	size_t next = 0;
	int ret = 0;

	memset(work.masks, 0, xref->labels.count * sizeof(*work.masks));
	for (size_t i = 0; i < xref->constants.count && !ret; i++) {
		const struct constant *constant = &xref->constants.items[i];

		while (next < addrs->count && addrs->items[next] < constant->value)
			next++;
		if (next == addrs->count)
			break;
		if (addrs->items[next] == constant->value)
			ret = flow_forward(xref, constant->addr, &work, seen, context);
	}
	free(work.masks);
	return ret;
}

/* ---- vote */

static int no_machine(const struct xref *xref, char err[static 256])
{
	snprintf(err, 256, "values in code of this machine (%u) cannot be followed yet", elf_machine(xref->elf));
	return -EOPNOTSUPP;
}

struct ballot {
	const struct xref *xref;
	int reg;
	struct addrs callees; /* that one text is passed to */
};

static bool is_function_start(const struct xref *xref, uint64_t addr)
{
	struct elf_range function;

	return !elf_function_at(xref->elf, addr, &function) && function.addr == addr;
}

static bool see_callee(void *context, const struct x86_insn *insn, uint32_t registers)
{
	struct ballot *ballot = context;

	if (insn->kind != X86_CALL && (insn->kind != X86_JUMP || !is_function_start(ballot->xref, insn->target)))
		return false;
	if (registers & X86_BIT(ballot->reg))
		XREF_ADD(&ballot->callees, insn->target);
	return true;
}

/* count_votes - winner and runner-up among `votes`, which are sorted */
static uint64_t count_votes(const struct addrs *votes, unsigned *most, unsigned *second)
{
	uint64_t winner = 0;

	*most = *second = 0;
	for (size_t i = 0, end; i < votes->count; i = end) {
		unsigned count;

		for (end = i; end < votes->count && votes->items[end] == votes->items[i];)
			end++;
		count = (unsigned)(end - i);
		if (count > *most) {
			*second = *most;
			*most = count;
			winner = votes->items[i];
		} else if (count > *second) {
			*second = count;
		}
	}
	return winner;
}

int xref_vote(const struct xref *xref, int arg, const char *const *texts, size_t text_cnt, unsigned min, uint64_t *addr,
	      char err[static 256])
{
	struct ballot ballot = {.xref = xref, .reg = x86_argument(arg)};
	struct addrs votes = {0};
	unsigned most, second;
	int ret = 0;

	if (elf_machine(xref->elf) != EM_X86_64)
		return no_machine(xref, err);
	if (ballot.reg == X86_NO_REGISTER) {
		snprintf(err, 256, "argument %d is not in a register", arg);
		return -EINVAL;
	}
	for (size_t i = 0; i < text_cnt && !ret; i++) {
		struct addrs text = {0};

		add_texts(&text, xref, texts[i], false);
		ballot.callees.count = 0;
		ret = flow_texts(xref, &text, see_callee, &ballot);
		sort_addrs(&ballot.callees);
		for (size_t k = 0; k < ballot.callees.count; k++)
			XREF_ADD(&votes, ballot.callees.items[k]);
		free(text.items);
	}
	if (votes.count)
		qsort(votes.items, votes.count, sizeof(*votes.items), compare_addrs);
	*addr = count_votes(&votes, &most, &second);
	free(ballot.callees.items);
	free(votes.items);
	if (ret) {
		snprintf(err, 256, "the code around the texts is too entangled to be followed");
	} else if (!most || most < min) {
		snprintf(err, 256, "no function takes more than %u of the %zu texts in argument %d, %u are wanted",
			 most, text_cnt, arg, min);
		ret = -ENOENT;
	} else if (second * 2 > most) {
		snprintf(err, 256, "the function is ambiguous: one takes %u of the %zu texts, another one %u", most,
			 text_cnt, second);
		ret = -ENOTUNIQ;
	}
	return ret;
}

/* ---- sites */

struct hunt {
	const struct xref *xref;
	const struct xref_query *query;
	struct addrs calls;
};

/* is_wanted_call - does this instruction hand over to the callee? A conditional jump does only sometimes. */
static bool is_wanted_call(const struct xref_query *query, const struct x86_insn *insn)
{
	if (insn->kind == X86_CALL_INDIRECT || insn->kind == X86_JUMP_INDIRECT)
		return query->slot && insn->target == query->slot;
	return query->callee && insn->target == query->callee;
}

static bool see_site(void *context, const struct x86_insn *insn, uint32_t registers)
{
	struct hunt *hunt = context;

	if (!is_wanted_call(hunt->query, insn))
		return false;
	if (registers & X86_BIT(x86_argument(hunt->query->arg)))
		XREF_ADD(&hunt->calls, insn->addr);
	return true;
}

/* add_all_calls - of the callee, whatever the arguments are */
static void add_all_calls(struct hunt *hunt)
{
	const struct xref_query *query = hunt->query;
	size_t count;
	const struct edge *edge = edges_to(hunt->xref, query->callee, &count);

	for (; query->callee && count; count--, edge++)
		if (edge->kind == EDGE_CALL || edge->kind == EDGE_JUMP || edge->kind == EDGE_BRANCH)
			XREF_ADD(&hunt->calls, edge->src);
	edge = edges_to(hunt->xref, query->slot, &count);
	for (; query->slot && count; count--, edge++)
		/* the stub's own jump is no call of its own */
		if (edge->kind == EDGE_CALL_SLOT || (edge->kind == EDGE_JUMP_SLOT && edge->src - query->callee >= 16))
			XREF_ADD(&hunt->calls, edge->src);
}

static int no_text(const struct xref_query *query, char err[static 256])
{
	snprintf(err, 256, "the file does not use the text \"%.100s\"%s", query->text_cnt ? query->texts[0] : "",
		 query->text_cnt > 1 ? " or any of the others" : "");
	for (char *c = err; *c; c++) /* a message is one line */
		if (*c > 0 && *c < ' ')
			*c = ' ';
	return -ENOENT;
}

/* add_number - one of 32 bits may fill the rest of the register with its sign or with zeros */
static void add_number(struct addrs *wanted, int64_t number)
{
	XREF_ADD(wanted, (uint64_t)number);
	if (number >= INT32_MIN && number <= UINT32_MAX) {
		XREF_ADD(wanted, (uint64_t)(uint32_t)number);
		XREF_ADD(wanted, (uint64_t)(int64_t)(int32_t)(uint32_t)number);
	}
}

static int find_calls(struct hunt *hunt, struct addrs *wanted, char err[static 256])
{
	const struct xref_query *query = hunt->query;
	int ret = 0;

	if (query->arg < 0 || query->number_cnt) {
		/* Numbers are taken in too many places to be followed from there: the calls are looked back from. */
		add_all_calls(hunt);
		for (size_t i = 0; i < query->number_cnt; i++)
			add_number(wanted, query->numbers[i]);
		sort_addrs(wanted);
	} else {
		for (size_t i = 0; i < query->text_cnt; i++)
			add_texts(wanted, hunt->xref, query->texts[i], query->is_prefix[i]);
		sort_addrs(wanted);
		if (!wanted->count)
			return no_text(query, err);
		ret = flow_texts(hunt->xref, wanted, see_site, hunt);
	}
	sort_addrs(&hunt->calls);
	if (ret)
		snprintf(err, 256, "the code around the texts is too entangled to be followed");
	return ret;
}

/* fill_site - 0, 1 when it turns out to be none, or -errno */
static int fill_site(struct xref_site *site, const struct hunt *hunt, uint64_t addr, const struct addrs *wanted,
		     char err[static 256])
{
	unsigned arriving = ARRIVES_WANTED;
	struct x86_insn insn;
	int ret;

	if (hunt->query->arg >= 0)
		arriving = flow_arriving(hunt->xref, addr, x86_argument(hunt->query->arg),
					 &(struct wanted){wanted->items, wanted->count, hunt->query->number_cnt > 0});
	if (arriving == ARRIVES_OTHER)
		return 1;
	*site = (struct xref_site){.is_decided = arriving == ARRIVES_WANTED};
	ret = insn_check_site(hunt->xref->elf, addr, &site->insn, err);
	if (ret)
		return ret;
	x86_decode(site->insn.bytes, site->insn.len, addr, hunt->xref->is_fixed, &insn);
	site->is_tail = insn.kind != X86_CALL && insn.kind != X86_CALL_INDIRECT;
	if (insn.kind == X86_BRANCH) {
		snprintf(err, 256,
			 "the function is called by a conditional jump at %#llx, whose hits do not count calls",
			 (unsigned long long)addr);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* fill_sites - what the calls that were found are worth; the number of sites in *count */
static int fill_sites(struct xref_site *sites, size_t *count, const struct hunt *hunt, const struct addrs *wanted,
		      char err[static 256])
{
	uint64_t checked = 0, start, end;

	for (size_t i = 0; i < hunt->calls.count; i++) {
		int ret;

		function_of(hunt->xref, hunt->calls.items[i], &start, &end);
		checked += hunt->calls.items[i] - start; /* insn_check_site decodes that much */
		if (checked > CHECKED_BYTES_MAX) {
			snprintf(err, 256, "the function is called too often from too large functions");
			return -E2BIG;
		}
		ret = fill_site(&sites[*count], hunt, hunt->calls.items[i], wanted, err);
		if (ret < 0)
			return ret;
		*count += ret == 0;
	}
	if (*count)
		return 0;
	snprintf(err, 256, "%s",
		 !hunt->calls.count        ? "nothing calls the function"
		 : hunt->query->number_cnt ? "the number is not passed to the function"
					   : "the text is not passed to the function");
	return -ENOENT;
}

int xref_sites(const struct xref *xref, const struct xref_query *query, struct xref_site **sites, size_t *count,
	       char err[static 256])
{
	struct hunt hunt = {.xref = xref, .query = query};
	struct addrs wanted = {0};
	int ret;

	*sites = NULL;
	*count = 0;
	if (elf_machine(xref->elf) != EM_X86_64)
		return no_machine(xref, err);
	if (query->arg > 5) {
		snprintf(err, 256, "argument %d is not in a register", query->arg);
		return -EINVAL;
	}
	ret = find_calls(&hunt, &wanted, err);
	if (!ret) {
		*sites = xrealloc_array(NULL, hunt.calls.count, sizeof(**sites));
		ret = fill_sites(*sites, count, &hunt, &wanted, err);
	}
	free(hunt.calls.items);
	free(wanted.items);
	if (ret) {
		free(*sites);
		*sites = NULL;
		*count = 0;
	}
	return ret;
}
