/* SPDX-License-Identifier: Apache-2.0 */
/* insn.c - which instruction may carry a probe, and which one should.
 *
 * The kernel writes an int3 over the first byte of the instruction. At a hit it either does itself what the
 * instruction would have done (emulation), or copies the instruction elsewhere and single-steps it there, which
 * costs a second trap. What it does with which instruction stands in arch/x86/kernel/uprobes.c. It does not check
 * that an offset is the beginning of an instruction: a wrong one silently changes what the server computes. */
#include "target/insn.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "target/x86.h"

#define LOOK_AHEAD_MAX 12  /* instructions behind the entry that may be chosen instead of it */
#define SHORT_JUMP_MAX 130 /* bytes that a jump with one byte of distance spans at most */
#define FIRST_LOAD_MAX 64  /* instructions looked at for a load */

static int check_machine(const struct elf_image *elf, char err[static 256])
{
	if (elf_machine(elf) == EM_X86_64)
		return 0;
	snprintf(err, 256, "code of this machine (%u) cannot be analysed yet", elf_machine(elf));
	return -EOPNOTSUPP;
}

/* A walk through one function, instruction by instruction. */
struct walk {
	const unsigned char *code, *end;
	bool is_fixed;
	struct x86_insn insn; /* the current one; len 0 before the first */
};

static bool walk_start(struct walk *walk, const struct elf_image *elf, const struct elf_range *range)
{
	*walk = (struct walk){.code = elf_bytes(elf, range->addr, range->size), .is_fixed = elf_is_fixed(elf)};
	if (!walk->code)
		return false;
	walk->end = walk->code + range->size;
	walk->insn.addr = range->addr;
	return true;
}

static bool walk_next(struct walk *walk)
{
	walk->code += walk->insn.len;
	return walk->code < walk->end && x86_decode(walk->code, (size_t)(walk->end - walk->code),
						    walk->insn.addr + walk->insn.len, walk->is_fixed, &walk->insn);
}

/* walk_to - from the start of the function that contains `addr` to the instruction there */
static int walk_to(struct walk *walk, struct elf_range *function, const struct elf_image *elf, uint64_t addr,
		   char err[static 256])
{
	if (elf_function_at(elf, addr, function) || !walk_start(walk, elf, function)) {
		snprintf(err, 256, "no known function contains address %#llx", (unsigned long long)addr);
		return -EINVAL;
	}
	while (walk_next(walk) && walk->insn.addr < addr && addr - walk->insn.addr >= walk->insn.len)
		;
	if (walk->insn.addr == addr && walk->insn.len)
		return 0;
	snprintf(err, 256, "address %#llx is not the beginning of an instruction of the function at %#llx",
		 (unsigned long long)addr, (unsigned long long)function->addr);
	return -EINVAL;
}

/* ---- what the kernel can probe */

/* is_refused_opcode - instructions that the kernel's tables good_insns_64 and good_2byte_insns leave out and that a
 * decoder accepts in 64-bit mode. (The kernel looks at only one of its two tables for a two-byte instruction and so
 * lets some of them pass; we do not.) On top: pushf, which would save the trap flag of the single step. */
static bool is_refused_opcode(const struct x86_insn *insn)
{
	static const unsigned char one_byte[] = {0x6c, 0x6d, 0x6e, 0x6f, 0x9c, 0xcc, 0xcd, 0xcf, 0xe4, 0xe5,
						 0xe6, 0xe7, 0xec, 0xed, 0xee, 0xef, 0xf1, 0xf4, 0xfa, 0xfb};
	static const unsigned char two_byte[] = {0x00, 0x01, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0b,
						 0x30, 0x34, 0x35, 0x37, 0x78, 0x79, 0xae};

	switch (insn->map) {
	case X86_MAP_ONE_BYTE:
		/* 8e /2 loads ss and holds back the trap of the single step (insn_masking_exception) */
		return memchr(one_byte, insn->opcode, sizeof(one_byte)) ||
		       (insn->opcode == 0x8e && insn->modrm_reg == 2);
	case X86_MAP_0F:
		return memchr(two_byte, insn->opcode, sizeof(two_byte));
	case X86_MAP_OTHER:
		return false;
	case X86_MAP_VECTOR: /* the kernel reads their opcodes by the one-byte table, which is only partly right */
	default:
		return true;
	}
}

/* is_branch - does the kernel emulate it as one (branch_setup_xol_ops): call, jmp and jcc relative? */
static bool is_branch(const struct x86_insn *insn)
{
	if (insn->map == X86_MAP_ONE_BYTE)
		return insn->opcode == 0xe8 || insn->opcode == 0xe9 || insn->opcode == 0xeb ||
		       (insn->opcode >= 0x70 && insn->opcode <= 0x7f);
	return insn->map == X86_MAP_0F && insn->opcode >= 0x80 && insn->opcode <= 0x8f;
}

/* is_optimised_nop - what Linux 6.18 rewrites to a call into a trampoline that a forked child does not have: each nop
 * of 5 bytes ("uprobes/x86: Accept more NOP forms"), later also a jump and a `lea 0(%rsp),%rsp` of 5 bytes that do
 * nothing ("x86/insn,uprobes,alternative: Unify insn_is_nop()") */
static bool is_optimised_nop(const struct x86_insn *insn, const unsigned char *code)
{
	static const unsigned char jump[] = {0xe9, 0, 0, 0, 0}, lea[] = {0x8d, 0x64, 0x24, 0};

	if (insn->len != 5)
		return false;
	return insn->is_nop || (insn->map == X86_MAP_0F && insn->opcode == 0x1f) || !memcmp(code, jump, sizeof(jump)) ||
	       !memcmp(code + 1, lea, sizeof(lea));
}

/* judge - the cost of a probe on this instruction, or -EOPNOTSUPP with the reason it cannot be had */
static int judge(const struct x86_insn *insn, const unsigned char *code, enum insn_cost *cost, const char **reason)
{
	*cost = INSN_STEPPED;
	if (is_optimised_nop(insn, code))
		*reason = "a 5-byte nop, which the kernel may optimise in a way that kills forked children";
	else if (insn->has_lock || insn->has_segment)
		*reason = "it has a prefix that the kernel does not probe";
	else if (insn->has_66 && is_branch(insn))
		*reason = "a branch with a 16-bit prefix";
	/* Older kernels take any 0x90 for a nop, `xchg %eax,%r8d` (41 90) too, and refuse 66 90. */
	else if (insn->map == X86_MAP_ONE_BYTE && insn->opcode == 0x90 && insn->len > 1)
		*reason = "a form of nop that kernels treat differently";
	else if (is_refused_opcode(insn))
		*reason = "an instruction that the kernel does not probe";
	else
		*reason = NULL;
	if (*reason)
		return -EOPNOTSUPP;
	/* Other nops are emulated by newer kernels only: counted as stepped. Pushes: push_setup_xol_ops */
	if (is_branch(insn) || (insn->map == X86_MAP_ONE_BYTE && insn->opcode == 0x90))
		*cost = INSN_EMULATED;
	if (insn->map == X86_MAP_ONE_BYTE && insn->opcode >= 0x50 && insn->opcode <= 0x57 &&
	    (insn->len == 1 || (insn->len == 2 && insn->rex == 0x41)))
		*cost = INSN_EMULATED;
	return 0;
}

/* describe - the walk's current instruction as a site */
static int describe(const struct walk *walk, const struct elf_image *elf, struct insn_site *out, char err[static 256])
{
	const struct x86_insn *insn = &walk->insn;
	const char *reason;

	*out = (struct insn_site){.addr = insn->addr, .len = insn->len};
	memcpy(out->bytes, walk->code, insn->len);
	x86_format(walk->code, insn->len, insn->addr, out->text, sizeof(out->text));
	if (judge(insn, walk->code, &out->cost, &reason)) {
		snprintf(err, 256, "`%s` at %#llx must not be probed: %s", out->text, (unsigned long long)insn->addr,
			 reason);
		return -EOPNOTSUPP;
	}
	if (elf_offset(elf, insn->addr, &out->offset)) {
		snprintf(err, 256, "address %#llx is not in the file's code", (unsigned long long)insn->addr);
		return -EINVAL;
	}
	return 0;
}

int insn_check_site(const struct elf_image *elf, uint64_t addr, struct insn_site *out, char err[static 256])
{
	struct elf_range function;
	struct walk walk;
	int ret = check_machine(elf, err);

	if (!ret)
		ret = walk_to(&walk, &function, elf, addr, err);
	return ret ? ret : describe(&walk, elf, out, err);
}

/* ---- where to count the entries of a function */

/* scan_jumps - the lowest target within (from, to] of the direct jumps and calls of one function */
static uint64_t scan_jumps(const struct elf_image *elf, const struct elf_range *function, uint64_t from, uint64_t to)
{
	uint64_t lowest = UINT64_MAX;
	struct walk walk;

	if (!walk_start(&walk, elf, function))
		return lowest;
	while (walk_next(&walk)) {
		const struct x86_insn *insn = &walk.insn;

		if ((insn->kind == X86_JUMP || insn->kind == X86_BRANCH || insn->kind == X86_CALL) &&
		    insn->target > from && insn->target <= to && insn->target < lowest)
			lowest = insn->target;
	}
	return lowest;
}

/* scan_long_jumps - the same for all code of the file, for anything that looks like a jump or call with 4 bytes of
 * distance. Each offset is tried, also within instructions: a jump that is none can only make us more careful. */
static uint64_t scan_long_jumps(const struct elf_image *elf, uint64_t from, uint64_t to)
{
	uint64_t lowest = UINT64_MAX;
	struct elf_range text;

	for (size_t i = 0; i < elf_text(elf, i, &text); i++) {
		const unsigned char *code = elf_bytes(elf, text.addr, text.size);

		for (uint64_t at = 1; code && at + 4 <= text.size; at++) {
			int32_t distance;
			uint64_t target;

			memcpy(&distance, code + at, sizeof(distance));
			target = text.addr + at + 4 + (uint64_t)(int64_t)distance;
			if (target - from - 1 >= to - from || target >= lowest)
				continue;
			if (code[at - 1] == 0xe8 || code[at - 1] == 0xe9 ||
			    (at > 1 && code[at - 2] == 0x0f && code[at - 1] >= 0x80 && code[at - 1] <= 0x8f))
				lowest = target;
		}
	}
	return lowest;
}

/* lowest_jump_into - the lowest address within (from, to] that a direct jump leads to. Short jumps can only come
 * from functions close by, long ones from anywhere. */
static uint64_t lowest_jump_into(const struct elf_image *elf, uint64_t from, uint64_t to)
{
	uint64_t lowest = scan_long_jumps(elf, from, to), target;
	size_t count;
	const struct elf_range *functions = elf_functions(elf, &count);

	for (size_t i = 0; i < count; i++) {
		const struct elf_range *near = &functions[i];

		if (near->addr > to + SHORT_JUMP_MAX || near->addr + near->size + SHORT_JUMP_MAX < from)
			continue;
		target = scan_jumps(elf, near, from, to);
		if (target < lowest)
			lowest = target;
	}
	return lowest;
}

/* has_jump_table - does the function jump through a register or table? Then any of its labels may be a target. */
static bool has_jump_table(const struct elf_image *elf, const struct elf_range *function)
{
	struct walk walk;

	if (!walk_start(&walk, elf, function))
		return false;
	while (walk_next(&walk))
		if (walk.insn.kind == X86_JUMP_INDIRECT && !walk.insn.target)
			return true;
	return false;
}

static bool is_endbr64(const struct walk *walk)
{
	static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};

	return walk->insn.len == sizeof(endbr64) && !memcmp(walk->code, endbr64, sizeof(endbr64));
}

/* registers_of - as bits of the instruction set's numbers */
static uint32_t registers_of(struct insn_needs needs)
{
	uint32_t bits = needs.stack ? X86_BIT(X86_RSP) : 0;

	for (int arg = 0; arg < 6; arg++)
		if (needs.args & 1u << arg)
			bits |= X86_BIT(x86_argument(arg));
	return bits;
}

/* keeps - does execution always go on behind the current instruction, with these registers as they were? */
static bool keeps(const struct walk *walk, uint32_t registers)
{
	struct x86_effect effect;

	return walk->insn.kind == X86_PLAIN && x86_effect(walk->code, walk->insn.len, &effect) &&
	       !(effect.written & registers);
}

int insn_entry_site(const struct elf_image *elf, uint64_t addr, bool is_return, struct insn_needs needs,
		    struct insn_site *out, char err[static 256])
{
	uint32_t registers = registers_of(needs);
	unsigned ahead = is_return ? 0 : LOOK_AHEAD_MAX;
	struct elf_range function;
	struct insn_site site;
	struct walk walk;
	uint64_t limit;
	char unused[256];
	int ret = check_machine(elf, err);

	if (!ret)
		ret = walk_to(&walk, &function, elf, addr, err);
	if (ret)
		return ret;
	ret = describe(&walk, elf, out, err); /* the answer, unless something better follows */
	if (!ret && out->cost == INSN_EMULATED)
		return 0;
	if (ahead && has_jump_table(elf, &function))
		ahead = 0;
	if (is_endbr64(&walk))
		ahead++;
	limit = lowest_jump_into(elf, addr, addr + (LOOK_AHEAD_MAX + 1) * X86_INSN_MAX);
	for (; ahead; ahead--) {
		if (!keeps(&walk, registers) || !walk_next(&walk) || walk.insn.addr >= limit)
			break;
		if (describe(&walk, elf, &site, unused))
			continue;
		if (ret || site.cost == INSN_EMULATED) {
			*out = site;
			ret = 0;
		}
		if (site.cost == INSN_EMULATED)
			break;
	}
	return ret;
}

int insn_first_load(const struct elf_image *elf, uint64_t func_addr, int64_t *displacement)
{
	struct elf_range function;
	struct walk walk;
	char unused[256];

	if (check_machine(elf, unused) || walk_to(&walk, &function, elf, func_addr, unused))
		return -ENOENT;
	for (unsigned i = 0; i < FIRST_LOAD_MAX; i++) {
		struct x86_effect effect;

		if (!x86_effect(walk.code, walk.insn.len, &effect))
			break;
		if (effect.load_base == X86_RDI) {
			*displacement = effect.displacement;
			return 0;
		}
		if (effect.written & X86_BIT(X86_RDI) ||
		    (walk.insn.kind != X86_PLAIN && walk.insn.kind != X86_BRANCH) || !walk_next(&walk))
			break;
	}
	return -ENOENT;
}
