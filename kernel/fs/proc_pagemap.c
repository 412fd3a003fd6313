/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/pagemap: which frame each page of a program lies in, in Linux's format. Entry n, of 8
 * bytes, is of the page at n * 4096:
 *
 *	63        present              56        no other page table shows it
 *	61        of a file or shared  54 to 0   the number of its frame
 *
 * Numbers of frames are nobody's business but the superuser's, who alone may open it.
 *
 * So a program can see what mmap(), a fault or fork() did: what is not there yet, what two
 *processes share, what has become a copy.
 *
 * Source: Linux, Documentation/admin-guide/mm/pagemap.rst.
 */
#include <address_space.h>
#include <arch.h>
#include <process.h>

#include "procfs.h"

#define ENTRY_PRESENT	(1ull << 63)
#define ENTRY_OF_OBJECT (1ull << 61)
#define ENTRY_EXCLUSIVE (1ull << 56)

#define PIECE 32 /* entries at a time */

static uint64_t
entry_of(const struct shown_page *page)
{
	if (!page->present)
		return 0;
	return ENTRY_PRESENT | (page->of_object ? ENTRY_OF_OBJECT : 0) |
	       (page->exclusive ? ENTRY_EXCLUSIVE : 0) | page->frame;
}

static int64_t
read_piece(struct address_space *space, struct transfer *to, uint64_t index)
{
	uint64_t entry[PIECE], end = USER_END >> PAGE_SHIFT;
	struct shown_page page[PIECE];
	size_t nr = MIN(to->left / sizeof(entry[0]), PIECE);

	nr = index < end ? MIN(nr, end - index) : 0;
	space_get_pages(space, index << PAGE_SHIFT, nr, page);
	for (size_t i = 0; i < nr; i++)
		entry[i] = entry_of(&page[i]);
	return nr ? transfer_out_part(to, entry, nr * sizeof(entry[0])) : 0;
}

static int64_t
pagemap_read(struct file *file, struct transfer *to, uint64_t offset)
{
	struct address_space *space;
	int64_t done = 0, moved;

	if (offset % sizeof(uint64_t) || to->left % sizeof(uint64_t))
		return -EINVAL;
	space = process_space((int)file->inode->private.number);
	if (!space)
		return 0;
	do {
		moved = read_piece(space, to, (offset + (uint64_t)done) / sizeof(uint64_t));
		if (moved > 0)
			done += moved;
	} while (moved > 0 && to->left > 0);
	space_put(space);
	return done ? done : moved;
}

static const struct file_ops pagemap_ops = {
	.name = "pagemap",
	.seekable = true,
	.read = pagemap_read,
};

const struct inode_ops proc_pagemap_ops = { .file_ops = &pagemap_ops };
