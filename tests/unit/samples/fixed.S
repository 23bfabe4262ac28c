/* SPDX-License-Identifier: Apache-2.0 */
/* A program that is not moved: addresses are immediates, jump tables hold addresses. Never executed. */
#include "sample.inc"

	.section .rodata.texts, "aMS", @progbits, 1
t_fixed:	.string "fixed"
t_wide:		.string "wide"
t_table:	.string "table"
	.text

FUNCTION(reply)
	ret
END(reply)

FUNCTION(_start)
	mov $t_fixed, %edi
MARK(m_fixed)
	call reply
	mov $t_wide, %rdi
MARK(m_wide)
	call reply
	mov $t_table, %edi
	jmp *9f(,%rax,8)
1:
MARK(m_table)
	call reply
	ret
	.section .rodata
	.p2align 3
9:	.quad 1b
	.text
END(_start)
