/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>

#include "sample.h"
#include "target/xref.h"

/* An opened sample with its index. */
struct indexed {
	struct elf_image *elf;
	struct xref *xref;
};

static struct indexed open_indexed(const char *name)
{
	struct indexed out = {.elf = sample_open(name)};
	char err[256];

	if (xref_new(&out.xref, out.elf, err))
		fail_msg("%s: %s", name, err);
	return out;
}

static void close_indexed(struct indexed *indexed)
{
	xref_free(&indexed->xref);
	elf_free(&indexed->elf);
}

/* show - the sites as "LABEL" or "LABEL?" (undecided), each with "t" behind it for a tail call */
static void show(char *out, size_t size, const struct elf_image *elf, const struct xref_site *sites, size_t count,
		 const char *const *labels)
{
	*out = '\0';
	for (size_t i = 0; i < count; i++) {
		const char *name = "nowhere";

		for (size_t k = 0; labels[k]; k++)
			if (sample_addr(elf, labels[k]) == sites[i].insn.addr)
				name = labels[k];
		snprintf(out + strlen(out), size - strlen(out), "%s%s%s%s", i ? " " : "", name,
			 sites[i].is_decided ? "" : "?", sites[i].is_tail ? "t" : "");
	}
}

static const char *const labels[] = {
    "m_plain", "m_written", "m_far",  "m_merged", "m_select",    "m_spill",  "m_tail", "m_case",   "m_early",
    "m_over",  "m_param",   "m_cold", "m_slot",   "m_slot_tail", "m_whole",  "m_end",  "m_padded", "m_deep",
    "m_zero",  "m_clobber", "m_args", "m_vote_1", "m_vote_2",    "m_vote_3", NULL};

/* Which sites a text has, in calls.so. Sites of one query come in the order of addresses. */
static void test_sites(void **state)
{
	static const struct {
		const char *callee; /* NULL: report, which is imported */
		int arg;
		const char *texts[3];
		bool is_prefix;
		int ret;
		const char *want;
	} cases[] = {
	    {NULL, 0, {"plain"}, false, 0, "m_plain m_over"},
	    {NULL, 0, {"writable"}, false, 0, "m_written"},
	    {NULL, 0, {"far"}, false, 0, "m_far"},
	    {NULL, 0, {"one"}, false, 0, "m_merged? m_select?"},
	    {NULL, 0, {"two"}, false, 0, "m_merged? m_select?"},
	    {NULL, 0, {"one", "two"}, false, 0, "m_merged m_select"},
	    {NULL, 0, {"spill"}, false, 0, "m_spill?"},
	    {NULL, 0, {"tail"}, false, 0, "m_tailt"},
	    {NULL, 0, {"case"}, false, 0, "m_case"},
	    {NULL, 0, {"early"}, false, 0, "m_early?"},
	    {NULL, 0, {"lost"}, false, -ENOENT, ""},
	    {NULL, 0, {"overwritten"}, false, -ENOENT, ""},
	    {NULL, 0, {"param"}, false, 0, "m_param?t"},
	    {NULL, 0, {"cold"}, false, 0, "m_cold?"},
	    {NULL, 0, {"slot"}, false, 0, "m_slot m_slot_tailt"},
	    {NULL, 0, {"a whole sentence"}, false, 0, "m_whole"},
	    {NULL, 0, {"sentence"}, false, 0, "m_end"},
	    {NULL, 0, {"a whole"}, true, 0, "m_whole"},
	    {NULL, 0, {"a whole"}, false, -ENOENT, ""},
	    {NULL, 0, {"padded"}, false, 0, "m_padded"},
	    {NULL, 0, {"deep"}, false, 0, "m_deep?"},
	    {NULL, 0, {"zero"}, false, 0, "m_zero?"},
	    {NULL, 0, {"clobber"}, false, 0, "m_clobber?"},
	    {NULL, 0, {"no such text", "far"}, false, 0, "m_far"},
	    {NULL, 0, {"no such text"}, false, -ENOENT, ""},
	    {NULL, 1, {"plain"}, false, -ENOENT, ""},
	    {NULL, 6, {"plain"}, false, -EINVAL, ""},
	    {"reply", 0, {"moved"}, false, 0, "m_args"},
	    {"reply", 1, {"moved"}, false, 0, "m_args"},
	    {"reply", 2, {"moved"}, false, 0, "m_args"},
	    {"reply", 3, {"moved"}, false, 0, "m_args"},
	    {"reply", 4, {"moved"}, false, 0, "m_args"},
	    {"reply", 5, {"moved"}, false, 0, "m_args"},
	    {"reply", 1, {"first vote", "second vote", "third vote"}, false, 0, "m_vote_1 m_vote_2 m_vote_3t"},
	    {"reply", 0, {"conditional"}, false, -EOPNOTSUPP, ""},
	    {"reply", 0, {"prefixed call"}, false, -EOPNOTSUPP, ""},
	    {"reply", 0, {"far"}, false, -ENOENT, ""},
	};
	struct indexed calls = open_indexed("calls.so");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool is_prefix[3] = {cases[i].is_prefix, cases[i].is_prefix, cases[i].is_prefix};
		struct xref_query query = {.arg = cases[i].arg, .texts = cases[i].texts, .is_prefix = is_prefix};
		struct xref_site *sites;
		size_t count;
		char err[256] = "", got[256];
		int ret;

		while (query.text_cnt < 3 && cases[i].texts[query.text_cnt])
			query.text_cnt++;
		if (cases[i].callee) {
			query.callee = sample_addr(calls.elf, cases[i].callee);
		} else {
			elf_import_stub(calls.elf, "report", &query.callee);
			elf_import_slot(calls.elf, "report", &query.slot);
		}
		ret = xref_sites(calls.xref, &query, &sites, &count, err);
		show(got, sizeof(got), calls.elf, sites, count, labels);
		if (ret != cases[i].ret || strcmp(got, cases[i].want) != 0 || !err[0] != !ret)
			fail_msg("%zu %s: got %d \"%s\" (%s), want %d \"%s\"", i, cases[i].texts[0], ret, got, err,
				 cases[i].ret, cases[i].want);
		free(sites);
	}
	close_indexed(&calls);
}

/* Without a text every call counts; the stub's own jump through the slot is none. */
static void test_all_calls(void **state)
{
	struct indexed calls = open_indexed("calls.so");
	struct xref_query query = {.arg = -1};
	struct xref_site *sites;
	size_t count, slot_cnt = 0;
	char err[256];

	(void)state;
	assert_int_equal(elf_import_stub(calls.elf, "report", &query.callee), 0);
	assert_int_equal(elf_import_slot(calls.elf, "report", &query.slot), 0);
	assert_int_equal(xref_sites(calls.xref, &query, &sites, &count, err), 0);
	assert_int_equal(count, 23); /* calls.S: 21 by the stub and 2 by the slot */
	for (size_t i = 0; i < count; i++) {
		assert_true(sites[i].is_decided);
		slot_cnt += sites[i].insn.cost == INSN_STEPPED;
		if (i)
			assert_true(sites[i].insn.addr > sites[i - 1].insn.addr);
	}
	assert_int_equal(slot_cnt, 2);
	free(sites);
	query.callee = sample_addr(calls.elf, "c_votes");
	query.slot = 0;
	assert_int_equal(xref_sites(calls.xref, &query, &sites, &count, err), -ENOENT);
	close_indexed(&calls);
}

static void test_vote(void **state)
{
	static const struct {
		int arg;
		const char *texts[4];
		unsigned min;
		int ret;
		const char *want;
	} cases[] = {
	    {1, {"first vote", "second vote", "third vote"}, 3, 0, "reply"},
	    {1, {"first vote", "second vote", "third vote", "nowhere used"}, 3, 0, "reply"},
	    {1, {"first vote", "second vote", "third vote"}, 4, -ENOENT, NULL},
	    {1, {"first vote"}, 1, -ENOTUNIQ, NULL}, /* other takes it too */
	    {1, {"second vote"}, 1, 0, "reply"},
	    {0, {"second vote"}, 1, -ENOENT, NULL}, /* in another argument */
	    {1, {"nowhere used"}, 0, -ENOENT, NULL},
	    {6, {"first vote"}, 1, -EINVAL, NULL},
	};
	static const char *const files[] = {"calls.so", "calls-stripped.so"};
	struct elf_image *names = sample_open("calls.so");

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		struct indexed calls = open_indexed(files[f]);

		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			size_t count = 0;
			uint64_t got = 0;
			char err[256] = "";
			int ret;

			while (count < 4 && cases[i].texts[count])
				count++;
			ret = xref_vote(calls.xref, cases[i].arg, cases[i].texts, count, cases[i].min, &got, err);
			if (ret != cases[i].ret || !err[0] != !ret)
				fail_msg("%s %zu: got %d (%s), want %d", files[f], i, ret, err, cases[i].ret);
			if (!ret)
				assert_int_equal(got, sample_addr(names, cases[i].want));
		}
		close_indexed(&calls);
	}
	elf_free(&names);
}

static void test_texts(void **state)
{
	static const struct {
		const char *text;
		bool is_prefix;
		size_t want;
	} cases[] = {
	    {"plain", false, 1},
	    {"plai", false, 0},
	    {"plai", true, 1},
	    {"sentence", false, 1},
	    {"a whole sentence", false, 1},
	    {"vote", true, 0},
	    {"first vote", false, 1},
	    {"x", true, 0},
	    {"writable", false, 1},
	};
	struct indexed calls = open_indexed("calls.so");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t *addrs;
		size_t count;
		int ret = xref_texts(calls.xref, cases[i].text, cases[i].is_prefix, &addrs, &count);

		if (count != cases[i].want || ret != (count ? 0 : -ENOENT))
			fail_msg("%s: got %d, %zu, want %zu", cases[i].text, ret, count, cases[i].want);
		for (size_t k = 0; k < count; k++)
			assert_int_equal(strncmp(elf_string(calls.elf, addrs[k]), cases[i].text, strlen(cases[i].text)),
					 0);
		free(addrs);
	}
	close_indexed(&calls);
}

/* A program that is not moved takes addresses as immediates. */
static void test_fixed(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {{"fixed", "m_fixed"}, {"wide", "m_wide"}, {"table", "m_table?"}};
	static const char *const marks[] = {"m_fixed", "m_wide", "m_table", NULL};
	struct indexed fixed = open_indexed("fixed");

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		bool is_prefix = false;
		struct xref_query query = {.callee = sample_addr(fixed.elf, "reply"),
					   .texts = &cases[i].text,
					   .is_prefix = &is_prefix,
					   .text_cnt = 1};
		struct xref_site *sites;
		size_t count;
		char err[256] = "", got[256];

		xref_sites(fixed.xref, &query, &sites, &count, err);
		show(got, sizeof(got), fixed.elf, sites, count, marks);
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("%s: got \"%s\" (%s), want \"%s\"", cases[i].text, got, err, cases[i].want);
		free(sites);
	}
	close_indexed(&fixed);
}

/* find_callee - as a plan does it: the import `puts`, or the local `reply` by vote */
static void find_callee(struct xref_query *query, const struct indexed *daemon, const char *name, const char *file)
{
	static const char *const texts[] = {"250 hello %s", "354 go ahead", "221 bye", "500 unknown command %d"};
	static const char *const puts_texts[] = {"quit by the client", "session ends", "session begins"};
	bool is_local = !strcmp(name, "reply");
	bool has_stub = !elf_import_stub(daemon->elf, "puts", &query->callee);
	bool has_slot = !elf_import_slot(daemon->elf, "puts", &query->slot);
	char err[256];
	int ret;

	if (!is_local && (has_stub || has_slot))
		return;
	query->slot = 0;
	/* linked statically, puts is just another function without a name */
	ret = is_local ? xref_vote(daemon->xref, 1, texts, 4, 4, &query->callee, err)
		       : xref_vote(daemon->xref, 0, puts_texts, 3, 3, &query->callee, err);
	if (ret)
		fail_msg("%s: %s: %s", file, name, err);
}

/* What a compiler makes of one source, in all the ways that distributions build. */
static void test_compiled(void **state)
{
	static const char *const files[] = {"daemon-plain", "daemon-cet",   "daemon-noplt",
					    "daemon-relr",  "daemon-fixed", "daemon-static",
					    "daemon-frame", "daemon-small", "daemon-bare"};
	static const struct {
		const char *callee;
		int arg;
		const char *text;
		size_t most; /* sites that one place in the source may become */
	} cases[] = {
	    {"reply", 1, "250 hello %s", 1},
	    {"reply", 1, "250 sender ok", 1},
	    {"reply", 1, "503 say hello first", 1},
	    {"reply", 1, "250 recipient ok", 1},
	    {"reply", 1, "503 say who you are first", 1},
	    {"reply", 1, "354 go ahead", 1},
	    {"reply", 1, "221 bye", 1},
	    {"reply", 1, "500 unknown command %d", 2},
	    {"puts", 0, "quit by the client", 1},
	    {"puts", 0, "too many errors", 1},
	    {"puts", 0, "session begins", 1},
	    {"puts", 0, "session ends", 1},
	};

	(void)state;
	for (size_t f = 0; f < sizeof(files) / sizeof(*files); f++) {
		struct indexed daemon = open_indexed(files[f]);

		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			bool is_prefix = false;
			struct xref_query query = {
			    .arg = cases[i].arg, .texts = &cases[i].text, .is_prefix = &is_prefix, .text_cnt = 1};
			struct xref_site *sites;
			size_t count;
			char err[256] = "";

			find_callee(&query, &daemon, cases[i].callee, files[f]);
			xref_sites(daemon.xref, &query, &sites, &count, err);
			if (count < 1 || count > cases[i].most)
				fail_msg("%s %s: %zu sites (%s)", files[f], cases[i].text, count, err);
			free(sites);
		}
		close_indexed(&daemon);
	}
}

static void test_other_machine(void **state)
{
	size_t size;
	unsigned char *data = sample_read("calls.so", &size);
	const char *text = "plain";
	bool is_prefix = false;
	struct xref_query query = {.callee = 1, .texts = &text, .is_prefix = &is_prefix, .text_cnt = 1};
	struct xref_site *sites;
	struct elf_image *arm;
	struct xref *xref;
	uint64_t addr;
	char err[256] = "";

	(void)state;
	((Elf64_Ehdr *)(void *)data)->e_machine = EM_AARCH64;
	assert_int_equal(elf_open_mem(&arm, data, size, err), 0);
	assert_int_equal(xref_new(&xref, arm, err), 0);
	assert_int_equal(xref_vote(xref, 0, &text, 1, 1, &addr, err), -EOPNOTSUPP);
	assert_non_null(strstr(err, "machine"));
	assert_int_equal(xref_sites(xref, &query, &sites, &size, err), -EOPNOTSUPP);
	assert_null(sites);
	xref_free(&xref);
	elf_free(&arm);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sites),         cmocka_unit_test(test_all_calls), cmocka_unit_test(test_vote),
	    cmocka_unit_test(test_texts),         cmocka_unit_test(test_fixed),     cmocka_unit_test(test_compiled),
	    cmocka_unit_test(test_other_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
