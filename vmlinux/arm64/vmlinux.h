/* SPDX-License-Identifier: GPL-2.0-only */
/* vmlinux.h - the kernel types that bpf/ uses, arm64. How it was made: vmlinux/README.md */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include "../common.h"

struct user_pt_regs {
	__u64 regs[31];
	__u64 sp, pc, pstate;
};

struct pt_regs {
	union {
		struct user_pt_regs user_regs;
		struct {
			__u64 regs[31];
			__u64 sp, pc, pstate;
		};
	};
};

#endif
