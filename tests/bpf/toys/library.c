/* SPDX-License-Identifier: Apache-2.0 */
/* Functions to be probed, in a library that is stripped. Each begins with a push, which the kernel emulates, and does
 * nothing that a caller could see but give back its first argument. */
#include "library.h"

#define PROBED            __attribute__((noipa, visibility("default")))
#define PUSH_A_REGISTER() __asm__ volatile("" ::: "rbx", "memory")

PROBED long toy_one(TOY_NINE)
{
	PUSH_A_REGISTER();
	return a0;
}

PROBED long toy_two(TOY_NINE)
{
	PUSH_A_REGISTER();
	return a0;
}

PROBED long toy_three(TOY_NINE)
{
	PUSH_A_REGISTER();
	return a0;
}

PROBED long toy_four(TOY_NINE)
{
	PUSH_A_REGISTER();
	return a0;
}

/* Called from within this library, by the stub of an import like any function that can be overridden. */
PROBED long toy_log(TOY_NINE)
{
	PUSH_A_REGISTER();
	return a0;
}

PROBED void toy_log_at_once(long which)
{
	if (which == 1)
		toy_log((long)"first of the texts", which, 0, 0, 0, 0, 6, 7, 8);
	else
		toy_log((long)"second of the texts", 0, which, 0, 0, 0, -6, -7, -8);
}

/* One call that two texts arrive at, and a third one that the test does not ask for. */
PROBED void toy_log_merged(long which)
{
	const char *text = "merged: neither";

	if (which == 1)
		text = "merged: left";
	else if (which == 2)
		text = "merged: right";
	toy_log((long)text, which, 0, 0, 0, 0, 0, 0, 0);
}

/* A jump: the stack arguments stay where the caller has put them. */
PROBED long toy_log_jump(TOY_NINE)
{
	return toy_log((long)"jumped to", a1, a2, a3, a4, a5, a6, a7, a8);
}

/* What the library shows of its state. */
__attribute__((visibility("default"))) unsigned toy_number = 7;
__attribute__((visibility("default"))) const char *toy_text = "a text of the library";

/* Found by the text that it alone uses; the numbers are constants at calls. */
PROBED long toy_log_numbers(long which)
{
	if (which == 1)
		return toy_log(0, 4, 0, 0, 0, 0, 0, 0, 0) + 10;
	if (which == 2)
		return toy_log(0, -1, 0, 0, 0, 0, 0, 0, 0) + 20;
	toy_number = (unsigned)which;
	return toy_log((long)"only here", which, 0, 0, 0, 0, 0, 0, 0) ? 30 : 0;
}

/* TOY_MANY functions, for a test with so many probes. */
#define MANY(n)                        \
	PROBED void toy_many_##n(void) \
	{                              \
		PUSH_A_REGISTER();     \
	}
#define MANY_10(n) \
	MANY(n##0) MANY(n##1) MANY(n##2) MANY(n##3) MANY(n##4) MANY(n##5) MANY(n##6) MANY(n##7) MANY(n##8) MANY(n##9)
#define MANY_100(n)   \
	MANY_10(n##0) \
	MANY_10(n##1) \
	MANY_10(n##2) MANY_10(n##3) MANY_10(n##4) MANY_10(n##5) MANY_10(n##6) MANY_10(n##7) MANY_10(n##8) MANY_10(n##9)
MANY_100(1)
MANY_100(2)
MANY_100(3)
