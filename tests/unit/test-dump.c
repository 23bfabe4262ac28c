/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "base/buf.h"
#include "example-snapshot.h"
#include "export/dump.h"
#include "golden.h"

static void test_golden(void **state)
{
	static const struct {
		void (*dump)(struct buf *out, const struct snapshot *snap);
		const char *golden;
	} rows[] = {{dump_json, "dump/example.json"}, {dump_table, "dump/example.table"}};
	struct snapshot *snap = example_snapshot();

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct buf got;

		buf_init(&got, 1 << 20);
		rows[i].dump(&got, snap);
		assert_false(buf_failed(&got));
		golden_check(rows[i].golden, buf_text(&got));
		buf_free(&got);
	}
	snapshot_free(&snap);
}

static void test_nothing(void **state)
{
	struct snapshot *snap = snapshot_new(1500000000);
	struct buf got;

	(void)state;
	buf_init(&got, 1000);
	snap->now_ns = 2000000000;
	snapshot_finish(snap);
	dump_json(&got, snap);
	assert_string_equal(buf_text(&got), "{\"start\":1.500,\"time\":2.000,\"metrics\":[]}\n");
	buf_reset(&got);
	dump_table(&got, snap);
	assert_string_equal(buf_text(&got), "METRIC  LABELS  VALUE\n");
	buf_free(&got);
	snapshot_free(&snap);
}

/* JSON has no NaN and no infinity. */
static void test_json_gauge_without_number(void **state)
{
	struct snapshot *snap = snapshot_new(1);
	struct buf got;

	(void)state;
	buf_init(&got, 1000);
	example_add(snap, METRIC_GAUGE, "x", "1", "", NULL, 0)->gauge = NAN;
	snapshot_finish(snap);
	dump_json(&got, snap);
	assert_non_null(strstr(buf_text(&got), "\"labels\":{},\"value\":null}"));
	buf_free(&got);
	snapshot_free(&snap);
}

/* The estimates are those of Prometheus' histogram_quantile(). */
static void test_table_of_histograms(void **state)
{
	static const struct {
		const char *unit;
		double bounds[3];
		uint64_t buckets[4];
		double sum;
		const char *want;
	} rows[] = {
	    {"s", {0.1, 1, 10}, {0, 0, 0, 0}, 0, "0"},
	    {"s", {0.1, 1, 10}, {1, 0, 0, 0}, 0.02, "1  mean 0.02 s, p50 0.05 s, p90 0.09 s, p99 0.099 s"},
	    {"s", {0.1, 1, 10}, {0, 0, 0, 4}, 90, "4  mean 22.5 s, p50 above 10 s, p90 above 10 s, p99 above 10 s"},
	    {"s", {1, 2, 3}, {50, 40, 10, 0}, 100, "100  mean 1 s, p50 1 s, p90 2 s, p99 2.9 s"},
	    {"By",
	     {500, 1e6, 1e7},
	     {0, 100, 0, 0},
	     5e6,
	     "100  mean 50000 bytes, p50 500250 bytes, p90 900050 bytes, p99 990005 bytes"},
	    {"{recipient}", {1, 2, 5}, {8, 1, 0, 1}, 20, "10  mean 2, p50 0.625, p90 2, p99 above 5"},
	    {"ms", {1, 2000, 5000}, {0, 10, 0, 0}, 9996, "10  mean 1000 ms, p50 1000 ms, p90 1800 ms, p99 1980 ms"},
	    {"1", {0, 1, 2}, {9, 1, 0, 0}, -999.5, "10  mean -100, p50 0, p90 0, p99 0.9"},
	    {"", {999.5, 1e9, 1e10}, {2, 0, 0, 0}, 1e300, "2  mean 5e+299, p50 500, p90 900, p99 990"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct snapshot *snap = snapshot_new(1);
		struct family *family = snapshot_histogram(snap, SCOPE_EVENT, "x", rows[i].unit, "", rows[i].bounds, 3);
		const char *last;
		struct buf got;

		buf_init(&got, 1000);
		example_observe(snap, family, NULL, 0, rows[i].buckets, rows[i].sum);
		snapshot_finish(snap);
		dump_table(&got, snap);
		last = strchr(buf_text(&got), '\n') + 1;
		last += strspn(last, "x ");
		if (strncmp(last, rows[i].want, strlen(rows[i].want)))
			fail_msg("not %s, but %s", rows[i].want, last);
		assert_string_equal(last + strlen(rows[i].want), "\n");
		buf_free(&got);
		snapshot_free(&snap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_json_gauge_without_number),
	    cmocka_unit_test(test_table_of_histograms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
