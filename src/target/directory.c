/* SPDX-License-Identifier: Apache-2.0 */
#include "target/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/glob.h"

#define DEPTH_MAX 20 /* a queue hashed by single characters of names of at most 16 */

/* look - is the entry a directory, a file that counts, or neither? One that has just gone is neither. */
static mode_t look(int dir, const struct dirent *entry, const struct directory_filter *filter)
{
	bool is_named = !filter->name || pattern_match(filter->name, entry->d_name);
	struct stat st;

	if (entry->d_type == DT_DIR)
		return S_IFDIR;
	if (entry->d_type == DT_REG && (!filter->is_executable || !is_named))
		return is_named ? S_IFREG : 0;
	if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
		return 0;
	if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISREG(st.st_mode) && (!is_named || (filter->is_executable && !(st.st_mode & S_IXUSR))))
		return 0;
	return st.st_mode & S_IFMT;
}

int directory_open_below(int root_fd, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	long fd = -EAGAIN;

	/* EAGAIN: somebody renamed a directory meanwhile, the kernel cannot vouch for the result. */
	for (int i = 0; i < 16 && fd == -EAGAIN; i++) {
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
		if (fd < 0)
			fd = -errno;
	}
	return (int)fd;
}

DIR *directory_open(int fd)
{
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int error = errno;

	if (!dir && fd >= 0)
		close(fd);
	errno = error;
	return dir;
}

static int count_below(int at, const char *name, const struct directory_filter *filter, unsigned depth, uint64_t *count)
{
	/* Only the first name may lead through a link: /proc/PID/cwd is one. */
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0)), ret = 0;
	struct dirent *entry;
	DIR *dir;

	dir = directory_open(fd);
	if (!dir)
		return -errno;
	while (!ret && (errno = 0, entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		switch (look(fd, entry, filter)) {
		case S_IFREG:
			++*count;
			break;
		case S_IFDIR:
			ret = depth < DEPTH_MAX ? count_below(fd, entry->d_name, filter, depth + 1, count) : -ELOOP;
			if (ret == -ENOENT) /* gone since it was read */
				ret = 0;
			break;
		}
	}
	if (!ret && errno)
		ret = -errno;
	closedir(dir);
	return ret;
}

int directory_count(const char *path, const struct directory_filter *filter, uint64_t *count)
{
	*count = 0;
	return count_below(AT_FDCWD, path, filter, 0, count);
}
