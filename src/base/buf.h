/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h - owns a growing byte buffer with a hard upper limit; knows nothing of what is written into it.
 * A failed append (limit reached, no memory) is remembered: append freely, look at buf_failed() once at the end. */
#ifndef MAILGAUGE_BUF_H
#define MAILGAUGE_BUF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* NUL-terminated when not NULL */
	size_t len, cap, max;
	bool failed;
};

/* buf_init - an empty buffer that never holds more than `max` bytes */
void buf_init(struct buf *buf, size_t max);
void buf_free(struct buf *buf);
/* buf_reset - empty it but keep its memory for the next use */
void buf_reset(struct buf *buf);
bool buf_failed(const struct buf *buf);
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_u64(struct buf *buf, uint64_t value); /* decimal digits */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* buf_json_string - `text` quoted and escaped as a JSON string; bytes that are no UTF-8 become U+FFFD */
void buf_json_string(struct buf *buf, const char *text);
/* buf_visible - `text` for people's eyes: control characters as \xNN, bytes that are no UTF-8 as U+FFFD, so that
 * foreign text can neither begin a line of its own nor talk to the terminal; at most `max` bytes of it, then "..." */
void buf_visible(struct buf *buf, const char *text, size_t max);
/* buf_text - the text so far, never NULL */
const char *buf_text(const struct buf *buf);
/* utf8_valid - is the whole text well-formed UTF-8 (RFC 3629)? */
bool utf8_valid(const char *text);

#endif
