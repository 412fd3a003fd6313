/* SPDX-License-Identifier: MIT */
/*
 * The pages of one file: mm/page_cache.c. An inode of a file system embeds a struct page_cache,
 * which is a memory object: what programs map.
 *
 * (l) object.lock   (c) fixed once made
 */
#ifndef IKOS_PAGE_CACHE_H
#define IKOS_PAGE_CACHE_H

#include <memory_object.h>
#include <page_tree.h>
#include <types.h>

struct page_cache {
	struct memory_object object;
	struct page_tree pages; /* (l) each with a reference */
	uint64_t size;		/* (l) bytes of the file; readable without: atomic */
	uint64_t nr_cuts;	/* (l) how often it was cut short */
	/*
	 * Read the page at index, which is zeroes so far, from where the file is kept. Returns 0
	 * or -EIO or -ENOMEM. May sleep. NULL: what is not in the cache is zeroes.
	 */
	int (*fill)(struct page_cache *cache, uint64_t index, struct page *page); /* (c) */
};

static inline struct page_cache *
page_cache_of(struct memory_object *object)
{
	return container_of(object, struct page_cache, object);
}

/* An empty file of 0 bytes. ops: see page_cache_get_page() and page_cache_peek_pages(). */
void page_cache_init(struct page_cache *cache, const struct memory_object_ops *ops,
		     int (*fill)(struct page_cache *cache, uint64_t index, struct page *page));

/* What get_page and peek_pages of memory_object_ops are for an object that is a page cache. */
int page_cache_get_page(struct memory_object *object, uint64_t index, bool create,
			struct page **page) __must_check;
void page_cache_peek_pages(struct memory_object *object, uint64_t index, unsigned nr,
			   struct page **pages);

/*
 * The page at index for write(), also behind the end of the file, with a reference that the
 * caller drops by page_put(). Returns 0, -ENOMEM or -EIO. Once the bytes are in it, the caller
 * tells the new end by page_cache_extend(). It keeps others from cutting the file meanwhile.
 */
int page_cache_grab(struct page_cache *cache, uint64_t index, struct page **page) __must_check;

/* Bytes of the file. */
uint64_t page_cache_size(struct page_cache *cache);

/* The file has at least size bytes from now on. */
void page_cache_extend(struct page_cache *cache, uint64_t size);

/*
 * Zero what lies behind the end of the file in its last page: a program that has it mapped may
 * have written there. write() calls it before it leaves a gap behind the old end.
 */
void page_cache_zero_tail(struct page_cache *cache);

/*
 * Make the file size bytes long. What is cut off is freed and taken out of all address spaces;
 * what is added is zeroes. May sleep; the caller keeps others from writing and cutting.
 */
void page_cache_truncate(struct page_cache *cache, uint64_t size);

/*
 * Free pages [first, end), whole ones, which become zeroes, also for those who have them mapped:
 * a hole is punched. As page_cache_truncate() otherwise.
 */
void page_cache_punch(struct page_cache *cache, uint64_t first, uint64_t end);

/* Free everything: the file is gone, and nobody maps it any more. */
void page_cache_drop(struct page_cache *cache);

/* Frames that it takes. */
size_t page_cache_nr_pages(struct page_cache *cache);

/* Frames of all page caches together. */
size_t page_cache_total(void);

/* Recompute and compare. Returns the number of contradictions. */
unsigned page_cache_check(struct page_cache *cache) __must_check;

#endif
