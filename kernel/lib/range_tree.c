/* SPDX-License-Identifier: MIT */
/*
 * Ranges in a tree, and the lowest gap that is large enough.
 *
 * PROBLEM. Address space is given out from the lowest place that fits (first fit keeps it
 * dense, so that few page tables are needed). Looking at one gap after the other takes
 * as long as there are ranges.
 *
 * IDEA. An augmented tree (Cormen et al.; see tree.c): each node knows the extent of its
 * subtree and the largest gap between neighbours inside it, all of which follow from the node
 * and its two children. A search holds the limits of the part that it looks at:
 *
 *	low                                                      high
 *	 | gap |  left subtree  | gap | node | gap |  right ...  |
 *
 * If a gap left of the node is large enough, it goes left, else right; where there is no
 * node, what lies between the limits is the gap. One way down, so O(log n).
 *
 * The highest place within limits of the caller's is found in the same way from the other side.
 * Where the caller's limits cut a gap, what a node knows may promise too much, and the search
 * comes back empty-handed; but only on the two ways down to these limits, so it stays O(log n).
 *
 * INVARIANTS, which range_tree_check() recomputes: ranges are not empty, lie in the tree's limits
 * and do not overlap; and those of tree.c.
 */
#include <panic.h>
#include <printk.h>
#include <range_tree.h>

static struct range *
range_of(struct tree_node *node)
{
	return container_of(node, struct range, node);
}

void
range_augment(struct tree_node *node)
{
	struct range *range = range_of(node);
	const struct range *left = node->child[0] ? range_of(node->child[0]) : NULL;
	const struct range *right = node->child[1] ? range_of(node->child[1]) : NULL;

	range->lowest = node->key;
	range->highest = range->end;
	range->gap = 0;
	if (left) {
		range->lowest = left->lowest;
		range->gap = MAX(left->gap, node->key - left->highest);
	}
	if (right) {
		range->highest = right->highest;
		range->gap = MAX(range->gap, MAX(right->gap, right->lowest - range->end));
	}
}

void
range_tree_init(struct range_tree *ranges, uint64_t start, uint64_t end)
{
	ASSERT_LE(start, end);
	tree_init(&ranges->tree, range_augment);
	ranges->start = start;
	ranges->end = end;
}

void
range_insert(struct range_tree *ranges, struct range *range, uint64_t start, uint64_t end)
{
	struct tree_node *below;

	if (start >= end || start < ranges->start || end > ranges->end)
		panic("range [%#lx, %#lx) is empty or outside [%#lx, %#lx)", (unsigned long)start,
		      (unsigned long)end, (unsigned long)ranges->start, (unsigned long)ranges->end);
	/* The last range that begins before the end overlaps, or none does. */
	below = tree_floor(&ranges->tree, end - 1);
	if (below && range_of(below)->end > start)
		panic("range [%#lx, %#lx) overlaps [%#lx, %#lx)", (unsigned long)start,
		      (unsigned long)end, (unsigned long)below->key,
		      (unsigned long)range_of(below)->end);
	range->node.key = start;
	range->end = end;
	tree_insert(&ranges->tree, &range->node);
}

void
range_erase(struct range_tree *ranges, struct range *range)
{
	tree_erase(&ranges->tree, &range->node);
}

struct range *
range_find(struct range_tree *ranges, uint64_t address)
{
	struct tree_node *node = tree_floor(&ranges->tree, address);

	return node && address < range_of(node)->end ? range_of(node) : NULL;
}

struct range *
range_find_from(struct range_tree *ranges, uint64_t address)
{
	struct tree_node *node = tree_floor(&ranges->tree, address);

	if (node && address < range_of(node)->end)
		return range_of(node);
	node = node ? tree_next(node) : tree_first(&ranges->tree);
	return node ? range_of(node) : NULL;
}

struct range *
range_first(const struct range_tree *ranges)
{
	struct tree_node *node = tree_first(&ranges->tree);

	return node ? range_of(node) : NULL;
}

struct range *
range_next(const struct range *range)
{
	struct tree_node *node = tree_next(&range->node);

	return node ? range_of(node) : NULL;
}

struct range *
range_prev(const struct range *range)
{
	struct tree_node *node = tree_prev(&range->node);

	return node ? range_of(node) : NULL;
}

/* Is there a gap of size bytes in [low, high), in which the subtree of node lies? */
static bool
has_gap(struct tree_node *node, uint64_t low, uint64_t high, uint64_t size)
{
	const struct range *range;

	if (!node)
		return high - low >= size;
	range = range_of(node);
	return range->lowest - low >= size || range->gap >= size || high - range->highest >= size;
}

bool
range_lowest_gap(struct range_tree *ranges, uint64_t size, uint64_t *start)
{
	struct tree_node *node = ranges->tree.root;
	uint64_t low = ranges->start, high = ranges->end;

	ASSERT(size > 0);
	if (!has_gap(node, low, high, size))
		return false;
	while (node) {
		ranges->tree.steps++;
		if (has_gap(node->child[0], low, node->key, size)) {
			high = node->key;
			node = node->child[0];
		} else {
			low = range_of(node)->end;
			node = node->child[1];
		}
	}
	*start = low;
	return true;
}

/* What range_highest_gap() looks for. */
struct gap_search {
	struct range_tree *ranges;
	uint64_t size, low, high;
};

/* In the subtree of node, which lies in [low, high). Depth: the height of the tree. */
static bool
highest_below(const struct gap_search *search, struct tree_node *node, uint64_t low, uint64_t high,
	      uint64_t *start)
{
	uint64_t end = MIN(high, search->high), begin = MAX(low, search->low);

	if (begin >= end || end - begin < search->size || !has_gap(node, low, high, search->size))
		return false;
	search->ranges->tree.steps++;
	if (!node) {
		*start = end - search->size;
		return true;
	}
	return highest_below(search, node->child[1], range_of(node)->end, high, start) ||
	       highest_below(search, node->child[0], low, node->key, start);
}

bool
range_highest_gap(struct range_tree *ranges, uint64_t size, uint64_t low, uint64_t high,
		  uint64_t *start)
{
	const struct gap_search search = { ranges, size, low, high };

	ASSERT(size > 0);
	return highest_below(&search, ranges->tree.root, ranges->start, ranges->end, start);
}

/* ---- Checking --------------------------------------------------------------- */

static bool
augmented(const struct tree_node *node)
{
	const struct range *range = container_of(node, struct range, node);
	struct range copy = *range;

	range_augment(&copy.node);
	return copy.lowest == range->lowest && copy.highest == range->highest &&
	       copy.gap == range->gap;
}

unsigned
range_tree_check(const struct range_tree *ranges)
{
	unsigned errors = tree_check(&ranges->tree, augmented);
	uint64_t low = ranges->start;

	if (errors)
		return errors; /* the links may lead anywhere */
	for (const struct range *range = range_first(ranges); range; range = range_next(range)) {
		if (range->node.key < low || range->end <= range->node.key ||
		    range->end > ranges->end) {
			kprintf("check: range [%#lx, %#lx) is empty, outside, or overlaps\n",
				(unsigned long)range->node.key, (unsigned long)range->end);
			errors++;
		}
		low = range->end;
	}
	return errors;
}
