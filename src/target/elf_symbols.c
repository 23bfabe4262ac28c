/* SPDX-License-Identifier: Apache-2.0 */
/* elf_symbols.c - symbols, imported functions and their PLT stubs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "target/cursor.h"
#include "target/elf_image.h"

void elf_read_symtab(struct elf_image *elf, const Elf64_Shdr *symbols, const Elf64_Shdr *strings)
{
	struct symbol_table *table = &elf->full;
	const unsigned char *names, *bytes;

	if (strings->sh_type != SHT_STRTAB)
		return;
	names = elf_file_bytes(elf, strings->sh_offset, strings->sh_size);
	bytes = elf_file_bytes(elf, symbols->sh_offset, symbols->sh_size);
	if (!names || !bytes)
		return;
	table->symbols = bytes;
	table->count = symbols->sh_size / sizeof(Elf64_Sym);
	table->names = (const char *)names;
	table->names_size = strings->sh_size;
}

/* ---- the dynamic section: symbols, relocations, PLT stubs */

static struct dynamic read_dynamic(const struct elf_image *elf, const Elf64_Phdr *ph)
{
	const unsigned char *bytes = elf_file_bytes(elf, ph->p_offset, ph->p_filesz);
	struct dynamic out = {0};

	for (uint64_t at = 0; bytes && at + sizeof(Elf64_Dyn) <= ph->p_filesz; at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn dyn;

		memcpy(&dyn, bytes + at, sizeof(dyn));
		if (dyn.d_tag == DT_NULL)
			break;
		switch (dyn.d_tag) {
		case DT_SYMTAB:
			out.symtab = dyn.d_un.d_ptr;
			break;
		case DT_STRTAB:
			out.strtab = dyn.d_un.d_ptr;
			break;
		case DT_STRSZ:
			out.strsz = dyn.d_un.d_val;
			break;
		case DT_HASH:
			out.hash = dyn.d_un.d_ptr;
			break;
		case DT_GNU_HASH:
			out.gnu_hash = dyn.d_un.d_ptr;
			break;
		case DT_JMPREL:
			out.jmprel = dyn.d_un.d_ptr;
			break;
		case DT_PLTRELSZ:
			out.pltrelsz = dyn.d_un.d_val;
			break;
		case DT_RELA:
			out.rela = dyn.d_un.d_ptr;
			break;
		case DT_RELASZ:
			out.relasz = dyn.d_un.d_val;
			break;
		case DT_RELR:
			out.relr = dyn.d_un.d_ptr;
			break;
		case DT_RELRSZ:
			out.relrsz = dyn.d_un.d_val;
			break;
		}
	}
	return out;
}

static uint32_t u32_at(const unsigned char *bytes, uint64_t index)
{
	uint32_t value;

	memcpy(&value, bytes + 4 * index, sizeof(value));
	return value;
}

/* gnu_hash_count - number of symbols that a DT_GNU_HASH table covers: the end of the last chain */
static uint64_t gnu_hash_count(const struct elf_image *elf, uint64_t addr)
{
	uint64_t avail, bucket_cnt, first, last = 0, words, at;
	const unsigned char *table = elf_bytes_at(elf, addr, &avail);

	if (!table || avail < 16)
		return 0;
	bucket_cnt = u32_at(table, 0);
	first = u32_at(table, 1);
	words = 4 + 2 * (uint64_t)u32_at(table, 2); /* where the buckets begin */
	if ((words + bucket_cnt) * 4 > avail)
		return 0;
	for (uint64_t i = 0; i < bucket_cnt; i++)
		if (u32_at(table, words + i) > last)
			last = u32_at(table, words + i);
	if (last < first)
		return 0;
	for (at = words + bucket_cnt + (last - first); (at + 1) * 4 <= avail; at++, last++)
		if (u32_at(table, at) & 1)
			return last + 1;
	return 0;
}

static void read_dynamic_symbols(struct elf_image *elf, const struct dynamic *dynamic)
{
	struct symbol_table *table = &elf->dynamic;
	const unsigned char *names = elf_bytes(elf, dynamic->strtab, dynamic->strsz);
	const unsigned char *hash = dynamic->hash ? elf_bytes(elf, dynamic->hash, 8) : NULL;
	uint64_t avail;

	table->symbols = elf_bytes_at(elf, dynamic->symtab, &avail);
	if (!names || !table->symbols)
		return;
	table->names = (const char *)names;
	table->names_size = dynamic->strsz;
	if (dynamic->gnu_hash)
		table->count = gnu_hash_count(elf, dynamic->gnu_hash);
	if (!table->count && hash)
		table->count = u32_at(hash, 1); /* nchain */
	if (table->count > avail / sizeof(Elf64_Sym))
		table->count = avail / sizeof(Elf64_Sym);
}

static const char *symbol_name(const struct symbol_table *table, const Elf64_Sym *sym)
{
	size_t left = sym->st_name < table->names_size ? table->names_size - sym->st_name : 0;

	if (!left || !memchr(table->names + sym->st_name, 0, left < ELF_STRING_MAX ? left : ELF_STRING_MAX))
		return NULL;
	return table->names + sym->st_name;
}

/* add_import - if the relocation fills the slot of an imported function. The symbol's number is checked against the
 * segment only, because hash tables need not count symbols that are not defined. */
static void add_import(struct elf_image *elf, const Elf64_Rela *rela, uint64_t symtab)
{
	uint32_t type = ELF64_R_TYPE(rela->r_info);
	uint64_t index = ELF64_R_SYM(rela->r_info), avail;
	const unsigned char *symbols = elf_bytes_at(elf, symtab, &avail);
	bool is_x86 = elf->machine == EM_X86_64;
	const char *name;
	Elf64_Sym sym;

	if (type != (is_x86 ? R_X86_64_JUMP_SLOT : R_AARCH64_JUMP_SLOT) &&
	    type != (is_x86 ? R_X86_64_GLOB_DAT : R_AARCH64_GLOB_DAT))
		return;
	if (!index || !symbols || index >= avail / sizeof(sym))
		return;
	memcpy(&sym, symbols + index * sizeof(sym), sizeof(sym));
	name = symbol_name(&elf->dynamic, &sym);
	if (!name || (ELF64_ST_TYPE(sym.st_info) != STT_FUNC && ELF64_ST_TYPE(sym.st_info) != STT_NOTYPE))
		return;
	if (elf->import_cnt == elf->import_cap) {
		elf->import_cap = elf->import_cap ? 2 * elf->import_cap : 64;
		elf->imports = xrealloc_array(elf->imports, elf->import_cap, sizeof(*elf->imports));
	}
	elf->imports[elf->import_cnt++] = (struct import){.slot = rela->r_offset, .name = name};
}

static void read_relocations(struct elf_image *elf, uint64_t addr, uint64_t size, uint64_t symtab)
{
	const unsigned char *bytes = size ? elf_bytes(elf, addr, size) : NULL;

	for (uint64_t i = 0; bytes && i < size / sizeof(Elf64_Rela); i++) {
		Elf64_Rela rela;

		memcpy(&rela, bytes + i * sizeof(rela), sizeof(rela));
		add_import(elf, &rela, symtab);
	}
}

static int compare_imports(const void *left, const void *right)
{
	const struct import *a = left, *b = right;

	return (a->slot > b->slot) - (a->slot < b->slot);
}

/* find_stubs - PLT stubs among `range`: at a multiple of 8 [endbr64] [bnd] jmp *slot(%rip)
 * (System V ABI, AMD64 supplement, 5.2; binutils, elf_x86_64_non_lazy_plt and its ibt and bnd variants) */
static void find_stubs(struct elf_image *elf, const struct elf_range *range)
{
	static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	const unsigned char *bytes = elf_bytes(elf, range->addr, range->size);
	uint64_t first = -range->addr & 7;

	for (uint64_t at = first; bytes && at < range->size; at += 8) {
		struct cursor cur = {bytes + at, bytes + range->size, false};
		struct import key, *import;
		int32_t disp;

		if (cur.end - cur.p >= 4 && !memcmp(cur.p, endbr64, 4))
			cur.p += 4;
		if (cur.p < cur.end && *cur.p == 0xf2)
			cur.p++;
		if (take(&cur, 2) != 0x25ff) /* ff 25 */
			continue;
		disp = (int32_t)take(&cur, 4);
		if (cur.failed)
			continue;
		key.slot = range->addr + (uint64_t)(cur.p - bytes) + (uint64_t)(int64_t)disp;
		import = bsearch(&key, elf->imports, elf->import_cnt, sizeof(key), compare_imports);
		if (import && !import->stub)
			import->stub = range->addr + at;
	}
}

static void read_imports(struct elf_image *elf, const struct dynamic *dynamic)
{
	const struct ranges *where = elf->plts.count ? &elf->plts : &elf->texts;

	if (!elf->dynamic.names)
		return;
	read_relocations(elf, dynamic->jmprel, dynamic->pltrelsz, dynamic->symtab);
	read_relocations(elf, dynamic->rela, dynamic->relasz, dynamic->symtab);
	if (!elf->import_cnt || elf->machine != EM_X86_64)
		return;
	qsort(elf->imports, elf->import_cnt, sizeof(*elf->imports), compare_imports);
	for (size_t i = 0; i < where->count; i++)
		find_stubs(elf, &where->items[i]);
}

void elf_read_dynamic(struct elf_image *elf, const Elf64_Phdr *ph)
{
	struct dynamic dynamic = read_dynamic(elf, ph);

	if (dynamic.symtab && dynamic.strtab)
		read_dynamic_symbols(elf, &dynamic);
	read_imports(elf, &dynamic);
	elf_read_pointers(elf, &dynamic);
}

/* ---- symbols by name */

/* name_is - is the name at `offset` this one, perhaps with a version behind it (f@V, f@@V)? */
static bool name_is(const struct symbol_table *table, uint32_t offset, const char *name, size_t len)
{
	const char *text = table->names + offset;

	if (offset >= table->names_size || table->names_size - offset <= len || memcmp(text, name, len))
		return false;
	return text[len] == '\0' || text[len] == '@';
}

/* find - the symbol of this name that `is_wanted`. One that is global is the only one of its name; of several local
 * ones nobody knows which is meant, so that is none. */
static bool find(const struct elf_image *elf, const struct symbol_table *table, const char *name,
		 bool (*is_wanted)(const struct elf_image *elf, const Elf64_Sym *sym), struct elf_symbol *out)
{
	size_t len = strlen(name), local_cnt = 0;

	for (size_t i = 0; i < table->count; i++) {
		Elf64_Sym sym;
		bool is_local;

		memcpy(&sym, table->symbols + i * sizeof(sym), sizeof(sym));
		if (sym.st_shndx == SHN_UNDEF || sym.st_shndx == SHN_ABS || !name_is(table, sym.st_name, name, len) ||
		    !is_wanted(elf, &sym))
			continue;
		is_local = ELF64_ST_BIND(sym.st_info) == STB_LOCAL;
		if (is_local && local_cnt && sym.st_value == out->addr)
			continue;
		local_cnt += is_local;
		*out = (struct elf_symbol){.addr = sym.st_value, .size = sym.st_size};
		if (!is_local)
			return true;
	}
	return local_cnt == 1;
}

static bool find_anywhere(const struct elf_image *elf, const char *name,
			  bool (*is_wanted)(const struct elf_image *elf, const Elf64_Sym *sym), struct elf_symbol *out)
{
	struct elf_symbol found = {0};

	if (!find(elf, &elf->debug, name, is_wanted, &found) && !find(elf, &elf->dynamic, name, is_wanted, &found) &&
	    !find(elf, &elf->full, name, is_wanted, &found))
		return false;
	*out = found;
	return true;
}

static bool is_code_symbol(const struct elf_image *elf, const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);

	return (type == STT_FUNC || type == STT_NOTYPE) &&
	       elf_is_code(elf, sym->st_value, sym->st_size ? sym->st_size : 1);
}

int elf_symbol(const struct elf_image *elf, const char *name, struct elf_symbol *out)
{
	return find_anywhere(elf, name, is_code_symbol, out) ? 0 : -ENOENT;
}

/* is_data_symbol - is the symbol a variable, all of it in memory that is no code? */
static bool is_data_symbol(const struct elf_image *elf, const Elf64_Sym *sym)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);
	uint64_t size = sym->st_size ? sym->st_size : 1;

	if (type != STT_OBJECT && type != STT_COMMON && type != STT_NOTYPE)
		return false;
	for (size_t i = 0; i < elf->load_cnt; i++) {
		const struct load *load = &elf->loads[i];

		if (sym->st_value >= load->addr && sym->st_value - load->addr < load->memory_size)
			return !(load->flags & PF_X) && size <= load->memory_size - (sym->st_value - load->addr);
	}
	return false;
}

int elf_data_symbol(const struct elf_image *elf, const char *name, uint64_t *addr)
{
	struct elf_symbol symbol;

	if (!find_anywhere(elf, name, is_data_symbol, &symbol))
		return -ENOENT;
	*addr = symbol.addr;
	return 0;
}

bool elf_exports(const struct elf_image *elf, uint64_t addr)
{
	for (size_t i = 0; i < elf->dynamic.count; i++) {
		Elf64_Sym sym;

		memcpy(&sym, elf->dynamic.symbols + i * sizeof(sym), sizeof(sym));
		if (sym.st_value == addr && sym.st_shndx != SHN_UNDEF)
			return true;
	}
	return false;
}

int elf_import_stub(const struct elf_image *elf, const char *name, uint64_t *addr)
{
	for (size_t i = 0; i < elf->import_cnt; i++) {
		if (!elf->imports[i].stub || strcmp(elf->imports[i].name, name))
			continue;
		*addr = elf->imports[i].stub;
		return 0;
	}
	return -ENOENT;
}

int elf_import_slot(const struct elf_image *elf, const char *name, uint64_t *addr)
{
	for (size_t i = 0; i < elf->import_cnt; i++) {
		if (strcmp(elf->imports[i].name, name))
			continue;
		*addr = elf->imports[i].slot;
		return 0;
	}
	return -ENOENT;
}
