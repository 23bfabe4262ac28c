/* SPDX-License-Identifier: Apache-2.0 */
/* x86.h - owns the decoding of x86-64 instructions into the few facts that finding probe sites needs; private to
 * this room. It knows neither files nor probes. The decoder is Zydis, and this is its only door. */
#ifndef MAILGAUGE_X86_H
#define MAILGAUGE_X86_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers of the general registers as the instruction set has them; X86_STACK stands for all stack memory. */
enum { X86_RAX, X86_RCX, X86_RDX, X86_RBX, X86_RSP, X86_RBP, X86_RSI, X86_RDI, X86_R8, X86_R9, X86_R10, X86_R11 };
enum { X86_STACK = 16, X86_NO_REGISTER = -1 };
#define X86_BIT(reg) (1u << (reg))
/* System V ABI, AMD64 supplement, 3.2.1 and 3.2.3 */
#define X86_ARGUMENTS \
	(X86_BIT(X86_RDI) | X86_BIT(X86_RSI) | X86_BIT(X86_RDX) | X86_BIT(X86_RCX) | X86_BIT(X86_R8) | X86_BIT(X86_R9))
#define X86_CALLER_SAVED (X86_ARGUMENTS | X86_BIT(X86_RAX) | X86_BIT(X86_R10) | X86_BIT(X86_R11))
#define X86_INSN_MAX     15

/* x86_argument - the register of argument 0..5 */
int x86_argument(int arg);

enum x86_kind {
	X86_PLAIN,
	X86_CALL,          /* to `target` */
	X86_JUMP,          /* always to `target` */
	X86_BRANCH,        /* perhaps to `target` */
	X86_CALL_INDIRECT, /* through the slot at `target`, when that is not 0 */
	X86_JUMP_INDIRECT, /* likewise */
	X86_RETURN,
	X86_TRAP /* the processor never goes on behind it */
};

enum x86_map { X86_MAP_ONE_BYTE, X86_MAP_0F, X86_MAP_OTHER, X86_MAP_VECTOR /* VEX, EVEX, XOP, 3DNow */ };

struct x86_insn {
	uint64_t addr, target;
	unsigned len;
	enum x86_kind kind;
	/* the encoding, for the rules of probing */
	enum x86_map map;
	unsigned char opcode, rex, modrm_mod, modrm_reg;
	bool has_66, has_segment, has_lock; /* prefixes; segment: es, cs, ss, ds */
	bool is_nop;
	/* the address that a `lea d(%rip)`, or a `mov $d` in a file that is not moved, puts into a register */
	int constant_reg; /* X86_NO_REGISTER: none */
	uint64_t constant;
	uint64_t table; /* of `jmp *table(,%reg,8)`, else 0 */
};

/* x86_decode - the instruction at `code`, of which `size` bytes may be read. With is_fixed an immediate can be an
 * address. False when there is none. */
bool x86_decode(const unsigned char *code, size_t size, uint64_t addr, bool is_fixed, struct x86_insn *out);

enum x86_move {
	X86_MOVE_NONE,
	X86_MOVE_CONSTANT, /* dst = a constant that is no address: an address is told by x86_decode */
	X86_MOVE_COPY,     /* dst = src, all 64 bits; with dst X86_STACK some 8 bytes of the stack = src */
	X86_MOVE_SELECT    /* dst = src, or stays what it was */
};

/* What an instruction does to registers. */
struct x86_effect {
	uint32_t written; /* bits of the registers that may be changed, also in part */
	enum x86_move move;
	int dst, src;
	uint64_t number; /* of X86_MOVE_CONSTANT */
	bool is_half;    /* it was written to the lower 32 bits, which sets the others to 0 */
	/* a `mov` of 8 bytes, or of 16 by an SSE register, from memory at `base` + `displacement` without an index;
	 * else X86_NO_REGISTER */
	int load_base;
	int64_t displacement;
};

/* x86_effect - false when there is no instruction. Slower than x86_decode by a factor of about four. */
bool x86_effect(const unsigned char *code, size_t size, struct x86_effect *out);

/* x86_format - as an assembler (AT&T) writes it */
void x86_format(const unsigned char *code, size_t size, uint64_t addr, char *text, size_t text_size);

#endif
