/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-elf.c - any bytes as a server's file, or its debug file: reading, decoding, recipes and sites must neither crash
 * nor hang, and whatever they find must be a place that passes the check by itself. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/elf_debug.h"
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

static void check_function(const struct elf_image *elf, const struct xref *xref, uint64_t addr)
{
	struct elf_range range;

	if (!xref_function_size(xref, addr) || elf_function_at(elf, addr, &range) || range.addr != addr)
		abort();
}

static void find_functions(const struct elf_image *elf, const struct xref *xref)
{
	static const char *const texts[] = {"shared: %s\n", "second: %s\n", "plain", "shared", "second"};
	static const char *const rows[] = {"first driver", "second driver", "", "plain"};
	uint64_t addr;
	char err[256];

	for (size_t i = 0; i < 5; i++) {
		if (!xref_uses(xref, texts + i, 1, texts, i, &addr, err))
			check_function(elf, xref, addr);
		if (i && !xref_uses(xref, texts + i - 1, 2, NULL, 0, &addr, err))
			check_function(elf, xref, addr);
	}
	for (size_t i = 0; i < 4; i++)
		for (unsigned slot = 1; slot < 5; slot++)
			if (!xref_table(xref, rows[i], slot, &addr, err))
				check_function(elf, xref, addr);
}

static void ask_numbers(const struct elf_image *elf, const struct xref *xref)
{
	static const int64_t numbers[] = {5, 0, -1};
	struct xref_query query = {.numbers = numbers, .number_cnt = 3};
	size_t count;
	const struct elf_range *functions = elf_functions(elf, &count);

	elf_import_stub(elf, "puts", &query.callee);
	check_sites(elf, xref, &query);
	for (size_t i = 0; i < count && i < 16; i++) {
		query.callee = functions[i].addr;
		check_sites(elf, xref, &query);
	}
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

/* read_debug - the file as its own debug file */
static void read_debug(struct elf_image *elf, const uint8_t *data, size_t size)
{
	int fd = memfd_create("debug", MFD_CLOEXEC);
	char err[256];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	elf_debug_read(elf, fd, err);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image *elf;
	struct elf_symbol symbol;
	struct xref *xref;
	char err[256];

	if (elf_open_mem(&elf, data, size, err))
		return 0;
	read_debug(elf, data, size);
	elf_symbol(elf, "reply", &symbol);
	elf_data_symbol(elf, "errors", &symbol.addr);
	probe(elf);
	if (!xref_new(&xref, elf, err)) {
		ask(elf, xref);
		find_functions(elf, xref);
		ask_numbers(elf, xref);
		xref_free(&xref);
	}
	elf_free(&elf);
	return 0;
}
