/* SPDX-License-Identifier: Apache-2.0 */
#include "export/prom.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "snapshot/snapshot.h"

/* Unit words of Prometheus' OTLP translation (its otlptranslator/prometheus/normalize_name.go). */
static const struct {
	const char *unit, *word;
} unit_words[] = {
    {"s", "seconds"}, {"ms", "milliseconds"}, {"us", "microseconds"}, {"ns", "nanoseconds"}, {"min", "minutes"},
    {"h", "hours"},   {"d", "days"},          {"By", "bytes"},        {"%", "percent"},      {"1", ""},
};

/* Its own test of letters knows no locale. */
static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static const char *unit_word(const char *unit)
{
	if (strpbrk(unit, "{}"))
		return "";
	for (size_t i = 0; i < sizeof(unit_words) / sizeof(unit_words[0]); i++)
		if (!strcmp(unit, unit_words[i].unit))
			return unit_words[i].word;
	return unit;
}

/* next_word - step to the next run of letters and digits; its length, 0 at the end */
static size_t next_word(const char **at)
{
	size_t len = 0;

	while (**at && !is_alnum(**at))
		(*at)++;
	while (is_alnum((*at)[len]))
		len++;
	return len;
}

/* put_words - append the words of `text` to the name that began at `start`, joined by underscores, but not `drop` */
static void put_words(struct buf *out, size_t start, const char *text, const char *drop)
{
	for (size_t len; (len = next_word(&text)); text += len) {
		if (len == strlen(drop) && !memcmp(text, drop, len))
			continue;
		if (out->len > start)
			buf_putc(out, '_');
		else if (*text >= '0' && *text <= '9')
			buf_putc(out, '_'); /* no name begins with a digit */
		buf_add(out, text, len);
	}
}

static bool has_word(const char *text, const char *word)
{
	for (size_t len; (len = next_word(&text)); text += len)
		if (len == strlen(word) && !memcmp(text, word, len))
			return true;
	return false;
}

static void put_bare_name(struct buf *out, const char *name)
{
	for (; *name; name++)
		buf_putc(out, is_alnum(*name) ? *name : '_');
}

void prom_name(struct buf *out, const struct family *family, const struct prom_options *options)
{
	const char *prefix = family->scope == SCOPE_EVENT ? options->prefix : "";
	const char *unit = unit_word(family->unit);
	bool is_ratio = family->kind == METRIC_GAUGE && !strcmp(family->unit, "1");
	const char *suffix = family->kind == METRIC_COUNTER ? "total" : is_ratio ? "ratio" : "";
	size_t start = out->len;

	if (family->scope == SCOPE_EVENT && options->naming == NAMING_BARE) {
		put_bare_name(out, family->name);
		return;
	}
	put_words(out, start, prefix, suffix);
	put_words(out, start, family->name, suffix);
	if (!has_word(prefix, unit) && !has_word(family->name, unit))
		put_words(out, start, unit, suffix);
	put_words(out, start, suffix, "");
}

/* scale_of - what a histogram's values are multiplied with: bare names go with times in milliseconds, since the
 * dashboards made for them take them so */
static double scale_of(const struct family *family, const struct prom_options *options)
{
	bool is_bare = family->scope == SCOPE_EVENT && options->naming == NAMING_BARE;

	return is_bare && family->kind == METRIC_HISTOGRAM && !strcmp(family->unit, "s") ? 1000 : 1;
}

/* scaled - rounded to what decimals can say, since 0.035 times 1000 is not exactly 35 */
static double scaled(double value, double scale)
{
	char text[32];

	if (scale == 1)
		return value;
	snprintf(text, sizeof(text), "%.15g", value * scale);
	return strtod(text, NULL);
}

void prom_number(struct buf *out, double value)
{
	char text[32];

	if (isnan(value)) {
		buf_puts(out, "NaN");
		return;
	}
	if (isinf(value)) {
		buf_puts(out, value > 0 ? "+Inf" : "-Inf");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	buf_puts(out, text);
}

void prom_bound(struct buf *out, double bound)
{
	char text[32];
	int digits, exponent; /* digits behind the first */

	for (digits = 0; digits <= 16; digits++) {
		snprintf(text, sizeof(text), "%.*e", digits, bound);
		if (strtod(text, NULL) == bound)
			break;
	}
	exponent = atoi(strchr(text, 'e') + 1);
	buf_printf(out, "%.*f", digits > exponent ? digits - exponent : 0, bound);
}

/* put_escaped - `text` with a backslash before each backslash and each of `special`, line breaks as \n */
static void put_escaped(struct buf *out, const char *text, const char *special)
{
	for (;;) {
		size_t plain = strcspn(text, special);

		buf_add(out, text, plain);
		text += plain;
		if (!*text)
			return;
		buf_putc(out, '\\');
		buf_putc(out, *text == '\n' ? 'n' : *text);
		text++;
	}
}

static void put_label_name(struct buf *out, const char *name)
{
	if (*name >= '0' && *name <= '9')
		buf_puts(out, "key_"); /* as the OTLP translation does */
	put_bare_name(out, name);
}

/* put_labels - without the braces round them */
static void put_labels(struct buf *out, const struct sample *sample)
{
	for (size_t i = 0; i < sample->label_cnt; i++) {
		if (i)
			buf_putc(out, ',');
		put_label_name(out, sample->labels[i].name);
		buf_puts(out, "=\"");
		put_escaped(out, sample->labels[i].value, "\\\"\n");
		buf_putc(out, '"');
	}
}

/* put_series - the name, the labels and a blank: all of a line but its number */
static void put_series(struct buf *out, const char *name, const char *suffix, const struct sample *sample)
{
	buf_puts(out, name);
	buf_puts(out, suffix);
	if (sample->label_cnt) {
		buf_putc(out, '{');
		put_labels(out, sample);
		buf_putc(out, '}');
	}
	buf_putc(out, ' ');
}

static void put_head(struct buf *out, const char *name, const char *help, const char *type)
{
	buf_puts(out, "# HELP ");
	buf_puts(out, name);
	buf_putc(out, ' ');
	put_escaped(out, help, "\\\n");
	buf_puts(out, "\n# TYPE ");
	buf_puts(out, name);
	buf_putc(out, ' ');
	buf_puts(out, type);
	buf_putc(out, '\n');
}

static void put_bucket(struct buf *out, const char *name, const struct sample *sample, const double *bound,
		       uint64_t count)
{
	buf_puts(out, name);
	buf_puts(out, "_bucket{");
	put_labels(out, sample);
	buf_puts(out, sample->label_cnt ? ",le=\"" : "le=\"");
	if (bound)
		prom_bound(out, *bound);
	else
		buf_puts(out, "+Inf");
	buf_puts(out, "\"} ");
	buf_u64(out, count);
	buf_putc(out, '\n');
}

static void put_histogram(struct buf *out, const char *name, const struct family *family, const struct sample *sample,
			  double scale)
{
	uint64_t count = 0;

	for (size_t i = 0; i < family->bound_cnt; i++) {
		double bound = scaled(family->bounds[i], scale);

		count += sample->histogram.buckets[i];
		put_bucket(out, name, sample, &bound, count);
	}
	count += sample->histogram.buckets[family->bound_cnt];
	put_bucket(out, name, sample, NULL, count);
	put_series(out, name, "_sum", sample);
	prom_number(out, scaled(sample->histogram.sum, scale));
	buf_putc(out, '\n');
	put_series(out, name, "_count", sample);
	buf_u64(out, count);
	buf_putc(out, '\n');
}

static void put_sample(struct buf *out, const char *name, const struct family *family, const struct sample *sample,
		       double scale)
{
	if (family->kind == METRIC_HISTOGRAM) {
		put_histogram(out, name, family, sample, scale);
		return;
	}
	put_series(out, name, "", sample);
	if (family->kind == METRIC_COUNTER)
		buf_u64(out, sample->counter);
	else
		prom_number(out, sample->gauge);
	buf_putc(out, '\n');
}

static void put_family(struct buf *out, const struct family *family, const struct prom_options *options)
{
	double scale = scale_of(family, options);
	struct buf name;

	if (!family->sample_cnt)
		return;
	buf_init(&name, 1024);
	prom_name(&name, family, options);
	put_head(out, buf_text(&name), family->help, metric_kind_name(family->kind));
	for (size_t i = 0; i < family->sample_cnt; i++)
		put_sample(out, buf_text(&name), family, &family->samples[i], scale);
	if (buf_failed(&name))
		out->failed = true;
	buf_free(&name);
}

static void put_build_info(struct buf *out, const char *version)
{
	struct label label = {"version", version};
	struct sample sample = {.labels = &label, .label_cnt = 1};

	put_head(out, "mailgauge_build_info", "The collector's version; the value is always 1.", "gauge");
	put_series(out, "mailgauge_build_info", "", &sample);
	buf_puts(out, "1\n");
}

void prom_write(struct buf *out, const struct snapshot *snap, const struct prom_options *options)
{
	bool info_done = false;

	for (size_t i = 0; i < snap->family_cnt; i++) {
		if (snap->families[i].scope == SCOPE_SELF && !info_done) {
			put_build_info(out, options->version);
			info_done = true;
		}
		put_family(out, &snap->families[i], options);
	}
	if (!info_done)
		put_build_info(out, options->version);
}
