/* SPDX-License-Identifier: Apache-2.0 */
/* server.h - owns what the parts of the catalog room share about one server's file while it is read: the tables
 * that struct server_def does not keep. It knows no file but this one. */
#ifndef MAILGAUGE_CATALOG_SERVER_H
#define MAILGAUGE_CATALOG_SERVER_H
#include "catalog/catalog.h"
#include "catalog/expr.h"
#include "catalog/reader.h"

struct server_tables {
	struct reader *reader;
	const struct events *events;
	struct server_def *server;
	struct expr_scope scope; /* slots, layouts, constants */
	struct callee_def *callees;
	size_t callee_cnt;
};

/* read_object_name - the object that a string names */
int read_object_name(struct server_tables *tables, const struct toml_node *node, const struct object_def **out);
/* read_rows - all [[probe]] into server->probes; the other tables are there already */
int read_rows(struct server_tables *tables, const struct toml_node *rows);
/* check_server - what only the whole file shows: rules that cannot be reached, rows that meet, names that nothing
 * uses. Lists the server's events. 0, or -EINVAL with the place of the mistake. */
int check_server(struct server_tables *tables);

#endif
