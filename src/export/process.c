/* SPDX-License-Identifier: Apache-2.0 */
#include "export/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "export/prom.h"

int process_parse_stat(struct process_stats *out, const char *text, long ticks_per_s, long page_bytes)
{
	const char *rest = strrchr(text, ')'); /* the name in parentheses may hold anything, parentheses too */
	uint64_t user, system, start, virtual_bytes, resident_pages;

	if (!rest || sscanf(rest,
			    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
			    " %*d %*d %*d %*d %*d %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
			    &user, &system, &start, &virtual_bytes, &resident_pages) != 5)
		return -EINVAL;
	out->cpu_s = (double)(user + system) / (double)ticks_per_s;
	out->start_time_s = (double)start / (double)ticks_per_s;
	out->virtual_bytes = virtual_bytes;
	out->resident_bytes = resident_pages * (uint64_t)page_bytes;
	return 0;
}

static double clock_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* boot_time_s - Unix time of the boot, asked once so that start_time never moves with the clock's corrections */
static double boot_time_s(void)
{
	static double boot_s;

	if (boot_s == 0)
		boot_s = clock_s(CLOCK_REALTIME) - clock_s(CLOCK_BOOTTIME);
	return boot_s;
}

static int count_open_fds(uint64_t *out)
{
	DIR *dir = opendir("/proc/self/fd");

	if (!dir)
		return -errno;
	*out = 0;
	for (const struct dirent *entry; (entry = readdir(dir));)
		*out += entry->d_name[0] != '.';
	closedir(dir);
	--*out; /* the directory's own */
	return 0;
}

int process_read(struct process_stats *out)
{
	struct rlimit limit;
	char text[1024];
	ssize_t len;
	int err, fd;

	*out = (struct process_stats){0};
	fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, text, sizeof(text) - 1);
	err = len < 0 ? -errno : 0;
	close(fd);
	if (err)
		return err;
	text[len] = '\0';
	err = process_parse_stat(out, text, sysconf(_SC_CLK_TCK), sysconf(_SC_PAGESIZE));
	if (err)
		return err;
	/* to the kernel's own resolution, as /proc has it */
	out->start_time_s = round((boot_time_s() + out->start_time_s) * 100) / 100;
	if (!getrlimit(RLIMIT_NOFILE, &limit))
		out->max_fds = limit.rlim_cur;
	return count_open_fds(&out->open_fds);
}

static void put(struct buf *out, const char *name, const char *type, const char *help, double value)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
	prom_number(out, value);
	buf_putc(out, '\n');
}

void process_write(struct buf *out, const struct process_stats *stats)
{
	put(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent.", stats->cpu_s);
	put(out, "process_max_fds", "gauge", "Limit of open file descriptors.", (double)stats->max_fds);
	put(out, "process_open_fds", "gauge", "Open file descriptors.", (double)stats->open_fds);
	put(out, "process_resident_memory_bytes", "gauge", "Resident memory size.", (double)stats->resident_bytes);
	put(out, "process_start_time_seconds", "gauge", "Start of the process in Unix time.", stats->start_time_s);
	put(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size.", (double)stats->virtual_bytes);
}
