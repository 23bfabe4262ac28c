/* SPDX-License-Identifier: Apache-2.0 */
/* The wire form itself is judged by an independent decoder in tests/exporters; here it is what goes into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "example-snapshot.h"
#include "export/otlp.h"
#include "otlp-metrics.pb-c.h"

static void test_resource(void **state)
{
	static const struct {
		struct config_attribute extra[2];
		size_t extra_cnt;
		const char *want; /* without the pid; HOST stands for the host's name */
	} rows[] = {
	    {.want = "service.version=1.2 service.instance.id=HOST host.name=HOST process.pid=PID service.name=name "},
	    {.extra = {{"a", "b=c"}, {"service.instance.id", "x"}},
	     .extra_cnt = 2,
	     .want =
		 "a=b=c service.instance.id=x service.version=1.2 host.name=HOST process.pid=PID service.name=name "},
	    {.extra = {{"a", "1"}, {"a", "2"}},
	     .extra_cnt = 2,
	     .want =
		 "a=2 service.version=1.2 service.instance.id=HOST host.name=HOST process.pid=PID service.name=name "},
	};
	char host[256];

	(void)state;
	assert_int_equal(gethostname(host, sizeof(host)), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_attribute extra[2] = {rows[i].extra[0], rows[i].extra[1]};
		const struct config config = {
		    .prefix = "mail", .service_name = "name", .resource = extra, .resource_cnt = rows[i].extra_cnt};
		struct arena *mem = arena_new();
		struct otlp_options options;
		struct buf got;

		buf_init(&got, 10000);
		otlp_options_init(&options, &config, "1.2", mem);
		for (size_t j = 0; j < options.resource_cnt; j++) {
			const struct otlp_attribute *at = &options.resource[j];

			if (!at->text)
				assert_int_equal(at->number, getpid());
			buf_printf(&got, "%s=%s ", at->key,
				   !at->text                 ? "PID"
				   : !strcmp(at->text, host) ? "HOST"
							     : at->text);
		}
		assert_string_equal(buf_text(&got), rows[i].want);
		buf_free(&got);
		arena_free(&mem);
	}
}

static void describe_attributes(struct buf *out, Otlp__KeyValue **attributes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(out, " %s=%s", attributes[i]->key, attributes[i]->value->string_value);
}

static void describe_histogram(struct buf *out, const Otlp__Metric *metric)
{
	for (size_t i = 0; i < metric->histogram->n_data_points; i++) {
		const Otlp__HistogramDataPoint *point = metric->histogram->data_points[i];

		buf_printf(out, "%s %s histogram %d", metric->name, metric->unit,
			   metric->histogram->aggregation_temporality);
		describe_attributes(out, point->attributes, point->n_attributes);
		buf_printf(out, " %lu %lu", (unsigned long)point->start_time_unix_nano,
			   (unsigned long)point->time_unix_nano);
		for (size_t j = 0; j < point->n_bucket_counts; j++)
			buf_printf(out, " %lu", (unsigned long)point->bucket_counts[j]);
		buf_puts(out, " at");
		for (size_t j = 0; j < point->n_explicit_bounds; j++)
			buf_printf(out, " %g", point->explicit_bounds[j]);
		assert_int_equal(point->optional_sum_case, OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM);
		buf_printf(out, " of %lu, sum %g\n", (unsigned long)point->count, point->sum);
	}
}

/* describe - a request in one line per data point */
static void describe(struct buf *out, const Otlp__ExportMetricsServiceRequest *request)
{
	const Otlp__ScopeMetrics *scope = request->resource_metrics[0]->scope_metrics[0];

	buf_printf(out, "scope %s %s\n", scope->scope->name, scope->scope->version);
	for (size_t i = 0; i < scope->n_metrics; i++) {
		const Otlp__Metric *metric = scope->metrics[i];
		bool is_sum = metric->data_case == OTLP__METRIC__DATA_SUM;
		size_t count;

		if (metric->data_case == OTLP__METRIC__DATA_HISTOGRAM) {
			describe_histogram(out, metric);
			continue;
		}
		count = is_sum ? metric->sum->n_data_points : metric->gauge->n_data_points;

		for (size_t j = 0; j < count; j++) {
			const Otlp__NumberDataPoint *point =
			    is_sum ? metric->sum->data_points[j] : metric->gauge->data_points[j];

			buf_printf(out, "%s %s %s", metric->name, metric->unit, is_sum ? "sum" : "gauge");
			if (is_sum)
				buf_printf(out, " %d %d", metric->sum->aggregation_temporality,
					   metric->sum->is_monotonic);
			describe_attributes(out, point->attributes, point->n_attributes);
			buf_printf(out, " %lu %lu ", (unsigned long)point->start_time_unix_nano,
				   (unsigned long)point->time_unix_nano);
			if (point->value_case == OTLP__NUMBER_DATA_POINT__VALUE_AS_INT)
				buf_printf(out, "int %ld\n", (long)point->as_int);
			else
				buf_printf(out, "double %g\n", point->as_double);
		}
	}
}

static void test_request(void **state)
{
	const struct otlp_options options = {.prefix = "mail", .version = "1.2"},
				  bare = {.prefix = "", .version = "1.2"};
	struct snapshot *snap = example_snapshot();
	Otlp__ExportMetricsServiceRequest *request;
	struct buf wire, got;

	(void)state;
	buf_init(&wire, 1 << 20);
	buf_init(&got, 1 << 20);
	assert_int_equal(otlp_write(&wire, snap, &options), 11);
	request = otlp__export_metrics_service_request__unpack(NULL, wire.len, (const uint8_t *)wire.data);
	assert_non_null(request);
	describe(&got, request);
	otlp__export_metrics_service_request__free_unpacked(request, NULL);
	assert_string_equal(
	    buf_text(&got),
	    "scope mailgauge 1.2\n"
	    "mail.auth.success {event} sum 2 1 protocol=imap server=dovecot 1700000000123456789 1700000060000000001 "
	    "int 9223372036854775807\n"
	    "mail.auth.success {event} sum 2 1 server=postfix 1700000000123456789 1700000060000000001 int 0\n"
	    "mail.delivery.attempt-time s histogram 2 reason=a\"b server=postfix 1700000000123456789 "
	    "1700000060000000001 3 0 6 1 0 at 0.005 0.035 1 60 of 10, sum 12.375\n"
	    "mail.delivery.attempt-time s histogram 2 server=dovecot 1700000000123456789 1700000060000000001 "
	    "0 0 0 0 0 at 0.005 0.035 1 60 of 0, sum 0\n"
	    "mail.message.size By histogram 2 1700000000123456789 1700000060000000001 "
	    "0 7 1 2 at 500 1e+06 2.5e+08 of 10, sum 1e+09\n"
	    "mail.queue.count {message} gauge server=postfix 0 1700000060000000001 double -2.5\n"
	    "mail.smtp.error {event} sum 2 1 pod=caf\xc3\xa9 server=a\\b\"c\nd 1700000000123456789 "
	    "1700000060000000001 int 1\n"
	    "mail.smtp.error {event} sum 2 1 server=bad\xef\xbf\xbd\\x1b[2J 1700000000123456789 "
	    "1700000060000000001 int 2\n"
	    "mailgauge.look {file} histogram 2 1700000000123456789 1700000060000000001 "
	    "1 18446744073709551614 at 500 of 18446744073709551615, sum 1e+300\n"
	    "mailgauge.probe.hits {hit} sum 2 1 1700000000123456789 1700000060000000001 int 42\n"
	    "mailgauge.scrape.duration s gauge 0 1700000060000000001 double 0.1\n");

	buf_reset(&wire);
	otlp_write(&wire, snap, &bare);
	request = otlp__export_metrics_service_request__unpack(NULL, wire.len, (const uint8_t *)wire.data);
	assert_string_equal(request->resource_metrics[0]->scope_metrics[0]->metrics[0]->name, "auth.success");
	otlp__export_metrics_service_request__free_unpacked(request, NULL);
	buf_free(&wire);
	buf_free(&got);
	snapshot_free(&snap);
}

static void test_nothing_to_send(void **state)
{
	const struct otlp_options options = {.prefix = "mail", .version = "1.2"};
	struct snapshot *snap = snapshot_new(1);
	struct buf wire;

	(void)state;
	buf_init(&wire, 1000);
	snapshot_family(snap, SCOPE_EVENT, METRIC_COUNTER, "x", "", "");
	assert_int_equal(otlp_write(&wire, snap, &options), 0);
	buf_free(&wire);
	snapshot_free(&snap);
}

#define BYTES(text) text, sizeof(text) - 1

static void test_responses(void **state)
{
	static const struct {
		const char *body;
		size_t len;
		int want;
		int64_t rejected;
		const char *message;
	} rows[] = {
	    {BYTES(""), 0, 0, ""},         /* Prometheus */
	    {BYTES("\x0a\x00"), 0, 0, ""}, /* the OpenTelemetry Collector */
	    {BYTES("\x0a\x06\x08\x05\x12\x02no"), 0, 5, "no"},
	    {BYTES("\x0a\x06\x12\x04warn"), 0, 0, "warn"},
	    {BYTES("\x0a\x06\x12\x04"
		   "a\n\x1b"
		   "b"),
	     0, 0, "a\\x0a\\x1bb"},
	    {BYTES("\x0a\x07\x12\x02"
		   "hi\x18\x01\x01"),
	     -EBADMSG, 0, ""}, /* a byte too many */
	    {BYTES("\x0a\x06\x12\x02"
		   "hi\x18\x01"),
	     0, 0, "hi"}, /* an unknown field is skipped */
	    {BYTES("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), -EBADMSG, 0, ""}, /* -1 rejected */
	    {BYTES("\x0a\x06\x08"), -EBADMSG, 0, ""},                                         /* cut off */
	    {BYTES("\x0a\xff\xff\xff\xff\x7f"), -EBADMSG, 0, ""},                             /* longer than memory */
	    {BYTES("<html>not a reply</html>"), -EBADMSG, 0, ""},
	    {BYTES("{\"partialSuccess\":{}}"), -EBADMSG, 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct otlp_reply got;

		if (otlp_read_response(&got, rows[i].body, rows[i].len) != rows[i].want)
			fail_msg("row %zu", i);
		assert_int_equal(got.rejected, rows[i].rejected);
		assert_string_equal(got.message, rows[i].message);
	}
}

static void test_statuses(void **state)
{
	static const struct {
		const char *body;
		size_t len;
		int want;
		const char *message;
	} rows[] = {
	    {BYTES("\x08\x0d\x12\x04what"), 0, "what"},
	    {BYTES(""), 0, ""},
	    {BYTES("plain text"), -EBADMSG, ""},
	};
	char longest[2000] = "\x12\xc0\x0f"; /* 1984 bytes of text */
	struct otlp_reply got;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(otlp_read_status(&got, rows[i].body, rows[i].len), rows[i].want);
		assert_string_equal(got.message, rows[i].message);
	}
	memset(longest + 3, 1, 1984); /* four characters each when shown */
	assert_int_equal(otlp_read_status(&got, longest, 3 + 1984), 0);
	assert_int_equal(strlen(got.message), 4 * OTLP_MESSAGE_MAX + 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_resource),  cmocka_unit_test(test_request),  cmocka_unit_test(test_nothing_to_send),
	    cmocka_unit_test(test_responses), cmocka_unit_test(test_statuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
