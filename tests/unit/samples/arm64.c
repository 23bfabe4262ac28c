// SPDX-License-Identifier: Apache-2.0
/* The same for another machine, without a C library: nothing of it is ever executed. */
#define APART __attribute__((noinline))

struct driver {
	const char *name;
	int (*init)(const char *);
	int (*serve)(const char *);
};

int errors;

APART void say(const char *text, const char *line)
{
	errors += text[0] + line[0];
}

APART int used_once(const char *line)
{
	say("only one", line);
	return errors;
}

APART int used_shared(const char *line)
{
	say("shared", line);
	say("second", line);
	return errors + 1;
}

APART int used_other(const char *line)
{
	say("shared", line);
	say("third", line);
	return errors + 2;
}

APART int first_serve(const char *line)
{
	return errors += line[1];
}

const struct driver drivers[] = {{"first driver", 0, first_serve}, {"second driver", used_once, used_shared}};

int _start(int argc, char **argv);
int _start(int argc, char **argv)
{
	return used_once(argv[0]) + used_shared(argv[1]) + used_other(argv[2]) + drivers[argc].serve(argv[3]);
}
