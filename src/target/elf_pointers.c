/* SPDX-License-Identifier: Apache-2.0 */
/* elf_pointers.c - constant pointers in data. A file that is moved names them in relocations, as the loader must
 * correct them; in one that is not moved they are plain words. Each word of the file is counted once at most, so
 * that a small file cannot make a long list. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "target/elf_image.h"

#define POINTERS_MAX ((size_t)1 << 22)

/* Limit that no honest file reaches: an eighth of its bytes */
static bool is_full(const struct elf_image *elf)
{
	return elf->pointer_cnt > elf->size / sizeof(uint64_t) || elf->pointer_cnt > POINTERS_MAX;
}

static bool word_at(const struct elf_image *elf, uint64_t addr, uint64_t *word)
{
	const unsigned char *bytes = elf_bytes(elf, addr, sizeof(*word));

	if (bytes)
		memcpy(word, bytes, sizeof(*word));
	return bytes != NULL;
}

/* add_pointer - if both the place and what it points at are in the file, and the place is no code */
static void add_pointer(struct elf_image *elf, uint64_t place, uint64_t value)
{
	if (is_full(elf) || !elf_bytes(elf, place, sizeof(uint64_t)) || elf_is_code(elf, place, 1) ||
	    !elf_bytes(elf, value, 1))
		return;
	if (elf->pointer_cnt == elf->pointer_cap) {
		elf->pointer_cap = elf->pointer_cap ? 2 * elf->pointer_cap : 256;
		elf->pointers = xrealloc_array(elf->pointers, elf->pointer_cap, sizeof(*elf->pointers));
	}
	elf->pointers[elf->pointer_cnt++] = (struct elf_pointer){place, value};
}

/* symbol_value - of a symbol that this file defines; 0 none. The number is checked against the segment only. */
static uint64_t symbol_value(const struct elf_image *elf, uint64_t symtab, uint64_t index)
{
	uint64_t avail;
	const unsigned char *symbols = elf_bytes_at(elf, symtab, &avail);
	Elf64_Sym sym;

	if (!symbols || index >= avail / sizeof(sym))
		return 0;
	memcpy(&sym, symbols + index * sizeof(sym), sizeof(sym));
	return sym.st_shndx == SHN_UNDEF || sym.st_shndx == SHN_ABS ? 0 : sym.st_value;
}

static void read_rela(struct elf_image *elf, const struct dynamic *dynamic)
{
	bool is_x86 = elf->machine == EM_X86_64;
	uint32_t relative = is_x86 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;
	uint32_t absolute = is_x86 ? R_X86_64_64 : R_AARCH64_ABS64;
	const unsigned char *bytes = dynamic->relasz ? elf_bytes(elf, dynamic->rela, dynamic->relasz) : NULL;

	for (uint64_t i = 0; bytes && i < dynamic->relasz / sizeof(Elf64_Rela) && !is_full(elf); i++) {
		Elf64_Rela rela;
		uint64_t base;

		memcpy(&rela, bytes + i * sizeof(rela), sizeof(rela));
		if (ELF64_R_TYPE(rela.r_info) == relative) {
			add_pointer(elf, rela.r_offset, (uint64_t)rela.r_addend);
		} else if (ELF64_R_TYPE(rela.r_info) == absolute) {
			base = symbol_value(elf, dynamic->symtab, ELF64_R_SYM(rela.r_info));
			if (base)
				add_pointer(elf, rela.r_offset, base + (uint64_t)rela.r_addend);
		}
	}
}

static void add_relr(struct elf_image *elf, uint64_t place)
{
	uint64_t value;

	if (word_at(elf, place, &value))
		add_pointer(elf, place, value);
}

/* read_relr - gABI, "SHT_RELR": an even entry is a place; an odd one has a bit for each of the 63 words that follow */
static void read_relr(struct elf_image *elf, const struct dynamic *dynamic)
{
	const unsigned char *bytes = dynamic->relrsz ? elf_bytes(elf, dynamic->relr, dynamic->relrsz) : NULL;
	uint64_t next = 0;

	for (uint64_t i = 0; bytes && i < dynamic->relrsz / sizeof(uint64_t) && !is_full(elf); i++) {
		uint64_t entry;

		memcpy(&entry, bytes + i * sizeof(entry), sizeof(entry));
		if (!(entry & 1)) {
			add_relr(elf, entry);
			next = entry + sizeof(uint64_t);
			continue;
		}
		for (unsigned bit = 1; bit < 64; bit++)
			if (entry >> bit & 1)
				add_relr(elf, next + (bit - 1) * sizeof(uint64_t));
		next += 63 * sizeof(uint64_t);
	}
}

static void read_words(struct elf_image *elf)
{
	for (size_t i = 0; i < elf->load_cnt; i++) {
		const struct load *load = &elf->loads[i];
		uint64_t at = -load->addr & 7, word;

		if (load->flags & PF_X)
			continue;
		for (; at < load->size && load->size - at >= sizeof(word) && !is_full(elf); at += sizeof(word))
			if (word_at(elf, load->addr + at, &word) && word)
				add_pointer(elf, load->addr + at, word);
	}
}

static int compare_pointers(const void *left, const void *right)
{
	const struct elf_pointer *a = left, *b = right;

	if (a->place != b->place)
		return a->place < b->place ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

void elf_read_pointers(struct elf_image *elf, const struct dynamic *dynamic)
{
	size_t kept = 0;

	read_rela(elf, dynamic);
	read_relr(elf, dynamic);
	if (elf->is_fixed)
		read_words(elf);
	if (is_full(elf))
		elf->pointer_cnt = 0;
	if (elf->pointer_cnt)
		qsort(elf->pointers, elf->pointer_cnt, sizeof(*elf->pointers), compare_pointers);
	for (size_t i = 0; i < elf->pointer_cnt; i++)
		if (!kept || elf->pointers[kept - 1].place != elf->pointers[i].place)
			elf->pointers[kept++] = elf->pointers[i];
	elf->pointer_cnt = kept;
}

const struct elf_pointer *elf_pointers(const struct elf_image *elf, size_t *count)
{
	*count = elf->pointer_cnt;
	return elf->pointers;
}
