/* SPDX-License-Identifier: Apache-2.0 */
/* arm64.c - by the Arm Architecture Reference Manual, C4.1 "A64 instruction set encoding". An instruction that is not
 * known to leave a register alone is taken to change it. */
#include "target/arm64.h"

#include <stddef.h>

#define ZERO_REGISTER    31          /* or the stack pointer */
#define CALLER_SAVED     0x4007ffffu /* x0 to x18, x30 */
#define REGISTER(at)     (word >> (at)&31)
#define IS(mask, wanted) ((word & (mask)) == (wanted))

static uint64_t sign_extend(uint32_t value, unsigned bits)
{
	uint64_t sign = UINT64_C(1) << (bits - 1);

	return ((uint64_t)value ^ sign) - sign;
}

static void forget(struct arm64_registers *registers, unsigned reg)
{
	registers->known &= ~(1u << reg);
}

static void learn(struct arm64_registers *registers, unsigned reg, uint64_t value)
{
	if (reg == ZERO_REGISTER)
		return;
	registers->values[reg] = value;
	registers->known |= 1u << reg;
}

/* decode_transfer - false when it is another instruction */
static bool decode_transfer(struct arm64_insn *out, uint32_t word, uint64_t addr)
{
	if (IS(0x7c000000, 0x14000000)) { /* B, BL */
		out->kind = word >> 31 ? ARM64_CALL : ARM64_JUMP;
		out->target = addr + 4 * sign_extend(word & 0x3ffffff, 26);
	} else if (IS(0xff000000, 0x54000000) || IS(0x7e000000, 0x34000000)) { /* B.cond, CBZ, CBNZ */
		out->kind = ARM64_BRANCH;
		out->target = addr + 4 * sign_extend(word >> 5 & 0x7ffff, 19);
	} else if (IS(0x7e000000, 0x36000000)) { /* TBZ, TBNZ */
		out->kind = ARM64_BRANCH;
		out->target = addr + 4 * sign_extend(word >> 5 & 0x3fff, 14);
	} else {
		return false;
	}
	return true;
}

/* decode_address - ADR, ADRP, and ADD of a number to an address; false when it is another instruction */
static bool decode_address(struct arm64_insn *out, uint32_t word, uint64_t addr, struct arm64_registers *registers)
{
	uint64_t distance = sign_extend((word >> 5 & 0x7ffff) << 2 | (word >> 29 & 3), 21), value;

	if (IS(0x9f000000, 0x90000000)) { /* ADRP: the page only */
		learn(registers, REGISTER(0), (addr & ~UINT64_C(0xfff)) + (distance << 12));
		return true;
	}
	if (IS(0x9f000000, 0x10000000)) { /* ADR */
		value = addr + distance;
	} else if (IS(0xff800000, 0x91000000) && registers->known >> REGISTER(5) & 1) { /* ADD, 64 bits */
		value = registers->values[REGISTER(5)] +
			((uint64_t)(word >> 10 & 0xfff) << (word & UINT32_C(1) << 22 ? 12 : 0));
	} else {
		return false;
	}
	learn(registers, REGISTER(0), value);
	out->has_constant = true;
	out->constant = value;
	return true;
}

/* forget_written - registers that a load, a store or anything else may change */
static void forget_written(uint32_t word, struct arm64_registers *registers)
{
	bool is_memory = IS(0x0a000000, 0x08000000), is_pair = IS(0x3a000000, 0x28000000);
	bool is_simd = IS(0x04000000, 0x04000000);
	bool is_store = is_pair ? !(word & UINT32_C(1) << 22) : !(word & UINT32_C(3) << 22);

	if (IS(0xfe000000, 0xd6000000)) { /* BR, BLR, RET: as a call, which may be one */
		registers->known &= ~CALLER_SAVED;
		return;
	}
	/* back to the base: before or after, in pairs and in single ones */
	if (is_memory && ((is_pair && word & UINT32_C(1) << 23) || IS(0x3b200400, 0x38000400)))
		forget(registers, REGISTER(5));
	if (is_memory && (is_simd || is_store))
		return;
	forget(registers, REGISTER(0));
	if (is_pair)
		forget(registers, REGISTER(10));
}

struct arm64_insn arm64_decode(uint32_t word, uint64_t addr, struct arm64_registers *registers)
{
	struct arm64_insn out = {0};

	if (decode_transfer(&out, word, addr)) {
		if (out.kind == ARM64_CALL)
			registers->known &= ~CALLER_SAVED;
	} else if (!decode_address(&out, word, addr, registers)) {
		forget_written(word, registers);
	}
	return out;
}
