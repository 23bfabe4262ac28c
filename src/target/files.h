/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - owns the finding of one instance's files, mapped and on disk; internal to target/.
 * It knows the catalog's objects, but not how instances are recognised. */
#ifndef MAILGAUGE_FILES_H
#define MAILGAUGE_FILES_H
#include <stdbool.h>
#include <stddef.h>

#include "target/target.h"

/* What is known of an instance before its files are. */
struct instance {
	const struct server_def *server;
	const char *exe; /* of the root process, as we see it */
	bool exe_is_deleted;
	const pid_t *pids; /* of the whole tree, the root first */
	size_t pid_cnt;
};

/* files_find - fill in target->exe, files and file_cnt; memory and open files are the scan's.
 * 0, or -errno when the root process is gone or may not be looked at. */
int files_find(struct target *target, struct target_scan *scan, const struct instance *instance, int proc_fd);

#endif
