/* SPDX-License-Identifier: Apache-2.0 */
/* toml.h - owns the reading of TOML text into a plain C tree with the place of every key and value.
 * The parser is toml++; this is its only door. It knows no key of ours. */
#ifndef MAILGAUGE_TOML_H
#define MAILGAUGE_TOML_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

struct arena;

enum toml_kind { TOML_TABLE, TOML_ARRAY, TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOL, TOML_OTHER };

struct toml_node {
	enum toml_kind kind;
	const char *key; /* in a table, else NULL */
	unsigned key_line, key_col;
	unsigned line, col;            /* of the value; columns count characters from 1 */
	const struct toml_node *items; /* of a table in the order of the file, or of an array */
	size_t count;
	const char *string; /* never with a NUL inside: such text is an error */
	int64_t integer;
	double number;
	bool boolean;
};

/* toml_parse - 0, or -EINVAL with "file:line:column: reason" in err. All memory is taken from `mem`. */
int toml_parse(const struct toml_node **out, const char *file, const char *text, size_t len, struct arena *mem,
	       char *err, size_t err_size);
/* toml_get - the item of a table with this key, or NULL */
const struct toml_node *toml_get(const struct toml_node *table, const char *key);
/* toml_kind_name - "a string", "an array", ... for messages */
const char *toml_kind_name(enum toml_kind kind);

#ifdef __cplusplus
}
#endif
#endif
