/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)16384)

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) unsigned char data[];
};

struct arena {
	struct chunk *head; /* the chunk that small allocations are taken from */
};

static void out_of_memory(size_t size)
{
	fprintf(stderr, "mailgauge: out of memory (%zu bytes wanted)\n", size);
	exit(1);
}

struct arena *arena_new(void)
{
	struct arena *arena = calloc(1, sizeof(*arena));

	if (!arena)
		out_of_memory(sizeof(*arena));
	return arena;
}

void arena_free(struct arena **arena)
{
	if (!*arena)
		return;
	for (struct chunk *chunk = (*arena)->head, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(*arena);
	*arena = NULL;
}

static struct chunk *chunk_new(size_t size)
{
	struct chunk *chunk;

	if (size > SIZE_MAX / 2 || !(chunk = calloc(1, sizeof(*chunk) + size))) {
		out_of_memory(size);
		abort(); /* not reached: tells analysers that chunk is never NULL */
	}
	chunk->size = size;
	return chunk;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	size_t need = size ? size : 1;
	struct chunk *chunk = arena->head;
	void *mem;

	if (need > SIZE_MAX / 2)
		out_of_memory(need);
	need = (need + align - 1) / align * align;
	if (!chunk || chunk->size - chunk->used < need) {
		struct chunk *fresh = chunk_new(need > CHUNK_BYTES ? need : CHUNK_BYTES);

		/* A large block goes behind the head, so the rest of the head stays in use. */
		if (chunk && need > CHUNK_BYTES) {
			fresh->next = chunk->next;
			chunk->next = fresh;
		} else {
			fresh->next = chunk;
			arena->head = fresh;
		}
		chunk = fresh;
	}
	mem = chunk->data + chunk->used;
	chunk->used += need;
	return mem;
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
	if (size && count > SIZE_MAX / 2 / size)
		out_of_memory(SIZE_MAX);
	return arena_alloc(arena, count * size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
	char *copy = arena_alloc(arena, len + 1);

	memcpy(copy, text, len);
	return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = arena_alloc(arena, len < 0 ? 1 : (size_t)len + 1);
	if (len >= 0)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	return text;
}

void *xrealloc_array(void *old, size_t count, size_t size)
{
	void *mem;

	if (size && count > SIZE_MAX / 2 / size)
		out_of_memory(SIZE_MAX);
	mem = realloc(old, count && size ? count * size : 1);
	if (!mem) {
		out_of_memory(count * size);
		abort();
	}
	return mem;
}

void *arena_grow(struct arena *arena, void *items, size_t count, size_t *cap, size_t size)
{
	void *grown;

	if (count < *cap)
		return items;
	*cap = *cap ? *cap * 2 : 8;
	grown = arena_array(arena, *cap, size);
	if (count)
		memcpy(grown, items, count * size);
	return grown;
}
