/* SPDX-License-Identifier: MIT */
/*
 * Demand paging: giving a page at the moment it is touched.
 *
 * PROBLEM. A program is promised far more memory than it touches, and most of what it touches
 * is the same as somebody else's: zeroes, text, what fork() copied.
 *
 * IDEA. Promise with regions, give by faults, and share until somebody writes. Which of the cases
 * a fault is, the region, the entry and the access say:
 *
 *	            no region                     a stack grows, or MAPERR / OVERFLOW / HEAP
 *	            the thread forbids it itself  KEY (memory_protection.c)
 *	            region forbids it             ACCERR
 *
 *	no entry    anonymous        read         (1) zero page, without the right to write
 *	                             write        (2) a frame of zeroes
 *	            object, shared   any          (3) the object's page
 *	            object, private  read         (3) the object's page, without the right to write
 *	                             write        (4) a copy of it
 *	            anonymous        any          (0) a huge page, instead of (1) and (2), if it is
 *	                                          wanted, fits and can be had: see huge_page.c
 *	entry       allows it                     (5) spurious: another thread was faster
 *	            shared, write                 (6) its object has been asked
 *	            private, write   zero page    (2)
 *	                             ours alone   (6) reuse: it gets the right to write
 *	                             shared       (7) copy on write
 *
 *	(6) and (7), one page of two processes after fork():
 *
 *	 parent r-- --> [ A ] <-- r-- child      write by the parent: 2 mappings, so (7)
 *	 parent rw- --> [ A']     [ A ] <-- r--  child
 *	                                         write by the child: the last one, so (6)
 *
 * "Ours alone" is one reference, that of this entry: nobody else can get at the page then, as
 * a reference is only made from another one and this one is under the lock that we hold.
 *
 * A page of a file on a disk is shown without the right to write until somebody writes. Then its
 * object is asked, which notes that it differs from the disk now, or says that the disk is full.
 *
 * Pages of a file that lie around one that was read, and are in memory, are mapped at the same
 * time ("fault-around"): up to AROUND pages at a multiple of it cost little more than one. Not
 * where the program has said that it touches pages at random.
 *
 * An entry that is replaced by one to another frame (7, and 2 over the zero page) may still be in
 * the TLBs of CPUs that run other threads of the program; they are flushed before the old frame
 * is let go. An entry that only gets more rights needs no flush.
 *
 * A huge page that was shared by fork() is one page as long as nobody writes: then it is all ours,
 *and (6) is done for all of it by one entry, or it is split, and (6) or (7) for the page touched.
 *
 * A SHORTAGE leaves things as they were: the frame is allocated before the entry is touched, and
 * tables that were made for nothing are pruned.
 *
 * LOCKING. space->lock from finding the region to writing the entry.
 */
#include <errno.h>

#include "space_internal.h"

#define AROUND 16 /* pages; a power of two, and no more than a table has entries */

struct fault {
	struct address_space *space;
	struct region *region;
	uintptr_t page; /* address of the page */
	enum fault_access access;
	bool major;	     /* it waited for a disk */
	struct page_row row; /* its entry */
};

static mmu_entry_t
make_entry(const struct fault *fault, const struct page *page, unsigned rights_gone)
{
	return arch_mmu_page(page_to_pfn(page) << PAGE_SHIFT, fault->region->rights & ~rights_gone);
}

/* Frames of anonymous memory carry where they are at home. */
static struct page *
new_page(const struct fault *fault, gfp_t gfp)
{
	return user_page_alloc(gfp, PAGE_USE_ANON, fault->space->family,
			       region_home(fault->region, fault->page));
}

/* Put an anonymous page, whose only reference is ours, where nothing or the zero page is. */
static void
map_own(struct fault *fault, struct page *page, mmu_entry_t old)
{
	mmu_entry_t new = make_entry(fault, page, 0);

	page_map(page);
	if (arch_mmu_exchange(fault->row.entry, new) == 0)
		fault->row.table->owner++;
	if (old)
		arch_mmu_flush(&fault->space->users, &fault->page, 1);
	space_count_resident(fault->space, 1);
	fault->space->nr_anonymous++;
}

/* ---- Anonymous memory: cases 1, 2 ------------------------------------------------------ */

static enum fault_result
fault_zero(struct fault *fault)
{
	fault->space->stats.faults_zero++;
	arch_mmu_write(fault->row.entry,
		       arch_mmu_read_only(make_entry(fault, zero_page, MMU_WRITE)));
	fault->row.table->owner++;
	return FAULT_DONE;
}

static enum fault_result
fault_anonymous(struct fault *fault, mmu_entry_t old)
{
	struct page *page = new_page(fault, GFP_ZERO);

	if (!page)
		return FAULT_NOMEM;
	map_own(fault, page, old);
	fault->space->stats.faults_anonymous++;
	return FAULT_DONE;
}

/* ---- Pages of objects: cases 3, 4 -------------------------------------------------------- */

/* The object's page at the fault, with a reference. */
static enum fault_result
object_page(struct fault *fault, bool create, struct page **page)
{
	struct memory_object *object = fault->region->object;
	int error =
	    object->ops->get_page(object, region_index(fault->region, fault->page), create, page);

	if (error == -ENOMEM)
		return FAULT_NOMEM;
	fault->major |= error > 0;
	return error < 0 ? FAULT_BUS : FAULT_DONE;
}

/* A private region is written to, where nothing is yet. */
static enum fault_result
fault_file_copy(struct fault *fault)
{
	struct page *page = new_page(fault, GFP_KERNEL), *from = NULL;
	enum fault_result result = page ? object_page(fault, false, &from) : FAULT_NOMEM;

	if (page && result != FAULT_DONE) {
		page_put(page);
	} else if (page) {
		arch_copy_page(page_to_virt(page), page_to_virt(from));
		page_put(from);
		map_own(fault, page, 0);
		fault->space->stats.faults_cow++;
	}
	return result;
}

/* The pages around the fault that may be mapped with it: within region, table and window. */
static struct page_row
around(const struct fault *fault)
{
	uintptr_t low = fault->page, high = fault->page + PAGE_SIZE;
	struct page_row row = fault->row;

	while (low % (AROUND * PAGE_SIZE) && low > region_start(fault->region)) {
		low -= PAGE_SIZE;
		row.entry--;
	}
	while (high % (AROUND * PAGE_SIZE) && high < region_end(fault->region))
		high += PAGE_SIZE;
	row.start = low;
	row.nr = (unsigned)((high - low) >> PAGE_SHIFT);
	return row;
}

/* Map a page whose reference becomes that of the entry. */
static void
map_object_page(struct fault *fault, struct page_row *row, unsigned i, struct page *page)
{
	bool asked = fault->access == FAULT_WRITE || !region_tracks_writes(fault->region);

	page_map(page);
	page_row_set(row, i,
		     make_entry(fault, page,
				region_is_private(fault->region) || !asked ? MMU_WRITE : 0));
}

/* Map those of pages whose places are empty, and let the others go. */
static void
map_around(struct fault *fault, struct page_row *row, struct page **pages)
{
	for (unsigned i = row->nr; i-- > 0;) {
		bool is_free = arch_mmu_read(&row->entry[i]) == 0;

		if (pages[i] && is_free) {
			map_object_page(fault, row, i, pages[i]);
			space_count_resident(fault->space, 1);
			fault->space->stats.faults_around +=
			    row->start + i * PAGE_SIZE != fault->page;
		} else if (pages[i]) {
			page_put(pages[i]);
		}
	}
}

static enum fault_result
fault_file(struct fault *fault)
{
	struct memory_object *object = fault->region->object;
	bool write = fault->access == FAULT_WRITE;
	struct page_row row = fault->row;
	struct page *page, *pages[AROUND] = { NULL };
	enum fault_result result = object_page(fault, write, &page);
	unsigned at;

	if (result != FAULT_DONE)
		return result;
	if (!write && !(fault->region->flags & REGION_RANDOM))
		row = around(fault);
	at = (unsigned)((fault->page - row.start) >> PAGE_SHIFT);
	if (row.nr > 1)
		object->ops->peek_pages(object, region_index(fault->region, row.start), row.nr,
					pages);
	if (pages[at])
		page_put(page);
	else
		pages[at] = page;
	map_around(fault, &row, pages);
	fault->space->stats.faults_file++;
	return FAULT_DONE;
}

/* ---- Writing to what is shared: cases 6, 7 ------------------------------------------------- */

static enum fault_result
fault_copy(struct fault *fault, struct page *from)
{
	struct page *page = new_page(fault, GFP_KERNEL);

	if (!page)
		return FAULT_NOMEM;
	/* Nobody may write to what is being copied; readers come back here and wait. */
	(void)arch_mmu_exchange(fault->row.entry, 0);
	arch_mmu_flush(&fault->space->users, NULL, 1);
	arch_copy_page(page_to_virt(page), page_to_virt(from));
	page_map(page);
	arch_mmu_write(fault->row.entry, make_entry(fault, page, 0));
	if (!page_is_anonymous(from))
		fault->space->nr_anonymous++;
	page_unmap(from);
	fault->space->stats.faults_cow++;
	return FAULT_DONE;
}

/* More rights for the page that is there. */
static inline void
upgrade(struct fault *fault, mmu_entry_t old)
{
	mmu_entry_t new = arch_mmu_with_rights(old, fault->region->rights);

	if (arch_mmu_is_dirty(arch_mmu_exchange(fault->row.entry, new)))
		arch_mmu_mark_dirty(fault->row.entry);
	arch_mmu_forget(fault->page);
}

static enum fault_result
fault_protected(struct fault *fault, mmu_entry_t entry)
{
	struct page *page = entry_page(entry);
	bool own = page != zero_page && page_is_anonymous(page) && page_references(page) == 1;

	if (region_tracks_writes(fault->region)) {
		enum fault_result result = object_page(fault, true, &page);

		if (result != FAULT_DONE)
			return result;
		page_put(page);
	}
	if (own || !region_is_private(fault->region)) {
		upgrade(fault, entry);
		fault->space->stats.faults_reuse++;
		return FAULT_DONE;
	}
	return page == zero_page ? fault_anonymous(fault, entry) : fault_copy(fault, page);
}

/* ---- Which case it is ------------------------------------------------------------------------ */

static bool
is_allowed(const struct region *region, enum fault_access access)
{
	static const unsigned needs[] = {
		/* What may be written or executed may be read: the processor knows no other. */
		[FAULT_READ] = PROT_READ | PROT_WRITE | PROT_EXEC,
		[FAULT_WRITE] = PROT_WRITE,
		[FAULT_EXEC] = PROT_EXEC,
	};

	return (region->prot & needs[access]) != 0;
}

/* There is no entry. */
static enum fault_result
fault_missing(struct fault *fault)
{
	if (fault->region->object) {
		if (fault->access != FAULT_WRITE || !region_is_private(fault->region))
			return fault_file(fault);
		return fault_file_copy(fault);
	}
	return fault->access == FAULT_WRITE ? fault_anonymous(fault, 0) : fault_zero(fault);
}

/*
 * Resolve the fault by one entry for all of the span that it lies in: give a huge page, or more
 * rights for one. Returns false if the page has to be dealt with alone.
 */
static __attribute__((noinline)) bool
fault_huge(struct fault *fault)
{
	struct address_space *space = fault->space;
	bool wanted = huge_is_wanted(fault->region);
	mmu_entry_t entry;

	if (!wanted && space->nr_huge == 0)
		return false;
	switch (page_table_span(&space->table, fault->page, &fault->row)) {
	case SPAN_EMPTY:
		return wanted && huge_map(space, fault->region, fault->page);
	case SPAN_PAGES:
		return false;
	case SPAN_HUGE:
		break;
	}
	entry = arch_mmu_read(fault->row.entry);
	if (fault->access != FAULT_WRITE || arch_mmu_is_writable(entry)) {
		arch_mmu_forget(fault->page);
		space->stats.faults_spurious++;
		return true;
	}
	if (!huge_page_is_sole(entry_page(entry))) {
		huge_split(space, &fault->row);
		return false;
	}
	upgrade(fault, entry);
	space->stats.faults_reuse++;
	return true;
}

/* Tables that the fault has made for nothing go. */
static void
prune_after(const struct fault *fault)
{
	struct gather gather;

	gather_begin(&gather, fault->space);
	prune_tables(&gather, fault->page, fault->page + PAGE_SIZE);
	gather_end(&gather);
}

/*
 * The page is there, with all rights. Either somebody was faster, or the thread denies itself key
 * 0, which nearly all memory has and which is asked only here.
 */
static enum fault_result
nothing_missing(const struct region *region, enum fault_access access)
{
	return key_denies(region_key(region), access) ? FAULT_KEY : FAULT_DONE;
}

enum fault_result
fault_in_region(struct address_space *space, struct region *region, uintptr_t address,
		enum fault_access access)
{
	struct fault fault = { .space = space,
			       .region = region,
			       .access = access,
			       .page = ALIGN_DOWN(address, PAGE_SIZE) };
	enum fault_result result = FAULT_NOMEM;
	mmu_entry_t entry;

	if (!is_allowed(region, access))
		return FAULT_ACCERR;
	if (fault_huge(&fault)) {
		space->stats.faults_minor++;
		return nothing_missing(region, access);
	}
	if (page_table_make_row(&space->table, fault.page, fault.page + PAGE_SIZE, &fault.row))
		goto failed;
	entry = arch_mmu_read(fault.row.entry);
	if (entry && (access != FAULT_WRITE || arch_mmu_is_writable(entry))) {
		arch_mmu_forget(fault.page);
		space->stats.faults_spurious++;
		result = nothing_missing(region, access);
		if (result != FAULT_DONE)
			goto failed;
		space->stats.faults_minor++;
		return FAULT_DONE;
	}
	result = entry ? fault_protected(&fault, entry) : fault_missing(&fault);
	if (result == FAULT_DONE) {
		space->stats.faults_major += fault.major;
		space->stats.faults_minor += !fault.major;
		return FAULT_DONE;
	}
failed:
	prune_after(&fault);
	return result;
}

enum fault_result
space_fault(struct address_space *space, uintptr_t address, enum fault_access access)
{
	enum fault_result result;
	struct region *region;

	if (address >= USER_END)
		return FAULT_MAPERR;
	mutex_lock(&space->lock);
	region = region_find(space, address);
	result = region ? FAULT_DONE : stack_grow(space, address, &region);
	if (result == FAULT_DONE && key_denies(region_key(region), access))
		result = FAULT_KEY;
	else if (result == FAULT_DONE)
		result = fault_in_region(space, region, address, access);
	if (space->guard_heap && (result == FAULT_MAPERR || result == FAULT_ACCERR) &&
	    heap_is_beside(space, address))
		result = FAULT_HEAP;
	mutex_unlock(&space->lock);
	return result;
}
