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
#include <arch/mmu.h>
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

/* Bytes of the direct map in pages that an entry of that level maps: 4 KiB, 2 MiB, 1 GiB. */
uint64_t arch_direct_map_bytes(unsigned level);

/* What this processor calls itself: somewhere in the buffer. */
const char *arch_cpu_name(char buffer[49]);

/* What it can do about encrypted memory, as text: in the buffer. */
const char *arch_memory_encryption(char buffer[80]);

/* What it can do, in the words of Linux's /proc/cpuinfo: in the buffer. */
const char *arch_cpu_flags(char *buffer, size_t size);

/* Bits of physical addresses. */
unsigned arch_physical_bits(void);

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

/*
 * ---- Address spaces of programs ----------------------------------------------
 *
 * Each has a tree of page tables; single entries are handled by the inlines in <arch/mmu.h>.
 */

/* A root table that shows the kernel and nothing else. Returns its frame; 0: no memory. */
paddr_t arch_mmu_new_root(void);

/* Give it back: no CPU uses it, and nothing of a program's is left below it. */
void arch_mmu_free_root(paddr_t root);

/* The entries of a root that are the program's: [0, n). */
unsigned arch_mmu_root_entries(void);

/*
 * Use the tables below root on this CPU, or for 0 the kernel's own. Interrupts are off, and this
 * CPU has been entered in users->cpus, which is NULL for the kernel's.
 */
void arch_mmu_load(paddr_t root, const struct mmu_users *users);

/* Forget this CPU's translation of the page at an address; if that is large, of all of it. */
void arch_mmu_forget(uintptr_t address);

/*
 * Make the CPUs that use the tables forget their translations of nr pages, or all of programs if
 * pages is NULL, and wait until they have; of a large page any address does. Those that used them
 * before forget them before they do so again. users->cpus is read with interrupts off. From a
 * thread that holds no spin lock.
 */
void arch_mmu_flush(struct mmu_users *users, const uintptr_t *pages, unsigned nr);

/*
 * Protection keys: how many there are, key 0 among them (1: the processor has none); and what the
 * running thread denies itself of a key's memory, which the processor enforces, on accesses of the
 * kernel to the program's memory, too.
 */
#define KEY_NO_ACCESS 1u
#define KEY_NO_WRITE  2u
unsigned arch_nr_keys(void);
unsigned arch_key_denied(unsigned key);
void arch_key_deny(unsigned key, unsigned denied);

#endif
