/* SPDX-License-Identifier: Apache-2.0 */
/* directory.h - owns the opening of directories to be read, and the counting of files below one. It knows no server and
 * keeps nothing. */
#ifndef MAILGAUGE_DIRECTORY_H
#define MAILGAUGE_DIRECTORY_H
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

/* directory_open - to read an open directory's entries; closedir() closes `fd` as well. NULL with errno set, then `fd`
 * is closed; below 0 it is what open() failed with. */
DIR *directory_open(int fd);

/* directory_open_below - open a path (absolute or not) below the directory `root_fd` as if that were the root: neither
 * ".." nor a symbolic link leads out of it. An fd (with O_CLOEXEC) or -errno. */
int directory_open_below(int root_fd, const char *path, uint64_t flags);

/* Which files count. */
struct directory_filter {
	bool is_executable; /* only those that their owner may execute */
	const char *name;   /* only those whose name matches the pattern (base/glob.h); NULL: all */
};

/* directory_count - regular files in the directory at `path` and those below it that the filter lets pass. Files that
 * come and go meanwhile may be counted or not. Symbolic links are not followed. 0, or -errno: -ELOOP for directories
 * nested too deep, -EACCES, -ENOENT, ... */
int directory_count(const char *path, const struct directory_filter *filter, uint64_t *count);

#endif
