/* SPDX-License-Identifier: Apache-2.0 */
/* How constant texts reach the calls of `report`, which is imported, and of `reply`, which is local.
 * Never executed. The sites are marked; a test says which of them a text must find. */
#include "sample.inc"

	.section .rodata.texts, "aMS", @progbits, 1
t_plain:	.string "plain"
t_far:		.string "far"
t_one:		.string "one"
t_two:		.string "two"
t_spill:	.string "spill"
t_tail:		.string "tail"
t_case:		.string "case"
t_early:	.string "early"
t_lost:		.string "lost"
t_over:		.string "overwritten"
t_param:	.string "param"
t_cold:		.string "cold"
t_slot:		.string "slot"
t_whole:	.string "a whole sentence"
t_end:		.string "sentence"
t_padded:	.string "padded"
t_cond:		.string "conditional"
t_prefix:	.string "prefixed call"
t_deep:		.string "deep"
t_moved:	.string "moved"
t_clobber:	.string "clobber"
t_zero:		.string "zero"
t_a1:		.string "first vote"
t_a2:		.string "second vote"
t_a3:		.string "third vote"
t_long:		.fill 5000, 1, 'x'
		.byte 0
	.data
t_written:	.string "writable"
	.text

FUNCTION(reply) /* (state, format) */
	ret
END(reply)
	.hidden reply

FUNCTION(other) /* a function that takes texts too, but fewer */
	ret
END(other)
	.hidden other

FUNCTION(c_plain)
	lea t_plain(%rip), %rdi
	xor %eax, %eax
MARK(m_plain)
	call report@PLT
	lea t_written(%rip), %rdi
MARK(m_written)
	call report@PLT
	ret
END(c_plain)

FUNCTION(c_far) /* kept in a register that calls leave alone */
	push %rbx
	lea t_far(%rip), %rbx
	mov %rbx, %rsi
	call other
	mov %rbx, %rdi
MARK(m_far)
	call report@PLT
	pop %rbx
	ret
END(c_far)

FUNCTION(c_merged) /* one call for two texts */
	test %rdi, %rdi
	je 1f
	lea t_one(%rip), %rdi
	jmp 2f
1:	lea t_two(%rip), %rdi
2:	xor %eax, %eax
MARK(m_merged)
	call report@PLT
	ret
END(c_merged)

FUNCTION(c_select)
	lea t_one(%rip), %rdi
	lea t_two(%rip), %rax
	cmove %rax, %rdi
MARK(m_select)
	call report@PLT
	ret
END(c_select)

FUNCTION(c_spill)
	sub $24, %rsp
	lea t_spill(%rip), %rax
	mov %rax, 8(%rsp)
	call other
	mov 8(%rsp), %rdi
MARK(m_spill)
	call report@PLT
	add $24, %rsp
	ret
END(c_spill)

FUNCTION(c_tail)
	lea t_tail(%rip), %rdi
MARK(m_tail)
	jmp report@PLT
END(c_tail)

FUNCTION(c_switch)
	lea t_early(%rip), %rdi
	lea 9f(%rip), %rdx
	movslq (%rdx,%rax,4), %rax
	add %rdx, %rax
	notrack jmp *%rax
1:	lea t_case(%rip), %rdi
MARK(m_case)
	call report@PLT
	ret
2:
MARK(m_early)
	call report@PLT
	ret
	.section .rodata
	.p2align 2
9:	.long 1b - 9b, 2b - 9b
	.text
END(c_switch)

FUNCTION(c_lost) /* the call in between may change the register */
	lea t_lost(%rip), %rdi
	call other
	call report@PLT
	lea t_over(%rip), %rdi
	lea t_plain(%rip), %rdi
MARK(m_over)
	call report@PLT
	lea t_over(%rip), %rdi
	inc %rdi
	call report@PLT
	ret
END(c_lost)

FUNCTION(c_param) /* the text is a parameter of the function that reports */
	lea t_param(%rip), %rdi
	call c_wrapper
	ret
END(c_param)
FUNCTION(c_wrapper)
	mov %rdi, %rax
	mov %rax, %rdi
MARK(m_param)
	jmp report@PLT
END(c_wrapper)

FUNCTION(c_hot) /* a part of the function is elsewhere */
	lea t_cold(%rip), %rdi
	test %eax, %eax
	jne c_hot_cold
	ret
END(c_hot)
	.section .text.unlikely, "ax"
FUNCTION(c_hot_cold)
MARK(m_cold)
	call report@PLT
	ret
END(c_hot_cold)
	.text

FUNCTION(c_slot)
	lea t_slot(%rip), %rdi
MARK(m_slot)
	call *report@GOTPCREL(%rip)
	lea t_slot(%rip), %rdi
MARK(m_slot_tail)
	jmp *report@GOTPCREL(%rip)
END(c_slot)

FUNCTION(c_suffix) /* the linker may let t_end be the end of t_whole */
	lea t_whole(%rip), %rdi
MARK(m_whole)
	call report@PLT
	lea t_end(%rip), %rdi
MARK(m_end)
	call report@PLT
	ret
END(c_suffix)

FUNCTION(c_padded) /* what stands in front of the label is never executed */
	test %edi, %edi
	je 1f
	lea t_padded(%rip), %rsi
	jmp 2f
1:	ret
	nop
	nopl (%rax)
2:	mov %rsi, %rdi
MARK(m_padded)
	call report@PLT
	ret
END(c_padded)

FUNCTION(c_deep) /* through two copies, a branch that does not matter and a push */
	lea t_deep(%rip), %r12
	test %eax, %eax
	jne 1f
	mov %r12, %r9
	push %r9
	pop %rdi
MARK(m_deep)
	call report@PLT
1:	ret
END(c_deep)

FUNCTION(c_zero) /* a text or nothing */
	xor %edi, %edi
	test %eax, %eax
	je 1f
	lea t_zero(%rip), %rdi
1:
MARK(m_zero)
	call report@PLT
	ret
END(c_zero)

FUNCTION(c_clobber) /* on one way the register has been lost again */
	lea t_clobber(%rip), %rdi
	test %eax, %eax
	je 1f
	call other
1:
MARK(m_clobber)
	call report@PLT
	ret
END(c_clobber)

FUNCTION(c_args)
	lea t_moved(%rip), %rdi
	lea t_moved(%rip), %rsi
	lea t_moved(%rip), %rdx
	lea t_moved(%rip), %rcx
	lea t_moved(%rip), %r8
	lea t_moved(%rip), %r9
MARK(m_args)
	call reply
	ret
END(c_args)

/* ---- calls that cannot be counted */
FUNCTION(c_conditional)
	lea t_cond(%rip), %rdi
	test %eax, %eax
	je reply
	ret
END(c_conditional)

FUNCTION(c_prefixed)
	lea t_prefix(%rip), %rdi
	.byte 0x2e
	call reply
	ret
END(c_prefixed)

/* ---- votes: reply has three texts in its second argument, other one of them */
FUNCTION(c_votes)
	lea t_a1(%rip), %rsi
MARK(m_vote_1)
	call reply
	lea t_a2(%rip), %rsi
MARK(m_vote_2)
	call reply
	lea t_a1(%rip), %rsi
	call other
	lea t_a3(%rip), %rsi
MARK(m_vote_3)
	jmp reply
END(c_votes)

FUNCTION(c_long)
	lea t_long(%rip), %rdi
	call report@PLT
	ret
END(c_long)
