/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - owns what the parts of the catalog room share about one server's file while it is read: the tables
 * that struct server_def does not keep. It knows no file but this one. */
#ifndef MAILGAUGE_CATALOG_SERVER_H
#define MAILGAUGE_CATALOG_SERVER_H
#include "catalog/catalog.h"
#include "catalog/expr.h"
#include "catalog/reader.h"

#define TABLES_MAX  CATALOG_SLOTS /* of one kind of section */
#define LABELS_MAX  4             /* of one event, looked-up ones included */
#define CELLS_MAX   1024          /* of what one action moves, all values of its looked-up labels together */
#define PROSE_BYTES 1024          /* of what is there for readers only */

struct server_tables {
	struct reader *reader;
	const struct events *events;
	struct server_def *server;
	struct expr_scope scope; /* slots, layouts, constants */
	struct function_def *functions;
	size_t function_cnt;
};

#define fail_def(tables, def, ...) fail_place((tables)->reader, (def)->line, (def)->col, __VA_ARGS__)

/* All return 0, or -EINVAL with the place of the mistake in reader.err. */

/* ---- server.c */
/* read_object_name - the object that a string names */
int read_object_name(struct server_tables *tables, const struct toml_node *node, const struct object_def **out);

/* ---- function.c: [function.*] */
int read_function(struct server_tables *tables, const struct toml_node *node);
/* find_function - that a string names */
int find_function(struct server_tables *tables, const struct toml_node *node, const struct function_def **out);

/* ---- lookup.c: [label.*] and [choice.*] */
/* read_event_name - the event of this kind that a string names; read_event_key: that a key names */
int read_event_name(struct server_tables *tables, const struct toml_node *node, enum event_kind kind,
		    const struct event_def **out);
int read_event_key(struct server_tables *tables, const struct toml_node *node, enum event_kind kind,
		   const struct event_def **out);
/* read_any_event - does the string, or the key, name an event, of whatever kind? */
int read_any_event(struct server_tables *tables, const struct toml_node *node, bool is_key);
/* check_label_name - can this key be a label's name? */
int check_label_name(struct reader *reader, const struct toml_node *node);
/* read_label_value - one line, NAME_LENGTH bytes at most */
int read_label_value(struct reader *reader, const struct toml_node *node, const char **out);
int read_label_set(struct server_tables *tables, const struct toml_node *node);
int read_choice(struct server_tables *tables, const struct toml_node *node);
/* find_label_set, find_choice - that a key names */
int find_label_set(struct server_tables *tables, const struct toml_node *node, const struct label_set **out);
int find_choice(struct server_tables *tables, const struct toml_node *node, const struct choice_def **out);

/* ---- gauge.c: [[seed]] and [[directory]] */
int read_seed(struct server_tables *tables, const struct toml_node *node);
int read_directory(struct server_tables *tables, const struct toml_node *node);

/* ---- row.c */
/* read_rows - all [[probe]] into server->probes; the other tables are there already */
int read_rows(struct server_tables *tables, const struct toml_node *rows);
/* read_process_names - a name or a list, cut as the kernel cuts them */
int read_process_names(struct reader *reader, const struct toml_node *node, struct string_array *out);

/* ---- rule.c */
/* strings_of - the nodes of a string or of a list of strings; none for NULL */
int strings_of(struct reader *reader, const struct toml_node *node, const struct toml_node **items, size_t *count);
/* read_labels - { NAME = "text", ... }, sorted by name */
int read_labels(struct reader *reader, const struct toml_node *node, struct label_def **out, size_t *count);
/* is_same_labels - the same names with the same values? */
bool is_same_labels(const struct label_def *a, size_t a_cnt, const struct label_def *b, size_t b_cnt);
/* read_rules - `rules` of a row, or `event` */
int read_rules(struct server_tables *tables, struct expr_values *values, const struct toml_node *row,
	       struct probe_def *probe);
/* act_cells - cells of all that an action can move */
size_t act_cells(const struct act_def *act);

/* ---- what only the whole file shows */
/* check_server - all of it, and what one row shows (check.c). Lists the server's events. */
int check_server(struct server_tables *tables);
/* check_meetings - `row` and all earlier ones at its place (meet.c) */
int check_meetings(struct server_tables *tables, const struct probe_def *row);
/* check_uses - names that nothing uses, rows of no use, slots that never hold what is wanted of them (use.c) */
int check_uses(struct server_tables *tables);
/* check_series - labels of each event, gauges that are held and those that are added to; lists the events (series.c) */
int check_series(struct server_tables *tables);

#endif
