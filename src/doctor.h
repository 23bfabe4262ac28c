/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.h - owns `mailgauge doctor`: what this machine, its kernel and its servers let us count, in sentences. */
#ifndef MAILGAUGE_DOCTOR_H
#define MAILGAUGE_DOCTOR_H
#include "catalog/catalog.h"
#include "cli.h"
#include "config/config.h"

/* command_doctor - the exit code: 0 only if something can be counted */
int command_doctor(const struct cli *cli, const struct config *config, const struct catalog *catalog);

#endif
