/* SPDX-License-Identifier: Apache-2.0 */
#include "target/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAPS_BYTES_MAX ((size_t)4 << 20) /* some 40,000 mappings; a mail server's process has hundreds */

/* parse_number - digits of `base` (10 or 16) at *text, which is moved behind them; false when there are none, or
 * the number does not fit */
static bool parse_number(const char **text, unsigned base, uint64_t *out)
{
	const char *p = *text;
	uint64_t value = 0;

	for (;; p++) {
		unsigned digit;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		else
			break;
		if (value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	if (p == *text)
		return false;
	*text = p;
	*out = value;
	return true;
}

static bool parse_char(const char **text, char want)
{
	if (**text != want)
		return false;
	++*text;
	return true;
}

pid_t proc_parse_pid(const char *name)
{
	char *end;
	long pid;

	if (*name < '1' || *name > '9')
		return 0;
	errno = 0;
	pid = strtol(name, &end, 10);
	return *end || errno || pid > INT_MAX ? 0 : (pid_t)pid;
}

/* The name in parentheses is the process's own choice and may hold ") S 1": the numbers follow the last ')'. */
bool proc_parse_stat(const char *text, struct proc_stat *out)
{
	const char *p = text, *name_end = strrchr(text, ')');
	uint64_t pid, ppid, start;

	if (!parse_number(&p, 10, &pid) || strncmp(p, " (", 2) || !name_end)
		return false;
	p = name_end + 1;
	if (!parse_char(&p, ' ') || !*p++ || !parse_char(&p, ' ') || !parse_number(&p, 10, &ppid))
		return false;
	for (int field = 4; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return false;
		p++;
	}
	if (!parse_number(&p, 10, &start) || pid > INT_MAX || ppid > INT_MAX)
		return false;
	*out = (struct proc_stat){.pid = (pid_t)pid, .ppid = (pid_t)ppid, .start_ticks = start};
	return true;
}

static int open_entry(int proc_fd, pid_t pid, const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	fd = openat(proc_fd, path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int proc_open_path(int proc_fd, pid_t pid, const char *name)
{
	return open_entry(proc_fd, pid, name, O_PATH);
}

int proc_open_map_file(int proc_fd, pid_t pid, const struct proc_map *map)
{
	char name[48]; /* the numbers are not padded as they are in maps */

	snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)map->start,
		 (unsigned long long)map->end);
	return open_entry(proc_fd, pid, name, O_PATH);
}

/* read_entry - a small file of the process as text; 0 or -errno */
static int read_entry(int proc_fd, pid_t pid, const char *name, char *text, size_t size)
{
	int fd = open_entry(proc_fd, pid, name, O_RDONLY), error;
	ssize_t len;

	if (fd < 0)
		return fd;
	len = read(fd, text, size - 1);
	error = errno;
	close(fd);
	if (len < 0)
		return -error;
	text[len] = '\0';
	return 0;
}

int proc_read_stat(int proc_fd, pid_t pid, struct proc_stat *out)
{
	char text[2048]; /* one line of 52 numbers and a name of at most 64 bytes */
	int ret = read_entry(proc_fd, pid, "stat", text, sizeof(text));

	if (ret)
		return ret;
	return proc_parse_stat(text, out) && out->pid == pid ? 0 : -EINVAL;
}

void proc_read_comm(int proc_fd, pid_t pid, char comm[static 16])
{
	char text[64]; /* a kernel thread's is longer */

	if (read_entry(proc_fd, pid, "comm", text, sizeof(text)))
		text[0] = '\0';
	snprintf(comm, 16, "%.*s", (int)strcspn(text, "\n"), text);
}

bool proc_has_shadow_stack(int proc_fd, pid_t pid)
{
	static const char key[] = "\nx86_Thread_features:";
	char text[8192], *features;

	if (read_entry(proc_fd, pid, "status", text, sizeof(text)))
		return false;
	features = strstr(text, key);
	if (!features)
		return false;
	features += strlen(key);
	features[strcspn(features, "\n")] = '\0';
	return strstr(features, "shstk") != NULL;
}

bool proc_kernel_pushes_calls(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 18);
}

ssize_t proc_read_link(int proc_fd, pid_t pid, const char *name, char *out, size_t size)
{
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	len = readlinkat(proc_fd, path, out, size);
	if (len < 0)
		return -errno;
	if ((size_t)len >= size)
		return -ENAMETOOLONG;
	out[len] = '\0';
	return len;
}

int proc_read_byte(int proc_fd, pid_t pid, uint64_t address, unsigned char *out)
{
	int fd = open_entry(proc_fd, pid, "mem", O_RDONLY), error;
	ssize_t len;

	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	len = pread(fd, out, 1, (off_t)address);
	error = errno;
	close(fd);
	if (len < 0)
		return -error;
	return len ? 0 : -ESRCH; /* memory reads as empty when the process is gone */
}

bool proc_cut_deleted(char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path);

	if (len < sizeof(suffix) || strcmp(path + len - (sizeof(suffix) - 1), suffix))
		return false;
	path[len - (sizeof(suffix) - 1)] = '\0';
	return true;
}

/* The kernel writes a newline in a path as \012 and nothing else so, not even the backslash. */
static void unescape(char *path)
{
	char *from = path, *to = path;

	while (*from) {
		if (!strncmp(from, "\\012", 4)) {
			*to++ = '\n';
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

bool proc_parse_map(char *line, struct proc_map *out)
{
	const char *p = line;
	uint64_t major, minor, ino;
	char *path;

	/* START-END rwxp OFFSET MAJOR:MINOR INODE     PATH */
	if (!parse_number(&p, 16, &out->start) || !parse_char(&p, '-') || !parse_number(&p, 16, &out->end) ||
	    !parse_char(&p, ' ') || strnlen(p, 5) < 5 || p[2] != 'x' || p[4] != ' ')
		return false;
	p += 5;
	if (!parse_number(&p, 16, &out->offset) || !parse_char(&p, ' ') || !parse_number(&p, 16, &major) ||
	    !parse_char(&p, ':') || !parse_number(&p, 16, &minor) || !parse_char(&p, ' ') ||
	    !parse_number(&p, 10, &ino) || *p != ' ' || major > UINT_MAX || minor > UINT_MAX)
		return false;
	path = line + (p - line) + strspn(p, " ");
	if (*path != '/' || !ino || out->start >= out->end || out->offset > UINT64_MAX - (out->end - out->start))
		return false;
	out->is_deleted = proc_cut_deleted(path);
	unescape(path);
	out->path = path;
	out->dev = makedev((unsigned)major, (unsigned)minor);
	out->ino = ino;
	return true;
}

int proc_maps_open(struct proc_maps *maps, int proc_fd, pid_t pid)
{
	maps->fd = open_entry(proc_fd, pid, "maps", O_RDONLY);
	maps->begin = maps->len = maps->total = 0;
	maps->skips_line = false;
	return maps->fd < 0 ? maps->fd : 0;
}

void proc_maps_close(struct proc_maps *maps)
{
	close(maps->fd);
}

/* fill - read more behind what is unread; 1, 0 at the end, -errno */
static int fill(struct proc_maps *maps)
{
	ssize_t len;

	if (maps->total >= MAPS_BYTES_MAX)
		return -EFBIG;
	memmove(maps->buf, maps->buf + maps->begin, maps->len);
	maps->begin = 0;
	if (maps->len == sizeof(maps->buf)) { /* no newline in all of it */
		maps->len = 0;
		maps->skips_line = true;
	}
	len = read(maps->fd, maps->buf + maps->len, sizeof(maps->buf) - maps->len);
	if (len < 0)
		return -errno;
	maps->len += (size_t)len;
	maps->total += (size_t)len;
	return len > 0;
}

int proc_maps_next(struct proc_maps *maps, struct proc_map *out)
{
	for (;;) {
		char *line = maps->buf + maps->begin, *end = memchr(line, '\n', maps->len);
		bool is_whole = !maps->skips_line;
		int ret;

		if (!end) {
			ret = fill(maps);
			if (ret <= 0)
				return ret;
			continue;
		}
		*end = '\0';
		maps->begin += (size_t)(end + 1 - line);
		maps->len -= (size_t)(end + 1 - line);
		maps->skips_line = false;
		if (is_whole && proc_parse_map(line, out))
			return 1;
	}
}

uint32_t proc_pid_namespace(int proc_fd, pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%d/ns/pid", (int)pid);
	return fstatat(proc_fd, path, &st, 0) ? 0 : (uint32_t)st.st_ino;
}
