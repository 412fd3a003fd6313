/* SPDX-License-Identifier: MIT */
/*
 * What is free: bitmaps of blocks and inodes.
 *
 * PROBLEM. Who reads a file, or all files of a directory, should not have to move the disk's head
 * far. And a block must not get a new owner while the disk still names the old one: after a crash
 * both would have it.
 *
 * IDEA. A group is a piece of the disk with its own bitmaps, inodes and data. A file is put in the
 * group of its directory, its blocks one behind the other; directories are spread over the groups
 * that have most room. When a group is full, the next one helps out.
 *
 *	bitmap on the disk   1 1 1 0 1 1 0 0      what has an owner, on the disk or in memory
 *	freed                0 1 0 0 0 0 0 0      has lost its owner, but the disk may not know yet
 *
 * Only when everything that named a block has been written without it, sync.c clears its bit.
 *
 * What the counters of free blocks say is only a hint: the bits decide. A bitmap that gives away
 *the file system's own blocks is damaged; these are never given out.
 */
#include <errno.h>
#include <slab.h>

#include "ext2.h"

/* ---- Groups ---------------------------------------------------------------------------------- */

uint32_t
ext2_group_start(const struct ext2_fs *fs, uint32_t group)
{
	return fs->super.first_data_block + group * fs->super.blocks_per_group;
}

static uint32_t
group_of(const struct ext2_fs *fs, uint32_t block)
{
	return (block - fs->super.first_data_block) / fs->super.blocks_per_group;
}

/* The last group may be shorter. */
static uint32_t
blocks_in(const struct ext2_fs *fs, uint32_t group)
{
	return MIN(fs->super.blocks_per_group,
		   fs->super.blocks_count - ext2_group_start(fs, group));
}

static bool
is_power_of(uint32_t number, uint32_t base)
{
	while (number > 1 && number % base == 0)
		number /= base;
	return number == 1;
}

bool
ext2_has_super(const struct ext2_fs *fs, uint32_t group)
{
	return !(fs->super.ro_compat & EXT2_RO_SPARSE) || group <= 1 || is_power_of(group, 3) ||
	       is_power_of(group, 5) || is_power_of(group, 7);
}

bool
ext2_is_data(struct ext2_fs *fs, uint32_t block)
{
	const struct ext2_group *group;
	uint32_t number;

	if (block <= fs->super.first_data_block || block >= fs->super.blocks_count)
		return false;
	number = group_of(fs, block);
	group = &fs->groups[number];
	if (ext2_has_super(fs, number) &&
	    block - ext2_group_start(fs, number) <= fs->descriptor_blocks)
		return false;
	return block != group->block_bitmap && block != group->inode_bitmap &&
	       (block < group->inode_table || block - group->inode_table >= fs->table_blocks);
}

/* ---- Bits ------------------------------------------------------------------------------------ */

static bool
get_bit(const uint8_t *bits, uint32_t bit)
{
	return (bits[bit / 8] >> bit % 8 & 1) != 0;
}

static void
set_bit(uint8_t *bits, uint32_t bit)
{
	bits[bit / 8] |= (uint8_t)(1u << bit % 8);
}

static void
clear_bit(uint8_t *bits, uint32_t bit)
{
	bits[bit / 8] &= (uint8_t) ~(1u << bit % 8);
}

/* The first bit from start on that is clear, or end. */
static uint32_t
find_clear(const uint8_t *bits, uint32_t start, uint32_t end)
{
	while (start < end) {
		if (start % 8 == 0 && bits[start / 8] == 0xff)
			start += 8;
		else if (get_bit(bits, start))
			start++;
		else
			return start;
	}
	return end;
}

/* ---- Blocks ---------------------------------------------------------------------------------- */

/* Take a free block of a group, from a bit on. Returns 0, -ENOSPC or an error. */
static int
take_block(struct ext2_fs *fs, uint32_t group, uint32_t from, uint32_t *block)
{
	uint32_t start = ext2_group_start(fs, group), end = blocks_in(fs, group), bit = from;
	struct ext2_buffer *bitmap;
	int error = ext2_get(fs, fs->groups[group].block_bitmap, EXT2_BITMAP, &bitmap);

	if (error)
		return error;
	while ((bit = find_clear(bitmap->bytes, bit, end)) < end && !ext2_is_data(fs, start + bit))
		bit++;
	if (bit == end)
		return -ENOSPC;
	set_bit(bitmap->bytes, bit);
	ext2_dirty(fs, bitmap);
	if (fs->groups[group].free_blocks > 0)
		fs->groups[group].free_blocks--;
	if (fs->super.free_blocks > 0)
		fs->super.free_blocks--;
	fs->super_dirty = true;
	*block = start + bit;
	return 0;
}

int
ext2_allocate(struct ext2_fs *fs, uint32_t goal, uint32_t *block)
{
	uint32_t group;
	int error;

	assert_ext2_locked(fs);
	if (goal <= fs->super.first_data_block || goal >= fs->super.blocks_count)
		goal = fs->super.first_data_block + 1;
	group = group_of(fs, goal);
	error = take_block(fs, group, goal - ext2_group_start(fs, group), block);
	for (uint32_t i = 0; i < fs->nr_groups && error; i++) {
		uint32_t next = (group + i) % fs->nr_groups;

		if (fs->groups[next].free_blocks > 0)
			error = take_block(fs, next, 0, block);
	}
	return error;
}

static uint8_t *
freed_bits(struct ext2_fs *fs, uint32_t group)
{
	if (!fs->freed[group])
		fs->freed[group] = kmalloc_zeroed(fs->block_size, GFP_KERNEL);
	return fs->freed[group];
}

/* Without memory to note it the block stays taken, until e2fsck finds that it is nobody's. */
bool
ext2_free(struct ext2_fs *fs, uint32_t block)
{
	struct ext2_buffer *bitmap;
	uint32_t group, bit;
	uint8_t *freed;

	assert_ext2_locked(fs);
	if (!ext2_is_data(fs, block)) {
		(void)ext2_damaged(fs, "no block to give back", block);
		return false;
	}
	group = group_of(fs, block);
	bit = block - ext2_group_start(fs, group);
	if (ext2_get(fs, fs->groups[group].block_bitmap, EXT2_BITMAP, &bitmap) != 0)
		return false;
	freed = freed_bits(fs, group);
	if (!get_bit(bitmap->bytes, bit) || (freed && get_bit(freed, bit))) {
		(void)ext2_damaged(fs, "given back twice, block", block);
		return false;
	}
	ext2_forget(fs, block);
	if (freed) {
		set_bit(freed, bit);
		fs->nr_freed++;
	}
	return true;
}

static int
settle_group(struct ext2_fs *fs, uint32_t group)
{
	struct ext2_buffer *bitmap;
	int error = ext2_get(fs, fs->groups[group].block_bitmap, EXT2_BITMAP, &bitmap);

	if (error)
		return error;
	for (uint32_t bit = 0; bit < blocks_in(fs, group); bit++) {
		if (!get_bit(fs->freed[group], bit))
			continue;
		clear_bit(bitmap->bytes, bit);
		fs->groups[group].free_blocks++;
		fs->super.free_blocks++;
	}
	ext2_dirty(fs, bitmap);
	kfree(fs->freed[group]);
	fs->freed[group] = NULL;
	return 0;
}

int
ext2_settle_freed(struct ext2_fs *fs)
{
	int error = 0;

	assert_ext2_locked(fs);
	if (fs->nr_freed == 0)
		return 0;
	for (uint32_t group = 0; group < fs->nr_groups && !error; group++) {
		if (fs->freed[group])
			error = settle_group(fs, group);
	}
	if (!error)
		fs->nr_freed = 0;
	fs->super_dirty = true;
	return error;
}

/* ---- Inodes ---------------------------------------------------------------------------------- */

static int
take_inode(struct ext2_fs *fs, uint32_t group, bool directory, uint32_t *number)
{
	uint32_t base = group * fs->super.inodes_per_group + 1, bit = 0;
	struct ext2_buffer *bitmap;
	int error = ext2_get(fs, fs->groups[group].inode_bitmap, EXT2_BITMAP, &bitmap);

	if (error)
		return error;
	if (base < fs->first_inode)
		bit = fs->first_inode - base;
	bit = find_clear(bitmap->bytes, bit, fs->super.inodes_per_group);
	/* One that is in memory is in use, whatever a damaged bitmap says. */
	while (bit < fs->super.inodes_per_group && tree_find(&fs->nodes, base + bit))
		bit = find_clear(bitmap->bytes, bit + 1, fs->super.inodes_per_group);
	if (bit >= fs->super.inodes_per_group)
		return -ENOSPC;
	set_bit(bitmap->bytes, bit);
	ext2_dirty(fs, bitmap);
	if (fs->groups[group].free_inodes > 0)
		fs->groups[group].free_inodes--;
	if (fs->super.free_inodes > 0)
		fs->super.free_inodes--;
	fs->groups[group].directories += directory;
	fs->super_dirty = true;
	*number = base + bit;
	return 0;
}

/* For a directory: of the groups with more free inodes than the mean, that with most free blocks.
 */
static uint32_t
best_group(const struct ext2_fs *fs, uint32_t parent_group)
{
	uint32_t mean = fs->super.free_inodes / fs->nr_groups, best = parent_group;
	bool found = false;

	for (uint32_t i = 0; i < fs->nr_groups; i++) {
		const struct ext2_group *group = &fs->groups[i];

		if (group->free_inodes == 0 || group->free_inodes < mean)
			continue;
		if (!found || group->free_blocks > fs->groups[best].free_blocks)
			best = i;
		found = true;
	}
	return best;
}

int
ext2_allocate_inode(struct ext2_fs *fs, uint32_t parent, bool directory, uint32_t *number)
{
	uint32_t first = (parent - 1) / fs->super.inodes_per_group;
	int error = -ENOSPC;

	assert_ext2_locked(fs);
	if (directory)
		first = best_group(fs, first);
	for (uint32_t i = 0; i < fs->nr_groups && error; i++) {
		uint32_t group = (first + i) % fs->nr_groups;

		if (fs->groups[group].free_inodes > 0)
			error = take_inode(fs, group, directory, number);
	}
	return error;
}

void
ext2_free_inode(struct ext2_fs *fs, uint32_t number, bool directory)
{
	uint32_t group = (number - 1) / fs->super.inodes_per_group;
	uint32_t bit = (number - 1) % fs->super.inodes_per_group;
	struct ext2_buffer *bitmap;

	assert_ext2_locked(fs);
	if (ext2_get(fs, fs->groups[group].inode_bitmap, EXT2_BITMAP, &bitmap) != 0)
		return;
	if (!get_bit(bitmap->bytes, bit)) {
		(void)ext2_damaged(fs, "given back twice, inode", number);
		return;
	}
	clear_bit(bitmap->bytes, bit);
	ext2_dirty(fs, bitmap);
	fs->groups[group].free_inodes++;
	fs->super.free_inodes++;
	if (directory && fs->groups[group].directories > 0)
		fs->groups[group].directories--;
	fs->super_dirty = true;
}
