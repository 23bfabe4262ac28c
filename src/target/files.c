/* SPDX-License-Identifier: Apache-2.0 */
/* How the files of an instance are found
 *
 * The memory maps of all processes of its tree are read. Executable mappings with an object's name are opened
 * through /proc/PID/map_files, which works for deleted files and in other mount namespaces. Then the directories of
 * these files are looked through, within the root process's file system, for files with an object's name that
 * nobody maps yet.
 *
 * A mail server runs programs of its users (filters, forwards), so what is seen in a tree may be made up:
 * everything has a limit, and a file is the instance's own only if root or the owner of its executable owns it. */
#include "target/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "target/directory.h"
#include "target/proc.h"

#define MAPPED_MAX       4096  /* different files mapped by one tree */
#define TARGET_FILES_MAX 256   /* files of one instance */
#define OPEN_FILES_MAX   4096  /* open files of all instances */
#define DIRS_MAX         64    /* directories of one instance */
#define DIR_ENTRIES_MAX  65536 /* names in one directory */
#define BUCKETS          256

/* A file as the memory maps show it. (dev, ino, path) is one file within one tree; over several containers it
 * need not be, since btrfs snapshots share all three. */
struct mapped {
	struct proc_map map; /* of the first process that was seen to map it */
	pid_t pid;
	struct mapped *next_in_bucket, *next;
};

/* What is known while the files of one instance are searched. */
struct search {
	struct target_scan *scan;
	struct target *target;
	const struct instance *instance;
	int proc_fd;
	size_t file_cap;
	uid_t owner;             /* of the executable */
	char root_dir[PATH_MAX]; /* of the root process as we see it: "" or a directory that it is chrooted to */
	int root_fd;
	const struct target_root *root;                  /* the same, for as long as the scan is kept */
	struct mapped *buckets[BUCKETS], *first, **tail; /* in the order of finding */
	size_t mapped_cnt;
	size_t left_out; /* files that a limit left no room for, or that could not be opened */
	const char *dirs[DIRS_MAX];
	size_t dir_cnt;
	struct arena *mem; /* for the time of the scan only */
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_object(const struct object_def *object, const char *path)
{
	return !fnmatch(object->file, base_name(path), FNM_EXTMATCH);
}

/* inner_path - a path as the instance sees it. The kernel gives paths from our root directory or, in another mount
 * namespace, from that one's top; a chroot of the instance stands in front in both cases. */
static const char *inner_path(const struct search *search, const char *path)
{
	size_t len = strlen(search->root_dir);

	return !strncmp(path, search->root_dir, len) && path[len] == '/' ? path + len : path;
}

/* opened_file - the fd of this file among the scan's open ones; it is opened for reading from `path_fd` if it is
 * not yet there. -errno when that is not possible. */
static int opened_file(struct target_scan *scan, int path_fd, const struct stat *st)
{
	char link[64];
	int fd;

	for (size_t i = 0; i < scan->open_cnt; i++) {
		if (scan->open[i].dev == st->st_dev && scan->open[i].ino == st->st_ino)
			return scan->open[i].fd;
	}
	if (scan->open_cnt == OPEN_FILES_MAX)
		return -EMFILE;
	/* What is behind path_fd is known to be a regular file: opening it has no side effects. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	scan->open = arena_grow(scan->mem, scan->open, scan->open_cnt, &scan->open_cap, sizeof(*scan->open));
	scan->open[scan->open_cnt++] = (struct target_open){.dev = st->st_dev, .ino = st->st_ino, .fd = fd};
	return fd;
}

static struct target_file *find_file(const struct target *target, const struct object_def *object,
				     const struct stat *st)
{
	for (size_t i = 0; i < target->file_cnt; i++) {
		struct target_file *file = &target->files[i];

		if (file->dev == st->st_dev && file->ino == st->st_ino && file->object == object)
			return file;
	}
	return NULL;
}

static bool is_on_overlay(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == OVERLAYFS_SUPER_MAGIC;
}

/* add_file - the file behind `path_fd` as a file of `object`, if it is one that may be and is not there yet.
 * `mapped_by` is 0 for a file found on disk. True when the file is (now) there. */
static bool add_file(struct search *search, const struct object_def *object, int path_fd, const char *path,
		     bool is_deleted, pid_t mapped_by)
{
	struct target *target = search->target;
	struct stat st;
	int fd;

	if (fstat(path_fd, &st) || !S_ISREG(st.st_mode))
		return false;
	if (st.st_uid != 0 && st.st_uid != search->owner) {
		log_debug("%s: owned by uid %u, neither root nor the owner of %s", path, st.st_uid, target->exe);
		return false;
	}
	if (find_file(target, object, &st))
		return true;
	if (target->file_cnt == TARGET_FILES_MAX) {
		search->left_out++;
		return false;
	}
	fd = opened_file(search->scan, path_fd, &st);
	if (fd < 0) {
		log_debug("%s: %s", path, strerror(-fd));
		search->left_out++;
		return false;
	}
	target->files =
	    arena_grow(search->scan->mem, target->files, target->file_cnt, &search->file_cap, sizeof(*target->files));
	target->files[target->file_cnt++] = (struct target_file){
	    .object = object,
	    .path = arena_strdup(search->scan->mem, path),
	    .is_deleted = is_deleted,
	    .dev = st.st_dev,
	    .ino = st.st_ino,
	    .size = (uint64_t)st.st_size,
	    .mtime = st.st_mtim,
	    .is_overlay = is_on_overlay(fd),
	    .fd = fd,
	    .root = search->root,
	    .mapped_by = mapped_by,
	};
	return true;
}

static bool add_objects(struct search *search, int path_fd, const char *path, bool is_deleted, pid_t mapped_by)
{
	const struct server_def *server = search->target->server;
	bool is_added = false;

	for (size_t i = 0; i < server->object_cnt; i++) {
		if (is_object(&server->objects[i], path))
			is_added |= add_file(search, &server->objects[i], path_fd, path, is_deleted, mapped_by);
	}
	return is_added;
}

static void add_dir(struct search *search, const char *path)
{
	size_t len = (size_t)(base_name(path) - path);

	for (size_t i = 0; i < search->dir_cnt; i++) {
		if (strlen(search->dirs[i]) == len && !strncmp(search->dirs[i], path, len))
			return;
	}
	if (search->dir_cnt < DIRS_MAX)
		search->dirs[search->dir_cnt++] = arena_strndup(search->mem, path, len);
}

/* note_mapping - remember a mapping unless its file is known already */
static void note_mapping(struct search *search, const struct proc_map *map, pid_t pid)
{
	struct mapped **bucket = &search->buckets[(map->ino ^ map->ino >> 8) % BUCKETS], *mapped;

	for (mapped = *bucket; mapped; mapped = mapped->next_in_bucket) {
		if (mapped->map.ino == map->ino && mapped->map.dev == map->dev && !strcmp(mapped->map.path, map->path))
			return;
	}
	if (search->mapped_cnt == MAPPED_MAX) {
		search->left_out++;
		return;
	}
	search->mapped_cnt++;
	mapped = arena_alloc(search->mem, sizeof(*mapped));
	*mapped = (struct mapped){.map = *map, .pid = pid, .next_in_bucket = *bucket};
	mapped->map.path = arena_strdup(search->mem, map->path);
	*bucket = mapped;
	*search->tail = mapped;
	search->tail = &mapped->next;
}

static void read_maps(struct search *search, pid_t pid)
{
	struct proc_maps maps;
	struct proc_map map;
	int ret = proc_maps_open(&maps, search->proc_fd, pid);

	if (!ret) {
		while ((ret = proc_maps_next(&maps, &map)) > 0)
			note_mapping(search, &map, pid);
		proc_maps_close(&maps);
	}
	if (ret && ret != -ENOENT && ret != -ESRCH)
		log_debug("process %d: memory map not read to its end: %s", (int)pid, strerror(-ret));
}

/* open_exe - the executable of a process, if that is what is mapped; else -errno */
static int open_exe(const struct search *search, const struct mapped *mapped)
{
	char path[PATH_MAX];
	ssize_t len = proc_read_link(search->proc_fd, mapped->pid, "exe", path, sizeof(path));

	if (len < 0)
		return (int)len;
	proc_cut_deleted(path);
	return strcmp(path, mapped->map.path) ? -ENOENT : proc_open_path(search->proc_fd, mapped->pid, "exe");
}

/* open_mapped - O_PATH, or -errno. Following map_files needs CAP_CHECKPOINT_RESTORE (before Linux 5.9:
 * CAP_SYS_ADMIN). Without it the file is looked for by its path, and must have the inode number that the map shows. */
static int open_mapped(const struct search *search, const struct mapped *mapped)
{
	int ret = proc_open_map_file(search->proc_fd, mapped->pid, &mapped->map), fd;
	struct stat st;

	if (ret >= 0)
		return ret;
	fd = open_exe(search, mapped);
	if (fd < 0 && !mapped->map.is_deleted)
		fd = directory_open_below(search->root_fd, inner_path(search, mapped->map.path), O_PATH);
	if (fd < 0)
		return ret;
	if (fstat(fd, &st) || st.st_ino != mapped->map.ino) {
		close(fd);
		return ret;
	}
	return fd;
}

static bool has_object(const struct server_def *server, const char *path)
{
	for (size_t i = 0; i < server->object_cnt; i++) {
		if (is_object(&server->objects[i], path))
			return true;
	}
	return false;
}

static void add_mapped_files(struct search *search)
{
	for (const struct mapped *mapped = search->first; mapped; mapped = mapped->next) {
		const char *path = inner_path(search, mapped->map.path);
		int fd;

		if (!has_object(search->target->server, path))
			continue;
		fd = open_mapped(search, mapped);
		if (fd < 0) {
			log_debug("%s, mapped by process %d: %s", path, (int)mapped->pid, strerror(-fd));
			continue;
		}
		if (add_objects(search, fd, path, mapped->map.is_deleted, mapped->pid))
			add_dir(search, path);
		close(fd);
	}
}

/* disk_path - where a file found as DIR/NAME really is, symbolic links resolved */
static const char *disk_path(const struct search *search, int fd, const char *name, char *out, size_t size)
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, out, size);
	if (len <= 0 || (size_t)len >= size)
		return name;
	out[len] = '\0';
	return inner_path(search, out);
}

static void add_disk_file(struct search *search, const struct object_def *object, const char *dir, const char *name)
{
	char path[PATH_MAX], real[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s%s", dir, name) >= sizeof(path))
		return;
	fd = directory_open_below(search->root_fd, path, O_PATH);
	if (fd < 0)
		return;
	add_file(search, object, fd, disk_path(search, fd, path, real, sizeof(real)), false, 0);
	close(fd);
}

/* add_disk_files - what has an object's name in a directory that the instance's files are in */
static void add_disk_files(struct search *search, const char *dir_path)
{
	const struct server_def *server = search->target->server;
	int fd = directory_open_below(search->root_fd, dir_path, O_RDONLY | O_DIRECTORY);
	DIR *dir = directory_open(fd);
	struct dirent *entry;

	if (!dir) {
		log_debug("%s of process %d: %s", dir_path, (int)search->target->pid, strerror(fd < 0 ? -fd : errno));
		return;
	}
	for (size_t n = 0; n < DIR_ENTRIES_MAX && (entry = readdir(dir)); n++) {
		if (entry->d_type != DT_REG && entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
			continue;
		for (size_t i = 0; i < server->object_cnt; i++) {
			if (is_object(&server->objects[i], entry->d_name))
				add_disk_file(search, &server->objects[i], dir_path, entry->d_name);
		}
	}
	closedir(dir);
}

/* A file of another name but the same inode (a hard link) is mapped as soon as one of them is. */
static void share_mapped_by(struct target *target)
{
	for (size_t i = 0; i < target->file_cnt; i++) {
		for (size_t j = 0; j < target->file_cnt && !target->files[i].mapped_by; j++) {
			if (target->files[j].dev == target->files[i].dev &&
			    target->files[j].ino == target->files[i].ino)
				target->files[i].mapped_by = target->files[j].mapped_by;
		}
	}
}

static int compare_files(const void *a, const void *b)
{
	const struct target_file *x = a, *y = b;

	if (x->object != y->object)
		return x->object < y->object ? -1 : 1; /* rows of one array */
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return (x->ino > y->ino) - (x->ino < y->ino);
}

static void search_files(struct search *search, int exe_fd)
{
	const struct instance *instance = search->instance;
	struct target *target = search->target;

	for (size_t i = 0; i < instance->pid_cnt; i++)
		read_maps(search, instance->pids[i]);
	add_objects(search, exe_fd, target->exe, instance->exe_is_deleted, target->pid);
	add_dir(search, target->exe);
	add_mapped_files(search);
	for (size_t i = 0; i < search->dir_cnt; i++)
		add_disk_files(search, search->dirs[i]);
	if (search->left_out)
		log_warn("process %d: %zu files or mappings are not looked at (too many, or not readable)",
			 (int)target->pid, search->left_out);
	share_mapped_by(target);
	if (target->file_cnt)
		qsort(target->files, target->file_cnt, sizeof(*target->files), compare_files);
}

/* keep_root - so that files can be looked for in it later on */
static const struct target_root *keep_root(struct target_scan *scan, int root_fd, uid_t owner)
{
	struct target_root *root;
	int fd = root_fd < 0 ? -1 : fcntl(root_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return NULL;
	root = arena_alloc(scan->mem, sizeof(*root));
	*root = (struct target_root){.fd = fd, .owner = owner, .next = scan->roots};
	scan->roots = root;
	return root;
}

int files_find(struct target *target, struct target_scan *scan, const struct instance *instance, int proc_fd)
{
	int exe_fd = proc_open_path(proc_fd, target->pid, "exe"), root_fd = -1, ret = 0;
	struct arena *mem = arena_new();
	struct search *search = arena_alloc(mem, sizeof(*search));
	struct stat exe;

	if (exe_fd < 0 || fstat(exe_fd, &exe)) {
		ret = exe_fd < 0 ? exe_fd : -errno;
		goto cleanup;
	}
	root_fd = proc_open_path(proc_fd, target->pid, "root");
	*search = (struct search){.scan = scan, .target = target, .instance = instance, .proc_fd = proc_fd, .mem = mem};
	search->root_fd = root_fd;
	search->owner = exe.st_uid;
	search->root = keep_root(scan, root_fd, exe.st_uid);
	search->tail = &search->first;
	if (proc_read_link(proc_fd, target->pid, "root", search->root_dir, sizeof(search->root_dir)) < 0 ||
	    !strcmp(search->root_dir, "/"))
		search->root_dir[0] = '\0';
	target->exe = arena_strdup(scan->mem, inner_path(search, instance->exe));
	search_files(search, exe_fd);
cleanup:
	if (exe_fd >= 0)
		close(exe_fd);
	if (root_fd >= 0)
		close(root_fd);
	arena_free(&mem);
	return ret;
}
