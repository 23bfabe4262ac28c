/* SPDX-License-Identifier: Apache-2.0 */
/* elf.c - what the loader itself uses is believed first: program headers and the dynamic section. Section headers
 * may be missing or lie; they only add (.symtab) or narrow down (which part of a segment is code).
 * The headers are read here and not by a library, because each offset, size and count must be checked against the
 * bytes that there are in any case, and then little is left to do. */
#include "target/elf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "target/cursor.h"
#include "target/eh_frame.h"
#include "target/elf_image.h"

/* ---- bytes, by file offset and by address */

const unsigned char *elf_file_bytes(const struct elf_image *elf, uint64_t offset, uint64_t size)
{
	if (offset > elf->size || size > elf->size - offset)
		return NULL;
	return elf->data + offset;
}

static bool file_read(const struct elf_image *elf, uint64_t offset, void *out, size_t size)
{
	const unsigned char *bytes = elf_file_bytes(elf, offset, size);

	if (bytes)
		memcpy(out, bytes, size);
	return bytes != NULL;
}

static const struct load *load_at(const struct elf_image *elf, uint64_t addr)
{
	for (size_t i = 0; i < elf->load_cnt; i++)
		if (addr >= elf->loads[i].addr && addr - elf->loads[i].addr < elf->loads[i].size)
			return &elf->loads[i];
	return NULL;
}

/* bytes_at - pointer to what stands at `addr`, with the number of bytes up to the segment's end in *size */
const unsigned char *elf_bytes_at(const struct elf_image *elf, uint64_t addr, uint64_t *size)
{
	const struct load *load = load_at(elf, addr);

	if (!load)
		return NULL;
	*size = load->size - (addr - load->addr);
	return elf->data + load->offset + (addr - load->addr);
}

const unsigned char *elf_bytes(const struct elf_image *elf, uint64_t addr, size_t size)
{
	uint64_t avail;
	const unsigned char *bytes = elf_bytes_at(elf, addr, &avail);

	return bytes && size <= avail ? bytes : NULL;
}

/* is_code - are these bytes all in the file and in one executable segment? */
bool elf_is_code(const struct elf_image *elf, uint64_t addr, uint64_t size)
{
	const struct load *load = load_at(elf, addr);

	return load && load->flags & PF_X && size <= load->size - (addr - load->addr);
}

int elf_offset(const struct elf_image *elf, uint64_t addr, uint64_t *offset)
{
	const struct load *load = load_at(elf, addr);

	if (!load || !(load->flags & PF_X))
		return -ENOENT;
	*offset = load->offset + (addr - load->addr);
	return 0;
}

/* ---- ranges */

static void ranges_add(struct ranges *ranges, uint64_t addr, uint64_t size)
{
	if (ranges->count == ranges->cap) {
		ranges->cap = ranges->cap ? 2 * ranges->cap : 64;
		ranges->items = xrealloc_array(ranges->items, ranges->cap, sizeof(*ranges->items));
	}
	ranges->items[ranges->count++] = (struct elf_range){.addr = addr, .size = size};
}

static int compare_ranges(const void *left, const void *right)
{
	const struct elf_range *a = left, *b = right;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	return (a->size < b->size) - (a->size > b->size);
}

/* ranges_separate - sort by address and cut off whatever a range shares with the one that follows */
static void ranges_separate(struct ranges *ranges)
{
	size_t kept = 0;

	if (ranges->count)
		qsort(ranges->items, ranges->count, sizeof(*ranges->items), compare_ranges);
	for (size_t i = 0; i < ranges->count; i++) {
		struct elf_range *last = kept ? &ranges->items[kept - 1] : NULL;

		if (last && last->addr == ranges->items[i].addr)
			continue;
		if (last && last->size > ranges->items[i].addr - last->addr)
			last->size = ranges->items[i].addr - last->addr;
		ranges->items[kept++] = ranges->items[i];
	}
	ranges->count = kept;
}

static int compare_addr_range(const void *key, const void *item)
{
	uint64_t addr = *(const uint64_t *)key;
	const struct elf_range *range = item;

	if (addr < range->addr)
		return -1;
	return addr - range->addr >= range->size;
}

static const struct elf_range *ranges_find(const struct ranges *ranges, uint64_t addr)
{
	if (!ranges->count)
		return NULL;
	return bsearch(&addr, ranges->items, ranges->count, sizeof(*ranges->items), compare_addr_range);
}

size_t elf_text(const struct elf_image *elf, size_t i, struct elf_range *out)
{
	if (i < elf->texts.count)
		*out = elf->texts.items[i];
	return elf->texts.count;
}

const struct elf_range *elf_functions(const struct elf_image *elf, size_t *count)
{
	*count = elf->functions.count;
	return elf->functions.items;
}

int elf_function_at(const struct elf_image *elf, uint64_t addr, struct elf_range *out)
{
	const struct elf_range *range = ranges_find(&elf->functions, addr);

	if (!range)
		return -ENOENT;
	*out = *range;
	return 0;
}

bool elf_is_gap(const struct elf_image *elf, uint64_t addr)
{
	return ranges_find(&elf->gaps, addr) != NULL;
}

bool elf_is_part(const struct elf_image *elf, uint64_t addr)
{
	return ranges_find(&elf->parts, addr) != NULL;
}

bool elf_is_plt(const struct elf_image *elf, uint64_t addr)
{
	for (size_t i = 0; !elf->plts.count && i < elf->import_cnt; i++)
		if (elf->imports[i].stub == addr)
			return true;
	return ranges_find(&elf->plts, addr) != NULL;
}

const char *elf_string(const struct elf_image *elf, uint64_t addr)
{
	uint64_t avail = 0;
	const unsigned char *bytes = elf_bytes_at(elf, addr, &avail);

	if (!bytes || ranges_find(&elf->texts, addr) ||
	    !memchr(bytes, 0, avail < ELF_STRING_MAX ? avail : ELF_STRING_MAX))
		return NULL;
	return (const char *)bytes;
}

/* ---- headers */

/* gABI, "Note Section" */
void elf_notes_build_id(char id[static 2 * ELF_BUILD_ID_MAX + 1], const unsigned char *notes, size_t notes_size)
{
	struct cursor cur = {notes, notes + notes_size, false};

	while (cur.end - cur.p >= 12) {
		uint64_t name_size = take(&cur, 4), size = take(&cur, 4), type = take(&cur, 4);
		const unsigned char *name = cur.p, *desc;

		skip(&cur, (name_size + 3) & ~UINT64_C(3));
		desc = cur.p;
		skip(&cur, size);
		if (cur.failed)
			return;
		if (type == NT_GNU_BUILD_ID && name_size == 4 && !memcmp(name, "GNU", 4) && size <= ELF_BUILD_ID_MAX) {
			for (size_t i = 0; i < size; i++)
				snprintf(id + 2 * i, 3, "%02x", desc[i]);
			return;
		}
		skip(&cur, -size & 3);
	}
}

static int read_program_headers(struct elf_image *elf, const Elf64_Ehdr *head, Elf64_Phdr *dynamic,
				Elf64_Phdr *eh_frame_hdr, char err[static 256])
{
	const unsigned char *bytes = elf_file_bytes(elf, head->e_phoff, head->e_phnum * sizeof(Elf64_Phdr));
	uint64_t total = 0;

	if (!bytes || (head->e_phnum && head->e_phentsize != sizeof(Elf64_Phdr))) {
		snprintf(err, 256, "the program headers are not in the file");
		return -EBADMSG;
	}
	for (size_t i = 0; i < head->e_phnum; i++) {
		Elf64_Phdr ph;
		struct load *load = &elf->loads[elf->load_cnt];
		const unsigned char *content;

		memcpy(&ph, bytes + i * sizeof(ph), sizeof(ph));
		content = elf_file_bytes(elf, ph.p_offset, ph.p_filesz);
		if (ph.p_type == PT_DYNAMIC)
			*dynamic = ph;
		if (ph.p_type == PT_GNU_EH_FRAME)
			*eh_frame_hdr = ph;
		if (ph.p_type == PT_NOTE && content && !elf->build_id[0])
			elf_notes_build_id(elf->build_id, content, ph.p_filesz);
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		total += ph.p_filesz;
		if (elf->load_cnt == LOADS_MAX || (!content && ph.p_filesz) || total > elf->size ||
		    ph.p_filesz > ph.p_memsz || ph.p_vaddr > UINT64_MAX - ph.p_memsz ||
		    (elf->load_cnt && ph.p_vaddr < load[-1].addr + load[-1].memory_size)) {
			snprintf(err, 256, "segment %zu is not in the file or overlaps another one", i);
			return -EBADMSG;
		}
		*load = (struct load){ph.p_vaddr, ph.p_filesz, ph.p_offset, ph.p_flags, ph.p_memsz};
		elf->load_cnt++;
	}
	return 0;
}

/* read_debug_link - a name, and behind it, at a multiple of 4, the checksum of that file */
static void read_debug_link(struct elf_image *elf, const Elf64_Shdr *sh)
{
	const unsigned char *bytes = elf_file_bytes(elf, sh->sh_offset, sh->sh_size);
	const unsigned char *nul = bytes ? memchr(bytes, 0, sh->sh_size < 256 ? sh->sh_size : 256) : NULL;
	struct cursor cur;

	if (!nul)
		return;
	cur = (struct cursor){bytes, bytes + sh->sh_size, false};
	skip(&cur, ((uint64_t)(nul - bytes) + 4) & ~UINT64_C(3));
	elf->debug_crc = (uint32_t)take(&cur, 4);
	if (!cur.failed)
		elf->debug_link = (const char *)bytes;
}

static void read_section(struct elf_image *elf, const Elf64_Shdr *sh, const char *name)
{
	bool is_in_file = sh->sh_type != SHT_NOBITS && sh->sh_flags & SHF_ALLOC && sh->sh_size;

	if (!strcmp(name, ".eh_frame") && is_in_file && elf_bytes(elf, sh->sh_addr, sh->sh_size))
		elf->eh_frame = (struct elf_range){sh->sh_addr, sh->sh_size};
	if (!strcmp(name, ".gnu_debuglink") && sh->sh_type == SHT_PROGBITS)
		read_debug_link(elf, sh);
	if (!is_in_file || !(sh->sh_flags & SHF_EXECINSTR) || !elf_is_code(elf, sh->sh_addr, sh->sh_size))
		return;
	ranges_add(&elf->texts, sh->sh_addr, sh->sh_size);
	if (!strncmp(name, ".plt", 4))
		ranges_add(&elf->plts, sh->sh_addr, sh->sh_size);
}

/* section_name - "" when it has none that can be read; the names that matter are short */
static const char *section_name(const struct elf_image *elf, const Elf64_Shdr *names, uint32_t at)
{
	const unsigned char *text = elf_file_bytes(elf, names->sh_offset, names->sh_size);
	uint64_t left = at < names->sh_size ? names->sh_size - at : 0;

	if (!text || !left || !memchr(text + at, 0, left < 64 ? left : 64))
		return "";
	return (const char *)text + at;
}

static Elf64_Shdr section_header(const unsigned char *headers, uint64_t index)
{
	Elf64_Shdr sh;

	memcpy(&sh, headers + index * sizeof(sh), sizeof(sh));
	return sh;
}

/* read_sections - what of the section headers can be believed */
static void read_sections(struct elf_image *elf, const Elf64_Ehdr *head)
{
	uint64_t count = head->e_shnum, names_index = head->e_shstrndx;
	const unsigned char *headers = elf_file_bytes(elf, head->e_shoff, sizeof(Elf64_Shdr));
	Elf64_Shdr names = {0};

	if (head->e_shentsize != sizeof(Elf64_Shdr) || !head->e_shoff || !headers)
		return;
	if (!count) /* gABI, "ELF Header": e_shnum and e_shstrndx of large files */
		count = section_header(headers, 0).sh_size;
	if (names_index == SHN_XINDEX)
		names_index = section_header(headers, 0).sh_link;
	if (count > elf->size / sizeof(Elf64_Shdr) || !elf_file_bytes(elf, head->e_shoff, count * sizeof(Elf64_Shdr)))
		return;
	if (names_index < count)
		names = section_header(headers, names_index);
	for (uint64_t i = 0; i < count; i++) {
		Elf64_Shdr sh = section_header(headers, i), strings;

		read_section(elf, &sh, section_name(elf, &names, sh.sh_name));
		if (sh.sh_type == SHT_SYMTAB && !elf->full.count && sh.sh_link < count) {
			strings = section_header(headers, sh.sh_link);
			elf_read_symtab(elf, &sh, &strings);
		}
	}
}

static void find_texts(struct elf_image *elf)
{
	if (!elf->texts.count)
		for (size_t i = 0; i < elf->load_cnt; i++)
			if (elf->loads[i].flags & PF_X)
				ranges_add(&elf->texts, elf->loads[i].addr, elf->loads[i].size);
	ranges_separate(&elf->texts);
	ranges_separate(&elf->plts);
}

/* ---- functions */

static void add_function(void *context, uint64_t addr, uint64_t size, bool is_part)
{
	struct elf_image *elf = context;

	if (!size || !elf_is_code(elf, addr, size))
		return;
	ranges_add(&elf->functions, addr, size);
	if (is_part)
		ranges_add(&elf->parts, addr, size);
}

/* add_gaps - what no function covers in text range `text`; functions from *next on are behind the ranges before.
 * Only where .eh_frame tells of less than half of the range: elsewhere a gap is something special. */
static void add_gaps(struct elf_image *elf, const struct elf_range *text, size_t *next, size_t function_cnt)
{
	uint64_t at = text->addr, end = text->addr + text->size, covered = 0;
	size_t first;

	while (*next < function_cnt && elf->functions.items[*next].addr < text->addr)
		++*next;
	for (first = *next; *next < function_cnt && elf->functions.items[*next].addr < end; ++*next)
		covered += elf->functions.items[*next].size;
	if (covered >= text->size / 2)
		return;
	for (size_t i = first; i < *next; i++) {
		struct elf_range function = elf->functions.items[i];

		if (function.addr > at)
			ranges_add(&elf->gaps, at, function.addr - at);
		at = function.addr + function.size;
	}
	if (at < end)
		ranges_add(&elf->gaps, at, end - at);
}

static void read_functions(struct elf_image *elf, const Elf64_Phdr *hdr)
{
	const unsigned char *head = hdr->p_filesz >= 8 ? elf_bytes(elf, hdr->p_vaddr, 8) : NULL;
	uint64_t addr = head ? eh_frame_pointer(head, hdr->p_vaddr) : 0, avail;
	bool is_bounded = !addr || addr == elf->eh_frame.addr;
	const unsigned char *bytes;
	size_t next = 0, count;

	if (!addr)
		addr = elf->eh_frame.addr;
	bytes = addr ? elf_bytes_at(elf, addr, &avail) : NULL;
	if (bytes)
		eh_frame_read(bytes, is_bounded ? elf->eh_frame.size : avail, addr, is_bounded, add_function, elf);
	ranges_separate(&elf->functions);
	ranges_separate(&elf->parts);
	count = elf->functions.count;
	for (size_t i = 0; i < elf->texts.count; i++)
		add_gaps(elf, &elf->texts.items[i], &next, count);
	for (size_t i = 0; i < elf->gaps.count; i++)
		ranges_add(&elf->functions, elf->gaps.items[i].addr, elf->gaps.items[i].size);
	ranges_separate(&elf->functions);
}

/* ---- opening */

static int check_head(const struct elf_image *elf, Elf64_Ehdr *head, char err[static 256])
{
	if (!file_read(elf, 0, head, sizeof(*head)) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) {
		snprintf(err, 256, "no ELF file");
		return -ENOEXEC;
	}
	if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB ||
	    (head->e_machine != EM_X86_64 && head->e_machine != EM_AARCH64)) {
		snprintf(err, 256, "an ELF file of another machine (class %u, machine %u)", head->e_ident[EI_CLASS],
			 head->e_machine);
		return -ENOEXEC;
	}
	if (head->e_type != ET_EXEC && head->e_type != ET_DYN) {
		snprintf(err, 256, "an ELF file, but neither an executable nor a library (type %u)", head->e_type);
		return -ENOEXEC;
	}
	return 0;
}

/* parse - fill in an image that holds nothing but the bytes */
static int parse(struct elf_image *elf, char err[static 256])
{
	Elf64_Phdr dynamic = {0}, eh_frame_hdr = {0};
	Elf64_Ehdr head;
	int ret = check_head(elf, &head, err);

	if (ret)
		return ret;
	elf->machine = head.e_machine;
	elf->is_fixed = head.e_type == ET_EXEC;
	ret = read_program_headers(elf, &head, &dynamic, &eh_frame_hdr, err);
	if (ret)
		return ret;
	read_sections(elf, &head);
	find_texts(elf);
	if (!elf->texts.count) {
		snprintf(err, 256, "the file has no code");
		return -EBADMSG;
	}
	elf_read_dynamic(elf, &dynamic);
	read_functions(elf, &eh_frame_hdr);
	return 0;
}

/* open_bytes - takes over `data`, also when it fails */
static int open_bytes(struct elf_image **out, unsigned char *data, size_t size, char err[static 256])
{
	struct elf_image *elf = xrealloc_array(NULL, 1, sizeof(*elf));
	int ret;

	memset(elf, 0, sizeof(*elf));
	elf->data = data;
	elf->size = size;
	ret = parse(elf, err);
	if (ret)
		elf_free(&elf);
	*out = elf;
	return ret;
}

int elf_open_mem(struct elf_image **out, const void *data, size_t size, char err[static 256])
{
	unsigned char *copy;

	*out = NULL;
	if (size > ELF_FILE_MAX) {
		snprintf(err, 256, "larger than %zu MiB", ELF_FILE_MAX >> 20);
		return -EFBIG;
	}
	copy = xrealloc_array(NULL, size, 1);
	if (size)
		memcpy(copy, data, size);
	return open_bytes(out, copy, size, err);
}

int elf_open_fd(struct elf_image **out, int fd, char err[static 256])
{
	unsigned char *data;
	size_t done = 0, size;
	struct stat st;

	*out = NULL;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		snprintf(err, 256, "no regular file");
		return -EINVAL;
	}
	if ((uint64_t)st.st_size > ELF_FILE_MAX) {
		snprintf(err, 256, "larger than %zu MiB", ELF_FILE_MAX >> 20);
		return -EFBIG;
	}
	size = (size_t)st.st_size;
	data = xrealloc_array(NULL, size, 1);
	while (done < size) {
		ssize_t got = pread(fd, data + done, size - done, (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error = errno;

			snprintf(err, 256, "cannot be read: %s", strerror(error));
			free(data);
			return -error;
		}
		if (!got) /* it shrinks while we read: what is missing will be found out */
			break;
		done += (size_t)got;
	}
	return open_bytes(out, data, done, err);
}

void elf_free(struct elf_image **elf)
{
	if (!*elf)
		return;
	free((*elf)->debug_data);
	free((*elf)->pointers);
	free((*elf)->gaps.items);
	free((*elf)->parts.items);
	free((*elf)->functions.items);
	free((*elf)->plts.items);
	free((*elf)->texts.items);
	free((*elf)->imports);
	free((*elf)->data);
	free(*elf);
	*elf = NULL;
}

unsigned elf_machine(const struct elf_image *elf)
{
	return elf->machine;
}

bool elf_is_fixed(const struct elf_image *elf)
{
	return elf->is_fixed;
}

const char *elf_build_id(const struct elf_image *elf)
{
	return elf->build_id;
}
