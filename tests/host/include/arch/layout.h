/* SPDX-License-Identifier: MIT */
/*
 * The address space of the host build. Both areas are reserved when the program starts
 * and cost memory only where they are touched:
 *
 *	memmap		one struct page a frame; inaccessible until it is backed, so that
 *			reading the page of a frame in a hole faults, as in the kernel
 *	direct map	the machine's physical memory, HOST_FRAMES frames from address 0
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#include <types.h>

#define HOST_FRAMES (1ul << 24) /* 64 GiB */

struct page;
extern struct page *host_memmap;
extern uintptr_t host_direct_map;

#define memmap		host_memmap
#define DIRECT_MAP_BASE host_direct_map

#endif
