/* SPDX-License-Identifier: Apache-2.0 */
#include "base/nearest.h"

#include <string.h>

#define WORD_MAX 96

static unsigned min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* mistakes - how many letters were left out, put in, changed, or swapped with the next ("optimal string alignment") */
static unsigned mistakes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned *free_row = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			row[j] = min(min(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = min(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = free_row;
	}
	return above[b_len];
}

void nearest_init(struct nearest *nearest, const char *word)
{
	size_t len = strlen(word);

	/* One mistake in three letters is near, one in two as well; a word of one letter is near to nothing. */
	*nearest = (struct nearest){.word = word, .limit = len < 2 ? 0 : len < 6 ? 2 : min((unsigned)len / 3, 5) + 1};
}

void nearest_offer(struct nearest *nearest, const char *known)
{
	size_t word_len = strlen(nearest->word), known_len = strlen(known);
	unsigned count;

	if (word_len > WORD_MAX || known_len > WORD_MAX)
		return;
	count = mistakes(nearest->word, word_len, known, known_len);
	if (count < nearest->limit) {
		nearest->limit = count;
		nearest->best = known;
	}
}
