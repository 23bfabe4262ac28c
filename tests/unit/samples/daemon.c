// SPDX-License-Identifier: Apache-2.0
/* A small server as a compiler makes it, built in the ways that distributions build: see the Makefile. */
#include <stdarg.h>
#include <stdio.h>

struct session {
	FILE *out;
	int state, errors;
};

__attribute__((noinline, format(printf, 2, 3))) static void reply(struct session *session, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(session->out, format, args);
	va_end(args);
	fputs("\r\n", session->out);
}

static void command(struct session *session, int code, const char *text)
{
	switch (code) {
	case 'h':
		session->state = 1;
		reply(session, "250 hello %s", text);
		break;
	case 'm':
		if (session->state)
			reply(session, "250 sender ok");
		else
			reply(session, "503 say hello first");
		break;
	case 'r':
		reply(session, session->state ? "250 recipient ok" : "503 say who you are first");
		break;
	case 'd':
		reply(session, "354 go ahead");
		break;
	case 'q':
		puts("quit by the client");
		reply(session, "221 bye");
		break;
	default:
		if (session->errors++ > 3)
			puts("too many errors");
		reply(session, "500 unknown command %d", code);
		break;
	}
}

int main(int argc, char **argv)
{
	struct session session = {.out = stdout};

	puts("session begins");
	for (int i = 1; i < argc; i++)
		command(&session, argv[i][0], argv[i] + 1);
	puts("session ends");
	return 0;
}
