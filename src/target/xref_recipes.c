/* SPDX-License-Identifier: Apache-2.0 */
/* xref_recipes.c - functions that have no name, found by the texts that they use or by the table that they stand in.
 * One answer or none: where a recipe fits several functions, they are named and none is taken. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "target/xref_index.h"

typedef XREF_ARRAY(uint64_t) addr_list;

static int compare_addrs(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void sort_list(addr_list *list)
{
	size_t kept = 0;

	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), compare_addrs);
	for (size_t i = 0; i < list->count; i++)
		if (!kept || list->items[kept - 1] != list->items[i])
			list->items[kept++] = list->items[i];
	list->count = kept;
}

static bool has_addr(const addr_list *list, uint64_t addr)
{
	return list->count && bsearch(&addr, list->items, list->count, sizeof(addr), compare_addrs);
}

/* say_text - as part of a message of one line */
static void say_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%.80s", text);
	for (char *c = out; *c; c++)
		if (*c > 0 && *c < ' ')
			*c = ' ';
}

/* say_many - name the candidates */
static int say_many(const addr_list *found, const char *what, char err[static 256])
{
	int len = snprintf(err, 256, "%s %zu functions:", what, found->count);

	for (size_t i = 0; i < found->count && i < 6; i++)
		len += snprintf(err + len, 256 - (size_t)len, " %#llx", (unsigned long long)found->items[i]);
	if (found->count > 6)
		snprintf(err + len, 256 - (size_t)len, " ...");
	return -ENOTUNIQ;
}

/* ---- by what it uses */

/* find_users - of a text, wherever it stands; functions, or stretches of code that belong to no known one */
static void find_users(addr_list *out, const struct xref *xref, const char *text)
{
	for (size_t i = 0; i < xref->texts.count; i++) {
		uint64_t addr = xref->texts.items[i].addr, owner;

		if (strcmp(xref->texts.items[i].string, text) != 0)
			continue;
		for (size_t k = first_constant(xref, addr);
		     k < xref->constants.count && xref->constants.items[k].value == addr; k++) {
			owner_of(xref, xref->constants.items[k].addr, &owner);
			XREF_ADD(out, owner);
		}
	}
	sort_list(out);
}

static void keep_if(addr_list *list, const addr_list *others, bool is_wanted)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++)
		if (has_addr(others, list->items[i]) == is_wanted)
			list->items[kept++] = list->items[i];
	list->count = kept;
}

static int no_user(const char *text, const char *why, char err[static 256])
{
	char said[96];

	say_text(said, sizeof(said), text);
	snprintf(err, 256, "%s \"%s\"", why, said);
	return -ENOENT;
}

/* find_common - the users of all `texts` */
static int find_common(addr_list *found, const struct xref *xref, const char *const *texts, size_t text_cnt,
		       char err[static 256])
{
	for (size_t i = 0; i < text_cnt; i++) {
		addr_list users = {0};
		bool is_used;

		find_users(&users, xref, texts[i]);
		is_used = users.count;
		if (i) {
			keep_if(found, &users, true);
			free(users.items);
		} else {
			memcpy(found, &users, sizeof(users));
		}
		if (!is_used)
			return no_user(texts[i], "the file does not use the text", err);
	}
	return found->count ? 0 : no_user(text_cnt ? texts[0] : "", "no function uses all texts with", err);
}

int xref_uses(const struct xref *xref, const char *const *texts, size_t text_cnt, const char *const *without,
	      size_t without_cnt, uint64_t *addr, char err[static 256])
{
	addr_list found = {0};
	int ret = find_common(&found, xref, texts, text_cnt, err);

	*addr = 0;
	for (size_t i = 0; i < without_cnt && !ret; i++) {
		addr_list users = {0};

		find_users(&users, xref, without[i]);
		keep_if(&found, &users, false);
		free(users.items);
		if (!found.count)
			ret = no_user(without[i], "the only users have also the text", err);
	}
	if (!ret && found.count > 1)
		ret = say_many(&found, "the texts are used by", err);
	if (!ret && !is_function(xref, found.items[0])) {
		snprintf(err, 256, "the texts are used at %#llx, in code whose function is not known",
			 (unsigned long long)found.items[0]);
		ret = -ENOENT;
	}
	if (!ret)
		*addr = found.items[0];
	free(found.items);
	return ret;
}

/* ---- by the table that it stands in */

/* pointer_at - the pointer that stands at `place`, or NULL */
static const struct elf_pointer *pointer_at(const struct elf_pointer *pointers, size_t count, uint64_t place)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pointers[middle].place == place)
			return &pointers[middle];
		if (pointers[middle].place < place)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

int xref_table(const struct xref *xref, const char *text, unsigned slot, uint64_t *addr, char err[static 256])
{
	size_t count, row_cnt = 0;
	const struct elf_pointer *pointers = elf_pointers(xref->elf, &count), *function;
	addr_list found = {0};
	int ret = 0;

	*addr = 0;
	for (size_t i = 0; i < count; i++) {
		const char *string = elf_string(xref->elf, pointers[i].value);

		if (!string || strcmp(string, text) != 0)
			continue;
		row_cnt++;
		function = pointer_at(pointers, count, pointers[i].place + 8 * (uint64_t)slot);
		if (function && is_function(xref, function->value))
			XREF_ADD(&found, function->value);
	}
	sort_list(&found);
	if (found.count > 1)
		ret = say_many(&found, "tables with the text have", err);
	else if (!found.count)
		ret = no_user(text, row_cnt ? "no function is in that place of a table with" : "no table has the text",
			      err);
	else
		*addr = found.items[0];
	free(found.items);
	return ret;
}

uint64_t xref_function_size(const struct xref *xref, uint64_t addr)
{
	struct elf_range function;

	return is_function(xref, addr) && !elf_function_at(xref->elf, addr, &function) ? function.size : 0;
}
