/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The program's own files are not in the library; and its tables are what this test compares with. */
#undef MAILGAUGE_VERSION
#define MAILGAUGE_VERSION "1.2.3"
#include "cli.c"

#include "config/option.h"

/* One command line. */
struct parsed {
	struct cli cli;
	bool go;
	int exit_code;
	char *out, *err;
};

static struct parsed parse(const char *line)
{
	static char copy[1024];
	char *argv[200] = {(char *)"mailgauge"}, *rest = copy, *word;
	struct parsed parsed = {.exit_code = -1};
	size_t out_len, err_len;
	FILE *out = open_memstream(&parsed.out, &out_len), *err = open_memstream(&parsed.err, &err_len);
	int argc = 1;

	assert_true(out && err);
	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")))
		if (*word)
			argv[argc++] = strcmp(word, "''") ? word : word + 2;
	parsed.go = cli_parse(&parsed.cli, argc, argv, out, err, &parsed.exit_code);
	fclose(out);
	fclose(err);
	return parsed;
}

static void forget(struct parsed *parsed)
{
	free(parsed->out);
	free(parsed->err);
}

static void good_lines(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
	    {"run", "0 file=- level=1 format=0 pid=0"},
	    {"run --config.file=/etc/m.toml", "0 file=/etc/m.toml level=1 format=0 pid=0"},
	    {"run --config.file /etc/m.toml", "0 file=/etc/m.toml level=1 format=0 pid=0"},
	    {"--config.file /etc/m.toml run", "0 file=/etc/m.toml level=1 format=0 pid=0"},
	    {"-- run", "0 file=- level=1 format=0 pid=0"},
	    {"run --log.level debug --log.format json", "0 file=- level=0 format=2 pid=0"},
	    {"run --log.level=error --log.format=logfmt", "0 file=- level=3 format=1 pid=0"},
	    {"run --log.level=error --log.level=warn", "0 file=- level=2 format=0 pid=0"},
	    {"run --pid 2147483647", "0 file=- level=1 format=0 pid=2147483647"},
	    {"run --web.listen-address=:1 --web.telemetry-path /x --otlp.endpoint http://h --catalog-dir d "
	     "--disabled-events a,b",
	     "0 file=- level=1 format=0 pid=0 web.listen-address=:1 web.telemetry-path=/x otlp.endpoint=http://h "
	     "catalog-dir=d disabled-events=a,b"},
	    {"run --catalog-dir a --disabled-events x --catalog-dir=b --disabled-events=",
	     "0 file=- level=1 format=0 pid=0 catalog-dir=b disabled-events="},
	    {"once", "1 file=- level=1 format=0 pid=0 duration=10000 print=0"},
	    {"once --duration 0 --format prometheus", "1 file=- level=1 format=0 pid=0 duration=0 print=2"},
	    {"once --duration=1d --format=json --pid 1", "1 file=- level=1 format=0 pid=1 duration=86400000 print=1"},
	    {"plan", "2 file=- level=1 format=0 pid=0 print=0"},
	    {"plan --format json --disabled-events *", "2 file=- level=1 format=0 pid=0 print=1 disabled-events=*"},
	    {"doctor --pid 7", "3 file=- level=1 format=0 pid=7"},
	    {"events --format json --catalog-dir d", "4 file=- level=1 format=0 pid=0 print=1 catalog-dir=d"},
	    {"survey /usr/sbin/x --log.level debug", "5 file=- level=0 format=0 pid=0 survey=/usr/sbin/x"},
	    {"check-config /etc/m.toml", "6 file=/etc/m.toml level=1 format=0 pid=0"},
	    {"check-config -- --odd", "6 file=--odd level=1 format=0 pid=0"},
	    {"check-config -", "6 file=- level=1 format=0 pid=0"},
	    {"check-config --catalog-dir d m.toml", "6 file=m.toml level=1 format=0 pid=0 catalog-dir=d"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct parsed parsed = parse(rows[i].line);
		const struct cli *cli = &parsed.cli;
		struct buf got;

		buf_init(&got, 4096);
		buf_printf(&got, "%d file=%s level=%d format=%d pid=%d", (int)cli->command,
			   cli->config_file ? cli->config_file : "-", (int)cli->log_level, (int)cli->log_format,
			   cli->pid);
		if (cli->command == CLI_ONCE)
			buf_printf(&got, " duration=%llu", (unsigned long long)cli->duration_ms);
		if (cli->command == CLI_ONCE || cli->command == CLI_PLAN || cli->command == CLI_EVENTS)
			buf_printf(&got, " print=%d", (int)cli->format);
		if (cli->survey_file)
			buf_printf(&got, " survey=%s", cli->survey_file);
		for (size_t j = 0; j < cli->setting_cnt; j++)
			buf_printf(&got, " %s=%s", cli->settings[j].name, cli->settings[j].value);
		if (!parsed.go || *parsed.out || *parsed.err)
			fail_msg("\"%s\": \"%s%s\"", rows[i].line, parsed.out, parsed.err);
		assert_string_equal(buf_text(&got), rows[i].want);
		buf_free(&got);
		forget(&parsed);
	}
}

static void wrong_lines(void **state)
{
	static const struct {
		const char *line, *want; /* the first line of the message */
	} rows[] = {
	    {"rnu", "mailgauge: unknown command: `rnu', did you mean `run'?"},
	    {"checkconfig x", "mailgauge: unknown command: `checkconfig', did you mean `check-config'?"},
	    {"top", "mailgauge: unknown command: `top'"},
	    {"''", "mailgauge: unknown command: `'"},
	    {"hlep", "mailgauge: unknown command: `hlep', did you mean `help'?"},
	    {"run --web.listen-adress x",
	     "mailgauge: unknown flag: `--web.listen-adress', did you mean `--web.listen-address'?"},
	    {"run --pdi=3", "mailgauge: unknown flag: `--pdi', did you mean `--pid'?"},
	    {"run --zzz", "mailgauge: unknown flag: `--zzz'"},
	    {"run --hel", "mailgauge: unknown flag: `--hel', did you mean `--help'?"}, /* no abbreviations */
	    {"run --log.l x", "mailgauge: unknown flag: `--log.l'"},
	    {"run --pi", "mailgauge: unknown flag: `--pi', did you mean `--pid'?"},
	    {"run -x", "mailgauge: unknown flag: `-x'"},
	    {"run -pid 3", "mailgauge: unknown flag: `-pid', did you mean `--pid'?"},
	    {"run --=x", "mailgauge: unknown flag: `--'"},
	    {"run --pid", "mailgauge: a value is missing behind: `--pid'"},
	    {"run --help=x", "mailgauge: a value is not allowed here: `--help=x'"},
	    {"run --version=x", "mailgauge: a value is not allowed here: `--version=x'"},
	    {"run x", "mailgauge: one word too many: `x'"},
	    {"run -- --pid", "mailgauge: one word too many: `--pid'"},
	    {"check-config", "mailgauge: this command needs an argument: `FILE'"},
	    {"survey", "mailgauge: this command needs an argument: `FILE'"},
	    {"survey a --catalog-dir d", "mailgauge: survey has no such flag: `--catalog-dir'"},
	    {"survey a --config.file c", "mailgauge: survey has no such flag: `--config.file'"},
	    {"check-config a b", "mailgauge: one word too many: `b'"},
	    {"check-config a b c d", "mailgauge: one word too many: `b'"},
	    {"check-config --config.file a", "mailgauge: check-config has no such flag: `--config.file'"},
	    {"plan --duration 3s", "mailgauge: plan has no such flag: `--duration'"},
	    {"once --web.listen-address 127.0.0.1:1", "mailgauge: once has no such flag: `--web.listen-address'"},
	    {"run --format json", "mailgauge: run has no such flag: `--format'"},
	    {"events --pid 1", "mailgauge: events has no such flag: `--pid'"},
	    {"plan --format prometheus", "mailgauge: --format must be table or json: `prometheus'"},
	    {"once --format jsno",
	     "mailgauge: --format must be table, json or prometheus: `jsno', did you mean `json'?"},
	    {"once --format openmetrics", "mailgauge: --format must be table, json or prometheus: `openmetrics'"},
	    {"run --log.level verbose", "mailgauge: --log.level must be debug, info, warn or error: `verbose'"},
	    {"run --log.level=", "mailgauge: --log.level must be debug, info, warn or error: `'"},
	    {"run --log.format xml", "mailgauge: --log.format must be text, logfmt or json: `xml'"},
	    {"run --pid 0", "mailgauge: --pid must be the number of a process: `0'"},
	    {"run --pid -1", "mailgauge: --pid must be the number of a process: `-1'"},
	    {"run --pid=+1", "mailgauge: --pid must be the number of a process: `+1'"},
	    {"run --pid 1x", "mailgauge: --pid must be the number of a process: `1x'"},
	    {"run --pid=", "mailgauge: --pid must be the number of a process: `'"},
	    {"run --pid 2147483648", "mailgauge: --pid must be the number of a process: `2147483648'"},
	    {"run --pid 99999999999999999999",
	     "mailgauge: --pid must be the number of a process: `99999999999999999999'"},
	    {"once --duration 1.5s",
	     "mailgauge: --duration must be a duration of at most a day, such as 500ms, 10s or 1m: `1.5s'"},
	    {"once --duration 10",
	     "mailgauge: --duration must be a duration of at most a day, such as 500ms, 10s or 1m: `10'"},
	    {"once --duration 25h",
	     "mailgauge: --duration must be a duration of at most a day, such as 500ms, 10s or 1m: `25h'"},
	    {"run --config.file=", "mailgauge: --config.file must be a file name: `'"},
	    {"help rnu", "mailgauge: unknown command: `rnu', did you mean `run'?"},
	    {"help run once", "mailgauge: one word too many: `once'"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct parsed parsed = parse(rows[i].line);
		struct buf want;

		buf_init(&want, 1024);
		buf_printf(&want, "%s\nTry `mailgauge --help'.\n", rows[i].want);
		assert_false(parsed.go);
		assert_int_equal(parsed.exit_code, 2);
		assert_string_equal(parsed.out, "");
		assert_string_equal(parsed.err, buf_text(&want));
		buf_free(&want);
		forget(&parsed);
	}
}

static void too_many_flags_are_refused(void **state)
{
	struct buf line;
	struct parsed parsed;

	(void)state;
	buf_init(&line, 4096);
	buf_puts(&line, "run");
	for (int i = 0; i < 65; i++)
		buf_puts(&line, " --pid 1");
	parsed = parse(buf_text(&line));
	assert_int_equal(parsed.exit_code, 2);
	assert_non_null(strstr(parsed.err, "too many flags"));
	forget(&parsed);
	buf_free(&line);
}

static void help_is_printed_where_it_is_asked_for(void **state)
{
	static const struct {
		const char *line;
		int exit_code;
		const char *out, *err; /* how they begin */
	} rows[] = {
	    {"", 2, "", "usage: mailgauge COMMAND [FLAG...]\n"},
	    {"--log.level debug", 2, "", "usage: mailgauge COMMAND [FLAG...]\n"},
	    {"--help", 0, "usage: mailgauge COMMAND [FLAG...]\n", ""},
	    {"-h", 0, "usage: mailgauge COMMAND [FLAG...]\n", ""},
	    {"help", 0, "usage: mailgauge COMMAND [FLAG...]\n", ""},
	    {"help help", 0, "usage: mailgauge COMMAND [FLAG...]\n", ""},
	    {"help once", 0, "usage: mailgauge once [FLAG...]\n", ""},
	    {"once --help", 0, "usage: mailgauge once [FLAG...]\n", ""},
	    {"once -h --pid 3", 0, "usage: mailgauge once [FLAG...]\n", ""},
	    {"--help once", 0, "usage: mailgauge once [FLAG...]\n", ""},
	    {"check-config --help", 0, "usage: mailgauge check-config [FLAG...] FILE\n", ""},
	    {"help config", 0, "| key | value | default | flag | meaning |\n", ""},
	    {"--version", 0, "mailgauge 1.2.3\n", ""},
	    {"run --version", 0, "mailgauge 1.2.3\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct parsed parsed = parse(rows[i].line);

		assert_false(parsed.go);
		assert_int_equal(parsed.exit_code, rows[i].exit_code);
		assert_int_equal(!*parsed.out, !*rows[i].out);
		assert_int_equal(!*parsed.err, !*rows[i].err);
		if (strncmp(parsed.out, rows[i].out, strlen(rows[i].out)) ||
		    strncmp(parsed.err, rows[i].err, strlen(rows[i].err)))
			fail_msg("\"%s\": \"%s%s\"", rows[i].line, parsed.out, parsed.err);
		forget(&parsed);
	}
}

/* Every command's help has exactly the flags that the command takes, with defaults and choices, in 80 columns. */
static void help_is_complete(void **state)
{
	struct parsed usage = parse("help");

	(void)state;
	for (size_t c = 0; c < COUNT(commands); c++) {
		char line[64];
		struct parsed help;

		snprintf(line, sizeof(line), "help %s", commands[c].name);
		help = parse(line);
		assert_non_null(strstr(help.out, commands[c].help));
		snprintf(line, sizeof(line), "\n  %s ", commands[c].name);
		assert_non_null(strstr(usage.out, line));
		for (size_t f = 0; f < COUNT(flags); f++) {
			bool is_taken = false;

			for (size_t g = 0; g < COUNT(flags); g++)
				is_taken |= !strcmp(flags[g].name, flags[f].name) && flags[g].commands & BIT(c);
			snprintf(line, sizeof(line), "\n  --%s ", flags[f].name);
			assert_int_equal(!!strstr(help.out, line), is_taken);
		}
		for (const char *at = help.out; *at; at += strcspn(at, "\n") + 1)
			assert_true(strcspn(at, "\n") <= 100);
		forget(&help);
	}
	forget(&usage);
}

static void defaults_and_choices_are_what_works(void **state)
{
	struct cli cli;

	(void)state;
	for (size_t i = 0; i < COUNT(flags); i++) {
		const struct flag *flag = &flags[i];
		struct config_flag_info info;

		if (!flag->value) {
			assert_true(config_describe_flag(flag->name, &info));
			assert_non_null(info.value);
			continue;
		}
		assert_false(config_describe_flag(flag->name, &info));
		assert_true(!flag->def || (is_choice(flag, flag->def) && flag->apply(&cli, flag->def)));
		assert_int_equal(!flag->choices[0], !!flag->wants);
		for (size_t j = 0; j < COUNT(flag->choices) && flag->choices[j]; j++)
			assert_true(flag->apply(&cli, flag->choices[j]));
	}
}

static void every_option_with_a_flag_has_one_here(void **state)
{
	size_t count = 0;

	(void)state;
	for (size_t i = 0; i < option_table.count; i++) {
		bool is_here = !option_table.items[i].flag;

		count += !is_here;
		for (size_t j = 0; j < COUNT(flags) && !is_here; j++)
			is_here = !flags[j].value && !strcmp(flags[j].name, option_table.items[i].flag);
		assert_true(is_here);
	}
	assert_true(count <= CLI_SETTINGS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_lines),
	    cmocka_unit_test(wrong_lines),
	    cmocka_unit_test(too_many_flags_are_refused),
	    cmocka_unit_test(help_is_printed_where_it_is_asked_for),
	    cmocka_unit_test(help_is_complete),
	    cmocka_unit_test(defaults_and_choices_are_what_works),
	    cmocka_unit_test(every_option_with_a_flag_has_one_here),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
