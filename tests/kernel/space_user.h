/* SPDX-License-Identifier: MIT */
/*
 * Playing a program: accesses to an address space as the processor would make them, entry first
 * and fault if that is not enough, through the direct map. No user mode is needed, and the host
 * build can do the same.
 */
#ifndef SPACE_USER_H
#define SPACE_USER_H

#include <address_space.h>

#include "../../mm/space_internal.h"

/* How the processor finds an entry. The host's has a memory of its own: tests/host/space_mmu.h. */
#ifdef SPACE_MMU_H
#define translate(space, address)  host_mmu_translate(space, address)
#define note_fault(space, address) host_mmu_fault(space, address)
#define run_on(cpu)		   (host_mmu_cpu = (cpu))
#else
#define translate(space, address)  page_table_lookup(&(space)->table, address)
#define note_fault(space, address) ((void)(space))
#define run_on(cpu)		   ((void)(cpu))
#endif

#define RW (PROT_READ | PROT_WRITE)

/* Does the entry allow it, and the running thread itself? */
static inline bool
entry_allows(mmu_entry_t entry, enum fault_access access)
{
	if (!arch_mmu_is_visible(entry) || key_denies(arch_mmu_key(entry), access))
		return false;
	if (access == FAULT_WRITE)
		return arch_mmu_is_writable(entry);
	return access == FAULT_READ || arch_mmu_is_executable(entry);
}

/* The byte at an address, after faulting as often as needed; *result says why there is none. */
static inline unsigned char *
user_byte(struct address_space *space, uintptr_t address, enum fault_access access,
	  enum fault_result *result)
{
	/* Another thread's fork() may take the right to write again before it is used. */
	for (unsigned tries = 0; tries < 100; tries++) {
		mmu_entry_t entry = translate(space, address);

		if (entry_allows(entry, access)) {
			*result = FAULT_DONE;
			return (unsigned char *)phys_to_virt(arch_mmu_frame(entry)) +
			       address % PAGE_SIZE;
		}
		note_fault(space, address);
		*result = space_take_fault(space, address, access);
		if (*result != FAULT_DONE)
			return NULL;
	}
	*result = FAULT_HEAP + 1; /* faults that change nothing */
	return NULL;
}

static inline enum fault_result
user_write(struct address_space *space, uintptr_t address, unsigned char value)
{
	enum fault_result result;
	unsigned char *byte = user_byte(space, address, FAULT_WRITE, &result);

	if (byte)
		*byte = value;
	return result;
}

/* The value, or -1 - the result. */
static inline int
user_read(struct address_space *space, uintptr_t address)
{
	enum fault_result result;
	unsigned char *byte = user_byte(space, address, FAULT_READ, &result);

	return byte ? *byte : -1 - (int)result;
}

/* Map pages of anonymous memory anywhere. Returns the address, or 0. */
static inline uintptr_t
user_map(struct address_space *space, size_t pages, unsigned prot)
{
	uintptr_t address = 0;

	if (space_map(space, &address, pages << PAGE_SHIFT, prot, MAP_PRIVATE | MAP_ANONYMOUS, NULL,
		      0, 0) != 0)
		return 0;
	return address;
}

#endif
