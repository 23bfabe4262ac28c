/* SPDX-License-Identifier: Apache-2.0 */
/* sample.h - what the tests of src/target share: reading the files that samples/build.sh has made. */
#ifndef MAILGAUGE_TEST_SAMPLE_H
#define MAILGAUGE_TEST_SAMPLE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants the four above first */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf.h"

/* sample_read - the bytes of a sample; the caller frees them */
static inline unsigned char *sample_read(const char *name, size_t *size)
{
	char path[512];
	unsigned char *data = malloc(4 << 20);
	FILE *file;

	assert_non_null(data);
	snprintf(path, sizeof(path), "%s/%s", SAMPLES_DIR, name);
	file = fopen(path, "rb");
	if (!file)
		fail_msg("cannot open %s", path);
	*size = fread(data, 1, 4 << 20, file);
	assert_true(*size < 4 << 20);
	fclose(file);
	return data;
}

static inline struct elf_image *sample_open(const char *name)
{
	size_t size;
	unsigned char *data = sample_read(name, &size);
	struct elf_image *elf;
	char err[256];

	if (elf_open_mem(&elf, data, size, err))
		fail_msg("%s: %s", name, err);
	free(data);
	return elf;
}

/* sample_addr - address of a label that an assembler sample marks */
static inline uint64_t sample_addr(const struct elf_image *elf, const char *name)
{
	struct elf_symbol symbol;

	if (elf_symbol(elf, name, &symbol))
		fail_msg("the sample has no label %s", name);
	return symbol.addr;
}

#endif
