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

/* touch - fault in the pages that hold [addr, addr + size); 0 if the first one is there now */
static __always_inline long touch(__u64 addr, __u32 size)
{
	__u64 last = addr + size - 1;
	char byte;
	long err = bpf_copy_from_user(&byte, 1, (void *)addr);

	if (!err && (addr ^ last) >> PAGE_SHIFT)
		bpf_copy_from_user(&byte, 1, (void *)last); /* what is wanted may end before */
	return err;
}

/* read_user - 1, 2, 4 or 8 bytes of the process; 0 or -errno, then *out is 0 */
static __always_inline long read_user(__u64 *out, __u32 size, __u64 addr)
{
	long err;

	*out = 0;
	if (size < 1 || size > 8)
		return 0;
	err = bpf_probe_read_user(out, size, (void *)addr);
	if (err && !touch(addr, size))
		err = bpf_probe_read_user(out, size, (void *)addr);
	if (err)
		*out = 0;
	return err;
}

/* read_text - at most size - 1 bytes of a text and a NUL into a zero-filled buffer; 0 or -errno.
 * The kernel clears what it copied beyond the NUL (since 5.11, 6fa6d28051e9), so equal texts are equal bytes. */
static __always_inline long read_text(char *buf, __u32 size, __u64 addr)
{
	long len = bpf_probe_read_user_str(buf, size, (void *)addr);

	if (len < 0 && !touch(addr, size))
		len = bpf_probe_read_user_str(buf, size, (void *)addr);
	return len < 0 ? len : 0;
}

/* hash_user_text - probe_hash of a text's first size - 1 bytes; 0 for a null pointer; 0 or -errno */
static __always_inline long hash_user_text(__u64 *out, __u64 addr, __u32 size)
{
	__u64 words[PROBE_STRING / 8] = {};
	long err;

	*out = 0;
	if (!addr || size < 1 || size > PROBE_STRING)
		return 0;
	err = read_text((char *)words, size, addr);
	if (!err)
		*out = probe_hash(words);
	return err;
}

static __always_inline __u64 hash_comm(void)
{
	__u64 words[PROBE_STRING / 8] = {};

	bpf_get_current_comm(words, 16);
	return probe_hash(words);
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

/* user_text_contains - *out = 1 if needle number `which` is in the text's first PROBE_HAYSTACK bytes; 0 or -errno.
 * The text is read in windows that overlap by a needle's length. */
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
		if (err)
			return err;
		bpf_loop(step, search_at, &search, 0);
		if (search.found || search.ended)
			break;
	}
	*out = search.found;
	return 0;
}
#endif
