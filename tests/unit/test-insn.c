/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>

#include "sample.h"
#include "target/insn.h"

static struct elf_image *elf; /* probes.so */

static void test_check_site(void **state)
{
	static const struct {
		const char *label;
		int offset, ret;
		enum insn_cost cost;
		const char *text; /* NULL: not looked at */
	} cases[] = {
	    {"r_nop5", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_nop5_66", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_jmp5", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_lea5", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_nop10", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_nop66", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_xchg", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_pause", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_lock", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_cs", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_notrack", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_jmp16", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_int3", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_hlt", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_ud2", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_in", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_outs", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_cli", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_int", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_iret", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_pushf", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_mov_ss", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_syscall", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_rdtscp", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_mfence", 0, -EOPNOTSUPP, 0, NULL},
	    {"r_vex", 0, -EOPNOTSUPP, 0, NULL},
	    {"s_endbr64", 0, 0, INSN_STEPPED, "endbr64"},
	    {"s_sub", 0, 0, INSN_STEPPED, "sub $0x8, %rsp"},
	    {"s_mov", 0, 0, INSN_STEPPED, "mov %rdi, %rax"},
	    {"s_nop4", 0, 0, INSN_STEPPED, NULL},
	    {"s_lea", 0, 0, INSN_STEPPED, NULL},
	    {"s_lea5", 0, 0, INSN_STEPPED, NULL},
	    {"s_fs", 0, 0, INSN_STEPPED, NULL},
	    {"s_push_8", 0, 0, INSN_STEPPED, NULL},
	    {"s_push_m", 0, 0, INSN_STEPPED, NULL},
	    {"s_push_w", 0, 0, INSN_STEPPED, NULL},
	    {"s_sse", 0, 0, INSN_STEPPED, NULL},
	    {"s_ssse3", 0, 0, INSN_STEPPED, NULL},
	    {"s_loop", 0, 0, INSN_STEPPED, NULL},
	    {"s_call", 0, 0, INSN_STEPPED, "call %rax"},
	    {"s_jmp", 0, 0, INSN_STEPPED, "jmp (%rax)"},
	    {"s_ret", 0, 0, INSN_STEPPED, "ret"},
	    {"e_push", 0, 0, INSN_EMULATED, "push %rbp"},
	    {"e_push_15", 0, 0, INSN_EMULATED, "push %r15"},
	    {"e_nop", 0, 0, INSN_EMULATED, "nop"},
	    {"e_call", 0, 0, INSN_EMULATED, NULL},
	    {"e_addr32", 0, 0, INSN_EMULATED, NULL},
	    {"e_jcc8", 0, 0, INSN_EMULATED, NULL},
	    {"e_jcc32", 0, 0, INSN_EMULATED, NULL},
	    {"e_jmp8", 0, 0, INSN_EMULATED, NULL},
	    {"e_jmp32", 0, 0, INSN_EMULATED, NULL},
	    {"e_bnd", 0, 0, INSN_EMULATED, NULL},
	    /* within instructions: these bytes alone would be decoded as one */
	    {"s_sub", 1, -EINVAL, 0, NULL},
	    {"s_endbr64", 2, -EINVAL, 0, NULL},
	    {"e_push_15", 1, -EINVAL, 0, NULL},
	    {"e_call", 4, -EINVAL, 0, NULL},
	    /* outside of code */
	    {"refused", -0x1000, -EINVAL, 0, NULL},
	    {"refused", 0x100000, -EINVAL, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t addr = sample_addr(elf, cases[i].label) + (uint64_t)cases[i].offset, offset;
		struct insn_site site;
		char err[256] = "";
		int ret = insn_check_site(elf, addr, &site, err);

		if (ret != cases[i].ret || !err[0] != !ret)
			fail_msg("%s%+d: got %d (%s), want %d", cases[i].label, cases[i].offset, ret, err,
				 cases[i].ret);
		if (ret)
			continue;
		if (site.cost != cases[i].cost)
			fail_msg("%s (%s): got cost %d, want %d", cases[i].label, site.text, site.cost, cases[i].cost);
		if (cases[i].text)
			assert_string_equal(site.text, cases[i].text);
		assert_int_equal(elf_offset(elf, addr, &offset), 0);
		assert_int_equal(site.offset, offset);
		assert_int_equal(site.addr, addr);
		assert_memory_equal(site.bytes, elf_bytes(elf, addr, site.len), site.len);
	}
}

static void test_entry_site(void **state)
{
	static const struct {
		const char *function;
		bool is_return;
		struct insn_needs needs;
		const char *site; /* NULL: want is from the function's start */
		int want;         /* offset, or -errno */
		enum insn_cost cost;
	} cases[] = {
	    {"n_push", false, INSN_NEEDS_ALL, NULL, 0, INSN_EMULATED},
	    {"n_push", true, INSN_NEEDS_ALL, NULL, 0, INSN_EMULATED},
	    {"n_endbr64", false, INSN_NEEDS_ALL, "n_endbr64_site", 0, INSN_EMULATED},
	    {"n_endbr64", true, INSN_NEEDS_ALL, "n_endbr64_site", 0, INSN_EMULATED},
	    {"n_ahead", false, {.args = 1}, "n_ahead_site", 0, INSN_EMULATED},
	    {"n_ahead", false, {.args = 3}, NULL, 0, INSN_STEPPED},
	    {"n_ahead", false, {.args = 1, .stack = true}, NULL, 0, INSN_STEPPED},
	    {"n_ahead", true, {.args = 1}, NULL, 0, INSN_STEPPED},
	    {"n_part", false, {.args = 2}, NULL, 3, INSN_EMULATED},
	    {"n_part", false, {.args = 1}, NULL, 0, INSN_STEPPED},
	    {"n_implicit", false, {.args = 3}, NULL, 2, INSN_EMULATED},
	    {"n_implicit", false, {.args = 4}, NULL, 0, INSN_STEPPED},
	    {"n_behind_branch", false, {.args = 1}, NULL, 0, INSN_STEPPED},
	    {"n_loop", false, {.args = 0}, NULL, 0, INSN_STEPPED},
	    {"n_entered", false, {.args = 0}, NULL, 0, INSN_STEPPED},
	    {"n_beside", false, {.args = 0}, NULL, 0, INSN_STEPPED},
	    {"n_nop5", false, {.args = 1}, "n_nop5_site", 0, INSN_EMULATED},
	    {"n_nop5", true, {.args = 1}, NULL, -EOPNOTSUPP, 0},
	    {"n_nop5_only", false, {.args = 1}, NULL, 5, INSN_STEPPED},
	    {"n_hopeless", false, {.args = 1}, NULL, -EOPNOTSUPP, 0},
	    {"n_switch", false, {.args = 1}, NULL, 0, INSN_STEPPED},
	    {"n_long", false, {.args = 1}, NULL, 0, INSN_STEPPED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t start = sample_addr(elf, cases[i].function);
		uint64_t base = cases[i].site ? sample_addr(elf, cases[i].site) : start;
		struct insn_site site;
		char err[256] = "";
		int ret = insn_entry_site(elf, start, cases[i].is_return, cases[i].needs, &site, err);

		if (ret != (cases[i].want < 0 ? cases[i].want : 0))
			fail_msg("%zu %s: got %d (%s)", i, cases[i].function, ret, err);
		if (ret)
			continue;
		if (site.addr != base + (uint64_t)cases[i].want || site.cost != cases[i].cost)
			fail_msg("%zu %s: got +%d `%s` cost %d, want +%d cost %d", i, cases[i].function,
				 (int)(site.addr - start), site.text, site.cost, (int)(base - start) + cases[i].want,
				 cases[i].cost);
	}
}

/* Within an instruction nothing may be the entry of a function either, whatever a symbol says. */
static void test_entry_no_boundary(void **state)
{
	struct insn_site site;
	char err[256];

	(void)state;
	assert_int_equal(insn_entry_site(elf, sample_addr(elf, "s_sub") + 1, false, INSN_NEEDS_ALL, &site, err),
			 -EINVAL);
}

static void test_first_load(void **state)
{
	static const struct {
		const char *function;
		int ret;
		int64_t want;
	} cases[] = {
	    {"l_plain", 0, 0x168},     {"l_late", 0, -0x28},     {"l_two", 0, 0x90},     {"l_two_indexed", 0, 0x30},
	    {"l_written", -ENOENT, 0}, {"l_called", -ENOENT, 0}, {"l_none", -ENOENT, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int64_t got = 0;
		int ret = insn_first_load(elf, sample_addr(elf, cases[i].function), &got);

		if (ret != cases[i].ret || got != cases[i].want)
			fail_msg("%s: got %d, %d", cases[i].function, ret, (int)got);
	}
}

/* Another machine's files can be opened, but their code is refused and not guessed at. */
static void test_other_machine(void **state)
{
	size_t size;
	unsigned char *data = sample_read("probes.so", &size);
	struct elf_image *arm;
	struct insn_site site;
	int64_t load;
	char err[256] = "";

	(void)state;
	((Elf64_Ehdr *)(void *)data)->e_machine = EM_AARCH64;
	assert_int_equal(elf_open_mem(&arm, data, size, err), 0);
	assert_int_equal(insn_check_site(arm, sample_addr(arm, "e_push"), &site, err), -EOPNOTSUPP);
	assert_int_equal(insn_entry_site(arm, sample_addr(arm, "n_push"), false, INSN_NEEDS_ALL, &site, err),
			 -EOPNOTSUPP);
	assert_int_equal(insn_first_load(arm, sample_addr(arm, "l_plain"), &load), -ENOENT);
	assert_non_null(strstr(err, "machine"));
	elf_free(&arm);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_check_site),        cmocka_unit_test(test_entry_site),
	    cmocka_unit_test(test_entry_no_boundary), cmocka_unit_test(test_first_load),
	    cmocka_unit_test(test_other_machine),
	};
	int ret;

	elf = sample_open("probes.so");
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	elf_free(&elf);
	return ret;
}
