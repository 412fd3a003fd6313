/* SPDX-License-Identifier: MIT */
/*
 * Address spaces of programs: mm/address_space.c, mm/demand_paging.c, mm/page_table.c.
 *
 * An address space is an ordered set of regions, half-open ranges of pages with the same rights
 * and the same source, and the page tables that show the pages of them that have been touched.
 *
 * Addresses and lengths are bytes. Functions return 0 or a negative error number as the manual
 * pages of the system calls give it, and change nothing when they fail, unless told otherwise.
 * All may sleep and take the space's own lock: from a thread that holds no spin lock.
 */
#ifndef IKOS_ADDRESS_SPACE_H
#define IKOS_ADDRESS_SPACE_H

#include <abi/mman.h>
#include <arch/mmu.h>
#include <memory_object.h>
#include <trace.h>
#include <types.h>

/*
 * Programs have [USER_MIN, USER_END). With five levels of page tables that is more than 47 bits,
 * and there are programs which keep something of their own in the other bits of a pointer. So
 * nobody is given an address from USER_WINDOW on who has not asked for one: by MAP_FIXED, or a
 * hint.
 */
#define USER_MIN    0x10000ul
#define USER_WINDOW 0x7ffffffff000ul
#define USER_END    arch_mmu_user_end

struct address_space;

/* Once, at the start, before there is any. */
void space_init(void);

/* An empty one, with one reference; NULL for want of memory. */
struct address_space *space_create(void);

/*
 * References. The last one unmaps everything and frees the space and its page tables: no CPU uses
 * them any more, so a thread leaves its space by space_activate(NULL) before it drops it.
 */
struct address_space *space_get(struct address_space *space);
void space_put(struct address_space *space);

/*
 * A copy of parent as fork() makes it: private pages are shared until one of the two writes.
 * Returns the copy in *child, or -ENOMEM.
 */
int space_fork(struct address_space *parent, struct address_space **child) __must_check;

/*
 * mmap(). flags: MAP_*. object: NULL with MAP_ANONYMOUS; else it shows offset (a multiple of
 * PAGE_SIZE) on, and max_prot says which rights mprotect() may give later (a file that is open
 * for reading only, mapped shared, never becomes writable: EACCES); 0 without an object: all of
 * them. *address is the hint and then the result.
 */
int space_map(struct address_space *space, uintptr_t *address, size_t length, unsigned prot,
	      unsigned flags, struct memory_object *object, uint64_t offset, unsigned max_prot)
    __must_check;
int space_unmap(struct address_space *space, uintptr_t start, size_t length);

/*
 * The object that is mapped from its beginning at an address, with a reference, or NULL; and unmap
 * what of it, within length, still is where it came by being mapped whole at start: how many pages.
 */
struct memory_object *space_object_at(struct address_space *space, uintptr_t address);
size_t space_unmap_object(struct address_space *space, uintptr_t start, size_t length,
			  struct memory_object *object);

/* What lies before the first hole, or before what must not have these rights, gets them anyway. */
int space_protect(struct address_space *space, uintptr_t start, size_t length, unsigned prot);

/*
 * pkey_mprotect(): the same, and the pages get that protection key. NO_KEY: they keep theirs.
 * -EINVAL if the key is not one that space_key_alloc() gave.
 */
#define NO_KEY (-1)
int space_protect_key(struct address_space *space, uintptr_t start, size_t length, unsigned prot,
		      int key);

/* A protection key that is not taken; -ENOSPC: none is left; -EINVAL: the processor has none. */
int space_key_alloc(struct address_space *space);
int space_key_free(struct address_space *space, int key); /* 0, or -EINVAL: it is not taken */

/*
 * From now on no memory is made executable that is not, nor writable and executable at once
 * (-EACCES). There is no way back.
 */
void space_refuse_exec_gain(struct address_space *space);
bool space_refuses_exec_gain(struct address_space *space);

/*
 * Change what the running program may do with its memory [addr, addr + size): flags are PROT_*, or
 * the key of PROTECTION_KEY() with them. Returns 0, -EINVAL for a bad argument, -ESRCH if no
 * program runs on this CPU, -ENOMEM, or -EACCES.
 */
typedef unsigned protection_flags_t;
#define PROTECTION_KEY(key)	 (((unsigned)(key) + 1) << 8)
#define PROTECTION_KEY_OF(flags) ((int)((flags) >> 8) - 1) /* NO_KEY if there is none */
int set_memory_protection(void *addr, size_t size, protection_flags_t flags);

int space_remap(struct address_space *space, uintptr_t old, size_t old_length, size_t new_length,
		unsigned flags, uintptr_t new_hint, uintptr_t *result);

/*
 * Show other pages of the object that is mapped there for sharing, from page index of it on.
 * -EINVAL: what is there is not one such object throughout.
 */
int space_remap_pages(struct address_space *space, uintptr_t start, size_t length, uint64_t index);
int space_advise(struct address_space *space, uintptr_t start, size_t length, int advice);
int space_sync(struct address_space *space, uintptr_t start, size_t length, int flags);
int space_lock(struct address_space *space, uintptr_t start, size_t length, bool lock,
	       bool on_fault);
int space_lock_all(struct address_space *space, int flags); /* MCL_*; 0: munlockall() */

/* How many regions a space may have at most. Spaces that have more keep them. */
uint64_t space_regions_max(void);
extern uint64_t regions_max; /* (a) */

/* No huge pages in it from now on, whatever was asked for; or as was asked again. */
void space_forbid_huge(struct address_space *space, bool forbid);
bool space_forbids_huge(struct address_space *space);

/* mincore(): whether each page of [start, start + length) is there, a byte a page, 1 or 0. */
int space_incore(struct address_space *space, uintptr_t start, size_t length, uint8_t *vector);

/*
 * The heap: [start, end), grown and shrunk by brk(). Set the start once, by exec. Returns the
 * break that is in force then, which is the old one if the new one cannot be had.
 */
void space_set_heap(struct address_space *space, uintptr_t start);
uintptr_t space_break(struct address_space *space, uintptr_t wanted);

#define STACK_GUARD (256 * PAGE_SIZE) /* the gap that is kept below a stack, as Linux has it */

/* Make [top - limit, top) the stack: grows down on faults as far as that, above a guard gap. */
int space_map_stack(struct address_space *space, uintptr_t top, size_t limit) __must_check;

/*
 * Where the parts of a new program go: mm/space_layout.c. Addresses and offsets are multiples of
 * PAGE_SIZE, stack_offset of 16. random: draws a number.
 */
enum layout_kind {
	LAYOUT_FIXED,	    /* always the same */
	LAYOUT_RANDOM,	    /* program, mappings and stack at random places */
	LAYOUT_RANDOM_HEAP, /* the heap, too */
};

struct space_layout {
	uintptr_t program;	/* a program that can lie anywhere begins there */
	uintptr_t map_top;	/* mappings are made below */
	uintptr_t stack_top;	/* the stack's region ends there, */
	uintptr_t stack_offset; /* and its contents so far below */
	uintptr_t heap_offset;	/* from the end of the program to its heap */
};

void space_choose_layout(struct space_layout *layout, enum layout_kind kind, size_t stack_limit,
			 uint64_t (*random)(void));

/* Where mmap() looks for room from there down; space_map_stack() lowers it below the stack. */
void space_set_map_top(struct address_space *space, uintptr_t top);

/* Whether the gap is kept; at first it is. */
void space_guard_stack(struct address_space *space, bool guard);

/*
 * The same by process id. Return 0 or -ESRCH. space_of_process: set by who knows processes; it
 * returns a process's space with a reference, or NULL.
 */
int enable_stack_protection(int pid);
int disable_stack_protection(int pid);
extern struct address_space *(*space_of_process)(int pid);

#define HEAP_GUARD PAGE_SIZE /* the gaps that are kept beside a heap's mappings */

/* Whether they are kept, for mappings to come; at first they are not. By process id: as above. */
void space_guard_heap(struct address_space *space, bool guard);
bool space_guards_heap(struct address_space *space);
int enable_heap_protection(int pid);
int disable_heap_protection(int pid);

/* ---- Faults ------------------------------------------------------------------------------- */

enum fault_access {
	FAULT_READ,
	FAULT_WRITE,
	FAULT_EXEC,
};

enum fault_result {
	FAULT_DONE,	/* the access can be made again */
	FAULT_MAPERR,	/* nothing is mapped there */
	FAULT_ACCERR,	/* a mapping that does not allow it */
	FAULT_OVERFLOW, /* the same as MAPERR, in the guard below a stack or at its limit */
	FAULT_BUS,	/* behind the end of the file, or it could not be read */
	FAULT_NOMEM,	/* no frame could be had */
	FAULT_KEY,	/* the thread has denied itself what has this protection key */
	FAULT_HEAP,	/* the same as MAPERR or ACCERR, in the guard beside a heap */
};

/*
 * Resolve a page fault at address. Runs with interrupts on, in the thread that faulted; may sleep.
 */
enum fault_result space_fault(struct address_space *space, uintptr_t address,
			      enum fault_access access);

/* The same, telling what came of it: mm/space_trace.c. */
enum fault_result space_fault_traced(struct address_space *space, uintptr_t address,
				     enum fault_access access);

/* For those who have a fault to resolve, or make one up: told if trace=space was asked for. */
static inline enum fault_result
space_take_fault(struct address_space *space, uintptr_t address, enum fault_access access)
{
	if (trace_space_is_on())
		return space_fault_traced(space, address, access);
	return space_fault(space, address, access);
}

/*
 * Make the CPU that runs this use the space's page tables, or for NULL the kernel's alone.
 * From the scheduler, with interrupts off.
 */
void space_activate(struct address_space *space);

/* The space whose tables this CPU uses, with a reference, or NULL. */
struct address_space *space_running(void);

/* ---- What is in it: /proc ------------------------------------------------------------------ */

struct region_info {
	uintptr_t start, end;
	unsigned prot;	/* PROT_* */
	unsigned key;	/* protection key */
	unsigned flags; /* MAP_SHARED or MAP_PRIVATE, MAP_GROWSDOWN, MAP_LOCKED */
	bool heap, stack;
	bool wants_huge;		     /* a huge page is given where one fits */
	int huge_advice;		     /* madvise(): HUGEPAGE 1, NOHUGEPAGE -1, neither 0 */
	bool no_fork, wipe_on_fork, no_dump; /* madvise(): DONTFORK, WIPEONFORK, DONTDUMP */
	struct memory_object *object;	     /* NULL: anonymous. Valid during the call only */
	uint64_t offset;
	/* Pages that are mapped, by kind: */
	size_t huge; /* in huge pages; these count among the others, too */
	size_t resident, anonymous, shared, private_dirty, private_clean, shared_dirty,
	    shared_clean, locked;
};

/* Call fn for each region in order of address, until it returns false. fn must not sleep long. */
void space_each_region(struct address_space *space, bool (*fn)(const struct region_info *, void *),
		       void *arg);

/*
 * The region that holds an address, without the numbers of pages, which is quick. Returns false
 * if there is none. What object stands for is stable; the pointer is not to be followed.
 */
bool space_region_at(struct address_space *space, uintptr_t address, struct region_info *info);

/* What page tables show. */
struct shown_page {
	uint64_t frame; /* its number, if there is one */
	bool present;
	bool of_object; /* of a file, or of shared memory */
	bool exclusive; /* by no other entry than this */
};

/* The nr pages from start on. */
void space_get_pages(struct address_space *space, uintptr_t start, size_t nr,
		     struct shown_page *pages);

struct space_stats {
	size_t mapped;	 /* pages of all regions */
	size_t resident; /* pages that page tables show */
	size_t resident_anonymous, resident_huge;
	size_t peak_mapped, peak_resident;
	size_t locked, stack, data, text; /* pages of such regions */
	size_t tables;			  /* frames of page tables */
	bool locks_future;		  /* mappings to come will be locked */
	uint64_t faults_major, faults_minor;
	uint64_t faults_zero, faults_anonymous, faults_cow, faults_reuse, faults_file, faults_stack,
	    faults_spurious, faults_around; /* minor, by kind; pages mapped around */
	/* Huge pages given, wanted but not to be had, and made single pages: */
	uint64_t huge_faults, huge_fallbacks, huge_splits;
};

void space_get_stats(struct address_space *space, struct space_stats *stats);

/* Sums over all spaces that there are or were. */
void space_get_totals(struct space_stats *stats);

/*
 * Copy memory of a space that need not be the running one: mm/space_access.c. Returns how many
 * bytes, fewer where nothing is mapped that may be read, or written to. May sleep.
 */
size_t space_read(struct address_space *space, uintptr_t from, void *to, size_t size);
size_t space_write(struct address_space *space, uintptr_t to, const void *from, size_t size);

/* Recompute everything that can be recomputed. Returns the number of contradictions. */
unsigned space_check(struct address_space *space) __must_check;

#endif
