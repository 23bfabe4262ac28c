/* SPDX-License-Identifier: Apache-2.0 */
/* held.c - owns what is known of processes that hold something of a gauge: seeding it with what they held before
 * their probes were there, and adding it up. What they do since is noted by the BPF side, and so is their end. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/parts.h"

#define PF_EXITING 0x4 /* include/linux/sched.h */

/* is_ending - is this thread on its way out? The flag is set before the BPF side is told of its end. */
static bool is_ending(pid_t pid, const char *tid)
{
	char path[320], text[512];
	const char *behind;
	unsigned flags;
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return true;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = '\0';
	behind = strrchr(text, ')'); /* of the name, which can have any other character */
	return !behind || sscanf(behind, ") %*c %*d %*d %*d %*d %*d %u", &flags) != 1 || flags & PF_EXITING;
}

/* is_alive - has the process a thread whose end is still to come? */
static bool is_alive(pid_t pid)
{
	char path[32];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir)))
		found = entry->d_name[0] != '.' && !is_ending(pid, entry->d_name);
	closedir(dir);
	return found;
}

static int find_gauge(const struct probe_set *set, const char *key)
{
	for (size_t i = 0; i < set->given.gauges; i++)
		if (!strcmp(set->gauges[i].key, key))
			return (int)i;
	return -ENOENT;
}

static int seed(const struct probe_set *set, int gauge, pid_t pid, uint32_t count)
{
	struct probe_seed what = {.tgid = (__u32)pid, .gauge = (__u32)gauge, .count = count};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &what, .ctx_size_in = sizeof(what));

	if (bpf_prog_test_run_opts(set->seed_fd, &opts))
		return -errno;
	if (opts.retval)
		return -ENOSPC;
	/* A process that ended in between was taken out before it was put in. */
	if (!is_alive(pid))
		bpf_map_delete_elem(set->holders_fd, &what.tgid);
	return 0;
}

int probe_set_hold(struct probe_set *set, const char *gauge_key, pid_t pid, uint32_t count)
{
	int ret;

	if (count >= PROBE_HELD_SEEN)
		return -ERANGE;
	pthread_mutex_lock(&set->lock);
	ret = find_gauge(set, gauge_key);
	if (ret >= 0)
		ret = seed(set, ret, pid, count);
	pthread_mutex_unlock(&set->lock);
	return ret;
}

#define BATCH 256 /* processes that are read at once; no bucket of the map has so many */

int held_read(const struct probe_set *set, uint64_t sums[static PROBE_GAUGES])
{
	struct probe_holder *holders = calloc(BATCH, sizeof(*holders));
	__u32 pids[BATCH], place;
	bool is_first = true;
	int ret = holders ? 0 : -ENOMEM;

	memset(sums, 0, PROBE_GAUGES * sizeof(*sums));
	while (!ret) {
		__u32 count = BATCH;

		if (bpf_map_lookup_batch(set->holders_fd, is_first ? NULL : &place, &place, pids, holders, &count,
					 NULL))
			ret = -errno; /* -ENOENT: these were the last ones */
		if (ret && ret != -ENOENT)
			break;
		is_first = false;
		for (__u32 i = 0; i < count; i++)
			for (size_t gauge = 0; gauge < set->given.gauges; gauge++)
				sums[gauge] += holders[i].held[gauge] & ~PROBE_HELD_SEEN;
	}
	free(holders);
	return ret == -ENOENT ? 0 : ret;
}
