/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "example-snapshot.h"

/* flatten - "family{label=value,...} value" per sample, in the snapshot's order */
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
			if (snap->families[i].kind == METRIC_COUNTER)
				len +=
				    (size_t)snprintf(out + len, size - len, " %lu\n", (unsigned long)sample->counter);
			else
				len += (size_t)snprintf(out + len, size - len, " %g\n", sample->gauge);
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
				 "queue.count server=postfix -2.5\n"
				 "smtp.error pod=caf\xc3\xa9 server=a\\b\"c\nd 1\n"
				 "smtp.error server=bad\xef\xbf\xbd\\x1b[2J 2\n"
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
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_texts_are_copied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
