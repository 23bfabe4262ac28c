/* SPDX-License-Identifier: Apache-2.0 */
/* recipes.c - recipes FILE [memory]: answer questions about one file. Each line of the input is one, its fields
 *separated by tabs; in a text, \n, \r, \t and \\ stand for what they do in C. Each answer is one line of JSON.
 *
 *	uses TEXT... [! TEXT...]	the function that uses these texts, and not those
 *	table TEXT SLOT			the function in a row of a table
 *	vote ARG MIN TEXT...		the callee that most calls with these texts go to
 *	symbol NAME			an exported function
 *	data NAME			an exported variable
 *	stub NAME			the PLT stub of an import
 *	functions			bounds of all functions, and whose parts they are
 *	calls				all direct calls and jumps out of a function, as [from, to]
 *	number ADDRESS ARG NUMBER...	calls of the function with such a number
 *	build-id			of the file
 *
 * With `memory` it fails if all of it has taken more than MEMORY_MAX. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/xref_index.h"

#define FIELDS_MAX 1024
#define MEMORY_MAX 64 /* MiB */

struct question {
	char *fields[FIELDS_MAX];
	size_t count;
};

struct answer {
	int ret;
	uint64_t addr, size;
	char err[256];
};

static void unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1]) {
			text++;
			*out++ = (char)(*text == 'n' ? '\n' : *text == 'r' ? '\r' : *text == 't' ? '\t' : *text);
		} else {
			*out++ = *text;
		}
	}
	*out = '\0';
}

static void split(struct question *question, char *line)
{
	question->count = 0;
	line[strcspn(line, "\n")] = '\0';
	for (char *field; question->count < FIELDS_MAX && (field = strsep(&line, "\t"));) {
		unescape(field);
		question->fields[question->count++] = field;
	}
}

static void ask_uses(const struct xref *xref, const struct question *question, struct answer *answer)
{
	const char *const *texts = (const char *const *)question->fields + 1;
	size_t text_cnt = 0, count = question->count - 1;

	while (text_cnt < count && strcmp(texts[text_cnt], "!") != 0)
		text_cnt++;
	answer->ret = xref_uses(xref, texts, text_cnt, texts + text_cnt + 1,
				text_cnt < count ? count - text_cnt - 1 : 0, &answer->addr, answer->err);
}

static void ask_function(const struct elf_image *elf, const struct xref *xref, const struct question *question,
			 struct answer *answer)
{
	const char *kind = question->fields[0];
	char *const *fields = question->fields;
	struct elf_symbol symbol = {0};

	answer->ret = -EINVAL;
	if (!strcmp(kind, "uses") && question->count > 1) {
		ask_uses(xref, question, answer);
	} else if (!strcmp(kind, "table") && question->count == 3) {
		answer->ret =
		    xref_table(xref, fields[1], (unsigned)strtoul(fields[2], NULL, 0), &answer->addr, answer->err);
	} else if (!strcmp(kind, "vote") && question->count > 3) {
		answer->ret = xref_vote(xref, atoi(fields[1]), (const char *const *)fields + 3, question->count - 3,
					(unsigned)atoi(fields[2]), &answer->addr, answer->err);
	} else if (!strcmp(kind, "symbol") && question->count == 2) {
		answer->ret = elf_symbol(elf, fields[1], &symbol);
		answer->addr = symbol.addr;
	} else if (!strcmp(kind, "data") && question->count == 2) {
		answer->ret = elf_data_symbol(elf, fields[1], &answer->addr);
	} else if (!strcmp(kind, "stub") && question->count == 2) {
		answer->ret = elf_import_stub(elf, fields[1], &answer->addr);
	}
	answer->size = xref_function_size(xref, answer->addr);
}

static void print_functions(const struct elf_image *elf, const struct xref *xref)
{
	size_t count;
	const struct elf_range *functions = elf_functions(elf, &count);

	printf("[");
	for (size_t i = 0; i < count; i++)
		printf("%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]", i ? "," : "", functions[i].addr, functions[i].size,
		       xref->owners[i]);
	printf("]\n");
}

static void print_calls(const struct xref *xref)
{
	bool is_next = false;

	printf("[");
	for (size_t i = 0; i < xref->edges.count; i++) {
		const struct edge *edge = &xref->edges.items[i];

		if (edge->kind != EDGE_CALL)
			continue;
		printf("%s[%" PRIu64 ",%" PRIu64 "]", is_next ? "," : "", edge->src, edge->dst);
		is_next = true;
	}
	printf("]\n");
}

static void print_numbers(const struct xref *xref, const struct question *question)
{
	int64_t numbers[FIELDS_MAX];
	struct xref_query query = {.numbers = numbers};
	struct xref_site *sites;
	size_t count;
	char err[256];

	if (question->count > 3) {
		query.callee = strtoull(question->fields[1], NULL, 0);
		query.arg = atoi(question->fields[2]);
	}
	for (size_t i = 3; i < question->count; i++)
		numbers[query.number_cnt++] = strtoll(question->fields[i], NULL, 0);
	xref_sites(xref, &query, &sites, &count, err);
	printf("[");
	for (size_t i = 0; i < count; i++)
		printf("%s[%" PRIu64 ",%s]", i ? "," : "", sites[i].insn.addr, sites[i].is_decided ? "true" : "false");
	printf("]\n");
	free(sites);
}

static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else
			putchar(*text);
	putchar('"');
}

static void reply(const struct elf_image *elf, const struct xref *xref, const struct question *question)
{
	struct answer answer = {0};

	if (!strcmp(question->fields[0], "functions")) {
		print_functions(elf, xref);
	} else if (!strcmp(question->fields[0], "calls")) {
		print_calls(xref);
	} else if (!strcmp(question->fields[0], "build-id")) {
		print_text(elf_build_id(elf));
		putchar('\n');
	} else if (!strcmp(question->fields[0], "number")) {
		print_numbers(xref, question);
	} else {
		ask_function(elf, xref, question, &answer);
		printf("{\"ret\":%d,\"addr\":%" PRIu64 ",\"size\":%" PRIu64 ",\"err\":", answer.ret, answer.addr,
		       answer.size);
		print_text(answer.err);
		printf("}\n");
	}
}

/* check_memory - 0 when the most that was resident was little enough. Not by getrusage(), which counts what the process
 * was before exec() as well. */
static int check_memory(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long most_kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "VmHWM:", 6))
			most_kib = strtol(line + 6, NULL, 10);
	if (file)
		fclose(file);
	fprintf(stderr, "recipes: %ld KiB\n", most_kib);
	return most_kib < 0 || most_kib > MEMORY_MAX * 1024L;
}

int main(int argc, char **argv)
{
	static struct question question;
	struct elf_image *elf = NULL;
	struct xref *xref = NULL;
	char err[256] = "usage: recipes FILE", *line = NULL;
	size_t size = 0;
	int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || elf_open_fd(&elf, fd, err) || xref_new(&xref, elf, err)) {
		fprintf(stderr, "recipes: %s\n", err);
		return 1;
	}
	while (getline(&line, &size, stdin) > 0) {
		split(&question, line);
		reply(elf, xref, &question);
	}
	free(line);
	xref_free(&xref);
	elf_free(&elf);
	return argc > 2 ? check_memory() : 0;
}
