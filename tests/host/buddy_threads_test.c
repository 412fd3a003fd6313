/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs on one allocator, with real threads and real locks. It is also built with
 * the thread sanitizer, which sees an access without the lock even when no harm came of it.
 */
#include "buddy_model.h"
#include "host.h"

#define NR_THREADS 4
#define NR_BLOCKS  4
#define NR_FRAMES  (NR_BLOCKS * MAX_ORDER_FRAMES)
#define NR_OPS	   8000
#define MAX_HELD   96

static struct buddy buddy;
static uint8_t claim[NR_FRAMES]; /* CPU + 1 that holds the frame; atomic */

/* What each CPU found wrong: host_fail() is not for threads. */
static struct {
	unsigned claimed_twice, marks_lost, checks_failed;
} found[NR_THREADS];

struct held {
	struct page *page;
	size_t nr;
	int order; /* -1: allocated with buddy_alloc_exact() */
};

/* Claim the frames and write to all that their owner may write to. */
static void
take(unsigned cpu, const struct held *held)
{
	for (size_t i = 0; i < held->nr; i++) {
		struct page *page = held->page + i;

		if (__atomic_exchange_n(&claim[page_to_pfn(page)], cpu + 1, __ATOMIC_RELAXED) != 0)
			found[cpu].claimed_twice++;
		page->owner = cpu;
		page->link.next = NULL;
	}
}

static void
give_back(unsigned cpu, const struct held *held)
{
	for (size_t i = 0; i < held->nr; i++) {
		struct page *page = held->page + i;

		if (page->owner != cpu || page->link.next != NULL)
			found[cpu].marks_lost++;
		__atomic_store_n(&claim[page_to_pfn(page)], 0, __ATOMIC_RELAXED);
	}
	if (held->order >= 0)
		buddy_free(&buddy, held->page, (unsigned)held->order);
	else
		buddy_free_range(&buddy, page_to_pfn(held->page),
				 page_to_pfn(held->page) + held->nr);
}

static bool
request(struct prng *prng, struct held *held)
{
	if (prng_below(prng, 4) == 0) {
		held->nr = 1 + prng_below(prng, 50);
		held->order = -1;
		held->page = buddy_alloc_exact(&buddy, held->nr);
	} else {
		held->order = (int)prng_below(prng, 6);
		held->nr = 1ul << held->order;
		held->page = buddy_alloc(&buddy, (unsigned)held->order);
	}
	return held->page != NULL;
}

static void
work(unsigned cpu, void *arg)
{
	struct held held[MAX_HELD];
	unsigned nr_held = 0;
	struct buddy_stats stats;
	struct prng prng;

	(void)arg;
	prng_seed(&prng, host_seed * 100 + cpu);
	for (unsigned i = 0; i < NR_OPS; i++) {
		if (nr_held < MAX_HELD && prng_below(&prng, 2) == 0) {
			if (request(&prng, &held[nr_held]))
				take(cpu, &held[nr_held++]);
		} else if (nr_held > 0) {
			unsigned j = (unsigned)prng_below(&prng, nr_held);

			give_back(cpu, &held[j]);
			held[j] = held[--nr_held];
		}
		if (i % 1000 == 0) {
			buddy_get_stats(&buddy, &stats);
			found[cpu].checks_failed +=
			    buddy_unusable(&buddy, 3) > 1000 || buddy_check(&buddy) != 0;
		}
	}
	while (nr_held > 0)
		give_back(cpu, &held[--nr_held]);
}

static void
threads_share_an_allocator(void)
{
	struct arena arena = { .first = 0, .nr_blocks = NR_BLOCKS, .nr_ranges = 1 };

	arena.range[0] = (struct frame_range){ 0, NR_FRAMES };
	arena_back(&arena);
	buddy_init(&buddy, "test", 0, NR_FRAMES);
	buddy_add_range(&buddy, 0, NR_FRAMES);
	host_run_threads(NR_THREADS, work, NULL);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		CHECK_EQ(found[i].claimed_twice, 0);
		CHECK_EQ(found[i].marks_lost, 0);
		CHECK_EQ(found[i].checks_failed, 0);
	}
	CHECK_EQ(buddy.frames_free, NR_FRAMES);
	CHECK_EQ(buddy.area[MAX_ORDER].nr_free, NR_BLOCKS);
	CHECK_EQ(buddy_check(&buddy), 0);
}

#define NR_ROUNDS 20000

static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);
static unsigned long counter;

static void
count(unsigned cpu, void *arg)
{
	(void)cpu;
	(void)arg;
	for (unsigned i = 0; i < NR_ROUNDS; i++) {
		irqflags_t flags = spin_lock_irqsave(&lock);

		/* Two steps: without the lock updates are lost. */
		counter = counter + 1;
		spin_unlock_irqrestore(&lock, flags);
	}
}

static void
spin_lock_excludes(void)
{
	counter = 0;
	host_run_threads(NR_THREADS, count, NULL);
	CHECK_EQ(counter, NR_THREADS * NR_ROUNDS);
	CHECK(arch_irqs_enabled());
}

HOST_SUITE(threads, { "spin_lock_excludes", spin_lock_excludes },
	   { "threads_share_an_allocator", threads_share_an_allocator });
