/* SPDX-License-Identifier: MIT */
/*
 * Entries of page tables of a machine that never was: as in kernel/x86_64/include/arch/mmu.h,
 * but the bits lie elsewhere, so that nobody can rely on where they are.
 */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include <string.h>
#include <types.h>

typedef uint64_t mmu_entry_t;

#define MMU_LEVEL_BITS 9
#define MMU_ENTRIES    (1u << MMU_LEVEL_BITS)
#define MMU_MAX_LEVELS 5

#define MMU_READ  1u
#define MMU_WRITE 2u
#define MMU_EXEC  4u
#define MMU_ALL	  7u

#define MMU_KEYS	8u
#define MMU_KEY(key)	((key) << 3)
#define MMU_KEY_OF(sum) ((sum) >> 3)

#define HOST_ENTRY_VISIBLE  (1ul << 60)
#define HOST_ENTRY_WRITE    (1ul << 61)
#define HOST_ENTRY_EXEC	    (1ul << 62)
#define HOST_ENTRY_HIDDEN   (1ul << 3)
#define HOST_ENTRY_TABLE    (1ul << 4)
#define HOST_ENTRY_ACCESSED (1ul << 2)
#define HOST_ENTRY_DIRTY    (1ul << 1)
#define HOST_ENTRY_LARGE    (1ul << 5)
#define HOST_ENTRY_FRAME    0x000ffffffffff000ul
#define HOST_ENTRY_KEY	    6 /* to 8 */

/* A test may change both while there is no space. */
extern unsigned arch_mmu_levels;
extern uintptr_t arch_mmu_user_end;

struct mmu_users {
	uint64_t cpus, id, flushes;
};

/* A bit of the frame's address that every entry must have, and no frame has; a test sets it. */
extern uint64_t host_mmu_encrypted;

static inline mmu_entry_t
arch_mmu_page(paddr_t frame, unsigned rights)
{
	frame |= host_mmu_encrypted | (uint64_t)MMU_KEY_OF(rights) << HOST_ENTRY_KEY;
	if (!(rights & MMU_ALL))
		return frame | HOST_ENTRY_HIDDEN;
	return frame | HOST_ENTRY_VISIBLE | (rights & MMU_WRITE ? HOST_ENTRY_WRITE : 0) |
	       (rights & MMU_EXEC ? HOST_ENTRY_EXEC : 0);
}

static inline mmu_entry_t
arch_mmu_large(mmu_entry_t first)
{
	return first | HOST_ENTRY_LARGE;
}

static inline bool
arch_mmu_is_large(mmu_entry_t entry)
{
	return (entry & HOST_ENTRY_LARGE) != 0;
}

static inline mmu_entry_t
arch_mmu_small(mmu_entry_t large, unsigned i)
{
	return (large & ~HOST_ENTRY_LARGE) + i * PAGE_SIZE;
}

static inline mmu_entry_t
arch_mmu_table(paddr_t table)
{
	return table | host_mmu_encrypted | HOST_ENTRY_TABLE;
}

static inline paddr_t
arch_mmu_frame(mmu_entry_t entry)
{
	return entry & HOST_ENTRY_FRAME & ~host_mmu_encrypted;
}

static inline bool
arch_mmu_is_visible(mmu_entry_t entry)
{
	return (entry & HOST_ENTRY_VISIBLE) != 0;
}

static inline bool
arch_mmu_is_writable(mmu_entry_t entry)
{
	return (entry & HOST_ENTRY_WRITE) != 0;
}

static inline bool
arch_mmu_is_executable(mmu_entry_t entry)
{
	return (entry & HOST_ENTRY_EXEC) != 0;
}

static inline unsigned
arch_mmu_key(mmu_entry_t entry)
{
	return entry >> HOST_ENTRY_KEY & (MMU_KEYS - 1);
}

static inline bool
arch_mmu_is_accessed(mmu_entry_t entry)
{
	return (entry & HOST_ENTRY_ACCESSED) != 0;
}

static inline bool
arch_mmu_is_dirty(mmu_entry_t entry)
{
	return (entry & HOST_ENTRY_DIRTY) != 0;
}

static inline mmu_entry_t
arch_mmu_with_rights(mmu_entry_t entry, unsigned rights)
{
	return arch_mmu_page(arch_mmu_frame(entry), rights) |
	       (entry & (HOST_ENTRY_ACCESSED | HOST_ENTRY_DIRTY | HOST_ENTRY_LARGE));
}

static inline mmu_entry_t
arch_mmu_read_only(mmu_entry_t entry)
{
	return entry & ~HOST_ENTRY_WRITE;
}

/* The simulated processor follows it without a lock: what it leads to must be seen, too. */
static inline mmu_entry_t
arch_mmu_read(const mmu_entry_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void
arch_mmu_write(mmu_entry_t *at, mmu_entry_t entry)
{
	__atomic_store_n(at, entry, __ATOMIC_RELEASE);
}

static inline mmu_entry_t
arch_mmu_exchange(mmu_entry_t *at, mmu_entry_t entry)
{
	return __atomic_exchange_n(at, entry, __ATOMIC_ACQ_REL);
}

static inline mmu_entry_t
arch_mmu_write_protect(mmu_entry_t *at)
{
	return __atomic_fetch_and(at, ~HOST_ENTRY_WRITE, __ATOMIC_ACQ_REL);
}

static inline void
arch_mmu_mark_dirty(mmu_entry_t *at)
{
	__atomic_fetch_or(at, HOST_ENTRY_DIRTY, __ATOMIC_RELAXED);
}

static inline void
arch_copy_page(void *to, const void *from)
{
	memcpy(to, from, PAGE_SIZE);
}

#endif
