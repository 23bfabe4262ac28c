/* SPDX-License-Identifier: Apache-2.0 */
/* prom.h - owns the Prometheus text format (version 0.0.4) and the names metrics have in it.
 * A pure formatter: it knows no socket and reads nothing but the snapshot. */
#ifndef MAILGAUGE_PROM_H
#define MAILGAUGE_PROM_H
#include "config/config.h"

struct buf;
struct family;
struct snapshot;

struct prom_options {
	const char *prefix; /* of events: "mail"; "" none */
	enum naming naming;
	const char *version; /* of mailgauge_build_info */
};

/* prom_name - the metric name of a family: what Prometheus' OTLP receiver makes of the family's OTLP name, so that
 * pull and push give the same series; with NAMING_BARE an event's name and nothing else. Of a histogram the series are
 * this with _bucket, _sum and _count behind it. */
void prom_name(struct buf *out, const struct family *family, const struct prom_options *options);
/* prom_write - the whole exposition, appended to `out`; look at buf_failed() afterwards */
void prom_write(struct buf *out, const struct snapshot *snap, const struct prom_options *options);
/* prom_bound - a finite bound of a bucket in the form that receivers of OTLP give it, Prometheus 2 among them: 0.005,
 * 1, 1000000. Never with an exponent, so that pull and push make the same series. */
void prom_bound(struct buf *out, double bound);
/* prom_number - a double in as few digits as give it back exactly; NaN, +Inf and -Inf as Prometheus writes them */
void prom_number(struct buf *out, double value);

#endif
