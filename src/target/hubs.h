/* SPDX-License-Identifier: Apache-2.0 */
/* hubs.h - owns the finding of hubs in a file that nobody has looked at: functions that get a constant text in one
 * argument from many places, as log and reply functions do. It knows no mail server, but the words of mail. */
#ifndef MAILGAUGE_HUBS_H
#define MAILGAUGE_HUBS_H
#include "target/xref.h"

#define HUB_TEXTS_MIN  5 /* different texts that make a callee a hub */
#define HUB_VOTES_MAX  8
#define HUBS_NAMED_MAX 64 /* of so many the name or votes are looked for */

struct hub_text {
	const char *text;                 /* owned by the image */
	unsigned score;                   /* how much it tells of mail, 0 nothing */
	unsigned call_cnt, undecided_cnt; /* calls that it reaches; those that other values reach too */
	bool is_own;                      /* no other function gets it in this argument */
};

struct hub {
	uint64_t callee, slot; /* as struct xref_query has them */
	int arg;
	const char *import, *symbol; /* a name, or NULL; owned by the image */
	/* Of a function without a name: texts that this function alone gets, of which vote_min are enough; none when
	 * there are too few of them. */
	const char *votes[HUB_VOTES_MAX];
	size_t vote_cnt;
	unsigned vote_min;
	struct hub_text *texts; /* the most telling ones first */
	size_t text_cnt;
	unsigned score;    /* texts that are more than a word and tell of mail */
	unsigned call_cnt; /* all calls of it, whatever they pass */
};

struct hubs {
	struct hub *items; /* those with the highest score first */
	size_t count;
	bool is_cut; /* the file has more than could be looked at */
};

/* hubs_find - of the indexed file; both must live longer than *out. The search is cut when CLOCK_PROCESS_CPUTIME_ID is
 * past `end_ns`: only for a made-up file is it. 0, or -EOPNOTSUPP code of another machine; the reason in err. */
int hubs_find(struct hubs **out, const struct xref *xref, const struct elf_image *elf, uint64_t end_ns,
	      char err[static 256]);
void hubs_free(struct hubs **hubs);

#endif
