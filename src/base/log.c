/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"

#define MESSAGE_MAX ((size_t)4096)
#define LINE_BYTES  (MESSAGE_MAX * 6 + 256) /* every character as \u00NN, and what stands before it */

static enum log_level min_level = LOG_INFO;
static enum log_format out_format = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"text", "logfmt", "json"};

void log_set(enum log_level level, enum log_format format)
{
	min_level = level;
	out_format = format;
}

bool log_level_parse(const char *name, enum log_level *level)
{
	for (unsigned i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (!strcmp(name, level_names[i])) {
			*level = (enum log_level)i;
			return true;
		}
	return false;
}

bool log_format_parse(const char *name, enum log_format *format)
{
	for (unsigned i = 0; i < sizeof(format_names) / sizeof(format_names[0]); i++)
		if (!strcmp(name, format_names[i])) {
			*format = (enum log_format)i;
			return true;
		}
	return false;
}

bool log_enabled(enum log_level level)
{
	return level >= min_level;
}

static void put_time(struct buf *line)
{
	struct timespec now;
	struct tm utc;
	char text[32];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	buf_printf(line, "%s.%03ldZ", text, now.tv_nsec / 1000000);
}

void log_at(enum log_level level, const char *format, ...)
{
	char message[MESSAGE_MAX];
	struct buf line;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);

	buf_init(&line, LINE_BYTES);
	switch (out_format) {
	case LOG_TEXT:
		if (level != LOG_INFO)
			buf_printf(&line, "%s: ", level == LOG_WARN ? "warning" : level_names[level]);
		buf_visible(&line, message, sizeof(message));
		break;
	case LOG_LOGFMT: /* a JSON string is a valid logfmt value */
		buf_puts(&line, "ts=");
		put_time(&line);
		buf_printf(&line, " level=%s msg=", level_names[level]);
		buf_json_string(&line, message);
		break;
	case LOG_JSON:
		buf_puts(&line, "{\"ts\":\"");
		put_time(&line);
		buf_printf(&line, "\",\"level\":\"%s\",\"msg\":", level_names[level]);
		buf_json_string(&line, message);
		buf_putc(&line, '}');
		break;
	}
	buf_putc(&line, '\n');
	/* One write per message, so that lines of several threads never mix. */
	if (line.len && write(STDERR_FILENO, line.data, line.len) < 0)
		(void)0; /* nowhere left to say so */
	buf_free(&line);
}
