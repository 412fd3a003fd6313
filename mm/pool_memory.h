/* SPDX-License-Identifier: MIT */
/* Where the pools' own tables come from: whole frames. One place, should that change. */
#ifndef IKOS_MM_POOL_MEMORY_H
#define IKOS_MM_POOL_MEMORY_H

#include <memory_advanced.h>
#include <page.h>

/* Memory of size bytes, page aligned; NULL when there is none. */
static inline void *
pool_memory_alloc(size_t size, gfp_t gfp)
{
	struct page *page = alloc_pages_exact(gfp, ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT);

	return page ? page_to_virt(page) : NULL;
}

static inline void
pool_memory_free(void *memory, size_t size)
{
	free_pages_exact(pfn_to_page(virt_to_phys(memory) >> PAGE_SHIFT),
			 ALIGN_UP(size, PAGE_SIZE) >> PAGE_SHIFT);
}

#endif
