/* SPDX-License-Identifier: Apache-2.0 */
/* test-events.c - reading a vocabulary, and the one that is compiled in. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "catalog/embedded.h"
#include "catalog/events.h"

static const struct embedded_file *compiled_in(void)
{
	for (uint64_t i = 0; i < embedded_file_count; i++)
		if (!strcmp(embedded_files[i].name, "events.toml"))
			return &embedded_files[i];
	fail_msg("events.toml is not compiled in");
	return NULL;
}

static void test_parse(void **state)
{
	static const char text[] =
	    "b.two = 'Second.'\n[a]\none = { help = 'First.', unit = '{message}', kind = 'counter' }\n"
	    "[c-d]\ne-f2 = 'Third.'\n";
	struct arena *mem = arena_new();
	struct events events;
	char err[512];

	(void)state;
	assert_int_equal(events_parse(&events, "e", text, strlen(text), mem, err), 0);
	assert_int_equal(events.count, 3);
	assert_string_equal(events.items[0].name, "a.one");
	assert_string_equal(events.items[0].help, "First.");
	assert_string_equal(events.items[0].unit, "{message}");
	assert_int_equal(events.items[0].kind, EVENT_COUNTER);
	assert_string_equal(events.items[1].name, "b.two");
	assert_string_equal(events.items[1].unit, "{event}");
	assert_ptr_equal(events_find(&events, "c-d.e-f2"), &events.items[2]);
	assert_null(events_find(&events, "c-d.e-f"));
	assert_null(events_find(&events, ""));

	/* events_parse begins anew, events_add goes on */
	assert_int_equal(events_add(&events, "e", "a.three = 'X.'", 14, mem, err), 0);
	assert_int_equal(events.count, 4);
	assert_string_equal(events_find(&events, "b.two")->help, "Second.");
	assert_int_equal(events_parse(&events, "e", "", 0, mem, err), 0);
	assert_int_equal(events.count, 0);
	assert_null(events_find(&events, "a.one"));
	arena_free(&mem);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"a.b = ", "e:1:7: Error while parsing key-value pair: encountered end-of-file"},
	    {"a = 'X.'", "e:1:1: an event's name has two parts: a.NAME"},
	    {"'a.b' = 'X.'", "e:1:1: \"a.b\" is no family of events: words of a-z and 0-9 joined by \"-\""},
	    {"A.b = 'X.'", "e:1:1: \"A\" is no family of events: words of a-z and 0-9 joined by \"-\""},
	    {"a.b_c = 'X.'", "e:1:3: \"a.b_c\" is no name of an event: words of a-z and 0-9 joined by \"-\", 63 "
			     "bytes at most"},
	    {"a.-b = 'X.'",
	     "e:1:3: \"a.-b\" is no name of an event: words of a-z and 0-9 joined by \"-\", 63 bytes at most"},
	    {"a.b- = 'X.'",
	     "e:1:3: \"a.b-\" is no name of an event: words of a-z and 0-9 joined by \"-\", 63 bytes at most"},
	    {"a.a123456789012345678901234567890123456789012345678901234567890123 = 'X.'",
	     "e:1:3: \"a.a123456789012345678901234567890123456789012345678901234567890123\" is no name of an "
	     "event: words of a-z and 0-9 joined by \"-\", 63 bytes at most"},
	    {"a.b = 5", "e:1:7: a string is wanted here, not an integer"},
	    {"a.b = ''", "e:1:7: an empty text"},
	    {"a.b = \"one\\ntwo\"", "e:1:11: a control character"},
	    {"a.b.c = 'X.'", "e:1:5: unknown key \"c\""},
	    {"a.b = { hlep = 'X.' }", "e:1:9: unknown key \"hlep\" (did you mean \"help\"?)"},
	    {"a.b = { unit = '1' }", "e:1:7: \"help\" is missing"},
	    {"a.b = { help = 'X.', unit = 1 }", "e:1:29: a string is wanted here, not an integer"},
	    {"a.b = { help = 'X.', kind = 'gauge' }", "e:1:29: unknown kind \"gauge\": there is only \"counter\""},
	    {"a.b = { help = 'X.', kind = 1 }", "e:1:29: a string is wanted here, not an integer"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *mem = arena_new();
		struct events events;
		char err[512] = "";

		assert_int_equal(events_parse(&events, "e", rows[i].text, strlen(rows[i].text), mem, err), -EINVAL);
		assert_string_equal(err, rows[i].want);
		arena_free(&mem);
	}
}

static void test_too_many(void **state)
{
	struct arena *mem = arena_new();
	char *text = arena_alloc(mem, 65536), err[512] = "", *end = text;
	struct events events;

	(void)state;
	for (int i = 0; i <= 2048; i++)
		end += sprintf(end, "a.b%d = 'X.'\n", i);
	assert_int_equal(events_parse(&events, "e", text, (size_t)(end - text), mem, err), -EINVAL);
	assert_string_equal(err, "e:1:1: 2049 events, where 2048 are the most");
	arena_free(&mem);
}

/* contains_word - does it stand in the text, whatever the case of its letters? */
static int contains_word(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

static void test_compiled_in(void **state)
{
	static const char *const servers[] = {"postfix", "dovecot", "exim", "opensmtpd", "stalwart"};
	static const char *const must[] = {
	    "auth.success",      "auth.failed",        "auth.error",      "smtp.connection-start",
	    "smtp.error",        "smtp.spf-ehlo-fail", "queue.queue-dsn", "queue.local-submission",
	    "delivery.deferred", "tls.handshake",      "imap.idle-stop",  "delivery.start-tls-error",
	    "spam.dnsbl",        "postscreen.hangup",  "pop3.fetch",      "message-ingest.lmtp",
	};
	const struct embedded_file *file = compiled_in();
	struct arena *mem = arena_new();
	struct events events;
	char err[512] = "";

	(void)state;
	if (events_parse(&events, file->name, file->text, file->len, mem, err))
		fail_msg("%s", err);
	for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++)
		if (!events_find(&events, must[i]))
			fail_msg("%s is missing", must[i]);
	for (size_t i = 0; i < events.count; i++) {
		const struct event_def *event = &events.items[i];
		size_t len = strlen(event->help);

		if (i && strcmp(events.items[i - 1].name, event->name) >= 0)
			fail_msg("%s: twice, or not sorted", event->name);
		if (!isupper((unsigned char)event->help[0]) || event->help[len - 1] != '.')
			fail_msg("%s: no sentence: %s", event->name, event->help);
		if (strstr(event->help, ". ") || strpbrk(event->help, "!?;\n"))
			fail_msg("%s: more than one sentence: %s", event->name, event->help);
		for (size_t k = 0; k < sizeof(servers) / sizeof(servers[0]); k++)
			if (contains_word(event->help, servers[k]))
				fail_msg("%s: names a server: %s", event->name, event->help);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(events.items[k].help, event->help))
				fail_msg("%s and %s have one meaning", events.items[k].name, event->name);
	}
	arena_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_mistakes),
	    cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_compiled_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
