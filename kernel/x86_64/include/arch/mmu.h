/* SPDX-License-Identifier: MIT */
/*
 * Entries of page tables, as far as portable code handles them: it makes, reads and changes them
 * through these functions only. The rest of arch_mmu_*() is in <arch.h>.
 *
 * A table has MMU_ENTRIES entries. An entry of a table of level 0 maps a page; one of level n
 * leads to a table of level n - 1. The root is of level arch_mmu_levels - 1.
 *
 * An entry of level 1 may also map MMU_ENTRIES pages at once, side by side, in as many frames side
 * by side, the first of which has a number that is a multiple of that: a large entry.
 *
 * An entry of a page that is not 0 belongs to its frame. Without any right it is hidden: no access
 * of a program succeeds, but the frame is still found there. (Here: not present, a bit of our own.)
 *
 * Beside rights, an entry carries a protection key. Each thread says for each key what it denies
 * itself; key 0 is that of memory for which nobody asked for one.
 *
 *	63  62..59  51..47  46 .. 12  9  8..0     where memory is encrypted, one of the bits from 47
 *	NX  key     C-bit   frame     H  rights   on is the C-bit, set in every entry; no frame's
 *	                                          address is that long
 */
#ifndef ARCH_MMU_H
#define ARCH_MMU_H

#include <types.h>

typedef uint64_t mmu_entry_t; /* 0: nothing is there */

#define MMU_LEVEL_BITS 9
#define MMU_ENTRIES    (1u << MMU_LEVEL_BITS)
#define MMU_MAX_LEVELS 5

/* Rights; whoever may do anything may also read. */
#define MMU_READ  1u
#define MMU_WRITE 2u
#define MMU_EXEC  4u
#define MMU_ALL	  7u

/* Added to rights: the protection key. */
#define MMU_KEYS	16u
#define MMU_KEY(key)	((key) << 3)
#define MMU_KEY_OF(sum) ((sum) >> 3)
#define MMU_NR_RIGHTS	MMU_KEY(MMU_KEYS)

/* Intel SDM vol. 3, 4.5; the same as in kernel/x86_64/pte.h. */
#define MMU_BIT_PRESENT	 (1ul << 0)
#define MMU_BIT_WRITE	 (1ul << 1)
#define MMU_BIT_USER	 (1ul << 2)
#define MMU_BIT_ACCESSED (1ul << 5)
#define MMU_BIT_DIRTY	 (1ul << 6)
#define MMU_BIT_LARGE	 (1ul << 7) /* of level 1; in entries of level 0 never set */
#define MMU_BIT_HIDDEN	 (1ul << 9) /* ignored by the processor */
#define MMU_ADDRESS	 0x00007ffffffff000ul
#define MMU_C_BIT_MIN	 47
#define MMU_C_BIT_MAX	 51
#define MMU_KEY_SHIFT	 59

extern unsigned arch_mmu_levels;    /* (c) 4 or 5 */
extern uintptr_t arch_mmu_user_end; /* (c) one past the highest address of programs */

/*
 * Who uses the tables below a root, and what the processors must know of them to forget what they
 * were. All 0, but the id.
 */
struct mmu_users {
	uint64_t cpus;	  /* (a) a bit for each CPU that uses them now */
	uint64_t id;	  /* (c) not 0, and of no other root, before or after */
	uint64_t flushes; /* (a) how often pages were to be forgotten; the machine's own */
};

/* What entries are made of. user_map.c fills it. */
struct mmu_format {
	uint64_t no_exec;		/* 0 where the processor has no such right */
	uint64_t encrypted;		/* the C-bit, or 0 */
	uint64_t grants[MMU_NR_RIGHTS]; /* all other bits of a page's entry, by rights and key */
};
extern struct mmu_format arch_mmu_format; /* (c) */

/* An entry that maps a page to a frame with those rights and that key. */
static inline mmu_entry_t
arch_mmu_page(paddr_t frame, unsigned rights)
{
	return frame | arch_mmu_format.grants[rights];
}

/* An entry of level 1 that maps MMU_ENTRIES pages: made of that of the first of them. */
static inline mmu_entry_t
arch_mmu_large(mmu_entry_t first)
{
	return first | MMU_BIT_LARGE;
}

/* Of level 1 and not 0: does it map pages, and leads to no table? */
static inline bool
arch_mmu_is_large(mmu_entry_t entry)
{
	return (entry & MMU_BIT_LARGE) != 0;
}

/* The entry of level 0 that does for page i what a large one does for it, rights and use too. */
static inline mmu_entry_t
arch_mmu_small(mmu_entry_t large, unsigned i)
{
	return (large & ~MMU_BIT_LARGE) + i * PAGE_SIZE;
}

/* An entry that leads to the table in that frame. */
static inline mmu_entry_t
arch_mmu_table(paddr_t table)
{
	return table | arch_mmu_format.encrypted | MMU_BIT_PRESENT | MMU_BIT_USER | MMU_BIT_WRITE;
}

/* The frame of an entry: of its page, or of its table. */
static inline paddr_t
arch_mmu_frame(mmu_entry_t entry)
{
	return entry & MMU_ADDRESS;
}

/* May a program access it at all? */
static inline bool
arch_mmu_is_visible(mmu_entry_t entry)
{
	return (entry & MMU_BIT_PRESENT) != 0;
}

static inline bool
arch_mmu_is_writable(mmu_entry_t entry)
{
	return (entry & MMU_BIT_WRITE) != 0;
}

static inline bool
arch_mmu_is_executable(mmu_entry_t entry)
{
	return arch_mmu_is_visible(entry) && (entry & arch_mmu_format.no_exec) == 0;
}

static inline unsigned
arch_mmu_key(mmu_entry_t entry)
{
	return entry >> MMU_KEY_SHIFT & (MMU_KEYS - 1);
}

/* Has the page been used, or written to, through this entry? The processor notes it. */
static inline bool
arch_mmu_is_accessed(mmu_entry_t entry)
{
	return (entry & MMU_BIT_ACCESSED) != 0;
}

static inline bool
arch_mmu_is_dirty(mmu_entry_t entry)
{
	return (entry & MMU_BIT_DIRTY) != 0;
}

/* The same page or pages with other rights and key. What has been noted about their use is kept. */
static inline mmu_entry_t
arch_mmu_with_rights(mmu_entry_t entry, unsigned rights)
{
	return arch_mmu_page(arch_mmu_frame(entry), rights) |
	       (entry & (MMU_BIT_ACCESSED | MMU_BIT_DIRTY | MMU_BIT_LARGE));
}

/* The same without the right to write. */
static inline mmu_entry_t
arch_mmu_read_only(mmu_entry_t entry)
{
	return entry & ~MMU_BIT_WRITE;
}

/* Processors walk the tables, and note use in them, at the same time as all below. */
static inline mmu_entry_t
arch_mmu_read(const mmu_entry_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

/* Write where nothing is, or nothing that a processor could note use in. */
static inline void
arch_mmu_write(mmu_entry_t *at, mmu_entry_t entry)
{
	__atomic_store_n(at, entry, __ATOMIC_RELEASE);
}

/* Replace what is there; what was, with all that was noted in it. */
static inline mmu_entry_t
arch_mmu_exchange(mmu_entry_t *at, mmu_entry_t entry)
{
	return __atomic_exchange_n(at, entry, __ATOMIC_ACQ_REL);
}

/* Take away the right to write; what was there. */
static inline mmu_entry_t
arch_mmu_write_protect(mmu_entry_t *at)
{
	return __atomic_fetch_and(at, ~MMU_BIT_WRITE, __ATOMIC_ACQ_REL);
}

/* Note that the page has been written to. */
static inline void
arch_mmu_mark_dirty(mmu_entry_t *at)
{
	__atomic_fetch_or(at, MMU_BIT_DIRTY, __ATOMIC_RELAXED);
}

/* Copy a frame. Both at addresses of the direct map. */
static inline void
arch_copy_page(void *to, const void *from)
{
	uint64_t count = PAGE_SIZE / sizeof(uint64_t);

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

#endif
