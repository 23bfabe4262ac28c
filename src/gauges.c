/* SPDX-License-Identifier: Apache-2.0 */
#include "gauges.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "target/directory.h"
#include "target/sockets.h"

/* Files are counted again after a minute, or later: counting may take a hundredth of the time. */
#define CORRECT_MS   (60 * 1000)
#define CORRECT_PART 100
#define TRIES        3
/* A probe at a call is hit just before the file moves: so long what it counted may not have happened yet. */
#define SETTLE_NS (2 * 1000 * 1000)

/* A directory of an instance. */
struct place {
	pid_t pid; /* of the instance's first process, whose working directory the path goes through */
	const char *path;
};

/* One gauge of files; of several instances the directories are added up. */
struct level {
	const char *key; /* of the series */
	struct place *places;
	size_t place_cnt, place_cap;
	struct directory_filter filter; /* what is counted in all of them */
	bool is_known;
	int said; /* the error that was reported last */
};

struct gauges {
	struct probe_set *probes;
	struct arena *mem; /* of the levels, which follow the plan */
	struct level *levels;
	size_t level_cnt, level_cap;
	uint64_t due_ms;
};

struct gauges *gauges_new(struct probe_set *probes)
{
	struct gauges *gauges = xrealloc_array(NULL, 1, sizeof(*gauges));

	*gauges = (struct gauges){.probes = probes, .mem = arena_new()};
	return gauges;
}

void gauges_free(struct gauges **gauges)
{
	if (!*gauges)
		return;
	arena_free(&(*gauges)->mem);
	free(*gauges);
	*gauges = NULL;
}

/* ---- what processes hold */

static bool is_meant(const struct seed_def *seed, const char *comm)
{
	for (size_t i = 0; i < seed->who_cnt; i++)
		if (!strcmp(seed->who[i], comm))
			return true;
	return false;
}

static void seed_instance(struct gauges *g, const struct plan *plan, const struct target *target)
{
	struct arena *mem = arena_new();
	struct clients *clients;
	size_t count;
	bool has_pairs;

	if (clients_of_instance(&clients, &count, target->pid, &has_pairs, mem))
		goto out; /* it has just ended */
	for (size_t i = 0; i < plan->seed_cnt; i++) {
		const struct plan_seed *seed = &plan->seeds[i];

		if (seed->target != target)
			continue;
		if (seed->def->paired && !has_pairs)
			log_warn("%s: %s may be too low until sessions that run now have ended: "
				 "the kernel does not tell which sockets are pairs (unix_diag)",
				 target->server->name, seed->def->event->name);
		for (size_t k = 0; k < count; k++) {
			int held =
			    seed->def->accepted * (int)clients[k].accepted + seed->def->paired * (int)clients[k].paired;

			if (held > 0 && is_meant(seed->def, clients[k].comm))
				probe_set_hold(g->probes, plan->gauges[seed->gauge].key, clients[k].pid,
					       (uint32_t)held);
		}
	}
out:
	arena_free(&mem);
}

static void seed(struct gauges *g, const struct plan *plan)
{
	for (size_t i = 0; i < plan->seed_cnt; i++)
		if (!i || plan->seeds[i].target != plan->seeds[i - 1].target)
			seed_instance(g, plan, plan->seeds[i].target);
}

/* ---- files in directories */

/* count_files - 0, -ESRCH when an instance has ended (the next plan will not have it), or -errno */
static int count_files(const struct level *level, int64_t *count)
{
	*count = 0;
	for (size_t i = 0; i < level->place_cnt; i++) {
		const struct place *place = &level->places[i];
		uint64_t files;
		int ret = directory_count(place->path, &level->filter, &files);

		if (ret && kill(place->pid, 0) && errno == ESRCH)
			return -ESRCH;
		if (ret && ret != level->said)
			log_warn("%s: not exported until it can be counted: %s: %s", level->key, place->path,
				 strerror(-ret));
		if (ret)
			return ret;
		*count += (int64_t)files;
	}
	return 0;
}

/* try_correct - count the files while nothing moves: 1 that worked, 0 something moved, -errno */
static int try_correct(struct gauges *g, struct level *level, bool is_last)
{
	const struct timespec settle = {.tv_nsec = SETTLE_NS};
	int64_t before, after, count;
	int ret;

	if (probe_set_moved(g->probes, level->key, &before))
		before = 0;
	nanosleep(&settle, NULL);
	ret = count_files(level, &count);
	if (ret)
		return ret;
	if (probe_set_moved(g->probes, level->key, &after))
		after = 0;
	if (before != after && !is_last)
		return 0;
	probe_set_level(g->probes, level->key, count - after, true);
	return 1;
}

/* correct - a server that is never still keeps the level that it has; only the first one is taken as it comes */
static void correct(struct gauges *g, struct level *level)
{
	int ret = 0;

	for (int i = 1; i <= TRIES && !ret; i++)
		ret = try_correct(g, level, i == TRIES && !level->is_known);
	if (ret == -ESRCH)
		return;
	if (ret < 0)
		probe_set_level(g->probes, level->key, 0, false);
	if (ret)
		level->is_known = ret > 0;
	level->said = ret < 0 ? ret : 0;
}

static void correct_all(struct gauges *g)
{
	uint64_t began_ms = clock_ms(CLOCK_BOOTTIME), took_ms;

	for (size_t i = 0; i < g->level_cnt; i++)
		correct(g, &g->levels[i]);
	took_ms = (clock_ms(CLOCK_BOOTTIME) - began_ms) * CORRECT_PART;
	g->due_ms = clock_ms(CLOCK_BOOTTIME) + (took_ms > CORRECT_MS ? took_ms : CORRECT_MS);
}

static struct level *level_of(struct gauges *g, const char *key)
{
	for (size_t i = 0; i < g->level_cnt; i++)
		if (!strcmp(g->levels[i].key, key))
			return &g->levels[i];
	g->levels = arena_grow(g->mem, g->levels, g->level_cnt, &g->level_cap, sizeof(*g->levels));
	g->levels[g->level_cnt] = (struct level){.key = arena_strdup(g->mem, key)};
	return &g->levels[g->level_cnt++];
}

static void note_directories(struct gauges *g, const struct plan *plan)
{
	arena_free(&g->mem);
	g->mem = arena_new();
	g->levels = NULL;
	g->level_cnt = g->level_cap = 0;
	for (size_t i = 0; i < plan->directory_cnt; i++) {
		const struct plan_directory *directory = &plan->directories[i];
		struct level *level = level_of(g, plan->series[directory->series].key);

		level->filter.is_executable = directory->def->is_executable;
		level->filter.name = directory->def->name;
		level->places =
		    arena_grow(g->mem, level->places, level->place_cnt, &level->place_cap, sizeof(*level->places));
		level->places[level->place_cnt++] = (struct place){
		    .pid = directory->target->pid,
		    .path = arena_printf(g->mem, "/proc/%d/cwd/%s", (int)directory->target->pid, directory->def->path),
		};
	}
}

void gauges_follow(struct gauges *g, const struct plan *plan)
{
	seed(g, plan);
	note_directories(g, plan);
	correct_all(g);
}

void gauges_correct(struct gauges *g)
{
	if (g->level_cnt && clock_ms(CLOCK_BOOTTIME) >= g->due_ms)
		correct_all(g);
}
