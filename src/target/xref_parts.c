/* SPDX-License-Identifier: Apache-2.0 */
/* xref_parts.c - which code belongs to one function. The compiler moves what is seldom executed (.cold) elsewhere, and
 * .eh_frame tells of such a part as of a function. Of a part it is true that
 *
 *	- nothing calls it, nothing takes its address, and it has no exported name;
 *	- it is not entered as a function is: .eh_frame shows a frame that somebody else has made, or some jump leads
 *	  into its middle, or it jumps into the middle of another function.
 *
 * It belongs to the one function that jumps into it, or has a jump table with it, or else to the one into whose middle
 * it jumps. When these are several, nobody can tell, and then no recipe finds the part or anything in it. The same
 * holds for what jumps of one function lead to, and nothing else: that is a part, or a function that it hands over to.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/arena.h"
#include "target/xref_index.h"

#define NOBODY ((uint32_t)-1)
#define MANY   ((uint32_t)-2)

#define PARTS_DEEP_MAX 8 /* parts of parts */

/* What the edges say about one function; numbers are indexes into elf_functions. */
struct role {
	uint32_t from;  /* who jumps into it */
	uint32_t table; /* who has a jump table with it */
	uint32_t back;  /* into whose middle it jumps */
	bool is_called; /* or its address is taken */
	bool is_odd;    /* it is entered as no function is */
};

struct parts {
	const struct xref *xref;
	const struct elf_range *functions;
	size_t count;
	struct role *roles;
};

/* find_function - number of the function that contains `addr`, or NOBODY */
static uint32_t find_function(const struct elf_range *functions, size_t count, uint64_t addr)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr < functions[middle].addr)
			high = middle;
		else if (addr - functions[middle].addr >= functions[middle].size)
			low = middle + 1;
		else
			return (uint32_t)middle;
	}
	return NOBODY;
}

static void note(uint32_t *who, uint32_t function)
{
	if (*who == NOBODY)
		*who = function;
	else if (*who != function)
		*who = MANY;
}

/* has_frame - from its very beginning, which makes it a part */
static bool has_frame(const struct parts *parts, uint32_t function)
{
	return elf_is_part(parts->xref->elf, parts->functions[function].addr);
}

static void note_edge(struct parts *parts, const struct edge *edge, uint32_t dst)
{
	bool is_start = parts->functions[dst].addr == edge->dst;
	uint32_t src;

	if (edge->kind == EDGE_CALL) {
		parts->roles[dst].is_called |= is_start;
		return;
	}
	if (edge->kind != EDGE_JUMP && edge->kind != EDGE_BRANCH && edge->kind != EDGE_TABLE)
		return;
	src = find_function(parts->functions, parts->count, edge->src);
	if (src == dst || src == NOBODY || elf_is_plt(parts->xref->elf, edge->dst))
		return;
	if (edge->kind == EDGE_TABLE) {
		/* The end of a jump table is guessed, so its entries prove nothing. */
		note(&parts->roles[dst].table, src);
		return;
	}
	if (has_frame(parts, src) && !has_frame(parts, dst))
		return; /* a part that goes back */
	note(&parts->roles[dst].from, src);
	parts->roles[dst].is_odd |= !is_start;
	if (!is_start && !has_frame(parts, dst))
		note(&parts->roles[src].back, dst);
}

static void note_edges(struct parts *parts)
{
	const struct xref *xref = parts->xref;
	size_t next = 0;

	for (size_t i = 0; i < xref->edges.count; i++) {
		uint64_t dst = xref->edges.items[i].dst;

		while (next < parts->count && dst >= parts->functions[next].addr + parts->functions[next].size)
			next++;
		if (next < parts->count && dst >= parts->functions[next].addr)
			note_edge(parts, &xref->edges.items[i], (uint32_t)next);
	}
}

static void note_address(struct parts *parts, uint64_t addr)
{
	uint32_t function = find_function(parts->functions, parts->count, addr);

	if (function != NOBODY && parts->functions[function].addr == addr)
		parts->roles[function].is_called = true;
}

static void note_addresses(struct parts *parts)
{
	size_t count;
	const struct elf_pointer *pointers = elf_pointers(parts->xref->elf, &count);

	for (size_t i = 0; i < count; i++)
		note_address(parts, pointers[i].value);
	for (size_t i = 0; i < parts->xref->constants.count; i++)
		note_address(parts, parts->xref->constants.items[i].value);
}

/* comes_back - does it jump into the middle of another function, and not as a function does to a part of its own? */
static bool comes_back(const struct parts *parts, uint32_t function)
{
	uint32_t back = parts->roles[function].back;

	if (back == NOBODY || back == MANY)
		return back == MANY;
	return parts->roles[back].is_called || parts->roles[back].from != function;
}

static bool is_part(const struct parts *parts, uint32_t function)
{
	const struct role *role = &parts->roles[function];

	return !role->is_called && (role->is_odd || comes_back(parts, function) || has_frame(parts, function));
}

/* is_doubtful - a part, or a function that one other hands over to? */
static bool is_doubtful(const struct parts *parts, uint32_t function)
{
	const struct role *role = &parts->roles[function];

	return !role->is_called && role->from != NOBODY && role->from != MANY;
}

/* parent_of - who the part belongs to, or MANY */
static uint32_t parent_of(const struct parts *parts, uint32_t part)
{
	const struct role *role = &parts->roles[part];

	if (role->from != NOBODY)
		return role->from;
	return role->table != NOBODY ? role->table : role->back;
}

/* find_owner - 0 when it cannot be told */
static uint64_t find_owner(const struct parts *parts, uint32_t function)
{
	for (int depth = 0; depth < PARTS_DEEP_MAX; depth++) {
		if (!is_part(parts, function))
			return is_doubtful(parts, function) ? 0 : parts->functions[function].addr;
		function = parent_of(parts, function);
		if (function == MANY || function == NOBODY)
			return 0;
	}
	return 0; /* they jump into each other */
}

void find_owners(struct xref *xref)
{
	struct parts parts = {.xref = xref};

	parts.functions = elf_functions(xref->elf, &parts.count);
	parts.roles = xrealloc_array(NULL, parts.count, sizeof(*parts.roles));
	for (size_t i = 0; i < parts.count; i++)
		parts.roles[i] = (struct role){.from = NOBODY, .table = NOBODY, .back = NOBODY};
	note_edges(&parts);
	note_addresses(&parts);
	for (uint32_t i = 0; i < parts.count; i++)
		if ((is_part(&parts, i) || is_doubtful(&parts, i)) && elf_exports(xref->elf, parts.functions[i].addr))
			parts.roles[i].is_called = true;
	xref->owners = xrealloc_array(NULL, parts.count, sizeof(*xref->owners));
	for (uint32_t i = 0; i < parts.count; i++)
		xref->owners[i] = elf_is_gap(xref->elf, parts.functions[i].addr) ? 0 : find_owner(&parts, i);
	free(parts.roles);
}

int owner_of(const struct xref *xref, uint64_t addr, uint64_t *owner)
{
	size_t count;
	const struct elf_range *functions = elf_functions(xref->elf, &count);
	uint32_t function = find_function(functions, count, addr);

	*owner = 0;
	if (function == NOBODY)
		return -ENOENT;
	*owner = xref->owners[function];
	if (*owner)
		return 0;
	*owner = functions[function].addr;
	return -ENOENT;
}

bool is_function(const struct xref *xref, uint64_t addr)
{
	uint64_t owner;

	return !owner_of(xref, addr, &owner) && owner == addr;
}
