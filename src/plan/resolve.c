/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c - owns the step from a probe of the catalog to addresses in one file. It knows nothing of specs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "plan/parts.h"

const struct elf_image *source_elf(struct source *source)
{
	if (!source->tried_elf) {
		source->tried_elf = true;
		target_open_elf(&source->elf, source->file, source->err);
	}
	return source->elf;
}

const struct xref *source_xref(struct source *source)
{
	if (!source->tried_xref && source_elf(source)) {
		source->tried_xref = true;
		xref_new(&source->xref, source->elf, source->err);
	}
	return source->xref;
}

void source_close(struct source *source)
{
	xref_free(&source->xref);
	elf_free(&source->elf);
}

int resolve_number(int64_t *out, const struct number_def *number, struct source *source, char err[static 256])
{
	const struct constant_def *constant = number->constant;
	const struct elf_image *elf = source_elf(source);
	struct elf_symbol symbol;
	int64_t second;
	int ret;

	*out = number->value;
	if (!constant)
		return 0;
	if (!elf) {
		memcpy(err, source->err, 256);
		return -ENOEXEC;
	}
	for (size_t i = 0; i < constant->case_cnt; i++) {
		const struct constant_case *choice = &constant->cases[i];

		if (!choice->if_symbol || !elf_symbol(elf, choice->if_symbol, &symbol)) {
			*out = choice->value;
			return 0;
		}
	}
	if (!constant->load) {
		snprintf(err, 256, "constant %s: none of its cases applies to this file", constant->name);
		return -ENOENT;
	}
	ret = elf_symbol(elf, constant->load, &symbol);
	if (!ret)
		ret = insn_first_load(elf, symbol.addr, out);
	if (ret) {
		snprintf(err, 256, "constant %s: no load through the first argument in function %s", constant->name,
			 constant->load);
		return ret;
	}
	if (!constant->agree)
		return 0;
	ret = elf_symbol(elf, constant->agree, &symbol);
	if (!ret)
		ret = insn_first_load(elf, symbol.addr, &second);
	if (ret || second != *out) {
		snprintf(err, 256, "constant %s: functions %s and %s do not agree on it", constant->name,
			 constant->load, constant->agree);
		return -EBADMSG;
	}
	return 0;
}

/* needs - which arguments the probe reads */
static struct insn_needs needs(const struct probe_def *probe)
{
	struct insn_needs needs = {0};

	for (size_t i = 0; i < probe->value_cnt; i++) {
		const struct value_def *value = &probe->values[i];

		if (value->kind == VALUE_ARG && value->arg < 6)
			needs.args |= 1u << value->arg;
		else if (value->kind == VALUE_ARG)
			needs.stack = true;
	}
	return needs;
}

static int resolve_symbol(struct spots *out, const struct probe_def *probe, struct source *source, struct arena *mem,
			  char err[static 256])
{
	const struct elf_image *elf = source_elf(source);
	struct elf_symbol symbol;

	for (size_t i = 0; i < probe->symbol_cnt; i++) {
		int ret;

		if (elf_symbol(elf, probe->symbols[i], &symbol))
			continue;
		out->items = arena_alloc(mem, sizeof(*out->items));
		out->items[0].is_return = probe->when == WHEN_RETURN;
		ret =
		    insn_entry_site(elf, symbol.addr, out->items[0].is_return, needs(probe), &out->items[0].site, err);
		if (!ret)
			out->count = 1;
		return ret;
	}
	snprintf(err, 256, "the file has no function %s", probe->symbols[0]);
	return -ESRCH;
}

/* find_callee - address of the function (or its stub) that the calls go to, by the first way that works */
static int find_callee(struct xref_query *query, const struct callee_def *callee, struct source *source,
		       char err[static 256])
{
	const struct elf_image *elf = source_elf(source);
	struct elf_symbol symbol;

	if (callee->import) {
		bool has_stub = !elf_import_stub(elf, callee->import, &query->callee);
		bool has_slot = !elf_import_slot(elf, callee->import, &query->slot);

		if (has_stub || has_slot)
			return 0;
	}
	if (callee->symbol && !elf_symbol(elf, callee->symbol, &symbol)) {
		query->callee = symbol.addr;
		return 0;
	}
	if (!callee->vote_text_cnt) {
		snprintf(err, 256, "the file neither imports nor has the function %s", callee->name);
		return -ESRCH;
	}
	return xref_vote(source->xref, callee->vote_arg, callee->vote_texts, callee->vote_text_cnt, callee->vote_min,
			 &query->callee, err);
}

/* find_constants - all addresses where one of the wanted texts stands */
static void find_constants(struct spots *out, const struct text_match *match, const struct xref *xref,
			   struct arena *mem)
{
	size_t cap = 0;

	out->constant_arg = match->arg;
	for (size_t i = 0; i < match->text_cnt; i++) {
		uint64_t *addrs;
		size_t count;

		if (xref_texts(xref, match->texts[i], match->is_prefix[i], &addrs, &count))
			continue;
		for (size_t k = 0; k < count; k++) {
			out->constants = arena_grow(mem, out->constants, out->constant_cnt, &cap, sizeof(*addrs));
			out->constants[out->constant_cnt++] = addrs[k];
		}
		free(addrs);
	}
}

static int resolve_call(struct spots *out, const struct probe_def *probe, struct source *source, struct arena *mem,
			char err[static 256])
{
	const struct xref *xref = source_xref(source);
	struct xref_query query = {
	    .arg = probe->constant.arg,
	    .texts = probe->constant.texts,
	    .is_prefix = probe->constant.is_prefix,
	    .text_cnt = probe->constant.text_cnt,
	};
	struct xref_site *sites;
	int ret;

	if (!xref) {
		memcpy(err, source->err, 256);
		return -ENOEXEC;
	}
	ret = find_callee(&query, probe->callee, source, err);
	if (ret)
		return ret == -ENOENT ? -ESRCH : ret;
	ret = xref_sites(xref, &query, &sites, &out->count, err);
	if (ret)
		return ret == -ENOENT ? -ESRCH : ret;
	out->items = arena_array(mem, out->count, sizeof(*out->items));
	for (size_t i = 0; i < out->count; i++) {
		out->items[i].site = sites[i].insn;
		out->items[i].is_call = !sites[i].is_tail;
	}
	free(sites);
	if (query.arg >= 0)
		find_constants(out, &probe->constant, xref, mem);
	return 0;
}

int resolve(struct spots *out, const struct probe_def *probe, struct source *source, struct arena *mem,
	    char err[static 256])
{
	const struct elf_image *elf = source_elf(source);
	struct elf_symbol symbol;

	*out = (struct spots){.constant_arg = -1};
	if (!elf) {
		memcpy(err, source->err, 256);
		return -ENOEXEC;
	}
	if ((probe->if_symbol && elf_symbol(elf, probe->if_symbol, &symbol)) ||
	    (probe->unless_symbol && !elf_symbol(elf, probe->unless_symbol, &symbol)))
		return -ENOENT;
	if (probe->where == WHERE_SYMBOL)
		return resolve_symbol(out, probe, source, mem, err);
	return resolve_call(out, probe, source, mem, err);
}
