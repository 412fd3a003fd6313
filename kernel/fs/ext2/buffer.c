/* SPDX-License-Identifier: MIT */
/*
 * Buffers: blocks of the disk that are not data, in memory.
 *
 * Maps, directories, bitmaps and inode tables are read into buffers and changed there; sync.c
 * writes them, in an order that depends on their kind. A block has one buffer at most. One that was
 * read as a map and now is to be a directory has two owners, so the disk is damaged.
 *
 * As everything happens under one lock, a buffer needs no count of who uses it: none is given back
 * before the lock is released. Then the least recently used go, if they are clean.
 */
#include <errno.h>
#include <slab.h>

#include "ext2.h"

#define BUFFERS_MAX 1024

static KMEM_CACHE(buffer_cache, "ext2_buffer", sizeof(struct ext2_buffer), 0, 0, NULL);

static uint64_t
sector_of(const struct ext2_fs *fs, uint32_t block)
{
	return (uint64_t)block * (fs->block_size / SECTOR_SIZE);
}

static struct ext2_buffer *
find(struct ext2_fs *fs, uint32_t block)
{
	struct tree_node *node = tree_find(&fs->buffers, block);

	return node ? container_of(node, struct ext2_buffer, node) : NULL;
}

static void
discard(struct ext2_fs *fs, struct ext2_buffer *buffer)
{
	if (!buffer->gone) {
		tree_erase(&fs->buffers, &buffer->node);
		fs->nr_buffers--;
	}
	list_del(&buffer->used);
	if (!list_empty(&buffer->dirty))
		list_del(&buffer->dirty);
	kfree(buffer->bytes);
	kmem_cache_free(&buffer_cache, buffer);
}

static struct ext2_buffer *
create(struct ext2_fs *fs, uint32_t block, enum ext2_kind kind)
{
	struct ext2_buffer *buffer = kmem_cache_alloc(&buffer_cache, GFP_ZERO);

	if (!buffer)
		return NULL;
	buffer->bytes = kmalloc_zeroed(fs->block_size, GFP_KERNEL);
	if (!buffer->bytes) {
		kmem_cache_free(&buffer_cache, buffer);
		return NULL;
	}
	buffer->kind = kind;
	buffer->node.key = block;
	list_init(&buffer->dirty);
	list_add_tail(&buffer->used, &fs->used);
	tree_insert(&fs->buffers, &buffer->node);
	fs->nr_buffers++;
	return buffer;
}

int
ext2_get(struct ext2_fs *fs, uint32_t block, enum ext2_kind kind, struct ext2_buffer **result)
{
	struct ext2_buffer *buffer = find(fs, block);
	int error;

	assert_ext2_locked(fs);
	if (buffer) {
		if (buffer->kind != kind)
			return ext2_damaged(fs, "two owners of block", block);
		list_del(&buffer->used);
		list_add_tail(&buffer->used, &fs->used);
		*result = buffer;
		return 0;
	}
	if (kind < EXT2_INODES && !ext2_is_data(fs, block))
		return ext2_damaged(fs, "no block to lead to", block);
	buffer = create(fs, block, kind);
	if (!buffer)
		return -ENOMEM;
	error = block_read(fs->device, sector_of(fs, block), buffer->bytes,
			   fs->block_size / SECTOR_SIZE);
	if (error) {
		discard(fs, buffer);
		return error;
	}
	*result = buffer;
	return 0;
}

int
ext2_get_new(struct ext2_fs *fs, uint32_t block, enum ext2_kind kind, struct ext2_buffer **result)
{
	assert_ext2_locked(fs);
	if (find(fs, block))
		return ext2_damaged(fs, "two owners of block", block);
	*result = create(fs, block, kind);
	if (!*result)
		return -ENOMEM;
	(*result)->fresh = true;
	ext2_dirty(fs, *result);
	return 0;
}

void
ext2_dirty(struct ext2_fs *fs, struct ext2_buffer *buffer)
{
	assert_ext2_locked(fs);
	if (list_empty(&buffer->dirty) && !buffer->gone)
		list_add_tail(&buffer->dirty, &fs->dirty_buffers[buffer->kind]);
}

void
ext2_forget(struct ext2_fs *fs, uint32_t block)
{
	struct ext2_buffer *buffer = find(fs, block);

	assert_ext2_locked(fs);
	if (!buffer)
		return;
	/* On a damaged disk it may be the one that the caller is working on. */
	tree_erase(&fs->buffers, &buffer->node);
	fs->nr_buffers--;
	buffer->gone = true;
	if (!list_empty(&buffer->dirty))
		list_del(&buffer->dirty);
	list_init(&buffer->dirty);
	list_del(&buffer->used);
	list_add_tail(&buffer->used, &fs->gone);
}

/* It stays dirty if that fails. */
int
ext2_write_buffer(struct ext2_fs *fs, struct ext2_buffer *buffer)
{
	int error = block_write(fs->device, sector_of(fs, (uint32_t)buffer->node.key),
				buffer->bytes, fs->block_size / SECTOR_SIZE);

	assert_ext2_locked(fs);
	if (error)
		return error;
	buffer->fresh = false;
	list_del(&buffer->dirty);
	list_init(&buffer->dirty);
	return 0;
}

void
ext2_free_buffers(struct ext2_fs *fs)
{
	while (!list_empty(&fs->used))
		discard(fs, list_first_entry(&fs->used, struct ext2_buffer, used));
}

void
ext2_lock(struct ext2_fs *fs)
{
	mutex_lock(&fs->lock);
}

void
ext2_unlock(struct ext2_fs *fs)
{
	struct ext2_buffer *buffer, *tmp;

	while (!list_empty(&fs->gone))
		discard(fs, list_first_entry(&fs->gone, struct ext2_buffer, used));
	if (fs->nr_buffers > BUFFERS_MAX) {
		list_for_each_entry_safe (buffer, tmp, &fs->used, used) {
			if (fs->nr_buffers <= BUFFERS_MAX / 4 * 3)
				break;
			if (list_empty(&buffer->dirty))
				discard(fs, buffer);
		}
	}
	mutex_unlock(&fs->lock);
}
