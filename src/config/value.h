/* SPDX-License-Identifier: Apache-2.0 */
/* value.h - owns what a value must look like: pure checks of one text, which return NULL or what is wrong with it.
 * It knows no key and no file. duration_parse() and address_parse(), which others use too, stand in config.h. */
#ifndef MAILGAUGE_VALUE_H
#define MAILGAUGE_VALUE_H
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct buf;

/* duration_print - the shortest way to write so many milliseconds: "1m", "1500ms" */
void duration_print(struct buf *out, uint64_t ms);
/* prefix_check - "" or a name that may begin metric names, in OTLP and in Prometheus */
const char *prefix_check(const char *text);
/* path_check - the path of the metrics page */
const char *path_check(const char *text);
/* text_check - not empty, well-formed, without control characters */
const char *text_check(const char *text);
/* url_parse - an http or https URL; `add` (may be NULL) is appended to its path. The result lives in `mem`. */
const char *url_parse(const char *text, const char *add, struct arena *mem, const char **url);
/* header_parse - "Name: value" with blanks anywhere round the two; the result, "Name: value", lives in `mem` */
const char *header_parse(const char *text, struct arena *mem, const char **header);
/* percent_decode - replace %XX in place; false for a bad sequence or a NUL */
bool percent_decode(char *text);
/* trim - cut blanks off both ends, in place; where the text now begins */
char *trim(char *text);

#endif
