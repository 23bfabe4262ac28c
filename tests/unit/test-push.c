/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts, and a push without a peer; what peers see and answer is tested in tests/exporters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "config/config.h"
#include "example-snapshot.h"
#include "export/push.h"

static void test_backoff(void **state)
{
	static const struct {
		unsigned attempt;
		uint32_t random;
		uint64_t want;
	} rows[] = {
	    {0, 0, 250},
	    {0, 499, 749},
	    {0, 500, 250},
	    {1, 0, 500},
	    {2, 0, 1000},
	    {5, 0, 8000},
	    {6, 0, 15000},
	    {15, 0, 15000},
	    {16, 0, 15000},
	    {4000000000, 0, 15000},
	    {6, 29999, 44999},
	    {6, 30000, 15000},
	    {0, UINT32_MAX, 250 + UINT32_MAX % 500},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(push_backoff_ms(rows[i].attempt, rows[i].random), rows[i].want);
}

static void test_retryable(void **state)
{
	(void)state;
	for (long status = 0; status < 1000; status++) {
		bool want = status == 429 || status == 502 || status == 503 || status == 504;

		assert_int_equal(push_status_is_retryable(status), want);
	}
}

static int take_nothing(void *ctx, struct snapshot **out)
{
	++*(int *)ctx;
	*out = NULL;
	return -EIO;
}

/* A failing callback is counted once per interval, and once more at the end; nothing is sent. */
static void test_no_numbers(void **state)
{
	const struct config config = {
	    .prefix = "mail",
	    .service_name = "mailgauge",
	    .otlp_endpoint = "http://user:secret@127.0.0.1:9/?key=secret",
	    .otlp_interval_ms = 60000,
	    .otlp_timeout_ms = 1000,
	};
	int calls = 0;
	const struct push_options options = {.config = &config, .version = "1", .take = take_nothing, .ctx = &calls};
	struct snapshot *snap = snapshot_new(1);
	struct push_stats stats;
	struct push *push;
	char err[256];

	(void)state;
	assert_int_equal(push_start(&push, &options, err, sizeof(err)), 0);
	for (int i = 0; i < 500 && !push_stats(push).exports[PUSH_FAILED]; i++)
		usleep(10000);
	stats = push_stats(push);
	assert_int_equal(stats.exports[PUSH_FAILED], 1);
	assert_int_equal(stats.attempts, 0);
	assert_int_equal(stats.last_success_ns, 0);
	push_add_metrics(push, snap);
	snapshot_finish(snap);
	assert_int_equal(snapshot_find(snap, "mailgauge.push.exports")->sample_cnt, PUSH_OUTCOMES);
	assert_string_equal(snapshot_find(snap, "mailgauge.push.exports")->samples[0].labels[0].value, "failed");
	assert_int_equal(snapshot_find(snap, "mailgauge.push.exports")->samples[0].counter, 1);
	push_stop(&push);
	assert_null(push);
	assert_int_equal(calls, 2);
	push_stop(&push); /* NULL is accepted */
	push_add_metrics(NULL, snap);
	snapshot_free(&snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_backoff),
	    cmocka_unit_test(test_retryable),
	    cmocka_unit_test(test_no_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
