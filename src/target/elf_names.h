/* SPDX-License-Identifier: Apache-2.0 */
/* elf_names.h - owns the listing of what a file has names for. Everything else asks by name (elf.h). */
#ifndef MAILGAUGE_ELF_NAMES_H
#define MAILGAUGE_ELF_NAMES_H
#include "target/elf.h"

struct elf_import_name {
	const char *name;
	uint64_t slot, stub; /* stub 0: none */
};

struct elf_symbol_name {
	const char *name;
	uint64_t addr;
	bool is_function; /* else a variable */
};

/* elf_import_name - import number `i`, by the addresses of their slots. 0, or -ENOENT: there are no more. Names are
 * owned by the image, and have no other characters than those of C's and linkers' names; others are "?". */
int elf_import_name(const struct elf_image *elf, size_t i, struct elf_import_name *out);
/* elf_symbol_name - the first symbol from number `*i` on, of .dynsym and then of .symtab, that is a function or
 * variable of this file; *i is moved behind it. 0 or -ENOENT. */
int elf_symbol_name(const struct elf_image *elf, size_t *i, struct elf_symbol_name *out);

#endif
