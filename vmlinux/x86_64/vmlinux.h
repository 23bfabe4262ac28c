/* SPDX-License-Identifier: GPL-2.0-only */
/* vmlinux.h - the kernel types that bpf/ uses, x86-64. How it was made: vmlinux/README.md */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include "../common.h"

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di;
	unsigned long orig_ax, ip, cs, flags, sp, ss;
};

#endif
