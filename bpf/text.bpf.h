/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* text.bpf.h - reads the server's memory and texts; knows nothing of specs. */
#ifndef MAILGAUGE_TEXT_BPF_H
#define MAILGAUGE_TEXT_BPF_H

#define PAGE_SHIFT 12 /* of the smallest pages; touching too much does no harm */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PROBE_NEEDLES);
	__type(key, __u32);
	__type(value, char[PROBE_NEEDLE]);
} needles SEC(".maps");

/* touch - fault in the pages that hold [addr, addr + size); 0 if the first one is there now. One byte goes to
 * `scratch`, which no one needs: stack is scarce. */
static __always_inline long touch(void *scratch, __u64 addr, __u32 size)
{
	__u64 last = addr + size - 1;
	long err = bpf_copy_from_user(scratch, 1, (void *)addr);

	if (!err && (addr ^ last) >> PAGE_SHIFT)
		bpf_copy_from_user(scratch, 1, (void *)last); /* what is wanted may end before */
	return err;
}

/* read_user - 1, 2, 4 or 8 bytes of the process; 0 or -errno, then *out is 0 */
static __always_inline long read_user(__u64 *out, __u32 size, __u64 addr)
{
	long err;

	*out = 0;
	if (size > 8)
		return 0;
	err = bpf_probe_read_user(out, size, (void *)addr);
	if (err && !touch(out, addr, size))
		err = bpf_probe_read_user(out, size, (void *)addr);
	if (err)
		*out = 0;
	return err;
}

/* read_text - at most size - 1 bytes of a text and a NUL into a zero-filled buffer; its length with the NUL, or -errno.
 * The kernel clears what it copied beyond the NUL (since 5.11, 6fa6d28051e9), so equal texts are equal bytes. */
static __always_inline long read_text(char *buf, __u32 size, __u64 addr)
{
	long len = bpf_probe_read_user_str(buf, size, (void *)addr);

	if (len < 0 && !touch(buf, addr, size))
		len = bpf_probe_read_user_str(buf, size, (void *)addr);
	return len;
}

#define PART 24 /* bytes of a text that are hashed at once */

/* upper_case - 8 bytes of a text with A-Z for a-z. In all bytes at once: seven bits of each are looked at, so that
 * adding carries into the eighth and no further; it is then set in `from_a` and not in `above_z`. */
static __always_inline __u64 upper_case(__u64 word)
{
	const __u64 each = 0x0101010101010101ull, eighth = 0x80 * each;
	__u64 from_a = (word & ~eighth) + (0x80 - 'a') * each;
	__u64 above_z = (word & ~eighth) + (0x80 - 'z' - 1) * each;
	__u64 letters = from_a & ~above_z & ~word & eighth;

	return word - (letters >> 2); /* 0x80 becomes 'a' - 'A' */
}

/* hash_words - go on with a hash over at most PART of the size - 1 bytes of a text at addr; how many bytes that were,
 * plus 1, or -errno. 32 bytes of stack and not more: measured on 6.18 with hardened usercopy, reads into the stack of a
 * function that needs 48 take half as long again (it seems to get a private stack, which the check is slow for). */
static __always_inline int hash_words(__u64 *hash, __u64 addr, __u32 size, bool is_upper)
{
	__u64 words[PART / 8 + 1] = {}; /* one for the NUL */
	long len;

	if (!hash)
		return 0;
	len = read_text((char *)words, size > PART ? PART + 1 : size, addr);
	if (is_upper)
		for (int i = 0; i < PART / 8; i++)
			words[i] = upper_case(words[i]);
	*hash = probe_hash_words(*hash, words, PART / 8);
	return len;
}

/* hash_part, hash_part_upper - hash_words of the text as it is, and as if its letters a-z were A-Z. Two functions: one
 * that is told by an argument would need more stack. */
__noinline int hash_part(__u64 *hash, __u64 addr, __u32 size)
{
	return hash_words(hash, addr, size, false);
}

__noinline int hash_part_upper(__u64 *hash, __u64 addr, __u32 size)
{
	return hash_words(hash, addr, size, true);
}

/* hash_user_text - probe_hash_words of a text's first size - 1 bytes; `flags`: PROBE_F_UPPER; 0 for a null pointer;
 * 0 or -errno */
__noinline int hash_user_text(__u64 *out, __u64 addr, __u32 size, __u32 flags)
{
	int len = 0;

	if (!out)
		return 0;
	*out = 0;
	if (!addr || size > PROBE_STRING)
		return 0;
	*out = PROBE_HASH_START;
	for (__u32 i = 0; i < PROBE_STRING; i += PART) {
		len = flags & PROBE_F_UPPER ? hash_part_upper(out, addr + i, size - i)
					    : hash_part(out, addr + i, size - i);
		if (len <= PART || size - i <= PART + 1)
			break;
	}
	if (len < 0)
		*out = 0;
	return len < 0 ? len : 0;
}

/* hash_comm - of the process name. The kernel does not clear what is behind it (seen on 6.1; 6.12 and 6.18 do). */
__noinline __u64 hash_comm(void)
{
	__u64 words[2] = {};

	bpf_get_current_comm(words, sizeof(words));
	return probe_hash_words(PROBE_HASH_START, words, 2);
}

struct search {
	const char *needle;
	char window[PROBE_STRING];
	bool found, ended;
};

/* search_at - a step of bpf_loop: does the needle stand at this place of the window? */
static long search_at(__u32 at, void *data)
{
	struct search *search = data;

	if (at >= PROBE_STRING - PROBE_NEEDLE)
		return 1;
	if (!search->window[at & (PROBE_STRING - 1)]) {
		search->ended = true;
		return 1;
	}
	for (__u32 i = 0; i < PROBE_NEEDLE; i++) {
		char want = search->needle[i];

		if (!want) {
			search->found = true;
			return 1;
		}
		if (search->window[(at + i) & (PROBE_STRING - 1)] != want)
			break;
	}
	return 0;
}

_Static_assert(PROBE_HAYSTACK % (PROBE_STRING - PROBE_NEEDLE) == 0, "the windows should end where the haystack does");

/* user_text_contains - *out = 1 if needle number `which` begins within the text's first PROBE_HAYSTACK bytes; 0 or
 * -errno. The text is read in windows that overlap by a needle's length. */
__noinline int user_text_contains(__u64 *out, __u64 addr, __u32 which)
{
	const __u32 step = PROBE_STRING - PROBE_NEEDLE;
	struct search search = {.needle = bpf_map_lookup_elem(&needles, &which)};

	if (!out)
		return 0;
	*out = 0;
	if (!addr || !search.needle)
		return 0;
	for (__u32 from = 0; from < PROBE_HAYSTACK; from += step) {
		long err;

		__builtin_memset(search.window, 0, sizeof(search.window));
		err = read_text(search.window, PROBE_STRING, addr + from);
		if (err < 0)
			return err;
		bpf_loop(step, search_at, &search, 0);
		if (search.found || search.ended)
			break;
	}
	*out = search.found;
	return 0;
}
#endif
