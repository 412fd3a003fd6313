/* SPDX-License-Identifier: MIT */
/* The host's processor as far as programs use it: what it keeps of page tables. */
#ifndef SPACE_MMU_H
#define SPACE_MMU_H

#include <address_space.h>
#include <arch.h>

/*
 * What the processor takes an address of a space to mean: what it remembers, right or wrong, or
 * else what the page tables say, which it then remembers until it is told to forget.
 */
mmu_entry_t host_mmu_translate(struct address_space *space, uintptr_t address);

/* It has faulted there, which makes it forget that one. */
void host_mmu_fault(struct address_space *space, uintptr_t address);

/* Which of two CPUs runs the program. */
extern _Thread_local unsigned host_mmu_cpu;

/* Forget everything: a new machine. */
void host_mmu_reset(void);

#endif
