/* SPDX-License-Identifier: Apache-2.0 */
/* eh_frame.c - Linux Standard Base 5.0, Core, 10.6 "Exception Frames". The section is a list of entries: a length,
 * then 0 for common information (CIE) or the distance back to the CIE for a function (FDE). Each step goes forward
 * by at least the length's own four bytes, and a CIE refers to nothing, so no file can keep this busy for ever. */
#include "target/eh_frame.h"

#include "target/cursor.h"

/* Pointer encodings (DW_EH_PE_*): the low four bits are the format, the next three what it is relative to. */
enum { PE_ABSPTR = 0, PE_UDATA2 = 2, PE_UDATA4 = 3, PE_UDATA8 = 4, PE_SDATA2 = 10, PE_SDATA4 = 11, PE_SDATA8 = 12 };
enum { PE_FORMAT = 0x0f, PE_PCREL = 0x10, PE_OTHER_BASE = 0x60, PE_INDIRECT = 0x80, PE_OMIT = 0xff };

struct frames {
	const unsigned char *base, *end;
	uint64_t addr;
	const unsigned char *cie; /* the last one that was looked at */
	unsigned encoding;        /* how its functions write their addresses */
};

/* skip_leb128 - no value in this format is of interest here */
static void skip_leb128(struct cursor *cur)
{
	while (take(cur, 1) & 0x80)
		;
}

/* take_encoded - a pointer of this format; what it is relative to is left to the caller */
static uint64_t take_encoded(struct cursor *cur, unsigned encoding)
{
	switch (encoding & PE_FORMAT) {
	case PE_ABSPTR:
	case PE_UDATA8:
	case PE_SDATA8:
		return take(cur, 8);
	case PE_UDATA4:
		return take(cur, 4);
	case PE_SDATA4:
		return (uint64_t)(int64_t)(int32_t)take(cur, 4);
	case PE_UDATA2:
		return take(cur, 2);
	case PE_SDATA2:
		return (uint64_t)(int64_t)(int16_t)take(cur, 2);
	default:
		cur->failed = true;
		return 0;
	}
}

/* take_entry - the body of the next entry, behind its length */
static bool take_entry(struct cursor *cur, struct cursor *body)
{
	uint64_t length = take(cur, 4);

	if (length == 0xffffffff)
		length = take(cur, 8);
	*body = (struct cursor){cur->p, cur->p, false};
	skip(cur, length);
	body->end = cur->p;
	return !cur->failed;
}

/* augmentation_encoding - what the augmentation says; each letter stands for some bytes of data */
static unsigned augmentation_encoding(const unsigned char *letters, struct cursor data)
{
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			return data.failed ? PE_OMIT : (unsigned)take(&data, 1);
		case 'P':
			take_encoded(&data, (unsigned)take(&data, 1));
			break;
		case 'L':
			take(&data, 1);
			break;
		case 'S':
		case 'B':
		case 'G':
			break;
		default:
			return PE_OMIT;
		}
	}
	return PE_ABSPTR;
}

/* cie_encoding - how the functions of this CIE write their addresses, PE_OMIT when that cannot be told */
static unsigned cie_encoding(struct cursor cie)
{
	unsigned version = (unsigned)take(&cie, 1);
	const unsigned char *letters = cie.p;
	const unsigned char *nul = cie.failed ? NULL : memchr(letters, 0, (size_t)(cie.end - letters));

	if (!nul || (version != 1 && version != 3))
		return PE_OMIT;
	if (*letters != 'z') /* only with 'z' can the augmentation be skipped */
		return *letters ? PE_OMIT : PE_ABSPTR;
	cie.p = nul + 1;
	skip_leb128(&cie); /* code alignment */
	skip_leb128(&cie); /* data alignment */
	if (version == 1)
		skip(&cie, 1); /* return address register */
	else
		skip_leb128(&cie);
	skip_leb128(&cie); /* size of the augmentation's data */
	return augmentation_encoding(letters + 1, cie);
}

/* is_part - do the function's instructions say anything about its very first byte? `body` stands at the augmentation's
 * data. Of a function that is called the first one always goes ahead. DWARF 5, 6.4.2 "Call Frame Instructions". */
static bool is_part(struct cursor body)
{
	enum { NOP = 0, SET_LOC = 1, ADVANCE_LOC4 = 4, HIGH_BITS = 0xc0, ADVANCE_LOC = 0x40 };
	uint64_t size = take(&body, 1), insn;

	if (size & 0x80) /* longer than any that there is */
		return false;
	skip(&body, size);
	insn = take(&body, 1);
	return !body.failed && insn != NOP && !(insn >= SET_LOC && insn <= ADVANCE_LOC4) &&
	       (insn & HIGH_BITS) != ADVANCE_LOC;
}

/* read_fde - `id` is where the distance to the CIE stands, `body` what follows */
static bool read_fde(struct frames *frames, const unsigned char *id, uint64_t distance, struct cursor body,
		     uint64_t *addr, uint64_t *size, bool *is_split)
{
	if (distance > (uint64_t)(id - frames->base))
		return false;
	if (frames->cie != id - distance) {
		struct cursor cur = {id - distance, frames->end, false}, cie;

		frames->cie = id - distance;
		frames->encoding = take_entry(&cur, &cie) && take(&cie, 4) == 0 ? cie_encoding(cie) : PE_OMIT;
	}
	if (frames->encoding & (PE_INDIRECT | PE_OTHER_BASE)) /* PE_OMIT too */
		return false;
	*addr = frames->encoding & PE_PCREL ? frames->addr + (uint64_t)(body.p - frames->base) : 0;
	*addr += take_encoded(&body, frames->encoding);
	*size = take_encoded(&body, frames->encoding);
	*is_split = is_part(body);
	return !body.failed;
}

void eh_frame_read(const unsigned char *bytes, size_t size, uint64_t addr, bool is_bounded,
		   void (*add)(void *context, uint64_t addr, uint64_t size, bool is_part), void *context)
{
	struct frames frames = {.base = bytes, .end = bytes + size, .addr = addr};
	struct cursor cur = {bytes, bytes + size, false}, body;

	while (take_entry(&cur, &body)) {
		const unsigned char *id = body.p;
		uint64_t distance, func_addr, func_size;
		bool is_split;

		if (body.p == body.end && !is_bounded)
			break;
		distance = take(&body, 4);
		if (!body.failed && distance &&
		    read_fde(&frames, id, distance, body, &func_addr, &func_size, &is_split))
			add(context, func_addr, func_size, is_split);
	}
}

uint64_t eh_frame_pointer(const unsigned char head[static 8], uint64_t addr)
{
	int32_t distance;

	/* version 1, and the one encoding that is in use: relative to itself, 4 bytes */
	if (head[0] != 1 || head[1] != (PE_PCREL | PE_SDATA4))
		return 0;
	memcpy(&distance, head + 4, sizeof(distance));
	return addr + 4 + (uint64_t)(int64_t)distance;
}
