#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed.sh FILE... - assembler source that puts the files into the program, as the table of src/catalog/embedded.h.
set -eu
echo '	.section .rodata'
n=0
for file; do
	printf 'name_%d:	.asciz "%s"\ndata_%d:	.incbin "%s"\nend_%d:	.byte 0\n' \
		$n "$(basename "$file")" $n "$file" $n
	n=$((n + 1))
done
# Pointers need relocation, so the table itself is in .data.rel.ro.
printf '	.section .data.rel.ro,"aw"\n	.balign 8\n	.globl embedded_files\nembedded_files:\n'
i=0
while [ $i -lt $n ]; do
	printf '	.quad name_%d, data_%d, end_%d - data_%d\n' $i $i $i $i
	i=$((i + 1))
done
printf '	.globl embedded_file_count\n	.balign 8\nembedded_file_count:	.quad %d\n' $n
printf '	.section .note.GNU-stack,"",%%progbits\n'
