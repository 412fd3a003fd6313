/* SPDX-License-Identifier: MIT */
/*
 * Regular files of ext2: the store of their pages.
 *
 * A page is one, two or four blocks. Where they are is found out with the file system locked; the
 * disk is asked after that, for as many blocks as lie side by side in one request:
 *
 *	pages      [ 0 ][ 1 ][ 2 ][ 3 ]
 *	blocks      70   71    -   90       a hole is not read, and stays zeroes
 *	requests   [ 70..71 ]     [90]
 *
 * A block is allocated when a write says that it is coming (reserve), so that who writes hears of a
 * full disk. What is found in a page that is to be written, and has no block all the same, was put
 * there through a mapping in a place that the file did not have then: it gets one now.
 *
 * No page that a cut takes away is on its way to the disk when the blocks are given back:
 * page_cache_truncate() has waited for it.
 */
#include <errno.h>
#include <page_cache.h>

#include "ext2.h"

#define MAX_BLOCKS (STORE_PAGES * (PAGE_SIZE / 1024))

/* Some pages of a file side by side, and their blocks; 0: nothing is to be moved there. */
struct stretch {
	struct ext2_node *node;
	uint64_t first; /* place of the first block in the file */
	struct page **pages;
	unsigned nr; /* blocks */
	uint32_t block[MAX_BLOCKS];
};

static struct ext2_node *
cache_node(struct page_cache *cache)
{
	return node_of(page_cache_inode(cache));
}

static uint8_t *
bytes_of(const struct stretch *stretch, unsigned i)
{
	const struct ext2_fs *fs = stretch->node->fs;

	return (uint8_t *)page_to_virt(stretch->pages[i / fs->blocks_per_page]) +
	       i % fs->blocks_per_page * fs->block_size;
}

/* ---- Moving ---------------------------------------------------------------------------------- */

/* How many blocks from i on lie side by side on the disk. */
static unsigned
count_adjacent(const struct stretch *stretch, unsigned i)
{
	unsigned nr = 1;

	while (i + nr < stretch->nr && stretch->block[i + nr] == stretch->block[i] + nr)
		nr++;
	return nr;
}

static int
move_adjacent(const struct stretch *stretch, enum block_op op, unsigned i, unsigned nr)
{
	const struct ext2_fs *fs = stretch->node->fs;
	struct block_segment segments[STORE_PAGES];
	struct block_request request = {
		.op = op,
		.device = fs->device,
		.sector = (uint64_t)stretch->block[i] * (fs->block_size / SECTOR_SIZE),
		.segments = segments,
	};

	for (unsigned end = i + nr; i < end;) {
		unsigned within = i % fs->blocks_per_page;
		unsigned some = MIN(end - i, fs->blocks_per_page - within);

		segments[request.nr_segments++] =
		    (struct block_segment){ stretch->pages[i / fs->blocks_per_page],
					    within * fs->block_size, some * fs->block_size };
		i += some;
	}
	return block_execute(&request);
}

static int
move_all(const struct stretch *stretch, enum block_op op)
{
	int error = 0, now;

	for (unsigned i = 0, nr; i < stretch->nr; i += nr) {
		nr = 1;
		if (!stretch->block[i])
			continue;
		nr = count_adjacent(stretch, i);
		now = move_adjacent(stretch, op, i, nr);
		error = error ? error : now;
	}
	return error;
}

/* Blocks of nr pages that begin inside of the file. */
static void
begin(struct stretch *stretch, struct page_cache *cache, uint64_t index, struct page **pages,
      unsigned nr)
{
	struct ext2_node *node = cache_node(cache);
	uint64_t end = (page_cache_size(cache) + node->fs->block_size - 1) / node->fs->block_size;

	stretch->node = node;
	stretch->first = index * node->fs->blocks_per_page;
	stretch->pages = pages;
	stretch->nr = nr * node->fs->blocks_per_page;
	if (stretch->first + stretch->nr > end)
		stretch->nr = (unsigned)(end - MIN(end, stretch->first));
}

static int
store_read(struct page_cache *cache, uint64_t index, struct page **pages, unsigned nr)
{
	struct stretch stretch;
	struct ext2_fs *fs = cache_node(cache)->fs;
	uint64_t size;
	int error = 0;
	bool fresh;

	ext2_lock(fs);
	begin(&stretch, cache, index, pages, nr);
	for (unsigned i = 0; i < stretch.nr && !error; i++)
		error = ext2_map(stretch.node, stretch.first + i, false, &stretch.block[i], &fresh);
	ext2_unlock(fs);
	if (!error)
		error = move_all(&stretch, BLOCK_READ);
	size = page_cache_size(cache);
	if (!error && size % PAGE_SIZE && size >> PAGE_SHIFT >= index &&
	    size >> PAGE_SHIFT < index + nr)
		memset((char *)page_to_virt(pages[(size >> PAGE_SHIFT) - index]) + size % PAGE_SIZE,
		       0, PAGE_SIZE - size % PAGE_SIZE);
	return error;
}

static bool
is_zero(const uint8_t *bytes, uint32_t size)
{
	const uint64_t *words = (const uint64_t *)bytes;

	for (uint32_t i = 0; i < size / sizeof(*words); i++) {
		if (words[i])
			return false;
	}
	return true;
}

static int
store_write(struct page_cache *cache, uint64_t index, struct page **pages, unsigned nr)
{
	struct stretch stretch;
	struct ext2_node *node = cache_node(cache);
	struct ext2_fs *fs = node->fs;
	int error = 0, now;
	bool fresh, any = false;

	ext2_lock(fs);
	begin(&stretch, cache, index, pages, nr);
	for (unsigned i = 0; i < stretch.nr; i++) {
		uint64_t place = stretch.first + i;

		now = ext2_map(node, place, false, &stretch.block[i], &fresh);
		if (!now && !stretch.block[i] && !is_zero(bytes_of(&stretch, i), fs->block_size)) {
			now = ext2_map(node, place, true, &stretch.block[i], &fresh);
			any = true;
		}
		if (now)
			stretch.block[i] = 0;
		error = error ? error : now;
	}
	ext2_unlock(fs);
	if (any)
		ext2_inode_dirty(node->inode);
	now = move_all(&stretch, BLOCK_WRITE);
	return error ? error : now;
}

/* ---- Room ------------------------------------------------------------------------------------ */

static int
reserve_once(struct ext2_node *node, uint64_t from, uint64_t to)
{
	struct ext2_fs *fs = node->fs;
	uint32_t block;
	int error = 0;
	bool fresh, any = false;

	ext2_lock(fs);
	for (uint64_t at = from / fs->block_size; at <= (to - 1) / fs->block_size && !error; at++) {
		error = ext2_map(node, at, true, &block, &fresh);
		any |= fresh || error;
	}
	ext2_unlock(fs);
	if (any)
		ext2_inode_dirty(node->inode);
	return error;
}

static int
store_reserve(struct page_cache *cache, uint64_t from, uint64_t to)
{
	struct ext2_node *node = cache_node(cache);
	int error;

	if (to > node->fs->max_size)
		return -EFBIG;
	error = reserve_once(node, from, to);
	if (error == -ENOSPC && ext2_make_room(node->fs))
		error = reserve_once(node, from, to);
	return error;
}

static void
cut_behind(struct ext2_node *node, uint64_t size)
{
	struct ext2_fs *fs = node->fs;

	ext2_lock(fs);
	ext2_cut(node, (size + fs->block_size - 1) / fs->block_size);
	ext2_unlock(fs);
	ext2_inode_dirty(node->inode);
}

static void
store_trim(struct page_cache *cache)
{
	cut_behind(cache_node(cache), page_cache_size(cache));
}

static void
store_hold(struct page_cache *cache)
{
	inode_get(page_cache_inode(cache));
}

static void
store_let_go(struct page_cache *cache)
{
	inode_put(page_cache_inode(cache));
}

const struct page_store ext2_store = {
	.read = store_read,
	.write = store_write,
	.reserve = store_reserve,
	.trim = store_trim,
	.hold = store_hold,
	.let_go = store_let_go,
};

/* What is left of the last page is zeroes behind the end, on the disk, too. */
int
ext2_truncate(struct inode *inode, uint64_t size)
{
	struct page_cache *cache = file_pages_cache(inode->file);
	struct ext2_node *node = node_of(inode);
	struct page *last = NULL;

	if (size > node->fs->max_size)
		return -EFBIG;
	if (size < page_cache_size(cache) && size % PAGE_SIZE) {
		int error = page_cache_grab(cache, size >> PAGE_SHIFT, &last);

		if (error)
			return error;
	}
	page_cache_truncate(cache, size);
	if (last) {
		page_cache_dirty(cache, last);
		page_put(last);
	}
	cut_behind(node, size);
	return 0;
}
