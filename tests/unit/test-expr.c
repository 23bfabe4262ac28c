/* SPDX-License-Identifier: Apache-2.0 */
/* test-expr.c - expressions of the catalog language: what they become, and where their mistakes are. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "catalog/catalog.h"

static const char vocabulary[] = "auth.success = 'A.'\nauth.failed = 'B.'\nauth.error = 'C.'\n"
				 "queue.count = { kind = 'gauge', unit = '{message}', help = 'D.' }\n"
				 "smtp.held = { kind = 'gauge', unit = '{connection}', help = 'E.' }\n"
				 "message.size = { kind = 'histogram', unit = 'By', bounds = [1, 2], help = 'F.' }\n"
				 "auth.time = { kind = 'histogram', unit = 's', bounds = [1, 2], help = 'G.' }\n";

static int wrong_cnt; /* rows of the table at hand that went wrong: all are shown */
#define wrong(...) (wrong_cnt++, print_error(__VA_ARGS__), print_error("\n"))

/* A file that uses all its names in the first row; the row under test comes behind. */
static const char head[] =
    "[server]\nname = 'x'\nexe = '*/x'\n[object.d]\nfile = 'x'\n"
    "[constant.off]\nobject = 'd'\nload = 'g'\n"
    "[layout.fields]\nparent = 0\narray = 8\nkey = 0\ntype = 8\ntext = 16\nnumber = 24\ntype-text = 0\ntype-number = 1\n"
    "[slot]\nverdict = 'v'\nhandle = 'h'\n"
    "[label.mechanism]\nvalues = ['PLAIN', 'LOGIN']\nalso = { xplain = 'PLAIN' }\n"
    "[label.small]\nvalues = ['small-letters-only']\n"
    "[choice.by_code]\n'250 Ok' = 'auth.success'\n535 = 'auth.failed'\n"
    "[[probe]]\nobject = 'd'\nsymbol = 'first'\n"
    "rules = [{ if = 'verdict[tid] == 1 and handle[tid] == 1', count = 'auth.error', "
    "by = { mechanism = 'str arg0', small = 'str arg0' } },\n"
    "{ if = 'arg1 == 1', choose = { by_code = 'str arg0' } },\n"
    "{ if = 'has fields arg0 \"a\" == 1 and [arg0 + $off] == 1', remember = 'verdict[tid] = comm' },\n"
    "{ remember = 'handle[tid] = 1' }]\n"
    "[[probe]]\nobject = 'd'\nsymbol = 'second'\n";
#define ROW_LINE 39 /* of what comes behind head */

static int parse(struct server_def **out, struct arena *mem, const char *row, char err[static 512])
{
	struct events events;
	char *text = arena_printf(mem, "%s%s", head, row);

	assert_int_equal(events_parse(&events, "events", vocabulary, strlen(vocabulary), mem, err), 0);
	return catalog_parse_server(out, &events, "x.toml", text, strlen(text), mem, err);
}

/* names - the values of the row under test, in order */
static void names(struct buf *out, const struct server_def *server)
{
	const struct probe_def *row = &server->probes[server->probe_cnt - 1];

	buf_reset(out);
	for (size_t i = 0; i < row->value_cnt; i++)
		buf_printf(out, "%s%s", i ? ", " : "", row->values[i].name);
}

static void test_values(void **state)
{
	static const struct {
		const char *when, *expr, *want;
	} rows[] = {
	    {"entry", "arg0 == 1", "arg0"},
	    {"entry", "arg9 == -1", "arg9"},
	    {"return", "ret == 1", "ret"},
	    {"return", "ret:s32 < 0", "ret, ret:s32"},
	    {"return", "ret:u64 < 0", "ret"},
	    {"entry", "pid != tid", NULL},
	    {"entry", "pid != 0 and tid != 0", "pid, tid"},
	    {"entry", "comm == \"smtpd\"", "comm"},
	    {"entry", "[arg0] == 0", "arg0, [arg0]"},
	    {"entry", "[arg0]:u64 == 0 and [arg0]:s64 == 1", NULL},
	    {"entry", "[arg0]:u64 >= 0 and [arg0]:s64 < 9", "arg0, [arg0]"},
	    {"entry", "[arg0 + 8]:u16 == 65535", "arg0, [arg0 + 8]:u16"},
	    {"entry", "[arg0 + 0x10]:s8 == -128", "arg0, [arg0 + 16]:s8"},
	    {"entry", "[arg0 + -8] == 0", "arg0, [arg0 + -8]"},
	    {"entry", "[arg0 + $off] == 0", "arg0, [arg0 + $off]"},
	    {"entry", "([arg0]):u8 == 255", "arg0, [arg0], ([arg0]):u8"},
	    {"entry", "[[arg0 + 8] + 16]:u32 == 0", "arg0, [arg0 + 8], [[arg0 + 8] + 16]:u32"},
	    {"entry", "str arg1 == \"a\"", "arg1, str arg1"},
	    {"entry", "str [arg1 + 8] ^= \"a\" and str [arg1 + 8] *= \"b\" and [arg1 + 8] != 0",
	     "arg1, [arg1 + 8], str [arg1 + 8]"},
	    {"entry", "str arg0:u32 == \"a\"", "arg0, arg0:u32, str arg0:u32"},
	    {"entry", "mix pid arg0:u32 == 1", "pid, arg0, arg0:u32, mix pid arg0:u32"},
	    {"entry", "(mix pid arg0):u32 == 1", "pid, arg0, mix pid arg0, (mix pid arg0):u32"},
	    {"entry", "mix str arg0 comm == 1", "arg0, str arg0, comm, mix str arg0 comm"},
	    {"entry", "field fields arg0 \"mechanism\" ^= \"PL\"", "arg0, field fields arg0 \"mechanism\""},
	    {"entry", "number fields [arg0] \"code\" >= 200", "arg0, [arg0], number fields [arg0] \"code\""},
	    {"entry", "has fields arg0 \"error\" == 0", "arg0, has fields arg0 \"error\""},
	    {"entry", "verdict[tid] == 0", "tid, verdict[tid]"},
	    {"entry", "verdict[str arg0] == \"ok\"", "arg0, str arg0, verdict[str arg0]"},
	    {"entry", "str [handle[tid] + 8] == \"ok\"", "tid, handle[tid], [handle[tid] + 8], str [handle[tid] + 8]"},
	    {"entry", "  arg0==1   and arg1!=-0x10 ", "arg0, arg1"},
	    {"entry", "now >= 5 and realtime >= 5", "now, realtime"},
	    {"entry", "timeval [arg0 + 8] >= 5", "arg0, [arg0 + 8], timeval [arg0 + 8]"},
	    {"entry", "span verdict[pid] now < 5", "pid, verdict[pid], now, span verdict[pid] now"},
	    {"entry", "span timeval arg0 realtime < 5 and span realtime timeval arg0 < 5",
	     "arg0, timeval arg0, realtime, span timeval arg0 realtime, span realtime timeval arg0"},
	    {"entry", "(arg0 + 8) != 0 and ( arg0+0x8 ) != 1", "arg0, (arg0 + 8)"},
	    {"entry", "str (arg0 + $off) == \"a\"", "arg0, (arg0 + $off), str (arg0 + $off)"},
	    {"entry", "[(arg0 + $off)] == 1 and [arg0 + $off] == 1",
	     "arg0, (arg0 + $off), [(arg0 + $off)], [arg0 + $off]"},
	    {"entry", "(arg0 + -8) == 1", "arg0, (arg0 + -8)"},
	    {"entry", "(arg0 * 1024) == 1 and ((arg0 * 1024) + 1) == 1 and (arg0 * 2) == 4",
	     "arg0, (arg0 * 1024), ((arg0 * 1024) + 1), (arg0 * 2)"},
	    {"entry", "([arg0]:u32 * -9000000000) >= 1", "arg0, [arg0]:u32, ([arg0]:u32 * -9000000000)"},
	    {"entry", "(arg0 * 2):u8 == 1", "arg0, (arg0 * 2), (arg0 * 2):u8"},
	    {"return", "(ret * 2) == 1", "ret, (ret * 2)"},
	    {"return", "str (args + 7) == \"a\"", "args, (args + 7), str (args + 7)"},
	    {"entry", "head 3 str arg0 == \"abc\" and str arg0 ^= \"abc\"", "arg0, str arg0, head 3 str arg0"},
	    {"entry", "head 3 str arg0 != \"ab\" and head 4 str arg0 != \"ab\"",
	     "arg0, str arg0, head 3 str arg0, head 4 str arg0"},
	    {"entry", "head 63 field fields arg0 \"a\" == \"b\"",
	     "arg0, field fields arg0 \"a\", head 63 field fields arg0 \"a\""},
	    {"entry", "upper str arg0 != \"ABC-1\" and upper (str arg0) != \"A\"", "arg0, str arg0, upper str arg0"},
	    {"entry", "mix upper str arg0 head 1 str arg0 == 1",
	     "arg0, str arg0, upper str arg0, head 1 str arg0, mix upper str arg0 head 1 str arg0"},
	    {"entry", "verdict[upper str arg0] == 1", "arg0, str arg0, upper str arg0, verdict[upper str arg0]"},
	};
	struct buf got;

	(void)state;
	wrong_cnt = 0;
	buf_init(&got, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *mem = arena_new();
		struct server_def *server;
		char err[512] = "", *row;
		int ret;

		row = arena_printf(mem, "when = '%s'\nrules = [{ if = '%s', count = 'auth.success' }]\n", rows[i].when,
				   rows[i].expr);
		ret = parse(&server, mem, row, err);
		if (!rows[i].want != (ret != 0))
			wrong("%s: got %d %s", rows[i].expr, ret, err);
		if (!ret) {
			names(&got, server);
			if (strcmp(buf_text(&got), rows[i].want))
				wrong("%s: got %s, want %s", rows[i].expr, buf_text(&got), rows[i].want);
		}
		arena_free(&mem);
	}
	buf_free(&got);
	assert_int_equal(wrong_cnt, 0);
}

#define LONG_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_mistakes(void **state)
{
	static const struct {
		const char *expr;
		int col; /* in the expression, from 1 */
		const char *want;
	} rows[] = {
	    {"", 1, "a value is wanted here, not the end"},
	    {"arg0", 5, "a comparison (== != < >= ^= *=) is wanted here, not the end"},
	    {"arg0 == ", 9, "a number or a text in quotes is wanted here, not the end"},
	    {"arg0 == arg1", 9, "a number or a text in quotes is wanted here, not \"arg1\""},
	    {"arg0 == $off", 9, "a number or a text in quotes is wanted here, not \"$off\""},
	    {"arg0 == 1 or arg1 == 2", 11, "\"and\" is wanted here, not \"or\""},
	    {"arg0 == 1 and", 14, "a value is wanted here, not the end"},
	    {"arg0 <= 1", 6, "a comparison (== != < >= ^= *=) is wanted here, not \"<=\""},
	    {"arg0 > 1", 6, "a comparison (== != < >= ^= *=) is wanted here, not \">\""},
	    {"arg0 && arg1", 6, "a comparison (== != < >= ^= *=) is wanted here, not \"&\""},
	    {"arg0 == \xc3\xa9", 9, "unexpected character \"\xc3\xa9\""},
	    {"str arg0 == \"\xc3\xa9\" and arg1 @ 1", 26, "unexpected character \"@\""},
	    {"arg10 == 1", 1, "there are only arg0 to arg9"},
	    {"ret == 1", 1, "\"ret\" is there only with when = \"return\""},
	    {"verdcit[tid] == 1", 1, "unknown name \"verdcit\" (did you mean \"verdict\"?)"},
	    {"strr arg0 == \"a\"", 1, "unknown name \"strr\" (did you mean \"str\"?)"},
	    {"verdict == 1", 9, "\"[\" is wanted here, not \"==\""},
	    {"verdict[] == 1", 9, "a value is wanted here, not \"]\""},
	    {"verdict[tid == 1", 13, "\"]\" is wanted here, not \"==\""},
	    {"arg0[8] == 1", 5, "a comparison (== != < >= ^= *=) is wanted here, not \"[\""},
	    {"[arg0 == 1", 7, "\"]\" is wanted here, not \"==\""},
	    {"[arg0 - 8] == 1", 7, "unexpected character \"-\""},
	    {"[arg0 + arg1] == 1", 9, "a number or a $constant is wanted here, not \"arg1\""},
	    {"[arg0 + $of] == 1", 9, "unknown constant \"$of\" (did you mean \"off\"?)"},
	    {"[arg0 + 4294967296] == 1", 9, "an offset beyond 32 bits"},
	    {"[str arg0] == 1", 2, "a number or an address is wanted here, not a text"},
	    {"str comm == \"a\"", 5, "a number or an address is wanted here, not a text"},
	    {"str str arg0 == \"a\"", 5, "a number or an address is wanted here, not a text"},
	    {"comm:u8 == 1", 5, "a text has no type"},
	    {"arg0:u7 == 1", 6, "a type (u8 s8 u16 s16 u32 s32 u64 s64) is wanted here, not \"u7\""},
	    {"arg0:u8 == 256", 12, "the value is never that: it is within 0 to 255"},
	    {"arg0:u32 == -1", 13, "the value is never that: it is within 0 to 4294967295"},
	    {"arg0:s8 < -129", 11, "the value is never that: it is within -128 to 127"},
	    {"has fields arg0 \"a\" == 2", 24, "the value is never that: it is within 0 to 1"},
	    {"arg0 == 0x", 9, "no number: it is written as 12, -12 or 0x1f"},
	    {"arg0 == 12ab", 9, "no number: it is written as 12, -12 or 0x1f"},
	    {"arg0 == 010", 9, "no number: it is written as 12, -12 or 0x1f"},
	    {"arg0 == 9223372036854775808", 9, "a number beyond 64 bits"},
	    {"arg0 == \"a\"", 9, "a number (the value is no text) is wanted here, not \"a\""},
	    {"str arg0 == 1", 13, "a text in quotes is wanted here, not 1"},
	    {"str arg0 == \"a", 13, "this text has no closing quote"},
	    {"str arg0 == \"a\\q\"", 15, "unknown escape: there are \\\" \\\\ \\n \\t \\r"},
	    {"str arg0 == \"\"", 13, "an empty text"},
	    {"str arg0 == \"" LONG_64 "\"", 13, "a text of 64 bytes, where 63 are the most"},
	    {"str arg0 *= \"0123456789abcdef0123456789abcdef\"", 13, "a text of 32 bytes, where 31 are the most"},
	    {"str arg0 < \"a\"", 10, "texts are compared by == != ^= *="},
	    {"arg0 ^= 1", 6, "numbers are compared by == != < >="},
	    {"comm ^= \"a\"", 6, "^= needs \"str\" or \"field\""},
	    {"field fields arg0 \"a\" *= \"b\"", 23, "*= needs \"str\""},
	    {"verdict[tid] ^= \"b\"", 14, "^= needs \"str\" or \"field\""},
	    {"field feilds arg0 \"a\" == \"b\"", 7, "unknown layout \"feilds\" (did you mean \"fields\"?)"},
	    {"field \"a\" == \"b\"", 7, "the name of a layout is wanted here, not \"a\""},
	    {"field fields arg0 == \"b\"", 19, "the name of a field in quotes is wanted here, not \"==\""},
	    {"field fields arg0 \"\" == \"b\"", 19, "the name of a field in quotes is wanted here, not \"\""},
	    {"field fields arg0 \"" LONG_64 "\" == \"b\"", 19, "a name of more than 63 bytes"},
	    {"arg0 == 1 and arg0 == 2", 15, "this never holds together with condition 1"},
	    {"arg0 < 5 and arg0 >= 5", 14, "this never holds together with condition 1"},
	    {"str arg0 == \"ab\" and str arg0 ^= \"b\"", 22, "this never holds together with condition 1"},
	    {"str arg0 ^= \"ab\" and str arg0 ^= \"b\"", 22, "this never holds together with condition 1"},
	    {"arg0 == 1 and arg0 != 2", 15, "condition 1 says so already"},
	    {"or == 1", 1, "a value is wanted here, not \"or\""},
	    {"now == \"a\"", 8, "a number (the value is no text) is wanted here, not \"a\""},
	    {"timeval str arg0 == 1", 9, "a number or an address is wanted here, not a text"},
	    {"span arg0 comm == 1", 11, "a number or an address is wanted here, not a text"},
	    {"span str arg0 now == 1", 6, "a number or an address is wanted here, not a text"},
	    {"span arg0 == 1", 11, "a value is wanted here, not \"==\""},
	    {"span arg0 arg0 == 1", 11, "a span from a value to itself"},
	    {"span now realtime == 1", 10, "two clocks: \"now\" does not count from 1970"},
	    {"span timeval arg0 now == 1", 19, "two clocks: \"now\" does not count from 1970"},
	    {"span arg0 now < -1", 17, "the value is never that: it is within 0 to 9223372036854775807"},
	    {"(str arg0 + 1) == 1", 11, "a text is no number"},
	    {"(comm * 2) == 1", 7, "a text is no number"},
	    {"(arg0 + arg1) == 1", 9, "a number or a $constant is wanted here, not \"arg1\""},
	    {"(arg0 + 0x100000000) == 1", 9, "an offset beyond 32 bits"},
	    {"(arg0 * $off) == 1", 9, "a number is wanted here, not \"$off\""},
	    {"(arg0 * 2 == 1", 11, "\")\" is wanted here, not \"==\""},
	    {"(arg0 - 2) == 1", 7, "unexpected character \"-\""},
	    {"arg0 * 2 == 1", 6, "a comparison (== != < >= ^= *=) is wanted here, not \"*\""},
	    {"args == \"a\"", 9, "a number (the value is no text) is wanted here, not \"a\""},
	    {"head str arg0 == \"a\"", 6, "a number of bytes is wanted here, not \"str\""},
	    {"head 0 str arg0 == \"a\"", 6, "1 to 63 bytes are wanted here"},
	    {"head 64 str arg0 == \"a\"", 6, "1 to 63 bytes are wanted here"},
	    {"head 3 arg0 == \"a\"", 8, "\"head\" needs \"str\" or \"field\""},
	    {"head 3 comm == \"a\"", 8, "\"head\" needs \"str\" or \"field\""},
	    {"head 3 upper str arg0 == \"A\"", 8, "\"head\" needs \"str\" or \"field\""},
	    {"head 3 str arg0 == \"abcd\"", 20, "a text of 4 bytes, where 3 are the most"},
	    {"head 3 str arg0 ^= \"ab\"", 17, "^= needs \"str\" or \"field\""},
	    {"head 3 str arg0 == 1", 20, "a text in quotes is wanted here, not 1"},
	    {"head 3 str arg0:u8 == 1", 23, "a text in quotes is wanted here, not 1"},
	    {"(head 3 str arg0):u8 == 1", 18, "a text has no type"},
	    {"upper arg0 == \"A\"", 7, "\"upper\" needs \"str\""},
	    {"upper field fields arg0 \"a\" == \"A\"", 7, "\"upper\" needs \"str\""},
	    {"upper str arg0 == \"aB\"", 19, "the value is never that: it is in capital letters"},
	    {"upper str arg0 *= \"B\"", 16, "*= needs \"str\""},
	    {"upper str arg0 >= 1", 19, "a text in quotes is wanted here, not 1"},
	    {"uper str arg0 == \"A\"", 1, "unknown name \"uper\" (did you mean \"upper\"?)"},
	    {"((((((((((((((((((((((((((((((((arg0", 33, "nested too deeply"},
	};

	(void)state;
	wrong_cnt = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static const char before[] = "rules = [{ if = '";
		struct arena *mem = arena_new();
		struct server_def *server;
		char err[512] = "", want[512], *row;

		row = arena_printf(mem, "%s%s', count = 'auth.success' }]\n", before, rows[i].expr);
		snprintf(want, sizeof(want), "x.toml:%d:%d: %s", ROW_LINE, (int)strlen(before) + rows[i].col,
			 rows[i].want);
		if (!parse(&server, mem, row, err))
			wrong("%s: taken", rows[i].expr);
		if (strcmp(err, want))
			wrong("%s\n got  %s\n want %s", rows[i].expr, err, want);
		arena_free(&mem);
	}
	assert_int_equal(wrong_cnt, 0);
}

/* Rows with other strings than `if`, and strings of every kind that TOML has; places are of the whole file. */
static void test_statements(void **state)
{
	static const struct {
		const char *row, *want; /* want: "" for none, else "line:column: reason", lines from the row's first */
	} rows[] = {
	    {"let = ['a = arg0']\nrules = [{ if = 'a == 1', count = 'auth.failed' }]", ""},
	    {"let = 'a = arg0'\nrules = [{ if = 'a == 1', count = 'auth.failed' }]", ""},
	    {"let = ['arg1']", "1:9: \"arg1\" has a meaning already"},
	    {"let = ['verdict = arg1']", "1:9: \"verdict\" has a meaning already"},
	    {"let = ['a = arg0', 'a = arg1']", "1:21: \"a\" has a meaning already"},
	    {"let = ['a = arg0', 'b = arg0']", "1:21: this is \"a\" already"},
	    {"let = ['a = b', 'b = arg0']", "1:13: unknown name \"b\""},
	    {"let = ['A = arg0']", "1:9: \"A\" is no name: [a-z_][a-z0-9_]*, 63 bytes at most"},
	    {"let = ['5 = arg0']", "1:9: a name for the value is wanted here, not 5"},
	    {"let = ['a arg0']", "1:11: \"=\" is wanted here, not \"arg0\""},
	    {"let = ['a = arg0 arg1']", "1:18: the end is wanted here, not \"arg1\""},
	    {"let = ['a = 5']", "1:13: a value is wanted here, not 5"},
	    {"when = 'return'\nlet = ['a = arg0']",
	     "2:13: arguments are gone when a function returns, or its process ends: remember at the entry what is needed "
	     "here"},
	    {"let = ['a = arg0', 'b = arg1']\nrules = [{ if = 'a == 1', count = 'auth.failed' }]",
	     "1:21: nothing uses \"b\""},
	    {"let = ['a = str arg0']\nselect = 'a == \"x\"'\nevent = 'auth.failed'", ""},
	    {"select = 'str arg0 == \"x\" and arg1 == 1'\nevent = 'auth.failed'",
	     "1:27: the end is wanted here, not \"and\""},
	    {"rules = [{ remember = 'verdict[tid] = arg0' }]", ""},
	    {"rules = [{ remember = ['verdict[mix pid arg0] = str arg1', 'verdict[tid] = -5'] }]", ""},
	    {"rules = [{ if = 'arg0 == 1', forget = 'verdict[tid]' }, { count = 'auth.failed' }]", ""},
	    {"rules = [{ remember = 'verdict[tid]' }]", "1:36: \"=\" is wanted here, not the end"},
	    {"rules = [{ remember = 'verdict[tid] = \"x\"' }]", "1:39: a value is wanted here, not \"x\""},
	    {"rules = [{ remember = 'verdct[tid] = 1' }]", "1:24: unknown slot \"verdct\" (did you mean \"verdict\"?)"},
	    {"rules = [{ remember = '5 = 1' }]", "1:24: the name of a slot is wanted here, not 5"},
	    {"rules = [{ remember = 'verdict[tid] = 1 1' }]", "1:41: the end is wanted here, not 1"},
	    {"rules = [{ forget = 'verdict[tid] = 1' }]", "1:35: the end is wanted here, not \"=\""},
	    {"rules = [{ forget = 5 }]", "1:21: a string is wanted here, not an integer"},
	    {"let = ['now = arg0']", "1:9: \"now\" has a meaning already"},
	    {"rules = [{ remember = ['verdict[pid] = now', 'handle[tid] = upper str arg0'] }]", ""},
	    {"rules = [{ remember = 'verdict[head 2 str arg0] = (arg1 + 4)' }]", ""},
	    {"let = 'a = head 2 str arg0'\nselect = 'a == \"x\"'\nevent = 'auth.failed'", ""},
	    /* looked up */
	    {"event = 'auth.error'\nby = { mechanism = 'upper str arg0', small = 'comm' }",
	     "2:46: this is never one of the texts of [label.small]"},
	    {"event = 'auth.error'\nby = { mechanism = 'upper str arg0', small = 'str arg1' }", ""},
	    {"event = 'auth.error'\nby = { mechanism = 'field fields arg0 \"m\"', small = 'verdict[tid]' }", ""},
	    {"event = 'auth.error'\nby = { mechanism = 'head 5 str arg0', small = 'str arg1' }", ""},
	    {"event = 'auth.error'\nby = { mechanism = 'head 4 str arg0', small = 'str arg1' }",
	     "2:20: this is never one of the texts of [label.mechanism]"},
	    {"event = 'auth.error'\nby = { mechanism = 'str arg0', small = 'upper str arg0' }",
	     "2:40: this is never one of the texts of [label.small]"},
	    {"event = 'auth.error'\nby = { mechanism = ' arg0' }", "2:22: a text is wanted here, not a number"},
	    {"event = 'auth.error'\nby = { mechanism = 'now' }", "2:21: a text is wanted here, not a number"},
	    {"event = 'auth.error'\nby = { mechanism = 'str arg0 == \"x\"' }",
	     "2:30: the end is wanted here, not \"==\""},
	    {"event = 'auth.error'\nby = { mechanism = 5 }", "2:20: a string is wanted here, not an integer"},
	    {"event = 'auth.error'\nby = { mechanism = 'handle[tid]', small = 'str arg0' }",
	     "1:9: slot \"handle\" never holds a text"},
	    {"rules = [{ choose = { by_code = 'str arg0' } }]", ""},
	    {"rules = [{ choose = { by_code = 'handle[tid]' } }]", "1:10: slot \"handle\" never holds a text"},
	    {"rules = [{ choose = { by_code = 'head 2 str arg0' } }]",
	     "1:33: this is never one of the texts of [choice.by_code]"},
	    {"rules = [{ choose = { by_code = 'arg0' } }]", "1:34: a text is wanted here, not a number"},
	    /* observed */
	    {"rules = [{ observe = { 'message.size' = '(arg0 * 1024)', 'auth.time' = 'span verdict[pid] now' } }]", ""},
	    {"rules = [{ observe = { 'message.size' = 'str arg0' } }]", "1:42: a number is wanted here, not a text"},
	    {"rules = [{ observe = { 'message.size' = ' upper str arg0' } }]",
	     "1:43: a number is wanted here, not a text"},
	    {"rules = [{ observe = { 'message.size' = 'arg0 arg1' } }]", "1:47: the end is wanted here, not \"arg1\""},
	    {"rules = [{ observe = { 'message.size' = 5 } }]", "1:41: a string is wanted here, not an integer"},
	    {"rules = [{ observe = { 'message.size' = 'handle[tid]' }, remember = 'handle[tid] = 1' }]", ""},
	    /* columns in the kinds of strings */
	    {"let = \"a = [arg0 + \\u00e9]\"", "1:20: unexpected character \"\xc3\xa9\""},
	    {"rules = [{ if = \"str arg0 == \\\"\\u00e9\\\\n\\\" @\" }]", "1:44: unexpected character \"@\""},
	    {"rules = [{ if = \"\"\"str arg0 @\"\"\" }]", "1:17: unexpected character \"@\""},
	    {"rules = [{ if = '''\nstr arg0 @''' }]", "1:17: unexpected character \"@\""},
	    {"# \xc3\xa9\nwho = '\xc3\xa9' # \xc3\xa9\nlet = ['a = @']", "3:13: unexpected character \"@\""},
	};

	(void)state;
	wrong_cnt = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *mem = arena_new();
		struct server_def *server;
		char err[512] = "", got[512];
		int line = 0, used = 0;

		parse(&server, mem, rows[i].row, err);
		if (sscanf(err, "x.toml:%d%n", &line, &used) == 1)
			snprintf(got, sizeof(got), "%d%s", line - ROW_LINE + 1, err + used);
		else
			snprintf(got, sizeof(got), "%s", err);
		if (strcmp(got, rows[i].want))
			wrong("%s\n got  %s\n want %s", rows[i].row, got, rows[i].want);
		arena_free(&mem);
	}
	assert_int_equal(wrong_cnt, 0);
}

static void test_shadows(void **state)
{
	static const struct {
		const char *earlier, *later;
		bool is_reached;
	} rows[] = {
	    {"arg0 == 1", "arg0 == 1", false},
	    {"arg0 == 1", "arg0 == 2", true},
	    {"arg0 == 1", "arg1 == 1", true},
	    {"arg0 == 1", "arg0 == 1 and arg1 == 1", false},
	    {"arg0 == 1 and arg1 == 1", "arg0 == 1", true},
	    {"arg0 != 1", "arg0 == 2", false},
	    {"arg0 != 1", "arg0 == 1", true},
	    {"arg0 != 1", "arg0 < 1", false},
	    {"arg0 != 1", "arg0 < 2", true},
	    {"arg0 != 1", "arg0 >= 2", false},
	    {"arg0 != 1", "arg0 >= 1", true},
	    {"arg0 < 5", "arg0 == 4", false},
	    {"arg0 < 5", "arg0 == 5", true},
	    {"arg0 < 5", "arg0 < 5", false},
	    {"arg0 < 5", "arg0 < 6", true},
	    {"arg0 >= 5", "arg0 >= 5", false},
	    {"arg0 >= 5", "arg0 >= 4", true},
	    {"arg0 >= 5", "arg0 != 3", true},
	    {"arg0 < 5 and arg0 >= 1", "arg0 == 3", false},
	    {"str arg0 ^= \"ab\"", "str arg0 == \"abc\"", false},
	    {"str arg0 ^= \"ab\"", "str arg0 == \"a\"", true},
	    {"str arg0 ^= \"ab\"", "str arg0 ^= \"abc\"", false},
	    {"str arg0 ^= \"abc\"", "str arg0 ^= \"ab\"", true},
	    {"str arg0 *= \"bc\"", "str arg0 == \"abcd\"", false},
	    {"str arg0 *= \"bc\"", "str arg0 ^= \"abcd\"", false},
	    {"str arg0 *= \"bc\"", "str arg0 *= \"abcd\"", false},
	    {"str arg0 *= \"bcd\"", "str arg0 *= \"bc\"", true},
	    {"str arg0 ^= \"bc\"", "str arg0 *= \"bc\"", true},
	    {"str arg0 != \"b\"", "str arg0 == \"c\"", false},
	    {"str arg0 != \"b\"", "str arg0 ^= \"c\"", false},
	    {"str arg0 != \"bc\"", "str arg0 ^= \"b\"", true},
	    {"str arg0 != \"b\"", "str arg0 *= \"c\"", false},
	    {"str arg0 != \"b\"", "str arg0 != \"b\"", false},
	    {"str arg0 != \"b\"", "str arg0 != \"c\"", true},
	    {"verdict[tid] == 1", "verdict[tid] == \"a\"", true},
	    {"head 2 str arg0 == \"ab\"", "head 2 str arg0 == \"ab\"", false},
	    {"head 2 str arg0 == \"ab\"", "head 3 str arg0 == \"ab\"", true},
	    {"head 2 str arg0 != \"ab\"", "head 2 str arg0 == \"a\"", false},
	    {"upper str arg0 == \"AB\"", "upper str arg0 == \"AB\"", false},
	    {"upper str arg0 == \"AB\"", "str arg0 == \"AB\"", true},
	    {"(arg0 + 1) < 5", "(arg0 + 1) < 4", false},
	    {"(arg0 + 1) < 5", "(arg0 + 2) < 4", true},
	    {"span arg0 now >= 5", "span arg0 now >= 6", false},
	    {"span arg0 arg1 >= 5", "span arg1 arg0 >= 6", true},
	};

	(void)state;
	wrong_cnt = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena *mem = arena_new();
		struct server_def *server;
		char err[512] = "", *row;

		row = arena_printf(
		    mem, "rules = [{ if = '%s', count = 'auth.success' }, { if = '%s', count = 'auth.failed' }]",
		    rows[i].earlier, rows[i].later);
		if (parse(&server, mem, row, err) != (rows[i].is_reached ? 0 : -22) ||
		    (err[0] && !strstr(err, "never reached")))
			wrong("%s | %s: got %s", rows[i].earlier, rows[i].later, err);
		arena_free(&mem);
	}
	assert_int_equal(wrong_cnt, 0);
}

/* What is inside the values, beyond their names. */
static void test_tables(void **state)
{
	static const char row[] =
	    "rules = [{ if = 'str [arg7 + $off] ^= \"a\\\"\\n\" and [arg1 + -8]:s16 >= -3 and comm == \"submission-login\"', "
	    "remember = 'verdict[mix pid arg1] = 7', forget = 'verdict[tid]' }, { count = 'auth.failed' }]";
	struct arena *mem = arena_new();
	const struct probe_def *probe;
	const struct rule_def *rule;
	const struct value_def *value;
	struct server_def *server;
	char err[512];
	struct buf got;

	(void)state;
	wrong_cnt = 0;
	buf_init(&got, 4096);
	assert_int_equal(parse(&server, mem, row, err), 0);
	probe = &server->probes[1];
	rule = &probe->rules[0];
	names(&got, server);
	assert_string_equal(buf_text(&got), "arg7, [arg7 + $off], str [arg7 + $off], arg1, [arg1 + -8]:s16, comm, pid, "
					    "mix pid arg1, tid");
	value = &probe->values[1];
	assert_int_equal(value->kind, VALUE_READ);
	assert_int_equal(value->base, 0);
	assert_int_equal(value->other, -1);
	assert_string_equal(value->off.constant->name, "off");
	assert_int_equal(value->size, 8);
	value = &probe->values[4];
	assert_int_equal(value->off.value, -8);
	assert_null(value->off.constant);
	assert_int_equal(value->size, 2);
	assert_true(value->is_signed);
	value = &probe->values[7];
	assert_int_equal(value->kind, VALUE_MIX);
	assert_int_equal(value->base, 6);
	assert_int_equal(value->other, 3);

	assert_int_equal(rule->cond_cnt, 3);
	assert_int_equal(rule->conds[0].value, 2);
	assert_int_equal(rule->conds[0].op, COND_PREFIX);
	assert_string_equal(rule->conds[0].text, "a\"\n");
	assert_int_equal(rule->conds[1].op, COND_GE);
	assert_int_equal(rule->conds[1].number, -3);
	assert_null(rule->conds[1].text);
	assert_string_equal(rule->conds[2].text, "submission-logi"); /* as the kernel cuts it */
	assert_int_equal(rule->act_cnt, 2);
	assert_int_equal(rule->acts[0].kind, ACT_REMEMBER);
	assert_int_equal(rule->acts[0].key, 7);
	assert_int_equal(rule->acts[0].value, -1);
	assert_int_equal(rule->acts[0].number, 7);
	assert_int_equal(rule->acts[1].kind, ACT_FORGET);
	assert_int_equal(rule->acts[1].key, 8);
	assert_ptr_equal(rule->acts[1].slot, &server->slots[0]);
	buf_free(&got);
	arena_free(&mem);
}

/* The same of values of the later kinds, and of actions that move something. */
static void test_moving(void **state)
{
	struct arena *mem = arena_new();
	const struct probe_def *probe;
	const struct value_def *values;
	const struct act_def *act;
	struct server_def *server;
	char err[512] = "", *text;

	(void)state;
	text = arena_strdup(
	    mem,
	    "rules = [{ if = 'head 7 str arg0 == \"a\" and (arg1 + $off) >= 0', by = { small = 'str arg0', "
	    "mechanism = 'upper str arg0' }, count = 'auth.error' },\n"
	    "{ if = 'arg1 == 1', release = 'smtp.held', subtract = 'queue.count', choose = { by_code = 'str arg1' } },\n"
	    "{ observe = { 'message.size' = '(arg2 * -3)' }, add = 'queue.count', hold = 'smtp.held' }]\n"
	    "[[directory]]\nevent = 'queue.count'\npath = 'queue'\n");
	if (parse(&server, mem, text, err))
		fail_msg("%s", err);
	probe = &server->probes[1];
	values = probe->values;
	assert_int_equal(values[2].kind,
			 VALUE_HEAD); /* arg0, str arg0, head, arg1, sum, upper, str arg1, arg2, times */
	assert_int_equal(values[2].size, 7);
	assert_int_equal(values[2].base, 1);
	assert_int_equal(values[4].kind, VALUE_SUM);
	assert_string_equal(values[4].off.constant->name, "off");
	assert_int_equal(values[4].base, 3);

	act = &probe->rules[0].acts[0];
	assert_int_equal(act->kind, ACT_COUNT);
	assert_int_equal(act->dim_cnt, 2);
	assert_string_equal(act->dims[0].set->name, "mechanism"); /* sorted by name */
	assert_int_equal(values[act->dims[0].value].kind, VALUE_UPPER);
	assert_int_equal(values[act->dims[0].value].base, 1);
	assert_int_equal(act->dims[1].value, 1);

	assert_int_equal(probe->rules[1].act_cnt, 3);
	act = probe->rules[1].acts;
	assert_int_equal(act[0].kind, ACT_CHOOSE);
	assert_null(act[0].event);
	assert_string_equal(values[act[0].value].name, "str arg1");
	assert_string_equal(act_event(&act[0], 0)->name, "auth.success");
	assert_string_equal(act_event(&act[0], 1)->name, "auth.failed");
	assert_null(act_event(&act[0], 2));
	assert_int_equal(act[1].kind, ACT_ADD);
	assert_int_equal(act[1].number, -1);
	assert_int_equal(act[2].kind, ACT_RELEASE);

	assert_int_equal(probe->rules[2].act_cnt, 3);
	act = probe->rules[2].acts;
	assert_int_equal(act[0].kind, ACT_OBSERVE);
	assert_string_equal(act[0].event->name, "message.size");
	assert_int_equal(values[act[0].value].kind, VALUE_TIMES);
	assert_int_equal(values[act[0].value].number, -3);
	assert_int_equal(act[1].kind, ACT_ADD);
	assert_int_equal(act[1].number, 1);
	assert_int_equal(act[1].value, -1);
	assert_int_equal(act[2].kind, ACT_HOLD);
	for (int i = 0; i < 3; i++) {
		assert_true(act_moves(&act[i]));
		assert_ptr_equal(act_event(&act[i], 0), act[i].event);
		assert_null(act_event(&act[i], 1));
	}
	arena_free(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_values),  cmocka_unit_test(test_mistakes), cmocka_unit_test(test_statements),
	    cmocka_unit_test(test_shadows), cmocka_unit_test(test_tables),   cmocka_unit_test(test_moving),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
