/* SPDX-License-Identifier: Apache-2.0 */
/* cond.h - owns the logic of conditions: which follows from which, which exclude each other.
 * It knows the conditions of one probe and nothing else. */
#ifndef MAILGAUGE_CATALOG_COND_H
#define MAILGAUGE_CATALOG_COND_H
#include <stdbool.h>

#include "catalog/catalog.h"

/* cond_implies - whenever `a` holds, `b` does. False when that cannot be told. */
bool cond_implies(const struct cond_def *a, const struct cond_def *b);
/* cond_excludes - `a` and `b` never hold together. False when that cannot be told. */
bool cond_excludes(const struct cond_def *a, const struct cond_def *b);
/* rule_shadows - whenever the conditions of `later` hold, those of `earlier` do */
bool rule_shadows(const struct rule_def *earlier, const struct rule_def *later);

#endif
