/* SPDX-License-Identifier: Apache-2.0 */
/* example-snapshot.h - the snapshot that the tests of all exporters format: every kind, scope and awkward text.
 */
#ifndef MAILGAUGE_EXAMPLE_SNAPSHOT_H
#define MAILGAUGE_EXAMPLE_SNAPSHOT_H
#include "snapshot/snapshot.h"

static inline struct sample *example_add(struct snapshot *snap, enum metric_kind kind, const char *name,
					 const char *unit, const char *help, const struct label *labels,
					 size_t label_cnt)
{
	enum family_scope scope = strncmp(name, "mailgauge.", 10) ? SCOPE_EVENT : SCOPE_SELF;

	return snapshot_sample(snap, snapshot_family(snap, scope, kind, name, unit, help), labels, label_cnt);
}

/* example_observe - a histogram's sample with these numbers in its buckets */
static inline void example_observe(struct snapshot *snap, struct family *family, const struct label *labels,
				   size_t label_cnt, const uint64_t *buckets, double sum)
{
	struct sample *sample = snapshot_sample(snap, family, labels, label_cnt);

	for (size_t i = 0; i <= family->bound_cnt; i++)
		sample->histogram.buckets[i] = buckets[i];
	sample->histogram.sum = sum;
}

static inline void example_histograms(struct snapshot *snap)
{
	const struct label postfix[] = {{"server", "postfix"}, {"reason", "a\"b"}}, dovecot[] = {{"server", "dovecot"}};
	const double times[] = {0.005, 0.035, 1, 60}, sizes[] = {500, 1000000, 2.5e8};
	struct family *family =
	    snapshot_histogram(snap, SCOPE_EVENT, "delivery.attempt-time", "s", "Time of one attempt.", times, 4);

	example_observe(snap, family, postfix, 2, (const uint64_t[]){3, 0, 6, 1, 0}, 12.375);
	example_observe(snap, family, dovecot, 1, (const uint64_t[]){0, 0, 0, 0, 0}, 0);
	family = snapshot_histogram(snap, SCOPE_EVENT, "message.size", "By", "Size of a message.", sizes, 3);
	example_observe(snap, family, NULL, 0, (const uint64_t[]){0, 7, 1, 2}, 1e9 + 2.5);
	family = snapshot_histogram(snap, SCOPE_SELF, "mailgauge.look", "{file}", "Files per look.", sizes, 1);
	example_observe(snap, family, NULL, 0, (const uint64_t[]){1, UINT64_MAX - 1}, 1e300);
}

static inline struct snapshot *example_snapshot(void)
{
	const struct label postfix[] = {{"server", "postfix"}}, imap[] = {{"server", "dovecot"}, {"protocol", "imap"}};
	const struct label awkward[] = {{"server", "a\\b\"c\nd"}, {"pod", "caf\xc3\xa9"}};
	const struct label no_utf8[] = {{"server", "bad\xff\x1b[2J"}};
	struct snapshot *snap = snapshot_new(1700000000123456789);

	snap->now_ns = 1700000060000000001;
	example_add(snap, METRIC_COUNTER, "mailgauge.probe.hits", "{hit}", "Probe hits.", NULL, 0)->counter = 42;
	example_add(snap, METRIC_GAUGE, "mailgauge.scrape.duration", "s", "Last scrape.", NULL, 0)->gauge = 0.1;
	example_add(snap, METRIC_COUNTER, "smtp.error", "{event}", "A back\\slash and a\nbreak.", awkward, 2)->counter =
	    1;
	example_add(snap, METRIC_COUNTER, "smtp.error", "{event}", "", no_utf8, 1)->counter = 2;
	example_add(snap, METRIC_COUNTER, "auth.success", "{event}", "Logins let in.", postfix, 1)->counter = 0;
	example_add(snap, METRIC_COUNTER, "auth.success", "{event}", "", imap, 2)->counter = UINT64_MAX;
	example_add(snap, METRIC_GAUGE, "queue.count", "{message}", "Messages in the queue.", postfix, 1)->gauge = -2.5;
	example_histograms(snap);
	snapshot_family(snap, SCOPE_EVENT, METRIC_COUNTER, "dmarc.pass", "{event}", "A family without samples.");
	snapshot_finish(snap);
	return snap;
}

#endif
