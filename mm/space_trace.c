/* SPDX-License-Identifier: MIT */
/*
 * What is told about address spaces when somebody wants to know: trace=space.
 *
 * PROBLEM. Which kind of fault it was, what was mapped beside it, which pages a fork() shares: to
 * tell costs time, at the places where time is short. And it is to be told of handlers that know
 * nothing of tracing, such as those that a student writes.
 *
 * IDEA. The handler is not asked. One looks at the entry before it runs and again after, and what
 * has changed says what it did:
 *
 *	entry before    entry now            it was
 *	0               zero page            ZERO
 *	0, zero page    anonymous            FRESH; in a region of an object COPY
 *	0               page of the object   FILE, and its neighbours may be there, too
 *	some frame      the same             REUSE if it can be written now, and could not; SPURIOUS
 *	some frame      another one          COPY, and the frame has lost a mapping
 *
 * Between the looks the lock is the handler's, so another thread may have been faster: then its
 * work is told twice, or a kind is told that it was not. Who reads of a page that is mapped, and
 * knows it already, has lost nothing.
 *
 * LOCKING. The space's lock for each look.
 */
#include "space_trace.h"

#define AROUND 16 /* as in demand_paging.c */

/* What a look at a page of a space finds. */
struct look {
	const struct region *region; /* NULL: none */
	struct page *page;	     /* NULL: no entry */
	bool writable;
};

static struct look
look_at(struct address_space *space, uintptr_t address)
{
	mmu_entry_t entry = page_table_lookup(&space->table, ALIGN_DOWN(address, PAGE_SIZE));

	return (struct look){
		.region = region_find(space, address),
		.page = entry ? entry_page(entry) : NULL,
		.writable = arch_mmu_is_writable(entry),
	};
}

static enum trace_event
kind_of(const struct look *before, const struct look *now)
{
	if (before->page == now->page)
		return now->writable && !before->writable ? TRACE_FAULT_REUSE
							  : TRACE_FAULT_SPURIOUS;
	if (now->page == zero_page)
		return TRACE_FAULT_ZERO;
	if (!page_is_anonymous(now->page))
		return TRACE_FAULT_FILE;
	if ((now->region && now->region->object) || (before->page && before->page != zero_page))
		return TRACE_FAULT_COPY;
	return TRACE_FAULT_FRESH;
}

static void
log_page(enum trace_event event, const struct address_space *space, uintptr_t address,
	 const struct page *page)
{
	trace_log_space(event, space, TRACE_AT(address, page_to_pfn(page)));
}

void
trace_pages(struct address_space *space, uintptr_t start, uintptr_t end)
{
	struct page_row row;

	assert_space_locked(space);
	for (uintptr_t at = start; page_table_next_row(&space->table, at, end, &row);
	     at = page_row_end(&row)) {
		for (uintptr_t page = row.start; page < page_row_end(&row); page += PAGE_SIZE) {
			mmu_entry_t entry = page_table_lookup(&space->table, page);

			if (entry && entry_page(entry) != zero_page)
				log_page(TRACE_SPACE_MAP, space, page, entry_page(entry));
		}
	}
}

/* The neighbours that may have come with a page of an object. */
static void
trace_around(struct address_space *space, const struct region *region, uintptr_t page)
{
	uintptr_t low = ALIGN_DOWN(page, AROUND * PAGE_SIZE), high = low + AROUND * PAGE_SIZE;

	low = MAX(low, region_start(region));
	high = MIN(high, region_end(region));
	trace_pages(space, low, page);
	trace_pages(space, page + PAGE_SIZE, high);
}

/* All that came with a page, if it is a part of a huge one. */
static void
trace_huge(struct address_space *space, uintptr_t page)
{
	struct page_row row;

	if (page_table_span(&space->table, page, &row) == SPAN_HUGE)
		trace_pages(space, row.start, page_row_end(&row));
}

static void
tell(struct address_space *space, uintptr_t address, const struct look *before)
{
	uintptr_t page = ALIGN_DOWN(address, PAGE_SIZE);
	struct look now = look_at(space, address);
	enum trace_event kind;

	if (!now.page)
		return; /* a handler that says that it is done, and is not */
	kind = kind_of(before, &now);
	if (kind == TRACE_FAULT_FRESH)
		trace_huge(space, page);
	if (!before->region && now.region)
		trace_log_space(TRACE_FAULT_STACK, space, TRACE_AT(region_start(now.region), 0));
	if (kind == TRACE_FAULT_COPY && before->page && before->page != zero_page)
		log_page(TRACE_SPACE_UNMAP, space, page, before->page);
	log_page(kind, space, page, now.page);
	if (kind == TRACE_FAULT_FILE && now.region)
		trace_around(space, now.region, page);
}

enum fault_result
space_fault_traced(struct address_space *space, uintptr_t address, enum fault_access access)
{
	enum fault_result result;
	struct look before;

	if (address >= USER_END)
		return space_fault(space, address, access);
	mutex_lock(&space->lock);
	before = look_at(space, address);
	mutex_unlock(&space->lock);
	result = space_fault(space, address, access);
	mutex_lock(&space->lock);
	if (result == FAULT_DONE)
		tell(space, address, &before);
	else
		trace_log_space(TRACE_FAULT_REFUSED, space, TRACE_AT(address, result));
	mutex_unlock(&space->lock);
	return result;
}
