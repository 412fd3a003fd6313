/* SPDX-License-Identifier: MIT */
/*
 * Address spaces from inside: what the files of layer 4 share. The theory is in
 * mm/address_space.c (spaces), region.c, mapped_range.c, demand_paging.c and reverse_map.c.
 *
 * (c) fixed   (m) space->lock   (a) atomic   (g) spaces_lock   (o) object->lock
 */
#ifndef SPACE_INTERNAL_H
#define SPACE_INTERNAL_H

#include <address_space.h>
#include <list.h>
#include <mutex.h>
#include <page_table.h>
#include <range_tree.h>
#include <user_page.h>

/* ---- Regions: mm/region.c ---------------------------------------------------------------- */

/* flags of a region: MAP_SHARED or MAP_PRIVATE, MAP_GROWSDOWN, MAP_LOCKED, and of our own: */
#define REGION_NO_FORK	     0x10000000u /* a child does not get it */
#define REGION_LOCK_ON_FAULT 0x20000000u /* with MAP_LOCKED: pages come when they are touched */
#define REGION_RANDOM	     0x40000000u /* what lies around a touched page will not be wanted */
#define REGION_HUGE	     0x01000000u /* huge pages are asked for */
#define REGION_NO_HUGE	     0x02000000u /* none are wanted */
#define REGION_WIPE_ON_FORK  0x04000000u /* a child's is empty */
#define REGION_NO_DUMP	     0x08000000u /* would not be in a core dump, were there any */
#define REGION_KEPT_FLAGS    (MAP_SHARED | MAP_PRIVATE | MAP_GROWSDOWN | MAP_LOCKED)

struct region {
	struct range range;	      /* (m) where it is; also [key, end) for those who hold (o) */
	struct address_space *space;  /* (c) NULL: a cursor, see reverse_map.c */
	unsigned prot, max_prot;      /* (m) PROT_* */
	unsigned flags;		      /* (m) */
	unsigned rights;	      /* (m) MMU_* of its entries: what prot says, and the key */
	struct memory_object *object; /* (c) with a reference; NULL: anonymous */
	uint64_t offset;	      /* (m) page of the object that its first page shows */
	uint64_t home;		      /* (m) number of its first page where it was mapped first */
	uintptr_t lowest;	      /* (c) of a stack: it may grow down to there */
	struct list_head object_link; /* (o) in object->regions; or in a list of dead ones */
	struct list_head moved_link;  /* (m) in space->moved if home is elsewhere */
};

static inline uintptr_t
region_start(const struct region *region)
{
	return region->range.node.key;
}

static inline uintptr_t
region_end(const struct region *region)
{
	return region->range.end;
}

static inline size_t
region_pages(const struct region *region)
{
	return (region_end(region) - region_start(region)) >> PAGE_SHIFT;
}

static inline bool
region_is_private(const struct region *region)
{
	return (region->flags & MAP_PRIVATE) != 0;
}

/* Must its object be asked before a page of it is written to? */
static inline bool
region_tracks_writes(const struct region *region)
{
	return region->object && region->object->ops->tracks_writes && !region_is_private(region);
}

/* The page of its object, or the home of its anonymous page, at an address in it. */
static inline uint64_t
region_index(const struct region *region, uintptr_t address)
{
	return region->offset + ((address - region_start(region)) >> PAGE_SHIFT);
}

static inline uint64_t
region_home(const struct region *region, uintptr_t address)
{
	return region->home + ((address - region_start(region)) >> PAGE_SHIFT);
}

static inline unsigned
region_key(const struct region *region)
{
	return MMU_KEY_OF(region->rights);
}

/* What entries of its pages may grant, MMU_*, with their key; those of shared frames less. */
static inline unsigned
prot_rights(unsigned prot, unsigned key)
{
	/* Whatever may be done with a page, it may be read, too: the processor knows no other. */
	static const uint8_t rights[] = {
		0,		      /* PROT_NONE */
		MMU_READ,	      /* PROT_READ */
		MMU_READ | MMU_WRITE, /* PROT_WRITE */
		MMU_READ | MMU_WRITE, /* PROT_WRITE | PROT_READ */
		MMU_READ | MMU_EXEC,  /* PROT_EXEC */
		MMU_READ | MMU_EXEC,  /* PROT_EXEC | PROT_READ */
		MMU_ALL,	      /* PROT_EXEC | PROT_WRITE */
		MMU_ALL,	      /* all */
	};

	return rights[prot] | MMU_KEY(key);
}

/* Regions allocated before anything is changed, so that nothing fails halfway. */
#define SPARES_MAX 7

struct region_spares {
	struct region *region[SPARES_MAX];
	unsigned nr;
};

/*
 * Have nr more of them; a struct that is all zero has none. Returns 0 or -ENOMEM. A space may be
 * locked, so that no more are asked for than the call needs: who gives memory back when there is
 * none must not fail for want of it.
 */
int regions_reserve(struct region_spares *spares, unsigned nr) __must_check;
void regions_release(struct region_spares *spares);
struct region *regions_take_spare(struct region_spares *spares);

/* Enter a region whose other fields are set, at [start, end), which is free. Space locked. */
void region_link(struct address_space *space, struct region *region, uintptr_t start,
		 uintptr_t end);

/* Take it out, onto a list of dead ones; regions_bury() frees these, with the space unlocked. */
void region_unlink(struct region *region, struct list_head *dead);
void regions_bury(struct list_head *dead);

/* The part from address on becomes a region of its own, made of a spare one. */
struct region *region_split(struct region *region, uintptr_t address, struct region_spares *spares);

/* Unite with the neighbours of [start, end) and in it what need not be apart. */
void regions_merge(struct address_space *space, uintptr_t start, uintptr_t end,
		   struct list_head *dead);

/* Let a region begin lower (one without object), or end elsewhere. Nothing is in the way. */
void region_grow_down(struct region *region, uintptr_t start);
void region_grow_up(struct region *region, uintptr_t end);

/* The region that holds address; the lowest that ends behind it; the next. NULL if none. */
struct region *region_find(struct address_space *space, uintptr_t address);
struct region *region_find_from(struct address_space *space, uintptr_t address);
struct region *region_next(const struct region *region);
struct region *region_prev(const struct region *region);

/* Is every page of [start, end) in a region? */
bool regions_cover(struct address_space *space, uintptr_t start, uintptr_t end);

/*
 * Cut regions at start and end, so that [start, end) is whole ones. regions_cuts() says how many
 * spares that takes: 0 to 2.
 */
unsigned regions_cuts(struct address_space *space, uintptr_t start, uintptr_t end);
void regions_cut(struct address_space *space, uintptr_t start, uintptr_t end,
		 struct region_spares *spares);

/* ---- Spaces: mm/address_space.c ----------------------------------------------------------- */

/* Spaces that came from one another by fork: they may share anonymous pages. */
struct space_family {
	struct list_head spaces; /* (g) a child behind its parent */
};

struct address_space {
	struct mutex lock;
	unsigned references;		/* (a) */
	struct mmu_users users;		/* the CPUs that use its tables */
	struct range_tree regions;	/* (m) */
	struct region *last;		/* (m) the region of the last fault, or NULL */
	struct list_head moved;		/* (m) regions that are not at home */
	struct page_table table;	/* (m) */
	struct space_family *family;	/* (c) */
	struct list_head kin;		/* (g) in family->spaces */
	struct list_head all;		/* (g) in all_spaces */
	uintptr_t heap_start, heap_end; /* (m) the break, to the byte */
	uintptr_t map_top;		/* (m) mmap() looks for room from there down */
	uintptr_t heap_next;		/* (m) with guards beside mappings, from there */
	bool guard_stack;		/* (m) keep a gap below stacks */
	bool guard_heap;		/* (m) and beside mappings */
	bool no_exec_gain;		/* (m) nothing is to become executable, see there: */
	uint16_t keys;			/* (m) memory_protection.c: bit n: key n is taken */
	uint8_t exec_key;		/* (m) that of memory that is executed only; 0: none */
	bool no_huge;			/* (m) no huge pages, whatever is asked for */
	unsigned lock_future;		/* (m) MCL_FUTURE, MCL_ONFAULT: of mappings to come */
	size_t nr_mapped;		/* (m) pages of all regions */
	size_t nr_resident;		/* (m) entries that are not 0, the zero page's apart */
	size_t nr_anonymous;		/* (m) anonymous pages among them */
	size_t nr_huge;			/* (m) huge pages; each counts for HUGE_PAGES above */
	struct space_stats stats;	/* (m) peaks and what is counted by events */
};

/* Guards the list of all spaces, and families. Taken before the lock of any space. */
extern struct mutex spaces_lock;
extern struct list_head all_spaces; /* (g) */

static inline void
assert_space_locked(const struct address_space *space)
{
	DEBUG_ASSERT(mutex_is_held(&space->lock));
	(void)space;
}

/* An empty one in that family, or in one of its own for NULL. */
struct address_space *space_create_in(struct space_family *family);

/* Add what a space has counted to that of spaces that are gone. spaces_lock is held. */
void space_retire_stats(struct address_space *space);

/*
 * Round length up to pages. Returns -EINVAL if start is not at a page, or the range is empty or
 * reaches beyond the user half.
 */
int space_check_range(uintptr_t start, size_t *length) __must_check;

/* All with the space locked. Take out regions and pages; spares for the cuts. */
void unmap_locked(struct address_space *space, uintptr_t start, uintptr_t end,
		  struct region_spares *spares, struct list_head *dead);

/* Would that many more regions be too many? */
bool has_too_many_regions(struct address_space *space, unsigned more);

/* mm/space_map.c: may a mapping be made there; where could one of that length go? */
bool is_free(struct address_space *space, uintptr_t start, uintptr_t end);
bool find_place(struct address_space *space, size_t length, uintptr_t hint, uintptr_t *start)
    __must_check;

/* The highest free place below high that is clear of stacks. */
bool find_place_below(struct address_space *space, size_t length, uintptr_t high, uintptr_t *start)
    __must_check;

/* mm/user_heap.c: a place with a guard on each side; is there memory of the heap next to a page? */
bool heap_find_place(struct address_space *space, size_t length, uintptr_t *start) __must_check;
bool heap_is_beside(struct address_space *space, uintptr_t address);

/* Count pages of regions that have come or gone. */
void space_count_mapped(struct address_space *space, int64_t pages);

/* Count entries of pages that have come. */
static inline void
space_count_resident(struct address_space *space, size_t pages)
{
	space->nr_resident += pages;
	if (space->nr_resident > space->stats.peak_resident)
		space->stats.peak_resident = space->nr_resident;
}

/* ---- Protection: mm/memory_protection.c ---------------------------------------------------- */

/* What a new space begins with: key 0. */
void protection_init(struct address_space *space);

/* May memory get these rights in a space where nothing becomes executable? had: that it has. */
static inline bool
gains_exec(unsigned had, unsigned prot)
{
	return (prot & PROT_EXEC) && ((prot & PROT_WRITE) || !(had & PROT_EXEC));
}

/* The key of memory that is only executed, to which the running thread has no access; or 0. */
unsigned exec_only_key(struct address_space *space);

/* The key of a new mapping with these rights. Space locked. */
static inline unsigned
key_of_new(struct address_space *space, unsigned prot)
{
	return unlikely(prot == PROT_EXEC) ? exec_only_key(space) : 0;
}

/* Does the running thread deny itself such an access to what has that key? */
bool key_denies(unsigned key, enum fault_access access);

/* ---- Pages in ranges: mm/mapped_range.c ---------------------------------------------------- */

/* The page of zeroes that reading untouched memory shows; never counted, never writable. */
extern struct page *zero_page; /* (c) */

static inline struct page *
entry_page(mmu_entry_t entry)
{
	return pfn_to_page(arch_mmu_frame(entry) >> PAGE_SHIFT);
}

static inline bool
page_is_anonymous(const struct page *page)
{
	return page->use == PAGE_USE_ANON;
}

/*
 * What has been taken out of page tables, but is still in use until CPUs have been flushed.
 */
#define GATHER_PAGES	 64
#define GATHER_ADDRESSES 32
#define GATHER_HUGE	 16

struct gather {
	struct address_space *space;
	unsigned nr_pages, nr_addresses, nr_huge;
	bool flush_all; /* more addresses than there is room for */
	struct page *page[GATHER_PAGES];
	struct page *huge[GATHER_HUGE]; /* the first of each huge page */
	uintptr_t address[GATHER_ADDRESSES];
	struct list_head tables; /* pruned */
};

void gather_begin(struct gather *gather, struct address_space *space);

/* Flush and free. It may be used again. */
void gather_end(struct gather *gather);

/* A translation of address is to be forgotten. */
static inline void
gather_address(struct gather *gather, uintptr_t address)
{
	if (gather->nr_addresses < GATHER_ADDRESSES)
		gather->address[gather->nr_addresses++] = address;
	else
		gather->flush_all = true;
}

/* And then the huge page that begins there and with that frame loses a mapping. */
void gather_huge(struct gather *gather, uintptr_t address, struct page *head);

/*
 * All with the space locked; start and end are page aligned, and not inside of a huge page: who
 * works on a part of a region splits first.
 */

/* Take out the pages that are there, copies of the program's own only if anonymous_too. */
void unmap_pages(struct gather *gather, uintptr_t start, uintptr_t end, bool anonymous_too);

/* Give the pages of a region in [start, end) the rights of its prot. */
void protect_pages(struct gather *gather, const struct region *region);

/* Take the right to write out of entries in [start, end). */
void write_protect_pages(struct gather *gather, uintptr_t start, uintptr_t end);

/* Show the child what fork() copies of a region; from the parent the right to write goes. */
int copy_pages(struct gather *gather, const struct region *region, struct address_space *child)
    __must_check;

/* Have tables for [to, ...) where there are pages in [start, end); then move these there. */
int prepare_move(struct address_space *space, uintptr_t start, uintptr_t end, uintptr_t to)
    __must_check;
void move_pages(struct gather *gather, uintptr_t start, uintptr_t end, uintptr_t to);

/* Free tables of [start, end) that are empty. */
void prune_tables(struct gather *gather, uintptr_t start, uintptr_t end);

/* ---- Huge pages: mm/huge_page.c ------------------------------------------------------------- */

enum huge_policy { HUGE_OFF, HUGE_ADVISED, HUGE_ALWAYS };

extern enum huge_policy huge_pages; /* tunable mm.huge_pages */

/* May there be huge pages in a region, as it is and as its flags and the policy say? */
bool huge_is_wanted(const struct region *region);

/*
 * All with the space locked. Map a huge page around an address of a region, where no table is yet.
 * Returns false if it does not fit, or is not to be had at once: then a small one has to do.
 */
bool huge_map(struct address_space *space, const struct region *region, uintptr_t address);

/* Make single pages of one; row describes them then. At an address: of one that lies across it. */
void huge_split(struct address_space *space, struct page_row *row);
void huge_split_at(struct address_space *space, uintptr_t address);

/* What the functions of mapped_range.c do where a row is one. */
void huge_unmap(struct gather *gather, struct page_row *row);
int huge_copy(struct gather *gather, struct page_row *row, struct address_space *child)
    __must_check;

/*
 * Have a table for its entry at another address; where it cannot be mapped whole, split it, which
 * row tells. Then move it.
 */
int huge_prepare_move(struct address_space *space, struct page_row *row, uintptr_t to) __must_check;
void huge_move(struct gather *gather, struct page_row *row, uintptr_t to);

/* ---- Faults: mm/demand_paging.c, mm/populate.c, mm/stack_protection.c ------------------------ */

/* The fault handler for a region that has been found. Space locked. */
enum fault_result fault_in_region(struct address_space *space, struct region *region,
				  uintptr_t address, enum fault_access access);

/*
 * Bring in all pages of [start, end) that are in regions, for writing where that copies nothing
 * twice. Returns 0, -ENOMEM for want of memory, or -EFAULT when one cannot be had. Space locked.
 */
int populate(struct address_space *space, uintptr_t start, uintptr_t end) __must_check;

/* The same in one region, for one kind of access. -EFAULT, too: it may not have that. */
int populate_region(struct address_space *space, struct region *region, uintptr_t start,
		    uintptr_t end, enum fault_access access) __must_check;

/*
 * The address is in no region. Grow the stack above to hold it, if there is one that may:
 * returns that in *region and FAULT_DONE; FAULT_OVERFLOW; FAULT_MAPERR. Space locked.
 */
enum fault_result stack_grow(struct address_space *space, uintptr_t address,
			     struct region **region);

/* Where a region could begin at the latest to end at end, and keep clear of a stack above. */
uintptr_t stack_clear_end(struct address_space *space, uintptr_t start, uintptr_t end);

#endif
