/* SPDX-License-Identifier: Apache-2.0 */
/* process.h - owns what the collector says of its own process (the process_* metrics every Prometheus client has).
 * It knows no snapshot and no socket. */
#ifndef MAILGAUGE_PROCESS_H
#define MAILGAUGE_PROCESS_H
#include <stdint.h>

struct buf;

struct process_stats {
	double cpu_s;
	double start_time_s; /* Unix time */
	uint64_t open_fds, max_fds;
	uint64_t virtual_bytes, resident_bytes;
};

/* process_parse_stat - CPU time, memory and start from the text of /proc/PID/stat; 0 or -EINVAL.
 * start_time_s becomes seconds after boot. */
int process_parse_stat(struct process_stats *out, const char *text, long ticks_per_s, long page_bytes);
/* process_read - the present figures of this process; 0 or -errno */
int process_read(struct process_stats *out);
/* process_write - them in the Prometheus text format, appended to `out` */
void process_write(struct buf *out, const struct process_stats *stats);

#endif
