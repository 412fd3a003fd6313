/* SPDX-License-Identifier: MIT */
/*
 * Regular files: bytes in the memory manager's page cache.
 *
 * read() and write() copy from and to the pages that mappings of the file show, so there is only
 * one truth. A file has pages only where somebody wrote or looked; the rest are holes, which read
 * as zeroes.
 *
 * The pages of files cannot be had back by force, so they must not take all of memory, in which
 * programs and the kernel live too: writes stop with ENOSPC at half of it, as tmpfs does.
 *
 * LOCKING. inode->lock keeps writers and those who cut apart; a write is one step for other
 * writers, and finds the end of the file for O_APPEND under it. A reader takes no lock: it holds a
 * page by its reference, and sees the size of one moment. While bytes are copied to or from a
 * program no spin lock is held, and the copy may fault; a fault on a mapping of this same file
 * takes the space's lock and the page cache's, neither of which is held here.
 */
#include <abi/resource.h>
#include <abi/signal.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <process.h>
#include <slab.h>
#include <string.h>

#include "fs.h"

struct ram_file {
	struct page_cache cache;
	struct inode *inode; /* (c) */
};

static KMEM_CACHE(ram_file_cache, "ram_file", sizeof(struct ram_file), 0, 0, NULL);

static struct ram_file *
file_of_object(struct memory_object *object)
{
	return container_of(page_cache_of(object), struct ram_file, cache);
}

static void
object_get(struct memory_object *object)
{
	inode_get(file_of_object(object)->inode);
}

static void
object_put(struct memory_object *object)
{
	inode_put(file_of_object(object)->inode);
}

static const struct memory_object_ops object_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = object_get,
	.put = object_put,
};

struct ram_file *
ram_file_create(struct inode *inode)
{
	struct ram_file *file = kmem_cache_alloc(&ram_file_cache, GFP_KERNEL);

	if (!file)
		return NULL;
	page_cache_init(&file->cache, &object_ops, NULL);
	file->inode = inode;
	return file;
}

void
ram_file_destroy(struct ram_file *file)
{
	page_cache_drop(&file->cache);
	kmem_cache_free(&ram_file_cache, file);
}

uint64_t
ram_file_size(struct ram_file *file)
{
	return page_cache_size(&file->cache);
}

uint64_t
ram_file_nr_pages(struct ram_file *file)
{
	return page_cache_nr_pages(&file->cache);
}

struct memory_object *
ram_file_object(struct ram_file *file)
{
	return &file->cache.object;
}

struct inode *
object_inode(struct memory_object *object)
{
	return object->ops == &object_ops ? file_of_object(object)->inode : NULL;
}

/* Frames that files may take. */
size_t
ram_file_limit(void)
{
	static size_t limit; /* (a) memory does not change; 0: not asked yet */
	struct page_totals totals;

	if (__atomic_load_n(&limit, __ATOMIC_RELAXED) == 0) {
		page_allocator_totals(&totals);
		__atomic_store_n(&limit, totals.managed / 2, __ATOMIC_RELAXED);
	}
	return limit;
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* One page's part. Returns bytes moved, 0 at the end of the file, or an error. */
static int64_t
read_page(struct page_cache *cache, struct transfer *to, uint64_t offset)
{
	uint64_t size = page_cache_size(cache);
	size_t start = offset % PAGE_SIZE, bytes;
	struct page *page;
	int64_t moved;
	int error;

	if (offset >= size)
		return 0;
	error = page_cache_get_page(&cache->object, offset >> PAGE_SHIFT, false, &page);
	if (error)
		return error == -ENXIO ? 0 : error;
	bytes = MIN(to->left, MIN(PAGE_SIZE - start, size - offset));
	moved = transfer_out_part(to, (char *)page_to_virt(page) + start, bytes);
	page_put(page);
	return moved;
}

static int64_t
regular_read(struct file *file, struct transfer *to, uint64_t offset)
{
	struct page_cache *cache = &file->inode->file->cache;
	int64_t moved = 0, now = 1;

	while (to->left > 0 && now > 0) {
		now = read_page(cache, to, offset + (uint64_t)moved);
		if (now > 0)
			moved += now;
	}
	if (!(file->flags & O_NOATIME) && moved > 0)
		inode_touch(file->inode, false);
	return moved > 0 ? moved : now < 0 ? now : 0;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int
get_room(struct page_cache *cache, uint64_t index, struct page **page)
{
	int error;

	/* At the limit, where there is a page already it may be written. */
	page_cache_peek_pages(&cache->object, index, 1, page);
	if (*page)
		return 0;
	if (page_cache_total() >= ram_file_limit())
		return -ENOSPC;
	error = page_cache_grab(cache, index, page);
	return error == -ENOMEM ? -ENOSPC : error;
}

/*
 * What a failed copy has left behind the end of the file goes: it would be seen when the file
 * grows.
 */
static void
wipe_behind_end(struct page_cache *cache, struct page *page, uint64_t offset, size_t bytes)
{
	uint64_t size = page_cache_size(cache);
	uint64_t from = MAX(size, offset);

	if (from < offset + bytes)
		memset((char *)page_to_virt(page) + from % PAGE_SIZE, 0,
		       (size_t)(offset + bytes - from));
}

static int64_t
write_page(struct page_cache *cache, struct transfer *from, uint64_t offset)
{
	size_t start = offset % PAGE_SIZE;
	size_t bytes = MIN(from->left, PAGE_SIZE - start);
	struct page *page;
	int error = get_room(cache, offset >> PAGE_SHIFT, &page);
	int64_t moved;

	if (error)
		return error;
	moved = transfer_in_part(from, (char *)page_to_virt(page) + start, bytes);
	if (moved > 0)
		page_cache_extend(cache, offset + (uint64_t)moved);
	if (moved < (int64_t)bytes)
		wipe_behind_end(cache, page, offset, bytes);
	page_put(page);
	return moved;
}

/*
 * Cut a write to what may be: files have a greatest size, and the process may have a limit.
 * Returns 1, or -EFBIG if not even a byte may be written there.
 */
static int
limit_size(struct transfer *from, uint64_t offset)
{
	uint64_t limit = MIN(MAX_FILE_SIZE, process_limit(RLIMIT_FSIZE));

	if (from->left == 0 || offset < limit) {
		from->left = MIN(from->left, limit - MIN(offset, limit));
		return 1;
	}
	if (limit < MAX_FILE_SIZE)
		signal_current(SIGXFSZ, SI_USER, 0);
	return -EFBIG;
}

static int64_t
regular_write(struct file *file, struct transfer *from, uint64_t *offset)
{
	struct inode *inode = file->inode;
	struct page_cache *cache = &inode->file->cache;
	int64_t moved = 0, now;

	mutex_lock(&inode->lock);
	if (file->flags & O_APPEND)
		*offset = page_cache_size(cache);
	now = limit_size(from, *offset);
	if (*offset > page_cache_size(cache))
		page_cache_zero_tail(cache);
	while (from->left > 0 && now > 0) {
		now = write_page(cache, from, *offset + (uint64_t)moved);
		if (now > 0)
			moved += now;
	}
	if (moved > 0)
		inode_touch(inode, true);
	mutex_unlock(&inode->lock);
	return moved > 0 ? moved : now < 0 ? now : 0;
}

static uint64_t
regular_size(struct file *file)
{
	return ram_file_size(file->inode->file);
}

/* ---- Cutting and growing ------------------------------------------------------------------- */

int
ram_file_truncate(struct inode *inode, uint64_t size)
{
	if (size > MAX_FILE_SIZE)
		return -EFBIG;
	mutex_lock(&inode->lock);
	page_cache_truncate(&inode->file->cache, size);
	inode_touch(inode, true);
	mutex_unlock(&inode->lock);
	return 0;
}

int
ram_file_allocate(struct inode *inode, uint64_t offset, uint64_t size, bool keep_size)
{
	struct page_cache *cache = &inode->file->cache;
	uint64_t first = offset >> PAGE_SHIFT, end = (offset + size - 1) / PAGE_SIZE + 1;
	int error = 0;

	mutex_lock(&inode->lock);
	if (!keep_size && offset + size > page_cache_size(cache))
		page_cache_zero_tail(cache);
	for (uint64_t index = first; index < end && !error; index++) {
		struct page *page;

		error = get_room(cache, index, &page);
		if (!error)
			page_put(page);
	}
	if (error) {
		uint64_t behind = ALIGN_UP(page_cache_size(cache), PAGE_SIZE) >> PAGE_SHIFT;

		page_cache_punch(cache, MAX(first, behind), MAX(end, behind));
	} else {
		if (!keep_size)
			page_cache_extend(cache, offset + size);
		inode_touch(inode, true);
	}
	mutex_unlock(&inode->lock);
	return error;
}

const struct file_ops regular_ops = {
	.name = "regular",
	.seekable = true,
	.read = regular_read,
	.write = regular_write,
	.size = regular_size,
};
