/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h - owns the life of `mailgauge run`: start everything, look for servers again and again, stop everything. */
#ifndef MAILGAUGE_LOOP_H
#define MAILGAUGE_LOOP_H
#include "catalog/catalog.h"
#include "cli.h"
#include "config/config.h"

/* loop_run - until SIGTERM or SIGINT; the exit code */
int loop_run(const struct cli *cli, const struct config *config, const struct catalog *catalog);

#endif
