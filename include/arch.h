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

/* End of physical memory that the direct map reaches, bytes. */
paddr_t arch_direct_map_end(void);

/* Clear one frame at a direct-map address. */
void arch_clear_page(void *page);

/*
 * Run fn(arg) on every CPU, this one included, with interrupts off there, and wait until all
 * have. From a thread with interrupts on that holds no spin lock.
 */
void arch_call_cpus(void (*fn)(void *arg), void *arg);

#endif
