/* SPDX-License-Identifier: MIT */
/*
 * Files with a store: pages are read once and ahead, written back when they have changed and only
 * then, however they were changed, also while they are written. The store is memory here.
 */
#include <errno.h>
#include <ktest.h>
#include <page_cache.h>
#include <reclaim.h>
#include <string.h>

#include "space_user.h"

#define PAGES 64

static struct page_cache file;
static struct {
	uint8_t first[PAGES]; /* first byte of each page, on the "disk" */
	unsigned nr_reads, nr_read, nr_writes, nr_written;
	int holds;
	int error;		       /* of writes */
	int room;		       /* pages that may still be reserved */
	struct address_space *meddler; /* writes to the page while it is written */
	uintptr_t at;
} disk;

static int
disk_read(struct page_cache *cache, uint64_t index, struct page **pages, unsigned nr)
{
	(void)cache;
	disk.nr_reads++;
	disk.nr_read += nr;
	for (unsigned i = 0; i < nr; i++)
		*(uint8_t *)page_to_virt(pages[i]) = disk.first[index + i];
	return 0;
}

static int
disk_write(struct page_cache *cache, uint64_t index, struct page **pages, unsigned nr)
{
	(void)cache;
	disk.nr_writes++;
	disk.nr_written += nr;
	for (unsigned i = 0; i < nr && !disk.error; i++)
		disk.first[index + i] = *(uint8_t *)page_to_virt(pages[i]);
	if (disk.meddler && user_write(disk.meddler, disk.at, 'm') != FAULT_DONE)
		return -EIO;
	return disk.error;
}

static int
disk_reserve(struct page_cache *cache, uint64_t from, uint64_t to)
{
	(void)cache;
	(void)from;
	(void)to;
	return disk.room-- > 0 ? 0 : -ENOSPC;
}

static void
disk_trim(struct page_cache *cache)
{
	(void)cache;
}

static void
disk_hold(struct page_cache *cache)
{
	(void)cache;
	__atomic_add_fetch(&disk.holds, 1, __ATOMIC_RELAXED);
}

static void
disk_let_go(struct page_cache *cache)
{
	(void)cache;
	__atomic_sub_fetch(&disk.holds, 1, __ATOMIC_RELAXED);
}

static const struct page_store store = { .read = disk_read,
					 .write = disk_write,
					 .reserve = disk_reserve,
					 .trim = disk_trim,
					 .hold = disk_hold,
					 .let_go = disk_let_go };

static void
no_reference(struct memory_object *object)
{
	(void)object;
}

static const struct memory_object_ops file_ops = { .get_page = page_cache_get_page,
						   .peek_pages = page_cache_peek_pages,
						   .get = no_reference,
						   .put = no_reference,
						   .tracks_writes = true,
						   .sync = page_cache_sync };

static void
begin(void)
{
	memset(&disk, 0, sizeof(disk));
	disk.room = 1000;
	for (unsigned i = 0; i < PAGES; i++)
		disk.first[i] = (uint8_t)(i + 1);
	page_cache_init(&file, &file_ops, &store);
	page_cache_extend(&file, PAGES * PAGE_SIZE);
}

static void
end(struct ktest *t)
{
	expect_eq(t, page_cache_check(&file), 0);
	page_cache_drop(&file);
	expect_eq(t, disk.holds, 0);
	expect_eq(t, page_cache_total_dirty(), 0);
}

/* A space that has the file mapped shared at *at. */
static struct address_space *
map_file(struct ktest *t, uintptr_t *at)
{
	struct address_space *space = space_create();

	*at = 0;
	assert_eq(t, space_map(space, at, PAGES * PAGE_SIZE, RW, MAP_SHARED, &file.object, 0, RW),
		  0);
	return space;
}

KTEST(space_store, read_ahead)
{
	begin();
	for (uint64_t i = 0; i < PAGES; i++) {
		struct page *page;

		assert_true(t, page_cache_get_page(&file.object, i, false, &page) >= 0);
		expect_eq(t, *(uint8_t *)page_to_virt(page), i + 1);
		page_put(page);
	}
	expect_eq(t, disk.nr_read, PAGES);
	expect_le(t, disk.nr_reads, 10);
	end(t);
}

KTEST(space_store, only_what_has_changed)
{
	struct address_space *space;
	struct space_stats stats;
	uintptr_t at;

	begin();
	space = map_file(t, &at);
	for (unsigned i = 0; i < PAGES; i++)
		expect_eq(t, user_read(space, at + i * PAGE_SIZE), (int)i + 1);
	space_get_stats(space, &stats);
	expect_le(t, 1, stats.faults_major);
	expect_eq(t, page_cache_total_dirty(), 0);
	for (unsigned round = 1; round <= 2; round++) {
		for (unsigned i = 3; i < 9; i++)
			expect_eq(t, user_write(space, at + i * PAGE_SIZE, (uint8_t)(100 * round)),
				  FAULT_DONE);
		expect_eq(t, page_cache_total_dirty(), 6);
		expect_eq(t, disk.holds, 1);
		expect_eq(t, space_sync(space, at, PAGES * PAGE_SIZE, MS_SYNC), 0);
		expect_eq(t, page_cache_total_dirty(), 0);
		expect_eq(t, disk.holds, 0);
		expect_eq(t, disk.nr_writes, round); /* six pages on end are one write */
		expect_eq(t, disk.nr_written, 6 * round);
		expect_eq(t, disk.first[8], (uint8_t)(100 * round));
		expect_eq(t, disk.first[9], 10);
	}
	/* mprotect() must not give back what write-back took. */
	expect_eq(t, space_protect(space, at, PAGE_SIZE * 4, PROT_READ), 0);
	expect_eq(t, space_protect(space, at, PAGE_SIZE * 4, RW), 0);
	expect_eq(t, user_write(space, at + 3 * PAGE_SIZE, 7), FAULT_DONE);
	expect_eq(t, page_cache_total_dirty(), 1);
	expect_eq(t, page_cache_write_back(&file, 0, UINT64_MAX), 0);
	expect_eq(t, disk.first[3], 7);
	space_put(space);
	end(t);
}

/* What is written while the page is on its way is not forgotten. */
KTEST(space_store, written_while_it_is_sent)
{
	struct address_space *space;
	uintptr_t at;

	begin();
	space = map_file(t, &at);
	expect_eq(t, user_write(space, at, 'a'), FAULT_DONE);
	disk.meddler = space;
	disk.at = at;
	expect_eq(t, page_cache_write_back(&file, 0, 1), 0);
	disk.meddler = NULL;
	expect_eq(t, page_cache_write_back(&file, 0, UINT64_MAX), 0);
	expect_eq(t, disk.first[0], 'm');
	expect_eq(t, page_cache_total_dirty(), 0);
	space_put(space);
	end(t);
}

/* Everybody hears of an error once. */
KTEST(space_store, errors)
{
	uint32_t first = 0, second = 0, late = 0;
	struct address_space *space;
	uintptr_t at;

	begin();
	space = map_file(t, &at);
	expect_eq(t, page_cache_error(&file, &first), 0);
	expect_eq(t, user_write(space, at, 'a'), FAULT_DONE);
	disk.error = -EIO;
	expect_eq(t, page_caches_write_back(0), -EIO);
	expect_eq(t, page_cache_error(&file, &first), -EIO);
	expect_eq(t, page_cache_error(&file, &first), 0);
	expect_eq(t, page_cache_error(&file, &second), -EIO);
	(void)page_cache_error(&file, &late);
	expect_eq(t, space_sync(space, at, PAGE_SIZE, MS_SYNC), -EIO);
	expect_eq(t, space_sync(space, at, PAGE_SIZE, MS_SYNC), 0);
	expect_eq(t, user_write(space, at, 'b'), FAULT_DONE);
	disk.error = -ENOSPC;
	expect_eq(t, page_cache_write_back(&file, 0, UINT64_MAX), -ENOSPC);
	expect_eq(t, page_cache_error(&file, &late), -ENOSPC);
	expect_eq(t, page_cache_error(&file, &second), -ENOSPC);
	disk.error = 0;
	disk.room = 1; /* a write to a mapping finds out that there is none */
	expect_eq(t, user_write(space, at, 'c'), FAULT_DONE);
	expect_eq(t, user_write(space, at + PAGE_SIZE, 'c'), FAULT_BUS);
	expect_eq(t, user_read(space, at + PAGE_SIZE), 2);
	expect_eq(t, page_cache_write_back(&file, 0, UINT64_MAX), 0);
	space_put(space);
	end(t);
}

KTEST(space_store, cut_while_dirty)
{
	struct address_space *space;
	uintptr_t at;

	begin();
	space = map_file(t, &at);
	for (unsigned i = 0; i < PAGES; i++)
		expect_eq(t, user_write(space, at + i * PAGE_SIZE, 'w'), FAULT_DONE);
	page_cache_truncate(&file, 10 * PAGE_SIZE);
	expect_eq(t, page_cache_total_dirty(), 10);
	expect_eq(t, user_write(space, at + 10 * PAGE_SIZE, 'w'), FAULT_BUS);
	page_cache_truncate(&file, 0);
	expect_eq(t, page_cache_total_dirty(), 0);
	expect_eq(t, disk.holds, 0);
	expect_eq(t, page_cache_write_back(&file, 0, UINT64_MAX), 0);
	expect_eq(t, disk.nr_written, 0);
	space_put(space);
	end(t);
}

/* What is young stays; what is old enough goes. */
KTEST(space_store, rounds)
{
	struct address_space *space;
	uintptr_t at;

	begin();
	space = map_file(t, &at);
	expect_eq(t, user_write(space, at, 'r'), FAULT_DONE);
	expect_eq(t, page_caches_write_back(3), 0);
	expect_eq(t, page_caches_write_back(3), 0);
	expect_eq(t, disk.nr_written, 0);
	for (unsigned i = 0; i < 3; i++)
		expect_eq(t, page_caches_write_back(3), 0);
	expect_eq(t, disk.nr_written, 1);
	space_put(space);
	end(t);
}

/* Clean pages that nobody uses can be had back; they are read again. */
KTEST(space_store, reclaim)
{
	struct address_space *space;
	uintptr_t at;

	begin();
	space = map_file(t, &at);
	expect_eq(t, user_write(space, at, 'd'), FAULT_DONE);
	expect_eq(t, user_read(space, at + 40 * PAGE_SIZE), 41);
	expect_le(t, 2, page_cache_nr_pages(&file));
	for (uint64_t i = 1; i < PAGES; i++) {
		struct page *page;

		assert_true(t, page_cache_get_page(&file.object, i, false, &page) >= 0);
		page_put(page);
	}
	expect_eq(t, page_cache_nr_pages(&file), PAGES);
	(void)reclaim_frames(100000, GFP_KERNEL);
	expect_le(t, page_cache_nr_pages(&file), 20);
	expect_eq(t, user_read(space, at), 'd');
	for (unsigned i = 1; i < PAGES; i++)
		expect_eq(t, user_read(space, at + i * PAGE_SIZE), (int)i + 1);
	expect_eq(t, page_cache_write_back(&file, 0, UINT64_MAX), 0);
	space_put(space);
	end(t);
}
