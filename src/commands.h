/* SPDX-License-Identifier: Apache-2.0 */
/* commands.h - owns the commands that do one thing and end: once, plan, events. All return the exit code. */
#ifndef MAILGAUGE_COMMANDS_H
#define MAILGAUGE_COMMANDS_H
#include "catalog/catalog.h"
#include "cli.h"
#include "config/config.h"

int command_once(const struct cli *cli, const struct config *config, const struct catalog *catalog);
int command_plan(const struct cli *cli, const struct config *config, const struct catalog *catalog);
int command_events(const struct cli *cli, const struct catalog *catalog);

#endif
