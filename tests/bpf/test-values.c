/* SPDX-License-Identifier: Apache-2.0 */
/* What one hit means: every kind of value, condition and action of the catalog, from a row in TOML to a number. Each
 * case attaches its rows to a library, lets a child of this process call it, and compares all counters; what is not
 * in `want` must be 0, failures included.
 * Usage: test-values LIBRARY METHOD: a file beside this program, of which there are several builds, and how to attach.
 * Must be run by root. TOY_CASES=PATTERN (with *) runs only those cases. */
#include "bed.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "toys/library.h"

#define PAGE 4096

/* The library's functions: name and address. */
static long (*one)(TOY_NINE), (*two)(TOY_NINE), (*three)(TOY_NINE), (*four)(TOY_NINE), (*log_jump)(TOY_NINE);
static long (*log_numbers)(long), (*log_directly)(TOY_NINE);
static void (*log_at_once)(long), (*log_merged)(long);

#define CALL1(f, a)    f((long)(a), 0, 0, 0, 0, 0, 0, 0, 0)
#define CALL2(f, a, b) f((long)(a), (long)(b), 0, 0, 0, 0, 0, 0, 0)
#define TIMES(n)       for (int times = 0; times < (n); times++)

struct value_case {
	const char *name, *rows;
	void (*work)(void);
	const char *want;
	size_t probes;
	long hits;
	const char *disabled;
};

/* LINE - a line of TOML, with its quotation marks as they are there */
#define LINE(...)         #__VA_ARGS__ "\n"
#define AT(symbol)        "[[probe]]\nobject = \"library\"\nsymbol = \"" #symbol "\"\n"
#define AT_RETURN(symbol) AT(symbol) "when = \"return\"\n"
#define AT_CALL(text)     "[[probe]]\nobject = \"library\"\ncall = \"log\"\narg0 = \"" text "\"\n"
#define LOG               "[function.log]\nimport = \"toy_log\"\n"

/* ---- memory to point to */

static char *map_pages(size_t count)
{
	char *pages = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		_exit(2);
	return pages;
}

/* at_end - the text with its NUL at the very end of mapped memory */
static char *at_end(const char *text)
{
	static char *end;
	size_t size = strlen(text) + 1;

	if (!end) {
		char *pages = map_pages(3);

		munmap(pages + 2 * PAGE, PAGE);
		end = pages + 2 * PAGE;
	}
	return memcpy(end - size, text, size);
}

/* not_resident - the same bytes at `offset` of a fresh mapping that nobody has touched, `pages` long and with nothing
 * behind it */
static char *not_resident(const void *data, size_t size, size_t offset, size_t pages)
{
	int fd = memfd_create("texts", 0);
	char *mem = map_pages(pages + 1);

	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)) || pwrite(fd, data, size, (off_t)offset) != (ssize_t)size ||
	    mmap(mem, pages * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
		_exit(2);
	close(fd);
	munmap(mem + pages * PAGE, PAGE);
	/* A fault on one page maps its neighbours as well, unless it is told not to expect them. */
	if (madvise(mem, pages * PAGE, MADV_RANDOM))
		_exit(2);
	return mem + offset;
}

/* filled - `before` times x, the text, and `after` times x */
static char *filled(size_t before, const char *text, size_t after)
{
	static char buf[4 * PAGE];
	size_t len = strlen(text);

	memset(buf, 'x', before + len + after);
	memcpy(buf + before, text, len);
	buf[before + len + after] = '\0';
	return buf;
}

/* ---- texts */

static void work_texts(void)
{
	static const char *const texts[] = {
	    "equal",                                                                 /* a */
	    "pre",    "prefix",                                                      /* b */
	    "needle", "a needle", "needles",   "nneedle", "neeneedle in a haystack", /* c */
	    "",       "equa",     "equal ",    "Equal",   "pr",
	    "xpre",   "needl",    "a needl e", NULL, /* d */
	    "other",  "other"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		CALL1(one, texts[i]);
}

/* Equal texts need equal first 63 bytes. */
#define SIXTY "012345678901234567890123456789012345678901234567890123456789"
static void work_long_texts(void)
{
	CALL1(one, SIXTY "abc");
	CALL1(one, SIXTY "abcd");
	CALL1(one, SIXTY "abx");
	CALL1(one, SIXTY "ab");
	CALL1(one, SIXTY "ABC and whatever follows");
	CALL1(one, SIXTY "AB");
}

/* A needle is found where it begins within the first PROBE_HAYSTACK bytes, whatever window it falls into. */
#define LONGEST "the longest needle that may be."
_Static_assert(sizeof(LONGEST) == PROBE_NEEDLE, "it should be the longest");
static void work_positions(void)
{
	for (size_t at = 0; at < PROBE_HAYSTACK + 100; at++) {
		CALL1(one, at_end(filled(at, "needle", 0)));
		CALL1(one, at_end(filled(at, "needle", 200)));
		CALL1(two, at_end(filled(at, LONGEST, 0)));
		CALL1(two, at_end(filled(at, "the longest needle that may be", 40)));
	}
}

static void work_absent(void)
{
	for (size_t len = 0; len < PROBE_HAYSTACK + 100; len++)
		CALL1(one, at_end(filled(len, "", 0)));
	CALL1(one, filled(3 * PAGE, "needle", 0));
}

static void work_page_end(void)
{
	for (size_t len = 0; len < 200; len++) {
		CALL1(one, at_end(filled(len, "", 0)));
		CALL1(two, at_end(filled(len, "", 0)));
	}
}

static void work_unreadable(void)
{
	char *page = map_pages(1);

	mprotect(page, PAGE, PROT_NONE);
	CALL1(one, 16);
	CALL1(one, page);
	CALL1(one, 0xdead000000000000ul); /* no address at all */
	CALL1(two, 16);
	CALL1(three, page);
	CALL1(four, 16);
	CALL1(one, NULL); /* no failure: there is nothing to be read */
	CALL1(two, NULL);
	CALL1(three, NULL);
	CALL1(four, NULL);
	CALL1(one, "text");
}

static void work_not_resident(void)
{
	static const char text[] = "a text with a needle";
	static const int32_t number = -5;
	char *pages;

	/* within a page, at the end of the last one, across a border, in pages with none behind them */
	for (size_t i = 0; i < 10; i++) {
		const size_t places[] = {0, 100, PAGE - sizeof(text), 2 * PAGE - sizeof(text), PAGE - 1 - i};

		for (size_t k = 0; k < sizeof(places) / sizeof(*places); k++) {
			CALL1(one, not_resident(text, sizeof(text), places[k], 2));
			CALL1(two, not_resident(text, sizeof(text), places[k], 2));
			CALL1(three, not_resident(text, sizeof(text), places[k], 2));
		}
		CALL1(four, not_resident(&number, sizeof(number), 8 * i, 1));
		CALL1(four, not_resident(&number, sizeof(number), PAGE - sizeof(number), 1));
		CALL1(four, not_resident(&number, sizeof(number), PAGE - 2, 2));
	}
	/* a page that was there and is no more; only the second one */
	pages = not_resident(text, sizeof(text), PAGE - 5, 2);
	for (int i = 0; i < 3; i++) {
		if (pages[0] != 'a' || madvise(pages + 5, PAGE, MADV_DONTNEED))
			_exit(2);
		CALL1(one, pages);
	}
}

/* A text that begins in the first window and ends in a page that is not there. */
static void work_not_resident_far(void)
{
	char *text = filled(300, "needle", 3000);

	for (size_t at = 0; at < PAGE; at += 64)
		CALL1(one, not_resident(text, strlen(text) + 1, at, 2));
}

/* ---- numbers */

static void work_numbers(void)
{
	static const struct {
		int8_t s8;
		uint8_t u8;
		int16_t s16;
		uint32_t u32;
		int64_t s64;
	} numbers = {-2, 0xfe, -3, 0xfffffffc, -5};
	const char *no_text = NULL;

	CALL2(one, &numbers, 0);
	CALL2(two, &numbers, 0);
	CALL2(three, 0x1122334455667780, 0);
	CALL2(three, 0xffffffff00000000, 0);
	CALL2(four, &no_text, 0);
	CALL2(four, NULL, 0);
}

static void work_stack(void)
{
	one(0, 1, 2, 3, 4, 5, 6, 7, 8);
	one(0, 1, 2, 3, 4, 5, 6, 7, 9);
	one(0, 1, 2, 3, 4, 5, -6, 7, 8);
	log_at_once(1);
	log_at_once(1);
	log_at_once(2);
	log_jump(0, 1, 2, 3, 4, 5, 66, 77, 88);
	log_jump(0, 1, 2, 3, 4, 5, 66, 77, 89);
}

/* One call, told apart by the address of the text. */
static void work_merged(void)
{
	TIMES(5)
	log_merged(1);
	TIMES(3)
	log_merged(2);
	TIMES(2)
	log_merged(3);
}

/* Calls within the library, and some past its stubs. */
static void work_found(void)
{
	TIMES(4)
	log_numbers(1);
	TIMES(3)
	log_numbers(2);
	TIMES(2)
	log_numbers(5);
	TIMES(5)
	CALL2(log_directly, "only here", 4);
}

static void work_bits(void)
{
	static const long values[] = {0, 2, 4, 6, 0x102, -1, 3};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		CALL1(one, values[i]);
	CALL1(two, 0);
	log_numbers(9);
	CALL1(two, 0);
	CALL1(two, 0);
}

static void work_returns(void)
{
	static const long values[] = {-1, 0xffffffff, 0x80000000, -2, 0, 5, 0x7fffffff, 0x100000000};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		CALL1(one, values[i]);
	CALL1(two, 0);
	CALL1(two, "yes");
	CALL1(two, "no");
}

/* ---- from one hit to another */

static void in_child(void (*work)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		work();
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		_exit(2);
}

static void end_others(void)
{
	CALL1(two, 0x1000);
	CALL1(two, 0x2000);
}

static void work_join(void)
{
	CALL2(one, 0x1000, 7);
	CALL2(one, 0x2000, 8);
	in_child(end_others); /* other processes have the same pointers */
	CALL1(two, 0x1000);   /* a */
	CALL1(two, 0x1000);   /* forgotten: c */
	CALL1(two, 0x2000);   /* b */
	CALL1(two, 0x3000);   /* c */
	CALL2(one, 0x3000, 1);
	CALL2(one, 0x3000, 7); /* overwritten */
	CALL1(two, 0x3000);    /* a */
}

static void work_join_return(void)
{
	CALL2(one, 0, "wanted");
	CALL2(one, -1, "wanted");
	CALL2(one, 0, "other");
	CALL2(one, -1, "other");
}

static void work_once(void)
{
	TIMES(3)
	for (long key = 1; key <= 100; key++)
		CALL1(one, key);
	for (long key = 1; key <= 10; key++)
		CALL1(two, key);
	TIMES(2)
	for (long key = 1; key <= 20; key++)
		CALL1(one, key);
}

static void work_text_slot(void)
{
	CALL2(one, 1, "alpha");
	CALL2(one, 2, "beta");
	CALL2(one, 3, "gamma");
	for (long key = 1; key <= 4; key++)
		CALL1(two, key);
}

/* ---- keyed lists */

struct fields {
	void *data;
	size_t used;
};

struct field {
	const char *key;
	uint32_t type;
	const char *text;
	int64_t number;
};

struct object {
	long id;
	struct object *parent;
	struct fields *fields;
	size_t element_size;
};

/* clang-format off */
#define LAYOUT \
	LINE([layout.list]) LINE(parent = 8) LINE(array = 16) LINE(key = 0) LINE(type = 8) LINE(text = 16) \
	LINE(number = 24) LINE("type-text" = 3) LINE("type-number" = 4)
/* clang-format on */

static struct field top_fields[] = {
    {"user", 3, "somebody", 0},
    {"tries", 4, NULL, 99},
    {"far", 3, "away", 0},
};
static struct field middle_fields[] = {
    {"result", 3, "failed at last", 0}, {"tries", 4, NULL, 2}, {"user", 5, "no text", 1}};
static struct field low_fields[] = {
    {"x", 3, "y", 0}, {"resul", 3, "ok", 0}, {"result2", 3, "ok", 0}, {"empty", 3, "", 0}, {"null", 3, NULL, 0}};
static struct fields top_array = {top_fields, sizeof(top_fields)};
static struct fields middle_array = {middle_fields, sizeof(middle_fields)};
static struct fields low_array = {low_fields, sizeof(low_fields)};
static struct object top = {1, NULL, &top_array, sizeof(struct field)};
static struct object middle = {2, &top, &middle_array, sizeof(struct field)};
static struct object no_fields = {3, &middle, NULL, sizeof(struct field)};
static struct object low = {4, &no_fields, &low_array, sizeof(struct field)};

static void work_fields(void)
{
	CALL1(one, &low);
	CALL1(one, &middle);
	CALL1(one, &top);
	CALL1(one, NULL);
	CALL1(two, &low);
	CALL1(two, &middle);
	CALL1(two, &top);
	CALL1(two, NULL);
	CALL1(three, &low);
	CALL1(three, &middle);
	CALL1(three, &top);
	CALL1(four, &low);
}

/* Whatever stands in a broken list: the program ends, and the server goes on. */
static void work_broken_fields(void)
{
	static struct field zeros[64];
	struct fields array = {zeros, sizeof(zeros)};
	struct object cycle = {0, NULL, &array, sizeof(struct field)},
		      second = {0, &cycle, &array, sizeof(struct field)};

	cycle.parent = &second;
	CALL1(one, &cycle);
	array.used = (size_t)1 << 60;
	CALL1(one, &cycle);
	array.used = SIZE_MAX;
	CALL1(one, &cycle);
	array = (struct fields){NULL, 4096};
	CALL1(one, &cycle); /* reads at address 0: a failure */
	array = (struct fields){zeros, sizeof(zeros)};
	cycle.element_size = 0;
	CALL1(one, &cycle);
	cycle.element_size = SIZE_MAX;
	CALL1(one, &cycle);
	cycle.element_size = 1;
	CALL1(one, &cycle);
	cycle.element_size = sizeof(struct field);
	zeros[1].key = (const char *)16;
	zeros[2].key = "wanted";
	CALL1(one, &cycle); /* a failure: what comes behind it does not count */
	cycle.parent = (struct object *)16;
	array.used = 0;
	CALL1(one, &cycle); /* a failure */
	CALL1(one, 16);     /* a failure */
	cycle.parent = NULL;
	CALL1(one, &cycle);
}

/* No more than PROBE_FIELD_COUNT fields of a level and PROBE_FIELD_LEVELS levels are promised. */
static void work_many_fields(void)
{
	struct field fields[PROBE_FIELD_COUNT] = {0};
	struct fields array = {fields, sizeof(fields)};
	struct object levels[PROBE_FIELD_LEVELS];

	for (int i = 0; i < PROBE_FIELD_COUNT; i++)
		fields[i].key = "key";
	for (int i = 0; i < PROBE_FIELD_LEVELS; i++)
		levels[i] = (struct object){i, i ? &levels[i - 1] : NULL, &array, sizeof(struct field)};
	CALL1(one, &levels[PROBE_FIELD_LEVELS - 1]);
	fields[PROBE_FIELD_COUNT - 1] = (struct field){"wanted", 4, NULL, 7};
	CALL1(one, &levels[PROBE_FIELD_LEVELS - 1]);
	for (int i = 1; i < PROBE_FIELD_LEVELS; i++)
		levels[i].fields = NULL;
	CALL1(one, &levels[PROBE_FIELD_LEVELS - 1]);
}

/* ---- rows at one place */

static void work_switch(void)
{
	TIMES(2)
	CALL2(one, "alpha", 1);
	TIMES(3)
	CALL2(one, "alpha", 2);
	TIMES(4)
	CALL2(one, "beta", 1);
	TIMES(5)
	CALL2(one, "gamma", 1);
	CALL2(one, NULL, 1);
}

static void work_chain(void)
{
	for (long i = 0; i < 6; i++)
		CALL1(one, i);
}

static void work_names(void)
{
	static const char *const names[] = {
	    "worker-with-a-long-name", "worker-with-a-l", "worker-with-a-", "boss", "bosses", "other"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		prctl(PR_SET_NAME, names[i]);
		CALL1(one, i);
	}
}

/* ---- labels and events that are looked up */

static void work_lookup(void)
{
	TIMES(2)
	CALL2(one, "PLAIN", "plain");
	TIMES(3)
	CALL2(one, "plain", "PLAIN");
	TIMES(4)
	CALL2(one, "LOGIN", "login");
	CALL2(one, "xplain", "xpLAIn");
	CALL2(one, "", "");
	CALL2(one, NULL, NULL);
	CALL2(one, "PLAIN ", "PLAIN ");
	CALL2(one, "an extension that has a name which is longer than others", "X");
	CALL2(one, "an extension that has a name which is longer than others!", "X");
}

/* Every character at every place of a word, and what stands beside it must stay. */
static void work_upper(void)
{
	char text[26], upper[26];

	for (int c = 1; c < 256; c++)
		for (size_t at = 0; at < 25; at++) {
			memcpy(text, "aAzZ@[`{\x80\xe1 abcdefghijklmn", sizeof(text));
			text[at] = (char)c;
			for (size_t i = 0; i < sizeof(text); i++)
				upper[i] = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 32) : text[i];
			CALL2(one, text, upper);
		}
}

static void work_two_labels(void)
{
	static const char *const first[] = {"a", "b", "c"}, *const second[] = {"x", "y"};

	for (int i = 0; i < 3; i++)
		for (int k = 0; k < 2; k++)
			TIMES(1 + 2 * i + k)
	CALL2(one, first[i], second[k]);
	CALL2(one, "z", "z");
	for (int i = 0; i < 3; i++)
		CALL2(two, first[i], 10 * i + 5);
}

static void work_choice(void)
{
	TIMES(2)
	CALL2(one, "LIST", "x");
	TIMES(3)
	CALL2(one, "UID FETCH", "y");
	TIMES(4)
	CALL2(one, "FETCH", "x");
	CALL2(one, "NOOP", "x"); /* disabled */
	CALL2(one, "fetch", "x");
	CALL2(one, "", "x");
	CALL2(one, NULL, NULL);
}

static void work_remembered_text(void)
{
	CALL2(one, 1, "PLAIN");
	CALL2(one, 2, "LOGIN");
	for (long key = 1; key <= 3; key++)
		CALL1(two, key);
}

/* ---- what is observed */

static void work_sizes(void)
{
	static const long values[] = {0, 10, 10, 11, 20, 21, 1000, 1001, 1L << 40, -5};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		CALL1(one, values[i]);
	for (long value = 0; value < 30; value++)
		CALL1(two, value);
}

/* In microseconds: at each bound, and as little above it as can be. */
static void work_times(void)
{
	static const long bounds[] = {5000, 10000, 700000, 60000000};

	for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
		CALL2(one, bounds[i] * 1000, bounds[i]);
		CALL2(one, bounds[i] * 1000 + 1, bounds[i] + 1);
	}
}

static long clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000 + now.tv_nsec;
}

#define SECOND 1000000000L

static void work_clocks(void)
{
	static const struct timeval then = {1700000000, 123456}, before = {1700000000, 123455};

	CALL2(one, clock_ns(CLOCK_MONOTONIC) - 5 * SECOND, clock_ns(CLOCK_REALTIME) - 5 * SECOND);
	CALL2(two, clock_ns(CLOCK_MONOTONIC) + 5 * SECOND, clock_ns(CLOCK_REALTIME) + 5 * SECOND);
	CALL2(three, &then, &before);
	CALL2(three, &before, &then);
	CALL2(three, &then, NULL);
	CALL2(three, 16, &then); /* a failure */
	for (long i = 0; i < 3; i++) {
		CALL1(four, 0);
		usleep(20000);
		CALL1(four, 1);
	}
}

static void work_sums(void)
{
	static const char text[] = "first\0second";

	CALL1(one, text);
	CALL1(one, text + 1);
	CALL2(two, 7, -3);
	CALL2(two, -7, 3);
}

/* The child's own arguments, so that a test can say what they are. They stand one behind the other. */
static char *arguments;
static void work_args(void)
{
	CALL1(one, 0);
	memcpy(arguments, "made up\0two", 12);
	TIMES(2)
	CALL1(one, 0);
}

/* ---- all at once */

static void work_all(void)
{
	for (long i = 0; i < 10; i++)
		CALL2(one, i, i % 2 ? "odd" : "even");
}

/* clang-format off */
#define MECHANISM \
	LINE([label.mechanism]) LINE(values = ["PLAIN", "LOGIN", "an extension that has a name which is longer than others"]) \
	LINE(also = { xplain = "PLAIN" })
static const struct value_case cases[] = {
{"texts",
	AT(toy_one)
	LINE(rules = [ { if = 'str arg0 == "equal"', count = "toy.a" }, { if = 'str arg0 ^= "pre"', count = "toy.b" },)
	LINE({ if = 'str arg0 *= "needle"', count = "toy.c" }, { if = 'str arg0 != "other"', count = "toy.d" } ]),
	work_texts, "a 1, b 2, c 5, d 9", 1, 19, NULL},
{"texts of more than 63 bytes",
	AT(toy_one)
	LINE(rules = [ { if = 'str arg0 == "012345678901234567890123456789012345678901234567890123456789abc"', count = "toy.a" },)
	LINE({ if = 'str arg0 ^= "012345678901234567890123456789012345678901234567890123456789ABC"', count = "toy.b" } ]),
	work_long_texts, "a 2, b 1", 1, 6, NULL},
{"a needle anywhere",
	AT(toy_one) LINE(rules = [ { if = 'str arg0 *= "needle"', count = "toy.a" } ])
	AT(toy_two) LINE(rules = [ { if = 'str arg0 *= "the longest needle that may be."', count = "toy.b" } ]),
	work_positions, "a 768, b 384", 2, 4 * (PROBE_HAYSTACK + 100), NULL},
{"a needle nowhere",
	AT(toy_one) LINE(rules = [ { if = 'str arg0 *= "needle"', count = "toy.a" } ]),
	work_absent, "", 1, PROBE_HAYSTACK + 101, NULL},
{"texts at the end of mapped memory",
	AT(toy_one) LINE(rules = [ { if = 'str arg0 == "xx"', count = "toy.a" } ])
	AT(toy_two) LINE(rules = [ { if = 'str arg0 ^= "xxxx"', count = "toy.b" } ]),
	work_page_end, "a 1, b 196", 2, 400, NULL},
{"unreadable texts",
	AT(toy_one) LINE(rules = [ { if = 'str arg0 == "text"', count = "toy.a" } ])
	AT(toy_two) LINE(rules = [ { if = 'str arg0 *= "text"', count = "toy.b" } ])
	AT(toy_three) LINE(rules = [ { if = 'str arg0 ^= "text"', count = "toy.c" } ])
	AT(toy_four) LINE(rules = [ { if = '[arg0] == 1', count = "toy.d" }, { if = '[arg0] == 0', count = "toy.e" } ]),
	work_unreadable, "a 1, e 2, read.failures 6", 4, 11, NULL},
{"texts that are not in memory",
	AT(toy_one) LINE(rules = [ { if = 'str arg0 == "a text with a needle"', count = "toy.a" } ])
	AT(toy_two) LINE(rules = [ { if = 'str arg0 *= "needle"', count = "toy.b" } ])
	AT(toy_three) LINE(rules = [ { if = 'str arg0 ^= "a text with a nee"', count = "toy.c" } ])
	AT(toy_four) LINE(rules = [ { if = '[arg0]:s32 == -5', count = "toy.d" } ]),
	work_not_resident, "a 53, b 50, c 50, d 30", 4, 183, NULL},
{"long texts that are not in memory",
	AT(toy_one) LINE(rules = [ { if = 'str arg0 *= "needle"', count = "toy.a" } ]),
	work_not_resident_far, "a 64", 1, 64, NULL},
{"sizes of numbers",
	AT(toy_one)
	LINE(rules = [ { if = '[arg0]:s8 == -2 and [arg0 + 1]:u8 == 254 and [arg0 + 2]:s16 < -2 and [arg0 + 4]:u32 == 4294967292', count = "toy.a" } ])
	AT(toy_two)
	LINE(rules = [ { if = '[arg0 + 8] == -5 and [arg0 + 2]:u16 == 65533 and [arg0 + 4]:s32 < -3 and [arg0 + 4]:s32 >= -4', count = "toy.b" } ])
	AT(toy_three)
	LINE(rules = [ { if = 'arg0:u8 == 0x80 and arg0:s8 == -128 and arg0:u16 == 0x7780 and arg0:s32 == 0x55667780', count = "toy.c" },)
	LINE({ if = 'arg0:u32 == 0 and arg0 < 0', count = "toy.d" } ])
	AT(toy_four)
	LINE(rules = [ { if = '[[arg0] + 8] == 0 and arg0 != 0', count = "toy.e" }, { if = '[[arg0] + 8] == 0', count = "toy.f" } ]),
	work_numbers, "a 1, b 1, c 1, d 1, e 1, f 1", 4, 6, NULL},
{"arguments on the stack",
	LOG
	AT(toy_one) LINE(rules = [ { if = 'arg6 == 6 and arg7 == 7 and arg8 == 8', count = "toy.a" }, { if = 'arg6 < 0', count = "toy.b" } ])
	AT_CALL("first of the texts") LINE(rules = [ { if = 'arg6 == 6 and arg7 == 7 and arg8 == 8', count = "toy.c" } ])
	AT_CALL("second of the texts") LINE(rules = [ { if = 'arg6:s32 == -6 and arg7:s32 == -7 and arg8:s32 == -8', count = "toy.d" } ])
	AT_CALL("jumped to") LINE(rules = [ { if = 'arg6 == 66 and arg7 == 77 and arg8 == 88', count = "toy.e" } ]),
	work_stack, "a 1, b 1, c 2, d 1, e 1", 4, 8, NULL},
{"two texts at one call",
	LOG
	AT_CALL("merged: left") LINE(event = "toy.a")
	AT_CALL("merged: right") LINE(rules = [ { if = "arg1 == 2", count = "toy.b" }, { count = "toy.c" } ]),
	work_merged, "a 5, b 3", 1, 10, NULL},
{"constant numbers at calls",
	LOG
	LINE([[probe]]) LINE(object = "library") LINE(call = "log") LINE(arg1 = 4) LINE(event = "toy.a")
	LINE([[probe]]) LINE(object = "library") LINE(call = "log") LINE(arg1 = [0xffffffff, 100]) LINE(event = "toy.b")
	LINE([[probe]]) LINE(object = "library") LINE(call = "log") LINE(arg1 = 5) LINE(event = "toy.c"),
	work_found, "a 4, b 3, c 2", 5, 9, NULL},
{"constants at the entry of a function",
	AT(toy_log) LINE(arg1 = [4, 5]) LINE(event = "toy.a")
	AT(toy_log) LINE(arg0 = "only here") LINE(rules = [ { if = "arg1 == 5", count = "toy.b" } ]),
	work_found, "a 11, b 2", 1, 14, NULL},
{"a stub",
	LINE([[probe]]) LINE(object = "library") LINE(stub = "toy_log") LINE(rules = [ { if = "arg1 == 4", count = "toy.a" } ])
	LINE([[probe]]) LINE(object = "library") LINE(stub = "toy_log") LINE(when = "return")
	LINE(rules = [ { if = "ret == 0", count = "toy.b" }, { count = "toy.c" } ]),
	work_found, "a 4, b 7, c 2", 2, 18, NULL},
{"a function without a name",
	LINE([function.numbers]) LINE(uses = { texts = "only here", without = "jumped to" }) LINE(size = [10, 1000])
	LINE([[probe]]) LINE(object = "library") LINE(function = "numbers") LINE(rules = [ { if = "arg0 == 1", count = "toy.a" } ])
	LINE([[probe]]) LINE(object = "library") LINE(function = "numbers") LINE(when = "return")
	LINE(rules = [ { if = "ret == 30", count = "toy.b" } ]),
	work_found, "a 4, b 2", 2, 18, NULL},
{"bits and variables",
	AT(toy_one) LINE(rules = [ { if = "(arg0 & 6) == 2", count = "toy.a" }, { if = "(arg0 & 6) == 6", count = "toy.b" } ])
	AT(toy_two)
	LINE(rules = [ { if = '[&toy_number]:u32 == 9 and str [&toy_text] == "a text of the library"', count = "toy.c" }, { count = "toy.d" } ]),
	work_bits, "a 3, b 2, c 2, d 1", 2, 10, NULL},
{"return values",
	AT_RETURN(toy_one)
	LINE(rules = [ { if = "ret == 0", count = "toy.a" }, { if = "ret:s32 == -1", count = "toy.b" },)
	LINE({ if = "ret:s32 < 0", count = "toy.c" }, { if = "ret >= 0x100000000", count = "toy.d" }, { count = "toy.e" } ])
	AT_RETURN(toy_two)
	LINE(rules = [ { if = "ret == 0", count = "toy.f" }, { if = 'str ret == "yes"', count = "toy.g" }, { count = "toy.h" } ]),
	work_returns, "a 1, b 2, c 2, d 1, e 2, f 1, g 1, h 1", 2, 11, NULL},
{"a join by process and pointer",
	LINE([slot]) LINE(kept = "by process and pointer")
	AT(toy_one) LINE(rules = [ { remember = "kept[mix pid arg0] = arg1" } ])
	AT(toy_two)
	LINE(let = [ "found = kept[mix pid arg0]" ])
	LINE(rules = [ { if = "found == 7", count = "toy.a", forget = "kept[mix pid arg0]" }, { if = "found == 8", count = "toy.b" }, { count = "toy.c" } ]),
	work_join, "a 2, b 1, c 4", 2, 11, NULL},
{"a join of entry and return by thread",
	LINE([slot]) LINE(name = "by thread")
	AT(toy_one) LINE(rules = [ { remember = "name[tid] = str arg1" } ])
	AT_RETURN(toy_one)
	LINE(rules = [ { if = 'ret:s32 < 0 and name[tid] == "wanted"', count = "toy.a" }, { if = 'name[tid] != "wanted"', count = "toy.b" }, { count = "toy.c" } ]),
	work_join_return, "a 1, b 2, c 1", 2, 8, NULL},
{"once for each key",
	LINE([slot]) LINE(seen = "by key")
	AT(toy_one)
	LINE(rules = [ { if = "seen[arg0] == 1" }, { count = "toy.a", remember = "seen[arg0] = 1" } ])
	AT(toy_two) LINE(rules = [ { forget = "seen[arg0]" } ]),
	work_once, "a 110", 2, 350, NULL},
{"a remembered text",
	LINE([slot]) LINE(kept = "by key")
	AT(toy_one) LINE(rules = [ { remember = "kept[arg0] = str arg1" } ])
	AT(toy_two)
	LINE(let = [ "found = kept[arg0]" ])
	LINE(rules = [ { if = 'found == "alpha"', count = "toy.a" }, { if = "found == 0", count = "toy.b" }, { if = 'found != "beta"', count = "toy.c" } ]),
	work_text_slot, "a 1, b 1, c 1", 2, 7, NULL},
{"keyed lists",
	LAYOUT
	AT(toy_one)
	LINE(rules = [ { if = 'field list arg0 "result" == "failed at last"', count = "toy.a" }, { if = 'field list arg0 "far" == "away"', count = "toy.b" } ])
	AT(toy_two)
	LINE(rules = [ { if = 'number list arg0 "tries" == 2 and has list arg0 "result" == 1', count = "toy.c" }, { if = 'number list arg0 "tries" == 99', count = "toy.d" },)
	LINE({ if = 'has list arg0 "tries" == 0', count = "toy.e" } ])
	AT(toy_three)
	LINE(rules = [ { if = 'field list arg0 "result" ^= "failed"', count = "toy.f" }, { if = 'field list arg0 "user" == "somebody"', count = "toy.g" } ])
	AT(toy_four)
	LINE(rules = [ { if = 'has list arg0 "empty" == 1 and has list arg0 "null" == 1 and has list arg0 "nul" == 0', count = "toy.h" } ]),
	work_fields, "a 2, b 1, c 2, d 1, e 1, f 2, g 1, h 1", 4, 12, NULL},
{"broken keyed lists",
	LAYOUT
	AT(toy_one) LINE(rules = [ { if = 'has list arg0 "wanted" == 1', count = "toy.a" } ]),
	work_broken_fields, "read.failures 4", 1, 11, NULL},
{"large keyed lists",
	LAYOUT
	AT(toy_one) LINE(rules = [ { if = 'number list arg0 "wanted" == 7', count = "toy.a" }, { count = "toy.b" } ]),
	work_many_fields, "a 2, b 1", 1, 3, NULL},
{"a switch",
	AT(toy_one) LINE(select = 'str arg0 == "alpha"') LINE(rules = [ { if = "arg1 == 1", count = "toy.a" } ])
	AT(toy_one) LINE(select = 'str arg0 == "alpha"') LINE(rules = [ { if = "arg1 == 2", count = "toy.b" }, { count = "toy.c" } ])
	AT(toy_one) LINE(select = 'str arg0 == "beta"') LINE(event = "toy.d")
	AT(toy_one) LINE(rules = [ { if = 'str arg0 != "gamma"', count = "toy.e" }, { if = "arg1 == 1", count = "toy.f" } ]),
	work_switch, "a 2, b 3, c 2, d 4, e 10, f 5", 1, 15, NULL},
{"a chain",
	AT(toy_one) LINE(rules = [ { if = "arg0 == 0", count = "toy.a" }, { if = "arg0 >= 3", count = "toy.b" } ])
	AT(toy_one) LINE(rules = [ { if = "arg0 != 0", count = "toy.c" } ])
	AT(toy_one) LINE(rules = [ { if = "arg0 < 2" }, { count = "toy.d" } ])
	AT(toy_one) LINE(event = "toy.e"),
	work_chain, "a 1, b 3, c 5, d 4, e 6", 1, 6, NULL},
{"the first rule that holds, also if its event is disabled",
	AT(toy_one)
	LINE(rules = [ { if = "arg0 < 2", count = "toy.a" }, { if = "arg0 < 4", count = "toy.b" }, { count = "toy.c" } ])
	AT(toy_two) LINE(event = "toy.b")
	AT(toy_three) LINE(rules = [ { if = "arg0 == 1", count = "toy.d" }, { if = "arg0 < 2", count = "toy.b" } ]),
	work_chain, "a 2, c 2", 2, 6, "toy.b"},
{"a slot that only a disabled event reads",
	LINE([slot]) LINE(kept = "by key") LINE(other = "by key")
	AT(toy_one) LINE(rules = [ { remember = "kept[arg0] = 1" } ])
	AT(toy_two) LINE(rules = [ { if = "kept[arg0] == 1", remember = "other[arg0] = 1" } ])
	AT(toy_three) LINE(rules = [ { if = "other[arg0] == 1", count = "toy.a" } ])
	AT(toy_four) LINE(event = "toy.b"),
	work_once, "", 1, 0, "toy.a"},
{"process names",
	AT(toy_one) LINE(who = "worker-with-a-long-name") LINE(event = "toy.a")
	AT(toy_one) LINE(who = ["boss", "other"]) LINE(rules = [ { if = "arg0 == 0" }, { count = "toy.b" } ])
	AT(toy_one) LINE(rules = [ { if = 'comm == "bosses"', count = "toy.c" } ]),
	work_names, "a 2, b 2, c 1", 1, 6, NULL},
{"labels",
	AT(toy_one)
	LINE(rules = [ { if = "arg0 == 0", count = "toy.a", labels = { reason = "none" } }, { if = "arg0 < 3", count = "toy.a", labels = { reason = "few" } },)
	LINE({ if = "arg0 == 100", count = "toy.a", labels = { reason = "many" } } ]),
	work_chain, "a reason=few 2, a reason=none 1", 1, 6, NULL},
{"a looked-up label",
	MECHANISM
	AT(toy_one) LINE(rules = [ { count = ["toy.a", "toy.b"], by = { mechanism = "str arg0" } } ])
	AT(toy_one) LINE(rules = [ { if = 'arg1 != 0', count = "toy.c", by = { mechanism = "upper str arg1" } } ]),
	work_lookup,
	"a mechanism=LOGIN 4, a mechanism=PLAIN 3, a mechanism=an extension that has a name which is longer than others 1, a mechanism=other 7, "
	"b mechanism=LOGIN 4, b mechanism=PLAIN 3, b mechanism=an extension that has a name which is longer than others 1, b mechanism=other 7, "
	"c mechanism=LOGIN 4, c mechanism=PLAIN 5, c mechanism=other 5", 1, 15, NULL},
{"the text of a label in capital letters",
	LINE([slot]) LINE(kept = "by text")
	AT(toy_one) LINE(rules = [ { if = "kept[str arg1] == 1" }, { remember = "kept[str arg1] = 1" } ])
	AT(toy_one) LINE(rules = [ { if = "kept[upper str arg0] == 1", count = "toy.a", forget = "kept[upper str arg0]" }, { count = "toy.b" } ]),
	work_upper, "a 6375", 1, 6375, NULL},
{"two looked-up labels",
	LINE([label.first]) LINE(values = ["a", "b"]) LINE(also = { c = "C" }) LINE(other = "none of them")
	LINE([label.second]) LINE(values = ["x", "y"])
	AT(toy_one) LINE(rules = [ { count = "toy.a", labels = { kind = "fixed" }, by = { second = "str arg1", first = "str arg0" } } ])
	AT(toy_two) LINE(rules = [ { observe = { "toy.size" = "arg1" }, by = { first = "str arg0" } } ]),
	work_two_labels,
	"a first=C kind=fixed second=x 5, a first=C kind=fixed second=y 6, a first=a kind=fixed second=x 1, a first=a kind=fixed second=y 2, "
	"a first=b kind=fixed second=x 3, a first=b kind=fixed second=y 4, a first=none of them kind=fixed second=other 1, "
	"size first=C 0/0/1/0 25, size first=a 1/0/0/0 5, size first=b 0/1/0/0 15", 2, 25, NULL},
{"a choice",
	LINE([choice.command]) LINE(LIST = "toy.a") LINE(FETCH = "toy.b") LINE("UID FETCH" = "toy.b") LINE(NOOP = "toy.c")
	LINE([choice.again]) LINE(LIST = "toy.e") LINE(FETCH = "toy.f")
	LINE([label.way]) LINE(values = ["x", "y"])
	AT(toy_one) LINE(rules = [ { choose = { command = "str arg0" } } ])
	AT(toy_one) LINE(rules = [ { choose = { again = "upper str arg0" }, by = { way = "str arg1" }, count = "toy.d" } ]),
	work_choice, "a 2, b 7, d way=other 1, d way=x 9, d way=y 3, e way=x 2, f way=x 5", 1, 13, "toy.c"},
{"a label by a remembered text",
	MECHANISM LINE([slot]) LINE(kept = "by key")
	AT(toy_one) LINE(rules = [ { remember = "kept[arg0] = str arg1" } ])
	AT(toy_two) LINE(rules = [ { count = "toy.a", by = { mechanism = "kept[arg0]" } } ]),
	work_remembered_text, "a mechanism=LOGIN 1, a mechanism=PLAIN 1, a mechanism=other 1", 2, 5, NULL},
{"the beginning of a text",
	LINE([label.start]) LINE(values = ["PLA", "LO"])
	AT(toy_one) LINE(rules = [ { count = "toy.a", by = { start = "head 3 str arg0" } } ]),
	work_lookup, "a start=PLA 3, a start=other 12", 1, 15, NULL},
{"histograms",
	AT(toy_one) LINE(rules = [ { observe = { "toy.size" = "arg0" } } ])
	AT(toy_two) LINE(rules = [ { observe = { "toy.most" = "arg0" } } ]),
	work_sizes,
	"most 2/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/1/5 435, size 4/2/2/2 1099511629849", 2, 40, NULL},
{"histograms of times",
	AT(toy_one)
	LINE(rules = [ { observe = { "toy.time" = "arg0" }, labels = { from = "ns" } } ])
	AT(toy_one)
	LINE(rules = [ { observe = { "toy.time" = "(arg1 * 1000)" }, labels = { from = "us" } } ]),
	work_times, "time from=ns 1/2/2/2/1 121.430000004, time from=us 1/2/2/2/1 121.430004", 1, 8, NULL},
{"clocks",
	LINE([slot]) LINE(began = "by thread")
	AT(toy_one)
	LINE(let = [ "up = span arg0 now", "real = span arg1 realtime" ])
	LINE(rules = [ { if = "up >= 5000000000 and up < 6000000000 and real >= 5000000000 and real < 6000000000", count = "toy.a" } ])
	AT(toy_two)
	LINE(let = [ "up = span now arg0", "real = span realtime arg1" ])
	LINE(rules = [ { if = "up >= 4000000000 and up < 5000000000 and real >= 4000000000 and real < 5000000000", count = "toy.b" } ])
	AT(toy_three)
	LINE(rules = [ { if = "timeval arg0 == 1700000000123456000 and span timeval arg1 timeval arg0 == 1000", count = "toy.c" },)
	LINE({ if = "timeval arg0 == 1700000000123455000 and span timeval arg1 timeval arg0 == 0", count = "toy.d" },)
	LINE({ if = "timeval arg1 == 0 and span timeval arg1 timeval arg0 == 1700000000123456000", count = "toy.e" } ])
	AT(toy_four)
	LINE(let = [ "took = span began[tid] now" ])
	LINE(rules = [ { if = "arg0 == 0", remember = "began[tid] = now" }, { if = "began[tid] != 0 and took >= 20000000 and took < 2000000000", count = "toy.f" } ]),
	work_clocks, "a 1, b 1, c 1, d 1, e 1, f 3, read.failures 1", 4, 12, NULL},
{"sums and products",
	AT(toy_one) LINE(rules = [ { if = 'str (arg0 + 6) == "second"', count = "toy.a" }, { if = 'str (arg0 + 5) == "second"', count = "toy.b" } ])
	AT(toy_two) LINE(rules = [ { if = "(arg0 * 3) == 21 and (arg1 + -4) == -7", count = "toy.c" }, { if = "(arg0 * 3) == -21 and ((arg1 + 7) * -10) == -100", count = "toy.d" } ]),
	work_sums, "a 1, b 1, c 1, d 1", 2, 4, NULL},
{"arguments of the process",
	AT(toy_one) LINE(rules = [ { if = 'str args == "made up" and str (args + 8) == "two"', count = "toy.a" }, { count = "toy.b" } ]),
	work_args, "a 2, b 1", 1, 3, NULL},
{"several actions of one rule",
	LINE([label.kind]) LINE(values = ["odd", "even"])
	AT(toy_one)
	LINE(rules = [ { count = ["toy.a", "toy.b"], observe = { "toy.size" = "arg0", "toy.most" = "arg0" }, labels = { way = "x" }, by = { kind = "str arg1" } } ]),
	work_all,
	"a kind=even way=x 5, a kind=odd way=x 5, b kind=even way=x 5, b kind=odd way=x 5, "
	"most kind=even way=x 1/1/0/1/0/1/0/1/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0 20, most kind=odd way=x 1/0/1/0/1/0/1/0/1/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0 25, "
	"size kind=even way=x 5/0/0/0 20, size kind=odd way=x 5/0/0/0 25", 1, 10, NULL},
};
/* clang-format on */

static char *library;
static enum probe_method method;

static void test_case(void **state)
{
	const struct value_case *this = *state;
	char rows[8192];
	struct toy toy;
	struct bed bed;

	snprintf(rows, sizeof(rows), "[object.library]\nfile = \"%s\"\n%s", library, this->rows);
	bed_open(&bed, "test-values", rows, &(struct bed_options){.method = method, .disabled = this->disabled});
	toy = toy_fork(this->work);
	bed_attach(&bed, getpid(), this->probes);
	toy_go(&toy);
	bed_check(&bed, this->name, this->want);
	assert_int_equal(bed_value(&bed, "mailgauge.probe.hits"), this->hits);
	bed_close(&bed);
	toy_end(&toy);
}

/* find_functions - the library is loaded before the children are made, so that it is mapped when we attach */
static void find_functions(void)
{
	void *handle = dlopen(bed_file(library), RTLD_NOW);
	struct {
		const char *name;
		void *address;
	} wanted[] = {{"toy_one", &one},
		      {"toy_two", &two},
		      {"toy_three", &three},
		      {"toy_four", &four},
		      {"toy_log_jump", &log_jump},
		      {"toy_log_numbers", &log_numbers},
		      {"toy_log", &log_directly},
		      {"toy_log_at_once", &log_at_once},
		      {"toy_log_merged", &log_merged}};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		void *found = handle ? dlsym(handle, wanted[i].name) : NULL;

		if (!found) {
			fprintf(stderr, "%s: %s\n", library, dlerror());
			exit(2);
		}
		memcpy(wanted[i].address, &found, sizeof(found));
	}
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[sizeof(cases) / sizeof(*cases)];
	size_t count = 0;

	method = bed_method(argc, argv, 2);
	library = argv[1];
	arguments = argv[0];
	find_functions();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		tests[count++] =
		    (struct CMUnitTest){cases[i].name, test_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
	if (getenv("TOY_CASES"))
		cmocka_set_test_filter(getenv("TOY_CASES"));
	return _cmocka_run_group_tests("values", tests, count, NULL, NULL);
}
