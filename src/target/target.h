/* SPDX-License-Identifier: Apache-2.0 */
/* target.h - owns the finding of running mail servers: from /proc to instances and the files to probe.
 * It knows the catalog's recognition rules but no probe, and attaches nothing.
 * An instance is a process tree below one process whose executable a server's globs match. Its files are those
 * that the tree maps, and their namesakes on disk that a process to come will map: a replaced file appears
 * beside the old one as long as some process maps that. */
#ifndef MAILGAUGE_TARGET_H
#define MAILGAUGE_TARGET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "catalog/catalog.h"

struct arena;
struct elf_image;

/* The root directory of an instance. */
struct target_root {
	int fd;      /* owned by the scan */
	uid_t owner; /* of the instance's executable */
	struct target_root *next;
};

/* One file (an inode) of one object of the catalog. */
struct target_file {
	const struct object_def *object;
	const char *path; /* as the instance sees it, for people; " (deleted)" is cut off */
	bool is_deleted;  /* mapped, but no longer at its path */
	dev_t dev;        /* with ino: identity of the file, by fstat */
	ino_t ino;
	uint64_t size;
	struct timespec mtime;
	bool is_overlay; /* on overlayfs, where every mount has a device number of its own */
	int fd; /* open for reading; owned by the scan, and the same for the same inode. /proc/self/fd/N names the
		 * file for the kernel */
	const struct target_root *root; /* where `path` is a path; NULL not known */
	pid_t mapped_by;                /* a process that maps it executable, 0 none yet */
};

struct target {
	const struct server_def *server;
	pid_t pid;            /* of the root process, in our pid namespace */
	uint64_t start_ticks; /* its start time (field 22 of /proc/PID/stat): with pid, the identity of the instance */
	const char *exe;      /* path of its executable */
	uint32_t pid_ns;      /* inode number of its pid namespace if that is another than ours, else 0 */
	struct target_file *files; /* sorted by object, then dev and ino */
	size_t file_cnt;
};

/* An open file; it is shared by all targets and objects that it belongs to. */
struct target_open {
	dev_t dev;
	ino_t ino;
	int fd;
};

struct target_scan {
	struct target *targets; /* sorted by server name, then pid */
	size_t target_cnt;
	/* A process with a user shadow stack runs here, and this kernel would kill it at an emulated call. */
	bool calls_are_fatal;
	struct target_root *roots;
	struct target_open *open;
	size_t open_cnt, open_cap;
	struct arena *mem;
};

/* target_scan_proc - look at all processes below `proc_dir` ("/proc"). With only_pid > 0 the one instance that
 * this process (any of the tree) belongs to. Processes that vanish meanwhile are no error.
 * 0 (also when nothing was found), or with a reason in err: -ESRCH no such process as only_pid, -ENOENT it belongs
 * to no known server, -errno /proc not readable. */
int target_scan_proc(struct target_scan **out, const struct catalog *catalog, const char *proc_dir, pid_t only_pid,
		     char err[static 256]);
/* target_same_file - are both one file as the kernel's uprobes see it? A uprobe is on the inode of the lowest layer, so
 * a file that containers share must be attached once, though its device number differs in every overlay. There the
 * inode number is that of the lower file; with size and time of change (in ns) it tells the same one. */
bool target_same_file(const struct target_file *a, const struct target_file *b);
/* target_scan_free - closes the files' fds as well; accepts NULL, sets *scan to NULL */
void target_scan_free(struct target_scan **scan);

/* target_open_elf - read the file, and its separate debug file if the instance's file system has one. A debug file that
 * cannot be used is warned of. 0, or -errno with a reason in err, as of elf_open_fd(). */
int target_open_elf(struct elf_image **out, const struct target_file *file, char err[static 256]);

/* target_breakpoint_set - is there a breakpoint (int3) at the file's `offset` in the memory of process `pid`, which
 * maps `file`? 1 yes, 0 no, -errno when it cannot be read or the process does not map that part */
int target_breakpoint_set(const char *proc_dir, pid_t pid, const struct target_file *file, uint64_t offset);

#endif
