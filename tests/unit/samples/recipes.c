// SPDX-License-Identifier: Apache-2.0
/* Functions that recipes find, or must not find, as a compiler makes them. The same source is built in several ways,
 * once with symbols (so that a test knows what is right) and once without. */
#include <stdio.h>
#include <stdlib.h>

#define APART __attribute__((noinline, noclone))

int errors; /* variables that have names */
long counters[4] = {1, 2};
static __thread int thread_errors;

struct driver {
	const char *name;
	const int *options;
	long option_len;
	int (*init)(const char *);
	int (*serve)(const char *);
};

APART int used_once(const char *line)
{
	return printf("only one: %s\n", line);
}

APART int used_shared(const char *line)
{
	printf("shared: %s\n", line);
	return printf("second: %s\n", line);
}

APART int used_other(const char *line)
{
	printf("shared: %s\n", line);
	return printf("third: %s\n", line);
}

static inline int inlined(const char *line)
{
	return printf("inlined twice: %s\n", line) + thread_errors++;
}

APART int used_inline_1(const char *line)
{
	return inlined(line) + 1;
}

APART int used_inline_2(const char *line)
{
	return inlined(line) - 1;
}

/* what the compiler takes for a sign of a path that is seldom taken */
__attribute__((cold, noinline)) void rare(const char *line)
{
	thread_errors += line[0];
}

APART int used_cold(const char *line)
{
	for (const char *c = line; *c; c++) {
		if (__builtin_expect(*c == '!', 0)) {
			rare(line);
			printf("in the cold part: %s\n", line);
			errors += printf("still cold: %s\n", c);
		}
		errors += *c;
	}
	return errors;
}

/* "tail of a text" may be the end of this one, when the linker merges */
APART int used_whole(const char *line)
{
	return puts("a head and the tail of a text") + puts(line);
}

APART int used_tail(const char *line)
{
	return puts("the tail of a text") + puts(line);
}

/* hands over to used_last by a jump, and is no part of it, nor the other way round */
APART int used_last(const char *line)
{
	return printf("last: %s\n", line);
}

APART int used_jump(const char *line)
{
	errors += printf("before the jump: %s\n", line);
	return used_last(line);
}

APART int first_init(const char *line)
{
	return errors += line[0];
}

APART int first_serve(const char *line)
{
	return errors += line[1];
}

APART int second_init(const char *line)
{
	return errors -= line[2];
}

APART int second_serve(const char *line)
{
	return errors -= line[3];
}

static const int options[] = {1, 2, 3};

const struct driver drivers[] = {
    {"first driver", options, 3, first_init, first_serve},  {"second driver", options, 1, second_init, second_serve},
    {"in two tables", options, 1, first_init, first_serve}, {"in equal tables", options, 1, first_init, first_serve},
    {"without functions", options, 1, NULL, NULL},
};
struct driver more_drivers[] = {
    {"in two tables", options, 1, first_init, second_serve},
    {"in equal tables", options, 2, first_init, first_serve},
};

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int (*const functions[])(const char *) = {used_once,     used_shared,   used_other,
							  used_inline_1, used_inline_2, used_cold,
							  used_whole,    used_tail,     used_jump};

		errors += functions[i % 9](argv[i]);
		errors += drivers[argc % 5].serve(argv[i]) + more_drivers[argc % 2].init(argv[i]);
	}
	return errors + (int)counters[1];
}
