/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"

const char *metric_kind_name(enum metric_kind kind)
{
	static const char *const names[] = {
	    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

	return names[kind];
}

struct snapshot *snapshot_new(uint64_t start_ns)
{
	struct arena *mem = arena_new();
	struct snapshot *snap = arena_alloc(mem, sizeof(*snap));

	*snap = (struct snapshot){
	    .start_ns = start_ns,
	    .now_ns = clock_ns(CLOCK_REALTIME),
	    .mem = mem,
	};
	return snap;
}

void snapshot_free(struct snapshot **snap)
{
	struct arena *mem;

	if (!*snap)
		return;
	mem = (*snap)->mem; /* the snapshot itself lives in it */
	*snap = NULL;
	arena_free(&mem);
}

const struct family *snapshot_find(const struct snapshot *snap, const char *name)
{
	for (size_t i = 0; i < snap->family_cnt; i++)
		if (!strcmp(snap->families[i].name, name))
			return &snap->families[i];
	return NULL;
}

struct family *snapshot_family(struct snapshot *snap, enum family_scope scope, enum metric_kind kind, const char *name,
			       const char *unit, const char *help)
{
	const struct family *known = snapshot_find(snap, name);
	struct family *family;

	if (known)
		return &snap->families[known - snap->families];
	snap->families =
	    arena_grow(snap->mem, snap->families, snap->family_cnt, &snap->family_cap, sizeof(*snap->families));
	family = &snap->families[snap->family_cnt++];
	*family = (struct family){
	    .name = arena_strdup(snap->mem, name),
	    .help = arena_strdup(snap->mem, help),
	    .unit = arena_strdup(snap->mem, unit),
	    .kind = kind,
	    .scope = scope,
	};
	return family;
}

struct family *snapshot_histogram(struct snapshot *snap, enum family_scope scope, const char *name, const char *unit,
				  const char *help, const double *bounds, size_t bound_cnt)
{
	struct family *family = snapshot_family(snap, scope, METRIC_HISTOGRAM, name, unit, help);
	double *copy;

	if (family->bounds)
		return family;
	copy = arena_array(snap->mem, bound_cnt, sizeof(*copy));
	for (size_t i = 0; i < bound_cnt; i++)
		copy[i] = bounds[i];
	family->bounds = copy;
	family->bound_cnt = bound_cnt;
	return family;
}

struct sample *snapshot_sample(struct snapshot *snap, struct family *family, const struct label *labels,
			       size_t label_cnt)
{
	struct sample *sample;

	family->samples =
	    arena_grow(snap->mem, family->samples, family->sample_cnt, &family->sample_cap, sizeof(*family->samples));
	sample = &family->samples[family->sample_cnt++];
	*sample = (struct sample){
	    .labels = arena_array(snap->mem, label_cnt, sizeof(*labels)),
	    .label_cnt = label_cnt,
	};
	for (size_t i = 0; i < label_cnt; i++) {
		sample->labels[i].name = arena_strdup(snap->mem, labels[i].name);
		sample->labels[i].value = arena_strdup(snap->mem, labels[i].value);
	}
	if (family->kind == METRIC_HISTOGRAM)
		sample->histogram.buckets =
		    arena_array(snap->mem, family->bound_cnt + 1, sizeof(*sample->histogram.buckets));
	return sample;
}

uint64_t sample_count(const struct family *family, const struct sample *sample)
{
	uint64_t count = 0;

	for (size_t i = 0; i <= family->bound_cnt; i++)
		count += sample->histogram.buckets[i];
	return count;
}

/* well_formed - `text` itself, or a readable copy when it is no UTF-8, which receivers would refuse */
static const char *well_formed(struct arena *mem, const char *text)
{
	const char *copy;
	struct buf visible;

	if (utf8_valid(text))
		return text;
	buf_init(&visible, 4 * strlen(text) + 1);
	buf_visible(&visible, text, SIZE_MAX);
	copy = arena_strdup(mem, buf_text(&visible));
	buf_free(&visible);
	return copy;
}

static int by_scope_and_name(const void *a, const void *b)
{
	const struct family *x = a, *y = b;

	if (x->scope != y->scope)
		return x->scope < y->scope ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int by_label_name(const void *a, const void *b)
{
	return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static int by_labels(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	for (size_t i = 0; i < x->label_cnt && i < y->label_cnt; i++) {
		int order = strcmp(x->labels[i].name, y->labels[i].name);

		if (!order)
			order = strcmp(x->labels[i].value, y->labels[i].value);
		if (order)
			return order;
	}
	return x->label_cnt < y->label_cnt ? -1 : x->label_cnt > y->label_cnt;
}

/* add_up - `more` into `sum`, both of this family */
static void add_up(const struct family *family, struct sample *sum, const struct sample *more)
{
	switch (family->kind) {
	case METRIC_COUNTER:
		sum->counter += more->counter;
		break;
	case METRIC_GAUGE:
		sum->gauge += more->gauge;
		break;
	case METRIC_HISTOGRAM:
		for (size_t i = 0; i <= family->bound_cnt; i++)
			sum->histogram.buckets[i] += more->histogram.buckets[i];
		sum->histogram.sum += more->histogram.sum;
		break;
	}
}

/* merge_equal - add up neighbours with the same labels */
static void merge_equal(struct family *family)
{
	size_t kept = 0;

	for (size_t i = 0; i < family->sample_cnt; i++) {
		struct sample *last = kept ? &family->samples[kept - 1] : NULL;

		if (!last || by_labels(last, &family->samples[i]))
			family->samples[kept++] = family->samples[i];
		else
			add_up(family, last, &family->samples[i]);
	}
	family->sample_cnt = kept;
}

static void finish_family(struct family *family, struct arena *mem)
{
	for (size_t i = 0; i < family->sample_cnt; i++) {
		struct sample *sample = &family->samples[i];

		for (size_t j = 0; j < sample->label_cnt; j++)
			sample->labels[j].value = well_formed(mem, sample->labels[j].value);
		if (sample->label_cnt)
			qsort(sample->labels, sample->label_cnt, sizeof(*sample->labels), by_label_name);
	}
	if (!family->sample_cnt)
		return;
	qsort(family->samples, family->sample_cnt, sizeof(*family->samples), by_labels);
	merge_equal(family);
}

void snapshot_finish(struct snapshot *snap)
{
	for (size_t i = 0; i < snap->family_cnt; i++)
		finish_family(&snap->families[i], snap->mem);
	if (snap->family_cnt)
		qsort(snap->families, snap->family_cnt, sizeof(*snap->families), by_scope_and_name);
}
