/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

#include "base/buf.h"
#include "example-snapshot.h"
#include "export/prom.h"
#include "golden.h"

static void test_names(void **state)
{
	/* The translated ones were compared with what a real Prometheus stores (tests/exporters). */
	static const struct {
		enum family_scope scope;
		enum metric_kind kind;
		const char *prefix, *name, *unit, *want, *bare;
	} rows[] = {
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "auth.success", "{event}", "mail_auth_success_total", "auth_success"},
	    {SCOPE_EVENT, METRIC_COUNTER, "", "auth.success", "{event}", "auth_success_total", "auth_success"},
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "queue.queue-dsn", "{event}", "mail_queue_queue_dsn_total",
	     "queue_queue_dsn"},
	    {SCOPE_EVENT, METRIC_COUNTER, "a_b", "x--y..z", "{event}", "a_b_x_y_z_total", "x__y__z"},
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "x.total.y", "{event}", "mail_x_y_total", "x_total_y"},
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "message.size", "By", "mail_message_size_bytes_total",
	     "message_size"},
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "bytes.read", "By", "mail_bytes_read_total", "bytes_read"},
	    {SCOPE_EVENT, METRIC_GAUGE, "mail", "queue.count", "{message}", "mail_queue_count", "queue_count"},
	    {SCOPE_EVENT, METRIC_GAUGE, "mail", "x.total", "s", "mail_x_total_seconds", "x_total"},
	    {SCOPE_EVENT, METRIC_GAUGE, "mail", "queue.full", "1", "mail_queue_full_ratio", "queue_full"},
	    {SCOPE_EVENT, METRIC_GAUGE, "mail", "smtp.active-connections", "{connection}",
	     "mail_smtp_active_connections", "smtp_active_connections"},
	    {SCOPE_EVENT, METRIC_HISTOGRAM, "mail", "delivery.attempt-time", "s", "mail_delivery_attempt_time_seconds",
	     "delivery_attempt_time"},
	    {SCOPE_EVENT, METRIC_HISTOGRAM, "mail", "delivery.total-time", "s", "mail_delivery_total_time_seconds",
	     "delivery_total_time"},
	    {SCOPE_EVENT, METRIC_HISTOGRAM, "mail", "message.size", "By", "mail_message_size_bytes", "message_size"},
	    {SCOPE_EVENT, METRIC_HISTOGRAM, "mail", "message.bytes", "By", "mail_message_bytes", "message_bytes"},
	    {SCOPE_EVENT, METRIC_HISTOGRAM, "mail", "queue.recipients", "{recipient}", "mail_queue_recipients",
	     "queue_recipients"},
	    {SCOPE_EVENT, METRIC_HISTOGRAM, "mail", "x", "1", "mail_x", "x"},
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "x", "1", "mail_x_total", "x"},
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "x", "", "mail_x_total", "x"},
	    {SCOPE_EVENT, METRIC_COUNTER, "mail", "x", "furlong", "mail_x_furlong_total", "x"},
	    {SCOPE_EVENT, METRIC_COUNTER, "", "2fa.success", "{event}", "_2fa_success_total", "2fa_success"},
	    {SCOPE_SELF, METRIC_COUNTER, "mail", "mailgauge.probe.hits", "{hit}", "mailgauge_probe_hits_total",
	     "mailgauge_probe_hits_total"},
	    {SCOPE_SELF, METRIC_GAUGE, "", "mailgauge.scrape.duration", "s", "mailgauge_scrape_duration_seconds",
	     "mailgauge_scrape_duration_seconds"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct family family = {.name = rows[i].name,
					      .unit = rows[i].unit,
					      .kind = rows[i].kind,
					      .scope = rows[i].scope,
					      .help = ""};
		const enum naming namings[] = {NAMING_PROMETHEUS, NAMING_BARE};
		const char *wants[] = {rows[i].want, rows[i].bare};

		for (size_t j = 0; j < 2; j++) {
			const struct prom_options options = {.prefix = rows[i].prefix, .naming = namings[j]};
			struct buf got;

			buf_init(&got, 1000);
			buf_puts(&got, "before ");
			prom_name(&got, &family, &options);
			assert_string_equal(buf_text(&got) + strlen("before "), wants[j]);
			buf_free(&got);
		}
	}
}

static void test_numbers(void **state)
{
	static const struct {
		double value;
		const char *want;
	} rows[] = {
	    {0, "0"},
	    {-2.5, "-2.5"},
	    {0.1, "0.1"},
	    {0.1 + 0.2, "0.30000000000000004"},
	    {1e15, "1e+15"},
	    {123456789012345, "123456789012345"},
	    {1700000000.25, "1700000000.25"},
	    {5e-324, "4.94065645841247e-324"},
	    {NAN, "NaN"},
	    {INFINITY, "+Inf"},
	    {-INFINITY, "-Inf"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf got;

		buf_init(&got, 100);
		prom_number(&got, rows[i].value);
		assert_string_equal(buf_text(&got), rows[i].want);
		buf_free(&got);
	}
}

/* What Go's strconv.FormatFloat(x, 'f', -1, 64) gives. */
static void test_bounds(void **state)
{
	static const struct {
		double value;
		const char *want;
	} rows[] = {
	    {0, "0"},
	    {1, "1"},
	    {-1, "-1"},
	    {10, "10"},
	    {250, "250"},
	    {0.005, "0.005"},
	    {0.1 + 0.2, "0.30000000000000004"},
	    {2.5, "2.5"},
	    {0.0001, "0.0001"},
	    {0.00001, "0.00001"},
	    {0.000025, "0.000025"},
	    {604800, "604800"},
	    {999999, "999999"},
	    {999999.5, "999999.5"},
	    {1000000, "1000000"},
	    {1234567, "1234567"},
	    {10485760, "10485760"},
	    {2.5e8, "250000000"},
	    {1e15, "1000000000000000"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf got;

		buf_init(&got, 100);
		prom_bound(&got, rows[i].value);
		assert_string_equal(buf_text(&got), rows[i].want);
		buf_free(&got);
	}
}

static void test_exposition(void **state)
{
	static const struct {
		struct prom_options options;
		const char *golden;
	} rows[] = {
	    {{"mail", NAMING_PROMETHEUS, "1.2.3"}, "prom/prometheus.txt"},
	    {{"", NAMING_PROMETHEUS, "1.2.3"}, "prom/no-prefix.txt"},
	    {{"mail", NAMING_BARE, "1.2.3\"\\"}, "prom/bare.txt"},
	};
	struct snapshot *snap = example_snapshot();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf got;

		buf_init(&got, 1 << 20);
		prom_write(&got, snap, &rows[i].options);
		assert_false(buf_failed(&got));
		golden_check(rows[i].golden, buf_text(&got));
		buf_free(&got);
	}
	snapshot_free(&snap);
}

static void test_empty_snapshot(void **state)
{
	const struct prom_options options = {"mail", NAMING_PROMETHEUS, "1"};
	struct snapshot *snap = snapshot_new(1);
	struct buf got;

	(void)state;
	buf_init(&got, 1 << 20);
	snapshot_finish(snap);
	prom_write(&got, snap, &options);
	assert_non_null(strstr(buf_text(&got), "\nmailgauge_build_info{version=\"1\"} 1\n"));
	buf_free(&got);
	snapshot_free(&snap);
}

/* A buffer that is too small is noticed, and a second writing of the same text takes no more memory. */
static void test_buffer(void **state)
{
	const struct prom_options options = {"mail", NAMING_PROMETHEUS, "1"};
	struct snapshot *snap = example_snapshot();
	struct buf got;
	size_t cap;

	(void)state;
	buf_init(&got, 100);
	prom_write(&got, snap, &options);
	assert_true(buf_failed(&got));
	buf_free(&got);

	buf_init(&got, 1 << 20);
	prom_write(&got, snap, &options);
	cap = got.cap;
	for (int i = 0; i < 100; i++) {
		buf_reset(&got);
		prom_write(&got, snap, &options);
	}
	assert_int_equal(got.cap, cap);
	buf_free(&got);
	snapshot_free(&snap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),      cmocka_unit_test(test_numbers),        cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_exposition), cmocka_unit_test(test_empty_snapshot), cmocka_unit_test(test_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
