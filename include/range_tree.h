/* SPDX-License-Identifier: MIT */
/*
 * Ranges of addresses that do not overlap, in order, and the gaps between them:
 * kernel/lib/range_tree.c. The caller holds whatever lock guards the tree.
 */
#ifndef IKOS_RANGE_TREE_H
#define IKOS_RANGE_TREE_H

#include <tree.h>
#include <types.h>

/* Embedded in what occupies the range. */
struct range {
	struct tree_node node; /* key: where the range begins */
	uint64_t end;	       /* the range is [node.key, end) */
	/* Of this range and all below it in the tree: */
	uint64_t lowest, highest; /* they lie in [lowest, highest) */
	uint64_t gap;		  /* the largest gap between two that are neighbours, bytes */
};

struct range_tree {
	struct tree tree;
	uint64_t start, end; /* (c) ranges lie in [start, end) */
};

/* An empty tree for ranges of [start, end). */
#define RANGE_TREE_INIT(tree_start, tree_end)                                                      \
	{                                                                                          \
		.tree = { .augment = range_augment }, .start = (tree_start), .end = (tree_end)     \
	}

/* What a range knows about its subtree. */
void range_augment(struct tree_node *node);

void range_tree_init(struct range_tree *ranges, uint64_t start, uint64_t end);

/* Occupy [start, end). Panics if it is empty, outside, or not free. O(log n). */
void range_insert(struct range_tree *ranges, struct range *range, uint64_t start, uint64_t end);

/* Free the range. O(log n). */
void range_erase(struct range_tree *ranges, struct range *range);

/* The range that holds the address, or NULL. O(log n). */
struct range *range_find(struct range_tree *ranges, uint64_t address);

/* The lowest range that ends behind the address, which may lie before it; or NULL. O(log n). */
struct range *range_find_from(struct range_tree *ranges, uint64_t address);

/* In order of address; NULL behind the last, or before the first. */
struct range *range_first(const struct range_tree *ranges);
struct range *range_next(const struct range *range);
struct range *range_prev(const struct range *range);

/*
 * The lowest free place of size bytes, size > 0. Returns false if there is none; else *start is
 * where it begins. O(log n).
 */
bool range_lowest_gap(struct range_tree *ranges, uint64_t size, uint64_t *start) __must_check;

/*
 * The highest free place of size bytes, size > 0, that lies in [low, high). As above otherwise.
 */
bool range_highest_gap(struct range_tree *ranges, uint64_t size, uint64_t low, uint64_t high,
		       uint64_t *start) __must_check;

/* tree_check(), and that the ranges lie apart and inside. */
unsigned range_tree_check(const struct range_tree *ranges) __must_check;

#endif
