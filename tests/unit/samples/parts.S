/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of functions that stand elsewhere, each with unwind information of its own. Never executed. */
#include "sample.inc"

	.section .rodata.texts, "aMS", @progbits, 1
t_back:		.string "comes back"
t_both:		.string "of both"
t_hot:		.string "in the hot part"
t_deep:		.string "part of a part"
t_called:	.string "called"
	.text

FUNCTION(p_one) /* an ordinary function with a part that returns to it */
	lea t_hot(%rip), %rdi
	test %eax, %eax
	jne p_one_part
1:	ret
END(p_one)
FUNCTION(p_one_part)
	lea t_back(%rip), %rdi
	test %eax, %eax
	je p_one_deep
	jmp 1b
END(p_one_part)
	.hidden p_one_part
FUNCTION(p_one_deep)
	lea t_deep(%rip), %rdi
	jmp 1b
END(p_one_deep)
	.hidden p_one_deep

FUNCTION(p_two) /* shares a part with p_three */
	jne 2f
	ret
END(p_two)
FUNCTION(p_three)
	jne 2f
	ret
END(p_three)
FUNCTION(p_shared)
	nop
2:	lea t_both(%rip), %rdi
	ret
END(p_shared)
	.hidden p_shared

FUNCTION(p_four) /* what it jumps to is called, too: a function */
	jne p_called
	call p_called
	ret
END(p_four)
FUNCTION(p_called)
	lea t_called(%rip), %rdi
	ret
END(p_called)
	.hidden p_called
