/* SPDX-License-Identifier: Apache-2.0 */
/* elf_image.h - owns the inside of struct elf_image, for elf.c (headers, bytes, functions), elf_symbols.c (symbols,
 * imports, PLT stubs), elf_pointers.c (constant pointers in data), elf_debug.c (separate debug files) and elf_names.c
 * (lists of names); private to these. */
#ifndef MAILGAUGE_ELF_IMAGE_H
#define MAILGAUGE_ELF_IMAGE_H
#include <elf.h>

#include "target/elf.h"

#define LOADS_MAX 64

struct load {
	uint64_t addr, size, offset; /* the part that is in the file */
	uint32_t flags;
	uint64_t memory_size; /* with the part that is zeroed */
};

struct symbol_table {
	const unsigned char *symbols; /* Elf64_Sym, perhaps not aligned */
	size_t count;
	const char *names;
	size_t names_size;
};

struct import {
	uint64_t slot, stub; /* stub 0: none */
	const char *name;
};

struct ranges {
	struct elf_range *items;
	size_t count, cap;
};

struct elf_image {
	unsigned char *data;
	size_t size;
	unsigned machine;
	bool is_fixed;
	struct load loads[LOADS_MAX];
	size_t load_cnt;
	struct symbol_table dynamic, full, debug; /* debug: of a separate debug file */
	unsigned char *debug_data;
	const char *debug_link; /* name of the debug file by .gnu_debuglink, NULL none */
	uint32_t debug_crc;     /* its checksum */
	struct import *imports; /* by slot */
	size_t import_cnt, import_cap;
	struct ranges texts, plts, functions, gaps, parts; /* gaps and parts are functions, too */
	struct elf_pointer *pointers;                      /* by place */
	size_t pointer_cnt, pointer_cap;
	struct elf_range eh_frame; /* by its section header; size 0: none */
	char build_id[2 * ELF_BUILD_ID_MAX + 1];
};

/* elf_file_bytes - the `size` bytes at a file offset, or NULL when they are not all there */
const unsigned char *elf_file_bytes(const struct elf_image *elf, uint64_t offset, uint64_t size);
/* elf_bytes_at - what stands at `addr`, with the number of bytes up to the segment's end in *size; or NULL */
const unsigned char *elf_bytes_at(const struct elf_image *elf, uint64_t addr, uint64_t *size);
/* elf_is_code - are these bytes all in the file and in one executable segment? */
bool elf_is_code(const struct elf_image *elf, uint64_t addr, uint64_t size);

/* elf_notes_build_id - the build id that these notes have, in hexadecimal; `id` is left as it is when they have none */
void elf_notes_build_id(char id[static 2 * ELF_BUILD_ID_MAX + 1], const unsigned char *notes, size_t size);

/* elf_read_symtab - take over the symbols of a section of type SHT_SYMTAB */
void elf_read_symtab(struct elf_image *elf, const Elf64_Shdr *symbols, const Elf64_Shdr *strings);
/* What the dynamic section says; nothing of it is checked. */
struct dynamic {
	uint64_t symtab, strtab, strsz, hash, gnu_hash, jmprel, pltrelsz, rela, relasz, relr, relrsz;
};

/* elf_read_pointers - needs the ranges of code and the symbols */
void elf_read_pointers(struct elf_image *elf, const struct dynamic *dynamic);
/* elf_read_dynamic - symbols, imports and pointers by the dynamic section; needs the ranges of code */
void elf_read_dynamic(struct elf_image *elf, const Elf64_Phdr *dynamic);

#endif
