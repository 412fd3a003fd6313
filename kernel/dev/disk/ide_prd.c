/* SPDX-License-Identifier: MIT */
/*
 * A command's memory as the bus master wants it: a table of contiguous pieces.
 *
 * A piece may not go beyond a multiple of 64 KiB, and its address has 32 bits (Intel 82371SB,
 * PIIX3, 2.7.2). A segment lies in one frame, so it never crosses such a multiple by itself;
 * segments that follow each other in memory become one piece up to there.
 */
#include "ide.h"

#define PRD_BOUNDARY KiB(64)

/* Bytes of a piece. */
static uint64_t
prd_size(const struct ide_prd *prd)
{
	return prd->size ? prd->size : PRD_BOUNDARY;
}

unsigned
ide_make_prds(struct block_command *command, struct ide_prd prds[IDE_MAX_PRDS])
{
	const struct block_segment *segment;
	struct block_cursor cursor;
	unsigned nr = 0;

	block_cursor_init(&cursor, command);
	while ((segment = block_next_segment(&cursor))) {
		paddr_t address = (page_to_pfn(segment->page) << PAGE_SHIFT) + segment->offset;
		struct ide_prd *last = &prds[nr - 1];

		if (address + segment->size > GiB(4))
			return 0;
		if (nr > 0 && last->address + prd_size(last) == address &&
		    address % PRD_BOUNDARY != 0) {
			last->size = (uint16_t)(last->size + segment->size);
			continue;
		}
		if (nr == IDE_MAX_PRDS)
			return 0;
		prds[nr++] = (struct ide_prd){ (uint32_t)address, (uint16_t)segment->size, 0 };
	}
	if (nr > 0)
		prds[nr - 1].flags = IDE_PRD_LAST;
	return nr;
}
