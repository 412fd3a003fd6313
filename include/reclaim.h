/* SPDX-License-Identifier: MIT */
/*
 * The reclaim hook: how the frames' layer asks the layers above to give something back.
 *
 * Whoever keeps memory that can be done without registers a reclaimer. When frames run short,
 * all of them are asked in turn, the cheapest to lose first. This table is one of the two ways
 * up through the layers of mm/.
 */
#ifndef IKOS_RECLAIM_H
#define IKOS_RECLAIM_H

#include <list.h>
#include <memory_advanced.h>

struct reclaimer {
	const char *name;
	/*
	 * Give back about nr_frames frames, and return how many it were. gfp is that of the
	 * request that is short of frames; reclaimers run only if it may sleep, and allocate
	 * nothing themselves.
	 */
	size_t (*reclaim)(size_t nr_frames, gfp_t gfp);
	unsigned rank;	       /* asked in rising order */
	struct list_head link; /* (r) the table's lock */
	uint64_t nr_reclaimed; /* (a) frames, ever */
};

enum {
	RECLAIM_POOLS,	/* what pools keep beyond their promise: becomes free objects */
	RECLAIM_CACHES, /* free objects and empty slabs, addresses that wait to be flushed */
	RECLAIM_PAGES,	/* pages in use: the page cache, anonymous memory */
};

/*
 * Declare a reclaimer, reclaim_function(nr_frames, gfp) as above, that is there from the start:
 *
 *	RECLAIMER(caches, reclaim_caches, RECLAIM_CACHES);
 */
#define RECLAIMER(ident, reclaim_function, rank_)                                                  \
	static struct reclaimer ident##_reclaimer = {                                              \
		.name = #ident,                                                                    \
		.reclaim = (reclaim_function),                                                     \
		.rank = (rank_),                                                                   \
	};                                                                                         \
	static struct reclaimer *const ident##_reclaimer_entry __section("reclaimers") =           \
	    &ident##_reclaimer

/* Add one later, which stays for ever. */
void reclaim_register(struct reclaimer *reclaimer);

/* Register those that were declared. Called once, when there are zones. */
void reclaim_init(void);

/* Ask for nr_frames frames. Returns how many came back. May sleep. */
size_t reclaim_frames(size_t nr_frames, gfp_t gfp);

#endif
