/* SPDX-License-Identifier: MIT */
/*
 * Regular files: bytes in the memory manager's page cache.
 *
 * read() and write() copy from and to the pages that mappings of the file show, so there is only
 * one truth. A file in memory has pages only where somebody wrote, or touched a mapping; the rest
 * are holes, which read as zeroes. One on a disk has a store, which the file system brings: pages
 * are read from it, and before they are written to, it is asked for room.
 *
 * The pages of files in memory cannot be had back by force, so they must not take all of it, as
 * programs and the kernel live there too: writes stop with ENOSPC at half of it, as tmpfs does. A
 * mount in memory may have less than that (tmpfs.c).
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

struct file_pages {
	struct page_cache cache;
	struct inode *inode; /* (c) */
	unsigned seals;	     /* F_SEAL_*; inode->lock */
};

static KMEM_CACHE(slab, "file_pages", sizeof(struct file_pages), 0, 0, NULL);

static struct file_pages *
file_of_object(struct memory_object *object)
{
	return container_of(page_cache_of(object), struct file_pages, cache);
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

/* msync() also wants to find the file again. */
static int
object_sync(struct memory_object *object, uint64_t first, uint64_t end)
{
	struct inode *inode = file_of_object(object)->inode;
	int error = page_cache_sync(object, first, end);
	int inode_error = inode->mount->ops->sync_inode(inode);

	return error ? error : inode_error;
}

/* madvise(MADV_REMOVE). */
static int
object_punch(struct memory_object *object, uint64_t first, uint64_t end)
{
	return file_pages_punch(file_of_object(object)->inode, first << PAGE_SHIFT,
				(end - first) << PAGE_SHIFT);
}

static const struct memory_object_ops memory_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = object_get,
	.put = object_put,
	.punch = object_punch,
};

static const struct memory_object_ops stored_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = object_get,
	.put = object_put,
	.tracks_writes = true,
	.sync = object_sync,
};

struct file_pages *
file_pages_create(struct inode *inode, const struct page_store *store)
{
	struct file_pages *file = kmem_cache_alloc(&slab, GFP_KERNEL);

	if (!file)
		return NULL;
	page_cache_init(&file->cache, store ? &stored_ops : &memory_ops, store);
	file->inode = inode;
	file->seals = F_SEAL_SEAL;
	return file;
}

void
file_pages_destroy(struct file_pages *file)
{
	page_cache_drop(&file->cache);
	kmem_cache_free(&slab, file);
}

uint64_t
file_pages_size(struct file_pages *file)
{
	return page_cache_size(&file->cache);
}

uint64_t
file_pages_nr_pages(struct file_pages *file)
{
	return page_cache_nr_pages(&file->cache);
}

struct memory_object *
file_pages_object(struct file_pages *file)
{
	return &file->cache.object;
}

struct inode *
object_inode(struct memory_object *object)
{
	bool is_file = object->ops == &memory_ops || object->ops == &stored_ops;

	return is_file ? file_of_object(object)->inode : NULL;
}

struct page_cache *
file_pages_cache(struct file_pages *file)
{
	return &file->cache;
}

struct inode *
page_cache_inode(struct page_cache *cache)
{
	return container_of(cache, struct file_pages, cache)->inode;
}

/* Frames that files may take. */
size_t
files_in_memory_limit(void)
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

/* *page: with a reference; NULL: a hole of a file in memory, which stays one. */
static int
page_to_read(struct page_cache *cache, uint64_t index, struct page **page)
{
	if (cache->store)
		return page_cache_get_page(&cache->object, index, false, page);
	page_cache_peek_pages(&cache->object, index, 1, page);
	return 0;
}

/* One page's part. Returns bytes moved, 0 at the end of the file, or an error. */
static int64_t
read_page(struct page_cache *cache, struct transfer *to, uint64_t offset)
{
	static const char zeroes[PAGE_SIZE];
	uint64_t size = page_cache_size(cache);
	size_t start = offset % PAGE_SIZE, bytes;
	const char *from;
	struct page *page;
	int64_t moved;
	int error;

	if (offset >= size)
		return 0;
	error = page_to_read(cache, offset >> PAGE_SHIFT, &page);
	if (error < 0)
		return error == -ENXIO ? 0 : error;
	bytes = MIN(to->left, MIN(PAGE_SIZE - start, size - offset));
	from = page ? page_to_virt(page) : zeroes;
	moved = transfer_out_part(to, from + start, bytes);
	if (page)
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
get_stored(struct page_cache *cache, uint64_t offset, size_t bytes, struct page **page)
{
	int error;

	page_cache_balance(cache);
	error = page_cache_grab(cache, offset >> PAGE_SHIFT, page);
	if (error)
		return error;
	error = cache->store->reserve(cache, offset, offset + bytes);
	if (error == -ENOSPC) {
		/* A file that was removed keeps its blocks until its pages are clean. */
		mount_write_back(0);
		error = cache->store->reserve(cache, offset, offset + bytes);
	}
	if (error)
		page_put(*page);
	return error;
}

static int
get_room(struct page_cache *cache, uint64_t index, struct page **page)
{
	int error;

	/* At the limit, where there is a page already it may be written. */
	page_cache_peek_pages(&cache->object, index, 1, page);
	if (*page)
		return 0;
	if (page_cache_total_unstored() >= files_in_memory_limit())
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
	int error = cache->store ? get_stored(cache, offset, bytes, &page)
				 : get_room(cache, offset >> PAGE_SHIFT, &page);
	int64_t moved;

	if (error)
		return error;
	moved = transfer_in_part(from, (char *)page_to_virt(page) + start, bytes);
	if (moved > 0)
		page_cache_extend(cache, offset + (uint64_t)moved);
	if (moved > 0 && cache->store)
		page_cache_dirty(cache, page);
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

/* Cut a write to what a sealed file takes. Returns 1, or -EPERM: nothing. */
static int
limit_to_seals(const struct file_pages *file, struct transfer *from, uint64_t offset)
{
	uint64_t size = __atomic_load_n(&file->cache.size, __ATOMIC_RELAXED);

	if (from->left == 0)
		return 1;
	if (file->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return -EPERM;
	if (!(file->seals & F_SEAL_GROW))
		return 1;
	from->left = MIN(from->left, size - MIN(offset, size));
	return from->left > 0 ? 1 : -EPERM;
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
	if (now > 0)
		now = limit_to_seals(inode->file, from, *offset);
	if (*offset > page_cache_size(cache))
		page_cache_zero_tail(cache);
	while (from->left > 0 && now > 0) {
		now = write_page(cache, from, *offset + (uint64_t)moved);
		if (now > 0)
			moved += now;
	}
	if (from->left > 0 && cache->store)
		cache->store->trim(cache);
	if (moved > 0)
		inode_touch(inode, true);
	mutex_unlock(&inode->lock);
	return moved > 0 ? moved : now < 0 ? now : 0;
}

static uint64_t
regular_size(struct file *file)
{
	return file_pages_size(file->inode->file);
}

/* ---- Cutting and growing ------------------------------------------------------------------- */

int
file_pages_truncate(struct inode *inode, uint64_t size)
{
	struct page_cache *cache = &inode->file->cache;
	int error = 0;

	if (size > MAX_FILE_SIZE)
		return -EFBIG;
	if (mount_is_read_only(inode))
		return -EROFS;
	mutex_lock(&inode->lock);
	if (size > page_cache_size(cache) && size > process_limit(RLIMIT_FSIZE)) {
		signal_current(SIGXFSZ, SI_USER, 0);
		error = -EFBIG;
	} else if ((size < page_cache_size(cache) && inode->file->seals & F_SEAL_SHRINK) ||
		   (size > page_cache_size(cache) && inode->file->seals & F_SEAL_GROW)) {
		error = -EPERM;
	} else if (inode->ops->truncate) {
		error = inode->ops->truncate(inode, size);
	} else {
		page_cache_truncate(cache, size);
	}
	if (!error)
		inode_touch(inode, true);
	mutex_unlock(&inode->lock);
	return error;
}

int
file_pages_sync(struct inode *inode, uint32_t *seen)
{
	struct page_cache *cache = &inode->file->cache;
	int written = page_cache_write_back(cache, 0, UINT64_MAX);
	int found = inode->mount ? inode->mount->ops->sync_inode(inode) : 0;
	int earlier = page_cache_error(cache, seen);

	return written ? written : earlier ? earlier : found;
}

int
file_pages_allocate(struct inode *inode, uint64_t offset, uint64_t size, bool keep_size)
{
	struct page_cache *cache = &inode->file->cache;
	uint64_t first = offset >> PAGE_SHIFT, end = (offset + size - 1) / PAGE_SIZE + 1;
	int error = 0;

	if (cache->store)
		return -EOPNOTSUPP;
	mutex_lock(&inode->lock);
	if (inode->file->seals & F_SEAL_GROW && offset + size > page_cache_size(cache)) {
		mutex_unlock(&inode->lock);
		return -EPERM;
	}
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

int
file_pages_punch(struct inode *inode, uint64_t offset, uint64_t size)
{
	struct page_cache *cache = &inode->file->cache;
	uint64_t end = offset + size;
	uint64_t first_page = ALIGN_UP(offset, PAGE_SIZE), end_page = ALIGN_DOWN(end, PAGE_SIZE);

	if (cache->store)
		return -EOPNOTSUPP;
	mutex_lock(&inode->lock);
	if (inode->file->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) {
		mutex_unlock(&inode->lock);
		return -EPERM;
	}
	if (first_page > end_page) { /* all in one page */
		page_cache_zero(cache, offset, end);
	} else {
		if (offset < first_page)
			page_cache_zero(cache, offset, first_page);
		page_cache_punch(cache, first_page >> PAGE_SHIFT, end_page >> PAGE_SHIFT);
		if (end_page < end)
			page_cache_zero(cache, end_page, end);
	}
	inode_touch(inode, true);
	mutex_unlock(&inode->lock);
	return 0;
}

/* ---- Seals ---------------------------------------------------------------------------------- */

int
file_pages_seals(struct inode *inode)
{
	return inode->file->cache.store
		   ? -EINVAL
		   : (int)__atomic_load_n(&inode->file->seals, __ATOMIC_RELAXED);
}

void
file_pages_allow_seals(struct inode *inode)
{
	inode->file->seals = 0;
}

int
file_pages_add_seals(struct inode *inode, unsigned seals)
{
	struct file_pages *file = inode->file;
	unsigned fresh;
	int error = 0;

	if (file->cache.store || seals & ~(unsigned)F_SEAL_ALL)
		return -EINVAL;
	mutex_lock(&inode->lock);
	fresh = seals & ~file->seals;
	if (file->seals & F_SEAL_SEAL)
		error = -EPERM;
	else if (fresh & F_SEAL_WRITE && memory_object_is_writable(&file->cache.object))
		error = -EBUSY;
	else
		__atomic_or_fetch(&file->seals, seals, __ATOMIC_RELAXED);
	mutex_unlock(&inode->lock);
	return error;
}

bool
file_begin_map(struct file *file)
{
	struct inode *inode = file->inode;

	if (!inode_has_pages(inode) || inode->file->cache.store)
		return true;
	mutex_lock(&inode->lock);
	return !(inode->file->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
}

void
file_end_map(struct file *file)
{
	struct inode *inode = file->inode;

	if (inode_has_pages(inode) && !inode->file->cache.store)
		mutex_unlock(&inode->lock);
}

const struct file_ops regular_ops = {
	.name = "regular",
	.seekable = true,
	.read = regular_read,
	.write = regular_write,
	.size = regular_size,
};
