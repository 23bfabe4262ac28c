/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-catalog.c - any bytes as a server's catalog file, and as a vocabulary: a message or tables, never a crash or a
 * hang.
 * Seeds: tests/golden/catalog and src/catalog. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "catalog/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char vocabulary[] =
	    "auth.success = 'A.'\nauth.failed = 'B.'\nauth.error = 'C.'\nsmtp.error = 'D.'\n"
	    "smtp.quit = 'E.'\nsmtp.rejected = 'F.'\nauth.login-completed = 'G.'\n"
	    "message-ingest.lmtp = 'H.'\nimap.select = 'I.'\nimap.fetch = 'J.'\npop3.quit = 'K.'\n"
	    "imap.active-connections = { kind = 'gauge', unit = '{connection}', help = 'L.' }\n"
	    "pop3.active-connections = { kind = 'gauge', unit = '{connection}', help = 'M.' }\n"
	    "delivery.active-connections = { kind = 'gauge', unit = '{attempt}', help = 'N.' }\n"
	    "queue.count = { kind = 'gauge', unit = '{message}', help = 'O.' }\n"
	    "imap.command-time = { kind = 'histogram', unit = 's', bounds = 'some', help = 'P.' }\n"
	    "message.size = { kind = 'histogram', unit = 'By', bounds = 'some', help = 'Q.' }\n"
	    "bounds.some = [1, 2]\n";
	struct arena *mem = arena_new();
	struct server_def *server = NULL;
	struct events events, other;
	char err[512] = "";
	int ret;

	if (events_parse(&events, "events.toml", vocabulary, strlen(vocabulary), mem, err))
		abort();
	ret = catalog_parse_server(&server, &events, "fuzz.toml", (const char *)data, size, mem, err);
	/* A failure has a message with a place, a success has something to count. */
	if (ret ? !strchr(err, ':') || err[0] == '\0' : server->event_cnt == 0)
		abort();
	ret = events_parse(&other, "fuzz.toml", (const char *)data, size, mem, err);
	if (ret && !strchr(err, ':'))
		abort();
	arena_free(&mem);
	return 0;
}
