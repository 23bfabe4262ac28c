/* SPDX-License-Identifier: Apache-2.0 */
/* explain.h - owns the printed forms of a plan: a table for people, JSON for programs (docs/PLAN.md describes it; it
 * is only ever added to). It decides nothing. */
#ifndef MAILGAUGE_EXPLAIN_H
#define MAILGAUGE_EXPLAIN_H
#include "plan/plan.h"

struct buf;

void explain_table(struct buf *out, const struct plan *plan);
void explain_json(struct buf *out, const struct plan *plan);

#endif
