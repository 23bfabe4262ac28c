/* SPDX-License-Identifier: Apache-2.0 */
#include "target/elf_names.h"

#include <errno.h>
#include <string.h>

#include "target/elf_image.h"

#define NAME_MAX_BYTES 255 /* of a name that the catalog can have */

static bool is_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$@");

	return len && len <= NAME_MAX_BYTES && !name[len];
}

int elf_import_name(const struct elf_image *elf, size_t i, struct elf_import_name *out)
{
	const struct import *import;

	if (i >= elf->import_cnt)
		return -ENOENT;
	import = &elf->imports[i];
	*out = (struct elf_import_name){is_name(import->name) ? import->name : "?", import->slot, import->stub};
	return 0;
}

/* take_symbol - false when it is none of those that are listed */
static bool take_symbol(const struct symbol_table *table, size_t i, struct elf_symbol_name *out)
{
	unsigned type;
	Elf64_Sym sym;
	size_t left;

	memcpy(&sym, table->symbols + i * sizeof(sym), sizeof(sym));
	type = ELF64_ST_TYPE(sym.st_info);
	left = sym.st_name < table->names_size ? table->names_size - sym.st_name : 0;
	if (sym.st_shndx == SHN_UNDEF || sym.st_shndx == SHN_ABS || (type != STT_FUNC && type != STT_OBJECT))
		return false;
	if (!left || !memchr(table->names + sym.st_name, 0, left))
		return false;
	*out = (struct elf_symbol_name){table->names + sym.st_name, sym.st_value, type == STT_FUNC};
	return is_name(out->name);
}

int elf_symbol_name(const struct elf_image *elf, size_t *i, struct elf_symbol_name *out)
{
	while (*i < elf->dynamic.count + elf->full.count) {
		size_t at = (*i)++;
		bool is_dynamic = at < elf->dynamic.count;

		if (is_dynamic ? take_symbol(&elf->dynamic, at, out)
			       : take_symbol(&elf->full, at - elf->dynamic.count, out))
			return 0;
	}
	return -ENOENT;
}
