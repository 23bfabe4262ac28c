/* SPDX-License-Identifier: Apache-2.0 */
/* golden.h - compares a text with a file of tests/golden; with UPDATE_GOLDEN=1 in the environment it writes the file.
 */
#ifndef MAILGAUGE_GOLDEN_H
#define MAILGAUGE_GOLDEN_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void golden_check(const char *name, const char *got)
{
	static char want[1 << 20];
	char path[4096];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", GOLDEN_DIR, name);
	if (getenv("UPDATE_GOLDEN")) {
		file = fopen(path, "w");
		assert_non_null(file);
		fputs(got, file);
		assert_int_equal(fclose(file), 0);
	}
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s is missing", path);
	len = fread(want, 1, sizeof(want) - 1, file);
	want[len] = '\0';
	fclose(file);
	if (strcmp(got, want))
		fail_msg("not as in %s, but:\n%s", path, got);
}

#endif
