/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the command line leads to a command; wiring only. Exit codes: 0 ok, 1 failed, 2 wrong usage or
 * configuration. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "cli.h"
#include "collector.h"
#include "commands.h"
#include "doctor.h"
#include "loop.h"
#include "survey.h"

#define EXIT_USAGE 2

static int run_command(const struct cli *cli, const struct config *config, const struct catalog *catalog)
{
	switch (cli->command) {
	case CLI_RUN:
		return loop_run(cli, config, catalog);
	case CLI_ONCE:
		return command_once(cli, config, catalog);
	case CLI_PLAN:
		return command_plan(cli, config, catalog);
	case CLI_DOCTOR:
		return command_doctor(cli, config, catalog);
	case CLI_EVENTS:
		return command_events(cli, catalog);
	case CLI_SURVEY:
		break; /* main() does it */
	case CLI_CHECK_CONFIG:
		printf("%s: ok\n", cli->config_file);
		return EXIT_SUCCESS;
	}
	return EXIT_FAILURE;
}

/* raise_file_limit - a scan holds a file open for each inode of each server, and older kernels want one per probe */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int main(int argc, char **argv)
{
	struct config_input input = {.environment = environ};
	struct config *config = NULL;
	struct catalog *catalog = NULL;
	struct cli cli;
	int code;

	/* Large blocks (files under analysis) go back to the system when they are freed, now and for ever: by default
	 * glibc moves the limit up with the first one. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	if (!cli_parse(&cli, argc, argv, stdout, stderr, &code))
		return code;
	log_set(cli.log_level, cli.log_format);
	if (cli.command == CLI_SURVEY)
		return command_survey(&cli); /* a file is all that it needs */
	raise_file_limit();
	if (cli.command == CLI_CHECK_CONFIG)
		input.environment = NULL; /* the file is what is checked, not this shell */
	input.file = cli.config_file;
	input.flags = cli.settings;
	input.flag_cnt = cli.setting_cnt;
	if (catalog_and_config(&input, &config, &catalog))
		return EXIT_USAGE;
	code = run_command(&cli, config, catalog);
	catalog_free(&catalog);
	config_free(&config);
	return code;
}
