/* SPDX-License-Identifier: Apache-2.0 */
/* elf_debug.h - owns the finding and reading of separate debug files: the symbols that were stripped off a program.
 * A program is the same without them, so what is wrong with such a file is told and otherwise ignored. */
#ifndef MAILGAUGE_ELF_DEBUG_H
#define MAILGAUGE_ELF_DEBUG_H
#include <sys/types.h>

#include "target/elf.h"

/* elf_debug_find - look below the directory `root_fd` (the program's own root, which no link leads out of) for the
 * debug file of the image, which is at `path` there, and let its symbols come first from now on. Looked at are
 * /usr/lib/debug/.build-id/XX/REST.debug and, by the name and checksum of .gnu_debuglink, the directory of `path`, its
 * .debug/, and /usr/lib/debug/ with that directory behind it. It must be root's or that of `owner`.
 * 0 with the debug file's path in text; -ENOENT there is none; another -errno there is one that is not used, and text
 * says why. */
int elf_debug_find(struct elf_image *elf, int root_fd, const char *path, uid_t owner, char text[static 256]);
/* elf_debug_read - take over the symbols of one debug file. 0, or with a reason in err: -EBADMSG it is broken or
 * another program's, -EFBIG too many symbols, -errno it cannot be read; the image is then as it was. */
int elf_debug_read(struct elf_image *elf, int fd, char err[static 256]);

#endif
