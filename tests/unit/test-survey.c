/* SPDX-License-Identifier: Apache-2.0 */
/* What the survey prints of samples whose hubs are known. How often the compiler makes a call of one in the source is
 * its affair, so only what is one call in any case is counted here. */
#include "sample.h"

/* The program's own files are not in the library. */
#include "survey.c"

#include "catalog/catalog.h"

static char *survey(const char *name, const char *path)
{
	struct elf_image *elf = sample_open(name);
	struct buf out;
	char err[256];

	buf_init(&out, SURVEY_MAX);
	if (survey_write(&out, path, elf, err))
		fail_msg("%s: %s", name, err);
	assert_false(buf_failed(&out));
	elf_free(&elf);
	return out.data;
}

/* uncomment - all lines that can be taken as they are */
static void uncomment(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++)
		if (*from != '#' || (from != text && from[-1] != '\n') || from[1] == ' ')
			*to++ = *from;
	*to = '\0';
}

/* count_rows - of a text that must load as a catalog file */
static size_t count_rows(const char *name, const char *text)
{
	struct arena *mem = arena_new();
	struct catalog *catalog;
	struct server_def *server;
	char err[512];
	size_t count;

	if (catalog_load(&catalog, NULL, err))
		fail_msg("%s", err);
	if (catalog_parse_server(&server, &catalog->events, name, text, strlen(text), mem, err))
		fail_msg("%s\n%s", err, text);
	count = server->probe_cnt;
	catalog_free(&catalog);
	arena_free(&mem);
	return count;
}

static void want_line(const char *text, const char *line)
{
	const char *at = strstr(text, line);
	size_t len = strlen(line);

	while (at && ((at != text && at[-1] != '\n') || at[len] != '\n'))
		at = strstr(at + 1, line);
	if (!at)
		fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void test_hubs(void **state)
{
	static const char *const names[] = {"survey-plain", "survey-noplt", "survey-fixed"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char stripped[64], *text;

		snprintf(stripped, sizeof(stripped), "%s-stripped", names[i]);
		text = survey(stripped, "/opt/mail/sbin/exampled");
		want_line(text, "name = \"exampled\"");
		want_line(text,
			  "exe = [\"*/sbin/exampled\"] # the program that an instance begins with; another one if that "
			  "starts this");
		want_line(text, "file = \"exampled\"");
		/* found by a vote, and the first: replies tell most */
		want_line(text, "[function.hub_1]");
		want_line(text, "vote = { arg = 1, min = 4, texts = [");
		want_line(text, "#   1 call                arg1 = \"535 no\"");
		want_line(text, "#   1 call, 1 undecided   arg1 = \"502 disabled\"");
		want_line(text, "#   1 call, 1 undecided   arg1 = \"502 unknown\"");
		want_line(text, "#import = \"syslog\"");
		want_line(text, "#   1 call                arg1 = \"login failed for %s\"");
		want_line(text, "#symbol = \"log_write\"");
		want_line(text, "#   1 call                arg1 = \"say \\\"\\\\\\\"\\t\\n\"");
		want_line(text, "#   1 call                (no row can have it) bell\\x07");
		want_line(
		    text,
		    "#   1 call                arg0-prefix = \"a text of more than a hundred bytes, which no line of "
		    "the survey shall have in full: 0123456789 0123\"");
		want_line(
		    text,
		    "#   1 call                arg0-prefix = \"a text of a hundred bytes, then a character of two: "
		    "01234567890123456789012345678901234567890123456\"");
		assert_non_null(strstr(text, "# ---- Functions with a name"));
		assert_non_null(strstr(text, " log_write main"));
		assert_non_null(strstr(text, " log_level"));
		assert_null(strstr(text, "__stack_chk_fail, which"));
		assert_int_equal(count_rows("exampled.toml", text), 1);
		uncomment(text);
		/* the fourth hub has too few texts that a vote could have */
		want_line(text, "# It has too few texts of its own to be found by a vote.");
		assert_int_equal(count_rows("exampled.toml", text), 3);
		free(text);
	}
}

/* The function that the vote finds is the one that has the name in the twin with symbols. */
static void test_votes(void **state)
{
	static const char *const names[] = {"survey-plain", "survey-noplt", "survey-fixed"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct elf_image *twin = sample_open(names[i]), *elf;
		char stripped[64], err[256];
		struct xref *xref;
		struct hubs *hubs;

		snprintf(stripped, sizeof(stripped), "%s-stripped", names[i]);
		elf = sample_open(stripped);
		assert_int_equal(xref_new(&xref, elf, err), 0);
		assert_int_equal(hubs_find(&hubs, xref, elf, UINT64_MAX, err), 0);
		assert_false(hubs->is_cut);
		assert_int_equal(hubs->count, 4);
		assert_true(hubs->items[0].callee == sample_addr(twin, "reply"));
		assert_int_equal(hubs->items[0].text_cnt, 7);
		assert_int_equal(hubs->items[0].vote_cnt, 7);
		assert_int_equal(hubs->items[0].vote_min, 4);
		for (size_t k = 0; k < hubs->count; k++)
			if (hubs->items[k].symbol)
				assert_true(hubs->items[k].callee == sample_addr(twin, hubs->items[k].symbol));
		hubs_free(&hubs);
		/* what takes too long is cut, but no less right */
		assert_int_equal(hubs_find(&hubs, xref, elf, 0, err), 0);
		assert_true(hubs->is_cut);
		hubs_free(&hubs);
		xref_free(&xref);
		elf_free(&elf);
		elf_free(&twin);
	}
}

/* One server in all ways that it can be built. */
static void test_builds(void **state)
{
	static const char *const names[] = {"daemon-plain", "daemon-cet",   "daemon-noplt", "daemon-relr",
					    "daemon-fixed", "daemon-frame", "daemon-small", "daemon-static"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *text = survey(names[i], names[i]), exe[128];

		snprintf(exe, sizeof(exe),
			 "exe = [\"*/%s\"] # the program that an instance begins with; another one if that starts this",
			 names[i]);
		want_line(text, exe);
		if (!strstr(text, "vote = { arg = 1, min = 4, texts = ["))
			fail_msg("%s: no vote in\n%s", names[i], text);
		assert_non_null(strstr(text, " arg1 = \"250 hello %s\"\n"));
		assert_non_null(strstr(text, " arg1 = \"503 say who you are first\"\n"));
		assert_int_equal(count_rows("daemon.toml", text), 1);
		uncomment(text);
		count_rows("daemon.toml", text);
		free(text);
	}
}

/* A file must have a row, whatever there is to be found. */
static void test_nothing(void **state)
{
	static const char *const names[] = {"parts.so", "numbers.so", "fixed", "daemon-bare"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *text = survey(names[i], "odd*name [1]");

		want_line(text, "file = \"odd?name??1?\"");
		want_line(text, "name = \"odd-name-1\"");
		assert_int_equal(count_rows("odd-name-1.toml", text), 1);
		free(text);
	}
	free(survey("parts.so", "/x"));
	free(survey("parts.so", "/"));
	free(survey("parts.so", ""));
}

static void test_refused(void **state)
{
	struct elf_image *elf = sample_open("arm64-pie");
	struct buf out;
	char err[256];

	(void)state;
	buf_init(&out, SURVEY_MAX);
	assert_int_equal(survey_write(&out, "daemon", elf, err), -EOPNOTSUPP);
	assert_non_null(strstr(err, "this machine"));
	assert_int_equal(out.len, 0);
	buf_free(&out);
	elf_free(&elf);
}

/* Whatever stands in a file, the survey of it loads. */
static void test_broken(void **state)
{
	size_t size, done = 0;
	unsigned char *data = sample_read("survey-plain-stripped", &size), *copy = malloc(size);
	uint32_t random = 1;

	(void)state;
	assert_non_null(copy);
	for (int round = 0; round < 400; round++) {
		struct elf_image *elf;
		struct buf out;
		char err[256];

		memcpy(copy, data, size);
		for (int i = 0; i < 1 << round % 10; i++) {
			random = random * 1664525 + 1013904223;
			copy[random % size] = (unsigned char)(random >> 24);
		}
		if (elf_open_mem(&elf, copy, size, err))
			continue;
		buf_init(&out, SURVEY_MAX);
		if (!survey_write(&out, "broken", elf, err)) {
			assert_false(buf_failed(&out));
			count_rows("broken.toml", buf_text(&out));
			uncomment(out.data);
			count_rows("broken.toml", buf_text(&out));
			done++;
		}
		buf_free(&out);
		elf_free(&elf);
	}
	assert_true(done > 100);
	free(copy);
	free(data);
}

static void test_words(void **state)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
	    {"smtpd", "smtpd"}, {"Exam-Ple.d", "exam_ple_d"}, {"__x__", "x"}, {"...", "server"}, {"", "server"}};
	char word[48], tiny[4];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make_word(word, sizeof(word), rows[i].name, '_');
		assert_string_equal(word, rows[i].want);
	}
	make_word(tiny, sizeof(tiny), "abcdef", '_');
	assert_string_equal(tiny, "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hubs),    cmocka_unit_test(test_votes),   cmocka_unit_test(test_builds),
	    cmocka_unit_test(test_nothing), cmocka_unit_test(test_refused), cmocka_unit_test(test_broken),
	    cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
