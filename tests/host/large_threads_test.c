/* SPDX-License-Identifier: MIT */
/*
 * Several CPUs allocate, use, free and flush large objects at once, and look at the books
 * meanwhile. Built with the thread sanitizer as well.
 */
#include "host.h"

#include <large_object.h>
#include <page_allocator.h>

#define NR_THREADS 4
#define NR_OPS	   1200
#define NR_HELD	   12

/* What each CPU found wrong: host_fail() is not for threads. */
static struct {
	unsigned torn, checks_failed, sizes_wrong;
} found[NR_THREADS];

struct held {
	uint8_t *address;
	size_t pages;
};

static void
end_one(unsigned cpu, struct held *held)
{
	for (size_t i = 0; i < held->pages; i++)
		found[cpu].torn += held->address[i * PAGE_SIZE + i] != (uint8_t)(cpu + i);
	found[cpu].sizes_wrong += large_size(held->address) != held->pages * PAGE_SIZE;
	large_free(held->address);
	held->address = NULL;
}

static void
make_one(unsigned cpu, struct held *held, size_t pages, bool zero)
{
	held->pages = pages;
	held->address = large_alloc(pages * PAGE_SIZE, zero ? GFP_ZERO : GFP_KERNEL);
	for (size_t i = 0; held->address && i < pages; i++) {
		found[cpu].torn += zero && held->address[i * PAGE_SIZE + i] != 0;
		held->address[i * PAGE_SIZE + i] = (uint8_t)(cpu + i);
	}
}

static void
work(unsigned cpu, void *arg)
{
	struct held held[NR_HELD] = { { NULL, 0 } };
	struct large_stats stats;
	struct prng prng;

	(void)arg;
	prng_seed(&prng, host_seed * 100 + cpu);
	for (unsigned i = 0; i < NR_OPS + NR_HELD; i++) {
		struct held *one = &held[i < NR_OPS ? prng_below(&prng, NR_HELD) : i - NR_OPS];

		if (one->address)
			end_one(cpu, one);
		else if (i < NR_OPS)
			make_one(cpu, one, 1 + prng_below(&prng, 12), prng_below(&prng, 2));
		if (prng_below(&prng, 16) == 0)
			(void)large_flush();
		if (prng_below(&prng, 64) == 0) {
			large_get_stats(&stats);
			found[cpu].checks_failed += large_check() != 0;
		}
	}
}

/* param: how much memory; with little of it, requests fail and flush all the time. */
static void
run(uint64_t memory)
{
	size_t frames = host_start_machine(memory);
	struct large_stats stats;

	host_run_threads(NR_THREADS, work, NULL);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		CHECK_EQ(found[i].torn, 0);
		CHECK_EQ(found[i].sizes_wrong, 0);
		CHECK_EQ(found[i].checks_failed, 0);
	}
	(void)large_flush();
	large_get_stats(&stats);
	CHECK_EQ(stats.nr_objects, 0);
	CHECK_EQ(stats.waiting_objects, 0);
	CHECK_EQ(stats.table_frames, 0);
	CHECK_EQ(stats.descriptor_frames, 0);
	CHECK_EQ(page_allocator_nr_free(), frames);
	CHECK_EQ(large_check(), 0);
	CHECK_EQ(mm_check(), 0);
}

static void
with_enough_memory(void)
{
	run(MiB(8));
}

static void
with_little_memory(void)
{
	run(KiB(640));
}

HOST_SUITE(large_threads, { "with_enough_memory", with_enough_memory },
	   { "with_little_memory", with_little_memory });
