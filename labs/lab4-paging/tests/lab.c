/* SPDX-License-Identifier: MIT */
/* Spaces, files, the processor and the transcript: see lab.h. */
#include "lab.h"
#include <errno.h>
#include <page_allocator.h>
#include <slab.h>
#include <string.h>

#include "../../../kernel/x86_64/x86.h"

#define STUCK	    20	 /* faults that change nothing */
#define LOGGED_MAX  1000 /* regions, of lists that may have no end */
#define FAULT_STUCK 15	 /* in place of an enum fault_result */

static struct lab the_paging_lab;

struct lab *
lab4_begin(struct ktest *t)
{
	static const unsigned shifts[] = { 21, 30, 39 };
	struct lab *lab = &the_paging_lab;
	unsigned shift;

	memset(lab, 0, sizeof(*lab));
	lab->t = t;
	shift = shifts[prng_below(&t->prng, ARRAY_SIZE(shifts))];
	lab->arena = ((1 + prng_below(&t->prng, 100)) << shift) - ARENA_PAGES / 2 * PAGE_SIZE;
	return lab;
}

void
lab4_end(struct lab *lab)
{
	for (unsigned i = 0; i < LAB_SPACES; i++) {
		if (!lab->space[i])
			continue;
		lab4_regions(lab, i);
		lab4_counts(lab, i);
	}
	lab4_frames(lab);
}

/* ---- Spaces --------------------------------------------------------------------------- */

void
lab4_space(struct lab *lab, unsigned i)
{
	struct address_space *space = space_create();

	evidence_log(EV_SPACE, 0, (uintptr_t)space, space ? space->table.root : 0, 0);
	assert_true(lab->t, space != NULL);
	lab->space[i] = space;
}

bool
lab4_fork(struct lab *lab, unsigned from, unsigned to)
{
	struct address_space *child = NULL;
	int error = space_fork(lab->space[from], &child);

	evidence_log(EV_FORK, (uint32_t)error, (uintptr_t)lab->space[from], (uintptr_t)child,
		     child ? child->table.root : 0);
	lab->space[to] = child;
	return error == 0;
}

void
lab4_put(struct lab *lab, unsigned i)
{
	evidence_log(EV_PUT, 0, (uintptr_t)lab->space[i], 0, 0);
	space_put(lab->space[i]);
	lab->space[i] = NULL;
}

void
lab4_soil(struct lab *lab)
{
	static struct page *pages[256];

	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		pages[i] = alloc_pages(GFP_KERNEL, 0);
		assert_true(lab->t, pages[i] != NULL);
		memset(page_to_virt(pages[i]), 0xa5, PAGE_SIZE);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++)
		__free_pages(pages[i], 0);
}

void
lab4_use(struct address_space *space)
{
	irqflags_t irq = arch_irq_save();

	space_activate(space);
	arch_irq_restore(irq);
}

/* ---- Files ---------------------------------------------------------------------------- */

static struct lab_file *
file_of(struct memory_object *object)
{
	return container_of(page_cache_of(object), struct lab_file, cache);
}

static void
file_get(struct memory_object *object)
{
	__atomic_add_fetch(&file_of(object)->references, 1, __ATOMIC_RELAXED);
}

static void
file_put(struct memory_object *object)
{
	__atomic_sub_fetch(&file_of(object)->references, 1, __ATOMIC_RELAXED);
}

static const struct memory_object_ops file_ops = {
	.get_page = page_cache_get_page,
	.peek_pages = page_cache_peek_pages,
	.get = file_get,
	.put = file_put,
};

/* Fill a page with what the grader knows to lie there. */
static void
fill_file_page(struct lab *lab, unsigned i, unsigned index)
{
	struct page_cache *cache = &lab->file[i].cache;
	struct page *page = NULL;
	uint64_t *words;

	assert_eq(lab->t, page_cache_grab(cache, index, &page), 0);
	words = page_to_virt(page);
	for (unsigned w = 0; w < PAGE_SIZE / sizeof(*words); w++)
		words[w] = (uint64_t)(i + 1) << 40 | (uint64_t)index << 16 | w;
	evidence_log(EV_FILE_PAGE, index, (uintptr_t)&cache->object, page_to_pfn(page), 0);
	page_put(page);
}

void
lab4_file(struct lab *lab, unsigned i, unsigned pages)
{
	struct page_cache *cache = &lab->file[i].cache;

	page_cache_init(cache, &file_ops, NULL);
	page_cache_extend(cache, pages * PAGE_SIZE);
	evidence_log(EV_FILE, pages, (uintptr_t)&cache->object, 0, 0);
	for (unsigned index = 0; index < pages; index++) {
		if (prng_below(&lab->t->prng, 4))
			fill_file_page(lab, i, index);
	}
}

void
lab4_object(struct lab *lab, unsigned i)
{
	struct lab_file *file = &lab->file[i];
	struct memory_object *object = &file->cache.object;
	irqflags_t irq = spin_lock_irqsave(&object->lock);
	struct list_head *at;
	unsigned nr = 0;

	for (at = object->regions.next; at != &object->regions && nr < LOGGED_MAX; at = at->next)
		nr++;
	spin_unlock_irqrestore(&object->lock, irq);
	evidence_log(EV_OBJECT, file->references, (uintptr_t)object, nr, 0);
}

/* ---- Calls ------------------------------------------------------------------------------ */

void
lab4_map_file(struct lab *lab, unsigned i, size_t page, size_t pages, unsigned prot, unsigned file,
	      unsigned offset, unsigned flags, unsigned max_prot)
{
	uintptr_t address = lab4_page(lab, page);
	struct memory_object *object = file == ANON ? NULL : &lab->file[file].cache.object;
	int error = space_map(lab->space[i], &address, pages * PAGE_SIZE, prot, flags | MAP_FIXED,
			      object, offset * PAGE_SIZE, max_prot);

	evidence_log(EV_MAP, (uint32_t)error, (uintptr_t)lab->space[i], address, pages * PAGE_SIZE);
}

void
lab4_map(struct lab *lab, unsigned i, size_t page, size_t pages, unsigned prot)
{
	lab4_map_file(lab, i, page, pages, prot, ANON, 0, MAP_PRIVATE | MAP_ANONYMOUS, PROT_ALL);
}

void
lab4_unmap(struct lab *lab, unsigned i, size_t page, size_t pages)
{
	uintptr_t start = lab4_page(lab, page);
	int error = space_unmap(lab->space[i], start, pages * PAGE_SIZE);

	evidence_log(EV_UNMAP, (uint32_t)error, (uintptr_t)lab->space[i], start, pages * PAGE_SIZE);
}

void
lab4_protect(struct lab *lab, unsigned i, size_t page, size_t pages, unsigned prot)
{
	uintptr_t start = lab4_page(lab, page);
	int error = space_protect(lab->space[i], start, pages * PAGE_SIZE, prot);

	evidence_log(EV_PROTECT, (uint32_t)error, (uintptr_t)lab->space[i], start,
		     pages * PAGE_SIZE);
}

void
lab4_advise(struct lab *lab, unsigned i, size_t page, size_t pages, int advice)
{
	uintptr_t start = lab4_page(lab, page);
	int error = space_advise(lab->space[i], start, pages * PAGE_SIZE, advice);

	evidence_log(EV_ADVISE, (uint32_t)error, (uintptr_t)lab->space[i], start,
		     pages * PAGE_SIZE);
}

void
lab4_move(struct lab *lab, unsigned i, size_t from, size_t pages, size_t to)
{
	uintptr_t start = lab4_page(lab, from), target = lab4_page(lab, to), result = 0;
	int error = space_remap(lab->space[i], start, pages * PAGE_SIZE, pages * PAGE_SIZE,
				MREMAP_MAYMOVE | MREMAP_FIXED, target, &result);

	evidence_log(EV_MOVE, (uint32_t)error, (uintptr_t)lab->space[i], start, target);
}

void
lab4_faults(struct lab *lab, unsigned every)
{
	if (every == 0)
		evidence_log(EV_FAULTS, 1, page_allocator_nr_faults(), 0, 0);
	page_allocator_set_faults(every, lab->t->seed);
	evidence_log(EV_FAULTS, 0, every, 0, 0);
}

/* ---- Accesses by the processor ----------------------------------------------------------- */

struct processor_access {
	struct address_space *space;
	uintptr_t address;
	bool write;
	uint64_t value; /* to write, or what was read */
};

static void
access_now(void *arg)
{
	struct processor_access *access = arg;
	volatile uint64_t *word = (volatile uint64_t *)access->address;

	space_activate(access->space);
	if (cpu_has(CPU_SMAP))
		__asm__ volatile("stac" ::: "memory");
	if (access->write)
		*word = access->value;
	else
		access->value = *word;
}

/* Returns whether it went well, without a fault. */
static bool
try_access(struct processor_access *access, bool stays)
{
	irqflags_t irq = arch_irq_save();
	bool faulted = trap_expect(VECTOR_PAGE_FAULT, access_now, access, NULL);

	if (cpu_has(CPU_SMAP))
		__asm__ volatile("clac" ::: "memory");
	if (!stays)
		space_activate(NULL);
	arch_irq_restore(irq);
	return !faulted;
}

bool
lab4_raw_access(struct address_space *space, uintptr_t address, bool write, uint64_t *value)
{
	struct processor_access now = { space, address, write, *value };

	for (unsigned faults = 0; !try_access(&now, false); faults++) {
		if (faults > 100 ||
		    space_take_fault(space, address, write ? FAULT_WRITE : FAULT_READ) !=
			FAULT_DONE)
			return false;
	}
	*value = now.value;
	return true;
}

mmu_entry_t
lab4_entry(paddr_t root, uintptr_t address)
{
	for (unsigned level = arch_mmu_levels - 1;; level--) {
		const mmu_entry_t *table = phys_to_virt(root);
		unsigned i = address >> (PAGE_SHIFT + level * MMU_LEVEL_BITS) & (MMU_ENTRIES - 1);
		mmu_entry_t entry = arch_mmu_read(&table[i]);

		if (!entry || level == 0)
			return entry;
		root = arch_mmu_frame(entry);
	}
}

/* To execute is only asked of the entry: the kernel must not do it. */
static bool
would_execute(struct address_space *space, uintptr_t address)
{
	return arch_mmu_is_executable(lab4_entry(space->table.root, address));
}

enum fault_result
lab4_access(struct lab *lab, unsigned i, uintptr_t address, enum fault_access access)
{
	struct address_space *space = lab->space[i];
	struct processor_access now = { space, address, access == FAULT_WRITE, 0 };
	enum fault_result result = FAULT_DONE;
	unsigned faults = 0;

	if (now.write)
		now.value = ++lab->number << 8 | 1;
	while (access == FAULT_EXEC ? !would_execute(space, address)
				    : !try_access(&now, lab->stays)) {
		result = ++faults == STUCK ? FAULT_STUCK : space_take_fault(space, address, access);
		if (result != FAULT_DONE)
			break;
	}
	evidence_log(EV_ACCESS, access | (unsigned)result << 8 | faults << 16, address, now.value,
		     lab4_entry(space->table.root, address));
	return result;
}

enum fault_result
lab4_fault(struct lab *lab, unsigned i, uintptr_t address, enum fault_access access)
{
	enum fault_result result = space_take_fault(lab->space[i], address, access);

	evidence_log(EV_FAULT, access | (unsigned)result << 8, address, 0,
		     address < USER_END ? lab4_entry(lab->space[i]->table.root, address) : 0);
	return result;
}

/* One of four words of the page. */
static uintptr_t
random_word(struct lab *lab, size_t page)
{
	return lab4_page(lab, page) + prng_below(&lab->t->prng, 4) * 1000;
}

void
lab4_write_page(struct lab *lab, unsigned i, size_t page)
{
	(void)lab4_access(lab, i, random_word(lab, page), FAULT_WRITE);
}

void
lab4_read_page(struct lab *lab, unsigned i, size_t page)
{
	(void)lab4_access(lab, i, random_word(lab, page), FAULT_READ);
}

/* ---- What is logged ------------------------------------------------------------------------ */

struct region_log {
	struct lab *lab;
	unsigned nr;
};

static bool
log_region(const struct region_info *info, void *arg)
{
	struct region_log *log = arg;
	unsigned file = ANON;

	for (unsigned i = 0; i < LAB_FILES; i++) {
		if (info->object == &log->lab->file[i].cache.object)
			file = i;
	}
	evidence_log(EV_REGION,
		     info->prot | (info->flags & MAP_SHARED ? 1u : 0) << 8 |
			 (unsigned)info->stack << 9 | (info->flags & MAP_LOCKED ? 1u : 0) << 10 |
			 file << 16,
		     info->start, info->end, info->offset);
	return ++log->nr < LOGGED_MAX;
}

void
lab4_regions(struct lab *lab, unsigned i)
{
	struct region_log log = { lab, 0 };

	space_each_region(lab->space[i], log_region, &log);
	evidence_log(EV_REGIONS_END, 0, log.nr, 0, 0);
}

void
lab4_counts(struct lab *lab, unsigned i)
{
	struct space_stats stats;

	space_get_stats(lab->space[i], &stats);
	evidence_log(EV_COUNTS, (uint32_t)stats.tables, stats.resident, stats.resident_anonymous,
		     stats.mapped);
	evidence_log(EV_CHECK, 0, space_check(lab->space[i]), 0, 0);
}

void
lab4_stats(struct lab *lab, unsigned i)
{
	struct space_stats stats;

	space_get_stats(lab->space[i], &stats);
	evidence_log(EV_STATS, 0, stats.faults_zero, stats.faults_anonymous, stats.faults_cow);
	evidence_log(EV_STATS, 1, stats.faults_reuse, stats.faults_file, stats.faults_stack);
	evidence_log(EV_STATS, 2, stats.faults_spurious, stats.faults_minor, stats.peak_resident);
}

void
lab4_frames(struct lab *lab)
{
	(void)lab;
	slab_reclaim(SIZE_MAX);
	evidence_log(EV_FRAMES, 0, page_allocator_nr_free(), 0, 0);
}

/* ---- Traces ------------------------------------------------------------------------------- */

size_t
lab4_random_length(struct lab *lab, size_t *page)
{
	size_t pages = 1 + prng_below(&lab->t->prng, prng_below(&lab->t->prng, 4) ? 8 : 40);

	*page = prng_below(&lab->t->prng, ARENA_PAGES + 1 - pages);
	return pages;
}

/* A space that there is, from a random one on. */
static unsigned
random_space(struct lab *lab)
{
	unsigned i = (unsigned)prng_below(&lab->t->prng, LAB_SPACES);

	while (!lab->space[i])
		i = (i + 1) % LAB_SPACES;
	return i;
}

static unsigned
random_prot(struct lab *lab)
{
	static const unsigned prots[] = { RW, RW, RO, PROT_NONE, PROT_ALL, PROT_READ | PROT_EXEC };

	return prots[prng_below(&lab->t->prng, ARRAY_SIZE(prots))];
}

static void
map_something(struct lab *lab, unsigned i, unsigned kinds)
{
	struct prng *prng = &lab->t->prng;
	size_t page, pages = lab4_random_length(lab, &page);
	unsigned prot = random_prot(lab), file;
	unsigned flags = prng_below(prng, 2) ? MAP_SHARED : MAP_PRIVATE;

	if (!(kinds & TRACE_FILES) || prng_below(prng, 2)) {
		lab4_map(lab, i, page, pages, prot);
		return;
	}
	file = (unsigned)prng_below(prng, LAB_FILES);
	lab4_map_file(lab, i, page, pages, prot, file, (unsigned)prng_below(prng, FILE_PAGES),
		      flags, PROT_ALL);
}

/* Half of the time a space is copied, as long as there is room; else one ends, but the last. */
static void
fork_or_end(struct lab *lab, unsigned i)
{
	unsigned to = (unsigned)prng_below(&lab->t->prng, LAB_SPACES);

	if (!lab->space[to])
		(void)lab4_fork(lab, i, to);
	else if (to != i)
		lab4_put(lab, to);
}

static void
touch(struct lab *lab, unsigned i)
{
	static const enum fault_access accesses[] = { FAULT_READ,  FAULT_READ,	FAULT_WRITE,
						      FAULT_WRITE, FAULT_WRITE, FAULT_EXEC };
	struct prng *prng = &lab->t->prng;
	enum fault_access access = accesses[prng_below(prng, ARRAY_SIZE(accesses))];

	(void)lab4_access(lab, i, random_word(lab, prng_below(prng, ARENA_PAGES)), access);
}

void
lab4_trace(struct lab *lab, unsigned rounds, unsigned kinds)
{
	static const unsigned kind_of[] = { TRACE_MAP,	   TRACE_MAP,  TRACE_MAP,    TRACE_PROTECT,
					    TRACE_PROTECT, TRACE_FORK, TRACE_DISCARD };
	struct prng *prng = &lab->t->prng;
	size_t page, pages;

	for (unsigned n = 0; n < rounds; n++) {
		unsigned i = random_space(lab);
		unsigned what = (unsigned)prng_below(prng, kinds & TRACE_TOUCH ? 20 : 7);

		if (what >= ARRAY_SIZE(kind_of) || !(kinds & kind_of[what])) {
			touch(lab, i);
			continue;
		}
		if (what < 2) {
			map_something(lab, i, kinds);
			continue;
		}
		if (what == 5) {
			fork_or_end(lab, i);
			continue;
		}
		pages = lab4_random_length(lab, &page);
		if (what == 2)
			lab4_unmap(lab, i, page, pages);
		else if (what == 6)
			lab4_advise(lab, i, page, pages, MADV_DONTNEED);
		else
			lab4_protect(lab, i, page, pages, random_prot(lab));
	}
}
