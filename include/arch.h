/* SPDX-License-Identifier: MIT */
/*
 * What the portable kernel asks of the machine. kernel/x86_64 provides it; the host
 * build in tests/host provides the part that mm/ uses. The inlines on hot paths are
 * in <arch/cpu.h>, the address-space layout in <arch/layout.h>.
 */
#ifndef IKOS_ARCH_H
#define IKOS_ARCH_H

#include <arch/cpu.h>
#include <arch/layout.h>
#include <types.h>

/*
 * Back [start, start + size) of the kernel's address space, page aligned, with zeroed
 * memory from the boot allocator; what is backed already is left alone. Returns bytes
 * taken. For memmap, before boot_alloc_finish().
 */
uint64_t arch_map_boot_memory(uintptr_t start, uint64_t size);

/*
 * Memory for use is in the direct map below this address; from here on it must be mapped to be
 * reached: see kmap(). A multiple of the largest block.
 */
paddr_t arch_direct_map_end(void);

/* Clear one frame at a direct-map address. */
void arch_clear_page(void *page);

/*
 * Run fn(arg) on every CPU, this one included, with interrupts off there, and wait until all
 * have. From a thread with interrupts on that holds no spin lock.
 */
void arch_call_cpus(void (*fn)(void *arg), void *arg);

/*
 * Run fn(arg) here while all other CPUs stand still with interrupts off, hence without a spin
 * lock. All registers that could hold anything of a thread lie on its stack meanwhile. From a
 * thread with interrupts on that holds no spin lock.
 */
void arch_stand_still(void (*fn)(void *arg), void *arg);

/*
 * ---- Single pages at chosen addresses ---------------------------------------
 *
 * Two areas of the kernel's address space are mapped page by page, read-write and never
 * executable: [LARGE_BASE, LARGE_END), and the KMAP_PAGES pages from KMAP_BASE on. An address
 * belongs to whoever the owner of the area gave it to; nobody else maps or unmaps it.
 */

/*
 * Map the page at address, unmapped so far, to a frame. In the large area page tables are
 * made as needed. Returns 0, or -ENOMEM when there is no frame for one. No spin lock may be
 * held in the large area, and it may sleep there; in the kmap area callable from any context.
 */
int arch_vm_map(uintptr_t address, paddr_t frame) __must_check;

/*
 * Unmap a page and return the frame that it was mapped to. CPUs may still use the translation
 * until arch_vm_flush(): before that, neither frame nor address may serve anybody else. In the
 * kmap area callable from any context, else from any that holds no lock of rank RANK_MODULE or
 * higher.
 */
paddr_t arch_vm_unmap(uintptr_t address);

/* The frame that a page is mapped to, or ARCH_VM_NONE. Interrupts are off. Takes no lock. */
#define ARCH_VM_NONE UINT64_MAX
paddr_t arch_vm_lookup(uintptr_t address);

/*
 * Make every CPU forget its translations of [start, end), and wait until all have. Page tables
 * that have become empty are freed. From a thread with interrupts on.
 */
void arch_vm_flush(uintptr_t start, uintptr_t end);

/* Frames that page tables of the large area take. */
size_t arch_vm_tables(void);

#endif
