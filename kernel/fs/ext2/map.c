/* SPDX-License-Identifier: MIT */
/*
 * Where the blocks of a file are.
 *
 * The first twelve stand in the inode. The next ones stand in a block of their own, a map; then
 * comes a map of maps, and a map of such, so that small files cost nothing and large ones
 * logarithmically much:
 *
 *	place      0 .. 11    block[place]
 *	           12 ..      block[12] -> slot
 *	           ..         block[13] -> slot -> slot
 *	           ..         block[14] -> slot -> slot -> slot
 *
 * A way is the slots to pass on the way to a place. A slot that is 0 is a hole: all that lies
 *behind it reads as zeroes.
 *
 * A damaged disk may let many slots lead to one map. When a file is cut, a map that was given back
 * already is not entered again, so the work is bounded by the size of the disk.
 */
#include <errno.h>

#include "ext2.h"

struct way {
	unsigned levels;		/* maps to pass */
	uint32_t slot[1 + EXT2_LEVELS]; /* in the inode, then in each map */
};

uint64_t
ext2_max_blocks(const struct ext2_fs *fs)
{
	uint64_t p = fs->map_slots;

	return EXT2_DIRECT + p + p * p + p * p * p;
}

static bool
find_way(const struct ext2_fs *fs, uint64_t place, struct way *way)
{
	uint64_t spans = 1;

	way->levels = 0;
	if (place < EXT2_DIRECT) {
		way->slot[0] = (uint32_t)place;
		return true;
	}
	place -= EXT2_DIRECT;
	for (unsigned level = 1; level <= EXT2_LEVELS; level++) {
		spans *= fs->map_slots;
		if (place >= spans) {
			place -= spans;
			continue;
		}
		way->levels = level;
		way->slot[0] = EXT2_DIRECT + level - 1;
		for (unsigned i = 1; i <= level; i++) {
			spans /= fs->map_slots;
			way->slot[i] = (uint32_t)(place / spans);
			place %= spans;
		}
		return true;
	}
	return false;
}

/* How high above the data a map is, once the way has passed so many. */
static enum ext2_kind
kind_of(const struct way *way, unsigned passed)
{
	return (enum ext2_kind)(EXT2_MAP1 + way->levels - passed);
}

static void
count_sectors(struct ext2_node *node, bool more)
{
	uint32_t sectors = node->fs->block_size / SECTOR_SIZE;

	if (more)
		node->sectors += sectors;
	else
		node->sectors -= MIN(node->sectors, sectors);
	if (node->inode)
		__atomic_store_n(&node->inode->blocks, node->sectors, __ATOMIC_RELAXED);
}

/* A block near the one that the file got last. */
static int
new_block(struct ext2_node *node, uint32_t *block)
{
	struct ext2_fs *fs = node->fs;
	uint32_t group = (node_number(node) - 1) / fs->super.inodes_per_group;
	uint32_t goal = node->goal ? node->goal + 1 : ext2_group_start(fs, group) + 1;
	int error = ext2_allocate(fs, goal, block);

	if (error)
		return error;
	node->goal = *block;
	count_sectors(node, true);
	return 0;
}

static void
give_back(struct ext2_node *node, uint32_t block)
{
	if (ext2_free(node->fs, block))
		count_sectors(node, false);
}

/* Put a new block into a slot that is 0; a map of that kind, or data for EXT2_KINDS. */
static int
fill_slot(struct ext2_node *node, uint32_t *slot, enum ext2_kind kind)
{
	struct ext2_buffer *buffer;
	uint32_t block;
	int error = new_block(node, &block);

	if (error)
		return error;
	if (kind != EXT2_KINDS)
		error = ext2_get_new(node->fs, block, kind, &buffer);
	if (error) {
		give_back(node, block);
		return error;
	}
	*slot = block;
	return 0;
}

int
ext2_map(struct ext2_node *node, uint64_t place, bool allocate, uint32_t *block, bool *fresh)
{
	struct ext2_fs *fs = node->fs;
	struct ext2_buffer *map = NULL;
	uint32_t *slot;
	struct way way;

	assert_ext2_locked(fs);
	*block = 0;
	*fresh = false;
	if (!find_way(fs, place, &way))
		return -EFBIG;
	slot = &node->block[way.slot[0]];
	for (unsigned passed = 0;; passed++) {
		bool is_map = passed < way.levels;
		int error;

		if (!*slot && !allocate)
			return 0;
		if (!*slot) {
			*fresh = !is_map;
			error =
			    fill_slot(node, slot, is_map ? kind_of(&way, passed + 1) : EXT2_KINDS);
			if (error)
				return error;
			if (map)
				ext2_dirty(fs, map);
		}
		if (!is_map)
			break;
		error = ext2_get(fs, *slot, kind_of(&way, passed + 1), &map);
		if (error)
			return error;
		slot = (uint32_t *)map->bytes + way.slot[passed + 1];
	}
	if (!ext2_is_data(fs, *slot))
		return ext2_damaged(fs, "no block of a file", *slot);
	*block = *slot;
	return 0;
}

/* ---- Cutting --------------------------------------------------------------------------------- */

/*
 * Free what lies at or behind a place, counted from the first that the slot leads to. level: of
 * maps to pass. Returns whether the slot is empty now. Depth: EXT2_LEVELS.
 */
static bool
cut_below(struct ext2_node *node, uint32_t block, unsigned level, uint64_t place)
{
	struct ext2_fs *fs = node->fs;
	struct ext2_buffer *map;
	uint64_t spans = 1;

	if (level == 0) {
		give_back(node, block);
		return true;
	}
	for (unsigned i = 1; i < level; i++)
		spans *= fs->map_slots;
	if (place >= spans * fs->map_slots)
		return false;
	if (ext2_get(fs, block, (enum ext2_kind)(EXT2_MAP1 + level - 1), &map) != 0)
		return place == 0;
	/* It goes first, so that a way in a circle ends here; the slots are read before that. */
	for (uint32_t i = (uint32_t)(place / spans); i < fs->map_slots; i++) {
		uint32_t *slot = (uint32_t *)map->bytes + i, below = *slot;
		uint64_t first = (uint64_t)i * spans;

		if (!below)
			continue;
		*slot = 0;
		if (!cut_below(node, below, level - 1, place > first ? place - first : 0))
			*slot = below;
	}
	if (place == 0)
		give_back(node, block);
	else
		ext2_dirty(fs, map);
	return place == 0;
}

void
ext2_cut(struct ext2_node *node, uint64_t place)
{
	uint64_t start = EXT2_DIRECT, spans = 1;

	assert_ext2_locked(node->fs);
	node->goal = 0;
	for (uint64_t i = place; i < EXT2_DIRECT; i++) {
		if (node->block[i])
			give_back(node, node->block[i]);
		node->block[i] = 0;
	}
	for (unsigned level = 1; level <= EXT2_LEVELS; level++) {
		uint32_t *slot = &node->block[EXT2_DIRECT + level - 1];

		spans *= node->fs->map_slots;
		if (*slot && cut_below(node, *slot, level, place > start ? place - start : 0))
			*slot = 0;
		start += spans;
	}
}
