/* SPDX-License-Identifier: MIT */
/* kmap() on a machine whose direct map ends early: random calls against a model, and damage. */
#include "host.h"

#include "../../mm/high_memory_internal.h"

#include <arch.h>
#include <boot_allocator.h>
#include <high_memory.h>
#include <page_allocator.h>
#include <page_frame.h>
#include <string.h>

#define DIRECT_END MiB(24)
#define NR_PAGES   1200

static struct page *page[NR_PAGES];
static unsigned users[NR_PAGES];
static uint64_t written[NR_PAGES];

/* 64 MiB from 1 MiB on, of which the direct map reaches those below 24 MiB. */
static void
start_machine(void)
{
	static struct memory_map firmware, map;
	struct memory_map_report report;

	host_direct_map_end = DIRECT_END;
	firmware.nr = firmware.nr_dropped = 0;
	memory_map_add(&firmware, MiB(1), MiB(63), MEMORY_USABLE);
	host_memmap_reset();
	host_vm_reset();
	CHECK_EQ(memory_map_normalise(&firmware, &map, GiB(1), &report), 0);
	boot_alloc_init(&map);
	boot_alloc_set_limit(DIRECT_END);
	mm_init(&map);
	for (unsigned i = 0; i < NR_PAGES; i++) {
		page[i] = alloc_pages(GFP_HIGHMEM, 0);
		CHECK(page_to_pfn(page[i]) >= DIRECT_END >> PAGE_SHIFT);
		users[i] = 0;
		written[i] = 0;
		*(uint64_t *)page_to_virt(page[i]) = 0; /* the host reaches all of it */
	}
}

static void
end_machine(void)
{
	for (unsigned i = 0; i < NR_PAGES; i++)
		__free_pages(page[i], 0);
	CHECK_EQ(mm_check(), 0);
	host_vm_reset();
	host_direct_map_end = HOST_FRAMES << PAGE_SHIFT;
}

/* Nothing above the end is taken while booting, and High is what lies there. */
static void
boot_stays_below(void)
{
	zone_stats_t stats;

	start_machine();
	get_zone_stats(2, &stats);
	CHECK_EQ(stats.managed_pages, (MiB(64) - DIRECT_END) >> PAGE_SHIFT);
	end_machine();
}

static void
use(unsigned i)
{
	uint64_t *window = kmap(page[i]);

	CHECK_EQ(*window, written[i]);
	*window = written[i] = host_seed * 1000 + i + written[i];
	users[i]++;
}

/* At most 511 frames are looked at at a time, each up to three times. */
static void
against_a_model(void)
{
	struct kmap_stats stats;
	unsigned nr_used = 0;
	struct prng prng;

	start_machine();
	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < 12000 && !host_failed(); i++) {
		/* A few frames are looked at more often than others. */
		unsigned one = (unsigned)prng_below(&prng, prng_below(&prng, 2) ? 100 : NR_PAGES);
		bool more = users[one] == 0 || (users[one] < 3 && prng_below(&prng, 2));

		if (more && (users[one] > 0 || nr_used < KMAP_PAGES - 1)) {
			nr_used += users[one] == 0;
			use(one);
		} else if (users[one] > 0) {
			kunmap(page[one]);
			nr_used -= --users[one] == 0;
		}
		kmap_get_stats(&stats);
		CHECK_EQ(stats.used, nr_used);
		CHECK(stats.used + stats.released <= KMAP_PAGES);
		if (i % 100 == 0)
			CHECK_EQ(kmap_check(), 0);
	}
	CHECK_EQ(stats.nr_waits, 0);
	CHECK(stats.nr_flushes > 3);
	CHECK_EQ(stats.nr_flushes, host_vm_flushes);
	/* One flush for all that were released, not one for each window. */
	CHECK(stats.nr_mappings > 3 * stats.nr_flushes);
	for (unsigned i = 0; i < NR_PAGES; i++) {
		for (; users[i] > 0; users[i]--)
			kunmap(page[i]);
		CHECK_EQ(*(uint64_t *)page_to_virt(page[i]), written[i]);
	}
	end_machine();
}

/* ---- What is wrong ----------------------------------------------------------------------- */

static void
give_back(void *arg)
{
	kunmap(arg);
}

static void
look_with_irqs_off(void *arg)
{
	(void)arg;
	(void)arch_irq_save();
	(void)kmap(page[0]);
}

static void
mistakes(void)
{
	start_machine();
	CHECK(!host_try(give_back, page[0], 1000));
	CHECK_NAMES(host_message, "kunmap: frame");
	use(0);
	kunmap(page[0]);
	CHECK(!host_try(give_back, page[0], 1000));
	CHECK_NAMES(host_message, "has no window");
	CHECK(!host_try(look_with_irqs_off, NULL, 1000));
	CHECK_NAMES(host_message, "arch_irqs_enabled()");
	kunmap(alloc_pages(GFP_KERNEL, 0)); /* of these nobody keeps account */
	CHECK_EQ(kmap_check(), 0);
	end_machine();
}

static void
look_too_often(void *arg)
{
	(void)arg;
	(void)kmap(page[KMAP_PAGES]);
}

/* With all windows used by this thread, and no other to release one, it waits for ever. */
static void
all_windows_used(void)
{
	struct kmap_stats stats;

	start_machine();
	for (unsigned i = 0; i < KMAP_PAGES; i++)
		use(i);
	CHECK(!host_try(look_too_often, NULL, 2000));
	CHECK_NAMES(host_message, "no thread is left that could wake it");
	kmap_get_stats(&stats);
	CHECK_EQ(stats.used, KMAP_PAGES);
	CHECK_EQ(stats.nr_waits, 1);
	kunmap(page[3]);
	look_too_often(NULL);
	kunmap(page[KMAP_PAGES]);
	for (unsigned i = 0; i < KMAP_PAGES; i++) {
		if (i != 3)
			kunmap(page[i]);
	}
	CHECK_EQ(kmap_check(), 0);
	end_machine();
}

/* A window that shows another frame than the table says, or one that it says shows none. */
static void
damage_is_found(void)
{
	uintptr_t window;

	start_machine();
	use(0);
	window = (uintptr_t)kmap(page[0]);
	host_capture_begin();
	CHECK_EQ(arch_vm_unmap(window), page_to_pfn(page[0]) << PAGE_SHIFT);
	CHECK_EQ(kmap_check(), 1);
	CHECK_EQ(arch_vm_map(window, page_to_pfn(page[1]) << PAGE_SHIFT), 0);
	CHECK_EQ(kmap_check(), 1);
	(void)arch_vm_unmap(window);
	CHECK_EQ(arch_vm_map(window, page_to_pfn(page[0]) << PAGE_SHIFT), 0);
	CHECK_EQ(kmap_check(), 0);
	CHECK_EQ(arch_vm_map(KMAP_BASE + 500 * PAGE_SIZE, page_to_pfn(page[9]) << PAGE_SHIFT), 0);
	CHECK_EQ(kmap_check(), 1);
	(void)arch_vm_unmap(KMAP_BASE + 500 * PAGE_SIZE);
	host_direct_map_end = MiB(64);
	CHECK(kmap_check() > 0); /* a window for what needs none */
	host_direct_map_end = DIRECT_END;
	host_capture_end();
	kunmap(page[0]);
	kunmap(page[0]);
	CHECK_EQ(kmap_check(), 0);
	end_machine();
}

/* One window is used, one released, the others are empty. */
static void
damaged_books(void)
{
	uint16_t *first = &kmap_chain[0], one_less;

	start_machine();
	use(0);
	use(1);
	kunmap(page[1]);
	while (*first == 0)
		first++;
	CHECK_FINDS(kmap_window[500].users, 1, mm_check(), "window 500 is empty, but used");
	CHECK_FINDS(*first, 0, kmap_check(), "is not found by its frame");
	CHECK_FINDS(kmap_nr_released, 0, kmap_check(), "1 windows are released, but 0 counted");
	CHECK_FINDS(kmap_nr_empty, 1, kmap_check(), "but 1 counted so");
	CHECK_FINDS(kmap_empty, 0, kmap_check(), "windows are empty and 0 listed");
	CHECK_FINDS(kmap_window[kmap_empty - 1].next, kmap_empty, kmap_check(),
		    "windows are empty");
	one_less = kmap_window[kmap_empty - 1].next;
	kmap_nr_empty--;
	CHECK_FINDS(kmap_empty, one_less, kmap_check(), "windows are empty");
	kmap_nr_empty++;
	kunmap(page[0]);
	end_machine();
}

HOST_SUITE(kmap, { "boot_stays_below", boot_stays_below }, { "against_a_model", against_a_model },
	   { "mistakes", mistakes }, { "all_windows_used", all_windows_used },
	   { "damage_is_found", damage_is_found }, { "damaged_books", damaged_books });
