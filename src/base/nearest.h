/* SPDX-License-Identifier: Apache-2.0 */
/* nearest.h - owns the guess which known word was meant by a mistyped one; it knows no word itself. */
#ifndef MAILGAUGE_NEAREST_H
#define MAILGAUGE_NEAREST_H

struct nearest {
	const char *word;
	const char *best; /* the nearest word offered so far, or NULL while none is near */
	unsigned limit;   /* a word must differ by fewer mistakes than this */
};

/* nearest_init - begin the search for what `word` was meant to be */
void nearest_init(struct nearest *nearest, const char *word);
/* nearest_offer - a known word; both texts are borrowed. Of equally near ones the first offered wins. */
void nearest_offer(struct nearest *nearest, const char *known);

#endif
