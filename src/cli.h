/* SPDX-License-Identifier: Apache-2.0 */
/* cli.h - owns the command line: one table of commands and one of flags parse it and print every help text.
 * What a flag overrides in the configuration is handed on unread; it knows nothing of what the commands do. */
#ifndef MAILGAUGE_CLI_H
#define MAILGAUGE_CLI_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/log.h"
#include "config/config.h"

#define CLI_SETTINGS_MAX 8

enum cli_command { CLI_RUN, CLI_ONCE, CLI_PLAN, CLI_DOCTOR, CLI_EVENTS, CLI_SURVEY, CLI_CHECK_CONFIG };
enum cli_format { CLI_TABLE, CLI_JSON, CLI_PROMETHEUS };

struct cli {
	enum cli_command command;
	const char *config_file;                       /* NULL none; of check-config: FILE */
	const char *survey_file;                       /* of survey: FILE */
	struct config_flag settings[CLI_SETTINGS_MAX]; /* for config_load(); each name once */
	size_t setting_cnt;
	enum log_level log_level;
	enum log_format log_format;
	pid_t pid; /* 0: all servers */
	uint64_t duration_ms;
	enum cli_format format;
};

/* cli_parse - true: do cli->command. False: all is said (help and version on `out`, wrong usage on `err`) and
 * *exit_code is what to end with, 0 or 2. Texts are borrowed from argv, which is not changed. */
bool cli_parse(struct cli *cli, int argc, char *const *argv, FILE *out, FILE *err, int *exit_code);

#endif
