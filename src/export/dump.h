/* SPDX-License-Identifier: Apache-2.0 */
/* dump.h - owns the printed forms of a snapshot that no protocol prescribes: JSON for programs, a table for people.
 * The JSON is an interface (docs/METRICS.md): only ever added to. Pure formatters: they know no file and no terminal.
 */
#ifndef MAILGAUGE_DUMP_H
#define MAILGAUGE_DUMP_H

struct buf;
struct snapshot;

/* dump_json - one JSON object and a line feed */
void dump_json(struct buf *out, const struct snapshot *snap);
/* dump_table - aligned columns with a head line, rows of zero included */
void dump_table(struct buf *out, const struct snapshot *snap);

#endif
