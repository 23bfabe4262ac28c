/* SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/nearest.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define BIT(command)   (1u << (command))
#define SERVERS        (BIT(CLI_RUN) | BIT(CLI_ONCE) | BIT(CLI_PLAN) | BIT(CLI_DOCTOR))
#define ALL            (SERVERS | BIT(CLI_EVENTS) | BIT(CLI_SURVEY) | BIT(CLI_CHECK_CONFIG))
#define REFERENCE_MAX  ((size_t)1 << 20)
#define EXIT_WRONG_USE 2

static const struct command {
	const char *name, *argument, *help;
} commands[] = {
    [CLI_RUN] = {"run", NULL, "collect and export until stopped: all servers found, now and later"},
    [CLI_ONCE] = {"once", NULL, "count for a while, print what was counted, and end"},
    [CLI_PLAN] = {"plan", NULL, "print what would be attached where, and every event that cannot be had and why"},
    [CLI_DOCTOR] = {"doctor", NULL,
		    "check kernel, permissions, servers and probes; exit 0 if something can be counted"},
    [CLI_EVENTS] = {"events", NULL, "print the vocabulary: every event and which servers give it"},
    [CLI_SURVEY] = {"survey", "FILE",
		    "print what can be probed in the program of a server that the catalog does not have"},
    [CLI_CHECK_CONFIG] = {"check-config", "FILE", "check a configuration file; exit 0 if it is good"},
};

/* apply - take the text into *cli; false when it is not as it should be (what it should be is `wants`) */
struct flag {
	const char *name;
	unsigned commands;
	const char *value; /* what its help calls the value; a flag without is one that config_describe_flag() knows */
	bool (*apply)(struct cli *cli, const char *text);
	const char *wants;
	const char *choices[5]; /* all legal values, or none: there are other rules */
	const char *def, *help;
};

static bool apply_config_file(struct cli *cli, const char *text)
{
	cli->config_file = text;
	return *text;
}

static bool apply_log_level(struct cli *cli, const char *text)
{
	return log_level_parse(text, &cli->log_level);
}

static bool apply_log_format(struct cli *cli, const char *text)
{
	return log_format_parse(text, &cli->log_format);
}

static bool apply_pid(struct cli *cli, const char *text)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || pid < 1 || pid > INT_MAX)
		return false;
	cli->pid = (pid_t)pid;
	return true;
}

static bool apply_duration(struct cli *cli, const char *text)
{
	const uint64_t day_ms = 86400000;

	return !duration_parse(text, &cli->duration_ms) && cli->duration_ms <= day_ms;
}

static bool apply_format(struct cli *cli, const char *text)
{
	static const char *const names[] = {
	    [CLI_TABLE] = "table", [CLI_JSON] = "json", [CLI_PROMETHEUS] = "prometheus"};

	for (size_t i = 0; i < COUNT(names); i++)
		if (!strcmp(text, names[i])) {
			cli->format = (enum cli_format)i;
			return true;
		}
	return false;
}

/* A flag may stand here twice, for different commands. */
static const struct flag flags[] = {
    {.name = "config.file",
     .commands = ALL & ~(BIT(CLI_SURVEY) | BIT(CLI_CHECK_CONFIG)),
     .value = "FILE",
     .apply = apply_config_file,
     .wants = "a file name",
     .help = "The configuration; without it all options have their defaults"},
    {.name = "web.listen-address", .commands = BIT(CLI_RUN)},
    {.name = "web.telemetry-path", .commands = BIT(CLI_RUN)},
    {.name = "otlp.endpoint", .commands = BIT(CLI_RUN)},
    {.name = "disabled-events", .commands = SERVERS},
    {.name = "catalog-dir", .commands = ALL & ~BIT(CLI_SURVEY)},
    {.name = "pid",
     .commands = SERVERS,
     .value = "PID",
     .apply = apply_pid,
     .wants = "the number of a process",
     .help = "Only the instance that this process belongs to"},
    {.name = "duration",
     .commands = BIT(CLI_ONCE),
     .value = "DURATION",
     .apply = apply_duration,
     .wants = "a duration of at most a day, such as 500ms, 10s or 1m",
     .def = "10s",
     .help = "How long to count; 0 prints at once what is there"},
    {.name = "format",
     .commands = BIT(CLI_ONCE),
     .value = "FORMAT",
     .apply = apply_format,
     .choices = {"table", "json", "prometheus"},
     .def = "table",
     .help = "How to print it"},
    {.name = "format",
     .commands = BIT(CLI_PLAN) | BIT(CLI_EVENTS),
     .value = "FORMAT",
     .apply = apply_format,
     .choices = {"table", "json"},
     .def = "table",
     .help = "How to print it"},
    {.name = "log.level",
     .commands = ALL,
     .value = "LEVEL",
     .apply = apply_log_level,
     .choices = {"debug", "info", "warn", "error"},
     .def = "info",
     .help = "The least important messages to show"},
    {.name = "log.format",
     .commands = ALL,
     .value = "FORMAT",
     .apply = apply_log_format,
     .choices = {"text", "logfmt", "json"},
     .def = "text",
     .help = "The form of messages"},
};

/* ---- help */

static void print_command_line(FILE *out, const struct command *command)
{
	fprintf(out, "usage: mailgauge %s [FLAG...]%s%s\n", command->name, command->argument ? " " : "",
		command->argument ? command->argument : "");
}

/* print_wrapped - text in a column, broken between words */
static void print_wrapped(FILE *out, const char *text)
{
	const size_t indent = 8, width = 80;
	size_t at = 0;

	while (*text) {
		size_t len = strcspn(text, " ");

		if (at && at + 1 + len > width) {
			fputc('\n', out);
			at = 0;
		}
		fprintf(out, "%*s%.*s", at ? 1 : (int)indent, "", (int)len, text);
		at = (at ? at : indent - 1) + 1 + len;
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_flag(FILE *out, const struct flag *flag)
{
	struct config_flag_info info = {flag->value, flag->help, flag->def};
	struct buf help;

	if (!flag->value && !config_describe_flag(flag->name, &info))
		return;
	buf_init(&help, 4096);
	buf_puts(&help, info.help);
	if (flag->choices[0])
		buf_puts(&help, ": ");
	for (size_t i = 0; i < COUNT(flag->choices) && flag->choices[i]; i++)
		buf_printf(&help, "%s%s", i ? ", " : "", flag->choices[i]);
	if (info.def)
		buf_printf(&help, " (default %s)", info.def);
	fprintf(out, "  --%s %s\n", flag->name, info.value);
	print_wrapped(out, buf_text(&help));
	buf_free(&help);
}

static void print_command_help(FILE *out, enum cli_command number)
{
	print_command_line(out, &commands[number]);
	fprintf(out, "%s\n\n", commands[number].help);
	for (size_t i = 0; i < COUNT(flags); i++)
		if (flags[i].commands & BIT(number))
			print_flag(out, &flags[i]);
}

static void print_usage(FILE *out)
{
	fputs("usage: mailgauge COMMAND [FLAG...]\n\n", out);
	for (size_t i = 0; i < COUNT(commands); i++)
		fprintf(out, "  %-14s%s\n", commands[i].name, commands[i].help);
	fprintf(out, "  %-14s%s\n", "help COMMAND", "print the flags of a command");
	fprintf(out, "  %-14s%s\n", "help config", "print all keys of the configuration file and all variables");
	fputs("\n--help with any command is the same as help COMMAND; --version prints the version.\n", out);
}

static void print_reference(FILE *out)
{
	struct buf text;

	buf_init(&text, REFERENCE_MAX);
	config_reference(&text);
	fputs(buf_text(&text), out);
	buf_free(&text);
}

/* ---- parsing */

#define WORDS_MAX 3 /* as many as any command takes, and one more to show */

/* The command line taken apart, before it is known which command it is. */
struct parse {
	FILE *err;
	const char *words[WORDS_MAX]; /* that belong to no flag */
	size_t word_cnt;
	struct given {
		const char *name, *text;
	} given[64];
	size_t given_cnt;
	bool help, version;
};

enum { OPT_WORD = 1, OPT_FLAG = 256, OPT_HELP, OPT_VERSION };

#define OPTION_COUNT (COUNT(flags) + 2)

static void fill_options(struct option options[OPTION_COUNT + 1])
{
	memset(options, 0, (OPTION_COUNT + 1) * sizeof(*options));
	for (size_t i = 0; i < COUNT(flags); i++)
		options[i] = (struct option){flags[i].name, required_argument, NULL, OPT_FLAG};
	options[COUNT(flags)] = (struct option){"help", no_argument, NULL, OPT_HELP};
	options[COUNT(flags) + 1] = (struct option){"version", no_argument, NULL, OPT_VERSION};
}

static bool wrong(const struct parse *parse, const char *what, const char *word, const char *dashes, const char *meant)
{
	fprintf(parse->err, "mailgauge: %s: `%s'", what, word);
	if (meant)
		fprintf(parse->err, ", did you mean `%s%s'?", dashes, meant);
	fputs("\nTry `mailgauge --help'.\n", parse->err);
	return false;
}

static bool unknown_flag(const struct parse *parse, const struct option *options, const char *word)
{
	char name[128];
	struct nearest nearest;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
	nearest_init(&nearest, name + strspn(name, "-"));
	for (; options->name; options++)
		nearest_offer(&nearest, options->name);
	return wrong(parse, "unknown flag", name, "--", nearest.best);
}

/* find_option - by its whole name: getopt_long() would also take a beginning of it, and a command line that relies on
 * that breaks as soon as a flag is added */
static const struct option *find_option(const struct option *options, const char *word)
{
	size_t len = strcspn(word, "=");

	if (strncmp(word, "--", 2))
		return NULL;
	for (; options->name; options++)
		if (len == strlen(options->name) + 2 && !strncmp(word + 2, options->name, len - 2))
			return options;
	return NULL;
}

static bool take_flag(struct parse *parse, const char *name, const char *text)
{
	if (parse->given_cnt == COUNT(parse->given))
		return wrong(parse, "too many flags", name, "", NULL);
	parse->given[parse->given_cnt++] = (struct given){name, text};
	return true;
}

static void take_word(struct parse *parse, const char *word)
{
	if (parse->word_cnt < WORDS_MAX)
		parse->words[parse->word_cnt++] = word;
}

/* take_option - what getopt_long() made of `word` is `c` */
static bool take_option(struct parse *parse, const struct option *options, const char *word, int c)
{
	const struct option *option = find_option(options, word);

	if (c == 'h') {
		parse->help = true;
		return true;
	}
	if (!option)
		return unknown_flag(parse, options, word);
	if (c == ':')
		return wrong(parse, "a value is missing behind", word, "", NULL);
	if (c == '?')
		return wrong(parse, "a value is not allowed here", word, "", NULL);
	if (c == OPT_FLAG)
		return take_flag(parse, option->name, optarg);
	*(c == OPT_HELP ? &parse->help : &parse->version) = true;
	return true;
}

/* take_apart - all of argv; false after a message */
static bool take_apart(struct parse *parse, int argc, char *const *argv)
{
	struct option options[OPTION_COUNT + 1];
	int c, at;

	fill_options(options);
	optind = 0; /* start anew, also when called twice */
	opterr = 0;
	/* "-": words come in their order, argv stays as it is. ":": a missing value has a code of its own. */
	while (at = optind ? optind : 1, (c = getopt_long(argc, argv, "-:h", options, NULL)) != -1) {
		if (c == OPT_WORD)
			take_word(parse, optarg);
		else if (!take_option(parse, options, argv[at], c))
			return false;
	}
	for (at = optind; at < argc; at++)
		take_word(parse, argv[at]);
	return true;
}

static bool find_command(const struct parse *parse, const char *word, enum cli_command *found)
{
	struct nearest nearest;

	nearest_init(&nearest, word);
	for (size_t i = 0; i < COUNT(commands); i++) {
		if (!strcmp(word, commands[i].name)) {
			*found = (enum cli_command)i;
			return true;
		}
		nearest_offer(&nearest, commands[i].name);
	}
	nearest_offer(&nearest, "help");
	return wrong(parse, "unknown command", word, "", nearest.best);
}

static bool wrong_value(const struct parse *parse, const struct flag *flag, const char *text)
{
	struct buf what;
	struct nearest nearest;

	buf_init(&what, 512);
	buf_printf(&what, "--%s must be %s", flag->name, flag->wants ? flag->wants : "");
	nearest_init(&nearest, text);
	for (size_t i = 0; i < COUNT(flag->choices) && flag->choices[i]; i++) {
		bool is_last = i + 1 == COUNT(flag->choices) || !flag->choices[i + 1];

		buf_printf(&what, "%s%s", !i ? "" : is_last ? " or " : ", ", flag->choices[i]);
		nearest_offer(&nearest, flag->choices[i]);
	}
	wrong(parse, buf_text(&what), text, "", nearest.best);
	buf_free(&what);
	return false;
}

/* add_setting - a flag for the configuration; of several with one name the last wins, as with every other flag */
static void add_setting(struct cli *cli, const struct given *given)
{
	size_t i = 0;

	while (i < cli->setting_cnt && strcmp(cli->settings[i].name, given->name))
		i++;
	if (i == CLI_SETTINGS_MAX)
		return; /* not reached: a test compares with the table */
	cli->settings[i] = (struct config_flag){given->name, given->text};
	if (i == cli->setting_cnt)
		cli->setting_cnt++;
}

static bool is_choice(const struct flag *flag, const char *text)
{
	if (!flag->choices[0])
		return true;
	for (size_t i = 0; i < COUNT(flag->choices) && flag->choices[i]; i++)
		if (!strcmp(flag->choices[i], text))
			return true;
	return false;
}

static bool apply_given(struct cli *cli, const struct parse *parse, const struct given *given)
{
	char what[64], name[64];

	for (size_t i = 0; i < COUNT(flags); i++) {
		if (strcmp(flags[i].name, given->name) || !(flags[i].commands & BIT(cli->command)))
			continue;
		if (!flags[i].value)
			add_setting(cli, given);
		else if (!is_choice(&flags[i], given->text) || !flags[i].apply(cli, given->text))
			return wrong_value(parse, &flags[i], given->text);
		return true;
	}
	snprintf(what, sizeof(what), "%s has no such flag", commands[cli->command].name);
	snprintf(name, sizeof(name), "--%s", given->name);
	return wrong(parse, what, name, "", NULL);
}

static bool fill_cli(struct cli *cli, const struct parse *parse)
{
	const char *argument = commands[cli->command].argument;
	size_t wanted = argument ? 2 : 1;

	for (size_t i = 0; i < COUNT(flags); i++)
		if (flags[i].def && flags[i].commands & BIT(cli->command))
			flags[i].apply(cli, flags[i].def);
	for (size_t i = 0; i < parse->given_cnt; i++)
		if (!apply_given(cli, parse, &parse->given[i]))
			return false;
	if (parse->word_cnt < wanted)
		return wrong(parse, "this command needs an argument", argument, "", NULL);
	if (parse->word_cnt > wanted)
		return wrong(parse, "one word too many", parse->words[wanted], "", NULL);
	if (cli->command == CLI_SURVEY)
		cli->survey_file = parse->words[1];
	else if (argument)
		cli->config_file = parse->words[1];
	return true;
}

/* print_help - `help`, `help config`, `help COMMAND` */
static bool print_help(const struct parse *parse, FILE *out)
{
	enum cli_command command;

	if (parse->word_cnt > 2)
		return wrong(parse, "one word too many", parse->words[2], "", NULL);
	if (parse->word_cnt < 2 || !strcmp(parse->words[1], "help"))
		print_usage(out);
	else if (!strcmp(parse->words[1], "config"))
		print_reference(out);
	else if (find_command(parse, parse->words[1], &command))
		print_command_help(out, command);
	else
		return false;
	return true;
}

bool cli_parse(struct cli *cli, int argc, char *const *argv, FILE *out, FILE *err, int *exit_code)
{
	struct parse parse = {.err = err};

	*cli = (struct cli){0};
	*exit_code = EXIT_WRONG_USE;
	if (!take_apart(&parse, argc, argv))
		return false;
	if (parse.version) {
		fprintf(out, "mailgauge %s\n", MAILGAUGE_VERSION);
		*exit_code = 0;
	} else if (!parse.word_cnt) {
		print_usage(parse.help ? out : err);
		*exit_code = parse.help ? 0 : EXIT_WRONG_USE;
	} else if (!strcmp(parse.words[0], "help")) {
		*exit_code = print_help(&parse, out) ? 0 : EXIT_WRONG_USE;
	} else if (find_command(&parse, parse.words[0], &cli->command)) {
		if (!parse.help)
			return fill_cli(cli, &parse);
		print_command_help(out, cli->command);
		*exit_code = 0;
	}
	return false;
}
