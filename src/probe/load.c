/* SPDX-License-Identifier: Apache-2.0 */
/* load.c - owns the life of the set: loading the BPF object, and making what is attached follow the plan. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "probe.skel.h"
#include "probe/parts.h"

static int libbpf_says(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[512];
	size_t len;

	if (level == LIBBPF_DEBUG || !log_enabled(LOG_DEBUG))
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	len = strlen(line);
	if (len && line[len - 1] == '\n')
		line[len - 1] = '\0';
	log_debug("%s", line);
	return 0;
}

static size_t page_round(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static const char *load_advice(int err)
{
	switch (err) {
	case -EPERM:
	case -EACCES:
		return " (root or CAP_BPF and CAP_PERFMON are needed)";
	case -ENOENT:
	case -ESRCH:
		return " (is /sys/kernel/btf/vmlinux there?)";
	case -EINVAL:
		return " (Linux 6.1 or newer is needed)";
	}
	return "";
}

static int load_object(struct probe_set *set, const struct probe_options *options, char err[static 256])
{
	int cpus = libbpf_num_possible_cpus(), ret;

	if (cpus < 0) {
		snprintf(err, 256, "number of CPUs: %s", strerror(-cpus));
		return cpus;
	}
	set->cpu_cnt = (unsigned)cpus;
	set->skel = probe_bpf__open();
	if (!set->skel) {
		ret = -errno;
		snprintf(err, 256, "opening the BPF object: %s", strerror(-ret));
		return ret;
	}
	set->skel->rodata->scope_pid = options->scope_pid;
	set->skel->rodata->scope_pid_ns = options->scope_pid_ns;
	ret = bpf_map__set_max_entries(set->skel->maps.series, set->cpu_cnt * PROBE_SERIES);
	if (!ret && set->method == METHOD_MULTI) {
		enum bpf_attach_type type = (enum bpf_attach_type)ATTACH_UPROBE_MULTI;

		bpf_program__set_expected_attach_type(set->skel->progs.probe_entry, type);
		bpf_program__set_expected_attach_type(set->skel->progs.probe_return, type);
	}
	if (!ret)
		ret = probe_bpf__load(set->skel);
	if (ret) {
		snprintf(err, 256, "loading the BPF programs: %s%s", strerror(-ret), load_advice(ret));
		return ret;
	}
	set->on_entry = set->skel->progs.probe_entry;
	set->on_return = set->skel->progs.probe_return;
	set->specs_fd = bpf_map__fd(set->skel->maps.specs);
	set->rules_fd = bpf_map__fd(set->skel->maps.rules);
	set->cases_fd = bpf_map__fd(set->skel->maps.cases);
	set->needles_fd = bpf_map__fd(set->skel->maps.needles);
	set->layouts_fd = bpf_map__fd(set->skel->maps.layouts);
	set->bounds_fd = bpf_map__fd(set->skel->maps.bounds);
	set->classes_fd = bpf_map__fd(set->skel->maps.classes);
	set->holders_fd = bpf_map__fd(set->skel->maps.holders);
	set->ends_fd = bpf_map__fd(set->skel->maps.ends);
	set->seed_fd = bpf_program__fd(set->skel->progs.seed_holder);
	return 0;
}

/* watch_ends - of all processes, as long as the object is loaded: what an ended one held must go */
static int watch_ends(struct probe_set *set, char err[static 256])
{
	int ret = 0;

	set->skel->links.process_exit = bpf_program__attach(set->skel->progs.process_exit);
	if (!set->skel->links.process_exit) {
		ret = -errno;
		snprintf(err, 256, "watching the ends of processes: %s", strerror(-ret));
	}
	return ret;
}

void clock_refresh(const struct probe_set *set)
{
	const int64_t second = 1000000000;
	struct timespec real, tai;

	/* The two differ by whole seconds; 0 where nobody has told the kernel how many. */
	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_TAI, &tai);
	set->skel->bss->tai_offset_ns =
	    (uint64_t)(((tai.tv_sec - real.tv_sec) * second + tai.tv_nsec - real.tv_nsec + second / 2) / second *
		       second);
}

static int map_counters(struct probe_set *set, char err[static 256])
{
	void *mem;

	set->counters_size = page_round((size_t)set->cpu_cnt * PROBE_SERIES * sizeof(uint64_t));
	mem = mmap(NULL, set->counters_size, PROT_READ, MAP_SHARED, bpf_map__fd(set->skel->maps.series), 0);
	if (mem == MAP_FAILED) {
		int ret = -errno;

		snprintf(err, 256, "mapping the counters: %s", strerror(-ret));
		return ret;
	}
	set->counters = mem;
	return 0;
}

int probe_set_open(struct probe_set **out, const struct probe_options *options, char err[static 256])
{
	struct probe_set *set = calloc(1, sizeof(*set));
	int ret;

	if (!set) {
		snprintf(err, 256, "out of memory");
		return -ENOMEM;
	}
	pthread_mutex_init(&set->lock, NULL);
	set->mem = arena_new();
	libbpf_set_print(libbpf_says);
	set->method = options->method;
	set->linger_ms = options->linger_ms;
	if (set->method == METHOD_AUTO)
		set->method = probe_kernel_has_multi() ? METHOD_MULTI : METHOD_PERF;
	ret = load_object(set, options, err);
	if (!ret)
		ret = map_counters(set, err);
	if (!ret)
		ret = watch_ends(set, err);
	if (ret) {
		probe_set_close(&set);
		return ret;
	}
	clock_refresh(set);
	set->start_ns = clock_ns(CLOCK_REALTIME);
	*out = set;
	return 0;
}

/* ---- files */

/* file_new - an entry with its tables not yet in the maps */
static struct file_entry *file_new(const struct numbers *numbers, const struct plan_file *from)
{
	struct arena *mem = arena_new();
	struct file_entry *file = arena_alloc(mem, sizeof(*file));

	*file = (struct file_entry){
	    .mem = mem,
	    .server = arena_strdup(mem, from->server->name),
	    .build_id = arena_strdup(mem, from->build_id),
	    .file = *from->file,
	    .points = arena_array(mem, from->point_cnt, sizeof(*file->points)),
	    .point_cnt = from->point_cnt,
	    .is_wanted = true,
	};
	file->file.path = arena_strdup(mem, from->file->path);
	for (size_t i = 0; i < from->point_cnt; i++) {
		const struct plan_point *point = &from->points[i];

		file->points[i] = (struct point_entry){
		    .offset = point->site.offset,
		    .spec = point->spec,
		    .is_return = point->is_return,
		    .events = arena_array(mem, point->event_cnt, sizeof(char *)),
		    .event_cnt = point->event_cnt,
		};
		for (size_t k = 0; k < point->event_cnt; k++)
			file->points[i].events[k] = arena_strdup(mem, point->events[k]->name);
	}
	image_make(&file->image, numbers, from, mem);
	return file;
}

static void file_free(struct file_entry *file)
{
	struct arena *mem = file->mem;

	arena_free(&mem);
}

static bool same_points(const struct file_entry *a, const struct file_entry *b)
{
	if (a->point_cnt != b->point_cnt)
		return false;
	for (size_t i = 0; i < a->point_cnt; i++)
		if (a->points[i].offset != b->points[i].offset || a->points[i].spec != b->points[i].spec ||
		    a->points[i].is_return != b->points[i].is_return)
			return false;
	return true;
}

static struct file_entry *find_same(struct probe_set *set, const struct file_entry *like)
{
	for (size_t i = 0; i < set->file_cnt; i++) {
		struct file_entry *file = set->files[i];

		/* Same inode, same content: a file rewritten in place has another build id or other points. */
		if (!strcmp(file->server, like->server) && target_same_file(&file->file, &like->file) &&
		    !strcmp(file->build_id, like->build_id) && same_points(file, like) &&
		    image_equal(&file->image, &like->image))
			return file;
	}
	return NULL;
}

/* verify - is the breakpoint in the memory of a process that maps the file? The kernel accepts links to files that
 * nobody maps and then leaves out, silently, instructions that it cannot probe. */
static void verify(struct file_entry *file, const struct target_file *target)
{
	if (!target->mapped_by)
		return;
	for (size_t i = 0; i < file->point_cnt; i++) {
		struct point_entry *point = &file->points[i];

		if (!point->is_attached || target_breakpoint_set("/proc", target->mapped_by, target, point->offset))
			continue;
		log_warn("%s: the kernel set no breakpoint at offset 0x%llx (%s)", file->file.path,
			 (unsigned long long)point->offset, point->event_cnt ? point->events[0] : "no event");
		point->is_attached = false;
	}
}

static void drop_files(struct probe_set *set, struct file_entry **files, size_t count)
{
	link_detach(files, count);
	for (size_t i = 0; i < count; i++) {
		tables_release(set, files[i]);
		file_free(files[i]);
	}
}

/* is_due - is it time to let go of a file that the plan no longer has? At once if what takes its place is in `fresh`:
 * the same file must not be attached twice. */
static bool is_due(const struct probe_set *set, const struct file_entry *file, struct file_entry *const *fresh,
		   size_t fresh_cnt)
{
	for (size_t i = 0; i < fresh_cnt; i++)
		if (fresh[i] && !strcmp(fresh[i]->server, file->server) &&
		    target_same_file(&fresh[i]->file, &file->file))
			return true;
	return clock_ms(CLOCK_BOOTTIME) - file->unwanted_since_ms >= set->linger_ms;
}

/* drop_unwanted - detach what the plan no longer has, when it is time */
static void drop_unwanted(struct probe_set *set, struct file_entry *const *fresh, size_t fresh_cnt)
{
	struct file_entry **unwanted = xrealloc_array(NULL, set->file_cnt, sizeof(struct file_entry *));
	size_t kept = 0, dropped = 0;

	for (size_t i = 0; i < set->file_cnt; i++) {
		struct file_entry *file = set->files[i];

		if (file->is_wanted)
			file->unwanted_since_ms = 0;
		else if (!file->unwanted_since_ms)
			file->unwanted_since_ms = clock_ms(CLOCK_BOOTTIME);
		if (!file->is_wanted && is_due(set, file, fresh, fresh_cnt))
			unwanted[dropped++] = file;
		else
			set->files[kept++] = file;
	}
	set->file_cnt = kept;
	drop_files(set, unwanted, dropped);
	free(unwanted);
}

/* prepare_file - keep the entry that is as the plan wants it, or write a new one's tables */
static int prepare_file(struct probe_set *set, const struct numbers *numbers, const struct plan_file *from,
			struct file_entry **fresh, char err[static 256])
{
	struct file_entry *file = file_new(numbers, from), *same = find_same(set, file);
	int ret;

	if (same) {
		same->is_wanted = true;
		file_free(file);
		return 0;
	}
	ret = tables_write(set, file, err);
	if (ret)
		file_free(file);
	else
		*fresh = file;
	return ret;
}

static int apply(struct probe_set *set, const struct plan *plan, struct arena *mem, char err[static 256])
{
	struct file_entry **fresh = arena_array(mem, plan->file_cnt, sizeof(struct file_entry *));
	bool *was_wanted = arena_array(mem, set->file_cnt, sizeof(bool));
	const struct given given = set->given;
	struct numbers numbers;
	int ret = numbers_give(&numbers, set, plan, mem, err);

	if (!ret)
		ret = ends_write(set, &numbers, plan, err);
	for (size_t i = 0; i < set->file_cnt; i++) {
		was_wanted[i] = set->files[i]->is_wanted;
		set->files[i]->is_wanted = false;
	}
	for (size_t i = 0; i < plan->file_cnt && !ret; i++)
		if (plan->files[i].point_cnt)
			ret = prepare_file(set, &numbers, &plan->files[i], &fresh[i], err);
	if (ret) {
		for (size_t i = 0; i < plan->file_cnt; i++)
			if (fresh[i])
				drop_files(set, &fresh[i], 1);
		for (size_t i = 0; i < set->file_cnt; i++)
			set->files[i]->is_wanted = was_wanted[i];
		numbers_take_back(set, &given);
		return ret;
	}
	drop_unwanted(set, fresh, plan->file_cnt);
	for (size_t i = 0; i < plan->file_cnt; i++) {
		if (!fresh[i])
			continue;
		link_attach(set, fresh[i], plan->files[i].file->fd);
		verify(fresh[i], plan->files[i].file);
		set->files = xrealloc_array(set->files, set->file_cnt + 1, sizeof(struct file_entry *));
		set->files[set->file_cnt++] = fresh[i];
	}
	return 0;
}

int probe_set_apply(struct probe_set *set, const struct plan *plan, char err[static 256])
{
	struct arena *mem = arena_new();
	int ret;

	pthread_mutex_lock(&set->lock);
	clock_refresh(set);
	ret = apply(set, plan, mem, err);
	pthread_mutex_unlock(&set->lock);
	arena_free(&mem);
	return ret;
}

void probe_set_release(struct probe_set *set, bool at_once)
{
	const uint64_t linger_ms = set->linger_ms;

	pthread_mutex_lock(&set->lock);
	clock_refresh(set);
	if (at_once)
		set->linger_ms = 0;
	drop_unwanted(set, NULL, 0);
	set->linger_ms = linger_ms;
	pthread_mutex_unlock(&set->lock);
}

void probe_set_status(struct probe_set *set, struct probe_status *out)
{
	pthread_mutex_lock(&set->lock);
	*out = (struct probe_status){.method = set->method, .files = set->file_cnt};
	for (size_t i = 0; i < set->file_cnt; i++)
		for (size_t k = 0; k < set->files[i]->point_cnt; k++) {
			if (set->files[i]->points[k].is_attached)
				out->attached++;
			else
				out->failed++;
		}
	pthread_mutex_unlock(&set->lock);
}

void probe_set_close(struct probe_set **out)
{
	struct probe_set *set = *out;

	if (!set)
		return;
	*out = NULL;
	drop_files(set, set->files, set->file_cnt);
	free(set->files);
	if (set->counters)
		munmap((void *)(uintptr_t)set->counters, set->counters_size);
	probe_bpf__destroy(set->skel);
	pthread_mutex_destroy(&set->lock);
	arena_free(&set->mem);
	free(set);
}
