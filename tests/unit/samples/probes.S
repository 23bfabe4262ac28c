/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions and function entries for the rules of probing. Never executed. */
#include "sample.inc"

/* ---- one instruction each: what the kernel refuses */
FUNCTION(refused)
MARK(r_nop5)	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00
MARK(r_nop5_66)	.byte 0x66, 0x0f, 0x1f, 0x40, 0x00
MARK(r_jmp5)	.byte 0xe9, 0x00, 0x00, 0x00, 0x00
MARK(r_lea5)	.byte 0x48, 0x8d, 0x64, 0x24, 0x00
MARK(r_nop10)	.byte 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00
MARK(r_nop66)	.byte 0x66, 0x90
MARK(r_xchg)	.byte 0x41, 0x90
MARK(r_pause)	pause
MARK(r_lock)	lock incl (%rdi)
MARK(r_cs)	.byte 0x2e, 0x48, 0x89, 0xf8
MARK(r_notrack)	notrack jmp *%rax
MARK(r_jmp16)	.byte 0x66, 0xe9, 0x00, 0x01, 0x00, 0x00
MARK(r_int3)	int3
MARK(r_hlt)	hlt
MARK(r_ud2)	ud2
MARK(r_in)	in $0x10, %al
MARK(r_outs)	outsb
MARK(r_cli)	cli
MARK(r_int)	int $0x80
MARK(r_iret)	iretq
MARK(r_pushf)	pushfq
MARK(r_mov_ss)	mov %eax, %ss
MARK(r_syscall)	syscall
MARK(r_rdtscp)	rdtscp
MARK(r_mfence)	mfence
MARK(r_vex)	vmovaps %ymm0, %ymm1
	ret
END(refused)

/* ---- what it steps */
FUNCTION(stepped)
MARK(s_endbr64)	endbr64
MARK(s_sub)	sub $8, %rsp
MARK(s_mov)	mov %rdi, %rax
MARK(s_nop4)	.byte 0x0f, 0x1f, 0x40, 0x00
MARK(s_lea)	lea refused(%rip), %rdi
MARK(s_lea5)	lea 8(%rsp), %rax
MARK(s_fs)	mov %fs:0x28, %rax
MARK(s_push_8)	push $1
MARK(s_push_m)	push 8(%rdi)
MARK(s_push_w)	push %ax
MARK(s_sse)	movaps %xmm0, (%rsp)
MARK(s_ssse3)	pshufb %xmm1, %xmm0
MARK(s_loop)	loop .
MARK(s_call)	call *%rax
MARK(s_jmp)	jmp *(%rax)
MARK(s_ret)	ret
END(stepped)

/* ---- what it emulates */
FUNCTION(emulated)
MARK(e_push)	push %rbp
MARK(e_push_15)	push %r15
MARK(e_nop)	nop
MARK(e_call)	call stepped
MARK(e_addr32)	.byte 0x67; call stepped
MARK(e_jcc8)	je 1f
MARK(e_jcc32)	jne stepped
MARK(e_jmp8)	jmp 1f
MARK(e_jmp32)	jmp stepped
MARK(e_bnd)	.byte 0xf2; jmp stepped
1:	ret
END(emulated)

/* ---- entries */
FUNCTION(n_push)
	push %rbp
	pop %rbp
	ret
END(n_push)

FUNCTION(n_endbr64)
	endbr64
MARK(n_endbr64_site)
	push %rbx
	pop %rbx
	ret
END(n_endbr64)

FUNCTION(n_ahead) /* the branch is the first that is cheap; rsp and rsi have changed by then */
	endbr64
	sub $24, %rsp
	mov 0x150(%rdi), %rsi
	mov %rdi, 8(%rsp)
	test %rsi, %rsi
MARK(n_ahead_site)
	je 1f
	call *0x20(%rsi)
1:	add $24, %rsp
	ret
END(n_ahead)

FUNCTION(n_part) /* a change of a part of a register counts */
	mov $1, %dil
	push %rbx
	pop %rbx
	ret
END(n_part)

FUNCTION(n_implicit) /* rdx is written although no operand says so */
	cqto
	push %rbx
	pop %rbx
	ret
END(n_implicit)

FUNCTION(n_behind_branch) /* what follows a branch is not always reached */
	sub $8, %rsp
	call *%rax
	push %rbx
	ret
END(n_behind_branch)

FUNCTION(n_loop) /* jumps back to what follows endbr64 */
	endbr64
1:	push %rbx
	pop %rbx
	dec %rax
	jne 1b
	ret
END(n_loop)

FUNCTION(n_entered) /* a long jump of another function leads behind the entry */
	endbr64
1:	mov %rdi, %rax
	push %rbx
	pop %rbx
	ret
END(n_entered)

	.section .text.far, "ax"
	.skip 1024, 0x90
FUNCTION(n_intruder)
	mov %rdi, %rbx
	jmp 1b
END(n_intruder)
	.text

FUNCTION(n_beside) /* a short jump of the neighbour leads behind the entry */
	endbr64
1:	push %rbx
	pop %rbx
	ret
END(n_beside)
FUNCTION(n_neighbour)
	jmp 1b
END(n_neighbour)

FUNCTION(n_nop5)
	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00
	mov %rdi, %rax
MARK(n_nop5_site)
	push %rbx
	pop %rbx
	ret
END(n_nop5)

FUNCTION(n_nop5_only)
	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00
	ret
END(n_nop5_only)

FUNCTION(n_hopeless)
	hlt
END(n_hopeless)

FUNCTION(n_switch) /* its labels are not known, so no look-ahead */
	mov %rdi, %rax
	push %rbx
	pop %rbx
	jmp *%rax
END(n_switch)

FUNCTION(n_long) /* the cheap one is the 14th */
	.rept 13
	mov %rdi, %rax
	.endr
	push %rbx
	pop %rbx
	ret
END(n_long)

/* ---- loads through the first argument */
FUNCTION(l_plain)
	mov 0x168(%rdi), %rcx
	ret
END(l_plain)

FUNCTION(l_late)
	endbr64
	push %rbx
	mov 8(%rsi), %rax
	mov 0x10(%rdi), %eax
	mov (%rdi,%rax), %rdx
	mov %rax, 0x18(%rdi)
	movaps %xmm0, 0x20(%rdi)
	movss 0x24(%rdi), %xmm0
	test %rax, %rax
	je 1f
	mov -0x28(%rdi), %rdi
1:	pop %rbx
	ret
END(l_late)

FUNCTION(l_two)
	endbr64
	movdqu 0x90(%rdi), %xmm0
	movups %xmm0, (%rsi)
	ret
END(l_two)

FUNCTION(l_two_indexed)
	movups 0x10(%rdi,%rax), %xmm0
	movaps 0x30(%rdi), %xmm1
	ret
END(l_two_indexed)

FUNCTION(l_written)
	mov %rsi, %rdi
	mov 0x10(%rdi), %rax
	ret
END(l_written)

FUNCTION(l_called)
	call stepped
	mov 0x10(%rdi), %rax
	ret
END(l_called)

FUNCTION(l_none)
	xor %eax, %eax
	ret
END(l_none)

/* ---- symbols that are no functions */
	.globl resolver_user
	.type resolver_user, @gnu_indirect_function
	.set resolver_user, n_push
	.data
	.globl variable
	.type variable, @object
variable:
	.quad 0
	.size variable, 8
