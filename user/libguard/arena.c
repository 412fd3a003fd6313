/* SPDX-License-Identifier: MIT */
/*
 * The arena: addresses for objects, each between pages that cannot be accessed.
 *
 *	| guard | span of 1 page | guard | span of 3 pages ........ | guard | never used ...
 *	  none    read, write      none    none: in quarantine        none    none
 *
 * It is reserved as a whole at the first call, without any memory, so every page that is not
 * shown is a guard. The page numbers of the arena index a table that leads to the span's record.
 *
 * A span that is given back is hidden at once, its memory goes back to the system, and it waits in
 * a quarantine, the oldest first; from there it goes to a list of free spans of its own length.
 * Addresses are plenty: a new length takes new ones.
 */
#include "internal.h"

#include <sys/mman.h>

#define ARENA_SIZE  (1ul << 36)
#define ARENA_PAGES (ARENA_SIZE / PAGE)
#define RECORDS_MAX (1u << 21)
#define LENGTHS	    512 /* of spans that have a free list of their own, in pages */

#define QUARANTINE_SPANS 4096u
#define QUARANTINE_PAGES (1ul << 18) /* of addresses: they take no memory */

static char *arena; /* NULL: not yet */
static size_t used; /* pages from the start that are in spans, or guards of theirs */

static struct record *records;
static uint32_t nr_records; /* numbers 1 to that are in use */
static uint32_t *number_of; /* by page of the arena: record, or 0 */

static uint32_t free_spans[LENGTHS + 1]; /* by length; the last: all longer ones */

static struct {
	uint32_t first, last, spans;
	size_t pages;
} quarantine;

static void *
reserve(size_t size, int prot)
{
	void *memory = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static bool
make_arena(void)
{
	if (arena)
		return true;
	if (!records)
		records = reserve(RECORDS_MAX * sizeof(*records), PROT_READ | PROT_WRITE);
	if (!number_of)
		number_of = reserve(ARENA_PAGES * sizeof(*number_of), PROT_READ | PROT_WRITE);
	if (records && number_of)
		arena = reserve(ARENA_SIZE, PROT_NONE);
	return arena != NULL;
}

bool
in_arena(const void *address)
{
	return arena && (const char *)address - arena >= 0 &&
	       (size_t)((const char *)address - arena) < ARENA_SIZE;
}

static size_t
page_of(const void *address)
{
	return (size_t)((const char *)address - arena) / PAGE;
}

struct record *
span_of(const void *address)
{
	uint32_t number = in_arena(address) ? number_of[page_of(address)] : 0;

	return number ? &records[number] : NULL;
}

struct record *
record_at(uint32_t number)
{
	return number > 0 && number <= nr_records ? &records[number] : NULL;
}

bool
pages_show(char *from, char *to)
{
	return mprotect(from, (size_t)(to - from), PROT_READ | PROT_WRITE) == 0;
}

/* ---- Taking -------------------------------------------------------------------------------- */

static uint32_t *
free_list(size_t pages)
{
	return &free_spans[pages < LENGTHS ? pages : LENGTHS];
}

/* Take a span of that very length off its list. */
static struct record *
take_free(size_t pages)
{
	uint32_t *link = free_list(pages);

	while (*link && records[*link].pages != pages)
		link = &records[*link].next;
	if (!*link)
		return NULL;
	struct record *record = &records[*link];

	*link = record->next;
	return record;
}

/* New addresses, behind a guard page; another one will follow, as nothing there is shown. */
static struct record *
take_new(size_t pages)
{
	struct record *record;

	if (nr_records + 1 == RECORDS_MAX || pages > ARENA_PAGES || used + pages + 2 > ARENA_PAGES)
		return NULL;
	record = &records[++nr_records];
	record->span = arena + (used + 1) * PAGE;
	record->pages = pages;
	for (size_t i = 0; i < pages; i++)
		number_of[used + 1 + i] = nr_records;
	used += pages + 1;
	return record;
}

struct record *
span_take(size_t pages)
{
	struct record *record;

	if (!make_arena())
		return NULL;
	record = take_free(pages);
	return record ? record : take_new(pages);
}

/* ---- Giving back ----------------------------------------------------------------------------- */

/* The oldest becomes free. */
static void
release_oldest(void)
{
	struct record *record = &records[quarantine.first];
	uint32_t number = quarantine.first, *list = free_list(record->pages);

	quarantine.first = record->next;
	quarantine.spans--;
	quarantine.pages -= record->pages;
	record->state = FREE;
	record->next = *list;
	*list = number;
}

void
span_quarantine(struct record *record)
{
	uint32_t number = (uint32_t)(record - records);

	/* One call hides the pages and gives their memory back. */
	(void)mmap(record->span, record->pages * PAGE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	record->state = QUARANTINED;
	record->next = 0;
	if (quarantine.spans++ == 0)
		quarantine.first = number;
	else
		records[quarantine.last].next = number;
	quarantine.last = number;
	quarantine.pages += record->pages;
	while (quarantine.spans > QUARANTINE_SPANS ||
	       (quarantine.pages > QUARANTINE_PAGES && quarantine.spans > 1))
		release_oldest();
}
