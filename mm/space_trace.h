/* SPDX-License-Identifier: MIT */
/*
 * What is told of pages in address spaces while trace=space is on: space_trace.c. With the space
 * locked.
 */
#ifndef SPACE_TRACE_H
#define SPACE_TRACE_H

#include <trace.h>

#include "space_internal.h"

/* The pages that are mapped in [start, end), which nobody has been told of. If it is on. */
void trace_pages(struct address_space *space, uintptr_t start, uintptr_t end);

/* A page has been taken out at that address. */
static inline __attribute__((always_inline)) void
trace_unmapped(const struct address_space *space, uintptr_t address, const struct page *page)
{
	if (unlikely(arch_trace_site(TRACE_GROUP_SPACE)))
		arch_trace_call(trace_log_space, TRACE_SPACE_UNMAP, space,
				TRACE_AT(address, page_to_pfn(page)));
}

#endif
