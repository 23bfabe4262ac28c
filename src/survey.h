/* SPDX-License-Identifier: Apache-2.0 */
/* survey.h - owns the command that looks at the program of a server which the catalog does not have, and prints what
 * can be probed in it as a catalog file to start from. It attaches nothing and looks at no process. */
#ifndef MAILGAUGE_SURVEY_H
#define MAILGAUGE_SURVEY_H
#include "cli.h"

/* command_survey - of the program cli->survey_file; returns the exit code */
int command_survey(const struct cli *cli);

#endif
