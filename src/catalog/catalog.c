/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "catalog/embedded.h"

#define FILE_BYTES ((size_t)262144)
#define FILES_MAX  ((size_t)256)
#define VOCABULARY "events.toml"
#define SUFFIX     ".toml"
#define ERR_BYTES  512

/* A catalog file's text, compiled in or read from the directory. */
struct source {
	const char *name; /* "events.toml" */
	const char *path; /* for messages */
	const char *text;
	size_t len;
};

struct sources {
	struct source *items;
	size_t count, cap;
};

/* put_source - a server's file takes the place of one with the same name; vocabularies stand beside each other */
static void put_source(struct sources *sources, const struct source *source, struct arena *mem)
{
	for (size_t i = 0; i < sources->count; i++)
		if (!strcmp(sources->items[i].name, source->name) && strcmp(source->name, VOCABULARY)) {
			sources->items[i] = *source;
			return;
		}
	sources->items = arena_grow(mem, sources->items, sources->count, &sources->cap, sizeof(*source));
	sources->items[sources->count++] = *source;
}

/* ---- files of the directory */

static int read_all(int fd, const struct source *source, char *text, size_t size, size_t *len, char err[static 512])
{
	*len = 0;
	while (*len < size) {
		ssize_t got = read(fd, text + *len, size - *len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			snprintf(err, ERR_BYTES, "%s: %s", source->path, strerror(errno));
			return -errno;
		}
		if (got == 0)
			return 0;
		*len += (size_t)got;
	}
	snprintf(err, ERR_BYTES, "%s: more than %zu bytes", source->path, FILE_BYTES);
	return -EFBIG;
}

static int read_source(struct source *source, struct arena *mem, char err[static 512])
{
	/* O_NONBLOCK: a FIFO must not stop us before fstat tells what it is. */
	int fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret = 0;
	struct stat st;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0) {
		ret = -errno;
		snprintf(err, ERR_BYTES, "%s: %s", source->path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		ret = -EINVAL;
		snprintf(err, ERR_BYTES, "%s: no regular file", source->path);
	} else {
		text = arena_alloc(mem, FILE_BYTES + 1);
		ret = read_all(fd, source, text, FILE_BYTES + 1, &source->len, err);
		source->text = text;
	}
	if (fd >= 0)
		close(fd);
	return ret;
}

static int is_catalog_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name), suffix = strlen(SUFFIX);

	return entry->d_name[0] != '.' && len > suffix && !strcmp(entry->d_name + len - suffix, SUFFIX);
}

static int add_directory(struct sources *sources, const char *dir, struct arena *mem, char err[static 512])
{
	struct dirent **entries;
	int count = scandir(dir, &entries, is_catalog_file, alphasort), ret = 0;

	if (count < 0) {
		ret = -errno;
		snprintf(err, ERR_BYTES, "%s: %s", dir, strerror(errno));
		return ret;
	}
	if ((size_t)count > FILES_MAX) {
		ret = -EFBIG;
		snprintf(err, ERR_BYTES, "%s: more than %zu files", dir, FILES_MAX);
	}
	for (int i = 0; i < count; i++) {
		struct source source = {.name = arena_strdup(mem, entries[i]->d_name)};

		free(entries[i]);
		source.path = arena_printf(mem, "%s/%s", dir, source.name);
		if (!ret)
			ret = read_source(&source, mem, err);
		if (!ret)
			put_source(sources, &source, mem);
	}
	free(entries);
	return ret;
}

static void add_embedded(struct sources *sources, struct arena *mem)
{
	for (uint64_t i = 0; i < embedded_file_count; i++) {
		const struct embedded_file *file = &embedded_files[i];
		struct source source = {.name = file->name, .path = file->name, .text = file->text, .len = file->len};

		put_source(sources, &source, mem);
	}
}

/* ---- loading */

static int load_events(struct catalog *catalog, const struct sources *sources, char err[static 512])
{
	int ret = 0;

	for (size_t i = 0; !ret && i < sources->count; i++) {
		const struct source *source = &sources->items[i];

		if (!strcmp(source->name, VOCABULARY))
			ret = events_add(&catalog->events, source->path, source->text, source->len, catalog->mem, err);
	}
	return ret;
}

static int load_server(struct catalog *catalog, const struct source *source, char err[static 512])
{
	struct server_def **server = &catalog->servers[catalog->server_cnt];
	size_t stem = strlen(source->name) - strlen(SUFFIX);
	int ret =
	    catalog_parse_server(server, &catalog->events, source->path, source->text, source->len, catalog->mem, err);

	if (ret)
		return ret;
	if (strlen((*server)->name) != stem || strncmp((*server)->name, source->name, stem)) {
		snprintf(err, ERR_BYTES, "%s:%d:%d: the file of server \"%s\" must have the name %s%s", source->path,
			 (*server)->line, (*server)->col, (*server)->name, (*server)->name, SUFFIX);
		return -EINVAL;
	}
	catalog->server_cnt++;
	return 0;
}

static int by_server_name(const void *a, const void *b)
{
	const struct server_def *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

int catalog_load(struct catalog **out, const char *dir, char err[static 512])
{
	struct arena *mem = arena_new(), *texts = arena_new(); /* texts: until all is parsed */
	struct catalog *catalog = arena_alloc(mem, sizeof(*catalog));
	struct sources sources = {0};
	int ret = 0;

	catalog->mem = mem;
	add_embedded(&sources, texts);
	if (dir)
		ret = add_directory(&sources, dir, texts, err);
	if (!ret)
		ret = load_events(catalog, &sources, err);
	catalog->servers = arena_array(mem, sources.count, sizeof(struct server_def *));
	for (size_t i = 0; !ret && i < sources.count; i++)
		if (strcmp(sources.items[i].name, VOCABULARY))
			ret = load_server(catalog, &sources.items[i], err);
	arena_free(&texts);
	if (ret) {
		arena_free(&mem);
		return ret;
	}
	qsort(catalog->servers, catalog->server_cnt, sizeof(struct server_def *), by_server_name);
	*out = catalog;
	return 0;
}

void catalog_free(struct catalog **catalog)
{
	struct arena *mem;

	if (!*catalog)
		return;
	mem = (*catalog)->mem; /* which the catalog itself lives in */
	*catalog = NULL;
	arena_free(&mem);
}

const struct server_def *catalog_find(const struct catalog *catalog, const char *name)
{
	for (size_t i = 0; i < catalog->server_cnt; i++)
		if (!strcmp(catalog->servers[i]->name, name))
			return catalog->servers[i];
	return NULL;
}

const struct server_def *catalog_match_exe(const struct catalog *catalog, const char *exe_path)
{
	for (size_t i = 0; i < catalog->server_cnt; i++)
		for (size_t k = 0; k < catalog->servers[i]->exe_cnt; k++)
			if (!fnmatch(catalog->servers[i]->exe[k], exe_path, 0))
				return catalog->servers[i];
	return NULL;
}

bool act_moves(const struct act_def *act)
{
	return act->kind != ACT_REMEMBER && act->kind != ACT_FORGET;
}

const struct event_def *act_event(const struct act_def *act, size_t i)
{
	if (act->kind == ACT_CHOOSE)
		return i < act->choice->text_cnt ? act->choice->texts[i].event : NULL;
	return i == 0 ? act->event : NULL;
}

bool catalog_server_counts(const struct server_def *server, const struct event_def *event)
{
	for (size_t i = 0; i < server->event_cnt; i++)
		if (server->events[i] == event)
			return true;
	return false;
}
