/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-catalog.c - any bytes as a server's catalog file: a message or tables, never a crash or a hang.
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
	    "message-ingest.lmtp = 'H.'\n";
	struct arena *mem = arena_new();
	struct server_def *server = NULL;
	struct events events;
	char err[512] = "";
	int ret;

	if (events_parse(&events, "events.toml", vocabulary, strlen(vocabulary), mem, err))
		abort();
	ret = catalog_parse_server(&server, &events, "fuzz.toml", (const char *)data, size, mem, err);
	/* A failure has a message with a place, a success has something to count. */
	if (ret ? !strchr(err, ':') || err[0] == '\0' : server->event_cnt == 0)
		abort();
	arena_free(&mem);
	return 0;
}
