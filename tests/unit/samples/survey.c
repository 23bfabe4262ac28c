// SPDX-License-Identifier: Apache-2.0
/* A program with hubs of all kinds: imported, exported, local, and one that gets what no row can have. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

int log_level;

__attribute__((noinline)) void log_write(int level, const char *text)
{
	if (level < log_level)
		puts(text);
}

__attribute__((noinline)) static void reply(FILE *out, const char *text)
{
	fputs(text, out);
	fputs("\r\n", out);
}

__attribute__((noinline)) static void odd(const char *text)
{
	fputs(text, stderr);
}

int main(int argc, char **argv)
{
	int code = argc > 1 ? atoi(argv[1]) : 0;
	const char *why = argc > 2 ? "502 disabled" : "502 unknown";

	syslog(LOG_INFO, "connect from %s", argv[0]);
	syslog(LOG_INFO, "connect from %s", argv[1]);
	switch (code) {
	case 1:
		syslog(LOG_INFO, "login failed for %s", argv[1]);
		log_write(1, "password refused");
		reply(stdout, "535 no");
		break;
	case 2:
		syslog(LOG_INFO, "login of %s", argv[1]);
		log_write(1, "user let in");
		reply(stdout, "235 welcome");
		break;
	case 3:
		syslog(LOG_ERR, "queue is full");
		log_write(2, "queued");
		reply(stdout, "452 later");
		break;
	case 4:
		syslog(LOG_ERR, "a");
		log_write(2, "b c");
		reply(stdout, "250 ok");
		break;
	case 5:
		log_write(2, "say \"\\\"\t\n");
		reply(stdout, "354 go on");
		break;
	case 6:
		odd("bell\a");
		odd("\xff\xfe");
		odd("a text of more than a hundred bytes, which no line of the survey shall have in full: 0123456789 0123456789");
		odd("a text of a hundred bytes, then a character of two: 01234567890123456789012345678901234567890123456\xc3\xa4 end");
		odd("message");
		break;
	default:
		reply(stdout, why);
		break;
	}
	closelog();
	return 0;
}
