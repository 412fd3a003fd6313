/* SPDX-License-Identifier: MIT */
/*
 * Lab 2, graded cases: which zones, and how far down. Each is a list of requests, of orders that
 * bypass the CPUs' lists where it matters exactly what is free.
 */
#include "lab.h"

/* Two flags of one of these together make no sense. */
static const gfp_t choices[] = {
	GFP_NOWAIT | GFP_ATOMIC | GFP_NOFAIL,
	GFP_NOWAIT | GFP_ATOMIC | GFP_NORETRY,
	GFP_NOFAIL | GFP_NORETRY,
	GFP_DMA | GFP_HIGHMEM,
	GFP_DMA | GFP_MOVABLE,
	GFP_MOVABLE | GFP_RECLAIMABLE,
};

static unsigned
nr_flags(gfp_t gfp)
{
	unsigned nr = 0;

	for (; gfp; gfp &= gfp - 1)
		nr++;
	return nr;
}

static bool
is_legal(gfp_t gfp)
{
	for (unsigned i = 0; i < ARRAY_SIZE(choices); i++) {
		if (nr_flags(gfp & choices[i]) > 1)
			return false;
	}
	return true;
}

/* The zone and the mobility of all flags that may be combined. */
KTEST(zones, routes)
{
	(void)t;
	for (gfp_t gfp = 0; gfp < 1u << NR_GFP_BITS; gfp++) {
		if (is_legal(gfp)) {
			struct gfp_route route = gfp_route(gfp);

			evidence_log(EV_ROUTE, gfp, route.zone, route.mobility, 0);
		}
	}
}

/* A request that must end in a panic. */
static void
refused(struct lab *lab, gfp_t gfp)
{
	struct page *page;

	evidence_log(EV_REFUSED, gfp, 0, 0, 0);
	page = node_alloc(&lab->node, gfp, 4);
	expect_true(lab->t, page == NULL);
}

/* Two flags of one choice. Each of them alone is fine before. */
static void
refuse_pair(struct lab *lab, gfp_t choice)
{
	gfp_t pair = choice;

	for (unsigned bit = 0; bit < NR_GFP_BITS; bit++) {
		if (choice >> bit & 1)
			lab2_alloc(lab, bit, 1u << bit, 4);
	}
	/* Of three take any two. */
	while (nr_flags(pair) > 2)
		pair = choice & ~(1u << prng_below(&lab->t->prng, NR_GFP_BITS));
	refused(lab, pair);
}

/* How long to wait, and how hard to try, has one answer of three. */
KTEST(zones, flags_waiting, .expect_panic = "zone: flags contradict each other")
{
	struct lab *lab = lab2_begin(t);

	refuse_pair(lab, choices[prng_below(&t->prng, 2)]);
}

KTEST(zones, flags_refused, .expect_panic = "zone: flags contradict each other")
{
	struct lab *lab = lab2_begin(t);

	refuse_pair(lab, choices[2 + prng_below(&t->prng, ARRAY_SIZE(choices) - 2)]);
}

KTEST(zones, flags_unknown, .expect_panic = "zone: unknown flags")
{
	struct lab *lab = lab2_begin(t);
	gfp_t unknown = 1u << (NR_GFP_BITS + prng_below(&t->prng, 32 - NR_GFP_BITS));
	gfp_t known = lab2_random_gfp(t);

	lab2_alloc(lab, 0, known, 4);
	refused(lab, unknown | known);
}

static void
log_marks(struct lab *lab)
{
	for (unsigned z = 0; z < NR_ZONES; z++) {
		const struct zone *zone = &lab->node.zone[z];
		uint64_t marks = 0, reserves = 0;

		for (unsigned mark = 0; mark < NR_MARKS; mark++)
			marks |= (zone->mark[mark] & 0xffff) << 16 * mark;
		for (unsigned other = 0; other < NR_ZONES; other++)
			reserves |= (zone->reserve[other] & 0xffff) << 16 * other;
		evidence_log(EV_MARKS, z, marks, reserves, 0);
	}
}

static void
log_mark(struct lab *lab, unsigned z, gfp_t gfp, enum watermark mark)
{
	size_t frames = zone_mark(&lab->node.zone[z], gfp, mark);

	evidence_log(EV_MARK, gfp | z << 16 | mark << 20, frames, 0, 0);
}

/* Marks and reserves, computed from what the zones have; and anew when there is more. */
KTEST(zones, marks)
{
	struct lab2_layout layout = { .blocks = { 1, 3, 2, 2 } };
	struct lab *lab;
	size_t half;

	layout.min_free = prng_below(&t->prng, 2) ? 0 : 50 + prng_below(&t->prng, 700);
	half = 1 + prng_below(&t->prng, LAB_FRAMES - 1);
	lab = lab2_begin_empty(t, layout);
	lab2_add(lab, 0, half);
	log_marks(lab);
	lab2_add(lab, half, LAB_FRAMES);
	log_marks(lab);
	for (unsigned z = 0; z < NR_ZONES; z++) {
		for (unsigned mark = 0; mark < NR_MARKS; mark++) {
			log_mark(lab, z, GFP_KERNEL, mark);
			log_mark(lab, z, GFP_NOWAIT, mark);
			log_mark(lab, z, GFP_ATOMIC, mark);
			log_mark(lab, z, GFP_ATOMIC | GFP_HIGHMEM | GFP_ZERO, mark);
			log_mark(lab, z, GFP_NOFAIL, mark);
		}
	}
}

/* The answer when one frame more or less would make the difference. */
KTEST(zones, allows)
{
	struct lab *lab = lab2_begin(t);

	lab2_trace(lab, 200, 100, 4, 9);
	for (unsigned i = 0; i < 500; i++) {
		unsigned z = prng_below(&t->prng, NR_ZONES),
			 order = prng_below(&t->prng, NR_ORDERS);
		unsigned preferred = z + prng_below(&t->prng, NR_ZONES - z);
		const struct zone *zone = &lab->node.zone[z];
		size_t needed = (1ul << order) + zone->reserve[preferred];
		size_t mark = zone->nr_free > needed ? zone->nr_free - needed : 0;
		bool answer;

		mark += prng_below(&t->prng, 3);
		mark -= MIN(mark, 1ul);
		answer = zone_allows(zone, order, mark, preferred);
		evidence_log(EV_ALLOWS, order | z << 8 | preferred << 12, mark, zone->nr_free,
			     answer);
	}
}

/* From the zone that suits best downwards, to the low marks first, then further. */
KTEST(zones, zone_order)
{
	static const gfp_t flags[] = { GFP_USER, GFP_HIGHMEM, GFP_KERNEL, GFP_DMA };
	struct lab *lab = lab2_begin(t);

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		unsigned order = 4 + prng_below(&t->prng, 4);

		lab2_alloc_until_none(lab, 0, flags[i] | GFP_NOWAIT, order);
		lab2_free_all(lab);
	}
	lab2_check(lab);
}

/* What was kept from requests that prefer a higher zone is there for those that cannot. */
KTEST(zones, reserves)
{
	static const gfp_t flags[] = { GFP_USER, GFP_HIGHMEM, GFP_KERNEL, GFP_DMA };
	struct lab *lab = lab2_begin(t);
	unsigned slot = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		unsigned before = slot;

		slot = lab2_alloc_until_none(lab, slot, flags[i] | GFP_NOWAIT, 4);
		expect_true(t, slot > before || flags[i] == GFP_DMA);
	}
	lab2_free_all(lab);
	lab2_check(lab);
}

/*
 * How far down a zone each may go who asks: to min, to half of it, to the last frame. But not to
 * the zone above, which has all that anybody could want.
 */
KTEST(zones, depth)
{
	struct lab2_layout layout = { .blocks = { 1, 2 + prng_below(&t->prng, 3), 1 } };
	struct lab *lab;
	unsigned slot;
	size_t left;

	layout.min_free = 200 + prng_below(&t->prng, 400);
	lab = lab2_begin_with(t, layout);
	slot = lab2_alloc_until_none(lab, 0, GFP_KERNEL | GFP_NORETRY, 4);
	slot = lab2_alloc_until_none(lab, slot, GFP_KERNEL, 4);
	slot = lab2_alloc_until_none(lab, slot, GFP_NOWAIT, 4);
	slot = lab2_alloc_until_none(lab, slot, GFP_ATOMIC, 4);
	slot = lab2_alloc_until_none(lab, slot, GFP_KERNEL, 0);
	left = lab2_free_frames(lab, ZONE_NORMAL) + lab2_free_frames(lab, ZONE_DMA);
	expect_true(t, left > 0);
	for (; left > 0; left--)
		assert_true(t, lab2_alloc(lab, slot++, GFP_NOFAIL, 0));
	expect_true(t, !lab2_alloc(lab, slot, GFP_ATOMIC, 0));
	expect_true(t, !lab2_alloc(lab, slot, GFP_KERNEL, 0));
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
}

/* Random requests when most zones are full: whatever fails changes nothing. */
KTEST(zones, shortage)
{
	struct lab *lab = lab2_begin(t);

	lab2_trace(lab, 3000, 250, 4, 10);
	lab2_check(lab);
	lab2_free_all(lab);
	lab2_check(lab);
	lab2_alloc_until_none(lab, 0, GFP_ATOMIC | GFP_USER, MAX_ORDER);
}

/* Requests that fail for no reason of their own change nothing; GFP_NOFAIL never does. */
KTEST(zones, failures)
{
	struct lab *lab = lab2_begin(t);
	unsigned every = 2 + prng_below(&t->prng, 6);

	evidence_log(EV_FAULTS, 0, every, 0, 0);
	node_set_faults(&lab->node, every, t->seed);
	lab2_trace(lab, 2000, 100, 0, 8);
	for (unsigned slot = 100; slot < 150; slot++)
		assert_true(t, lab2_alloc(lab, slot, GFP_NOFAIL, 4));
	expect_true(t, lab->node.faults.nr_injected > 0);
	evidence_log(EV_FAULTS, 0, 0, 0, 0);
	node_set_faults(&lab->node, 0, 0);
	lab2_trace(lab, 200, 100, 0, 8);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
	lab2_alloc_until_none(lab, 0, GFP_ATOMIC | GFP_USER, MAX_ORDER);
}

/* Everything at once. */
KTEST(zones, mixed)
{
	struct lab *lab = lab2_begin(t);

	lab2_trace(lab, 5000, 400, 0, MAX_ORDER);
	lab2_check(lab);
	lab2_drain(lab);
	lab2_trace(lab, 1000, 400, 0, 3);
	lab2_free_all(lab);
	lab2_drain(lab);
	lab2_check(lab);
	lab2_alloc_until_none(lab, 0, GFP_ATOMIC | GFP_USER, MAX_ORDER);
}

/* The counters count what was done. */
KTEST(zones, statistics)
{
	struct lab *lab = lab2_begin(t);

	lab2_trace(lab, 1500, 250, 4, MAX_ORDER);
	lab2_alloc_until_none(lab, 300, GFP_NOWAIT | GFP_RECLAIMABLE, 5);
	lab2_free_all(lab);
	lab2_stats(lab);
	lab2_trace(lab, 1000, 100, 0, 3);
	lab2_stats(lab);
	lab2_drain(lab);
	lab2_free_all(lab);
	lab2_check(lab);
}
