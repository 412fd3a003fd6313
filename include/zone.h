/* SPDX-License-Identifier: MIT */
/*
 * Zones: which frames suit whom, and how many must stay free. The theory is in
 * mm/zone_allocator.c; most callers want alloc_pages() in memory_advanced.h.
 *
 * (c) fixed once made   (z) zone->lock   (i) its CPU only, interrupts off   (a) atomic
 */
#ifndef IKOS_ZONE_H
#define IKOS_ZONE_H

#include <allocators.h>
#include <memory_advanced.h>
#include <percpu.h>

/* By rising address, except that Movable is cut from the top of the highest other zone. */
typedef enum zone_type {
	ZONE_DMA,     /* below 16 MiB: what old devices reach */
	ZONE_NORMAL,  /* in the kernel's direct map */
	ZONE_HIGH,    /* beyond the direct map: reached through kmap() */
	ZONE_MOVABLE, /* for frames that may be moved only, so that runs can be had again */
	NR_ZONES,
} zone_type_t;

/* Whether a frame in use can be got out of the way of a large block, and how. */
enum mobility {
	UNMOVABLE,   /* never: somebody holds its address */
	RECLAIMABLE, /* by asking its owner to give it back */
	MOVABLE,     /* by copying it elsewhere */
	NR_MOBILITIES,
};

/* Each mobility of each zone is a group, numbered in that order. */
#define NR_GROUPS (NR_ZONES * NR_MOBILITIES)

static inline unsigned
group_number(zone_type_t zone, enum mobility mobility)
{
	return zone * NR_MOBILITIES + mobility;
}

enum watermark { MARK_MIN, MARK_LOW, MARK_HIGH, NR_MARKS };

/* Frames are grouped by mobility in page blocks: whole largest blocks of the buddy allocator. */
#define PAGE_BLOCK_ORDER MAX_ORDER

#define CPU_LIST_ORDERS 4 /* orders 0 to 3 have lists */

/* page->lent of a block that is with a caller; a block that no list takes differs from all others.
 */
#define LENT_LARGE 0x40
#define LENT_RUN   0x80 /* heads a part of a run: see mm/zone_ranges.c */

static inline unsigned
lent_mark(unsigned order)
{
	return order + 1 + (order < CPU_LIST_ORDERS ? 0 : LENT_LARGE);
}

/* ---- Per-CPU page lists: mm/page_lists.c ------------------------------------------------ */

/* (i) A stack of free blocks of one order, linked through page->link.next. */
struct cpu_list {
	struct page *first; /* NULL: it is empty */
	int32_t room;	    /* how many more it may hold; limit: it is empty */
	int32_t limit;	    /* (c) most blocks that it keeps; a batch is half of it */
	uint64_t nr_alloc;  /* blocks given to callers, ever */
	uint64_t nr_free;   /* and taken back */
};

struct cpu_pages {
	struct cpu_list list[NR_GROUPS][CPU_LIST_ORDERS];
} __attribute__((aligned(64)));

/* ---- Zones ------------------------------------------------------------------------------- */

/* The page blocks of one mobility: a buddy allocator of their frames. */
struct page_group {
	struct buddy buddy;
	size_t nr_blocks; /* (z) page blocks that are its own */
};

/* What zone_stats_t does not take from the structures themselves. */
struct zone_events {
	uint64_t nr_alloc[NR_ORDERS];	 /* (z) blocks given out past the CPUs' lists, by order */
	uint64_t nr_free[NR_ORDERS];	 /* (z) and taken back */
	uint64_t nr_exact, frames_exact; /* (z) runs given out that are no blocks */
	uint64_t nr_exact_free;		 /* (z) and taken back, in so many parts */
	uint64_t nr_failed;		 /* (z) requests that no zone could serve */
	uint64_t nr_fallback;		/* (z) blocks given to requests that wanted a higher zone */
	uint64_t nr_stolen;		/* (z) page blocks that changed their group */
	uint64_t nr_borrowed;		/* (z) blocks taken from another group's page blocks */
	uint64_t nr_compacted;		/* (z) runs made by compaction */
	uint64_t nr_compact_failed;	/* (z) compactions that made none */
	uint64_t nr_moved;		/* (z) frames moved */
	uint64_t nr_refills, nr_drains; /* (z) batches to and from the CPUs' lists */
};

struct zone {
	spinlock_t lock;
	pfn_t first, end;	  /* (c) spans [first, end), whole page blocks */
	zone_type_t type;	  /* (c) */
	const char *name;	  /* (c) */
	struct node *node;	  /* (c) */
	uint8_t *block_mobility;  /* (z) enum mobility of each page block of the span */
	size_t nr_managed;	  /* (z) frames that it has, free or not */
	size_t nr_free;		  /* (a) written under (z): frames free in its groups */
	size_t mark[NR_MARKS];	  /* (z) frames: see zone_set_marks() */
	size_t reserve[NR_ZONES]; /* (z) frames kept from requests that prefer that zone */
	size_t peak;		  /* (z) most frames out of its groups at one time */
	struct page_group group[NR_MOBILITIES];
	struct zone_events events; /* (z) */
};

/* The memory of one node. */
struct node {
	struct zone zone[NR_ZONES];
	struct cpu_pages cpu[MAX_CPUS];
	/*
	 * By flags: number + 1 of the group that a request with them takes from, or 0 while that
	 * is not known, or requests are made to fail. See node_alloc().
	 */
	uint8_t known_group[1u << NR_GFP_BITS]; /* (a) */
	struct fault_injector faults;		/* (z) of zone[0] */
	const struct thread *faults_of;		/* (z) only its requests fail; NULL: anybody's */
	size_t min_free; /* (c) frames to keep free in all; 0: by the amount of memory */
};

/* Where the zones of a node end: multiples of a page block, in rising order. */
struct zone_limits {
	pfn_t first; /* of the node */
	pfn_t dma_end;
	pfn_t normal_end; /* end of the direct map */
	pfn_t end;	  /* of the node */
	size_t movable;	  /* frames at the top for ZONE_MOVABLE */
	size_t min_free;  /* frames to keep free below all; 0: by the amount of memory */
};

/*
 * Make a node without memory. block_mobility: room for a byte for each page block of
 * [first, end). The pages of all frames that will be added must be PAGE_RESERVED.
 */
void node_init(struct node *node, const struct zone_limits *limits, uint8_t *block_mobility);

/*
 * Give the frames [first, end), all PAGE_RESERVED, to the zones that they lie in, whose marks
 * are computed anew. No other CPU may use the node meanwhile.
 */
void node_add_range(struct node *node, pfn_t first, pfn_t end);

/* Compute the marks and reserves of all zones, and how long the CPUs' lists may be. As above. */
void node_set_marks(struct node *node);

/* Make one request in every fail, chosen by the seed; 0: none. */
void node_set_faults(struct node *node, uint64_t every, uint64_t seed);

/* Make the nth request fail that the thread makes from now on, and no other; 0: none. */
void node_set_nth_fault(struct node *node, const struct thread *thread, uint64_t nth);

/*
 * alloc_pages(), __free_pages() and the others, of a node. Of a range, frames that lie in CPUs'
 * lists are in use: node_drain_lists() first.
 */
struct page *node_alloc(struct node *node, gfp_t gfp, unsigned order) __must_check;
void node_free(struct node *node, struct page *page, unsigned order);
void node_split(struct node *node, struct page *page, unsigned order); /* mm/block_split.c */
struct page *node_alloc_exact(struct node *node, gfp_t gfp, size_t nr_frames) __must_check;
int node_alloc_range(struct node *node, pfn_t first, pfn_t end) __must_check;
void node_free_range(struct node *node, pfn_t first, pfn_t end);

static inline struct zone *
node_zone_of(struct node *node, const struct page *page)
{
	return &node->zone[page->group / NR_MOBILITIES];
}

/* ---- Which zones, and how far down: mm/zone_allocator.c ----------------------------------- */

/* What a request may use: the highest zone that suits it, and the mobility. */
struct gfp_route {
	zone_type_t zone;
	enum mobility mobility;
};

/* Panics when the flags contradict each other or one of them is unknown. */
struct gfp_route gfp_route(gfp_t gfp);

/*
 * Compute the marks of a zone: min as given, its share of what the node keeps free; low a quarter
 * above, high a half above, rounded down. And its reserves: from requests that prefer a higher
 * zone, a part of all frames of the zones above it up to that one. Caller holds zone->lock.
 */
void zone_set_marks_locked(struct zone *zone, size_t min);

/*
 * How many frames must stay free below a request that goes down to mark: less for GFP_ATOMIC,
 * which may use half of what is below MARK_MIN.
 */
size_t zone_mark(const struct zone *zone, gfp_t gfp, enum watermark mark);

/*
 * May a request that prefers the zone "preferred" take 2^order frames, so that mark frames and
 * the zone's reserve against that request stay free?
 */
bool zone_allows(const struct zone *zone, unsigned order, size_t mark, zone_type_t preferred);

/* ---- Groups: mm/page_groups.c ------------------------------------------------------------ */

/*
 * Take a block from a zone for a mobility: from its own page blocks, else by making a free page
 * block of another group its own, else from another group's page blocks. Returns NULL when no
 * group has one. Caller holds zone->lock, and accounts for the frames.
 */
struct page *zone_take_locked(struct zone *zone, enum mobility mobility, unsigned order)
    __must_check;

/* Give a block back to the group whose page block it lies in. Caller as above. */
void zone_give_locked(struct zone *zone, struct page *page, unsigned order);

/* The group that a frame's page block belongs to. Caller holds zone->lock. */
struct page_group *zone_group_of(struct zone *zone, pfn_t pfn);

/*
 * Make a free page block of another group the own one of this mobility. Returns false when no
 * group has a whole one that is free. Caller holds zone->lock.
 */
bool zone_steal_block_locked(struct zone *zone, enum mobility mobility);

/* Frames have left the zone's groups, or come back (nr < 0). Caller holds zone->lock. */
static inline void
zone_account_locked(struct zone *zone, long nr)
{
	size_t free = zone->nr_free - (size_t)nr;

	assert_held(&zone->lock);
	__atomic_store_n(&zone->nr_free, free, __ATOMIC_RELAXED);
	zone->peak = MAX(zone->peak, zone->nr_managed - free);
}

#define GFP_NO_WAIT   (GFP_NOWAIT | GFP_ATOMIC)
#define MAX_ROUNDS    8		    /* of node_make_room() for a request, while it helps */
#define NOFAIL_NAP_NS NSEC_PER_MSEC /* between the attempts of GFP_NOFAIL */

/* Is this request to fail, for a test? */
bool injected_failure(struct node *node, gfp_t gfp);

/* A request that prefers this zone got nothing. */
void zone_count_failure(struct zone *zone);

/*
 * Get frames together that are free but elsewhere, or not free yet: empty all lists, ask for
 * reclaim, compact. Returns whether it is worth trying again. May sleep.
 */
bool node_make_room(struct node *node, gfp_t gfp, struct gfp_route route, unsigned order);

/* ---- Lists: mm/page_lists.c -------------------------------------------------------------- */

/* Take a block of a group off this CPU's list. Returns NULL if that is empty. Any context. */
struct page *cpu_list_alloc(struct node *node, size_t group, size_t order) __must_check;

/*
 * Take a batch from the zone, as far as zone_allows() it: one block for the caller, the others,
 * from the group's own page blocks only, for this CPU's list, as far as its limit allows. Returns
 * NULL if not even one may be had. Any context.
 */
struct page *cpu_list_refill(struct zone *zone, struct gfp_route route, unsigned order, size_t mark)
    __must_check;

/* Serve a request past this CPU's list: everything that alloc_pages() promises. */
struct page *node_alloc_slowly(struct node *node, gfp_t gfp, unsigned order) __must_check;

/* Take back a block that does not belong on a list; panic if it is none that was lent. */
void node_free_slowly(struct node *node, struct page *page, unsigned order);

/* Put a block on this CPU's list, and if that is too long, a batch of it back. Any context. */
void cpu_list_free(struct node *node, struct page *page, size_t order);

/* Give all frames in the lists of all CPUs back to the node's zones. May sleep. */
void node_drain_lists(struct node *node);

/* ---- Compaction: mm/compaction.c --------------------------------------------------------- */

/*
 * How the owner of a frame lets it be moved. move() copies the contents from one block of
 * 2^order frames to another and changes every reference, or returns an error and has changed
 * nothing. It runs in a thread, without locks, and may sleep.
 */
struct page_mover {
	int (*move)(struct page *from, struct page *to, unsigned order);
};

/*
 * From now on the block that page heads, allocated with GFP_MOVABLE, may be moved. Until
 * page_clear_mover() its page->owner is not the caller's; page->link is.
 */
void page_set_mover(struct page *page, const struct page_mover *mover);

/*
 * No longer: before it is freed, or its address is held on to. The caller holds the lock
 * under which its move() changes references, so that page is where it still is. Returns false
 * if it is just being moved: then let go of that lock, thread_yield(), and look for it again.
 */
bool page_clear_mover(struct page *page) __must_check;

/*
 * Make a free block of 2^order frames in a zone by moving what lies in the way. Returns
 * whether there is one. May sleep.
 */
bool compact_zone(struct zone *zone, unsigned order);

/* ---- Statistics, checks: mm/zone_statistics.c, mm/zone_validator.c ----------------------- */

void zone_get_stats(struct zone *zone, zone_stats_t *stats);

/* What page_allocator_totals() says, of a node. */
struct page_totals;
void node_get_totals(struct node *node, struct page_totals *totals);

/*
 * Recompute a zone's books from its groups, page blocks and lists, and compare. Prints the
 * first contradictions, returns how many there are. No other CPU may use the zone meanwhile.
 */
unsigned zone_check(struct zone *zone) __must_check;
unsigned node_check(struct node *node) __must_check;

#endif
