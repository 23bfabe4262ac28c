/* SPDX-License-Identifier: Apache-2.0 */
/* gauges.h - owns the start of gauges: what a server's processes held before they were watched, and how many files are
 * in its directories, which is counted again from time to time. Wiring between `target`, which looks, and `probe`,
 * which keeps the numbers. It knows no event. */
#ifndef MAILGAUGE_GAUGES_H
#define MAILGAUGE_GAUGES_H
#include "plan/plan.h"
#include "probe/probe_set.h"

struct gauges;

/* gauges_new - `probes` is borrowed */
struct gauges *gauges_new(struct probe_set *probes);
void gauges_free(struct gauges **gauges);
/* gauges_follow - after this plan was applied: look at the processes and directories of its instances */
void gauges_follow(struct gauges *gauges, const struct plan *plan);
/* gauges_correct - count the files of directories again when it is time */
void gauges_correct(struct gauges *gauges);

#endif
