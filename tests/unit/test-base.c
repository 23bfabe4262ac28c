/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/nearest.h"
#include "base/toml.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- arena */

static void arena_gives_zeroed_aligned_memory(void **state)
{
	struct arena *arena = arena_new();
	/* Small, zero, larger than a chunk, and small again: the last goes on in the chunk of the first. */
	static const size_t sizes[] = {1, 0, 16384, 16385, 1 << 20, 7, 16000, 3};
	char *mem[COUNT(sizes)];

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		mem[i] = arena_alloc(arena, sizes[i]);
		assert_int_equal((uintptr_t)mem[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(mem[i][j], 0);
		memset(mem[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < COUNT(sizes); i++)
		for (size_t j = 0; j < sizes[i]; j++)
			assert_int_equal(mem[i][j], i + 1);
	arena_free(&arena);
	assert_null(arena);
	arena_free(&arena);
}

static void arena_makes_texts(void **state)
{
	struct arena *arena = arena_new();

	(void)state;
	assert_string_equal(arena_strdup(arena, ""), "");
	assert_string_equal(arena_strdup(arena, "mail"), "mail");
	assert_string_equal(arena_strndup(arena, "mailgauge", 4), "mail");
	assert_string_equal(arena_printf(arena, "%s-%d", "x", 7), "x-7");
	assert_int_equal(strlen(arena_printf(arena, "%20000d", 1)), 20000);
	arena_free(&arena);
}

static void arena_grows_arrays(void **state)
{
	struct arena *arena = arena_new();
	int *items = NULL;
	size_t cap = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		items = arena_grow(arena, items, (size_t)i, &cap, sizeof(*items));
		assert_true(cap > (size_t)i);
		items[i] = i;
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(items[i], i);
	arena_free(&arena);
}

static void ask_array(void)
{
	struct arena *arena = arena_new();

	arena_array(arena, SIZE_MAX / 4, 16);
}

static void ask_alloc(void)
{
	struct arena *arena = arena_new();

	arena_alloc(arena, SIZE_MAX - 8);
}

static void ask_realloc(void)
{
	free(xrealloc_array(NULL, SIZE_MAX / 4, 16));
}

/* What cannot be had ends the process with a message instead of giving less than was asked for. */
static void impossible_sizes_end_the_process(void **state)
{
	static void (*const asks[])(void) = {ask_array, ask_alloc, ask_realloc};

	(void)state;
	for (size_t i = 0; i < COUNT(asks); i++) {
		char message[256] = "";
		int fds[2], status;
		pid_t child;

		assert_int_equal(pipe(fds), 0);
		child = fork();
		if (!child) {
			dup2(fds[1], STDERR_FILENO);
			asks[i]();
			_exit(0);
		}
		close(fds[1]);
		assert_true(read(fds[0], message, sizeof(message) - 1) > 0);
		close(fds[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		assert_non_null(strstr(message, "mailgauge: out of memory"));
	}
}

static void realloc_keeps_what_was_there(void **state)
{
	uint16_t *items = xrealloc_array(NULL, 2, sizeof(*items));

	(void)state;
	items[0] = 1;
	items[1] = 2;
	items = xrealloc_array(items, 4000, sizeof(*items));
	assert_int_equal(items[0] + items[1] * 10, 21);
	items = xrealloc_array(items, 0, sizeof(*items));
	assert_non_null(items);
	free(items);
}

/* ---- buf */

static void buf_keeps_its_limit(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 10);
	assert_string_equal(buf_text(&buf), "");
	buf_puts(&buf, "12345");
	buf_puts(&buf, "67890");
	assert_false(buf_failed(&buf));
	assert_string_equal(buf_text(&buf), "1234567890");
	buf_putc(&buf, 'x');
	assert_true(buf_failed(&buf));
	buf_puts(&buf, ""); /* a failure stays until the reset */
	assert_true(buf_failed(&buf));
	assert_string_equal(buf_text(&buf), "1234567890");
	buf_reset(&buf);
	assert_false(buf_failed(&buf));
	assert_string_equal(buf_text(&buf), "");
	buf_printf(&buf, "%s", "12345678901");
	assert_true(buf_failed(&buf));
	buf_free(&buf);
	assert_string_equal(buf_text(&buf), "");
}

static void buf_grows(void **state)
{
	struct buf buf;

	(void)state;
	buf_init(&buf, 1 << 20);
	for (int i = 0; i < 3000; i++)
		buf_printf(&buf, "%04d", i);
	assert_int_equal(buf.len, 12000);
	assert_int_equal(strncmp(buf_text(&buf) + 11996, "2999", 5), 0);
	buf_reset(&buf);
	buf_add(&buf, "a\0b", 3);
	assert_memory_equal(buf.data, "a\0b", 4);
	buf_free(&buf);
}

static void buf_prints_numbers(void **state)
{
	static const struct {
		uint64_t value;
		const char *want;
	} rows[] = {{0, "0"}, {9, "9"}, {10, "10"}, {4294967296, "4294967296"}, {UINT64_MAX, "18446744073709551615"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf buf;

		buf_init(&buf, 20);
		buf_u64(&buf, rows[i].value);
		assert_string_equal(buf_text(&buf), rows[i].want);
		buf_free(&buf);
	}
}

#define BAD "\xef\xbf\xbd"

static void buf_writes_texts_safely(void **state)
{
	static const struct {
		const char *text, *json, *visible;
	} rows[] = {
	    {"", "\"\"", ""},
	    {"a b", "\"a b\"", "a b"},
	    {"\"\\/", "\"\\\"\\\\/\"", "\"\\/"},
	    {"\n\t\x1b[31m\x7f", "\"\\u000a\\u0009\\u001b[31m\\u007f\"", "\\x0a\\x09\\x1b[31m\\x7f"},
	    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7\"",
	     "\xc3\xa4\xe2\x82\xac\xf0\x9f\x93\xa7"},
	    {"\xc2\x9b", "\"\xc2\x9b\"", "\\x9b"},                            /* C1: a terminal may obey it */
	    {"a\xff", "\"a" BAD "\"", "a" BAD},                               /* never a byte of UTF-8 */
	    {"\xc3", "\"" BAD "\"", BAD},                                     /* cut off */
	    {"\xe2\x82", "\"" BAD BAD "\"", BAD BAD},                         /* cut off */
	    {"\xc0\x80", "\"" BAD BAD "\"", BAD BAD},                         /* overlong NUL */
	    {"\xe0\x80\xaf", "\"" BAD BAD BAD "\"", BAD BAD BAD},             /* overlong slash */
	    {"\xed\xa0\x80", "\"" BAD BAD BAD "\"", BAD BAD BAD},             /* surrogate */
	    {"\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"", BAD BAD BAD BAD}, /* beyond U+10FFFF */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf buf;

		buf_init(&buf, 1000);
		buf_json_string(&buf, rows[i].text);
		assert_string_equal(buf_text(&buf), rows[i].json);
		buf_reset(&buf);
		buf_visible(&buf, rows[i].text, 100);
		assert_string_equal(buf_text(&buf), rows[i].visible);
		assert_int_equal(utf8_valid(rows[i].text), !strstr(rows[i].json, BAD));
		buf_free(&buf);
	}
}

static void visible_text_is_cut_between_characters(void **state)
{
	static const struct {
		size_t max;
		const char *want;
	} rows[] = {{0, "..."},
		    {1, "a..."},
		    {2, "a..."},
		    {3, "a\xc3\xa4..."},
		    {4, "a\xc3\xa4"
			"b"},
		    {SIZE_MAX, "a\xc3\xa4"
			       "b"}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct buf buf;

		buf_init(&buf, 100);
		buf_visible(&buf,
			    "a\xc3\xa4"
			    "b",
			    rows[i].max);
		assert_string_equal(buf_text(&buf), rows[i].want);
		buf_free(&buf);
	}
}

/* ---- log */

static void log_words_are_parsed(void **state)
{
	static const struct {
		const char *word;
		int level, format;
	} rows[] = {{"debug", LOG_DEBUG, -1}, {"info", LOG_INFO, -1}, {"warn", LOG_WARN, -1},
		    {"error", LOG_ERROR, -1}, {"text", -1, LOG_TEXT}, {"logfmt", -1, LOG_LOGFMT},
		    {"json", -1, LOG_JSON},   {"", -1, -1},           {"INFO", -1, -1},
		    {"warning", -1, -1},      {"js", -1, -1}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum log_level level = LOG_DEBUG;
		enum log_format format = LOG_TEXT;

		assert_int_equal(log_level_parse(rows[i].word, &level), rows[i].level >= 0);
		if (rows[i].level >= 0)
			assert_int_equal(level, rows[i].level);
		assert_int_equal(log_format_parse(rows[i].word, &format), rows[i].format >= 0);
		if (rows[i].format >= 0)
			assert_int_equal(format, rows[i].format);
	}
}

/* logged - what one message writes to stderr; the caller frees */
static char *logged(enum log_level min, enum log_format format, enum log_level level, const char *message)
{
	int memory = memfd_create("stderr", 0), saved = dup(STDERR_FILENO);
	char *text = calloc(1, 1 << 16);

	assert_true(memory >= 0 && saved >= 0 && text);
	dup2(memory, STDERR_FILENO);
	log_set(min, format);
	log_at(level, "%s", message);
	log_set(LOG_INFO, LOG_TEXT);
	dup2(saved, STDERR_FILENO);
	assert_true(pread(memory, text, (1 << 16) - 1, 0) >= 0);
	close(saved);
	close(memory);
	return text;
}

static void log_writes_one_line_per_message(void **state)
{
	/* "T" stands for the time. */
	static const struct {
		enum log_level min, level;
		enum log_format format;
		const char *message, *want;
	} rows[] = {
	    {LOG_INFO, LOG_INFO, LOG_TEXT, "hello", "hello\n"},
	    {LOG_INFO, LOG_WARN, LOG_TEXT, "hello", "warning: hello\n"},
	    {LOG_INFO, LOG_ERROR, LOG_TEXT, "hello", "error: hello\n"},
	    {LOG_DEBUG, LOG_DEBUG, LOG_TEXT, "hello", "debug: hello\n"},
	    {LOG_INFO, LOG_DEBUG, LOG_TEXT, "hello", ""},
	    {LOG_ERROR, LOG_WARN, LOG_JSON, "hello", ""},
	    {LOG_INFO, LOG_INFO, LOG_TEXT, "a\nerror: b\x1b[0m", "a\\x0aerror: b\\x1b[0m\n"},
	    {LOG_INFO, LOG_WARN, LOG_LOGFMT, "a \"b\"\n", "ts=T level=warn msg=\"a \\\"b\\\"\\u000a\"\n"},
	    {LOG_INFO, LOG_ERROR, LOG_JSON, "a \"b\"\n",
	     "{\"ts\":\"T\",\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\u000a\"}\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *text = logged(rows[i].min, rows[i].format, rows[i].level, rows[i].message),
		     *ts = strstr(text, "20");

		if (rows[i].format != LOG_TEXT && ts) { /* 2026-01-01T00:00:00.000Z */
			assert_int_equal(ts[10], 'T');
			assert_int_equal(ts[23], 'Z');
			*ts = 'T';
			memmove(ts + 1, ts + 24, strlen(ts + 24) + 1);
		}
		assert_string_equal(text, rows[i].want);
		free(text);
	}
}

static void a_long_message_stays_whole_json(void **state)
{
	char message[9000], *text;

	(void)state;
	memset(message, '\x01', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	text = logged(LOG_INFO, LOG_JSON, LOG_INFO, message);
	assert_string_equal(text + strlen(text) - 9, "\\u0001\"}\n");
	free(text);
}

/* ---- glob */

static void patterns_match(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool is_exact, want;
	} rows[] = {
	    {"*", "auth.error", false, true},
	    {"*", "", false, true},
	    {"auth.error", "auth.error", true, true},
	    {"auth.error", "auth.errors", true, false},
	    {"auth.error", "auth.erro", true, false},
	    {"auth.*", "auth.error", false, true},
	    {"auth.*", "auth.", false, true},
	    {"auth.*", "auth", false, false},
	    {"auth.*", "smtp.auth.x", false, false},
	    {"*.error", "auth.error", false, true},
	    {"*.error", "error", false, false},
	    {"*error", "error", false, true},
	    {"*.error", ".error", false, true},
	    {"*.error", "auth.errors", false, false},
	    {"*auth*", "auth.error", false, false}, /* ends with "auth*" */
	    {"*auth*", "x.auth*", false, true},
	    {"a*r", "auth.error", true, false},
	    {"a*r", "a*r", true, true},
	    {"", "", true, true},
	    {"", "auth.error", true, false},
	    {"AUTH.*", "auth.error", false, false},
	    {"**", "auth.error", false, false},
	    {"**", "a*", false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(pattern_is_exact(rows[i].pattern), rows[i].is_exact);
		assert_int_equal(pattern_match(rows[i].pattern, rows[i].name), rows[i].want);
	}
}

/* ---- nearest */

static void mistyped_words_are_guessed(void **state)
{
	static const char *const known[] = {"run", "once", "plan", "auth.success", "auth.failed", "smtp.error"};
	static const struct {
		const char *word, *want;
	} rows[] = {
	    {"run", "run"},
	    {"rnu", "run"},
	    {"rum", "run"},
	    {"plna", "plan"},
	    {"auth.sucess", "auth.success"},
	    {"auth.faild", "auth.failed"},
	    {"auth-failed", "auth.failed"},
	    {"smtp.err", "smtp.error"},
	    {"", NULL},
	    {"x", NULL},
	    {"sieve.runtime", NULL},
	    {"onse", "once"},
	    {"auth.succeeded", "auth.success"},
	};
	char longer[200];
	struct nearest nearest;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		nearest_init(&nearest, rows[i].word);
		for (size_t j = 0; j < COUNT(known); j++)
			nearest_offer(&nearest, known[j]);
		if (rows[i].want)
			assert_string_equal(nearest.best, rows[i].want);
		else
			assert_null(nearest.best);
	}
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	nearest_init(&nearest, longer);
	nearest_offer(&nearest, "run");
	nearest_offer(&nearest, longer);
	assert_null(nearest.best);
}

/* ---- toml */

static int parse(const struct toml_node **root, const char *text, size_t len, struct arena *mem, char *err)
{
	return toml_parse(root, "x.toml", text, len, mem, err, 256);
}

static void toml_gives_values_and_places(void **state)
{
	static const char text[] = "top = 'x'\n"
				   "[a]\n"
				   "z = [\"one\", \"two\"]\n"
				   "b.c = 7\n"
				   "\"q\\u0041\" = \"\xc3\xa4\" # \xc3\xa4\n"
				   "  '\xc3\xa4' = true\n"
				   "i = { f = 1.5, d = 2024-01-01 }\n"
				   "[[t]]\n"
				   "[[t]]\n";
	static const struct {
		const char *path; /* keys and indices */
		enum toml_kind kind;
		unsigned key_line, key_col, line, col;
	} rows[] = {
	    {"top", TOML_STRING, 1, 1, 1, 7},      {"a", TOML_TABLE, 2, 2, 2, 1},
	    {"a z", TOML_ARRAY, 3, 1, 3, 5},       {"a z 0", TOML_STRING, 0, 0, 3, 6},
	    {"a z 1", TOML_STRING, 0, 0, 3, 13},   {"a b", TOML_TABLE, 4, 1, 4, 1},
	    {"a b c", TOML_INTEGER, 4, 3, 4, 7},   {"a qA", TOML_STRING, 5, 1, 5, 13},
	    {"a \xc3\xa4", TOML_BOOL, 6, 3, 6, 9}, {"a i", TOML_TABLE, 7, 1, 7, 5},
	    {"a i f", TOML_FLOAT, 7, 7, 7, 11},    {"a i d", TOML_OTHER, 7, 16, 7, 20},
	    {"t", TOML_ARRAY, 8, 3, 8, 1},         {"t 1", TOML_TABLE, 0, 0, 9, 1},
	};
	struct arena *mem = arena_new();
	const struct toml_node *root = NULL, *a;
	char err[256] = "";

	(void)state;
	assert_int_equal(parse(&root, text, sizeof(text) - 1, mem, err), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *path = arena_strdup(mem, rows[i].path), *part;
		const struct toml_node *node = root;

		while ((part = strsep(&path, " ")))
			node = node->kind == TOML_ARRAY ? &node->items[atoi(part)] : toml_get(node, part);
		assert_non_null(node);
		assert_int_equal(node->kind, rows[i].kind);
		assert_int_equal(node->key_line, rows[i].key_line);
		assert_int_equal(node->key_col, rows[i].key_col);
		assert_int_equal(node->line, rows[i].line);
		assert_int_equal(node->col, rows[i].col);
	}
	a = toml_get(root, "a");
	assert_string_equal(toml_get(root, "top")->string, "x");
	assert_string_equal(toml_get(a, "qA")->string, "\xc3\xa4");
	assert_int_equal(toml_get(toml_get(a, "b"), "c")->integer, 7);
	assert_true(toml_get(a, "\xc3\xa4")->boolean);
	assert_true(toml_get(toml_get(a, "i"), "f")->number == 1.5);
	assert_null(toml_get(a, "nothing"));
	/* The order is the file's, not the alphabet's. */
	assert_string_equal(a->items[0].key, "z");
	assert_string_equal(a->items[1].key, "b");
	arena_free(&mem);
}

/* A raw NUL is refused, wherever it stands. */
static void toml_refuses_nul(void **state)
{
	static const char text[] = "a = 1\n[b]\nc = 'x' # y\n";
	struct arena *mem = arena_new();
	const struct toml_node *root;
	char err[256];

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		char *bad = arena_strndup(mem, text, sizeof(text) - 1);

		bad[i] = '\0';
		assert_int_equal(parse(&root, bad, sizeof(text) - 1, mem, err), -EINVAL);
	}
	arena_free(&mem);
}

static char *repeat(struct arena *mem, const char *before, const char *part, size_t times, const char *after)
{
	size_t len = strlen(part);
	char *text = arena_array(mem, 1, strlen(before) + len * times + strlen(after) + 1);
	char *at = stpcpy(text, before);

	for (size_t i = 0; i < times; i++)
		at = stpcpy(at, part);
	strcpy(at, after);
	return text;
}

static void toml_refuses_with_a_place(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"a = 1\na = 2\n", "x.toml:2:"},
	    {"a = \"\\u0000\"\n", "x.toml:1:5: a NUL character is not allowed here"},
	    {"\"x\\u0000\" = 1\n", "x.toml:1:1: a NUL character is not allowed here"},
	    {"a = [\"x\", \"\\u0000\"]\n", "x.toml:1:11: a NUL character is not allowed here"},
	    {"a = \"open\n", "x.toml:1:"},
	    {"a = \"\xff\"\n", "x.toml:1:"},
	    {"a = 99999999999999999999\n", "x.toml:1:"},
	    {"a b = 1\n", "x.toml:1:"},
	    {"a = 1\n[=b]", "x.toml:2:2: "},
	    {"[[[a]]]", "x.toml:1:"},
	    {"[ \x01]", "x.toml:1:"},
	    {"a = '\x7f'", "x.toml:1:"},
	    {"# \x1b", "x.toml:1:"},
	    {"a = 1\n\xc3\xa4 = 1\n", "x.toml:2:1: "},
	    {"a =\xc2\xa0"
	     "1\n",
	     "x.toml:1:"},
	    {"a = 0\"\xc3\xa4\"", "x.toml:1:"},
	    {"'\xc3\xa4' = \xc3\xa4\n", "x.toml:1:"},
	    {"\xef\xbb\xbf\xef\xbb\xbf"
	     "a = 1\n",
	     "x.toml:1:"},
	};
	struct arena *mem = arena_new();
	const struct toml_node *root;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char err[256] = "";

		assert_int_equal(parse(&root, rows[i].text, strlen(rows[i].text), mem, err), -EINVAL);
		if (strncmp(err, rows[i].want, strlen(rows[i].want)))
			fail_msg("got \"%s\", want \"%s\"", err, rows[i].want);
	}
	arena_free(&mem);
}

/* Both sides of the limit, for every way to nest; and texts that only look deep. */
static void toml_limits_the_depth(void **state)
{
	static const struct {
		const char *before, *part;
		size_t times;
		const char *after;
		bool ok;
	} rows[] = {
	    {"", "a.", 31, "a = 1", true},
	    {"", "a.", 32, "a = 1", false},
	    {"", "a.", 400000, "a = 1", false},
	    {"[", "a.", 31, "a]", true},
	    {"[", "a.", 32, "a]", false},
	    {"[", "a.", 400000, "a]", false},
	    {"[", "'.' . ", 400000, "a]", false},
	    {"[", "\"\\\"=\".", 400000, "a]", false},
	    {"x = {", "a.", 400000, "a = 1}", false},
	    {"x = ", "[", 31, "", false},
	    {"x = ", "[", 100000, "", false},
	    {"x = ", "{a=", 100000, "", false},
	    {"x = '", ".", 400000, "'", true},
	    {"x = \"\\\"", ".", 400000, "\"", true},
	    {"x = '''\n'", ".", 400000, "''''", true},
	    {"x = \"\"\"\\\"\n", ".", 400000, "\"\"\"", true},
	    {"# ", ".", 400000, "\nx = 1", true},
	    {"x = [", "1.5, ", 1000, "]", true},
	    {"x = [", "'a.b',", 1000, "]", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct arena *mem = arena_new();
		const char *text = repeat(mem, rows[i].before, rows[i].part, rows[i].times, rows[i].after);
		const struct toml_node *root;
		char err[256] = "";

		if (!parse(&root, text, strlen(text), mem, err) != rows[i].ok)
			fail_msg("row %zu: got \"%s\"", i, err);
		arena_free(&mem);
	}
}

static void toml_takes_odd_but_legal_texts(void **state)
{
	static const char *const texts[] = {"",
					    "\n",
					    "#",
					    "\xef\xbb\xbf",
					    "\xef\xbb\xbf"
					    "a = 1",
					    "a = \"\"",
					    "a = ''''x''''",
					    "a = \"\"\"x\"\"\"\"\"",
					    "a = \"\"\"\\\n \xc3\xa4\"\"\"",
					    "a = 1\r\n# \xc3\xa4\r\nb = '\xc3\xa4'"};
	struct arena *mem = arena_new();
	const struct toml_node *root;
	char err[256];

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(parse(&root, texts[i], strlen(texts[i]), mem, err), 0);
	arena_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(arena_gives_zeroed_aligned_memory),
	    cmocka_unit_test(arena_makes_texts),
	    cmocka_unit_test(arena_grows_arrays),
	    cmocka_unit_test(impossible_sizes_end_the_process),
	    cmocka_unit_test(realloc_keeps_what_was_there),
	    cmocka_unit_test(buf_keeps_its_limit),
	    cmocka_unit_test(buf_grows),
	    cmocka_unit_test(buf_prints_numbers),
	    cmocka_unit_test(buf_writes_texts_safely),
	    cmocka_unit_test(visible_text_is_cut_between_characters),
	    cmocka_unit_test(log_words_are_parsed),
	    cmocka_unit_test(log_writes_one_line_per_message),
	    cmocka_unit_test(a_long_message_stays_whole_json),
	    cmocka_unit_test(patterns_match),
	    cmocka_unit_test(mistyped_words_are_guessed),
	    cmocka_unit_test(toml_gives_values_and_places),
	    cmocka_unit_test(toml_refuses_with_a_place),
	    cmocka_unit_test(toml_refuses_nul),
	    cmocka_unit_test(toml_limits_the_depth),
	    cmocka_unit_test(toml_takes_odd_but_legal_texts),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
