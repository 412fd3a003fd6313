/* SPDX-License-Identifier: MIT */
/*
 * Trace points: what the memory manager does, one event after the other.
 *
 * A trace point is one line in the code it watches. Off, as it is by default, it costs one
 * instruction that does nothing: see <arch/trace_site.h>. The command line trace=buddy,space turns
 * them on; then each event is a record in a ring in memory that keeps the newest. The tools
 * read the ring from outside, in the guest's memory, where they find it through the symbol
 * "trace_area"; scripts/memview draws it.
 *
 * Where the tools cannot look into memory, the console command "trace" shows the ring, and
 * trace_out=com2 sends it over the second serial line.
 */
#ifndef IKOS_TRACE_H
#define IKOS_TRACE_H

#include <arch/trace_site.h>
#include <types.h>

/* What can be turned on by itself: the words of trace=. */
enum trace_group {
	TRACE_GROUP_BUDDY,
	TRACE_GROUP_SPACE,
	NR_TRACE_GROUPS,
};

/*
 * The first are about the block of 2^order frames that begins at frame pfn. Allocators have
 * frames of their own, so the frame also says which allocator it is. An operation's events
 * come in the order of its steps: an allocation is some SPLITs and an ALLOC, giving back is
 * a FREE and some MERGEs. A request for an exact number of frames or a given range is one
 * ALLOC for each block that it makes; what is left around them is free at once.
 */
enum trace_event {
	TRACE_INIT = 1, /* frames of a new allocator that has no memory yet; any order */
	TRACE_ADD,	/* frames become a free block */
	TRACE_RESERVE,	/* free frames leave the allocator for good; any order */
	TRACE_ALLOC,	/* a free block is given out */
	TRACE_FREE,	/* it is back, and free */
	TRACE_SPLIT,	/* a free block becomes its two halves */
	TRACE_MERGE,	/* two free halves become this block */

	/*
	 * These are about an address space, whose address stands in place of the caller. What
	 * stands in place of the frame is 0, unless told otherwise; "page": TRACE_AT() of an
	 * address and the frame that it leads to now.
	 */
	TRACE_SPACE_NEW,
	TRACE_SPACE_FORK, /* it is a copy of this other space, before anything is in it */
	TRACE_SPACE_GONE,
	TRACE_SPACE_OWNER, /* it is that process's from now on */
	TRACE_SPACE_NAME,  /* and so is it called: eight characters, as often as there are more */
	TRACE_FAULT_ZERO,  /* page: a fault, by kind: see mm/demand_paging.c */
	TRACE_FAULT_FRESH,
	TRACE_FAULT_FILE,
	TRACE_FAULT_COPY, /* in place of what was there, if anything was */
	TRACE_FAULT_REUSE,
	TRACE_FAULT_SPURIOUS, /* page */
	TRACE_FAULT_STACK,    /* page: the stack has grown; what is mapped there follows */
	TRACE_FAULT_REFUSED,  /* page, with enum fault_result in place of the frame */
	TRACE_SPACE_MAP,      /* page: mapped without a fault of its own */
	TRACE_SPACE_UNMAP,    /* page: a mapping is gone */
	NR_TRACE_EVENTS,
};

/*
 * There is room for 35 bits of an address, above those of the byte in the page: all that programs
 * have with four levels of page tables. Of larger addresses and frames the upper bits are cut off.
 */
#define TRACE_FRAME_BITS 29
#define TRACE_AT(address, frame)                                                                   \
	((uint64_t)(address) >> PAGE_SHIFT << TRACE_FRAME_BITS |                                   \
	 ((uint64_t)(frame) & ((1ull << TRACE_FRAME_BITS) - 1)))

/* Little endian, 32 bytes. */
struct trace_record {
	uint64_t time;	   /* arch_cycles() */
	uint64_t caller;   /* return address of the call into mm/ */
	uint64_t pfn;	   /* first frame of the block */
	uint8_t event;	   /* enum trace_event; 0: nothing was written here yet */
	uint8_t order;	   /* of the block */
	uint16_t cpu;	   /* that it happened on */
	uint32_t sequence; /* number of the event, from 0, modulo 2^32 */
};

#define TRACE_MAGIC   0x45434152544f4b49ull /* "IKOTRACE" */
#define TRACE_VERSION 1

struct trace_area {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size;
	paddr_t records;   /* physical address of the ring, 0: not tracing */
	uint64_t capacity; /* records */
	uint64_t written;  /* records ever; number n lies in slot n % capacity */
	struct trace_record *base;
};

extern struct trace_area trace_area;

struct page;

/* What stands behind a trace point that is on. Callable from any context. */
void trace_log(unsigned event, const struct page *page, unsigned order);
void trace_log_range(unsigned event, pfn_t first, pfn_t end);
void trace_log_space(unsigned event, const void *space, uint64_t what);

/*
 * The trace point of the buddy allocator: something happened to the block headed by page. It
 * takes the page, not the frame's number, so that nothing is computed when it is off.
 */
static inline __attribute__((always_inline)) void
trace_buddy(enum trace_event event, const struct page *page, unsigned order)
{
	if (unlikely(arch_trace_site(TRACE_GROUP_BUDDY)))
		arch_trace_call(trace_log, event, page, order);
}

/* The same for [first, end): an event for each of the largest aligned blocks they make. */
static inline __attribute__((always_inline)) void
trace_buddy_range(enum trace_event event, pfn_t first, pfn_t end)
{
	if (unlikely(arch_trace_site(TRACE_GROUP_BUDDY)))
		arch_trace_call(trace_log_range, event, first, end);
}

/* Are events of address spaces wanted? For what would cost something to find out. */
static inline __attribute__((always_inline)) bool
trace_space_is_on(void)
{
	return unlikely(arch_trace_site(TRACE_GROUP_SPACE));
}

/* Something happened to an address space. what: see enum trace_event. */
static inline __attribute__((always_inline)) void
trace_space(enum trace_event event, const void *space, uint64_t what)
{
	if (unlikely(arch_trace_site(TRACE_GROUP_SPACE)))
		arch_trace_call(trace_log_space, event, space, what);
}

/* Set the ring aside, if trace= was given. Called once, while the boot allocator lives. */
void trace_init(void);

/* Add an event to a ring: what trace_log() and trace_log_range() do with trace_area. */
void trace_put(struct trace_area *area, enum trace_event event, pfn_t pfn, unsigned order,
	       uintptr_t caller);
void trace_put_range(struct trace_area *area, enum trace_event event, pfn_t first, pfn_t end,
		     uintptr_t caller);

/* Records that the ring holds, and that it held but had to give up for newer ones. */
uint64_t trace_kept(const struct trace_area *area);
uint64_t trace_lost(const struct trace_area *area);

/* Send the header and the records, oldest first, over COM2 if trace_out=com2 was given. */
void trace_send_at_power_off(void);

#endif
