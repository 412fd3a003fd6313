/* SPDX-License-Identifier: MIT */
/*
 * What a region of an address space can show besides anonymous memory: the pages of a file.
 *
 * A memory object hands out its pages by index (offset / PAGE_SIZE). The same page serves
 * read(), write() and every mapping, so they all see the same bytes. Who makes objects (a file
 * system) embeds this structure.
 */
#ifndef IKOS_MEMORY_OBJECT_H
#define IKOS_MEMORY_OBJECT_H

#include <list.h>
#include <page.h>
#include <spinlock.h>
#include <types.h>

struct memory_object;

struct memory_object_ops {
	/*
	 * The page at index, filled, in *page with a reference that the caller drops by
	 * page_put(). create: it is going to be written to through a shared mapping; without it a
	 * hole inside the file may be answered with a page all the same. Returns 0, or 1 if it had
	 * to be read from a disk; -ENXIO behind the end of the file, rounded up to a page; -ENOSPC
	 * if there is no room for what will be written; -ENOMEM; -EIO. May sleep.
	 */
	int (*get_page)(struct memory_object *object, uint64_t index, bool create,
			struct page **page);
	/*
	 * For fault-around: up to nr pages from index on that are there already, each with a
	 * reference; NULL in the places of those that are not. Never sleeps.
	 */
	void (*peek_pages)(struct memory_object *object, uint64_t index, unsigned nr,
			   struct page **pages);
	/* References to the object as a whole: one for each region that maps it. */
	void (*get)(struct memory_object *object);
	void (*put)(struct memory_object *object);
	/*
	 * Pages must not be written to unless get_page(create) has been asked since they were
	 * last write-protected: the object has to know which differ from the disk.
	 */
	bool tracks_writes;
	/* msync(MS_SYNC) of pages [first, end): 0 or an error. NULL: nothing is kept elsewhere. */
	int (*sync)(struct memory_object *object, uint64_t first, uint64_t end);
	/*
	 * Free pages [first, end), which become zeroes for all that have them: 0 or an error. NULL:
	 * it cannot. May sleep.
	 */
	int (*punch)(struct memory_object *object, uint64_t first, uint64_t end);
};

struct memory_object {
	const struct memory_object_ops *ops; /* (c) */
	spinlock_t lock;		     /* RANK_OBJECT */
	struct list_head regions;	     /* (l) lock: that map it, see address_space.h */
};

/* An object without regions. */
void memory_object_init(struct memory_object *object, const struct memory_object_ops *ops);

/*
 * Take pages [first, end) out of every address space that maps them, because the file has been
 * cut short (the next access gets FAULT_BUS). private: also the copies that private mappings
 * have made. May sleep; holds no lock.
 */
void memory_object_unmap(struct memory_object *object, uint64_t first, uint64_t end, bool private);

/*
 * Take the right to write to pages [first, end) out of every address space that has them mapped
 * shared. Whoever was about to be given it has it before, and loses it. May sleep; holds no lock.
 */
void memory_object_write_protect(struct memory_object *object, uint64_t first, uint64_t end);

/*
 * May anybody write to it who has it mapped shared, now or after mprotect()? The caller sees to it
 * that nobody maps it meanwhile.
 */
bool memory_object_is_writable(struct memory_object *object);

/*
 * Call fn, if not NULL, for every entry of a page table that leads to a page, with the address
 * space locked. The caller has a reference to the page. Returns how many there were. May sleep.
 */
struct address_space;
typedef void (*mapping_fn)(struct address_space *space, uintptr_t address, void *arg);
size_t page_each_mapping(struct page *page, mapping_fn fn, void *arg);

/* References to a page of user memory or of a file. The last one frees the frame. */
void page_get(struct page *page);
void page_put(struct page *page);

#endif
