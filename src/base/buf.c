/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max)
{
	*buf = (struct buf){.max = max};
}

void buf_free(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){.max = buf->max};
}

void buf_reset(struct buf *buf)
{
	buf->len = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

bool buf_failed(const struct buf *buf)
{
	return buf->failed;
}

const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

/* buf_reserve - make room for `more` bytes and a NUL; false when that is too much */
static bool buf_reserve(struct buf *buf, size_t more)
{
	size_t cap = buf->cap ? buf->cap : 256;
	char *grown;

	if (buf->failed || more > buf->max - buf->len) {
		buf->failed = true;
		return false;
	}
	if (buf->len + more < buf->cap)
		return true;
	while (cap <= buf->len + more)
		cap *= 2;
	grown = realloc(buf->data, cap);
	if (!grown) {
		buf->failed = true;
		return false;
	}
	buf->data = grown;
	buf->cap = cap;
	return true;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
	if (!buf_reserve(buf, len))
		return;
	if (len)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
}

void buf_puts(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
	buf_add(buf, &c, 1);
}

void buf_u64(struct buf *buf, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	buf_add(buf, digits + at, sizeof(digits) - at);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0)
		buf->failed = true;
	else if (buf_reserve(buf, (size_t)len)) {
		vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
}

/* utf8_len - bytes of the well-formed UTF-8 sequence at `s` (RFC 3629), 0 when it is none */
static size_t utf8_len(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return (s[1] & 0xc0) == 0x80 ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if ((s[1] & 0xc0) != 0x80 || (s[2] & 0xc0) != 0x80 || (s[3] & 0xc0) != 0x80)
			return 0;
		if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

void buf_json_string(struct buf *buf, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	buf_putc(buf, '"');
	while (*s) {
		size_t len = utf8_len(s);

		if (!len) {
			buf_puts(buf, "\xef\xbf\xbd");
			s++;
		} else if (*s == '"' || *s == '\\') {
			buf_putc(buf, '\\');
			buf_putc(buf, (char)*s++);
		} else if (*s < 0x20 || *s == 0x7f) {
			buf_printf(buf, "\\u%04x", *s++);
		} else {
			buf_add(buf, s, len);
			s += len;
		}
	}
	buf_putc(buf, '"');
}

void buf_visible(struct buf *buf, const char *text, size_t max)
{
	const unsigned char *start = (const unsigned char *)text, *s = start;

	while (*s) {
		size_t len = utf8_len(s);

		if ((size_t)(s - start) + (len ? len : 1) > max) {
			buf_puts(buf, "...");
			return;
		}
		if (!len) {
			buf_puts(buf, "\xef\xbf\xbd");
			s++;
		} else if (*s < 0x20 || *s == 0x7f) {
			buf_printf(buf, "\\x%02x", *s++);
		} else if (len == 2 && s[0] == 0xc2 && s[1] < 0xa0) { /* the C1 control characters */
			buf_printf(buf, "\\x%02x", s[1]);
			s += len;
		} else {
			buf_add(buf, s, len);
			s += len;
		}
	}
}

bool utf8_valid(const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		size_t len = utf8_len(s);

		if (!len)
			return false;
		s += len;
	}
	return true;
}
