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

int resolve_place(uint64_t *out, const char *symbol, struct source *source, char err[static 256])
{
	const struct elf_image *elf = source_elf(source);
	int ret = elf ? elf_data_symbol(elf, symbol, out) : -ENOENT;

	if (ret)
		snprintf(err, 256, "the file has no variable %s", symbol);
	return ret ? -ESRCH : 0;
}

/* needs - which arguments the probe reads */
static struct insn_needs needs(const struct probe_def *probe)
{
	struct insn_needs needs = {0};

	if (probe->constant.arg >= 0)
		needs.args |= 1u << probe->constant.arg;
	for (size_t i = 0; i < probe->value_cnt; i++) {
		const struct value_def *value = &probe->values[i];

		if (value->kind == VALUE_ARG && value->arg < 6)
			needs.args |= 1u << value->arg;
		else if (value->kind == VALUE_ARG)
			needs.stack = true;
	}
	return needs;
}

/* find_symbol - address of the first of these functions that the file has; 0 or -ENOENT */
static int find_symbol(const struct elf_image *elf, const char **names, size_t count, uint64_t *addr)
{
	struct elf_symbol symbol;

	for (size_t i = 0; i < count; i++)
		if (!elf_symbol(elf, names[i], &symbol)) {
			*addr = symbol.addr;
			return 0;
		}
	return -ENOENT;
}

/* check_size - has the function that was found by its texts a size that it can have? */
static int check_size(const struct function_def *function, const struct xref *xref, uint64_t addr, char err[static 256])
{
	uint64_t size = xref_function_size(xref, addr);

	if (!function->size_max || (size >= function->size_min && size <= function->size_max))
		return 0;
	snprintf(err, 256, "function %s: what was found at 0x%llx has %llu bytes, not %llu to %llu", function->name,
		 (unsigned long long)addr, (unsigned long long)size, (unsigned long long)function->size_min,
		 (unsigned long long)function->size_max);
	return -EBADMSG;
}

/* find_by_texts - a function without a name, by the first way that works; the reason is that of the last one */
static int find_by_texts(const struct function_def *function, struct source *source, uint64_t *addr,
			 char err[static 256])
{
	const struct xref *xref = source_xref(source);
	int ret = -ESRCH;

	if (!xref) {
		memcpy(err, source->err, 256);
		return -ENOEXEC;
	}
	if (function->vote_text_cnt)
		ret = xref_vote(xref, function->vote_arg, function->vote_texts, function->vote_text_cnt,
				function->vote_min, addr, err);
	if (ret && function->use_text_cnt)
		ret = xref_uses(xref, function->use_texts, function->use_text_cnt, function->without_texts,
				function->without_text_cnt, addr, err);
	if (ret && function->table_text)
		ret = xref_table(xref, function->table_text, function->table_slot, addr, err);
	return ret ? ret : check_size(function, xref, *addr, err);
}

/* check_recorded - where somebody has looked at this very build, what was found must be what he found */
static int check_recorded(const struct function_def *function, const struct elf_image *elf, uint64_t addr,
			  char err[static 256])
{
	for (size_t i = 0; i < function->recorded_cnt; i++) {
		const struct recorded_def *recorded = &function->recorded[i];

		if (strcmp(recorded->build_id, elf_build_id(elf)) != 0 || recorded->addr == addr)
			continue;
		snprintf(err, 256, "function %s: found at 0x%llx, but recorded at 0x%llx for this build",
			 function->name, (unsigned long long)addr, (unsigned long long)recorded->addr);
		return -EBADMSG;
	}
	return 0;
}

/* find_function - address of the function itself; 0 or -errno with a sentence in err */
static int find_function(const struct function_def *function, struct source *source, uint64_t *addr,
			 char err[static 256])
{
	const struct elf_image *elf = source_elf(source);
	bool has_texts = function->vote_text_cnt || function->use_text_cnt || function->table_text;
	int ret = find_symbol(elf, function->symbols, function->symbol_cnt, addr);

	if (ret && has_texts)
		ret = find_by_texts(function, source, addr, err);
	else if (ret)
		snprintf(err, 256, "the file %s the function %s",
			 function->import ? "neither imports nor has" : "has not", function->name);
	if (!ret)
		ret = check_recorded(function, elf, *addr, err);
	return ret == -ENOENT ? -ESRCH : ret;
}

/* find_callee - address of the function (or its stub) that the calls go to, by the first way that works */
static int find_callee(struct xref_query *query, const struct function_def *function, struct source *source,
		       char err[static 256])
{
	const struct elf_image *elf = source_elf(source);

	if (function->import) {
		bool has_stub = !elf_import_stub(elf, function->import, &query->callee);
		bool has_slot = !elf_import_slot(elf, function->import, &query->slot);

		if (has_stub || has_slot)
			return 0;
	}
	return find_function(function, source, &query->callee, err);
}

/* find_entry - address of the function, or of the stub, that the probe is in */
static int find_entry(const struct probe_def *probe, struct source *source, uint64_t *addr, char err[static 256])
{
	const struct elf_image *elf = source_elf(source);
	int ret;

	if (probe->where == WHERE_FUNCTION)
		return find_function(probe->function, source, addr, err);
	if (probe->where == WHERE_SYMBOL) {
		ret = find_symbol(elf, probe->symbols, probe->symbol_cnt, addr);
		if (ret)
			snprintf(err, 256, "the file has no function %s", probe->symbols[0]);
	} else {
		ret = elf_import_stub(elf, probe->symbols[0], addr);
		if (ret)
			snprintf(err, 256, "the file has no stub for an imported function %s", probe->symbols[0]);
	}
	return ret == -ENOENT ? -ESRCH : ret;
}

/* find_constants - the wanted numbers, or all addresses where one of the wanted texts stands */
static void find_constants(struct spots *out, const struct constant_match *match, const struct xref *xref,
			   struct arena *mem)
{
	size_t cap = 0;

	out->constant_arg = match->arg;
	out->is_number = match->number_cnt;
	for (size_t i = 0; i < match->number_cnt; i++) {
		out->constants = arena_grow(mem, out->constants, out->constant_cnt, &cap, sizeof(*out->constants));
		out->constants[out->constant_cnt++] = (uint32_t)match->numbers[i];
	}
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

/* resolve_entry - at the beginning or the end of a function or a stub */
static int resolve_entry(struct spots *out, const struct probe_def *probe, struct source *source, struct arena *mem,
			 char err[static 256])
{
	const struct xref *xref;
	struct spot *spot = arena_alloc(mem, sizeof(*spot));
	uint64_t addr;
	int ret = find_entry(probe, source, &addr, err);

	spot->is_return = probe->when == WHEN_RETURN;
	if (!ret)
		ret = insn_entry_site(source_elf(source), addr, spot->is_return, needs(probe), &spot->site, err);
	if (ret)
		return ret;
	out->items = spot;
	out->count = 1;
	if (probe->constant.arg < 0)
		return 0;
	xref = source_xref(source);
	if (!xref) {
		memcpy(err, source->err, 256);
		return -ENOEXEC;
	}
	find_constants(out, &probe->constant, xref, mem);
	if (!out->constant_cnt) {
		snprintf(err, 256, "the file has none of the texts of arg%d", probe->constant.arg);
		return -ESRCH;
	}
	return 0;
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
	    .numbers = probe->constant.numbers,
	    .number_cnt = probe->constant.number_cnt,
	};
	struct xref_site *sites;
	int ret;

	if (!xref) {
		memcpy(err, source->err, 256);
		return -ENOEXEC;
	}
	ret = find_callee(&query, probe->function, source, err);
	if (ret)
		return ret;
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
	if (probe->where == WHERE_CALL)
		return resolve_call(out, probe, source, mem, err);
	return resolve_entry(out, probe, source, mem, err);
}
