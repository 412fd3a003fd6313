/* SPDX-License-Identifier: MIT */
/*
 * Ordered trees against a sorted array, ranges against a map of single units, and the checkers
 * against damage: random calls, after each of which tree and model must agree.
 */
#include "host.h"

#include <range_tree.h>
#include <string.h>
#include <tree.h>

#define NR_NODES  300
#define NR_ROUNDS 40
#define NR_OPS	  600

/* The augmented value of the test tree: the sum of all weights below. */
struct thing {
	struct tree_node node;
	uint64_t weight, sum;
	bool in_tree;
};

static struct tree tree;
static struct thing thing[NR_NODES];

/* The model: keys in order, and whose they are. */
static struct thing *sorted[NR_NODES];
static size_t nr_sorted;

static struct thing *
thing_of(const struct tree_node *node)
{
	return node ? container_of(node, struct thing, node) : NULL;
}

static uint64_t
sum_of(const struct tree_node *node)
{
	const struct thing *left = thing_of(node->child[0]), *right = thing_of(node->child[1]);

	return thing_of(node)->weight + (left ? left->sum : 0) + (right ? right->sum : 0);
}

static void
add_up(struct tree_node *node)
{
	thing_of(node)->sum = sum_of(node);
}

static bool
sum_is_right(const struct tree_node *node)
{
	return thing_of(node)->sum == sum_of(node);
}

/* The index of the first model key at or above key. */
static size_t
model_at(uint64_t key)
{
	size_t i = 0;

	while (i < nr_sorted && sorted[i]->node.key < key)
		i++;
	return i;
}

static void
model_insert(struct thing *new)
{
	size_t i = model_at(new->node.key);

	memmove(sorted + i + 1, sorted + i, (nr_sorted - i) * sizeof(*sorted));
	sorted[i] = new;
	nr_sorted++;
}

static void
model_erase(const struct thing *old)
{
	size_t i = model_at(old->node.key);

	nr_sorted--;
	memmove(sorted + i, sorted + i + 1, (nr_sorted - i) * sizeof(*sorted));
}

/* n nodes in a tree of height h: n >= F(h + 2) - 1, F of Fibonacci (Knuth, vol. 3, 6.2.3). */
static unsigned
max_height(size_t n)
{
	size_t a = 0, b = 1;
	unsigned height = 0;

	while (a + b + 1 <= n) {
		size_t next = a + b + 1;

		a = b;
		b = next;
		height++;
	}
	return n == 0 ? 0 : height + 1;
}

static void
compare_with_model(struct prng *prng)
{
	struct tree_node *node = tree_first(&tree);
	uint64_t sum = 0, key = prng_below(prng, 4 * NR_NODES);
	size_t at = model_at(key);
	bool exact = at < nr_sorted && sorted[at]->node.key == key;

	CHECK_EQ(tree.nr, nr_sorted);
	for (size_t i = 0; i < nr_sorted; i++, node = tree_next(node)) {
		CHECK(thing_of(node) == sorted[i]);
		if (host_failed())
			return;
		CHECK(thing_of(tree_prev(node)) == (i > 0 ? sorted[i - 1] : NULL));
		sum += sorted[i]->weight;
	}
	CHECK(node == NULL);
	CHECK(thing_of(tree_last(&tree)) == (nr_sorted ? sorted[nr_sorted - 1] : NULL));
	CHECK_EQ(tree.root ? thing_of(tree.root)->sum : 0, sum);
	CHECK((tree.root ? tree.root->height : 0) <= max_height(nr_sorted));
	CHECK_EQ(tree_check(&tree, sum_is_right), 0);

	CHECK(thing_of(tree_lower_bound(&tree, key)) == (at < nr_sorted ? sorted[at] : NULL));
	CHECK(thing_of(tree_find(&tree, key)) == (exact ? sorted[at] : NULL));
	CHECK(thing_of(tree_floor(&tree, key)) == (exact    ? sorted[at]
						   : at > 0 ? sorted[at - 1]
							    : NULL));
}

static void
change(struct prng *prng, unsigned share_of_inserts)
{
	struct thing *one = &thing[prng_below(prng, NR_NODES)];

	if (prng_below(prng, 10) == 0 && one->in_tree) {
		one->weight = prng_below(prng, 1000);
		tree_update(&tree, &one->node);
	} else if (one->in_tree && prng_below(prng, 100) >= share_of_inserts) {
		model_erase(one);
		tree_erase(&tree, &one->node);
		one->in_tree = false;
	} else if (!one->in_tree && prng_below(prng, 100) < share_of_inserts) {
		one->node.key = (uint64_t)(one - thing) * 4 + prng_below(prng, 4);
		one->weight = prng_below(prng, 1000);
		one->in_tree = true;
		tree_insert(&tree, &one->node);
		model_insert(one);
	}
}

static void
clear(void)
{
	memset(thing, 0, sizeof(thing));
	nr_sorted = 0;
	tree_init(&tree, add_up);
}

static void
against_a_sorted_array(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned round = 0; round < NR_ROUNDS && !host_failed(); round++) {
		unsigned share = 20 + (unsigned)prng_below(&prng, 61);

		clear();
		for (unsigned i = 0; i < NR_OPS && !host_failed(); i++) {
			change(&prng, i < NR_OPS / 3 ? 90 : share);
			if (i % 4 == 0 || i < 60)
				compare_with_model(&prng);
		}
		while (nr_sorted > 0 && !host_failed()) {
			struct thing *one = sorted[prng_below(&prng, nr_sorted)];

			model_erase(one);
			tree_erase(&tree, &one->node);
			if (nr_sorted % 8 == 0)
				compare_with_model(&prng);
		}
	}
}

/* Every way to remove one of n nodes, for every n: all cases of tree_erase(). */
static void
erase_each_of_few(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (size_t n = 1; n <= 40; n++) {
		for (size_t victim = 0; victim < n; victim++) {
			clear();
			for (size_t i = 0; i < n; i++) {
				/* 17 and 41 have no common factor: each key once, unsorted. */
				thing[i].node.key = (i * 17 + victim) % 41;
				thing[i].weight = i;
				tree_insert(&tree, &thing[i].node);
				model_insert(&thing[i]);
			}
			model_erase(&thing[victim]);
			tree_erase(&tree, &thing[victim].node);
			compare_with_model(&prng);
		}
	}
}

/* Rising keys are the worst case of a tree that does not balance. */
static void
steps_grow_with_the_logarithm(void)
{
	static struct thing many[1 << 14];

	tree_init(&tree, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		uint64_t before = tree.steps;

		many[i].node.key = i;
		tree_insert(&tree, &many[i].node);
		CHECK(tree.steps - before <= 2 * (max_height(i + 1) + 1));
		before = tree.steps;
		CHECK(tree_find(&tree, i / 2) == &many[i / 2].node);
		CHECK(tree.steps - before <= max_height(i + 1));
	}
	CHECK_EQ(tree_check(&tree, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		uint64_t before = tree.steps;

		tree_erase(&tree, &many[i].node);
		CHECK(tree.steps - before <= max_height(ARRAY_SIZE(many) - i) + 1);
	}
	CHECK(tree.root == NULL);
}

static void
insert_twice(void *arg)
{
	tree_insert(&tree, arg);
}

static void
equal_keys_panic(void)
{
	clear();
	thing[0].node.key = thing[1].node.key = 5;
	tree_insert(&tree, &thing[0].node);
	CHECK(!host_try(insert_twice, &thing[1].node, 1000));
	CHECK_NAMES(host_message, "tree: there is a node of key 0x5 already");
}

/* ---- The checker ---------------------------------------------------------------- */

static void
expect_found(const char *what)
{
	unsigned errors;

	host_capture_begin();
	errors = tree_check(&tree, sum_is_right);
	host_capture_end();
	if (errors == 0)
		host_fail(__FILE__, __LINE__, "%s: not noticed", what);
	else
		CHECK_NAMES(host_output, "check: tree: ");
}

static void
damage_is_found(void)
{
	clear();
	for (size_t i = 0; i < 20; i++) {
		thing[i].node.key = 10 * i;
		thing[i].weight = i;
		tree_insert(&tree, &thing[i].node);
	}
	for (size_t i = 0; i < 20; i++) {
		struct tree_node *node = &thing[i].node, good = *node;

		node->height++;
		expect_found("height");
		*node = good;
		node->parent = &thing[(i + 7) % 20].node;
		expect_found("parent");
		*node = good;
		node->key += i < 19 ? 10 : (uint64_t)-10;
		expect_found("key");
		*node = good;
		thing[i].sum++;
		expect_found("sum");
		thing[i].sum--;
		for (int side = 0; side < 2; side++) {
			node->child[side] = tree.root; /* a circle */
			expect_found("child is the root");
			*node = good;
			if (!good.child[side])
				continue;
			node->child[side] = NULL;
			expect_found("child is gone");
			*node = good;
		}
	}
	for (size_t i = 0; i < 20; i++) { /* circles that double at each turn */
		struct tree_node *node = &thing[i].node, good = *node;

		node->child[0] = node->child[1] = tree.root;
		expect_found("both children are the root");
		*node = good;
	}
	tree.nr++;
	expect_found("nr");
	tree.nr -= 2;
	expect_found("nr");
	tree.nr++;
	CHECK_EQ(tree_check(&tree, sum_is_right), 0);
}

/* All is right about three nodes in a row, but for the balance of the first. */
static void
lost_balance_is_found(void)
{
	clear();
	for (size_t i = 0; i < 3; i++) {
		thing[i].node.key = i;
		thing[i].node.height = 3 - (unsigned)i;
		thing[i].node.parent = i > 0 ? &thing[i - 1].node : NULL;
		thing[i].node.child[1] = i < 2 ? &thing[i + 1].node : NULL;
	}
	tree.root = &thing[0].node;
	tree.nr = 3;
	expect_found("balance");
	CHECK_NAMES(host_output, "node 0 is out of balance: 0 and 2");
}

/* ---- Ranges ------------------------------------------------------------------------ */

#define UNITS	  400
#define AREA_BASE 1000

static struct range_tree ranges;
static struct range range[UNITS];
static bool taken[UNITS];

/* The lowest place of size units in the model, or UNITS. */
static size_t
model_gap(size_t size)
{
	size_t run = 0;

	for (size_t i = 0; i < UNITS; i++) {
		run = taken[i] ? 0 : run + 1;
		if (run == size)
			return i + 1 - size;
	}
	return UNITS;
}

/* The highest one in units [low, high), or UNITS. */
static size_t
model_highest_gap(size_t size, size_t low, size_t high)
{
	size_t run = 0;

	for (size_t i = high; i-- > low;) {
		run = taken[i] ? 0 : run + 1;
		if (run == size)
			return i;
	}
	return UNITS;
}

static void
compare_highest_gap(struct prng *prng, size_t size)
{
	size_t low = prng_below(prng, 2) ? 0 : prng_below(prng, UNITS);
	size_t high = prng_below(prng, 2) ? UNITS : prng_below(prng, UNITS + 1);
	size_t expected = model_highest_gap(size, low, high);
	uint64_t start = 0, before = ranges.tree.steps;
	bool found = range_highest_gap(&ranges, size, AREA_BASE + low, AREA_BASE + high, &start);

	CHECK(ranges.tree.steps - before <= 4 * (max_height(ranges.tree.nr) + 1));
	CHECK_EQ(found, expected < UNITS);
	if (found)
		CHECK_EQ(start, AREA_BASE + expected);
}

/* The lowest range that ends behind an address. */
static void
compare_find_from(size_t i)
{
	struct range *from = range_find_from(&ranges, AREA_BASE + i);
	size_t first = i;

	while (first < UNITS && !taken[first])
		first++;
	CHECK_EQ(from != NULL, first < UNITS);
	if (from) {
		CHECK(from->node.key <= AREA_BASE + first && AREA_BASE + first < from->end);
		CHECK(!range_prev(from) || range_prev(from)->end <= AREA_BASE + i);
	}
}

static void
compare_ranges(struct prng *prng)
{
	size_t size = 1 + prng_below(prng, prng_below(prng, 4) ? 12 : UNITS + 5);
	size_t expected = model_gap(size), i = prng_below(prng, UNITS);
	uint64_t start = 0, before = ranges.tree.steps;
	bool found = range_lowest_gap(&ranges, size, &start);
	struct range *at;

	CHECK(ranges.tree.steps - before <= max_height(ranges.tree.nr) + 1);
	CHECK_EQ(found, expected < UNITS);
	if (found)
		CHECK_EQ(start, AREA_BASE + expected);
	at = range_find(&ranges, AREA_BASE + i);
	CHECK_EQ(at != NULL, taken[i]);
	if (at)
		CHECK(at->node.key <= AREA_BASE + i && AREA_BASE + i < at->end);
	compare_highest_gap(prng, size);
	compare_find_from(i);
	CHECK_EQ(range_tree_check(&ranges), 0);
}

static void
mark(const struct range *which, bool value)
{
	memset(taken + (which->node.key - AREA_BASE), value, which->end - which->node.key);
}

static void
gaps_against_a_map(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned round = 0; round < 60 && !host_failed(); round++) {
		size_t max = 1 + prng_below(&prng, 30);
		size_t nr = 0;

		memset(taken, 0, sizeof(taken));
		range_tree_init(&ranges, AREA_BASE, AREA_BASE + UNITS);
		for (unsigned i = 0; i < 300 && !host_failed(); i++) {
			size_t size = 1 + prng_below(&prng, max);
			uint64_t start;

			if (nr > 0 && prng_below(&prng, 5) < 2) {
				size_t victim = prng_below(&prng, nr--);
				struct range *last = &range[nr], *old = &range[victim];

				mark(old, false);
				range_erase(&ranges, old);
				if (old != last) { /* the table stays dense */
					start = last->node.key;
					range_erase(&ranges, last);
					range_insert(&ranges, old, start, last->end);
				}
			} else if (range_lowest_gap(&ranges, size, &start)) {
				size_t room = UNITS - size - (start - AREA_BASE);
				size_t away = prng_below(&prng, 1 + MIN(room, 20));

				/* Sometimes not at the bottom of the gap, if it is free there. */
				if (away &&
				    !__builtin_memchr(&taken[start + away - AREA_BASE], 1, size))
					start += away;
				range_insert(&ranges, &range[nr], start, start + size);
				mark(&range[nr++], true);
			}
			compare_ranges(&prng);
		}
	}
}

static uint64_t bad_start, bad_end;

static void
insert_bad(void *arg)
{
	range_insert(&ranges, arg, bad_start, bad_end);
}

static void
expect_refused(uint64_t start, uint64_t end, const char *why)
{
	bad_start = start;
	bad_end = end;
	CHECK(!host_try(insert_bad, &range[9], 1000));
	CHECK_NAMES(host_message, why);
	CHECK_EQ(range_tree_check(&ranges), 0);
}

static void
bad_ranges_panic(void)
{
	range_tree_init(&ranges, 100, 200);
	range_insert(&ranges, &range[0], 120, 130);
	range_insert(&ranges, &range[1], 130, 140);
	expect_refused(129, 131, "overlaps");
	expect_refused(110, 121, "overlaps [0x78, 0x82)");
	expect_refused(110, 180, "overlaps");
	expect_refused(125, 126, "overlaps");
	expect_refused(139, 141, "overlaps [0x82, 0x8c)");
	expect_refused(150, 150, "is empty or outside");
	expect_refused(160, 150, "is empty or outside");
	expect_refused(99, 110, "is empty or outside");
	expect_refused(190, 201, "is empty or outside [0x64, 0xc8)");
	CHECK_EQ(ranges.tree.nr, 2);
}

static void
range_damage_is_found(void)
{
	range_tree_init(&ranges, 0, 1000);
	for (size_t i = 0; i < 20; i++)
		range_insert(&ranges, &range[i], 20 * i + i % 3, 20 * i + 10);
	host_capture_begin();
	for (size_t i = 0; i < 20; i++) {
		uint64_t *const value[] = { &range[i].end, &range[i].lowest, &range[i].highest,
					    &range[i].gap };

		for (size_t j = 0; j < ARRAY_SIZE(value); j++) {
			*value[j] += 20; /* an end then lies in the next range */
			if (range_tree_check(&ranges) == 0)
				host_fail(__FILE__, __LINE__, "range %zu, field %zu", i, j);
			*value[j] -= 20;
		}
	}
	ranges.end = 380;
	CHECK(range_tree_check(&ranges) != 0);
	ranges.end = 1000;
	ranges.start = 1;
	CHECK(range_tree_check(&ranges) != 0);
	ranges.start = 0;
	host_capture_end();
	CHECK_EQ(range_tree_check(&ranges), 0);
}

HOST_SUITE(tree, { "against_a_sorted_array", against_a_sorted_array },
	   { "erase_each_of_few", erase_each_of_few },
	   { "steps_grow_with_the_logarithm", steps_grow_with_the_logarithm },
	   { "equal_keys_panic", equal_keys_panic }, { "damage_is_found", damage_is_found },
	   { "lost_balance_is_found", lost_balance_is_found },
	   { "gaps_against_a_map", gaps_against_a_map }, { "bad_ranges_panic", bad_ranges_panic },
	   { "range_damage_is_found", range_damage_is_found });
