/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-elf.c - any bytes as a server's file: reading, decoding, votes and sites must neither crash nor hang, and
 * whatever they find must be a place that passes the check by itself. */
#include <stdint.h>
#include <stdlib.h>

#include "target/xref.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sites(const struct elf_image *elf, const struct xref *xref, const struct xref_query *query)
{
	struct xref_site *sites;
	struct insn_site site;
	size_t count;
	char err[256];

	if (xref_sites(xref, query, &sites, &count, err))
		return;
	for (size_t i = 0; i < count; i++)
		if (insn_check_site(elf, sites[i].insn.addr, &site, err))
			abort();
	free(sites);
}

static void ask(const struct elf_image *elf, const struct xref *xref)
{
	static const char *const texts[] = {"", "first vote", "250 hello %s", "plain"};
	static const bool is_prefix[] = {true, false, false, true};
	struct xref_query query = {.texts = texts, .is_prefix = is_prefix, .text_cnt = 4};
	uint64_t *addrs;
	size_t count;
	char err[256];

	if (!xref_texts(xref, "", true, &addrs, &count)) {
		if (!elf_string(elf, addrs[count - 1]))
			abort();
		free(addrs);
	}
	elf_import_stub(elf, "report", &query.callee);
	elf_import_slot(elf, "report", &query.slot);
	check_sites(elf, xref, &query);
	for (query.arg = 0; query.arg < 6; query.arg++)
		if (!xref_vote(xref, query.arg, texts + 1, 3, 1, &query.callee, err))
			check_sites(elf, xref, &query);
	query.arg = -1;
	check_sites(elf, xref, &query);
}

static void probe(const struct elf_image *elf)
{
	size_t count;
	const struct elf_range *functions = elf_functions(elf, &count);

	for (size_t i = 0; i < count && i < 16; i++) {
		struct insn_site site;
		int64_t load;
		char err[256];

		insn_check_site(elf, functions[i].addr + functions[i].size / 2, &site, err);
		insn_first_load(elf, functions[i].addr, &load);
		for (unsigned k = 0; k < 4; k++)
			if (!insn_entry_site(elf, functions[i].addr, k & 1, (struct insn_needs){k, k & 2}, &site,
					     err) &&
			    insn_check_site(elf, site.addr, &site, err))
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image *elf;
	struct elf_symbol symbol;
	struct xref *xref;
	char err[256];

	if (elf_open_mem(&elf, data, size, err))
		return 0;
	elf_symbol(elf, "reply", &symbol);
	probe(elf);
	if (!xref_new(&xref, elf, err)) {
		ask(elf, xref);
		xref_free(&xref);
	}
	elf_free(&elf);
	return 0;
}
