/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include <string.h>

bool pattern_is_exact(const char *pattern)
{
	size_t len = strlen(pattern);

	return pattern[0] != '*' && (len == 0 || pattern[len - 1] != '*');
}

bool pattern_match(const char *pattern, const char *name)
{
	size_t len = strlen(pattern), name_len = strlen(name);

	if (!strcmp(pattern, "*"))
		return true;
	if (pattern[0] == '*')
		return name_len >= len - 1 && !strcmp(name + name_len - (len - 1), pattern + 1);
	if (len && pattern[len - 1] == '*')
		return !strncmp(name, pattern, len - 1);
	return !strcmp(pattern, name);
}
