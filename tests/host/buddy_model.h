/* SPDX-License-Identifier: MIT */
/*
 * The truth about a buddy allocator, kept apart from it: one byte a frame.
 *
 * The model knows nothing of lists, heads or merging. It can still say exactly what the
 * allocator must answer, because merging is immediate: a request of 2^order frames
 * succeeds if and only if 2^order aligned frames in a row are free, and the free lists
 * hold exactly the largest aligned free runs, each one once.
 */
#ifndef BUDDY_MODEL_H
#define BUDDY_MODEL_H

#include <allocators.h>
#include <page_frame.h>

#define MODEL_MAX_BLOCKS 6
#define MODEL_MAX_FRAMES (MODEL_MAX_BLOCKS * MAX_ORDER_FRAMES)
#define MODEL_MAX_RANGES 8

/* What an allocator is made of: where it lies, and the memory it is given one by one. */
struct arena {
	pfn_t first;
	unsigned nr_blocks; /* spans that many blocks of MAX_ORDER */
	struct frame_range range[MODEL_MAX_RANGES];
	unsigned nr_ranges;
	unsigned nr_at_start; /* ranges added before the first request */
};

enum frame_use {
	FRAME_RESERVED,
	FRAME_FREE,
	FRAME_USED,
};

/* What a caller holds: one block (order >= 0), or a run of frames (order -1). */
struct holding {
	pfn_t first;
	size_t nr;
	int order;
	unsigned id;
};

struct model {
	pfn_t first, end;
	uint8_t use[MODEL_MAX_FRAMES]; /* enum frame_use, by frame - first */
	struct holding held[MODEL_MAX_FRAMES];
	unsigned nr_held;
	size_t nr_managed, nr_free, peak;
	uint64_t nr_failed;
};

void model_init(struct model *model, pfn_t first, pfn_t end);
void model_set(struct model *model, pfn_t first, pfn_t end, enum frame_use use);
bool model_all(const struct model *model, pfn_t first, pfn_t end, enum frame_use use);

/* Is there an aligned run of 2^order free frames? */
bool model_has_run(const struct model *model, unsigned order);

/* How many largest aligned free runs are there of each order? */
void model_count_runs(const struct model *model, size_t count[NR_ORDERS]);

void model_hold(struct model *model, pfn_t first, size_t nr, int order, unsigned id);

/*
 * Compare everything that the allocator keeps with the model. Returns NULL, or what is
 * wrong; the text is good until the next call.
 */
const char *model_compare(const struct model *model, struct buddy *buddy);

/* Back the pages that the arena needs, and only those. */
void arena_back(const struct arena *arena);

/* Is there a page for the frame? Only blocks of MAX_ORDER with memory in them have. */
bool arena_has_page(const struct arena *arena, pfn_t pfn);

#endif
