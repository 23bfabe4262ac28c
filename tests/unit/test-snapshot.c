/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "example-snapshot.h"

static size_t put_number(char *out, size_t size, const struct family *family, const struct sample *sample)
{
	size_t len = 0;

	if (family->kind == METRIC_COUNTER)
		return (size_t)snprintf(out, size, " %lu\n", (unsigned long)sample->counter);
	if (family->kind == METRIC_GAUGE)
		return (size_t)snprintf(out, size, " %g\n", sample->gauge);
	for (size_t i = 0; i <= family->bound_cnt; i++)
		len += (size_t)snprintf(out + len, size - len, " %lu", (unsigned long)sample->histogram.buckets[i]);
	return len + (size_t)snprintf(out + len, size - len, " of %lu, sum %g\n",
				      (unsigned long)sample_count(family, sample), sample->histogram.sum);
}

/* flatten - "family label=value... number" per sample, in the snapshot's order */
static void flatten(const struct snapshot *snap, char *out, size_t size)
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < snap->family_cnt; i++)
		for (size_t j = 0; j < snap->families[i].sample_cnt; j++) {
			const struct sample *sample = &snap->families[i].samples[j];

			len += (size_t)snprintf(out + len, size - len, "%s", snap->families[i].name);
			for (size_t k = 0; k < sample->label_cnt; k++)
				len += (size_t)snprintf(out + len, size - len, " %s=%s", sample->labels[k].name,
							sample->labels[k].value);
			len += put_number(out + len, size - len, &snap->families[i], sample);
		}
}

static void test_order(void **state)
{
	struct snapshot *snap = example_snapshot();
	char got[4096];

	(void)state;
	flatten(snap, got, sizeof(got));
	assert_string_equal(got, "auth.success protocol=imap server=dovecot 18446744073709551615\n"
				 "auth.success server=postfix 0\n"
				 "delivery.attempt-time reason=a\"b server=postfix 3 0 6 1 0 of 10, sum 12.375\n"
				 "delivery.attempt-time server=dovecot 0 0 0 0 0 of 0, sum 0\n"
				 "message.size 0 7 1 2 of 10, sum 1e+09\n"
				 "queue.count server=postfix -2.5\n"
				 "smtp.error pod=caf\xc3\xa9 server=a\\b\"c\nd 1\n"
				 "smtp.error server=bad\xef\xbf\xbd\\x1b[2J 2\n"
				 "mailgauge.look 1 18446744073709551614 of 18446744073709551615, sum 1e+300\n"
				 "mailgauge.probe.hits 42\n"
				 "mailgauge.scrape.duration 0.1\n");
	snapshot_free(&snap);
	assert_null(snap);
}

static void test_equal_labels_are_added_up(void **state)
{
	const struct label ab[] = {{"a", "1"}, {"b", "2"}}, ba[] = {{"b", "2"}, {"a", "1"}}, a[] = {{"a", "1"}};
	static const enum metric_kind kinds[] = {METRIC_COUNTER, METRIC_GAUGE};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct snapshot *snap = snapshot_new(1);
		struct sample *samples[3];
		char got[256];
		const struct {
			const struct label *labels;
			size_t count;
			unsigned value;
		} rows[] = {{ab, 2, 3}, {a, 1, 10}, {ba, 2, 4}};

		for (size_t j = 0; j < 3; j++) {
			samples[j] = example_add(snap, kinds[i], "x", "", "", rows[j].labels, rows[j].count);
			if (kinds[i] == METRIC_COUNTER)
				samples[j]->counter = rows[j].value;
			else
				samples[j]->gauge = rows[j].value;
		}
		snapshot_finish(snap);
		flatten(snap, got, sizeof(got));
		assert_string_equal(got, "x a=1 10\nx a=1 b=2 7\n");
		snapshot_free(&snap);
	}
}

static void test_equal_histograms_are_added_up(void **state)
{
	const struct label ab[] = {{"a", "1"}, {"b", "2"}}, ba[] = {{"b", "2"}, {"a", "1"}}, a[] = {{"a", "1"}};
	struct snapshot *snap = snapshot_new(1);
	double bounds[] = {1, 2};
	char got[256];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct family *family = snapshot_histogram(snap, SCOPE_EVENT, "x", "s", "", bounds, 2);
		const uint64_t buckets[] = {1 << i, 0, 10 << i};

		assert_ptr_equal(family, snapshot_find(snap, "x"));
		example_observe(snap, family, i == 0 ? ab : i == 1 ? a : ba, i == 1 ? 1 : 2, buckets, 0.5);
	}
	bounds[0] = 9; /* they are copied */
	snapshot_finish(snap);
	flatten(snap, got, sizeof(got));
	assert_string_equal(got, "x a=1 2 0 20 of 22, sum 0.5\nx a=1 b=2 5 0 50 of 55, sum 1\n");
	assert_true(snap->families[0].bound_cnt == 2 && snap->families[0].bounds[0] == 1);
	snapshot_free(&snap);
}

static void test_find(void **state)
{
	struct snapshot *snap = example_snapshot();

	(void)state;
	assert_string_equal(snapshot_find(snap, "queue.count")->name, "queue.count");
	assert_null(snapshot_find(snap, "queue"));
	assert_true(snap->start_ns < snap->now_ns);
	snapshot_free(&snap);
	snapshot_free(&snap); /* NULL is accepted */
}

static void test_texts_are_copied(void **state)
{
	char name[] = "auth.success", value[] = "postfix";
	struct label label = {"server", value};
	struct snapshot *snap = snapshot_new(1);
	char got[256];

	(void)state;
	assert_true(snap->now_ns > 1700000000000000000);
	example_add(snap, METRIC_COUNTER, name, "", "", &label, 1);
	name[0] = value[0] = 'X';
	snapshot_finish(snap);
	flatten(snap, got, sizeof(got));
	assert_string_equal(got, "auth.success server=postfix 0\n");
	snapshot_free(&snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_equal_labels_are_added_up),
	    cmocka_unit_test(test_equal_histograms_are_added_up),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_texts_are_copied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
