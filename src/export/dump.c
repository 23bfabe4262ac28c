/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "export/prom.h"
#include "snapshot/snapshot.h"

#define FIELD_MAX ((size_t)4096)

static void put_value(struct buf *out, const struct family *family, const struct sample *sample)
{
	if (family->kind == METRIC_COUNTER)
		buf_u64(out, sample->counter);
	else
		prom_number(out, sample->gauge);
}

/* ---- JSON */

/* put_json_time - Unix seconds to the millisecond, which a double holds exactly enough */
static void put_json_time(struct buf *out, uint64_t time_ns)
{
	buf_printf(out, "%" PRIu64 ".%03" PRIu64, time_ns / 1000000000, time_ns / 1000000 % 1000);
}

static void put_json_sample(struct buf *out, const struct family *family, const struct sample *sample)
{
	buf_puts(out, "{\"name\":");
	buf_json_string(out, family->name);
	buf_puts(out,
		 family->kind == METRIC_COUNTER ? ",\"kind\":\"counter\",\"unit\":" : ",\"kind\":\"gauge\",\"unit\":");
	buf_json_string(out, family->unit);
	buf_puts(out, ",\"labels\":{");
	for (size_t i = 0; i < sample->label_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		buf_json_string(out, sample->labels[i].name);
		buf_putc(out, ':');
		buf_json_string(out, sample->labels[i].value);
	}
	buf_puts(out, "},\"value\":");
	if (family->kind == METRIC_GAUGE && !isfinite(sample->gauge))
		buf_puts(out, "null"); /* JSON has no other word for it */
	else
		put_value(out, family, sample);
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
		    const char *value)
{
	buf_puts(out, name);
	put_padding(out, columns(name), widths->name + 2);
	buf_puts(out, labels);
	put_padding(out, columns(labels), widths->labels + 2);
	put_padding(out, columns(value), widths->value);
	buf_puts(out, value);
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
	struct buf labels, value;

	buf_init(&labels, FIELD_MAX);
	buf_init(&value, FIELD_MAX);
	for (size_t i = 0; i < snap->family_cnt; i++)
		for (size_t j = 0; j < snap->families[i].sample_cnt; j++) {
			const struct family *family = &snap->families[i];

			buf_reset(&labels);
			buf_reset(&value);
			put_labels(&labels, &family->samples[j]);
			put_value(&value, family, &family->samples[j]);
			if (out) {
				put_row(out, widths, family->name, buf_text(&labels), buf_text(&value));
				continue;
			}
			widen(&widths->name, family->name);
			widen(&widths->labels, buf_text(&labels));
			widen(&widths->value, buf_text(&value));
		}
	buf_free(&labels);
	buf_free(&value);
}

void dump_table(struct buf *out, const struct snapshot *snap)
{
	struct widths widths = {strlen("METRIC"), strlen("LABELS"), strlen("VALUE")};

	for_rows(NULL, snap, &widths);
	put_row(out, &widths, "METRIC", "LABELS", "VALUE");
	for_rows(out, snap, &widths);
}
