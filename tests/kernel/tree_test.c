/* SPDX-License-Identifier: MIT */
/*
 * Ordered trees and ranges, as compiled for the kernel. The exhaustive tests, against a model and
 * with damage, are in tests/host/tree_test.c.
 */
#include <ktest.h>
#include <range_tree.h>
#include <string.h>

#define NR_NODES 500

static struct tree_node node[NR_NODES];
static bool in_tree[NR_NODES];

/* Node i has key 3i: walk both the flags and the tree. */
static void
expect_same(struct ktest *t, struct tree *tree)
{
	struct tree_node *at = tree_first(tree);

	for (unsigned i = 0; i < NR_NODES; i++) {
		struct tree_node *own = in_tree[i] ? &node[i] : NULL;

		assert_true(t, tree_find(tree, 3 * i) == own);
		if (!own)
			continue;
		assert_true(t, at == own);
		at = tree_next(at);
	}
	expect_true(t, at == NULL);
	expect_eq(t, tree_check(tree, NULL), 0);
}

KTEST(tree, against_flags, .nr_params = 4)
{
	struct tree tree;

	memset(in_tree, 0, sizeof(in_tree));
	tree_init(&tree, NULL);
	for (unsigned round = 0; round < 8; round++) {
		unsigned share = (unsigned)prng_below(&t->prng, 101);

		for (unsigned i = 0; i < NR_NODES; i++) {
			unsigned one = (unsigned)prng_below(&t->prng, NR_NODES);
			bool want = prng_below(&t->prng, 100) < share;

			if (want == in_tree[one])
				continue;
			node[one].key = 3 * one;
			if (want)
				tree_insert(&tree, &node[one]);
			else
				tree_erase(&tree, &node[one]);
			in_tree[one] = want;
		}
		expect_same(t, &tree);
	}
}

KTEST(tree, bounds)
{
	struct tree tree;

	tree_init(&tree, NULL);
	expect_true(t, tree_first(&tree) == NULL && tree_last(&tree) == NULL);
	expect_true(t, tree_floor(&tree, 7) == NULL && tree_lower_bound(&tree, 7) == NULL);
	for (unsigned i = 0; i < 100; i++) {
		node[i].key = 10 * i + 10;
		tree_insert(&tree, &node[i]);
	}
	expect_true(t, tree_floor(&tree, 9) == NULL);
	expect_true(t, tree_floor(&tree, 10) == &node[0]);
	expect_true(t, tree_floor(&tree, 509) == &node[49]);
	expect_true(t, tree_floor(&tree, UINT64_MAX) == &node[99]);
	expect_true(t, tree_lower_bound(&tree, 0) == &node[0]);
	expect_true(t, tree_lower_bound(&tree, 501) == &node[50]);
	expect_true(t, tree_lower_bound(&tree, 1000) == &node[99]);
	expect_true(t, tree_lower_bound(&tree, 1001) == NULL);
	expect_true(t, tree_prev(&node[0]) == NULL && tree_next(&node[99]) == NULL);
	expect_true(t, tree_prev(&node[50]) == &node[49]);
}

/* Rising keys: 500 nodes are at most 12 high. */
KTEST(tree, steps_are_few)
{
	struct tree tree;
	uint64_t before;

	tree_init(&tree, NULL);
	for (unsigned i = 0; i < NR_NODES; i++) {
		before = tree.steps;
		node[i].key = i;
		tree_insert(&tree, &node[i]);
		expect_le(t, tree.steps - before, 2 * 12 + 1);
	}
	for (unsigned i = 0; i < NR_NODES; i++) {
		before = tree.steps;
		expect_true(t, tree_find(&tree, i) == &node[i]);
		expect_le(t, tree.steps - before, 12);
	}
}

KTEST(tree, lowest_gap)
{
	static struct range range[4];
	struct range_tree ranges;
	uint64_t start = 0;

	range_tree_init(&ranges, 100, 200);
	assert_true(t, range_lowest_gap(&ranges, 100, &start));
	expect_eq(t, start, 100);
	expect_true(t, !range_lowest_gap(&ranges, 101, &start));
	range_insert(&ranges, &range[0], 110, 120);
	range_insert(&ranges, &range[1], 140, 150);
	range_insert(&ranges, &range[2], 155, 175);
	for (uint64_t size = 1; size <= 26; size++) {
		uint64_t expected = size <= 10 ? 100 : size <= 20 ? 120 : size <= 25 ? 175 : 0;

		start = 0;
		expect_eq(t, range_lowest_gap(&ranges, size, &start), expected != 0);
		expect_eq(t, start, expected);
	}
	expect_true(t, range_find(&ranges, 139) == NULL);
	expect_true(t, range_find(&ranges, 140) == &range[1]);
	expect_true(t, range_find(&ranges, 150) == NULL);
	range_erase(&ranges, &range[1]);
	assert_true(t, range_lowest_gap(&ranges, 35, &start));
	expect_eq(t, start, 120);
	expect_eq(t, range_tree_check(&ranges), 0);
}

KTEST(tree, overlap, .expect_panic = "range [0x77, 0x79) overlaps [0x6e, 0x78)")
{
	static struct range range[2];
	struct range_tree ranges;

	(void)t;
	range_tree_init(&ranges, 100, 200);
	range_insert(&ranges, &range[0], 110, 120);
	range_insert(&ranges, &range[1], 119, 121);
}
