/* SPDX-License-Identifier: Apache-2.0 */
/* eh_frame.h - owns the reading of call frame information (.eh_frame) into function bounds; private to this room.
 * It knows no ELF file: bytes in, ranges out. */
#ifndef MAILGAUGE_EH_FRAME_H
#define MAILGAUGE_EH_FRAME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* eh_frame_read - call `add` for each function that the `size` bytes of an .eh_frame, which stand at address `addr`,
 * tell of; nothing is promised about order, overlap or sense of what they say. With is_bounded `size` is known to be
 * the section's, otherwise a zero length ends it. `is_part`: the stack is not as a call leaves it, so that this is a
 * part of a function which the compiler has split off; one that has no frame there cannot be told so. */
void eh_frame_read(const unsigned char *bytes, size_t size, uint64_t addr, bool is_bounded,
		   void (*add)(void *context, uint64_t addr, uint64_t size, bool is_part), void *context);
/* eh_frame_pointer - the address of .eh_frame as the 8 bytes of an .eh_frame_hdr at `addr` have it, or 0 */
uint64_t eh_frame_pointer(const unsigned char head[static 8], uint64_t addr);

#endif
