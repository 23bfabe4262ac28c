/* SPDX-License-Identifier: Apache-2.0 */
/* glob.h - owns the matching of event patterns (the grammar of disabled-events); knows no event. */
#ifndef MAILGAUGE_GLOB_H
#define MAILGAUGE_GLOB_H
#include <stdbool.h>

/* pattern_is_exact - true when the pattern has no leading and no trailing '*' */
bool pattern_is_exact(const char *pattern);
/* pattern_match - "*" all; "*end" names that end so; "begin*" names that begin so; else the very name.
 * A leading star is looked at before a trailing one, so "*mid*" means: ends with "mid*". */
bool pattern_match(const char *pattern, const char *name);

#endif
