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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_nothing),
	    cmocka_unit_test(test_json_gauge_without_number),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
