/* SPDX-License-Identifier: MIT */
/*
 * Pages by index: a radix tree.
 *
 * PROBLEM. A file may have one page or a billion, in any order, with holes; each read, write
 * and fault looks one up, so that must cost next to nothing. struct page has no room for the
 * links of a binary tree.
 *
 * IDEA. Six bits of the index a level choose one of 64 slots of a node. The tree is only as
 * high as its highest index demands:
 *
 *	root, shift 6     [0|1|2| ... |63]         index 0 .. 4,095
 *	                   |   |
 *	     shift 0   [..64 pages..] [..64 pages..]
 *
 * A small file has one node; one of 16 MiB has two levels. A node that becomes empty is freed.
 * The tree grows on demand, and becomes lower only by becoming empty: enough for files, which
 * are written, cut and removed.
 *
 * INVARIANTS: nr of a node is the number of its slots in use, never 0; shift falls by 6 a level.
 *
 * LOCKING. The caller's. Insertions do not allocate: the nodes that they take were reserved
 * before, where one may sleep.
 */
#include <errno.h>
#include <page_tree.h>
#include <panic.h>
#include <printk.h>
#include <slab.h>

#define NODE_BITS  6
#define NODE_SLOTS (1u << NODE_BITS)

struct page_tree_node {
	unsigned shift; /* bits of the index below this level */
	unsigned nr;	/* slots that are not NULL */
	void *slot[NODE_SLOTS];
};

static KMEM_CACHE(node_cache, "page_tree", sizeof(struct page_tree_node), 0, 0, NULL);

static unsigned
slot_of(const struct page_tree_node *node, uint64_t index)
{
	return index >> node->shift & (NODE_SLOTS - 1);
}

/* Is the index beyond what a tree with that node as its root can hold? */
static bool
is_beyond(const struct page_tree_node *node, uint64_t index)
{
	unsigned bits = node->shift + NODE_BITS;

	return bits < 64 && index >> bits != 0;
}

/* ---- Spare nodes ------------------------------------------------------------- */

int
page_tree_reserve(struct page_tree_spares *spares, unsigned nr)
{
	ASSERT_LE(nr, PAGE_TREE_SPARES);
	while (spares->nr < nr) {
		struct page_tree_node *node = kmem_cache_alloc(&node_cache, GFP_ZERO);

		if (!node)
			return -ENOMEM;
		spares->node[spares->nr++] = node;
	}
	return 0;
}

void
page_tree_release(struct page_tree_spares *spares)
{
	while (spares->nr > 0)
		kmem_cache_free(&node_cache, spares->node[--spares->nr]);
}

static struct page_tree_node *
take_spare(struct page_tree_spares *spares, unsigned shift)
{
	struct page_tree_node *node;

	ASSERT(spares->nr > 0);
	node = spares->node[--spares->nr];
	node->shift = shift;
	return node;
}

/* ---- Finding ----------------------------------------------------------------- */

/* The leaf that holds index, or NULL. */
static const struct page_tree_node *
find_leaf(const struct page_tree *tree, uint64_t index)
{
	const struct page_tree_node *node = tree->root;

	if (!node || is_beyond(node, index))
		return NULL;
	while (node && node->shift > 0)
		node = node->slot[slot_of(node, index)];
	return node;
}

struct page *
page_tree_find(const struct page_tree *tree, uint64_t index)
{
	const struct page_tree_node *leaf = find_leaf(tree, index);

	return leaf ? leaf->slot[slot_of(leaf, index)] : NULL;
}

void
page_tree_find_range(const struct page_tree *tree, uint64_t index, unsigned nr, struct page **pages)
{
	const struct page_tree_node *leaf = find_leaf(tree, index);

	for (unsigned i = 0; i < nr; i++, index++) {
		if (i > 0 && index % NODE_SLOTS == 0)
			leaf = find_leaf(tree, index);
		pages[i] = leaf ? leaf->slot[index % NODE_SLOTS] : NULL;
	}
}

/* The first at index or behind it, below a node whose slots begin at base. */
static struct page *
next_below(const struct page_tree_node *node, uint64_t base, uint64_t index, uint64_t *found)
{
	unsigned slot = index > base ? (index - base) >> node->shift : 0;

	for (; slot < NODE_SLOTS; slot++) {
		uint64_t at = base + ((uint64_t)slot << node->shift);
		struct page *page = node->slot[slot];

		if (page && node->shift > 0)
			page = next_below(node->slot[slot], at, index, found);
		else if (page)
			*found = at;
		if (page)
			return page;
	}
	return NULL;
}

struct page *
page_tree_next(const struct page_tree *tree, uint64_t *index)
{
	if (!tree->root || is_beyond(tree->root, *index))
		return NULL;
	return next_below(tree->root, 0, *index, index);
}

/* ---- Inserting --------------------------------------------------------------- */

unsigned
page_tree_needs(const struct page_tree *tree, uint64_t index)
{
	const struct page_tree_node *node = tree->root;
	unsigned needs = 0, shift = 0;

	if (!node) {
		for (needs = 1; shift + NODE_BITS < 64 && index >> (shift + NODE_BITS); needs++)
			shift += NODE_BITS;
		return needs;
	}
	if (is_beyond(node, index)) {
		/* New roots above, and a new branch beside the old root below the new one. */
		for (shift = node->shift; shift + NODE_BITS < 64 && index >> (shift + NODE_BITS);
		     shift += NODE_BITS)
			needs++;
		return needs + shift / NODE_BITS;
	}
	while (node && node->shift > 0) {
		shift = node->shift;
		node = node->slot[slot_of(node, index)];
	}
	return node ? 0 : shift / NODE_BITS;
}

/* Make the tree high enough for the index. */
static void
grow(struct page_tree *tree, uint64_t index, struct page_tree_spares *spares)
{
	unsigned shift = 0;

	if (!tree->root) {
		while (shift + NODE_BITS < 64 && index >> (shift + NODE_BITS))
			shift += NODE_BITS;
		tree->root = take_spare(spares, shift);
	}
	while (is_beyond(tree->root, index)) {
		struct page_tree_node *above = take_spare(spares, tree->root->shift + NODE_BITS);

		above->slot[0] = tree->root;
		above->nr = 1;
		tree->root = above;
	}
}

void
page_tree_insert(struct page_tree *tree, uint64_t index, struct page *page,
		 struct page_tree_spares *spares)
{
	struct page_tree_node *node;
	void **slot;

	grow(tree, index, spares);
	for (node = tree->root; node->shift > 0; node = *slot) {
		slot = &node->slot[slot_of(node, index)];
		if (!*slot) {
			*slot = take_spare(spares, node->shift - NODE_BITS);
			node->nr++;
		}
	}
	slot = &node->slot[slot_of(node, index)];
	ASSERT(!*slot);
	*slot = page;
	node->nr++;
	tree->nr++;
}

/* ---- Taking out -------------------------------------------------------------- */

/* What is to be taken out, and what has been. */
struct taking {
	uint64_t first, last; /* indices, both included */
	struct page **pages;
	unsigned nr, max;
};

/* Take pages out below node, whose slots begin at index base. Depth: PAGE_TREE_LEVELS. */
static void
take_below(struct page_tree_node *node, uint64_t base, struct taking *taking)
{
	unsigned slot = taking->first > base ? (taking->first - base) >> node->shift : 0;

	for (; slot < NODE_SLOTS && taking->nr < taking->max; slot++) {
		uint64_t at = base + ((uint64_t)slot << node->shift);
		struct page_tree_node *below = node->slot[slot];

		if (at > taking->last)
			break;
		if (!below)
			continue;
		if (node->shift == 0) {
			taking->pages[taking->nr++] = node->slot[slot];
		} else {
			take_below(below, at, taking);
			if (below->nr > 0)
				continue;
			kmem_cache_free(&node_cache, below);
		}
		node->slot[slot] = NULL;
		node->nr--;
	}
}

unsigned
page_tree_take(struct page_tree *tree, uint64_t first, uint64_t end, struct page **pages,
	       unsigned max)
{
	struct taking taking = { .first = first, .last = end - 1, .pages = pages, .max = max };

	if (!tree->root || first >= end || is_beyond(tree->root, first))
		return 0;
	take_below(tree->root, 0, &taking);
	tree->nr -= taking.nr;
	if (tree->root->nr == 0) {
		kmem_cache_free(&node_cache, tree->root);
		tree->root = NULL;
	}
	return taking.nr;
}

/* ---- Checking ---------------------------------------------------------------- */

/* Errors below node; adds its pages to *nr. */
static unsigned
check_below(const struct page_tree_node *node, size_t *nr)
{
	unsigned used = 0, errors = 0;

	for (unsigned slot = 0; slot < NODE_SLOTS; slot++) {
		const struct page_tree_node *below = node->slot[slot];

		if (!below)
			continue;
		used++;
		if (node->shift == 0)
			(*nr)++;
		else if (below->shift + NODE_BITS != node->shift)
			errors++;
		else
			errors += check_below(below, nr);
	}
	return errors + (used != node->nr || used == 0);
}

unsigned
page_tree_check(const struct page_tree *tree)
{
	size_t nr = 0;
	unsigned errors = tree->root ? check_below(tree->root, &nr) : 0;

	if (errors || nr != tree->nr) {
		kprintf("check: a tree of %lu pages has %lu, and %u nodes are wrong\n",
			(unsigned long)tree->nr, (unsigned long)nr, errors);
		errors += nr != tree->nr;
	}
	return errors;
}
