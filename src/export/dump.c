/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "export/prom.h"
#include "snapshot/snapshot.h"

#define FIELD_MAX ((size_t)4096)

/* put_value - of a histogram: how many values it has seen */
static void put_value(struct buf *out, const struct family *family, const struct sample *sample)
{
	switch (family->kind) {
	case METRIC_COUNTER:
		buf_u64(out, sample->counter);
		break;
	case METRIC_GAUGE:
		prom_number(out, sample->gauge);
		break;
	case METRIC_HISTOGRAM:
		buf_u64(out, sample_count(family, sample));
		break;
	}
}

/* ---- JSON */

/* put_json_time - Unix seconds to the millisecond, which a double holds exactly enough */
static void put_json_time(struct buf *out, uint64_t time_ns)
{
	buf_printf(out, "%" PRIu64 ".%03" PRIu64, time_ns / 1000000000, time_ns / 1000000 % 1000);
}

/* put_json_number - JSON has but one word for what is no finite number */
static void put_json_number(struct buf *out, double value)
{
	if (isfinite(value))
		prom_number(out, value);
	else
		buf_puts(out, "null");
}

static void put_json_histogram(struct buf *out, const struct family *family, const struct sample *sample)
{
	buf_puts(out, ",\"bounds\":[");
	for (size_t i = 0; i < family->bound_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		put_json_number(out, family->bounds[i]);
	}
	buf_puts(out, "],\"counts\":[");
	for (size_t i = 0; i <= family->bound_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		buf_u64(out, sample->histogram.buckets[i]);
	}
	buf_puts(out, "],\"sum\":");
	put_json_number(out, sample->histogram.sum);
	buf_puts(out, ",\"count\":");
	put_value(out, family, sample);
}

static void put_json_sample(struct buf *out, const struct family *family, const struct sample *sample)
{
	buf_puts(out, "{\"name\":");
	buf_json_string(out, family->name);
	buf_puts(out, ",\"kind\":");
	buf_json_string(out, metric_kind_name(family->kind));
	buf_puts(out, ",\"unit\":");
	buf_json_string(out, family->unit);
	buf_puts(out, ",\"labels\":{");
	for (size_t i = 0; i < sample->label_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		buf_json_string(out, sample->labels[i].name);
		buf_putc(out, ':');
		buf_json_string(out, sample->labels[i].value);
	}
	buf_putc(out, '}');
	if (family->kind == METRIC_HISTOGRAM) {
		put_json_histogram(out, family, sample);
	} else {
		buf_puts(out, ",\"value\":");
		if (family->kind == METRIC_GAUGE)
			put_json_number(out, sample->gauge);
		else
			put_value(out, family, sample);
	}
	buf_putc(out, '}');
}

void dump_json(struct buf *out, const struct snapshot *snap)
{
	bool first = true;

	buf_puts(out, "{\"start\":");
	put_json_time(out, snap->start_ns);
	buf_puts(out, ",\"time\":");
	put_json_time(out, snap->now_ns);
	buf_puts(out, ",\"metrics\":[");
	for (size_t i = 0; i < snap->family_cnt; i++)
		for (size_t j = 0; j < snap->families[i].sample_cnt; j++) {
			buf_puts(out, first ? "\n" : ",\n"); /* one metric per line: diff and grep work */
			put_json_sample(out, &snap->families[i], &snap->families[i].samples[j]);
			first = false;
		}
	buf_puts(out, first ? "]}\n" : "\n]}\n");
}

/* ---- table */

struct widths {
	size_t name, labels, value;
};

/* put_labels - NAME=VALUE, separated by blanks */
static void put_labels(struct buf *out, const struct sample *sample)
{
	for (size_t i = 0; i < sample->label_cnt; i++) {
		if (i)
			buf_putc(out, ' ');
		buf_puts(out, sample->labels[i].name);
		buf_putc(out, '=');
		buf_visible(out, sample->labels[i].value, SIZE_MAX);
	}
}

/* put_measure - three digits of a number, or all that are before the point if they are not too many, and its unit */
static void put_measure(struct buf *out, double value, const char *unit)
{
	buf_printf(out, fabs(value) < 999.5 || fabs(value) >= 1e15 ? "%.3g" : "%.0f", value);
	if (!strcmp(unit, "By"))
		unit = "bytes";
	if (*unit && strcmp(unit, "1") && *unit != '{')
		buf_printf(out, " %s", unit);
}

/* put_quantile - an estimate that takes the values of a bucket to be spread evenly in it, as Prometheus'
 * histogram_quantile() does; what is above all bounds is only called so */
static void put_quantile(struct buf *out, const struct family *family, const struct sample *sample, double quantile)
{
	const double *bounds = family->bounds;
	double rank = quantile * (double)sample_count(family, sample), seen = 0;

	for (size_t i = 0; i < family->bound_cnt; i++) {
		double lower = i ? bounds[i - 1] : fmin(bounds[0], 0), count = (double)sample->histogram.buckets[i];

		if (seen + count >= rank) {
			put_measure(out, lower + (bounds[i] - lower) * (rank - seen) / count, family->unit);
			return;
		}
		seen += count;
	}
	buf_puts(out, "above ");
	put_measure(out, bounds[family->bound_cnt - 1], family->unit);
}

/* put_spread - what a histogram's row says beyond the number of values */
static void put_spread(struct buf *out, const struct family *family, const struct sample *sample)
{
	static const int percents[] = {50, 90, 99};
	uint64_t count = family->kind == METRIC_HISTOGRAM ? sample_count(family, sample) : 0;

	if (!count)
		return;
	buf_puts(out, "mean ");
	put_measure(out, sample->histogram.sum / (double)count, family->unit);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		buf_printf(out, ", p%d ", percents[i]);
		put_quantile(out, family, sample, percents[i] / 100.0);
	}
}

/* columns - how many a terminal needs for the text: one per character, near enough */
static size_t columns(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += (*text & 0xc0) != 0x80;
	return count;
}

static void put_padding(struct buf *out, size_t used, size_t width)
{
	for (; used < width; used++)
		buf_putc(out, ' ');
}

static void put_row(struct buf *out, const struct widths *widths, const char *name, const char *labels,
		    const char *value, const char *spread)
{
	buf_puts(out, name);
	put_padding(out, columns(name), widths->name + 2);
	buf_puts(out, labels);
	put_padding(out, columns(labels), widths->labels + 2);
	put_padding(out, columns(value), widths->value);
	buf_puts(out, value);
	if (*spread)
		buf_puts(out, "  ");
	buf_puts(out, spread);
	buf_putc(out, '\n');
}

static void widen(size_t *width, const char *text)
{
	size_t need = columns(text);

	if (need > *width)
		*width = need;
}

/* for_rows - either measure every row (out is NULL) or print it */
static void for_rows(struct buf *out, const struct snapshot *snap, struct widths *widths)
{
	struct buf labels, value, spread;

	buf_init(&labels, FIELD_MAX);
	buf_init(&value, FIELD_MAX);
	buf_init(&spread, FIELD_MAX);
	for (size_t i = 0; i < snap->family_cnt; i++)
		for (size_t j = 0; j < snap->families[i].sample_cnt; j++) {
			const struct family *family = &snap->families[i];

			buf_reset(&labels);
			buf_reset(&value);
			buf_reset(&spread);
			put_labels(&labels, &family->samples[j]);
			put_value(&value, family, &family->samples[j]);
			put_spread(&spread, family, &family->samples[j]);
			if (out) {
				put_row(out, widths, family->name, buf_text(&labels), buf_text(&value),
					buf_text(&spread));
				continue;
			}
			widen(&widths->name, family->name);
			widen(&widths->labels, buf_text(&labels));
			widen(&widths->value, buf_text(&value));
		}
	buf_free(&labels);
	buf_free(&value);
	buf_free(&spread);
}

void dump_table(struct buf *out, const struct snapshot *snap)
{
	struct widths widths = {strlen("METRIC"), strlen("LABELS"), strlen("VALUE")};

	for_rows(NULL, snap, &widths);
	put_row(out, &widths, "METRIC", "LABELS", "VALUE", "");
	for_rows(out, snap, &widths);
}
