/* SPDX-License-Identifier: MIT */
/*
 * Pages by index: mm/page_tree.c. The caller holds whatever lock guards the tree. A tree holds
 * pointers only: references are the caller's business.
 */
#ifndef IKOS_PAGE_TREE_H
#define IKOS_PAGE_TREE_H

#include <page.h>
#include <types.h>

struct page_tree_node;

struct page_tree {
	struct page_tree_node *root; /* NULL: empty */
	size_t nr;		     /* pages */
};

/* All zero, too, is an empty tree. */
static inline void
page_tree_init(struct page_tree *tree)
{
	*tree = (struct page_tree){ .root = NULL };
}

/*
 * Nodes for insertions, allocated where one may sleep. All zero: none. The most that one takes:
 * the tree has one level and is to have all, and then a path down to the new page.
 */
#define PAGE_TREE_LEVELS 11
#define PAGE_TREE_SPARES (2 * (PAGE_TREE_LEVELS - 1))

struct page_tree_spares {
	struct page_tree_node *node[PAGE_TREE_SPARES];
	unsigned nr;
};

/* Have nr of them, at most PAGE_TREE_SPARES. Returns 0 or -ENOMEM. May sleep. */
int page_tree_reserve(struct page_tree_spares *spares, unsigned nr) __must_check;
void page_tree_release(struct page_tree_spares *spares);

/* The page at index, or NULL. */
struct page *page_tree_find(const struct page_tree *tree, uint64_t index);

/* The first page at *index or behind it, and where in *index; NULL: there is none. */
struct page *page_tree_next(const struct page_tree *tree, uint64_t *index);

/* Those at [index, index + nr), NULL for each that is not there. */
void page_tree_find_range(const struct page_tree *tree, uint64_t index, unsigned nr,
			  struct page **pages);

/* How many nodes an insertion at index takes. */
unsigned page_tree_needs(const struct page_tree *tree, uint64_t index);

/* Put a page where there is none, with nodes from spares, which has enough. */
void page_tree_insert(struct page_tree *tree, uint64_t index, struct page *page,
		      struct page_tree_spares *spares);

/*
 * Take out up to max pages of [first, end), the lowest, into pages. Returns how many: fewer
 * than max when none is left there.
 */
unsigned page_tree_take(struct page_tree *tree, uint64_t first, uint64_t end, struct page **pages,
			unsigned max);

/* Recount it. Returns the number of contradictions. */
unsigned page_tree_check(const struct page_tree *tree) __must_check;

#endif
