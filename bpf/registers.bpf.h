/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* registers.bpf.h - where arguments, return value, stack and program counter are; one block per machine.
 * (libbpf's PT_REGS_PARM6 is younger than Debian 12's libbpf 1.1.) */
#ifndef MAILGAUGE_REGISTERS_BPF_H
#define MAILGAUGE_REGISTERS_BPF_H

#if defined(__TARGET_ARCH_x86)
#define REG_ARGS(ctx) (ctx)->di, (ctx)->si, (ctx)->dx, (ctx)->cx, (ctx)->r8, (ctx)->r9
#define REG_SP(ctx)   ((ctx)->sp)
#define REG_IP(ctx)   ((ctx)->ip)
#define REG_RET(ctx)  ((ctx)->ax)
#elif defined(__TARGET_ARCH_arm64)
#define REGS(ctx) ((const struct user_pt_regs *)(ctx))
#define REG_ARGS(ctx)                                                                                       \
	REGS(ctx)->regs[0], REGS(ctx)->regs[1], REGS(ctx)->regs[2], REGS(ctx)->regs[3], REGS(ctx)->regs[4], \
	    REGS(ctx)->regs[5]
#define REG_SP(ctx)  (REGS(ctx)->sp)
#define REG_IP(ctx)  (REGS(ctx)->pc)
#define REG_RET(ctx) (REGS(ctx)->regs[0])
#else
#error "no register names for this machine"
#endif

#endif
