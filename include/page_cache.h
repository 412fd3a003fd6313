/* SPDX-License-Identifier: MIT */
/*
 * The pages of one file: mm/page_cache.c. An inode of a file system embeds a struct page_cache,
 * which is a memory object: what programs map.
 *
 * The pages of a file in memory are all that there is of it. Those of a file on a disk have a
 * store, from which they are read when they are missed (page_reading.c) and to which they are
 * written when they have changed (write_back.c).
 *
 * (l) object.lock   (c) fixed once made   (w) writing   (a) atomic   (d) the list's lock
 */
#ifndef IKOS_PAGE_CACHE_H
#define IKOS_PAGE_CACHE_H

#include <budget.h>
#include <memory_object.h>
#include <mutex.h>
#include <page_tree.h>
#include <types.h>

#define STORE_PAGES 16 /* that a store is asked to move at a time, at most */

/* What struct page's flags say of a page of a file with a store. (l) */
enum page_flags {
	PAGE_BUSY = 1,	/* is being read; who wants it waits */
	PAGE_DIRTY = 2, /* differs from the store */
	PAGE_SENT = 4,	/* is being written */
	PAGE_USED = 8,	/* was asked for since reclaim looked last */
};

struct page_cache;

/* How a file system keeps the pages of a file. All but hold may sleep. */
struct page_store {
	/*
	 * Fill nr pages from index on, which are zeroes, and in no page table. What lies behind
	 * the end of the file stays zero. Returns 0, or -EIO or -ENOMEM if one could not be read.
	 */
	int (*read)(struct page_cache *cache, uint64_t index, struct page **pages, unsigned nr);
	/* Write nr pages from index on. Returns 0, or -EIO, -ENOSPC or -ENOMEM: some were not. */
	int (*write)(struct page_cache *cache, uint64_t index, struct page **pages, unsigned nr);
	/* Bytes [from, to) of the file, in one page, will be written: have room. 0, or -ENOSPC...
	 */
	int (*reserve)(struct page_cache *cache, uint64_t from, uint64_t to);
	/* What was reserved behind the end of the file is not needed after all. */
	void (*trim)(struct page_cache *cache);
	/* The cache has got its first dirty page, and must live on; and it has none any more. */
	void (*hold)(struct page_cache *cache); /* with (l) held */
	void (*let_go)(struct page_cache *cache);
};

struct page_cache {
	struct memory_object object;
	struct page_tree pages;		/* (l) each with a reference */
	uint64_t size;			/* (l) bytes of the file; readable without: atomic */
	uint64_t nr_cuts;		/* (l) how often it was cut short */
	const struct page_store *store; /* (c) NULL: what is not in the cache is zeroes */
	struct budget *budget;		/* (c) once it has pages: what they come from, or NULL */

	/* With a store: */
	struct wait_queue changed; /* (l) a page is not BUSY, or not SENT, any more */
	struct list_head stored;   /* (d) in the list of all caches with a store */
	struct list_head dirty;	   /* (d) in the list of those with dirty pages */
	uint64_t dirty_since;	   /* (d) the round of write-back in which the first came */
	size_t nr_dirty;	   /* (l) pages that are DIRTY, and again those that are SENT */
	uint64_t dirty_first, dirty_end; /* (l) the DIRTY ones are among these */
	struct mutex writing;		 /* one thread at a time writes */
	uint64_t ahead_at;		 /* (l) where a reader that goes on will miss next */
	unsigned ahead;			 /* (l) how many pages it was given last */
	uint32_t error;			 /* (a) how writing failed: see page_cache_error() */
	uint32_t error_told;		 /* (w) to msync() */
};

static inline struct page_cache *
page_cache_of(struct memory_object *object)
{
	return container_of(object, struct page_cache, object);
}

/* An empty file of 0 bytes. ops: see page_cache_get_page() and page_cache_peek_pages(). */
void page_cache_init(struct page_cache *cache, const struct memory_object_ops *ops,
		     const struct page_store *store);

/* What get_page and peek_pages of memory_object_ops are for an object that is a page cache. */
int page_cache_get_page(struct memory_object *object, uint64_t index, bool create,
			struct page **page) __must_check;
void page_cache_peek_pages(struct memory_object *object, uint64_t index, unsigned nr,
			   struct page **pages);

/*
 * The page at index for write(), also behind the end of the file, with a reference that the
 * caller drops by page_put(). Returns 0, -ENOMEM, -EIO or, with its budget spent, -ENOSPC. Once the
 * bytes are in it, the caller tells the new end by page_cache_extend(), and then, of a file with a
 * store, that the page has changed by page_cache_dirty(). It keeps others from cutting the file
 * meanwhile.
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
 * Zero bytes [from, to) of the file, in one page, if that is in memory. Of a file with a store,
 * the caller sees to it that the page is written.
 */
void page_cache_zero(struct page_cache *cache, uint64_t from, uint64_t to);

/*
 * Make the file size bytes long. What is cut off is freed and taken out of all address spaces;
 * what is added is zeroes. No page that was cut off is on its way to the store any more. May
 * sleep; the caller keeps others from writing and cutting.
 */
void page_cache_truncate(struct page_cache *cache, uint64_t size);

/*
 * Free pages [first, end), whole ones, which become zeroes, also for those who have them mapped:
 * a hole is punched. As page_cache_truncate() otherwise. For files without a store.
 */
void page_cache_punch(struct page_cache *cache, uint64_t first, uint64_t end);

/* Free everything: the file is gone, and nobody maps it any more. */
void page_cache_drop(struct page_cache *cache);

/* Frames that it takes. */
size_t page_cache_nr_pages(struct page_cache *cache);

/* Frames of all page caches together; of those without a store; that are DIRTY or SENT. */
size_t page_cache_total(void);
size_t page_cache_total_unstored(void);
size_t page_cache_total_dirty(void);

/* ---- Files with a store: page_reading.c, write_back.c ------------------------------------ */

/* A page has been written to, and will have to be written to the store. */
void page_cache_dirty(struct page_cache *cache, struct page *page);

/*
 * Write the dirty pages of [first, end) to the store, and return when they and those that were
 * on their way already are there. Returns 0 or the first error; the pages are clean in any case,
 * and whoever asks page_cache_error() hears of it, too. May sleep.
 */
int page_cache_write_back(struct page_cache *cache, uint64_t first, uint64_t end);

/*
 * Has writing failed since *seen was set, by the same call or by reading error? Returns 0, or the
 * last error, once for each *seen.
 */
int page_cache_error(struct page_cache *cache, uint32_t *seen);

/* memory_object_ops.sync, for those whose pages lie in order in the store. */
int page_cache_sync(struct memory_object *object, uint64_t first, uint64_t end);

/*
 * Write back what has been dirty for at least that many rounds; each call begins a round. Of
 * all caches for 0. Returns the first error.
 */
int page_caches_write_back(uint64_t rounds);

/* Nobody needs its pages soon: those go that are clean and in no page table. */
void page_cache_drop_clean(struct page_cache *cache);

/* Set by the kernel's thread for write-back: called, with no lock held, when there is much to do.
 */
extern void (*write_back_wanted)(void);

/* Called before a page becomes dirty, by who may wait: if far too many are, write some. */
void page_cache_balance(struct page_cache *cache);

/* Recompute and compare. Returns the number of contradictions. */
unsigned page_cache_check(struct page_cache *cache) __must_check;

#endif
