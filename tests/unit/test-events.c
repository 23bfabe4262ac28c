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

static void test_kinds(void **state)
{
	static const char text[] =
	    "a.gauge = { help = 'G.', kind = 'gauge', unit = '{message}' }\n"
	    "a.sizes = { help = 'S.', kind = 'histogram', unit = 'By', bounds = [0, 500, 1e3] }\n"
	    "a.times = { help = 'T.', kind = 'histogram', unit = 's', bounds = 'short' }\n"
	    "[bounds]\nshort = [0.005, 1]\n";
	static const char more[] = "a.more = { help = 'M.', kind = 'histogram', unit = 's', bounds = 'short' }\n"
				   "a.most = { help = 'N.', kind = 'histogram', unit = 's', bounds = 'own' }\n"
				   "bounds.own = [2]\n";
	static const char again[] = "bounds.short = [2]\n";
	struct arena *mem = arena_new();
	struct events events;
	const struct event_def *event;
	char err[512];

	(void)state;
	assert_int_equal(events_parse(&events, "e", text, strlen(text), mem, err), 0);
	assert_int_equal(events.count, 3);
	event = events_find(&events, "a.gauge");
	assert_int_equal(event->kind, EVENT_GAUGE);
	assert_string_equal(event->unit, "{message}");
	assert_int_equal(event->bound_cnt, 0);
	assert_true(event_scale(event) == 1);
	event = events_find(&events, "a.sizes");
	assert_int_equal(event->kind, EVENT_HISTOGRAM);
	assert_int_equal(event->bound_cnt, 3);
	assert_true(event->bounds[0] == 0 && event->bounds[1] == 500 && event->bounds[2] == 1000);
	assert_true(event_scale(event) == 1);
	event = events_find(&events, "a.times");
	assert_int_equal(event->bound_cnt, 2);
	assert_true(event->bounds[0] == 0.005 && event->bounds[1] == 1);
	assert_true(event_scale(event) == 1e9);

	/* names of bounds hold in later files too */
	assert_int_equal(events_add(&events, "e", more, strlen(more), mem, err), 0);
	assert_ptr_equal(events_find(&events, "a.more")->bounds, events_find(&events, "a.times")->bounds);
	assert_int_equal(events_find(&events, "a.most")->bound_cnt, 1);
	assert_int_equal(events_add(&events, "e", again, strlen(again), mem, err), -EINVAL);
	assert_string_equal(err, "e:1:8: bounds \"short\" exist already");
	arena_free(&mem);
}

#define HISTOGRAM "a.b = { help = 'X.', kind = 'histogram', unit = 's', bounds = "

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
	    {"a.b = { help = 'X.', kind = 'guage', unit = '1' }",
	     "e:1:29: unknown kind \"guage\" (did you mean \"gauge\"?): there are \"counter\", \"gauge\" and "
	     "\"histogram\""},
	    {"a.b = { help = 'X.', kind = 'sum' }",
	     "e:1:29: unknown kind \"sum\": there are \"counter\", \"gauge\" and \"histogram\""},
	    {"a.b = { help = 'X.', kind = 'gauge' }", "e:1:7: \"unit\" is missing"},
	    {"a.b = { help = 'X.', kind = 'gauge', unit = '1', bounds = [1] }", "e:1:50: only a histogram has bounds"},
	    {"a.b = { help = 'X.', bounds = [1] }", "e:1:22: only a histogram has bounds"},
	    {"a.b = { help = 'X.', kind = 'histogram', bounds = [1] }", "e:1:7: \"unit\" is missing"},
	    {"a.b = { help = 'X.', kind = 'histogram', unit = 's' }", "e:1:7: \"bounds\" is missing"},
	    {HISTOGRAM "[] }", "e:1:63: 1 to 24 bounds are wanted here, not 0"},
	    {HISTOGRAM "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25] }",
	     "e:1:63: 1 to 24 bounds are wanted here, not 25"},
	    {HISTOGRAM "1 }", "e:1:63: an array is wanted here, not an integer"},
	    {HISTOGRAM "[1, '2'] }", "e:1:67: a number is wanted here, not a string"},
	    {HISTOGRAM "[-1] }", "e:1:64: a bound is a finite number, and not below 0"},
	    {HISTOGRAM "[1, inf] }", "e:1:67: a bound is a finite number, and not below 0"},
	    {HISTOGRAM "[nan] }", "e:1:64: a bound is a finite number, and not below 0"},
	    {HISTOGRAM "[1, 1.0] }", "e:1:67: bounds ascend: this one is not above the one before"},
	    {HISTOGRAM "[1, 2, 1.5] }", "e:1:70: bounds ascend: this one is not above the one before"},
	    {HISTOGRAM "[1e10] }", "e:1:63: a bound beyond 64 bits (times are in nanoseconds)"},
	    {"a.b = { help = 'X.', kind = 'histogram', unit = 'By', bounds = [1e19] }",
	     "e:1:64: a bound beyond 64 bits"},
	    {HISTOGRAM "'lnog' }\nbounds.long = [1]\nbounds.short = [1]",
	     "e:1:63: unknown bounds \"lnog\" (did you mean \"long\"?)"},
	    {HISTOGRAM "'short' }\nbounds.long = [1]\nbounds.short = [1]", "e:2:8: nothing uses bounds \"long\""},
	    {"[bounds]\na_b = [1]", "e:2:1: \"a_b\" is no name of bounds: words of a-z and 0-9 joined by \"-\", 63 "
				    "bytes at most"},
	    {"[bounds]\nshort = [2, 1]", "e:2:13: bounds ascend: this one is not above the one before"},
	    {"[bounds]\nshort = 'X.'", "e:2:9: an array is wanted here, not a string"},
	    {"bounds = 'X.'", "e:1:10: a table is wanted here, not a string"},
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
	    "auth.success",      "auth.failed",        "auth.error",        "smtp.connection-start",
	    "smtp.error",        "smtp.spf-ehlo-fail", "queue.queue-dsn",   "queue.local-submission",
	    "delivery.deferred", "tls.handshake",      "imap.idle-stop",    "delivery.start-tls-error",
	    "spam.dnsbl",        "postscreen.hangup",  "pop3.fetch",        "message-ingest.lmtp",
	    "queue.count",       "message.size",       "imap.command-time",
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
		if ((event->kind == EVENT_HISTOGRAM) != (event->bound_cnt > 0))
			fail_msg("%s: %zu bounds", event->name, event->bound_cnt);
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
	    cmocka_unit_test(test_parse),    cmocka_unit_test(test_kinds),       cmocka_unit_test(test_mistakes),
	    cmocka_unit_test(test_too_many), cmocka_unit_test(test_compiled_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
