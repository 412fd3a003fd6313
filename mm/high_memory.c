/* SPDX-License-Identifier: MIT */
/*
 * kmap: windows onto frames that the direct map does not reach.
 *
 * PROBLEM. The kernel reads and writes a frame through an address, and frames of ZONE_HIGH have
 * none. Giving one to each for ever is what there are too few addresses for; and an address
 * that showed one frame may show another only after every CPU has forgotten it, which means
 * interrupting all of them.
 *
 * IDEA. A small table of windows, a page each. kmap() points one at the frame, for as long as
 * somebody uses it. When nobody does, the window stays as it is: it may be wanted again
 * soon. Only when no window is left that shows nothing, all those that nobody uses are
 * emptied together, at the cost of one flush.
 *
 *	        kmap: arch_vm_map()           last kunmap()
 *	EMPTY -----------------------> USED ----------------> RELEASED
 *	  ^                              ^                        |  |
 *	  |                              +---- kmap, same frame --+  |
 *	  +--------- all of them: arch_vm_unmap(), one flush --------+
 *
 *	window    0      1      2      3      4
 *	frame     700    900    -      800    -      hash 700 -> 0, 900 -> 1, 800 -> 3
 *	users     2      0             1             1 is released; 2, 4 are empty
 *
 * A frame has one window, which all its users share: found by a hash of its number. A frame
 * within the direct map has its address there, and costs no window.
 *
 * Whoever finds all windows used sleeps until one is released. So a thread that holds one
 * while it asks for the next can deadlock with others that do the same, if there are hundreds.
 *
 * INVARIANTS, which kmap_check() recomputes:
 *	- a window with a frame is in the chain of that frame's hash, and shows that frame;
 *	- a window without one is among the empty ones, or being flushed, and nobody uses it;
 *	- nr_empty, nr_released: how many there are.
 *
 * LOCKING. kmap_lock guards all of it. The flush waits for other CPUs, so it is made without the
 * lock; the windows being flushed belong to the flusher meanwhile: they are in no chain and not
 * among the empty ones.
 */
#include <arch.h>
#include <checker.h>
#include <printk.h>
#include <string.h>
#include <thread.h>

#include "high_memory_internal.h"

#define MAX_SHOWN 8

/* (k) kmap_lock */
static spinlock_t kmap_lock = SPINLOCK_INIT("kmap", RANK_MODULE);
struct window kmap_window[KMAP_PAGES];
uint16_t kmap_chain[KMAP_PAGES]; /* (k) number + 1 of the first window of a hash; 0: none */
uint16_t kmap_empty;		 /* (k) the same of the first empty window */
unsigned kmap_nr_empty, kmap_nr_released; /* (k) */
static bool flushing;			  /* (k) */
static struct kmap_stats counts;	  /* (k) the counters of it */
static struct wait_queue waiters;

void
kmap_init(void)
{
	memset(kmap_window, 0, sizeof(kmap_window));
	memset(kmap_chain, 0, sizeof(kmap_chain));
	memset(&counts, 0, sizeof(counts));
	wait_queue_init(&waiters);
	kmap_empty = 0;
	for (unsigned i = KMAP_PAGES; i-- > 0;) {
		kmap_window[i].next = kmap_empty;
		kmap_empty = (uint16_t)(i + 1);
	}
	kmap_nr_empty = KMAP_PAGES;
	kmap_nr_released = 0;
}

static uintptr_t
address_of(const struct window *w)
{
	return KMAP_BASE + (uintptr_t)(w - kmap_window) * PAGE_SIZE;
}

static bool
is_direct(const struct page *page)
{
	return page_to_pfn(page) < arch_direct_map_end() >> PAGE_SHIFT;
}

/* Frames that lie side by side get chains side by side. */
static uint16_t *
chain_of(const struct page *page)
{
	return &kmap_chain[page_to_pfn(page) % KMAP_PAGES];
}

static struct window *
find_window(const struct page *page)
{
	unsigned i = *chain_of(page);

	assert_held(&kmap_lock);
	while (i != 0 && kmap_window[i - 1].page != page)
		i = kmap_window[i - 1].next;
	return i ? &kmap_window[i - 1] : NULL;
}

/* Take an empty window and point it at a frame. Returns NULL if there is none. */
static struct window *
open_window(struct page *page)
{
	uint16_t *first = chain_of(page);
	struct window *w;
	int error;

	assert_held(&kmap_lock);
	if (kmap_nr_empty == 0)
		return NULL;
	w = &kmap_window[kmap_empty - 1];
	kmap_empty = w->next;
	/* Who waits for a window may be content with this one. */
	if (--kmap_nr_empty == 0)
		wake_all(&waiters);
	error = arch_vm_map(address_of(w), page_to_pfn(page) << PAGE_SHIFT);
	ASSERT_EQ(error, 0); /* its page table was made at boot */
	w->page = page;
	w->next = *first;
	*first = (uint16_t)(w - kmap_window + 1);
	kmap_nr_released++; /* nobody uses it yet */
	counts.nr_mappings++;
	return w;
}

/* Take a released window out of its chain. */
static void
close_window(struct window *w)
{
	uint16_t *link = chain_of(w->page);

	while (&kmap_window[*link - 1] != w)
		link = &kmap_window[*link - 1].next;
	*link = w->next;
	w->page = NULL;
}

/*
 * Empty all windows that nobody uses. Caller holds kmap_lock, which is released meanwhile:
 * flags are those of before it was taken.
 */
static void
flush_released(irqflags_t flags)
{
	uint16_t mine = 0; /* a list, like empty */
	unsigned nr = 0;

	assert_held(&kmap_lock);
	flushing = true;
	for (unsigned i = 0; i < KMAP_PAGES; i++) {
		if (!kmap_window[i].page || kmap_window[i].users > 0)
			continue;
		close_window(&kmap_window[i]);
		(void)arch_vm_unmap(address_of(&kmap_window[i]));
		kmap_window[i].next = mine;
		mine = (uint16_t)(i + 1);
		nr++;
	}
	kmap_nr_released -= nr;
	spin_unlock_irqrestore(&kmap_lock, flags);
	arch_vm_flush(KMAP_BASE, KMAP_BASE + KMAP_PAGES * PAGE_SIZE);
	flags = spin_lock_irqsave(&kmap_lock);
	while (mine) {
		struct window *w = &kmap_window[mine - 1];

		mine = w->next;
		w->next = kmap_empty;
		kmap_empty = (uint16_t)(w - kmap_window + 1);
	}
	kmap_nr_empty += nr;
	flushing = false;
	counts.nr_flushes++;
	wake_all(&waiters);
}

void *
kmap(struct page *page)
{
	struct window *w;
	irqflags_t flags;

	if (is_direct(page))
		return page_to_virt(page);
	ASSERT(arch_irqs_enabled()); /* it may have to wait */
	flags = spin_lock_irqsave(&kmap_lock);
	for (;;) {
		w = find_window(page);
		if (!w)
			w = open_window(page);
		if (w)
			break;
		if (kmap_nr_released > 0 && !flushing) {
			flush_released(flags);
			continue;
		}
		counts.nr_waits++;
		wait_on(&waiters, &kmap_lock);
	}
	if (w->users++ == 0)
		kmap_nr_released--;
	spin_unlock_irqrestore(&kmap_lock, flags);
	return (void *)address_of(w);
}

void
kunmap(struct page *page)
{
	struct window *w;
	irqflags_t flags;

	if (is_direct(page))
		return;
	flags = spin_lock_irqsave(&kmap_lock);
	w = find_window(page);
	if (!w || w->users == 0) {
		spin_unlock_irqrestore(&kmap_lock, flags);
		panic("kunmap: frame %#lx has no window", (unsigned long)page_to_pfn(page));
	}
	if (--w->users == 0) {
		kmap_nr_released++;
		wake_one(&waiters);
	}
	spin_unlock_irqrestore(&kmap_lock, flags);
}

/* ---- What is known of it ------------------------------------------------------------- */

void
kmap_get_stats(struct kmap_stats *stats)
{
	irqflags_t flags = spin_lock_irqsave(&kmap_lock);

	*stats = counts;
	stats->released = kmap_nr_released;
	stats->used = KMAP_PAGES - kmap_nr_empty - kmap_nr_released;
	spin_unlock_irqrestore(&kmap_lock, flags);
}

#define REPORT(errors, ...)                                                                        \
	do {                                                                                       \
		if ((*(errors))++ < MAX_SHOWN)                                                     \
			kprintf("check: kmap: " __VA_ARGS__);                                      \
	} while (0)

/* One window against the processor's tables and the chains. Returns whether it has a frame. */
static bool
check_window(const struct window *w, unsigned *errors)
{
	paddr_t shown = arch_vm_lookup(address_of(w));
	unsigned number = (unsigned)(w - kmap_window);

	if (!w->page) {
		if (shown != ARCH_VM_NONE)
			REPORT(errors, "window %u is empty, but shows frame %#lx\n", number,
			       (unsigned long)(shown >> PAGE_SHIFT));
		if (w->users)
			REPORT(errors, "window %u is empty, but used\n", number);
		return false;
	}
	if (shown != page_to_pfn(w->page) << PAGE_SHIFT)
		REPORT(errors, "window %u should show frame %#lx, but shows %#lx\n", number,
		       (unsigned long)page_to_pfn(w->page), (unsigned long)(shown >> PAGE_SHIFT));
	if (is_direct(w->page))
		REPORT(errors, "window %u shows frame %#lx, which is in the direct map\n", number,
		       (unsigned long)page_to_pfn(w->page));
	if (find_window(w->page) != w)
		REPORT(errors, "window %u is not found by its frame %#lx\n", number,
		       (unsigned long)page_to_pfn(w->page));
	return true;
}

/* How many windows the list of empty ones has, or more than there are if it has no end. */
static unsigned
count_empty(void)
{
	unsigned nr = 0;

	for (unsigned i = kmap_empty; i != 0 && nr <= KMAP_PAGES; i = kmap_window[i - 1].next)
		nr++;
	return nr;
}

unsigned
kmap_check(void)
{
	irqflags_t flags = spin_lock_irqsave(&kmap_lock);
	unsigned errors = 0, used = 0, released = 0;

	for (unsigned i = 0; i < KMAP_PAGES; i++) {
		if (check_window(&kmap_window[i], &errors)) {
			used += kmap_window[i].users > 0;
			released += kmap_window[i].users == 0;
		}
	}
	if (kmap_nr_released != released)
		REPORT(&errors, "%u windows are released, but %u counted so\n", released,
		       kmap_nr_released);
	if (kmap_nr_empty != KMAP_PAGES - used - released || count_empty() != kmap_nr_empty)
		REPORT(&errors, "%u windows are empty and %u listed, but %u counted so\n",
		       KMAP_PAGES - used - released, count_empty(), kmap_nr_empty);
	spin_unlock_irqrestore(&kmap_lock, flags);
	return errors;
}
MM_CHECKER(kmap, kmap_check);
