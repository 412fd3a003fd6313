/* SPDX-License-Identifier: MIT */
/*
 * Directories of ext2: lists of names.
 *
 * A directory is a file of whole blocks. In each the entries lie one behind the other and fill it
 * exactly; the size of an entry is the way to the next, so an entry may have room behind its name.
 * What is removed becomes room of the entry before it, or, at the begin of a block, an entry that
 * leads to no inode:
 *
 *	| 12 "a" |.| 17 "bc" |......| 0 |.......|      room for a new name is found in any of them
 *
 * The first two names are "." and "..". Those, and all that is between entries, are kept from the
 * rest of the kernel, which has its own.
 *
 * An entry is looked at only after it has been checked: it lies in its block, and holds its name.
 */
#include <errno.h>

#include "ext2.h"

static uint32_t
blocks_of(const struct ext2_node *directory)
{
	return (uint32_t)(directory->inode->size / directory->fs->block_size);
}

/* A block of a directory; *buffer is NULL for a hole. */
static int
get_block(struct ext2_node *directory, uint32_t place, struct ext2_buffer **buffer)
{
	uint32_t block;
	bool fresh;
	int error = ext2_map(directory, place, false, &block, &fresh);

	*buffer = NULL;
	if (error || !block)
		return error;
	return ext2_get(directory->fs, block, EXT2_NAMES, buffer);
}

/* The entry at a byte of a block, or NULL if there is none that makes sense. */
static struct ext2_entry *
entry_at(struct ext2_node *directory, struct ext2_buffer *buffer, uint32_t at)
{
	struct ext2_fs *fs = directory->fs;
	struct ext2_entry *entry = (struct ext2_entry *)(buffer->bytes + at);

	if (fs->block_size - at >= sizeof(*entry) && entry->size % 4 == 0 &&
	    entry->size >= EXT2_ENTRY_SIZE(entry->inode ? entry->name_size : 0) &&
	    entry->size <= fs->block_size - at && entry->inode <= fs->super.inodes_count &&
	    (fs->has_types || entry->type == 0))
		return entry;
	(void)ext2_damaged(fs, "directory, inode", node_number(directory));
	return NULL;
}

static uint32_t
entry_start(const struct ext2_place *place)
{
	return (uint32_t)((uint8_t *)place->entry - place->buffer->bytes);
}

/* ---- Finding --------------------------------------------------------------------------------- */

static int
find_in_block(struct ext2_node *directory, const char *name, size_t size, struct ext2_place *place)
{
	struct ext2_entry *entry, *before = NULL;

	for (uint32_t at = 0; at < directory->fs->block_size; at += entry->size, before = entry) {
		entry = entry_at(directory, place->buffer, at);
		if (!entry)
			return -EIO;
		if (entry->inode && entry->name_size == size &&
		    memcmp(entry->name, name, size) == 0) {
			place->entry = entry;
			place->before = before;
			return 0;
		}
	}
	return -ENOENT;
}

int
ext2_find(struct ext2_node *directory, const char *name, size_t size, struct ext2_place *place)
{
	assert_ext2_locked(directory->fs);
	for (uint32_t i = 0; i < blocks_of(directory); i++) {
		int error = get_block(directory, i, &place->buffer);

		if (!error && place->buffer)
			error = find_in_block(directory, name, size, place);
		else if (!error)
			error = -ENOENT;
		if (error != -ENOENT)
			return error;
	}
	return -ENOENT;
}

/* ---- Changing -------------------------------------------------------------------------------- */

static uint8_t
type_of(const struct ext2_fs *fs, uint32_t mode)
{
	static const uint8_t types[16] = { [S_IFIFO >> 12] = 5, [S_IFCHR >> 12] = 3,
					   [S_IFDIR >> 12] = 2, [S_IFBLK >> 12] = 4,
					   [S_IFREG >> 12] = 1, [S_IFLNK >> 12] = 7,
					   [S_IFSOCK >> 12] = 6 };

	return fs->has_types ? types[mode >> 12 & 15] : 0;
}

static void
changed(struct ext2_node *directory, struct ext2_buffer *buffer)
{
	directory->flags &= ~(uint32_t)EXT2_FLAG_INDEX;
	ext2_dirty(directory->fs, buffer);
}

static void
fill_entry(struct ext2_fs *fs, struct ext2_entry *entry, uint32_t number, const char *name,
	   size_t size, uint32_t mode)
{
	entry->inode = number;
	entry->name_size = (uint8_t)size;
	entry->type = type_of(fs, mode);
	memcpy(entry->name, name, size);
}

/* Put a name into a block, if there is room: 0, -ENOSPC, -EIO. */
static int
add_to_block(struct ext2_node *directory, struct ext2_buffer *buffer, const char *name, size_t size,
	     uint32_t number, uint32_t mode)
{
	size_t needs = EXT2_ENTRY_SIZE(size);
	struct ext2_entry *entry;

	for (uint32_t at = 0; at < directory->fs->block_size; at += entry->size) {
		size_t own;

		entry = entry_at(directory, buffer, at);
		if (!entry)
			return -EIO;
		own = entry->inode ? EXT2_ENTRY_SIZE(entry->name_size) : 0;
		if (entry->size < own + needs)
			continue;
		if (own > 0) {
			struct ext2_entry *next = (struct ext2_entry *)((uint8_t *)entry + own);

			next->size = (uint16_t)(entry->size - own);
			entry->size = (uint16_t)own;
			entry = next;
		}
		fill_entry(directory->fs, entry, number, name, size, mode);
		changed(directory, buffer);
		return 0;
	}
	return -ENOSPC;
}

/* One more block, of a single entry that leads nowhere. */
static int
extend(struct ext2_node *directory, struct ext2_buffer **buffer)
{
	struct ext2_fs *fs = directory->fs;
	uint32_t place = blocks_of(directory), block;
	bool fresh;
	int error = ext2_map(directory, place, true, &block, &fresh);

	if (!error)
		error = ext2_get_new(fs, block, EXT2_NAMES, buffer);
	if (error)
		return error;
	((struct ext2_entry *)(*buffer)->bytes)->size = (uint16_t)fs->block_size;
	__atomic_store_n(&directory->inode->size, directory->inode->size + fs->block_size,
			 __ATOMIC_RELAXED);
	return 0;
}

int
ext2_add(struct ext2_node *directory, const char *name, size_t size, uint32_t number, uint32_t mode)
{
	struct ext2_buffer *buffer;
	int error = -ENOSPC;

	assert_ext2_locked(directory->fs);
	for (uint32_t i = MIN(directory->free_hint, blocks_of(directory)); i < blocks_of(directory);
	     i++) {
		error = get_block(directory, i, &buffer);
		if (!error && buffer)
			error = add_to_block(directory, buffer, name, size, number, mode);
		else if (!error)
			error = -ENOSPC;
		if (error != -ENOSPC)
			return error;
		directory->free_hint = size <= 12 ? i + 1 : directory->free_hint;
	}
	error = extend(directory, &buffer);
	if (!error)
		error = add_to_block(directory, buffer, name, size, number, mode);
	ext2_inode_dirty(directory->inode);
	return error;
}

void
ext2_remove(struct ext2_node *directory, struct ext2_place *place)
{
	assert_ext2_locked(directory->fs);
	if (place->before)
		place->before->size = (uint16_t)(place->before->size + place->entry->size);
	else
		place->entry->inode = 0;
	directory->free_hint = 0;
	changed(directory, place->buffer);
}

void
ext2_set_entry(struct ext2_node *directory, struct ext2_place *place, uint32_t number,
	       uint32_t mode)
{
	assert_ext2_locked(directory->fs);
	place->entry->inode = number;
	place->entry->type = type_of(directory->fs, mode);
	changed(directory, place->buffer);
}

int
ext2_make_directory(struct ext2_node *directory, uint32_t parent)
{
	struct ext2_buffer *buffer;
	int error = extend(directory, &buffer);

	if (!error)
		error = add_to_block(directory, buffer, ".", 1, node_number(directory), S_IFDIR);
	if (!error)
		error = add_to_block(directory, buffer, "..", 2, parent, S_IFDIR);
	return error;
}

static bool
is_dot_or_dots(const struct ext2_entry *entry)
{
	return (entry->name_size == 1 && entry->name[0] == '.') ||
	       (entry->name_size == 2 && entry->name[0] == '.' && entry->name[1] == '.');
}

int
ext2_check_empty(struct ext2_node *directory)
{
	assert_ext2_locked(directory->fs);
	for (uint32_t i = 0; i < blocks_of(directory); i++) {
		struct ext2_place place;
		int error = get_block(directory, i, &place.buffer);

		if (error)
			return error;
		for (uint32_t at = 0; place.buffer && at < directory->fs->block_size;
		     at = entry_start(&place) + place.entry->size) {
			place.entry = entry_at(directory, place.buffer, at);
			if (!place.entry)
				return -EIO;
			if (place.entry->inode && !is_dot_or_dots(place.entry))
				return -ENOTEMPTY;
		}
	}
	return 0;
}

/* ---- Listing --------------------------------------------------------------------------------- */

static uint32_t
mode_of(const struct ext2_fs *fs, const struct ext2_entry *entry)
{
	static const uint32_t modes[8] = { 0,	    S_IFREG, S_IFDIR,  S_IFCHR,
					   S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK };

	return fs->has_types ? modes[entry->type & 7] : 0;
}

/* What begins at or behind the byte of the directory. Returns whether there is room for more. */
static bool
list_block(struct ext2_node *directory, struct ext2_buffer *buffer, uint64_t start, uint64_t from,
	   list_fn *emit, void *arg)
{
	struct ext2_entry *entry;

	for (uint32_t at = 0; at < directory->fs->block_size; at += entry->size) {
		struct listed listed;

		entry = entry_at(directory, buffer, at);
		if (!entry)
			return true; /* the next block may be better */
		if (start + at < from || !entry->inode || entry->name_size == 0 ||
		    is_dot_or_dots(entry))
			continue;
		listed = (struct listed){ entry->name, entry->name_size, entry->inode,
					  mode_of(directory->fs, entry),
					  FIRST_PLACE + start + at + entry->size };
		if (!emit(&listed, arg))
			return false;
	}
	return true;
}

void
ext2_list(struct inode *inode, uint64_t place, list_fn *emit, void *arg)
{
	struct ext2_node *directory = node_of(inode);
	struct ext2_fs *fs = directory->fs;
	uint64_t from = place - FIRST_PLACE;
	bool more = true;

	ext2_lock(fs);
	for (uint64_t i = from / fs->block_size; i < blocks_of(directory) && more; i++) {
		struct ext2_buffer *buffer;

		if (get_block(directory, (uint32_t)i, &buffer) == 0 && buffer)
			more = list_block(directory, buffer, i * fs->block_size, from, emit, arg);
	}
	ext2_unlock(fs);
}
