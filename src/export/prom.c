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

static void put_labels(struct buf *out, const struct sample *sample)
{
	for (size_t i = 0; i < sample->label_cnt; i++) {
		buf_putc(out, i ? ',' : '{');
		put_label_name(out, sample->labels[i].name);
		buf_puts(out, "=\"");
		put_escaped(out, sample->labels[i].value, "\\\"\n");
		buf_putc(out, '"');
	}
	if (sample->label_cnt)
		buf_putc(out, '}');
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

static void put_family(struct buf *out, const struct family *family, const struct prom_options *options)
{
	struct buf name;

	if (!family->sample_cnt)
		return;
	buf_init(&name, 1024);
	prom_name(&name, family, options);
	put_head(out, buf_text(&name), family->help, family->kind == METRIC_COUNTER ? "counter" : "gauge");
	for (size_t i = 0; i < family->sample_cnt; i++) {
		const struct sample *sample = &family->samples[i];

		buf_puts(out, buf_text(&name));
		put_labels(out, sample);
		buf_putc(out, ' ');
		if (family->kind == METRIC_COUNTER)
			buf_u64(out, sample->counter);
		else
			prom_number(out, sample->gauge);
		buf_putc(out, '\n');
	}
	if (buf_failed(&name))
		out->failed = true;
	buf_free(&name);
}

static void put_build_info(struct buf *out, const char *version)
{
	struct label label = {"version", version};
	struct sample sample = {.labels = &label, .label_cnt = 1};

	put_head(out, "mailgauge_build_info", "The collector's version; the value is always 1.", "gauge");
	buf_puts(out, "mailgauge_build_info");
	put_labels(out, &sample);
	buf_puts(out, " 1\n");
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
