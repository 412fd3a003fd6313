/* SPDX-License-Identifier: MIT */
/*
 * The kernel's address space on x86-64: the last 47 bits, with four levels of page tables and
 * with five.
 *
 *	ffff800000000000	direct map: all physical memory, up to 64 TiB
 *	ffffc00000000000	kernel stacks, each below a guard page
 *	ffffc80000000000	large objects, 1 TiB: pages between guard pages
 *	ffffca0000000000	kmap: windows onto single frames, 2 MiB
 *	ffffd00000000000	device registers, uncached
 *	ffffe00000000000	memmap: struct page by frame number
 *	ffffffff80000000	kernel image, linked 2 GiB below the top
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#define DIRECT_MAP_BASE 0xffff800000000000ul
#define KSTACK_BASE	0xffffc00000000000ul
#define LARGE_BASE	0xffffc80000000000ul
#define KMAP_BASE	0xffffca0000000000ul
#define MMIO_BASE	0xffffd00000000000ul
#define MEMMAP_BASE	0xffffe00000000000ul
#define KERNEL_BASE	0xffffffff80000000ul

#define DIRECT_MAP_SIZE (1ul << 46)

#define LARGE_SIZE (1ul << 40)
#define LARGE_END  (LARGE_BASE + LARGE_SIZE)
#define KMAP_PAGES 512 /* what one page table spans */

struct page;
#define memmap ((struct page *)MEMMAP_BASE)

#endif
