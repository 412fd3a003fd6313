/* SPDX-License-Identifier: MIT */
/*
 * The guarded heap: every wrong byte is found, and nothing that is right is reported.
 *
 * Each probe allocates an object, does one thing to it, and compares what is reported with what
 * was done: kind, object, size, offset, and who allocated and freed it. What is counted is how
 * many probes were missed, and how many were told wrongly: both must be 0.
 *
 * HEAP_OPERATIONS and HEAP_SIZES in the environment make it longer.
 */
#include "ktap.h"
#include "random.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>

#include "../libguard/libguard.h"

#define ZONE GUARD_ZONE

static struct guard_report told;
static volatile unsigned nr_told;
static sigjmp_buf after_access;

static bool
is_access(enum guard_kind kind)
{
	return kind == GUARD_ACCESS_BEFORE || kind == GUARD_ACCESS_AFTER ||
	       kind == GUARD_USED_AFTER_FREE;
}

static void
note(const struct guard_report *report)
{
	told = *report;
	nr_told++;
	if (is_access(report->kind))
		siglongjmp(after_access, 1);
}

static unsigned long
number(const char *name, unsigned long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 10) : otherwise;
}

/* ---- Probes ---------------------------------------------------------------------------------- */

static unsigned long nr_probes, nr_missed, nr_wrong;

/* Was one thing reported: this? Not inlined, nor are those that allocate: sites are compared. */
static void
expect_told(enum guard_kind kind, const void *object, size_t size, ptrdiff_t offset)
{
	nr_probes++;
	if (nr_told == 0) {
		if (nr_missed++ < 5)
			printf("# missed: kind %d, %zu bytes, offset %td\n", kind, size, offset);
		return;
	}
	if (nr_told != 1 || told.kind != kind || told.object != object || told.size != size ||
	    told.offset != offset) {
		if (nr_wrong++ < 5)
			printf("# wrong: kind %d, %zu bytes, offset %td: kind %d, %zu bytes, "
			       "offset %td, %u reports\n",
			       kind, size, offset, told.kind, told.size, told.offset, nr_told);
	}
}

static void
expect_none_missed(void)
{
	printf("# %lu probes, %lu missed, %lu told wrongly\n", nr_probes, nr_missed, nr_wrong);
	is(nr_missed, 0);
	is(nr_wrong, 0);
}

/* Do an access. Returns whether it was stopped. */
static bool
stopped(volatile char *byte, bool write)
{
	nr_told = 0;
	if (sigsetjmp(after_access, 1))
		return true;
	if (write)
		*byte = (char)~*byte;
	else
		(void)*byte;
	return false;
}

/* Sizes up to a limit, one by one, and others around what could be a border. */
static size_t
next_size(size_t size)
{
	static const size_t borders[] = { 255,	256,  257,  4031, 4032, 4033, 4080, 4081,
					  4095, 4096, 4097, 8191, 8192, 8193, 20000 };

	if (size < number("HEAP_SIZES", 40))
		return size + 1;
	for (unsigned i = 0; i < sizeof(borders) / sizeof(*borders); i++)
		if (borders[i] > size)
			return borders[i];
	return SIZE_MAX;
}

/* ---- Beside objects -------------------------------------------------------------------------- */

static void
write_beside(size_t size, ptrdiff_t offset, size_t alignment)
{
	char *object = alignment ? aligned_alloc(alignment, size) : malloc(size);
	bool before = offset < 0;

	if (stopped(object + offset, true)) {
		expect_told(before ? GUARD_ACCESS_BEFORE : GUARD_ACCESS_AFTER, object, size,
			    offset);
		free(object);
		return;
	}
	free(object);
	expect_told(before ? GUARD_ZONE_BEFORE : GUARD_ZONE_AFTER, object, size, offset);
}

CASE(every_byte_written_beside_an_object)
{
	guard_on_report(note);
	for (size_t size = 0; size != SIZE_MAX; size = next_size(size)) {
		for (ptrdiff_t at = 1; at <= ZONE; at++) {
			write_beside(size, -at, 0);
			write_beside(size, (ptrdiff_t)size + at - 1, 0);
		}
	}
	expect_none_missed();
}

CASE(beside_an_object_of_any_alignment)
{
	guard_on_report(note);
	for (size_t alignment = 16; alignment <= 4 * PAGE; alignment *= 2) {
		for (size_t size = 1; size <= 2 * PAGE + 1; size = size * 3 + 5) {
			for (ptrdiff_t at = 1; at <= ZONE; at += 3) {
				write_beside(size, -at, alignment);
				write_beside(size, (ptrdiff_t)size + at - 1, alignment);
			}
		}
	}
	expect_none_missed();
}

CASE(without_being_freed)
{
	char *object[16];
	unsigned damaged;

	guard_on_report(note);
	for (int i = 0; i < 16; i++)
		object[i] = malloc(100 + (size_t)i);
	nr_told = 0;
	is(guard_check(), 0);
	is(nr_told, 0);
	for (int i = 0; i < 16; i++) {
		object[i][-1 - i] = 1;
		nr_told = 0;
		damaged = guard_check();
		is(damaged, 1);
		is(nr_told, 1);
		expect_told(GUARD_ZONE_BEFORE, object[i], 100 + (size_t)i, -1 - i);
		object[i][-1 - i] = (char)0xc3;
	}
	is(guard_check(), 0);
	expect_none_missed();
}

/* Reading is found where no byte of padding is. */
CASE(reading_behind_an_object)
{
	guard_on_report(note);
	for (size_t size = 0; size <= 256; size += 16) {
		char *object = malloc(size ? size : 16);

		for (ptrdiff_t at = 0; at < ZONE; at++) {
			ptrdiff_t offset = (ptrdiff_t)(size ? size : 16) + at;

			yes(stopped(object + offset, false));
			expect_told(GUARD_ACCESS_AFTER, object, size ? size : 16, offset);
		}
		free(object);
	}
	expect_none_missed();
}

/* ---- After free() ---------------------------------------------------------------------------- */

CASE(used_after_free)
{
	guard_on_report(note);
	for (size_t size = 1; size != SIZE_MAX; size = next_size(size)) {
		char *object = malloc(size);

		free(object);
		for (size_t at = 0; at < size; at += 1 + size / 50) {
			yes(stopped(object + at, at % 2));
			expect_told(GUARD_USED_AFTER_FREE, object, size, (ptrdiff_t)at);
		}
	}
	expect_none_missed();
}

CASE(realloc_leaves_nothing_behind)
{
	char *object, *moved;

	guard_on_report(note);
	for (size_t size = 1; size < 300; size += 7) {
		object = malloc(size);
		memset(object, 7, size);
		moved = realloc(object, size / 2 + 1);
		yes(moved != object);
		is(moved[size / 2 - (size == 1 ? 0 : 1)], 7);
		yes(stopped(object, false));
		expect_told(GUARD_USED_AFTER_FREE, object, size, 0);
		free(moved);
	}
	expect_none_missed();
}

/* ---- Wrong pointers -------------------------------------------------------------------------- */

static char of_the_program[256];

static void
free_wrongly(void *pointer)
{
	nr_told = 0;
	free(pointer);
}

CASE(wrong_pointers)
{
	char *volatile local = of_the_program;
	char on_stack[64];

	guard_on_report(note);
	for (size_t size = 1; size < 200; size += 3) {
		char *object = malloc(size);

		for (size_t at = 1; at < size; at++) {
			free_wrongly(object + at);
			expect_told(GUARD_INTERIOR, object, size, (ptrdiff_t)at);
		}
		free_wrongly(object - 1 - size);
		expect_told(GUARD_FOREIGN, object - 1 - size, 0, 0);
		nr_told = 0;
		free(object);
		is(nr_told, 0);
		free_wrongly(object);
		expect_told(GUARD_DOUBLE_FREE, object, size, 0);
		nr_told = 0;
		is(realloc(object, 10), NULL);
		expect_told(GUARD_DOUBLE_FREE, object, size, 0);
	}
	free_wrongly(local + 16);
	expect_told(GUARD_FOREIGN, local + 16, 0, 0);
	local = on_stack;
	free_wrongly(local);
	expect_told(GUARD_FOREIGN, local, 0, 0);
	nr_told = 0;
	free(NULL);
	is(nr_told, 0);
	expect_none_missed();
}

CASE(wrong_sizes)
{
	guard_on_report(note);
	for (size_t size = 0; size < 100; size++) {
		char *object = malloc(size);

		for (size_t other = 0; other < 130; other += 1 + other / 40) {
			nr_told = 0;
			if (other == size)
				continue;
			free_sized(object, other);
			expect_told(GUARD_WRONG_SIZE, object, size, (ptrdiff_t)other);
		}
		nr_told = 0;
		is(malloc_usable_size(object), size);
		free_sized(object, size);
		is(nr_told, 0);
	}
	expect_none_missed();
}

/* ---- Who ------------------------------------------------------------------------------------- */

static __attribute__((noinline)) void *
allocate_here(void)
{
	void *object = malloc(24);

	__asm__ volatile("" : "+r"(object));
	return object;
}

static __attribute__((noinline)) void
free_here(void *object)
{
	free(object);
	__asm__ volatile("");
}

static bool
is_in(const void *site, const void *function)
{
	return (const char *)site > (const char *)function &&
	       (const char *)site < (const char *)function + 100;
}

CASE(who_allocated_and_freed)
{
	char *object = allocate_here();

	guard_on_report(note);
	yes(stopped(object + 32, true));
	yes(is_in(told.allocated_at, allocate_here));
	is(told.freed_at, NULL);
	free_here(object);
	free_wrongly(object);
	yes(is_in(told.allocated_at, allocate_here));
	yes(is_in(told.freed_at, free_here));
	yes(stopped(object, false));
	yes(is_in(told.freed_at, free_here));
}

/* ---- What the program sees when nobody listens ----------------------------------------------- */

static char said[600];

/* How a child ends that does this, and what it says. */
static int
end_of(void (*act)(char *))
{
	int ends[2];
	ssize_t size;
	pid_t pid;

	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 2);
		act(malloc(24));
		_exit(0);
	}
	close(ends[1]);
	size = read(ends[0], said, sizeof(said) - 1);
	need(size >= 0);
	said[size] = '\0';
	close(ends[0]);
	return ended(pid);
}

static void
overflow(char *object)
{
	object[32] = 1;
}

static void
overflow_by_one(char *object)
{
	object[24] = 1;
	free(object);
}

static void
free_twice(char *object)
{
	free(object);
	__asm__ volatile("" : "+r"(object));
	free(object);
}

static void
use_freed(char *object)
{
	free(object);
	__asm__ volatile("" : "+r"(object));
	object[3] = 1;
}

static void
nothing_wrong(char *object)
{
	memset(object, 1, 24);
	free(object);
}

CASE(reports_as_text)
{
	is(end_of(overflow), -SIGSEGV);
	yes(strstr(said, "libguard: access behind object: 0x"));
	yes(strstr(said, " of 24 bytes, offset 32; allocated at 0x"));
	is(end_of(overflow_by_one), -SIGABRT);
	yes(strstr(said, "libguard: red zone after object overwritten: 0x"));
	yes(strstr(said, " of 24 bytes, offset 24 holds 0x1; allocated at 0x"));
	is(end_of(free_twice), -SIGABRT);
	yes(strstr(said, "libguard: double free: 0x"));
	yes(strstr(said, "; freed at 0x"));
	is(end_of(use_freed), -SIGSEGV);
	yes(strstr(said, "libguard: used after free: 0x"));
	yes(strstr(said, " of 24 bytes, offset 3; allocated at 0x"));
	is(end_of(nothing_wrong), 0);
	is(said[0], 0);
}

/* ---- What is right --------------------------------------------------------------------------- */

#define SLOTS 512

struct slot {
	unsigned char *object;
	size_t size;
	unsigned char fill;
};

static size_t
random_size(struct random *random)
{
	unsigned range = random_below(random, 100);

	if (range < 80)
		return random_below(random, 300);
	return random_below(random, range < 98 ? 5000 : 100000);
}

static unsigned long
wrong_bytes(const struct slot *slot)
{
	unsigned long wrong = 0;
	size_t step = 1 + slot->size / 64;

	for (size_t i = 0; i < slot->size; i += step)
		wrong += slot->object[i] != slot->fill;
	return wrong + (slot->size && slot->object[slot->size - 1] != slot->fill);
}

static void
fill(struct slot *slot, struct random *random)
{
	slot->fill = (unsigned char)random_next(random);
	memset(slot->object, slot->fill, slot->size);
}

/* Allocate in one of the ways there are. Returns what is wrong with the result. */
static unsigned long
fill_slot(struct slot *slot, struct random *random)
{
	unsigned way = random_below(random, 8);
	size_t alignment = 16ul << random_below(random, 9);
	unsigned long wrong = 0;

	slot->size = random_size(random);
	if (way == 0) {
		slot->object = aligned_alloc(alignment, slot->size);
		wrong = (uintptr_t)slot->object % alignment;
	} else if (way == 1) {
		slot->object = calloc(1, slot->size);
		slot->fill = 0;
		wrong = slot->object ? wrong_bytes(slot) : 0;
	} else {
		slot->object = malloc(slot->size);
		wrong = (uintptr_t)slot->object % 16;
	}
	if (!slot->object)
		return 1;
	fill(slot, random);
	return wrong;
}

static unsigned long
resize_slot(struct slot *slot, struct random *random)
{
	size_t size = random_size(random);
	unsigned char *object = realloc(slot->object, size);
	unsigned long wrong;

	if (!object)
		return 1;
	slot->object = object;
	slot->size = size < slot->size ? size : slot->size;
	wrong = wrong_bytes(slot);
	slot->size = size;
	fill(slot, random);
	return wrong;
}

static unsigned long
operate(uint64_t seed, unsigned long operations)
{
	struct slot *slots = calloc(SLOTS, sizeof(*slots));
	struct random random = random_of(seed);
	unsigned long wrong = 0;

	for (unsigned long i = 0; i < operations; i++) {
		struct slot *slot = &slots[random_below(&random, SLOTS)];

		if (!slot->object) {
			wrong += fill_slot(slot, &random);
		} else if (random_below(&random, 4) == 0) {
			wrong += resize_slot(slot, &random);
		} else {
			wrong += wrong_bytes(slot);
			free(slot->object);
			slot->object = NULL;
		}
	}
	for (unsigned i = 0; i < SLOTS; i++)
		free(slots[i].object);
	free(slots);
	return wrong;
}

CASE(nothing_is_reported_that_is_right)
{
	unsigned long operations = number("HEAP_OPERATIONS", 20000);
	size_t before;

	free(malloc(1)); /* at the first call the C library takes something for itself */
	before = guard_objects();
	guard_on_report(note);
	nr_told = 0;
	is(operate(1, operations), 0);
	is(nr_told, 0);
	is(guard_check(), 0);
	is(guard_objects(), before);
	printf("# %lu operations, %u reports\n", operations, nr_told);
}

/* ---- With the kernel's help ------------------------------------------------------------------ */

CASE(unmapped_addresses_are_not_used_again)
{
	char *first, *second;

	if (prctl(PR_HEAP_GUARD, 1, 0, 0, 0) != 0)
		skip("the system does not guard heaps");
	for (int i = 0; i < 100; i++) {
		first = map(3);
		need(munmap(first, 3 * PAGE) == 0);
		second = map(3);
		yes(second + 3 * PAGE < first);
		faults(WRITE, first, SIGSEGV, SEGV_MAPERR);
		faults(WRITE, second - 1, SIGSEGV, SEGV_MAPERR);
		faults(READ, second + 3 * PAGE, SIGSEGV, SEGV_MAPERR);
	}
	is(prctl(PR_HEAP_GUARD, 0, 0, 0, 0), 0);
	fails(prctl(PR_HEAP_GUARD, 2, 0, 0, 0), EINVAL);
	first = map(1);
	yes(map(1) == first - PAGE);
}

/* ---- All at once ----------------------------------------------------------------------------- */

static void *
operate_in_thread(void *seed)
{
	return (void *)operate((uintptr_t)seed, number("HEAP_OPERATIONS", 20000) / 20);
}

CASE(several_threads)
{
	pthread_t threads[4];
	void *wrong;

	guard_on_report(note);
	nr_told = 0;
	for (uintptr_t i = 0; i < 4; i++)
		need(pthread_create(&threads[i], NULL, operate_in_thread, (void *)(i + 2)) == 0);
	for (int i = 0; i < 4; i++) {
		need(pthread_join(threads[i], &wrong) == 0);
		is((long)wrong, 0);
	}
	is(nr_told, 0);
	is(guard_check(), 0);
}

CASE(a_child_has_a_heap_of_its_own)
{
	char *object = malloc(50);
	pid_t pid;

	strcpy(object, "parent");
	pid = fork();
	if (pid == 0) {
		strcpy(object, "child");
		free(object);
		_exit(operate(9, 500) != 0);
	}
	is(ended(pid), 0);
	is(strcmp(object, "parent"), 0);
	free(object);
}

CASE(what_cannot_be_had)
{
	void *object = of_the_program;

	fails(malloc(SIZE_MAX) ? 0 : -1, ENOMEM);
	fails(malloc(1ul << 40) ? 0 : -1, ENOMEM);
	fails(calloc(1ul << 33, 1ul << 33) ? 0 : -1, ENOMEM);
	fails(aligned_alloc(24, 100) ? 0 : -1, EINVAL);
	is(posix_memalign(&object, 4, 100), EINVAL);
	is(posix_memalign(&object, 24, 100), EINVAL);
	yes(object == of_the_program);
	is(posix_memalign(&object, 64, 100), 0);
	is((uintptr_t)object % 64, 0);
	free(object);
	is(malloc_usable_size(NULL), 0);
	object = malloc(0);
	yes(object && object != malloc(0));
	free(object);
}
