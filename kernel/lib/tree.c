/* SPDX-License-Identifier: MIT */
/*
 * Ordered trees that stay balanced.
 *
 * PROBLEM. Find, insert and remove by key among n objects in O(log n), whatever the order of
 * calls: ranges of addresses tend to come sorted, which makes a plain search tree a list.
 *
 * IDEA (Adelson-Velsky and Landis, "An algorithm for the organization of information", 1962).
 * In each node the heights of the two subtrees differ by at most one. Then n nodes are at most
 * about 1.44 log2(n) high. A change makes a difference of two at most, and only on the way
 * from the changed place up to the root. There one or two rotations mend it, which keep the
 * order of keys:
 *
 *	      node                child
 *	     /    \              /     \
 *	   A      child   -->  node     C        raise(node, 1): C was too high
 *	         /    \       /    \
 *	        B      C     A      B
 *
 * If B is the high one, B's root is raised above child first.
 *
 * AUGMENTATION (Cormen, Leiserson, Rivest, Stein, Introduction to Algorithms, "Augmenting data
 * structures"). Whatever a node can compute from itself and its children is computed at
 * the same moments as its height: on the way up, and for the two nodes of a rotation, lower
 * one first.
 *
 * INVARIANTS, which tree_check() recomputes: keys rise strictly from left to right; a child's
 * parent is its parent; height is 1 + that of the higher subtree; the difference is at most
 * one; nr nodes; augmented values.
 *
 * LOCKING. The owner's.
 *
 * LEFT OUT. Equal keys. Ending the way up early where nothing changes any more: the augmented
 * values would have to be compared, for a gain of a few steps.
 */
#include <panic.h>
#include <printk.h>
#include <tree.h>

#define MAX_PRINTED 8
#define MAX_HEIGHT  93 /* of 2^64 nodes */

/* ---- Balance ---------------------------------------------------------------- */

static unsigned
height(const struct tree_node *node)
{
	return node ? node->height : 0;
}

/* Recompute what a node knows about its subtree. */
static void
refresh(struct tree *tree, struct tree_node *node)
{
	node->height = 1 + MAX(height(node->child[0]), height(node->child[1]));
	if (tree->augment)
		tree->augment(node);
}

/* Put new, which may be NULL, where old hangs below parent; below no parent is the root. */
static void
replace_child(struct tree *tree, struct tree_node *parent, const struct tree_node *old,
	      struct tree_node *new)
{
	if (parent)
		parent->child[parent->child[1] == old] = new;
	else
		tree->root = new;
	if (new)
		new->parent = parent;
}

/* Rotate: the child on that side takes the node's place. Returns the child. */
static struct tree_node *
raise(struct tree *tree, struct tree_node *node, int side)
{
	struct tree_node *child = node->child[side], *inner = child->child[!side];

	replace_child(tree, node->parent, node, child);
	node->child[side] = inner;
	if (inner)
		inner->parent = node;
	child->child[!side] = node;
	node->parent = child;
	refresh(tree, node);
	refresh(tree, child);
	return child;
}

/* Mend one node, whose subtrees are right. Returns the node that is in its place now. */
static struct tree_node *
balance(struct tree *tree, struct tree_node *node)
{
	int lean = (int)height(node->child[1]) - (int)height(node->child[0]);
	int side = lean > 0;
	struct tree_node *child = node->child[side];

	if (lean >= -1 && lean <= 1) {
		refresh(tree, node);
		return node;
	}
	if (height(child->child[!side]) > height(child->child[side]))
		raise(tree, child, !side);
	return raise(tree, node, side);
}

/* Mend everything from node up to the root. */
static void
retrace(struct tree *tree, struct tree_node *node)
{
	for (; node; node = balance(tree, node)->parent)
		tree->steps++;
}

/* ---- Changes ---------------------------------------------------------------- */

void
tree_init(struct tree *tree, void (*augment)(struct tree_node *node))
{
	*tree = (struct tree){ .augment = augment };
}

void
tree_insert(struct tree *tree, struct tree_node *node)
{
	struct tree_node *parent = NULL, **link = &tree->root;

	while (*link) {
		parent = *link;
		tree->steps++;
		if (parent->key == node->key)
			panic("tree: there is a node of key %#lx already",
			      (unsigned long)node->key);
		link = &parent->child[node->key > parent->key];
	}
	node->parent = parent;
	node->child[0] = node->child[1] = NULL;
	*link = node;
	tree->nr++;
	retrace(tree, node);
}

/*
 * A node with two children is replaced by its successor, which has no left child. (Knuth, vol. 3,
 * 6.2.2, algorithm D)
 */
void
tree_erase(struct tree *tree, struct tree_node *node)
{
	struct tree_node *lowest = node->parent; /* whose subtree changes */
	struct tree_node *heir;

	if (node->child[0] && node->child[1]) {
		heir = tree_next(node);
		lowest = heir;
		if (heir->parent != node) {
			lowest = heir->parent;
			replace_child(tree, lowest, heir, heir->child[1]);
			heir->child[1] = node->child[1];
			heir->child[1]->parent = heir;
		}
		heir->child[0] = node->child[0];
		heir->child[0]->parent = heir;
	} else {
		heir = node->child[node->child[1] != NULL];
	}
	replace_child(tree, node->parent, node, heir);
	tree->nr--;
	retrace(tree, lowest);
}

void
tree_update(struct tree *tree, struct tree_node *node)
{
	retrace(tree, node);
}

/* ---- Looking ---------------------------------------------------------------- */

struct tree_node *
tree_find(struct tree *tree, uint64_t key)
{
	struct tree_node *node = tree_floor(tree, key);

	return node && node->key == key ? node : NULL;
}

struct tree_node *
tree_lower_bound(struct tree *tree, uint64_t key)
{
	struct tree_node *node = tree->root, *best = NULL;

	for (; node; node = node->child[node->key < key]) {
		tree->steps++;
		if (node->key >= key)
			best = node;
	}
	return best;
}

struct tree_node *
tree_floor(struct tree *tree, uint64_t key)
{
	struct tree_node *node = tree->root, *best = NULL;

	for (; node; node = node->child[node->key <= key]) {
		tree->steps++;
		if (node->key <= key)
			best = node;
	}
	return best;
}

/* The outermost node of a subtree on that side. */
static struct tree_node *
outermost(struct tree_node *node, int side)
{
	while (node && node->child[side])
		node = node->child[side];
	return node;
}

/* The neighbour on that side: below, or the first one above that lies on that side. */
static struct tree_node *
neighbour(const struct tree_node *node, int side)
{
	struct tree_node *parent = node->parent;

	if (node->child[side])
		return outermost(node->child[side], !side);
	while (parent && parent->child[side] == node) {
		node = parent;
		parent = node->parent;
	}
	return parent;
}

struct tree_node *
tree_first(const struct tree *tree)
{
	return outermost(tree->root, 0);
}

struct tree_node *
tree_last(const struct tree *tree)
{
	return outermost(tree->root, 1);
}

struct tree_node *
tree_next(const struct tree_node *node)
{
	return neighbour(node, 1);
}

struct tree_node *
tree_prev(const struct tree_node *node)
{
	return neighbour(node, 0);
}

/* ---- Checking --------------------------------------------------------------- */

struct census {
	const struct tree *tree;
	bool (*augmented)(const struct tree_node *node);
	const struct tree_node *before; /* the last node visited, in order */
	size_t nr;
	unsigned errors;
};

#define REPORT(census, ...)                                                                        \
	do {                                                                                       \
		if ((census)->errors++ < MAX_PRINTED)                                              \
			kprintf("check: tree: " __VA_ARGS__);                                      \
	} while (0)

/*
 * Visit a subtree in order. Returns its height. Where links run in a circle, the depth or the
 * number of nodes ends the walk.
 */
static unsigned
census_subtree(struct census *census, const struct tree_node *node, const struct tree_node *parent,
	       unsigned depth)
{
	unsigned left, right, higher;

	if (!node)
		return 0;
	if (depth > MAX_HEIGHT || census->nr > census->tree->nr) {
		REPORT(census, "more than %lu nodes, or a circle\n",
		       (unsigned long)census->tree->nr);
		return 0;
	}
	if (node->parent != parent)
		REPORT(census, "node %#lx has a wrong parent\n", (unsigned long)node->key);
	left = census_subtree(census, node->child[0], node, depth + 1);
	if (census->before && census->before->key >= node->key)
		REPORT(census, "node %#lx stands behind %#lx\n", (unsigned long)node->key,
		       (unsigned long)census->before->key);
	census->before = node;
	census->nr++;
	right = census_subtree(census, node->child[1], node, depth + 1);

	higher = MAX(left, right);
	if (node->height != 1 + higher)
		REPORT(census, "node %#lx says height %u, but it is %u\n", (unsigned long)node->key,
		       node->height, 1 + higher);
	if (higher - MIN(left, right) > 1)
		REPORT(census, "node %#lx is out of balance: %u and %u\n", (unsigned long)node->key,
		       left, right);
	if (census->augmented && !census->augmented(node))
		REPORT(census, "node %#lx is wrong about its subtree\n", (unsigned long)node->key);
	return 1 + higher;
}

unsigned
tree_check(const struct tree *tree, bool (*augmented)(const struct tree_node *node))
{
	struct census census = { .tree = tree, .augmented = augmented };

	(void)census_subtree(&census, tree->root, NULL, 1);
	if (census.nr != tree->nr)
		REPORT(&census, "it says %lu nodes, but there are %lu\n", (unsigned long)tree->nr,
		       (unsigned long)census.nr);
	return census.errors;
}
