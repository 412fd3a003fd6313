/* SPDX-License-Identifier: MIT */
/* Memory before there is an allocator: see mm/boot_allocator.c. */
#ifndef IKOS_BOOT_ALLOCATOR_H
#define IKOS_BOOT_ALLOCATOR_H

#include <memory_map.h>
#include <types.h>

/* Start on a normalised map, which is copied. */
void boot_alloc_init(const struct memory_map *map);

/*
 * Take size bytes of usable memory, aligned to align (a power of two, at least
 * PAGE_SIZE), below limit (0: anywhere), from as high as possible. Zeroed. Returns
 * its physical address, or 0 when there is none. Never given back. Only before
 * boot_alloc_finish().
 */
paddr_t boot_alloc(uint64_t size, uint64_t align, paddr_t limit);

/* The same without zeroing. */
paddr_t boot_alloc_raw(uint64_t size, uint64_t align, paddr_t limit);

/* From now on take nothing that ends above limit: memory that the kernel does not map. */
void boot_alloc_set_limit(paddr_t limit);

/*
 * End of the boot allocator: call give(first, end) for each range of whole frames that
 * is usable and was never taken, in rising order.
 */
void boot_alloc_finish(void (*give)(uint64_t first_pfn, uint64_t end_pfn));

/* Bytes taken so far. */
uint64_t boot_alloc_used(void);

#endif
