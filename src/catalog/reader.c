/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"

#define SHOWN_BYTES ((size_t)72)

int reader_parse(struct reader *reader, const struct toml_node **root)
{
	return toml_parse(root, reader->file, reader->text, reader->len, reader->mem, reader->err, READER_ERR);
}

static int vfail(struct reader *reader, int line, int col, const char *format, va_list args)
{
	int len = snprintf(reader->err, READER_ERR, "%s:%d:%d: ", reader->file, line, col);

	if (len >= 0 && len < READER_ERR)
		vsnprintf(reader->err + len, READER_ERR - (size_t)len, format, args);
	return -EINVAL;
}

int fail_place(struct reader *reader, int line, int col, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(reader, line, col, format, args);
	va_end(args);
	return -EINVAL;
}

int fail_value(struct reader *reader, const struct toml_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(reader, (int)node->line, (int)node->col, format, args);
	va_end(args);
	return -EINVAL;
}

int fail_key(struct reader *reader, const struct toml_node *node, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(reader, (int)node->key_line, (int)node->key_col, format, args);
	va_end(args);
	return -EINVAL;
}

int fail_missing(struct reader *reader, const struct toml_node *table, const char *key)
{
	return fail_value(reader, table, "\"%s\" is missing", key);
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* source_at - where in the text a line and column are */
static const char *source_at(const struct reader *reader, unsigned line, unsigned col)
{
	const char *at = reader->text, *end = reader->text + reader->len;

	for (; line > 1 && at < end; line--) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		at = newline ? newline + 1 : end;
	}
	for (; col > 1 && at < end; col--)
		for (at++; at < end && is_continuation(*at);)
			at++;
	return at;
}

/* escape_bytes - characters that the escape sequence at `at` (not its backslash) takes in the source; *made is how
 * many bytes of the string it stands for */
static unsigned escape_bytes(const char *at, const char *end, size_t *made)
{
	unsigned digits = *at == 'u' ? 4 : *at == 'U' ? 8 : 0;
	uint32_t code = 0;

	*made = 1;
	if (!digits || (size_t)(end - at) <= digits)
		return 1;
	for (unsigned i = 1; i <= digits; i++)
		code = code << 4 | (uint32_t)(at[i] <= '9' ? at[i] - '0' : (at[i] | 0x20) - 'a' + 10);
	*made = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	return 1 + digits;
}

/* column_inside - column of byte `offset` of a string that stands in one line, else of the string itself */
static unsigned column_inside(const struct reader *reader, const struct toml_node *node, size_t offset)
{
	const char *at = source_at(reader, node->line, node->col), *end = reader->text + reader->len;
	unsigned col = node->col + 1;
	char quote;

	if (at >= end || (*at != '"' && *at != '\''))
		return node->col;
	quote = *at++;
	if (end - at >= 2 && at[0] == quote && at[1] == quote)
		return node->col;
	while (offset && at < end) {
		size_t made = 1;

		if (*at == '\\' && quote == '"' && end - at >= 2) {
			unsigned taken = 1 + escape_bytes(at + 1, end, &made);

			at += taken;
			col += taken;
		} else if (!is_continuation(*at++)) {
			col++;
		}
		offset -= made < offset ? made : offset;
	}
	return col;
}

int fail_inside(struct reader *reader, const struct toml_node *node, size_t offset, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfail(reader, (int)node->line, (int)column_inside(reader, node, offset), format, args);
	va_end(args);
	return -EINVAL;
}

const char *shown(struct reader *reader, const char *text)
{
	size_t len = strlen(text), used = len <= SHOWN_BYTES ? len : SHOWN_BYTES;
	char *copy;

	while (used < len && used && is_continuation(text[used]))
		used--;
	copy = arena_printf(reader->mem, "\"%.*s%s\"", (int)used, text, used < len ? "..." : "");
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return copy;
}

const char *hint(struct reader *reader, const struct nearest *nearest)
{
	return nearest->best ? arena_printf(reader->mem, " (did you mean %s?)", shown(reader, nearest->best)) : "";
}

bool name_is_identifier(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return len && len <= NAME_LENGTH && !name[len] && !(name[0] >= '0' && name[0] <= '9');
}

bool name_is_word(const char *name, const char *joints)
{
	size_t total = 0;

	for (;;) {
		size_t len = strspn(name + total, "abcdefghijklmnopqrstuvwxyz0123456789");

		total += len;
		if (!len || total > NAME_LENGTH)
			return false;
		if (!name[total])
			return true;
		if (!strchr(joints, name[total++]))
			return false;
	}
}

int read_kind(struct reader *reader, const struct toml_node *node, enum toml_kind kind)
{
	if (node->kind == kind)
		return 0;
	return fail_value(reader, node, "%s is wanted here, not %s", toml_kind_name(kind), toml_kind_name(node->kind));
}

int read_keys(struct reader *reader, const struct toml_node *table, const char *const *known, size_t count)
{
	int ret = read_kind(reader, table, TOML_TABLE);

	for (size_t i = 0; !ret && i < table->count; i++) {
		const struct toml_node *item = &table->items[i];
		struct nearest nearest;
		size_t k = 0;

		nearest_init(&nearest, item->key);
		while (k < count && strcmp(known[k], item->key))
			nearest_offer(&nearest, known[k++]);
		if (k == count)
			ret = fail_key(reader, item, "unknown key %s%s", shown(reader, item->key),
				       hint(reader, &nearest));
	}
	return ret;
}

int read_text(struct reader *reader, const struct toml_node *node, size_t max, const char **out)
{
	int ret = read_kind(reader, node, TOML_STRING);
	size_t len;

	if (ret)
		return ret;
	len = strlen(node->string);
	if (!len)
		return fail_value(reader, node, "an empty text");
	if (len > max)
		return fail_value(reader, node, "a text of %zu bytes, where %zu are the most", len, max);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)node->string[i];

		if ((c < 0x20 && !strchr("\t\n\r", c)) || c == 0x7f)
			return fail_inside(reader, node, i, "a control character");
	}
	*out = node->string;
	return 0;
}

int read_optional(struct reader *reader, const struct toml_node *node, size_t max, const char **out)
{
	return node ? read_text(reader, node, max, out) : 0;
}

int read_texts(struct reader *reader, const struct toml_node *node, size_t max, struct string_array *out)
{
	size_t count = node->kind == TOML_ARRAY ? node->count : 1;
	const struct toml_node *items = node->kind == TOML_ARRAY ? node->items : node;

	if (!count)
		return fail_value(reader, node, "an empty list");
	if (count > LIST_MAX)
		return fail_value(reader, node, "a list of %zu texts, where %d are the most", count, LIST_MAX);
	out->items = arena_array(reader->mem, count, sizeof(*out->items));
	for (size_t i = 0; i < count; i++) {
		int ret = read_text(reader, &items[i], max, &out->items[i]);

		if (ret)
			return ret;
		for (size_t k = 0; k < i; k++)
			if (!strcmp(out->items[k], out->items[i]))
				return fail_value(reader, &items[i], "%s stands twice in this list",
						  shown(reader, out->items[i]));
	}
	out->count = count;
	return 0;
}

int read_integer(struct reader *reader, const struct toml_node *node, int64_t min, int64_t max, int64_t *out)
{
	int ret = read_kind(reader, node, TOML_INTEGER);

	if (ret)
		return ret;
	if (node->integer < min || node->integer > max)
		return fail_value(reader, node, "%lld is not within %lld to %lld", (long long)node->integer,
				  (long long)min, (long long)max);
	*out = node->integer;
	return 0;
}
