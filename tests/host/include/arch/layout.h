/* SPDX-License-Identifier: MIT */
/*
 * The address space of the host build. All areas are reserved when the program starts
 * and cost memory only where they are touched:
 *
 *	memmap		one struct page a frame; inaccessible until it is backed, so that
 *			reading the page of a frame in a hole faults, as in the kernel
 *	direct map	the machine's physical memory, HOST_FRAMES frames from address 0
 *	large, kmap	pages of that memory once more, mapped by arch_vm_map(); see vm_host.c
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#include <types.h>

#define HOST_FRAMES (1ul << 24) /* 64 GiB */
#define LARGE_SIZE  (1ul << 27) /* a test fills it */
#define KMAP_PAGES  512

struct page;
extern struct page *host_memmap;
extern uintptr_t host_direct_map;
extern uintptr_t host_vm_area;

#define memmap		host_memmap
#define DIRECT_MAP_BASE host_direct_map
#define LARGE_BASE	host_vm_area
#define LARGE_END	(host_vm_area + LARGE_SIZE)
#define KMAP_BASE	LARGE_END

#endif
