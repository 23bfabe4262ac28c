/* SPDX-License-Identifier: Apache-2.0 */
/* cursor.h - owns the reading of untrusted little-endian bytes from front to back; private to this room.
 * Reading beyond the end gives zeros and is remembered: read freely, look at `failed` before using the results. */
#ifndef MAILGAUGE_CURSOR_H
#define MAILGAUGE_CURSOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const unsigned char *p, *end;
	bool failed;
};

/* take - the next `size` (at most 8) bytes as a number; this machine is little-endian too */
static inline uint64_t take(struct cursor *cur, size_t size)
{
	uint64_t value = 0;

	if (cur->failed || (size_t)(cur->end - cur->p) < size) {
		cur->failed = true;
		return 0;
	}
	memcpy(&value, cur->p, size);
	cur->p += size;
	return value;
}

static inline void skip(struct cursor *cur, uint64_t size)
{
	if (cur->failed || (uint64_t)(cur->end - cur->p) < size)
		cur->failed = true;
	else
		cur->p += size;
}

#endif
