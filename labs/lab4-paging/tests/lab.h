/* SPDX-License-Identifier: MIT */
/*
 * What the cases of lab 4 share: address spaces, files, a processor that is made to use them, and
 * a transcript of everything that is asked of them.
 *
 * Every call goes through a lab4_*() function here, which makes it and logs what came of it. The
 * grader does the same to a model: which regions there are, which page each shows, which frame
 * that is, who else has it, what it holds. When the case has ended, he walks the page tables in
 * the guest's memory himself, from the root, and looks at every frame that a program has.
 *
 * Pages of a case lie in its arena, across a place where a table ends: of 2 MiB, 1 GiB or 512 GiB.
 */
#ifndef LAB4_H
#define LAB4_H

#include <address_space.h>
#include <evidence.h>
#include <ktest.h>
#include <page_cache.h>

#include "../../../mm/space_internal.h"

#define LAB_SPACES  6
#define LAB_FILES   2
#define ARENA_PAGES 96
#define FILE_PAGES  48

#define RO	 PROT_READ
#define RW	 (PROT_READ | PROT_WRITE)
#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)
#define ANON	 LAB_FILES /* in place of a file's number */

/* Transcript records of this lab; labs/lab4-paging/oracle.py reads them. */
enum lab4_record {
	EV_SPACE = EV_LAB, /* a: space; b: root table */
	EV_PUT,		   /* a: space. Before the call */
	EV_FILE,	   /* arg: pages; a: object */
	EV_FILE_PAGE,	   /* arg: index; a: object; b: frame number */
	EV_MAP,		   /* arg: error; a: space; b: address; c: length */
	EV_UNMAP,	   /* the same */
	EV_PROTECT,	   /* the same */
	EV_ADVISE,	   /* the same */
	EV_MOVE,	   /* arg: error; a: space; b: from; c: to */
	EV_ACCESS, /* arg: access | result << 8 | faults << 16; a: address; b: value; c: entry */
	EV_FAULT,  /* the same, of space_fault() alone; b: 0 */
	EV_FORK,   /* arg: error; a: parent; b: child; c: its root table */
	EV_REGION, /* arg: see lab4_regions(); a: start; b: end; c: offset */
	EV_REGIONS_END, /* a: how many */
	EV_COUNTS,	/* arg: tables; a: pages resident; b: anonymous; c: in regions */
	EV_CHECK,	/* a: contradictions that space_check() found */
	EV_STATS,	/* arg: which three of struct space_stats; a, b, c */
	EV_FRAMES,	/* a: free frames of the machine */
	EV_FAULTS,	/* arg: 0: a: one in so many fails; 1: a: so many failed */
	EV_TABLE,	/* a: root of a tree of tables */
	EV_ROW,		/* arg: error; a: first page; b: pages; c: frame of the table */
	EV_ENTRY,	/* a: address; b: entry, 0: cleared */
	EV_LOOKUP,	/* the same, found */
	EV_PRUNE,	/* arg: tables taken out; a: start; b: end; c: tables that are left */
	EV_LINK,	/* a: region; b: start; c: end. Linked, or before it is unlinked */
	EV_FOUND,	/* arg: which function; a: address; b: start, 1: none; c: end */
	EV_PART,	/* arg: file; a: start; b: end; c: offset in pages */
	EV_HOME,	/* of the same part: a: home; b: lowest; c: how it is protected */
	EV_OBJECT,	/* arg: references; a: object; b: regions in its list */
	EV_STACK,	/* arg: error; a: space; b: top; c: limit */
	EV_GUARD,	/* arg: is the gap below stacks kept; a: space */
	EV_COST,	/* arg: phase; a: instructions */
	EV_WORKER,	/* arg: which; a: errors */
	EV_HELD,	/* arg: is the page of a translation that a CPU has kept in use; a: frame */
	EV_PROGRAM,	/* arg: status; a: cases that passed; b: that failed; c: planned */
};

struct lab_file {
	struct page_cache cache;
	unsigned references; /* of regions */
};

struct lab {
	struct ktest *t;
	uintptr_t arena;
	uint64_t number; /* of the next value that is written */
	bool stays;	 /* a CPU keeps a space, and what it has in its TLB, after an access */
	struct address_space *space[LAB_SPACES];
	struct lab_file file[LAB_FILES];
};

struct lab *lab4_begin(struct ktest *t);

/* Log all that there is, at the end of a case. */
void lab4_end(struct lab *lab);

static inline uintptr_t
lab4_page(const struct lab *lab, size_t page)
{
	return lab->arena + page * PAGE_SIZE;
}

/* Make space number i, or a copy of another one; give one back. false: no memory. */
void lab4_space(struct lab *lab, unsigned i);
bool lab4_fork(struct lab *lab, unsigned from, unsigned to);
void lab4_put(struct lab *lab, unsigned i);

/* Make file number i of so many pages, of which some lie in the cache already. */
void lab4_file(struct lab *lab, unsigned i, unsigned pages);
void lab4_object(struct lab *lab, unsigned i);

/* All with pages of the arena. */
void lab4_map(struct lab *lab, unsigned i, size_t page, size_t pages, unsigned prot);
void lab4_map_file(struct lab *lab, unsigned i, size_t page, size_t pages, unsigned prot,
		   unsigned file, unsigned offset, unsigned flags, unsigned max_prot);
void lab4_unmap(struct lab *lab, unsigned i, size_t page, size_t pages);
void lab4_protect(struct lab *lab, unsigned i, size_t page, size_t pages, unsigned prot);
void lab4_advise(struct lab *lab, unsigned i, size_t page, size_t pages, int advice);
void lab4_move(struct lab *lab, unsigned i, size_t from, size_t pages, size_t to);

/* What a program would do with the word at an address; writes a new value. */
enum fault_result lab4_access(struct lab *lab, unsigned i, uintptr_t address,
			      enum fault_access access);
enum fault_result lab4_fault(struct lab *lab, unsigned i, uintptr_t address,
			     enum fault_access access);
void lab4_write_page(struct lab *lab, unsigned i, size_t page); /* a word that is drawn */
void lab4_read_page(struct lab *lab, unsigned i, size_t page);

/* A word, without a record: from any thread. Returns whether the access went well. */
bool lab4_raw_access(struct address_space *space, uintptr_t address, bool write, uint64_t *value);

/* Let this CPU use its tables until another is used; NULL: none. */
void lab4_use(struct address_space *space);

/* The entry of level 0, by a walk that uses nothing of mm/page_table.c. */
mmu_entry_t lab4_entry(paddr_t root, uintptr_t address);

void lab4_regions(struct lab *lab, unsigned i);
void lab4_counts(struct lab *lab, unsigned i);
void lab4_stats(struct lab *lab, unsigned i);
void lab4_frames(struct lab *lab); /* when caches have given back what they can */

/* From now on one request for frames in so many fails; 0: none. */
void lab4_faults(struct lab *lab, unsigned every);

/* Rounds of calls and accesses drawn at random; what may be among them: */
#define TRACE_MAP     1u /* map, unmap */
#define TRACE_PROTECT 2u
#define TRACE_FILES   4u
#define TRACE_FORK    8u /* and the end of spaces */
#define TRACE_DISCARD 16u
#define TRACE_TOUCH   32u /* mostly accesses */
void lab4_trace(struct lab *lab, unsigned rounds, unsigned kinds);

/* Leave bytes that are not 0 in frames that are free. */
void lab4_soil(struct lab *lab);

/* A length for a mapping, and a page where one of that length fits into the arena. */
size_t lab4_random_length(struct lab *lab, size_t *page);

#endif
