/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h - owns the reading of one ELF file: segments, symbols, imports, function bounds, strings.
 * It works on a private copy of the file's bytes, so that a file changed or truncated meanwhile can do no harm,
 * and believes nothing that the file says without a check. It knows no instruction and no mail server.
 * Addresses are the file's own (ELF vaddr); file offsets are what uprobes want. */
#ifndef MAILGAUGE_ELF_H
#define MAILGAUGE_ELF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_image;

#define ELF_FILE_MAX     ((size_t)512 << 20)
#define ELF_BUILD_ID_MAX 64 /* bytes; a longer one is taken for none */
#define ELF_STRING_MAX   4096

struct elf_symbol {
	uint64_t addr, size;
};

struct elf_range {
	uint64_t addr, size;
};

/* elf_open_fd - read the whole file behind `fd` (which stays open). 0, or -errno with a reason in err:
 * -ENOEXEC no ELF executable or library of a machine we know, -EFBIG larger than ELF_FILE_MAX, -EBADMSG broken. */
int elf_open_fd(struct elf_image **out, int fd, char err[static 256]);
/* elf_open_mem - the same for bytes in memory, which are copied */
int elf_open_mem(struct elf_image **out, const void *data, size_t size, char err[static 256]);
void elf_free(struct elf_image **elf);

/* elf_machine - EM_X86_64 or EM_AARCH64 */
unsigned elf_machine(const struct elf_image *elf);
/* elf_is_fixed - runs at the very addresses of the file, so that an immediate in code can be an address */
bool elf_is_fixed(const struct elf_image *elf);
/* elf_build_id - lower-case hexadecimal, "" when the file has none; owned by the image */
const char *elf_build_id(const struct elf_image *elf);

/* elf_symbol - a defined symbol of a separate debug file (elf_debug.h), of .dynsym, else of .symtab, with or without a
 * version behind its name; 0 or -ENOENT. A name that several local functions share is none.
 * An IFUNC or a symbol that is not all in code is -ENOENT as well: there is nothing to probe. */
int elf_symbol(const struct elf_image *elf, const char *name, struct elf_symbol *out);
/* elf_import_stub - address of the PLT stub (.plt, .plt.sec, .plt.got) that calls the imported function, also one
 * that the file itself defines; 0 or -ENOENT. A stub is found by its jump through the slot of the relocation, not
 * by its place. x86-64 only. */
int elf_import_stub(const struct elf_image *elf, const char *name, uint64_t *addr);
/* elf_import_slot - address of the .got slot of an imported function (for `call *slot(%rip)`); 0 or -ENOENT */
int elf_import_slot(const struct elf_image *elf, const char *name, uint64_t *addr);

/* elf_data_symbol - the same for a variable; 0 or -ENOENT. Thread-local ones have no address in the file's view and are
 * -ENOENT as well. */
int elf_data_symbol(const struct elf_image *elf, const char *name, uint64_t *addr);
/* elf_exports - is there a defined symbol of .dynsym at this address? */
bool elf_exports(const struct elf_image *elf, uint64_t addr);

/* A word of 8 bytes that holds an address when the program starts. */
struct elf_pointer {
	uint64_t place, value;
};
/* elf_pointers - those that relocations make (R_X86_64_RELATIVE, .relr.dyn, R_X86_64_64 of a symbol that is defined
 * here); in a file that is not moved, each aligned word of data that is an address within the file. By place, each
 * once; owned by the image. None when the file has more than it has room for. */
const struct elf_pointer *elf_pointers(const struct elf_image *elf, size_t *count);

/* elf_text - the executable sections (or segments, when there are no section headers), disjoint, by address.
 * Returns how many there are; range number `i` is filled in when i is below that. */
size_t elf_text(const struct elf_image *elf, size_t i, struct elf_range *out);
/* elf_functions - bounds of all functions by .eh_frame, disjoint, by address; owned by the image.
 * Parts that the compiler split off (.cold) and PLT sections appear as functions of their own. Where .eh_frame tells
 * of less than half of a range of elf_text, each stretch that it leaves out counts as one function. */
const struct elf_range *elf_functions(const struct elf_image *elf, size_t *count);
/* elf_function_at - the function that contains `addr`; 0 or -ENOENT */
int elf_function_at(const struct elf_image *elf, uint64_t addr, struct elf_range *out);
/* elf_is_gap - is `addr` in one of the stretches that .eh_frame leaves out? Where functions begin there is not known.
 */
bool elf_is_gap(const struct elf_image *elf, uint64_t addr);
/* elf_is_part - does .eh_frame show that the function there is a part that was split off another one? */
bool elf_is_part(const struct elf_image *elf, uint64_t addr);
/* elf_is_plt - is `addr` a PLT stub, by its section, or without section headers by what it does? */
bool elf_is_plt(const struct elf_image *elf, uint64_t addr);

/* elf_bytes - pointer to `size` bytes at address `addr`, or NULL when they are not all in the file */
const unsigned char *elf_bytes(const struct elf_image *elf, uint64_t addr, size_t size);
/* elf_string - the NUL-terminated text of at most ELF_STRING_MAX bytes that stands outside of code at `addr` when the
 * program starts, or NULL */
const char *elf_string(const struct elf_image *elf, uint64_t addr);
/* elf_offset - file offset of an address in code; 0 or -ENOENT */
int elf_offset(const struct elf_image *elf, uint64_t addr, uint64_t *offset);

#endif
