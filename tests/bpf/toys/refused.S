/* SPDX-License-Identifier: Apache-2.0 */
/* Functions with instructions that must not carry a probe. */
	.macro function name
	.globl \name
	.type \name, @function
	.balign 16
\name:
	.cfi_startproc
	.endm
	.macro end name
	.cfi_endproc
	.size \name, . - \name
	.endm

	.text
	/* Begins with the 5-byte nop; the next instruction may be probed. */
	function toy_nop5
	.byte 0x0f, 0x1f, 0x44, 0x00, 0x00
	push %rbp
	pop %rbp
	ret
	end toy_nop5

	/* Begins with an instruction that has immediate bytes to hit by mistake. */
	function toy_five
	mov $5, %eax
	ret
	end toy_five

	/* Begins with a prefix that the kernel does not probe. */
	function toy_lock
	lock incl counter(%rip)
	ret
	end toy_lock

	.bss
	.balign 4
counter:
	.zero 4
	.section .note.GNU-stack, "", @progbits
