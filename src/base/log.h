/* SPDX-License-Identifier: Apache-2.0 */
/* log.h - owns the program's messages on stderr (level, format); knows nothing of what they are about.
 * warn = the user's surroundings are not as they should be, error = something asked for cannot be done. */
#ifndef MAILGAUGE_LOG_H
#define MAILGAUGE_LOG_H
#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };

void log_set(enum log_level level, enum log_format format);
/* log_level_parse, log_format_parse - a name as written on the command line; false when it is unknown */
bool log_level_parse(const char *name, enum log_level *level);
bool log_format_parse(const char *name, enum log_format *format);
bool log_enabled(enum log_level level);
/* log_at - one message without a final newline */
void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)

#endif
