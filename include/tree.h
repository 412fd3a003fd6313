/* SPDX-License-Identifier: MIT */
/*
 * Ordered trees, threaded through the objects themselves: kernel/lib/tree.c.
 *
 * An object that is to be found by a number embeds a struct tree_node and sets its key. A tree
 * never allocates. The caller holds whatever lock guards the tree; that includes lookups,
 * because they count their steps.
 *
 * A tree may be augmented: a function computes a value of a node from the node itself and
 * its two children, and the tree calls it for every node whose subtree has changed, children
 * first. So each node can know something about everything below it, such as the largest gap.
 */
#ifndef IKOS_TREE_H
#define IKOS_TREE_H

#include <types.h>

struct tree_node {
	struct tree_node *parent;
	struct tree_node *child[2]; /* [0]: all lower keys, [1]: all higher keys */
	uint64_t key;		    /* fixed while the node is in a tree */
	unsigned height;	    /* of the subtree: 1 without children */
};

struct tree {
	struct tree_node *root;
	size_t nr;				 /* nodes */
	uint64_t steps;				 /* nodes visited by all calls so far */
	void (*augment)(struct tree_node *node); /* (c) or NULL */
};

void tree_init(struct tree *tree, void (*augment)(struct tree_node *node));

/* Add a node, whose key the caller has set. Panics if there is one of that key. O(log n). */
void tree_insert(struct tree *tree, struct tree_node *node);

/* Take out a node that is in the tree. O(log n). */
void tree_erase(struct tree *tree, struct tree_node *node);

/* Compute the augmented values again after something in node, but its key, changed. O(log n). */
void tree_update(struct tree *tree, struct tree_node *node);

/* The node of that key; the lowest at or above it; the highest at or below it; or NULL. */
struct tree_node *tree_find(struct tree *tree, uint64_t key);
struct tree_node *tree_lower_bound(struct tree *tree, uint64_t key);
struct tree_node *tree_floor(struct tree *tree, uint64_t key);

/* Neighbours in the order of keys, NULL at the ends. O(log n), all n in O(n). */
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_last(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);
struct tree_node *tree_prev(const struct tree_node *node);

/*
 * Recompute order, links, heights, balance and number. augmented, if not NULL, says whether the
 * augmented value of a node is what its children make it. Prints the first contradictions,
 * returns how many there are. O(n).
 */
unsigned tree_check(const struct tree *tree, bool (*augmented)(const struct tree_node *node))
    __must_check;

#endif
