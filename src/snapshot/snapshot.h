/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h - owns the one type that flows to every exporter: what all metrics were at one instant.
 * The probe room makes it, exporters only read it; nobody stores it. It knows no wire format and no BPF.
 * Ownership: everything inside lives in one arena; snapshot_free() frees it all.
 * Life: snapshot_new -> snapshot_family, snapshot_sample (any order) -> snapshot_finish -> exporters -> snapshot_free
 */
#ifndef MAILGAUGE_SNAPSHOT_H
#define MAILGAUGE_SNAPSHOT_H
#include <stddef.h>
#include <stdint.h>

struct arena;

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* metric_kind_name - "counter", "gauge", "histogram" */
const char *metric_kind_name(enum metric_kind kind);

struct label {
	const char *name, *value; /* well-formed UTF-8 after snapshot_finish(), exporters escape */
};

struct sample {
	struct label *labels; /* sorted by name */
	size_t label_cnt;
	union {
		uint64_t counter;
		double gauge;
		struct {
			uint64_t *buckets; /* one for each bound and one for what is above all; not cumulative */
			double sum;        /* of the observed values, in the family's unit */
		} histogram;
	};
};

/* enum family_scope - who a family is about, which decides its name on the wire:
 * an event of a mail server ("auth.success", exporters add the prefix), or the collector itself
 * ("mailgauge.probe.hits", always so). */
enum family_scope { SCOPE_EVENT, SCOPE_SELF };

struct family {
	const char *name; /* dotted, as in events.toml: "auth.success" */
	const char *help; /* one sentence, no line break */
	const char *unit; /* UCUM as OTLP wants it: "{event}", "s", "By", "1" */
	enum metric_kind kind;
	enum family_scope scope;
	const double *bounds; /* of a histogram: ascending, finite; a value equal to a bound is within */
	size_t bound_cnt;
	struct sample *samples; /* sorted by labels, no two with the same */
	size_t sample_cnt, sample_cap;
};

struct snapshot {
	uint64_t start_ns, now_ns; /* CLOCK_REALTIME; start = when counting began */
	struct family *families;   /* sorted by scope, then by name */
	size_t family_cnt, family_cap;
	struct arena *mem;
};

/* take_snapshot_fn - how exporters ask for the present numbers; callable from any thread.
 * 0 and a finished snapshot that the caller frees, or -errno. */
typedef int (*take_snapshot_fn)(void *ctx, struct snapshot **out);

/* snapshot_new - an empty snapshot with an arena of its own, now_ns filled in */
struct snapshot *snapshot_new(uint64_t start_ns);
/* snapshot_free - accepts NULL, sets *snap to NULL */
void snapshot_free(struct snapshot **snap);
/* snapshot_family - the family of this name, added without samples when it is new. Texts are copied.
 * The pointer holds until the next family is added. */
struct family *snapshot_family(struct snapshot *snap, enum family_scope scope, enum metric_kind kind, const char *name,
			       const char *unit, const char *help);
/* snapshot_histogram - the same for a histogram with these bounds, which are copied. All who ask for one family have
 * the same bounds. */
struct family *snapshot_histogram(struct snapshot *snap, enum family_scope scope, const char *name, const char *unit,
				  const char *help, const double *bounds, size_t bound_cnt);
/* snapshot_sample - add a sample of value 0 (a histogram: all buckets 0) with these labels, which are copied.
 * The pointer holds until the next sample of this family is added. */
struct sample *snapshot_sample(struct snapshot *snap, struct family *family, const struct label *labels,
			       size_t label_cnt);
/* snapshot_finish - keep the promises above: order, well-formed texts (what is no UTF-8 becomes U+FFFD),
 * and samples of one family with the same labels are added up (histograms bucket by bucket) */
void snapshot_finish(struct snapshot *snap);
/* sample_count - how many values a histogram's sample has seen */
uint64_t sample_count(const struct family *family, const struct sample *sample);
/* snapshot_find - family by its dotted name, or NULL */
const struct family *snapshot_find(const struct snapshot *snap, const char *name);

#endif
