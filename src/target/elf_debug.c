/* SPDX-License-Identifier: Apache-2.0 */
/* elf_debug.c - separate debug files, as GDB's manual has them ("Debugging Information in Separate Files"). They can be
 * large, so only the headers, the build id and the two sections of symbols are read. */
#include "target/elf_debug.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/arena.h"
#include "target/directory.h"
#include "target/elf_image.h"

#define SECTIONS_MAX 4096
#define NOTES_MAX    4096
#define SYMBOLS_MAX  ((uint64_t)128 << 20) /* bytes, with their names */

static int read_at(int fd, uint64_t offset, void *out, size_t size)
{
	size_t done = 0;

	if (offset > ELF_FILE_MAX * 16)
		return -EBADMSG;
	while (done < size) {
		ssize_t got = pread(fd, (char *)out + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			return -EBADMSG;
		done += (size_t)got;
	}
	return 0;
}

/* ---- one debug file */

struct debug_file {
	int fd;
	Elf64_Shdr *sections;
	size_t section_cnt;
	char build_id[2 * ELF_BUILD_ID_MAX + 1];
};

static int read_headers(struct debug_file *file, const struct elf_image *elf)
{
	Elf64_Ehdr head;
	int ret = read_at(file->fd, 0, &head, sizeof(head));

	if (ret)
		return ret;
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_ident[EI_DATA] != ELFDATA2LSB || head.e_machine != elf->machine ||
	    head.e_shentsize != sizeof(Elf64_Shdr) || head.e_shnum > SECTIONS_MAX)
		return -EBADMSG;
	file->section_cnt = head.e_shnum;
	file->sections = xrealloc_array(NULL, file->section_cnt, sizeof(*file->sections));
	return read_at(file->fd, head.e_shoff, file->sections, file->section_cnt * sizeof(*file->sections));
}

static int read_build_id(struct debug_file *file)
{
	unsigned char notes[NOTES_MAX];

	for (size_t i = 0; i < file->section_cnt && !file->build_id[0]; i++) {
		const Elf64_Shdr *sh = &file->sections[i];
		int ret;

		if (sh->sh_type != SHT_NOTE || sh->sh_size > sizeof(notes))
			continue;
		ret = read_at(file->fd, sh->sh_offset, notes, sh->sh_size);
		if (ret)
			return ret;
		elf_notes_build_id(file->build_id, notes, sh->sh_size);
	}
	return 0;
}

/* find_symtab - with its strings; -ENOENT without */
static int find_symtab(const struct debug_file *file, const Elf64_Shdr **symbols, const Elf64_Shdr **strings)
{
	for (size_t i = 0; i < file->section_cnt; i++) {
		*symbols = &file->sections[i];
		if ((*symbols)->sh_type != SHT_SYMTAB)
			continue;
		if ((*symbols)->sh_link >= file->section_cnt || (*symbols)->sh_flags & SHF_COMPRESSED)
			return -EBADMSG;
		*strings = &file->sections[(*symbols)->sh_link];
		if ((*strings)->sh_type != SHT_STRTAB || (*strings)->sh_flags & SHF_COMPRESSED)
			return -EBADMSG;
		if ((*symbols)->sh_size > SYMBOLS_MAX || (*strings)->sh_size > SYMBOLS_MAX - (*symbols)->sh_size)
			return -EFBIG;
		return 0;
	}
	return -ENOENT;
}

static int read_symbols(struct elf_image *elf, const struct debug_file *file)
{
	const Elf64_Shdr *symbols, *strings;
	unsigned char *data;
	int ret = find_symtab(file, &symbols, &strings);

	if (ret)
		return ret;
	data = xrealloc_array(NULL, symbols->sh_size + strings->sh_size, 1);
	ret = read_at(file->fd, symbols->sh_offset, data, symbols->sh_size);
	if (!ret)
		ret = read_at(file->fd, strings->sh_offset, data + symbols->sh_size, strings->sh_size);
	if (ret) {
		free(data);
		return ret;
	}
	free(elf->debug_data);
	elf->debug_data = data;
	elf->debug = (struct symbol_table){data, symbols->sh_size / sizeof(Elf64_Sym),
					   (const char *)data + symbols->sh_size, strings->sh_size};
	return 0;
}

int elf_debug_read(struct elf_image *elf, int fd, char err[static 256])
{
	struct debug_file file = {.fd = fd};
	int ret = read_headers(&file, elf);

	if (!ret)
		ret = read_build_id(&file);
	if (!ret && strcmp(file.build_id, elf->build_id) != 0) {
		snprintf(err, 256, "its build id is %.64s, not %.64s", file.build_id[0] ? file.build_id : "missing",
			 elf->build_id[0] ? elf->build_id : "missing");
		ret = -EBADMSG;
		goto cleanup;
	}
	if (!ret)
		ret = read_symbols(elf, &file);
	if (ret == -ENOENT) {
		snprintf(err, 256, "it has no symbols");
		ret = -EBADMSG;
	} else if (ret) {
		snprintf(err, 256, "%s", ret == -EBADMSG ? "it is broken" : strerror(-ret));
	}
cleanup:
	free(file.sections);
	return ret;
}

/* ---- where it is */

/* What a search has come to. */
struct hunt {
	struct elf_image *elf;
	int root_fd;
	uid_t owner;
	bool by_link; /* its checksum must be right */
	int ret;      /* 0 found; -ENOENT nothing yet; else what is wrong with one that was there */
	char *text;
};

static void refuse(struct hunt *hunt, int ret, const char *path, const char *why)
{
	hunt->ret = ret;
	snprintf(hunt->text, 256, "the debug file %.120s is not used: %.90s", path, why);
}

static int file_crc(int fd, uint32_t *crc)
{
	static const size_t step = 65536;
	unsigned char *buffer = xrealloc_array(NULL, step, 1);
	uint64_t at = 0;
	uLong sum = crc32(0, NULL, 0);
	ssize_t got;

	while ((got = pread(fd, buffer, step, (off_t)at)) > 0 && at < ELF_FILE_MAX * 16) {
		sum = crc32(sum, buffer, (uInt)got);
		at += (uint64_t)got;
	}
	free(buffer);
	*crc = (uint32_t)sum;
	return got < 0 ? -errno : 0;
}

/* open_candidate - an fd of a regular file, or -errno; nothing else is opened, as that can have side effects */
static int open_candidate(const struct hunt *hunt, const char *path)
{
	int path_fd = directory_open_below(hunt->root_fd, path, O_PATH), fd;
	char link[64];
	struct stat st;

	if (path_fd < 0)
		return path_fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	if (fstat(path_fd, &st) || !S_ISREG(st.st_mode))
		fd = -ENOENT;
	else if (st.st_uid != 0 && st.st_uid != hunt->owner)
		fd = -EPERM;
	else if ((fd = open(link, O_RDONLY | O_CLOEXEC)) < 0)
		fd = -errno;
	close(path_fd);
	return fd;
}

static void look_at(struct hunt *hunt, const char *path)
{
	char err[256] = "";
	uint32_t crc;
	int fd, ret = 0;

	if (!hunt->ret)
		return;
	fd = open_candidate(hunt, path);
	if (fd < 0) {
		if (fd != -ENOENT && fd != -ENOTDIR)
			refuse(hunt, fd, path, strerror(-fd));
		return;
	}
	if (hunt->by_link)
		ret = file_crc(fd, &crc);
	if (ret) {
		refuse(hunt, ret, path, strerror(-ret));
	} else if (hunt->by_link && crc != hunt->elf->debug_crc) {
		refuse(hunt, -EBADMSG, path, "its checksum is not the one that the program names");
	} else {
		ret = elf_debug_read(hunt->elf, fd, err);
		if (ret) {
			refuse(hunt, ret, path, err);
		} else {
			hunt->ret = 0;
			snprintf(hunt->text, 256, "%.250s", path);
		}
	}
	close(fd);
}

static void look_by_build_id(struct hunt *hunt)
{
	const char *id = hunt->elf->build_id;
	char path[PATH_MAX];

	if (strlen(id) < 4)
		return;
	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
	look_at(hunt, path);
}

static void look_by_link(struct hunt *hunt, const char *image_path)
{
	const char *name = hunt->elf->debug_link, *slash = strrchr(image_path, '/');
	int dir_len = slash ? (int)(slash + 1 - image_path) : 0;
	char path[PATH_MAX];

	if (!name || !*name || strchr(name, '/') || !slash)
		return;
	hunt->by_link = true;
	if (strcmp(name, slash + 1) != 0) { /* else it is the program itself */
		snprintf(path, sizeof(path), "%.*s%s", dir_len, image_path, name);
		look_at(hunt, path);
	}
	snprintf(path, sizeof(path), "%.*s.debug/%s", dir_len, image_path, name);
	look_at(hunt, path);
	snprintf(path, sizeof(path), "/usr/lib/debug%.*s%s", dir_len, image_path, name);
	look_at(hunt, path);
}

int elf_debug_find(struct elf_image *elf, int root_fd, const char *path, uid_t owner, char text[static 256])
{
	struct hunt hunt = {.elf = elf, .root_fd = root_fd, .owner = owner, .ret = -ENOENT, .text = text};

	*text = '\0';
	look_by_build_id(&hunt);
	look_by_link(&hunt, path);
	return hunt.ret;
}
