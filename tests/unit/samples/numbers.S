/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of `take` with numbers. Never executed. */
#include "sample.inc"

FUNCTION(take)
	ret
END(take)
	.hidden take

FUNCTION(n_plain)
	mov $5, %edi
MARK(m_five)
	call take
	mov $7, %edi
MARK(m_seven)
	call take
	xor %edi, %edi
MARK(m_zero)
	call take
	mov $-1, %edi
MARK(m_minus)
	call take
	mov $-1, %rdi
MARK(m_wide_minus)
	call take
	movabs $0x100000005, %rdi
MARK(m_high)
	call take
	ret
END(n_plain)

FUNCTION(n_merged) /* one call for two numbers */
	mov $5, %edi
	test %esi, %esi
	je 1f
	mov $7, %edi
1:
MARK(m_merged)
	call take
	ret
END(n_merged)

FUNCTION(n_variable)
	mov (%rsi), %edi
MARK(m_variable)
	call take
	ret
END(n_variable)

FUNCTION(n_copied)
	mov $5, %ebx
	call take /* its own argument is not known */
MARK(m_after)
	mov %rbx, %rdi
MARK(m_copied)
	call take
	lea take(%rip), %rdi /* an address, no number */
	call take
	push $5
	pop %rdi
MARK(m_pushed)
	call take
	mov $5, %edi
MARK(m_tail)
	jmp take
END(n_copied)
