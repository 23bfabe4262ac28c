/* SPDX-License-Identifier: Apache-2.0 */
/* arm64.h - owns the decoding of AArch64 instructions into what finding functions needs: who calls whom, and who
 * takes the address of what. It knows neither files nor probes; private to this room. */
#ifndef MAILGAUGE_ARM64_H
#define MAILGAUGE_ARM64_H
#include <stdbool.h>
#include <stdint.h>

#define ARM64_INSN_SIZE 4

enum arm64_kind {
	ARM64_PLAIN,
	ARM64_CALL,   /* to `target` */
	ARM64_JUMP,   /* always to `target` */
	ARM64_BRANCH, /* perhaps to `target` */
};

struct arm64_insn {
	enum arm64_kind kind;
	uint64_t target;
	bool has_constant; /* an address is put together here */
	uint64_t constant;
};

/* Addresses that registers hold, as far as instructions in a straight line have made them; all 0 at first. */
struct arm64_registers {
	uint64_t values[32];
	uint32_t known; /* bits of the registers */
};

/* arm64_decode - the instruction `word` at `addr`; takes the registers along. An address takes two instructions (ADRP
 * and ADD) that need not stand beside each other. */
struct arm64_insn arm64_decode(uint32_t word, uint64_t addr, struct arm64_registers *registers);

#endif
