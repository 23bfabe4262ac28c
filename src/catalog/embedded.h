/* SPDX-License-Identifier: Apache-2.0 */
/* embedded.h - the catalog's data files as they were compiled in (made by scripts/embed.sh). */
#ifndef MAILGAUGE_EMBEDDED_H
#define MAILGAUGE_EMBEDDED_H
#include <stdint.h>

struct embedded_file {
	const char *name; /* "events.toml" */
	const char *text; /* with a NUL behind it */
	uint64_t len;
};
extern const struct embedded_file embedded_files[];
extern const uint64_t embedded_file_count;

#endif
