/* SPDX-License-Identifier: MIT */
/*
 * A model of address spaces, and random operations on both that must agree: results, contents,
 * rights. The includer defines MODEL_FAIL(fmt, ...), which is called for each contradiction.
 *
 * A window of WINDOW pages, across the border of two page tables, in up to SPACES spaces that come
 * from one another by fork, and FILES files. Of each page the model knows SLOTS bytes at places of
 * their own; no others are ever written. It also knows where regions must begin and end.
 *
 * For huge pages, what the model takes for a page may be a unit of many: then huge pages fit into
 * the window, every operation can go through the middle of one, and of a unit SLOTS pages of its
 * own are touched. The processor's page and the model's are alike in all that the model knows.
 */
#ifndef SPACE_MODEL_H
#define SPACE_MODEL_H

#include <errno.h>
#include <page_cache.h>
#include <prng.h>
#include <string.h>

#include "space_user.h"

#define WINDOW	   64
#define UNIT	   64 /* pages, if any */
#define HUGE_UNITS ((unsigned)HUGE_PAGES / UNIT)
#define SPACES	   3
#define FILES	   2
#define FILE_PAGES 48
#define SLOTS	   4
#define NO_FILE	   (-1)
#define MODEL_KEYS 4 /* of the processor's protection keys, if it has any */

struct model_page {
	bool mapped, shared, no_fork;
	uint8_t own; /* a bit for each slot: the program's own memory, not the file's */
	unsigned prot, key;
	int file;
	int advice;	       /* MADV_HUGEPAGE, MADV_NOHUGEPAGE, or 0 */
	uint64_t offset, home; /* pages of the model */
	uint8_t byte[SLOTS];
};

struct model_file {
	struct page_cache cache;
	uint64_t pages; /* its size */
	uint8_t byte[FILE_PAGES][SLOTS];
	unsigned references; /* of regions; atomic */
};

struct model {
	struct prng prng;
	const uint8_t *input;		     /* choices come from there, if it is not NULL, */
	size_t left;			     /* as long as it has bytes */
	struct address_space *space[SPACES]; /* NULL: none */
	struct model_page page[SPACES][WINDOW];
	struct model_file file[FILES];
	unsigned last_page, last_slot; /* touched last, and often again */
	bool shortage;		       /* allocations may fail */
	bool denies;		       /* the program denies itself a key at times */
	unsigned denied[MODEL_KEYS];   /* KEY_NO_* of each key */
	unsigned unit;		       /* pages of the processor for one of the model */
	unsigned nr_failed;
};

static inline struct model_file *
model_file_of(struct memory_object *object)
{
	return container_of(page_cache_of(object), struct model_file, cache);
}

static void
model_file_get(struct memory_object *object)
{
	__atomic_add_fetch(&model_file_of(object)->references, 1, __ATOMIC_RELAXED);
}

static void
model_file_put(struct memory_object *object)
{
	__atomic_sub_fetch(&model_file_of(object)->references, 1, __ATOMIC_RELAXED);
}

static const struct memory_object_ops model_file_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = model_file_get,
	.put = model_file_put,
};

/* ---- Helpers ------------------------------------------------------------------------- */

static inline size_t
unit_size(const struct model *model)
{
	return model->unit * PAGE_SIZE;
}

static inline size_t
slot_offset(const struct model *model, unsigned slot)
{
	return slot * (unit_size(model) / SLOTS) + slot;
}

static inline uintptr_t
window_address(const struct model *model, unsigned page)
{
	return 0x40000000ul - WINDOW / 2 * unit_size(model) + page * unit_size(model);
}

/* The number of a page of the model where there is no window. */
static inline uint64_t
window_home(const struct model *model, unsigned page)
{
	return window_address(model, 0) / PAGE_SIZE + page;
}

static inline unsigned
below(struct model *model, unsigned limit)
{
	unsigned value = 0;

	if (!model->input)
		return (unsigned)prng_below(&model->prng, limit);
	if (model->left > 0) {
		value = *model->input++;
		model->left--;
	}
	return value % limit;
}

/* A range of the window, most of them short; of units, most of them whole huge pages. */
static inline void
choose_range(struct model *model, unsigned *first, unsigned *nr)
{
	*first = below(model, WINDOW);
	*nr = 1 + below(model, below(model, 4) ? 8 : WINDOW);
	if (model->unit > 1 && below(model, 4)) {
		*first = ALIGN_DOWN(*first, HUGE_UNITS);
		*nr = ALIGN_UP(*nr, HUGE_UNITS);
	}
	*nr = MIN(*nr, WINDOW - *first);
}

static inline unsigned
choose_prot(struct model *model)
{
	static const unsigned prots[] = {
		RW, RW, RW, PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC, RW | PROT_EXEC
	};

	return prots[below(model, ARRAY_SIZE(prots))];
}

/* Did the call fail only because a request for memory was made to? */
static inline bool
for_want_of_memory(struct model *model, int error)
{
	if (error != -ENOMEM || !model->shortage)
		return false;
	model->nr_failed++;
	return true;
}

static inline bool
model_alike(const struct model_page *lower, const struct model_page *upper)
{
	return lower->mapped && upper->mapped && lower->prot == upper->prot &&
	       lower->key == upper->key && lower->shared == upper->shared &&
	       lower->no_fork == upper->no_fork && lower->advice == upper->advice &&
	       lower->file == upper->file && upper->home == lower->home + 1 &&
	       (lower->file == NO_FILE || upper->offset == lower->offset + 1);
}

/* Where the region that holds page ends. */
static inline unsigned
model_region_end(const struct model_page *page, unsigned at)
{
	for (at++; at < WINDOW && model_alike(&page[at - 1], &page[at]); at++)
		;
	return at;
}

static inline bool
model_covered(const struct model_page *page, unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i++) {
		if (!page[i].mapped)
			return false;
	}
	return true;
}

/* The byte that a program sees, or NULL if it gets FAULT_BUS. */
static inline const uint8_t *
model_byte(struct model *model, const struct model_page *page, unsigned slot)
{
	struct model_file *file;

	if (page->file == NO_FILE || (page->own & 1u << slot))
		return &page->byte[slot];
	file = &model->file[page->file];
	return page->offset < file->pages ? &file->byte[page->offset][slot] : NULL;
}

static inline enum fault_result
model_access(struct model *model, const struct model_page *page, unsigned slot, bool write)
{
	unsigned denied = model->denied[page->key];

	if (!page->mapped)
		return FAULT_MAPERR;
	if ((denied & KEY_NO_ACCESS) || (write && (denied & KEY_NO_WRITE)))
		return FAULT_KEY;
	if (page->prot == PROT_NONE || (write && !(page->prot & PROT_WRITE)))
		return FAULT_ACCERR;
	return model_byte(model, page, slot) ? FAULT_DONE : FAULT_BUS;
}

/* ---- Comparing -------------------------------------------------------------------------- */

static void
compare_slot(struct model *model, unsigned which, unsigned at, unsigned slot)
{
	const struct model_page *page = &model->page[which][at];
	uintptr_t address = window_address(model, at) + slot_offset(model, slot);
	mmu_entry_t entry = page_table_lookup(&model->space[which]->table, address);
	const uint8_t *byte = phys_to_virt(arch_mmu_frame(entry) + address % PAGE_SIZE), *expected;

	if (!entry)
		return;
	if (arch_mmu_is_visible(entry) && arch_mmu_key(entry) != page->key)
		MODEL_FAIL("page %u of space %u has key %u, not %u", at, which, arch_mmu_key(entry),
			   page->key);
	expected = page->mapped ? model_byte(model, page, slot) : NULL;
	if (!expected)
		MODEL_FAIL("page %u of space %u is there, and should not be", at, which);
	else if (*byte != *expected)
		MODEL_FAIL("page %u of space %u, slot %u: %u, not %u", at, which, slot, *byte,
			   *expected);
}

/* Regions begin and end where they must. */
static void
compare_regions(struct model *model, unsigned which)
{
	const struct model_page *page = model->page[which];

	for (unsigned at = 0; at < WINDOW; at++) {
		struct region *region = region_find(model->space[which], window_address(model, at));
		bool begins = at == 0 || !model_alike(&page[at - 1], &page[at]);

		if (!region != !page[at].mapped)
			MODEL_FAIL("page %u of space %u: mapped is %d", at, which, !!region);
		else if (region && begins != (region_start(region) == window_address(model, at)))
			MODEL_FAIL("page %u of space %u: a region begins at %#lx", at, which,
				   (unsigned long)region_start(region));
	}
}

static void
model_compare(struct model *model)
{
	for (unsigned i = 0; i < SPACES; i++) {
		if (!model->space[i])
			continue;
		for (unsigned at = 0; at < WINDOW * SLOTS; at++)
			compare_slot(model, i, at / SLOTS, at % SLOTS);
		compare_regions(model, i);
		if (space_check(model->space[i]) != 0)
			MODEL_FAIL("space %u contradicts itself", i);
	}
	for (unsigned i = 0; i < FILES; i++) {
		if (page_tree_check(&model->file[i].cache.pages) != 0)
			MODEL_FAIL("file %u contradicts itself", i);
	}
}

/* ---- Operations: each does the same to both ----------------------------------------------- */

static void
do_map(struct model *model, unsigned which)
{
	unsigned first, nr, prot = choose_prot(model);
	int file = (int)below(model, 2 * FILES + 1) - FILES - 1;
	bool shared = file >= 0 && below(model, 2);
	uint64_t offset = file >= 0 ? below(model, FILE_PAGES - 1) : 0;
	uintptr_t address;
	int error;

	file = MAX(file, NO_FILE);
	choose_range(model, &first, &nr);
	address = window_address(model, first);
	error = space_map(model->space[which], &address, nr * unit_size(model) - below(model, 100),
			  prot,
			  MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE) |
			      (file < 0 ? MAP_ANONYMOUS : 0),
			  file < 0 ? NULL : &model->file[file].cache.object,
			  offset * unit_size(model), PROT_READ | PROT_WRITE | PROT_EXEC);
	if (for_want_of_memory(model, error))
		return;
	if (error || address != window_address(model, first))
		MODEL_FAIL("map: %d", error);
	for (unsigned i = 0; i < nr; i++)
		model->page[which][first + i] = (struct model_page){
			.mapped = true,
			.shared = shared,
			.prot = prot,
			.file = file,
			.offset = offset + i,
			.home = window_home(model, first) + i,
		};
}

static void
do_unmap(struct model *model, unsigned which)
{
	unsigned first, nr;
	int error;

	choose_range(model, &first, &nr);
	error =
	    space_unmap(model->space[which], window_address(model, first), nr * unit_size(model));
	if (for_want_of_memory(model, error))
		return;
	if (error)
		MODEL_FAIL("unmap: %d", error);
	memset(&model->page[which][first], 0, nr * sizeof(struct model_page));
}

static void
do_protect(struct model *model, unsigned which)
{
	struct model_page *page = model->page[which];
	unsigned first, nr, prot = choose_prot(model);
	int error, expected, key = arch_nr_keys() > 1 ? (int)below(model, 2 * MODEL_KEYS) : NO_KEY;

	key = key < MODEL_KEYS ? key : NO_KEY;
	choose_range(model, &first, &nr);
	expected = model_covered(page, first, nr) ? 0 : -ENOMEM;
	error = space_protect_key(model->space[which], window_address(model, first),
				  nr * unit_size(model), prot, key);
	if (!expected && for_want_of_memory(model, error))
		return;
	if (error != expected)
		MODEL_FAIL("protect: %d, not %d", error, expected);
	/* As far as the first hole; unless there was no memory to do even that: ask. */
	if (error && page[first].mapped && model->shortage &&
	    region_find(model->space[which], window_address(model, first))->prot != prot)
		return;
	if (error && page[first].mapped && model->shortage && key != NO_KEY &&
	    region_key(region_find(model->space[which], window_address(model, first))) !=
		(unsigned)key)
		return;
	for (unsigned i = first; i < first + nr && page[i].mapped; i++) {
		page[i].prot = prot;
		page[i].key = key == NO_KEY ? page[i].key : (unsigned)key;
	}
}

/* The program denies itself a key, or allows it again. The processor's own memory is not asked. */
static void
do_deny(struct model *model)
{
	unsigned key = 1 + below(model, MODEL_KEYS - 1), denied = below(model, 4);

	if (!model->denies)
		return;
	model->denied[key] = denied;
	arch_key_deny(key, denied);
}

/* Believe what the region says of a page. */
static void
adopt_advice(struct model *model, unsigned which, unsigned at)
{
	struct model_page *page = &model->page[which][at];
	struct region *region = region_find(model->space[which], window_address(model, at));
	unsigned flags = region ? region->flags : 0;

	page->no_fork = flags & REGION_NO_FORK;
	page->advice = flags & REGION_HUGE ? MADV_HUGEPAGE : 0;
	page->advice = flags & REGION_NO_HUGE ? MADV_NOHUGEPAGE : page->advice;
}

static void
do_advise(struct model *model, unsigned which)
{
	static const int advices[] = { MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED,  MADV_DONTFORK,
				       MADV_DOFORK,   MADV_HUGEPAGE, MADV_NOHUGEPAGE };
	int advice = advices[below(model, ARRAY_SIZE(advices))], error;
	struct model_page *page = model->page[which];
	unsigned first, nr;

	choose_range(model, &first, &nr);
	error = space_advise(model->space[which], window_address(model, first),
			     nr * unit_size(model), advice);
	if (model_covered(page, first, nr) && for_want_of_memory(model, error))
		return;
	if (error == -ENOMEM && model->shortage && advice != MADV_DONTNEED) {
		/* Done in part, or not at all: ask. */
		for (unsigned i = first; i < first + nr; i++)
			adopt_advice(model, which, i);
		return;
	}
	if (error != (model_covered(page, first, nr) ? 0 : -ENOMEM))
		MODEL_FAIL("advise: %d", error);
	for (unsigned i = first; i < first + nr; i++) {
		if (!page[i].mapped)
			continue;
		if (advice == MADV_HUGEPAGE || advice == MADV_NOHUGEPAGE) {
			page[i].advice = advice;
		} else if (advice != MADV_DONTNEED) {
			page[i].no_fork = advice == MADV_DONTFORK;
		} else if (!page[i].shared) {
			memset(page[i].byte, 0, SLOTS);
			page[i].own = 0;
		}
	}
}

/* What is at the target of a move, and behind what is left of its source, may be gone. */
static void
adopt_unmapped(struct model *model, unsigned which)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		if (!region_find(model->space[which], window_address(model, i)))
			model->page[which][i].mapped = false;
	}
}

static void
model_remap(struct model_page *page, unsigned from, unsigned old, unsigned to, unsigned new)
{
	struct model_page moved[WINDOW];

	for (unsigned i = 0; i < new; i++) {
		if (i < old) {
			moved[i] = page[from + i];
			continue;
		}
		moved[i] = moved[i - 1];
		moved[i].home++;
		moved[i].offset++;
		moved[i].own = 0;
		memset(moved[i].byte, 0, SLOTS);
	}
	memset(&page[from], 0, old * sizeof(*page));
	memcpy(&page[to], moved, new * sizeof(*page));
}

static int
expect_remap(const struct model_page *page, unsigned from, unsigned old, unsigned to, unsigned new,
	     bool fixed)
{
	unsigned end = from + old;

	if (fixed && to < from + old && from < to + new)
		return -EINVAL;
	if (!page[from].mapped)
		return -EFAULT;
	if (fixed)
		return model_region_end(page, from) < from + MIN(old, new) ? -EFAULT : 0;
	if (new <= old)
		return 0;
	if (model_region_end(page, from) < end)
		return -EFAULT;
	for (unsigned i = end; i < from + new; i++) {
		if (page[i].mapped)
			return -ENOMEM;
	}
	return 0;
}

static void
do_remap(struct model *model, unsigned which)
{
	struct model_page *page = model->page[which];
	bool fixed = below(model, 2);
	unsigned from, old, to, new;
	uintptr_t result = 0;
	int error, expected;

	choose_range(model, &from, &old);
	choose_range(model, &to, &new);
	if (!fixed) {
		new = 1 + below(model, 2 * old);
		new = MIN(new, WINDOW - from);
	}
	expected = expect_remap(page, from, old, to, new, fixed);
	error =
	    space_remap(model->space[which], window_address(model, from), old * unit_size(model),
			new *unit_size(model), fixed ? MREMAP_MAYMOVE | MREMAP_FIXED : 0,
			window_address(model, to), &result);
	if (for_want_of_memory(model, error)) {
		adopt_unmapped(model, which);
		return;
	}
	if (error != expected)
		MODEL_FAIL("remap %u+%u to %u+%u, fixed %d: %d, not %d", from, old, to, new, fixed,
			   error, expected);
	if (error) {
		/* The tail may have been cut off before the rest was found to be two regions. */
		adopt_unmapped(model, which);
		return;
	}
	if (result != window_address(model, fixed ? to : from))
		MODEL_FAIL("remap: to %#lx", (unsigned long)result);
	if (new < old)
		memset(&page[from + new], 0, (old - new) * sizeof(*page));
	model_remap(page, from, MIN(old, new), fixed ? to : from, new);
}

static void
do_fork(struct model *model, unsigned which)
{
	unsigned child = below(model, SPACES);
	int error;

	if (child == which)
		return;
	if (model->space[child])
		space_put(model->space[child]);
	model->space[child] = NULL;
	error = space_fork(model->space[which], &model->space[child]);
	if (for_want_of_memory(model, error))
		return;
	if (error)
		MODEL_FAIL("fork: %d", error);
	memcpy(model->page[child], model->page[which], sizeof(model->page[child]));
	for (unsigned i = 0; i < WINDOW; i++) {
		if (model->page[child][i].no_fork)
			memset(&model->page[child][i], 0, sizeof(struct model_page));
	}
}

static void
model_write(struct model *model, struct model_page *page, unsigned slot, uint8_t value)
{
	if (page->shared) {
		model->file[page->file].byte[page->offset][slot] = value;
		return;
	}
	if (page->file != NO_FILE && model->unit == 1 && !page->own) {
		memcpy(page->byte, model->file[page->file].byte[page->offset], SLOTS);
		page->own = (1u << SLOTS) - 1;
	}
	if (page->file != NO_FILE)
		page->own |= (uint8_t)(1u << slot);
	page->byte[slot] = value;
}

static void
do_touch(struct model *model, unsigned which)
{
	bool again = below(model, 3) > 0;
	unsigned at = again ? model->last_page : below(model, WINDOW);
	unsigned slot = again ? model->last_slot : below(model, SLOTS);
	struct model_page *page = &model->page[which][at];
	uintptr_t address = window_address(model, at) + slot_offset(model, slot);
	bool write = below(model, 2);
	enum fault_result expected = model_access(model, page, slot, write), result;
	uint8_t value = (uint8_t)below(model, 256);
	int got;

	model->last_page = at;
	model->last_slot = slot;
	run_on(below(model, 2));
	if (write) {
		result = user_write(model->space[which], address, value);
	} else {
		got = user_read(model->space[which], address);
		result = got < 0 ? (enum fault_result)(-1 - got) : FAULT_DONE;
		if (got >= 0 && expected == FAULT_DONE && got != *model_byte(model, page, slot))
			MODEL_FAIL("page %u of space %u reads %d, not %u", at, which, got,
				   *model_byte(model, page, slot));
	}
	if (result == FAULT_NOMEM && model->shortage) {
		model->nr_failed++;
		return;
	}
	if (result != expected)
		MODEL_FAIL("page %u of space %u: access gives %d, not %d", at, which, (int)result,
			   (int)expected);
	if (write && expected == FAULT_DONE)
		model_write(model, page, slot, value);
}

/* Cut a file, or make it longer. */
static void
do_truncate(struct model *model)
{
	unsigned which = below(model, FILES);
	struct model_file *file = &model->file[which];
	uint64_t pages = below(model, FILE_PAGES + 1);

	page_cache_truncate(&file->cache, pages * unit_size(model));
	for (uint64_t i = MIN(pages, file->pages); i < FILE_PAGES; i++)
		memset(file->byte[i], 0, SLOTS);
	for (unsigned i = 0; pages < file->pages && i < SPACES * WINDOW; i++) {
		struct model_page *page = &model->page[i / WINDOW][i % WINDOW];

		if (page->mapped && page->file == (int)which && page->offset >= pages) {
			page->own = 0;
			memset(page->byte, 0, SLOTS);
		}
	}
	file->pages = pages;
}

/* write() to a file. */
static void
do_file_write(struct model *model)
{
	struct model_file *file = &model->file[below(model, FILES)];
	unsigned slot = below(model, SLOTS);
	uint8_t value = (uint8_t)below(model, 256);
	struct page *page;
	uint64_t index;
	int error;

	if (file->pages == 0)
		return;
	index = below(model, (unsigned)file->pages);
	error = page_cache_grab(&file->cache,
				index * model->unit + slot_offset(model, slot) / PAGE_SIZE, &page);
	if (for_want_of_memory(model, error))
		return;
	if (error) {
		MODEL_FAIL("grab: %d", error);
		return;
	}
	((uint8_t *)page_to_virt(page))[slot_offset(model, slot) % PAGE_SIZE] = value;
	page_put(page);
	file->byte[index][slot] = value;
}

/* ---- All of it --------------------------------------------------------------------------- */

static void
model_step(struct model *model)
{
	unsigned which = below(model, SPACES), choice = below(model, 100);

	while (!model->space[which])
		which = (which + 1) % SPACES;
	if (choice < 45)
		do_touch(model, which);
	else if (choice < 60)
		do_map(model, which);
	else if (choice < 68)
		do_unmap(model, which);
	else if (choice < 76)
		do_protect(model, which);
	else if (choice < 82)
		do_advise(model, which);
	else if (choice < 90)
		do_remap(model, which);
	else if (choice < 92)
		do_fork(model, which);
	else if (choice < 93)
		do_deny(model);
	else if (choice < 96)
		do_truncate(model);
	else
		do_file_write(model);
}

/* unit: 1, or UNIT. Returns false for want of memory. */
static bool
model_begin(struct model *model, uint64_t seed, unsigned unit)
{
	memset(model, 0, sizeof(*model));
	model->unit = unit;
	prng_seed(&model->prng, seed);
	for (unsigned i = 0; i < FILES; i++) {
		page_cache_init(&model->file[i].cache, &model_file_ops, NULL);
		model->file[i].pages = FILE_PAGES / 2;
		page_cache_extend(&model->file[i].cache, FILE_PAGES / 2 * unit_size(model));
	}
	model->space[0] = space_create();
	if (!model->space[0])
		return false;
	for (int key = 1; key < MODEL_KEYS && arch_nr_keys() > 1; key++) {
		arch_key_deny((unsigned)key, 0);
		if (space_key_alloc(model->space[0]) != key)
			MODEL_FAIL("key %d is taken in a new space", key);
	}
	return true;
}

static void
model_end(struct model *model)
{
	for (unsigned i = 0; i < SPACES; i++) {
		if (model->space[i])
			space_put(model->space[i]);
	}
	for (unsigned i = 0; i < FILES; i++) {
		if (model->file[i].references != 0)
			MODEL_FAIL("file %u is still mapped %u times", i,
				   model->file[i].references);
		page_cache_drop(&model->file[i].cache);
	}
}

#endif
