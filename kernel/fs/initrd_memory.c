/* SPDX-License-Identifier: MIT */
/*
 * The memory that the archive lay in, given back once it has been unpacked.
 *
 * The loader put it somewhere, at any byte, and the allocator never got those frames. Which of them
 * are nobody else's, the firmware's map says, with all else that was loaded: what is usable there
 * in whole frames, and in the archive in whole frames.
 *
 *	            frame      frame      frame      frame
 *	archive  |      aaaa|aaaaaaaaaa|aaaaaaaaaa|aaa  m    |   m: another module
 *	given               |==========|==========|
 */
#include <bootinfo.h>
#include <page_allocator.h>
#include <slab.h>

#include "fs.h"

/* Maps are large: not for the stack. */
struct maps {
	struct memory_map given, usable;
	struct memory_map_report report;
};

/* Returns whether there is usable memory. */
static bool
find_usable(struct maps *maps, const struct boot_module *module)
{
	if (memory_map_normalise(&boot_info.map, &maps->given, DIRECT_MAP_SIZE, &maps->report))
		return false;
	memory_map_add_loaded(&maps->given, module);
	return maps->given.nr_dropped == 0 &&
	       memory_map_normalise(&maps->given, &maps->usable, DIRECT_MAP_SIZE, &maps->report) ==
		   0;
}

static void
give_back(const struct maps *maps, const struct boot_module *module)
{
	for (unsigned i = 0; i < maps->usable.nr; i++) {
		const struct memory_range *range = &maps->usable.range[i];
		paddr_t start = MAX(range->start, ALIGN_UP(module->start, PAGE_SIZE));
		paddr_t end = MIN(range->end, ALIGN_DOWN(module->end, PAGE_SIZE));

		if (range->kind == MEMORY_USABLE && start < end)
			page_allocator_add_range(start >> PAGE_SHIFT, end >> PAGE_SHIFT);
	}
}

void
initrd_free_memory(struct boot_module *module)
{
	struct maps *maps = kmalloc(sizeof(*maps), GFP_KERNEL);

	/* Without memory for that there is hardly a use for more. */
	if (maps && find_usable(maps, module))
		give_back(maps, module);
	kfree(maps);
	module->end = module->start; /* nothing is there any more */
}
