/* SPDX-License-Identifier: Apache-2.0 */
/* insn.h - owns the decoding of machine instructions and the choice of the instruction that carries a probe.
 * It knows ELF images but no mail server. The rules and what they were measured by: docs/DESIGN.md, "Probe sites".
 * x86-64 by the Zydis library. Files of other machines are refused with -EOPNOTSUPP. */
#ifndef MAILGAUGE_INSN_H
#define MAILGAUGE_INSN_H
#include <stdbool.h>
#include <stdint.h>

#include "target/elf.h"

/* What a hit costs: EMULATED by the kernel (0.5 us) or single-stepped out of line (up to 37 times that).
 * Instructions that only newer kernels emulate count as STEPPED. */
enum insn_cost { INSN_EMULATED, INSN_STEPPED };

struct insn_site {
	uint64_t addr, offset; /* address in the file's view; file offset for the uprobe */
	enum insn_cost cost;
	char text[96];           /* the instruction as an assembler writes it */
	unsigned char bytes[16]; /* bytes[0] 0xe8: a call, see docs/DESIGN.md on shadow stacks */
	unsigned len;
};

/* insn_check_site - may this address carry a probe? It must be an instruction boundary reached by decoding from
 * the start of the function that contains it, and the kernel must be able to probe the instruction.
 * 0, or with a reason in err: -EINVAL no boundary or outside of known functions, -EOPNOTSUPP an instruction that must
 * not be probed (the 5-byte nop: Linux 6.18 optimises it, and a forked child dies; LOCK prefixes; int3; ...). */
int insn_check_site(const struct elf_image *elf, uint64_t addr, struct insn_site *out, char err[static 256]);

/* What a probe reads when it is hit: it must still be as it was at the function's entry. */
struct insn_needs {
	unsigned args; /* bit i: argument i, of those in registers (0..5) */
	bool stack;    /* arguments on the stack, or the return address */
};
#define INSN_NEEDS_ALL ((struct insn_needs){.args = 0x3f, .stack = true})

/* insn_entry_site - where to count the entries of the function at `addr`: skips endbr64, then takes the first
 * emulated instruction ahead in straight line, while nothing that the probe needs has been written, and no direct
 * jump in the file leads between entry and site; else the first instruction that may be probed. In a function with
 * jump tables nothing further than what follows endbr64 is taken. With `is_return` only the entry itself or what
 * follows endbr64 is allowed, because the return address must be on top of the stack. */
int insn_entry_site(const struct elf_image *elf, uint64_t addr, bool is_return, struct insn_needs needs,
		    struct insn_site *out, char err[static 256]);

/* insn_first_load - displacement of the first load of 8 or (SSE) 16 bytes whose base is the register of the first
 * argument, in straight line from the function's start and before that register is written. 0 or -ENOENT. */
int insn_first_load(const struct elf_image *elf, uint64_t func_addr, int64_t *displacement);

#endif
