/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h - owns the reading of one process's entries below /proc: its stat line, links and memory map.
 * It knows no mail server and keeps nothing. All of it may vanish between two calls: that is an ordinary answer. */
#ifndef MAILGAUGE_PROC_H
#define MAILGAUGE_PROC_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
	pid_t pid, ppid;
	uint64_t start_ticks; /* field 22: clock ticks after boot */
};

/* proc_parse_pid - the name of a process's directory; 0 for all other names */
pid_t proc_parse_pid(const char *name);
/* proc_parse_stat - the text of /proc/PID/stat; false when it is none */
bool proc_parse_stat(const char *text, struct proc_stat *out);
/* proc_read_stat - 0 or -errno; `proc_fd` is the open directory /proc */
int proc_read_stat(int proc_fd, pid_t pid, struct proc_stat *out);
/* proc_read_link - target of /proc/PID/`name` ("exe", "root"): its length, or -errno (-ENAMETOOLONG: does not fit) */
ssize_t proc_read_link(int proc_fd, pid_t pid, const char *name, char *out, size_t size);
/* proc_read_comm - the name of a process; "" when it is gone */
void proc_read_comm(int proc_fd, pid_t pid, char comm[static 16]);
/* proc_read_byte - of the process's memory; 0 or -errno (-ESRCH: it is gone) */
int proc_read_byte(int proc_fd, pid_t pid, uint64_t address, unsigned char *out);
/* proc_pid_namespace - inode number of the process's pid namespace; 0 when it cannot be told */
uint32_t proc_pid_namespace(int proc_fd, pid_t pid);
/* proc_has_shadow_stack - is a user shadow stack (CET) on in the process? /proc/PID/status says so since Linux 6.6 */
bool proc_has_shadow_stack(int proc_fd, pid_t pid);
/* proc_kernel_pushes_calls - does a kernel of this release ("6.12.5-1-amd64"), when it emulates a probed call, push
 * to the shadow stack as well? Since the x86 uprobe work of August 2025 (shstk_push() in branch_emulate_op()), which
 * Linux 6.18 has. An older one leaves the process to die at the function's return. */
bool proc_kernel_pushes_calls(const char *release);
/* proc_cut_deleted - cut the kernel's " (deleted)" off a path; true when it was there. A file whose own name ends
 * so is taken for a deleted one: only its inode, never this text, decides which file is opened. */
bool proc_cut_deleted(char *path);

/* One executable mapping of a file. */
struct proc_map {
	uint64_t start, end, offset;
	dev_t dev; /* of the file system: not always what stat says of a file in it (btrfs, overlayfs) */
	ino_t ino;
	const char *path; /* as proc_read_link would give it; valid until the next call */
	bool is_deleted;
};

/* proc_open_path - /proc/PID/`name` by O_PATH, links followed; an fd or -errno */
int proc_open_path(int proc_fd, pid_t pid, const char *name);
/* proc_open_map_file - the mapped file itself by O_PATH, wherever it is and even if deleted; an fd or -errno */
int proc_open_map_file(int proc_fd, pid_t pid, const struct proc_map *map);

/* proc_parse_map - one line of /proc/PID/maps without its newline; the line is changed and out->path points into
 * it. False when it is not an executable mapping of a file. */
bool proc_parse_map(char *line, struct proc_map *out);

/* A reader of /proc/PID/maps in constant memory. */
struct proc_maps {
	int fd;
	size_t begin, len, total; /* unread part of buf; bytes read so far */
	bool skips_line;          /* the rest of an overlong line is being thrown away */
	char buf[32768]; /* longer than any line: PATH_MAX characters of which each may be escaped, and numbers */
};

/* proc_maps_open - 0 or -errno; after 0 call proc_maps_close */
int proc_maps_open(struct proc_maps *maps, int proc_fd, pid_t pid);
/* proc_maps_next - the next executable mapping of a file: 1, 0 at the end, -errno (-EFBIG: an absurdly long list) */
int proc_maps_next(struct proc_maps *maps, struct proc_map *out);
void proc_maps_close(struct proc_maps *maps);

#endif
