/* SPDX-License-Identifier: Apache-2.0 */
#include "target/target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "target/directory.h"
#include "target/elf_debug.h"
#include "target/files.h"
#include "target/proc.h"

#define DEPTH_MAX  1024 /* parents that are climbed; also ends a circle of parents, which a reused pid can make */
#define BREAKPOINT 0xcc /* int3, which the kernel writes over the first byte of a probed instruction */

struct process {
	struct proc_stat stat;
	const struct server_def *server; /* whose globs match the executable, or NULL */
	const char *exe;                 /* if server is set */
	bool exe_is_deleted;
	uint32_t pid_ns; /* of a server that has orphans */
	struct process *parent, *first_child, *next_sibling;
};

/* All processes of the host, sorted by pid. */
struct processes {
	struct process *items;
	size_t count;
};

static int compare_processes(const void *a, const void *b)
{
	pid_t x = ((const struct process *)a)->stat.pid, y = ((const struct process *)b)->stat.pid;

	return (x > y) - (x < y);
}

static struct process *find_process(const struct processes *all, pid_t pid)
{
	struct process key = {.stat.pid = pid};

	return all->count ? bsearch(&key, all->items, all->count, sizeof(key), compare_processes) : NULL;
}

/* read_process - false when it is gone. Kernel threads have no executable, of other users' processes it may not be
 * readable: they have no server, but still stand between a process and its parent. */
static bool read_process(struct process *out, const struct catalog *catalog, int proc_fd, pid_t pid, struct arena *mem)
{
	char exe[PATH_MAX];
	ssize_t len;

	*out = (struct process){0};
	if (proc_read_stat(proc_fd, pid, &out->stat))
		return false;
	len = proc_read_link(proc_fd, pid, "exe", exe, sizeof(exe));
	if (len == -EACCES || len == -EPERM)
		log_debug("process %d: executable not readable: %s", (int)pid, strerror((int)-len));
	if (len <= 0)
		return true;
	out->exe_is_deleted = proc_cut_deleted(exe);
	out->server = catalog_match_exe(catalog, exe);
	if (out->server)
		out->exe = arena_strdup(mem, exe);
	return true;
}

static void link_processes(struct processes *all)
{
	qsort(all->items, all->count, sizeof(*all->items), compare_processes);
	for (size_t i = all->count; i-- > 0;) { /* downwards, so that children are listed upwards */
		struct process *process = &all->items[i];

		process->parent = find_process(all, process->stat.ppid);
		if (process->parent) {
			process->next_sibling = process->parent->first_child;
			process->parent->first_child = process;
		}
	}
}

static void remove_child(struct process *process)
{
	struct process **at = process->parent ? &process->parent->first_child : NULL;

	while (at && *at && *at != process)
		at = &(*at)->next_sibling;
	if (at && *at)
		*at = process->next_sibling;
	process->parent = process->next_sibling = NULL;
}

/* read_processes - 0, or -errno when the directory cannot be read */
static int read_processes(struct processes *out, const struct catalog *catalog, int proc_fd, struct arena *mem)
{
	DIR *dir = directory_open(openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *entry;
	size_t cap = 0;
	int ret;

	*out = (struct processes){0};
	if (!dir)
		return -errno;
	while (errno = 0, (entry = readdir(dir))) {
		pid_t pid = proc_parse_pid(entry->d_name);

		if (!pid)
			continue;
		out->items = arena_grow(mem, out->items, out->count, &cap, sizeof(*out->items));
		if (read_process(&out->items[out->count], catalog, proc_fd, pid, mem))
			out->count++;
	}
	ret = -errno;
	closedir(dir);
	if (out->count)
		link_processes(out);
	return ret;
}

/* ---- instances: processes whose executable a server's globs match and that have none such of the same server above
 * them, each with all that is below it */

/* find_root - the topmost process of this server at or above `process`; NULL if there is none, or if the parents
 * run in a circle */
static const struct process *find_root(const struct process *process, const struct server_def *server)
{
	const struct process *root = NULL;
	int depth = 0;

	for (; process; process = process->parent) {
		if (process->server == server)
			root = process;
		if (++depth > DEPTH_MAX)
			return NULL;
	}
	return root;
}

/* older_root - the process that the orphan most likely comes from: of the roots of its server in its pid namespace the
 * one that has run longest. NULL if that is itself. */
static struct process *older_root(const struct processes *all, const struct process *orphan)
{
	struct process *oldest = NULL;

	for (size_t i = 0; i < all->count; i++) {
		struct process *other = &all->items[i];

		if (other->server != orphan->server || other->pid_ns != orphan->pid_ns ||
		    find_root(other, other->server) != other)
			continue;
		if (!oldest || other->stat.start_ticks < oldest->stat.start_ticks)
			oldest = other;
	}
	return oldest == orphan ? NULL : oldest;
}

/* adopt_orphans - what a server's processes leave behind when they end belongs to its instance, and is none itself. No
 * circle can come of it: above a root there is no process of its server. */
static void adopt_orphans(struct processes *all, int proc_fd)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->items[i].server && all->items[i].server->has_orphans)
			all->items[i].pid_ns = proc_pid_namespace(proc_fd, all->items[i].stat.pid);
	for (size_t i = 0; i < all->count; i++) {
		struct process *orphan = &all->items[i], *parent;

		if (!orphan->server || !orphan->server->has_orphans || find_root(orphan, orphan->server) != orphan)
			continue;
		parent = older_root(all, orphan);
		if (!parent)
			continue;
		remove_child(orphan);
		orphan->parent = parent;
		orphan->next_sibling = parent->first_child;
		parent->first_child = orphan;
	}
}

/* find_instance - the root of the instance that a process belongs to. Of nested ones (a server that delivers by
 * running a program of another server) it is the inner one. */
static int find_instance(const struct process **out, const struct processes *all, pid_t pid, char err[static 256])
{
	const struct process *process = find_process(all, pid);
	int depth = 0;

	*out = NULL;
	if (!process) {
		snprintf(err, 256, "no process %d", (int)pid);
		return -ESRCH;
	}
	while (process && !process->server && ++depth < DEPTH_MAX)
		process = process->parent;
	if (process && process->server)
		*out = find_root(process, process->server);
	if (!*out) {
		snprintf(err, 256, "process %d belongs to no mail server of the catalog", (int)pid);
		return -ENOENT;
	}
	return 0;
}

/* list_tree - the pids of a process, its children, their children and so on. None comes twice: each has one parent,
 * and find_root() takes nobody who stands in a circle. */
static void list_tree(struct instance *out, const struct process *root, struct arena *mem)
{
	const struct process **queue = NULL;
	size_t count = 0, cap = 0;
	pid_t *pids;

	queue = arena_grow(mem, queue, count, &cap, sizeof(*queue));
	queue[count++] = root;
	for (size_t i = 0; i < count; i++) {
		for (const struct process *child = queue[i]->first_child; child; child = child->next_sibling) {
			queue = arena_grow(mem, queue, count, &cap, sizeof(*queue));
			queue[count++] = child;
		}
	}
	pids = arena_array(mem, count, sizeof(*pids));
	for (size_t i = 0; i < count; i++)
		pids[i] = queue[i]->stat.pid;
	out->pids = pids;
	out->pid_cnt = count;
}

static bool calls_are_fatal(const struct instance *instance, int proc_fd)
{
	struct utsname kernel;

	if (!uname(&kernel) && proc_kernel_pushes_calls(kernel.release))
		return false;
	for (size_t i = 0; i < instance->pid_cnt; i++)
		if (proc_has_shadow_stack(proc_fd, instance->pids[i]))
			return true;
	return false;
}

/* add_target - the instance with this root process, unless that is gone */
static void add_target(struct target_scan *scan, const struct process *root, int proc_fd, size_t *cap)
{
	struct instance instance = {.server = root->server, .exe = root->exe, .exe_is_deleted = root->exe_is_deleted};
	struct target target = {.server = root->server, .pid = root->stat.pid, .start_ticks = root->stat.start_ticks};
	const uint32_t ns = proc_pid_namespace(proc_fd, root->stat.pid);
	struct arena *mem = arena_new();
	int ret;

	if (ns != proc_pid_namespace(proc_fd, getpid()))
		target.pid_ns = ns;

	list_tree(&instance, root, mem);
	ret = files_find(&target, scan, &instance, proc_fd);
	if (ret) {
		log_debug("process %d: %s", (int)target.pid, strerror(-ret));
	} else {
		scan->targets = arena_grow(scan->mem, scan->targets, scan->target_cnt, cap, sizeof(*scan->targets));
		scan->targets[scan->target_cnt++] = target;
		scan->calls_are_fatal = scan->calls_are_fatal || calls_are_fatal(&instance, proc_fd);
	}
	arena_free(&mem);
}

static int compare_targets(const void *a, const void *b)
{
	const struct target *x = a, *y = b;
	int order = strcmp(x->server->name, y->server->name);

	return order ? order : (x->pid > y->pid) - (x->pid < y->pid);
}

static struct target_scan *scan_targets(const struct processes *all, const struct process *only, int proc_fd)
{
	struct arena *mem = arena_new();
	struct target_scan *scan = arena_alloc(mem, sizeof(*scan));
	size_t cap = 0;

	scan->mem = mem;
	for (size_t i = 0; i < all->count; i++) {
		const struct process *process = &all->items[i];

		if (only ? process == only : process->server && find_root(process, process->server) == process)
			add_target(scan, process, proc_fd, &cap);
	}
	if (scan->target_cnt)
		qsort(scan->targets, scan->target_cnt, sizeof(*scan->targets), compare_targets);
	return scan;
}

int target_scan_proc(struct target_scan **out, const struct catalog *catalog, const char *proc_dir, pid_t only_pid,
		     char err[static 256])
{
	struct arena *mem = arena_new();
	const struct process *only = NULL;
	struct processes all = {0};
	int proc_fd = open(proc_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	*out = NULL;
	ret = proc_fd < 0 ? -errno : read_processes(&all, catalog, proc_fd, mem);
	if (ret)
		snprintf(err, 256, "%s: %s", proc_dir, strerror(-ret));
	else
		adopt_orphans(&all, proc_fd);
	if (!ret && only_pid > 0)
		ret = find_instance(&only, &all, only_pid, err);
	if (!ret)
		*out = scan_targets(&all, only, proc_fd);
	if (proc_fd >= 0)
		close(proc_fd);
	arena_free(&mem);
	return ret;
}

void target_scan_free(struct target_scan **scan)
{
	struct arena *mem;

	if (!*scan)
		return;
	for (size_t i = 0; i < (*scan)->open_cnt; i++)
		close((*scan)->open[i].fd);
	for (const struct target_root *root = (*scan)->roots; root; root = root->next)
		close(root->fd);
	mem = (*scan)->mem;
	arena_free(&mem);
	*scan = NULL;
}

/* ---- reading a file */

int target_open_elf(struct elf_image **out, const struct target_file *file, char err[static 256])
{
	int ret = elf_open_fd(out, file->fd, err), found;
	char text[256];

	if (ret || !file->root)
		return ret;
	found = elf_debug_find(*out, file->root->fd, file->path, file->root->owner, text);
	if (!found)
		log_debug("%s: symbols of %s", file->path, text);
	else if (found != -ENOENT)
		log_warn("%s: %s", file->path, text);
	return 0;
}

/* ---- breakpoints */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool target_same_file(const struct target_file *a, const struct target_file *b)
{
	if (a->ino != b->ino)
		return false;
	if (a->dev == b->dev)
		return true;
	return a->is_overlay && b->is_overlay && a->size == b->size && a->mtime.tv_sec == b->mtime.tv_sec &&
	       a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* maps_file - whether a mapping is of this file. Equal device and inode numbers are the same file. Where they differ
 * it can still be the same, since stat and maps are told different devices on btrfs, and different inodes as well
 * on overlayfs: then the mapped file itself is asked, which is exact. Only where that is not permitted (see
 * open_mapped() in files.c) the inode number and the name must do. */
static bool maps_file(int proc_fd, pid_t pid, const struct proc_map *map, const struct target_file *file)
{
	bool has_name = !strcmp(base_name(map->path), base_name(file->path)), is_same;
	struct stat st;
	int fd;

	if (map->ino == file->ino && map->dev == file->dev)
		return true;
	if (map->ino != file->ino && !has_name)
		return false;
	fd = proc_open_map_file(proc_fd, pid, map);
	if (fd < 0)
		return map->ino == file->ino && has_name;
	is_same = !fstat(fd, &st) && st.st_dev == file->dev && st.st_ino == file->ino;
	close(fd);
	return is_same;
}

/* find_address - where the process has the byte at `offset` of the file; 0 or -errno */
static int find_address(uint64_t *out, int proc_fd, pid_t pid, const struct target_file *file, uint64_t offset)
{
	struct proc_maps maps;
	struct proc_map map;
	int ret = proc_maps_open(&maps, proc_fd, pid);

	if (ret)
		return ret == -ENOENT ? -ESRCH : ret;
	while ((ret = proc_maps_next(&maps, &map)) > 0) {
		if (offset >= map.offset && offset - map.offset < map.end - map.start &&
		    maps_file(proc_fd, pid, &map, file)) {
			*out = map.start + (offset - map.offset);
			break;
		}
	}
	proc_maps_close(&maps);
	return ret > 0 ? 0 : ret ? ret : -ENOENT;
}

int target_breakpoint_set(const char *proc_dir, pid_t pid, const struct target_file *file, uint64_t offset)
{
	int proc_fd = open(proc_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	unsigned char byte = 0;
	uint64_t address = 0;

	if (proc_fd < 0)
		return -errno;
	ret = find_address(&address, proc_fd, pid, file, offset);
	if (!ret)
		ret = proc_read_byte(proc_fd, pid, address, &byte);
	close(proc_fd);
	return ret ? ret : byte == BREAKPOINT;
}
