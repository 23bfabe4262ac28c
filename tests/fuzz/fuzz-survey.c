/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz-survey.c - any bytes as the program of an unknown server: the survey must neither crash nor hang, and what it
 * prints must load as a catalog file, as it is and with all that is commented out. */
#include "survey.c"

#include "catalog/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_loads(const struct catalog *catalog, const char *text)
{
	struct arena *mem = arena_new();
	struct server_def *server;
	char err[512];

	if (catalog_parse_server(&server, &catalog->events, "survey.toml", text, strlen(text), mem, err))
		abort();
	arena_free(&mem);
}

/* uncomment - all lines that can be taken as they are */
static void uncomment(char *text)
{
	char *to = text;

	for (char *from = text; *from; from++)
		if (*from != '#' || (from != text && from[-1] != '\n') || from[1] == ' ')
			*to++ = *from;
	*to = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct catalog *catalog;
	struct elf_image *elf;
	struct buf out;
	char err[512];

	if (!catalog && catalog_load(&catalog, NULL, err))
		abort();
	if (elf_open_mem(&elf, data, size, err))
		return 0;
	buf_init(&out, SURVEY_MAX);
	if (!survey_write(&out, "/usr/sbin/survey", elf, err)) {
		if (buf_failed(&out))
			abort();
		check_loads(catalog, out.data);
		uncomment(out.data);
		check_loads(catalog, out.data);
	}
	buf_free(&out);
	elf_free(&elf);
	return 0;
}
