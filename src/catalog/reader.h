/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h - owns the step from TOML nodes to checked C values, and messages that name the exact place of a mistake.
 * It knows neither the words of the catalog language nor any event.
 * Every function that returns int gives 0, or -EINVAL with "file:line:column: reason" in reader.err. */
#ifndef MAILGAUGE_CATALOG_READER_H
#define MAILGAUGE_CATALOG_READER_H
#include <stdbool.h>
#include <stddef.h>

#include "base/nearest.h"
#include "base/toml.h"

struct arena;

#define READER_ERR  512 /* bytes of reader.err */
#define LIST_MAX    32  /* texts of one list */
#define NAME_LENGTH 63  /* bytes of a name */
#define TEXT_LENGTH 255 /* bytes of any other text */

struct reader {
	const char *file; /* names the text in messages */
	const char *text; /* what the nodes were parsed from: tells where in the file a piece of a string stands */
	size_t len;
	struct arena *mem;
	char *err;
};

struct string_array {
	const char **items;
	size_t count;
};

/* reader_parse - the root table of reader.text */
int reader_parse(struct reader *reader, const struct toml_node **root);
int fail_place(struct reader *reader, int line, int col, const char *format, ...) __attribute__((format(printf, 4, 5)));
int fail_value(struct reader *reader, const struct toml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int fail_key(struct reader *reader, const struct toml_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* fail_missing - the table lacks this key */
int fail_missing(struct reader *reader, const struct toml_node *table, const char *key);
/* fail_inside - at byte `offset` of a string's value; of a string over several lines at its beginning */
int fail_inside(struct reader *reader, const struct toml_node *node, size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* shown - `text` in quotes, fit for a message: cut when long, control characters replaced */
const char *shown(struct reader *reader, const char *text);

/* hint - " (did you mean "name"?)", or "" when no known name is near */
const char *hint(struct reader *reader, const struct nearest *nearest);

/* name_is_identifier - [a-z_][a-z0-9_]*, at most NAME_LENGTH bytes */
bool name_is_identifier(const char *name);
/* name_is_word - [a-z0-9]+ joined by single characters of `joints`, at most NAME_LENGTH bytes */
bool name_is_word(const char *name, const char *joints);

/* read_kind - is the node of this kind? */
int read_kind(struct reader *reader, const struct toml_node *node, enum toml_kind kind);
#define KEYS(list) (list), sizeof(list) / sizeof((list)[0])
/* read_keys - is it a table with none but the `count` keys in `known`? */
int read_keys(struct reader *reader, const struct toml_node *table, const char *const *known, size_t count);
/* read_text - a text of 1 to `max` bytes without control characters other than those of "\t\n\r" */
int read_text(struct reader *reader, const struct toml_node *node, size_t max, const char **out);
/* read_optional - the same, if there is a node at all */
int read_optional(struct reader *reader, const struct toml_node *node, size_t max, const char **out);
/* read_texts - such a text, or a list of different ones, not empty and not longer than LIST_MAX */
int read_texts(struct reader *reader, const struct toml_node *node, size_t max, struct string_array *out);
int read_integer(struct reader *reader, const struct toml_node *node, int64_t min, int64_t max, int64_t *out);

#endif
