/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h - owns memory that is freed all at once; knows nothing of what is stored in it.
 * Start-up and planning code allocates here. When the machine has no memory left the process ends with a
 * message: a tool that cannot allocate some kilobytes at start has nothing useful to do, and callers stay short. */
#ifndef MAILGAUGE_ARENA_H
#define MAILGAUGE_ARENA_H
#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
/* arena_free - free everything allocated from *arena; accepts NULL, sets *arena to NULL */
void arena_free(struct arena **arena);
/* arena_alloc - `size` zeroed bytes, aligned for any type; never NULL */
void *arena_alloc(struct arena *arena, size_t size);
/* arena_array - `count` zeroed elements of `size` bytes; the product is checked for overflow */
void *arena_array(struct arena *arena, size_t count, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t len);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* xrealloc_array - realloc for growing arrays outside an arena; never NULL, the product is checked */
void *xrealloc_array(void *old, size_t count, size_t size);

/* arena_grow - make room for one more element in an array that lives in an arena.
 * `items` holds *cap elements of `size` bytes, `count` of them used; returns the (perhaps moved) array. */
void *arena_grow(struct arena *arena, void *items, size_t count, size_t *cap, size_t size);

#endif
