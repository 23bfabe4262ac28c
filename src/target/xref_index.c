/* SPDX-License-Identifier: Apache-2.0 */
/* xref_index.c - the one pass over all code of a file. */
#include "target/xref_index.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "target/arm64.h"

/* More than a program of 512 MiB of ordinary code has: a made-up one must not take all memory. */
#define INDEX_MAX ((size_t)1 << 24)

/* A constant that may be a jump table of the function at `function`. */
struct candidate {
	uint64_t function, addr;
	bool is_absolute; /* entries of 8 bytes that are addresses; else of 4, relative to the table */
};
struct candidates {
	struct candidate *items;
	size_t count, cap;
};

/* ---- lookup */

const struct code *code_at(const struct xref *xref, uint64_t addr)
{
	size_t low = 0, high = xref->code_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct code *code = &xref->codes[middle];

		if (addr < code->addr)
			high = middle;
		else if (addr - code->addr >= code->size)
			low = middle + 1;
		else
			return code;
	}
	return NULL;
}

bool code_bit(const struct code *code, const unsigned char *bits, uint64_t addr)
{
	uint64_t at = addr - code->addr;

	return bits[at / 8] >> at % 8 & 1;
}

static void set_bit(const struct code *code, unsigned char *bits, uint64_t addr)
{
	uint64_t at = addr - code->addr;

	bits[at / 8] = (unsigned char)(bits[at / 8] | 1u << at % 8);
}

size_t first_constant(const struct xref *xref, uint64_t value)
{
	size_t low = 0, high = xref->constants.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (xref->constants.items[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct edge *edges_to(const struct xref *xref, uint64_t dst, size_t *count)
{
	size_t low = 0, high = xref->edges.count, first;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (xref->edges.items[middle].dst < dst)
			low = middle + 1;
		else
			high = middle;
	}
	for (first = low; low < xref->edges.count && xref->edges.items[low].dst == dst;)
		low++;
	*count = low - first;
	return *count ? &xref->edges.items[first] : NULL;
}

const struct edge *table_edges(const struct xref *xref, uint64_t function_addr, size_t *count)
{
	size_t low = 0, high = xref->tables.count, first;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (xref->tables.items[middle].src < function_addr)
			low = middle + 1;
		else
			high = middle;
	}
	for (first = low; low < xref->tables.count && xref->tables.items[low].src == function_addr;)
		low++;
	*count = low - first;
	return *count ? &xref->tables.items[first] : NULL;
}

void function_of(const struct xref *xref, uint64_t addr, uint64_t *start, uint64_t *end)
{
	const struct code *code = code_at(xref, addr);
	struct elf_range function;

	*start = *end = addr;
	if (!elf_function_at(xref->elf, addr, &function)) {
		*start = function.addr;
		*end = function.addr + function.size;
	} else if (code) {
		*start = code->addr;
		*end = code->addr + code->size;
	}
}

/* ---- decoding */

static void note_insn(struct xref *xref, const struct x86_insn *insn)
{
	static const enum edge_kind kinds[] = {
	    [X86_CALL] = EDGE_CALL,
	    [X86_JUMP] = EDGE_JUMP,
	    [X86_BRANCH] = EDGE_BRANCH,
	    [X86_CALL_INDIRECT] = EDGE_CALL_SLOT,
	    [X86_JUMP_INDIRECT] = EDGE_JUMP_SLOT,
	};

	if (insn->target && insn->kind != X86_PLAIN)
		XREF_ADD(&xref->edges,
			 (struct edge){.dst = insn->target, .src = insn->addr, .kind = kinds[insn->kind]});
	if (insn->constant_reg != X86_NO_REGISTER)
		XREF_ADD(&xref->constants, (struct constant){insn->constant, insn->addr});
}

static bool is_full(const struct xref *xref)
{
	return xref->edges.count >= INDEX_MAX || xref->constants.count >= INDEX_MAX;
}

/* decode_run - from the start of a function, or of a gap between two, to its end. Bytes that are no instruction are
 * passed one by one. */
static void decode_run(struct xref *xref, struct code *code, uint64_t start, uint64_t end,
		       struct candidates *candidates)
{
	size_t constant_before = xref->constants.count;
	bool has_table = false;

	for (uint64_t addr = start; addr < end && !is_full(xref);) {
		struct x86_insn insn;

		if (!x86_decode(code->bytes + (addr - code->addr), end - addr, addr, xref->is_fixed, &insn)) {
			addr++;
			continue;
		}
		set_bit(code, code->starts, addr);
		note_insn(xref, &insn);
		if (insn.kind == X86_JUMP_INDIRECT && !insn.target)
			has_table = true;
		if (insn.table && xref->is_fixed)
			XREF_ADD(candidates, (struct candidate){start, insn.table, true});
		addr += insn.len;
	}
	for (size_t i = constant_before; has_table && i < xref->constants.count; i++)
		XREF_ADD(candidates, (struct candidate){start, xref->constants.items[i].value, false});
}

/* decode_run_arm64 - the same for that machine, whose jump tables are not read */
static void decode_run_arm64(struct xref *xref, struct code *code, uint64_t start, uint64_t end)
{
	static const enum edge_kind kinds[] = {
	    [ARM64_CALL] = EDGE_CALL, [ARM64_JUMP] = EDGE_JUMP, [ARM64_BRANCH] = EDGE_BRANCH};
	struct arm64_registers registers = {0};

	start = (start + 3) & ~UINT64_C(3);
	for (uint64_t addr = start; addr < end && end - addr >= ARM64_INSN_SIZE && !is_full(xref);
	     addr += ARM64_INSN_SIZE) {
		struct arm64_insn insn;
		uint32_t word;

		memcpy(&word, code->bytes + (addr - code->addr), sizeof(word));
		insn = arm64_decode(word, addr, &registers);
		set_bit(code, code->starts, addr);
		if (insn.kind != ARM64_PLAIN)
			XREF_ADD(&xref->edges,
				 (struct edge){.dst = insn.target, .src = addr, .kind = kinds[insn.kind]});
		if (insn.has_constant)
			XREF_ADD(&xref->constants, (struct constant){insn.constant, addr});
	}
}

static void decode_code(struct xref *xref, struct code *code, struct candidates *candidates)
{
	uint64_t addr = code->addr, end = code->addr + code->size;
	size_t count, i = 0;
	const struct elf_range *functions = elf_functions(xref->elf, &count);

	while (addr < end && !is_full(xref)) {
		uint64_t stop = end;

		while (i < count && functions[i].addr + functions[i].size <= addr)
			i++;
		if (i < count && functions[i].addr > addr)
			stop = functions[i].addr; /* a gap */
		else if (i < count)
			stop = functions[i].addr + functions[i].size;
		if (stop > end)
			stop = end;
		if (elf_machine(xref->elf) == EM_AARCH64)
			decode_run_arm64(xref, code, addr, stop);
		else
			decode_run(xref, code, addr, stop, candidates);
		addr = stop;
	}
}

static void add_codes(struct xref *xref)
{
	struct elf_range range;

	xref->code_cnt = elf_text(xref->elf, 0, &range);
	xref->codes = xrealloc_array(NULL, xref->code_cnt, sizeof(*xref->codes));
	for (size_t i = 0; i < xref->code_cnt; i++) {
		struct code *code = &xref->codes[i];

		elf_text(xref->elf, i, &range);
		*code = (struct code){.addr = range.addr, .size = range.size};
		code->bytes = elf_bytes(xref->elf, range.addr, range.size);
		code->starts = xrealloc_array(NULL, range.size / 4 + 2, 1);
		memset(code->starts, 0, range.size / 4 + 2);
		code->labels = code->starts + range.size / 8 + 1;
	}
}

/* ---- jump tables */

static int compare_edges(const void *left, const void *right)
{
	const struct edge *a = left, *b = right;

	if (a->dst != b->dst)
		return a->dst < b->dst ? -1 : 1;
	return a->src < b->src ? -1 : a->src > b->src;
}

static int compare_tables(const void *left, const void *right)
{
	const struct edge *a = left, *b = right;

	if (a->src != b->src)
		return a->src < b->src ? -1 : 1;
	return a->dst < b->dst ? -1 : a->dst > b->dst;
}

static int compare_constants(const void *left, const void *right)
{
	const struct constant *a = left, *b = right;

	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

static int compare_candidates(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return a->function < b->function ? -1 : a->function > b->function;
}

/* read_table - entries that are instructions, up to the next thing that the code refers to. False: too many. */
static bool read_table(struct xref *xref, const struct candidate *table, uint64_t end)
{
	size_t step = table->is_absolute ? 8 : 4;

	for (uint64_t at = table->addr; end - at >= step; at += step) {
		const unsigned char *bytes = elf_bytes(xref->elf, at, step);
		uint64_t target = 0;
		int32_t distance;
		const struct code *code;

		if (!bytes)
			break;
		memcpy(table->is_absolute ? (void *)&target : (void *)&distance, bytes, step);
		if (!table->is_absolute)
			target = table->addr + (uint64_t)(int64_t)distance;
		code = code_at(xref, target);
		if (!code || !code_bit(code, code->starts, target))
			break;
		if (xref->tables.count >= INDEX_MAX)
			return false;
		XREF_ADD(&xref->tables, (struct edge){.dst = target, .src = table->function, .kind = EDGE_TABLE});
		XREF_ADD(&xref->edges, (struct edge){.dst = target, .src = table->function, .kind = EDGE_TABLE});
	}
	return true;
}

static int read_tables(struct xref *xref, struct candidates *candidates)
{
	size_t next = 0;

	if (!candidates->count)
		return 0;
	qsort(candidates->items, candidates->count, sizeof(*candidates->items), compare_candidates);
	for (size_t i = 0; i < candidates->count; i++) {
		const struct candidate *table = &candidates->items[i];

		if (table->addr % 4 || (i && !compare_candidates(table, table - 1)))
			continue;
		while (next < xref->constants.count && xref->constants.items[next].value <= table->addr)
			next++;
		if (!read_table(xref, table,
				next < xref->constants.count ? xref->constants.items[next].value : UINT64_MAX))
			return -E2BIG;
	}
	if (xref->tables.count)
		qsort(xref->tables.items, xref->tables.count, sizeof(*xref->tables.items), compare_tables);
	return 0;
}

/* ---- the index */

static void sort_edges(struct xref *xref)
{
	uint64_t last = 0;

	if (xref->edges.count)
		qsort(xref->edges.items, xref->edges.count, sizeof(*xref->edges.items), compare_edges);
	for (size_t i = 0; i < xref->edges.count; i++) {
		uint64_t dst = xref->edges.items[i].dst;
		const struct code *code = dst == last ? NULL : code_at(xref, dst);

		last = dst;
		if (!code)
			continue;
		set_bit(code, code->labels, dst);
		XREF_ADD(&xref->labels, dst);
	}
}

static void find_texts(struct xref *xref)
{
	for (size_t i = 0; i < xref->constants.count; i++) {
		uint64_t value = xref->constants.items[i].value;
		const char *string;

		if (i && value == xref->constants.items[i - 1].value)
			continue;
		string = elf_string(xref->elf, value);
		if (string)
			XREF_ADD(&xref->texts, (struct text){value, string});
	}
}

int xref_new(struct xref **out, const struct elf_image *elf, char err[static 256])
{
	struct candidates candidates = {0};
	struct xref *xref;
	int ret;

	*out = NULL;
	xref = xrealloc_array(NULL, 1, sizeof(*xref));
	*xref = (struct xref){.elf = elf, .is_fixed = elf_is_fixed(elf)};
	add_codes(xref);
	for (size_t i = 0; i < xref->code_cnt; i++)
		decode_code(xref, &xref->codes[i], &candidates);
	if (xref->constants.count)
		qsort(xref->constants.items, xref->constants.count, sizeof(*xref->constants.items), compare_constants);
	ret = is_full(xref) ? -E2BIG : read_tables(xref, &candidates);
	free(candidates.items);
	if (ret) {
		snprintf(err, 256, "too many jumps or references in its code");
		xref_free(&xref);
		return ret;
	}
	sort_edges(xref);
	find_texts(xref);
	find_owners(xref);
	*out = xref;
	return 0;
}

void xref_free(struct xref **xref)
{
	if (!*xref)
		return;
	for (size_t i = 0; i < (*xref)->code_cnt; i++)
		free((*xref)->codes[i].starts);
	free((*xref)->codes);
	free((*xref)->edges.items);
	free((*xref)->tables.items);
	free((*xref)->constants.items);
	free((*xref)->texts.items);
	free((*xref)->labels.items);
	free((*xref)->owners);
	free(*xref);
	*xref = NULL;
}
