/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - owns the attaching and detaching of breakpoints, by either method. It knows offsets and cookies, but not
 * what they mean.
 *
 * Links are made per file, never per process: servers fork all day, a pid filter would lose every child.
 * The kernel is given the file as /proc/self/fd/N, which also names files that were deleted or are in a mount
 * namespace of their own. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "probe/parts.h"

/* BPF_F_UPROBE_MULTI_RETURN, of the same commit as ATTACH_UPROBE_MULTI */
#define MULTI_RETURN 1u

struct multi_attr {
	__u32 prog_fd, target_fd, attach_type, flags;
	__u64 path, offsets, ref_ctr_offsets, cookies;
	__u32 cnt, multi_flags, pid, pad;
};

static int link_create(const struct multi_attr *attr)
{
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, attr, sizeof(*attr));

	return fd < 0 ? -errno : (int)fd;
}

/* A program that does nothing, for asking the kernel. */
static int load_nothing(void)
{
	const struct bpf_insn insns[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)ATTACH_UPROBE_MULTI);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "mailgauge_ask", "GPL", insns, 2, &opts);
}

bool probe_kernel_has_multi(void)
{
	/* Loading a program for this attach type succeeds on every kernel; only the making of a link tells. The path is
	 * no regular file: a kernel that knows such links says EBADF, one that does not EINVAL. */
	const char *path = "/";
	const __u64 offset = 0;
	struct multi_attr attr = {.attach_type = ATTACH_UPROBE_MULTI, .cnt = 1};
	int prog = load_nothing(), fd;

	if (prog < 0)
		return false;
	attr.prog_fd = (__u32)prog;
	attr.path = (__u64)(uintptr_t)path;
	attr.offsets = (__u64)(uintptr_t)&offset;
	fd = link_create(&attr);
	close(prog);
	if (fd >= 0)
		close(fd);
	return fd == -EBADF;
}

#define KERNEL_ENOTSUPP 524 /* include/linux/errno.h: not meant for user space, yet it is what a uprobe gives */

static void report_failure(const struct file_entry *file, struct point_entry *point, int err)
{
	log_warn("%s: cannot attach to offset 0x%llx (%s): %s", file->file.path, (unsigned long long)point->offset,
		 point->event_cnt ? point->events[0] : "no event",
		 err == -KERNEL_ENOTSUPP ? "the kernel cannot probe this instruction" : strerror(-err));
	point->is_attached = false;
}

/* attach_multi - points [from, to), all of one kind, by one link; where that fails, by halves: one bad point must
 * not cost the others */
static void attach_multi(struct probe_set *set, struct file_entry *file, const char *path, size_t from, size_t to)
{
	size_t count = to - from;
	__u64 *offsets, *cookies;
	struct multi_attr attr = {.attach_type = ATTACH_UPROBE_MULTI, .cnt = (__u32)count};
	bool is_return;
	int fd;

	if (!count)
		return;
	is_return = file->points[from].is_return;
	offsets = xrealloc_array(NULL, count, sizeof(*offsets));
	cookies = xrealloc_array(NULL, count, sizeof(*cookies));
	for (size_t i = 0; i < count; i++) {
		offsets[i] = file->points[from + i].offset;
		cookies[i] = file->first_spec + file->points[from + i].spec;
	}
	attr.prog_fd = (__u32)bpf_program__fd(is_return ? set->on_return : set->on_entry);
	attr.multi_flags = is_return ? MULTI_RETURN : 0;
	attr.path = (__u64)(uintptr_t)path;
	attr.offsets = (__u64)(uintptr_t)offsets;
	attr.cookies = (__u64)(uintptr_t)cookies;
	fd = link_create(&attr);
	free(offsets);
	free(cookies);
	if (fd >= 0) {
		file->link_fds = xrealloc_array(file->link_fds, file->link_fd_cnt + 1, sizeof(int));
		file->link_fds[file->link_fd_cnt++] = fd;
		for (size_t i = from; i < to; i++)
			file->points[i].is_attached = true;
	} else if (count == 1) {
		report_failure(file, &file->points[from], fd);
	} else {
		attach_multi(set, file, path, from, from + count / 2);
		attach_multi(set, file, path, from + count / 2, to);
	}
}

static void attach_perf(struct probe_set *set, struct file_entry *file, const char *path, struct point_entry *point)
{
	struct bpf_program *prog = point->is_return ? set->on_return : set->on_entry;
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = point->is_return, .bpf_cookie = file->first_spec + point->spec);
	struct bpf_link *link = bpf_program__attach_uprobe_opts(prog, -1, path, point->offset, &opts);

	if (!link) {
		report_failure(file, point, -errno);
		return;
	}
	file->links = xrealloc_array(file->links, file->link_cnt + 1, sizeof(struct bpf_link *));
	file->links[file->link_cnt++] = link;
	point->is_attached = true;
}

void link_attach(struct probe_set *set, struct file_entry *file, int fd)
{
	size_t entries = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (set->method == METHOD_PERF) {
		for (size_t i = 0; i < file->point_cnt; i++)
			attach_perf(set, file, path, &file->points[i]);
		return;
	}
	while (entries < file->point_cnt && !file->points[entries].is_return)
		entries++;
	attach_multi(set, file, path, 0, entries);
	attach_multi(set, file, path, entries, file->point_cnt);
}

/* ---- detaching: the kernel waits for running programs to end before it lets go of a link (40 to 120 ms each on 6.18,
 * whatever the number of its probes). Threads make the waits overlap. */

#define DETACH_THREADS 32

struct detach {
	struct file_entry *const *files;
	size_t file_cnt;
	size_t next; /* number of the link to be let go of next, over all files; atomic */
};

/* detach_one - link number `n`, counted over all files; false when there are not so many */
static bool detach_one(const struct detach *work, size_t n)
{
	for (size_t i = 0; i < work->file_cnt; i++) {
		const struct file_entry *file = work->files[i];

		if (n < file->link_fd_cnt) {
			close(file->link_fds[n]);
			return true;
		}
		n -= file->link_fd_cnt;
		if (n < file->link_cnt) {
			bpf_link__destroy(file->links[n]);
			return true;
		}
		n -= file->link_cnt;
	}
	return false;
}

static void *detach_some(void *arg)
{
	struct detach *work = arg;

	while (detach_one(work, __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED)))
		;
	return NULL;
}

void link_detach(struct file_entry *const *files, size_t file_cnt)
{
	struct detach work = {.files = files, .file_cnt = file_cnt};
	pthread_t threads[DETACH_THREADS];
	size_t links = 0, started = 0;

	for (size_t i = 0; i < file_cnt; i++)
		links += files[i]->link_fd_cnt + files[i]->link_cnt;
	/* This thread works as well, alone if no other can be had. */
	while (started + 1 < links && started < DETACH_THREADS &&
	       !pthread_create(&threads[started], NULL, detach_some, &work))
		started++;
	detach_some(&work);
	while (started)
		pthread_join(threads[--started], NULL);
	for (size_t i = 0; i < file_cnt; i++) {
		free(files[i]->link_fds);
		free(files[i]->links);
		files[i]->link_fds = NULL;
		files[i]->links = NULL;
		files[i]->link_fd_cnt = files[i]->link_cnt = 0;
	}
}
