/* SPDX-License-Identifier: MIT */
/*
 * The leak detector against a model: heaps drawn at random, whose reachable part is known.
 *
 * Objects of all kinds point to each other, from their beginning or their middle to anywhere
 * in another. Some are held from outside: by a variable, by a per-CPU variable, by the stack of
 * a thread that sleeps. Which of them can be reached follows from the graph; the detector must
 * report exactly the others.
 *
 * The test itself must not hold a pointer, or it would be a root: what it knows it knows in
 * disguise, and it touches objects only in functions that have returned before the scan.
 */
#include <ktest.h>
#include <large_object.h>
#include <leak_detector.h>
#include <memory_advanced.h>
#include <percpu.h>
#include <string.h>
#include <thread.h>

#define NR_OBJECTS 32
#define NR_HOLDERS 12 /* 4 variables, 4 per-CPU, 4 on a stack */
#define MAX_LINKS  3

#define DISGUISE 0x5555555555555555ul

static uint64_t object[NR_OBJECTS]; /* addresses, disguised */
static size_t object_size[NR_OBJECTS];
static bool is_large[NR_OBJECTS], is_lost[NR_OBJECTS], reported[NR_OBJECTS];
static unsigned link_to[NR_OBJECTS][MAX_LINKS], nr_links[NR_OBJECTS];
static unsigned held[NR_HOLDERS]; /* which object, NR_OBJECTS: none */
static unsigned strangers;	  /* reports of objects that are not the test's */

static void *volatile variables[4];
static DEFINE_PER_CPU(void *volatile, percpu_holder[4]);

/* ---- A thread that sleeps with pointers on its stack ------------------------------------- */

static spinlock_t holder_lock = SPINLOCK_INIT("holder", RANK_TEST);
static struct wait_queue holder_queue = WAIT_QUEUE_INIT(holder_queue);
static void **stack_holder; /* (l) the array on its stack, while it sleeps */
static bool holder_ends;    /* (l) */

static void
hold(void *arg)
{
	void *pointers[4] = { NULL };
	irqflags_t flags = spin_lock_irqsave(&holder_lock);

	(void)arg;
	stack_holder = pointers;
	while (!holder_ends)
		wait_on(&holder_queue, &holder_lock);
	stack_holder = NULL;
	spin_unlock_irqrestore(&holder_lock, flags);
}

static struct thread *
start_holder(struct ktest *t)
{
	struct thread *thread;

	holder_ends = false;
	thread = thread_create("holder", hold, NULL, CPU_ANY);
	assert_true(t, thread != NULL);
	while (!__atomic_load_n(&stack_holder, __ATOMIC_ACQUIRE))
		thread_yield();
	return thread;
}

static void
end_holder(struct thread *thread)
{
	irqflags_t flags = spin_lock_irqsave(&holder_lock);

	holder_ends = true;
	spin_unlock_irqrestore(&holder_lock, flags);
	wake_all(&holder_queue);
	thread_join(thread);
}

/* ---- Scenarios --------------------------------------------------------------------------- */

static __attribute__((noinline)) void
set_holder(unsigned i, void *pointer)
{
	if (i < 4)
		variables[i] = pointer;
	else if (i < 8)
		per_cpu(percpu_holder, i % nr_cpus)[i - 4] = pointer;
	else
		stack_holder[i - 8] = pointer;
}

static __attribute__((noinline)) void *
real(unsigned i)
{
	return (void *)(object[i] ^ DISGUISE);
}

/* One object: small of any size class, large, or of several pages from kmalloc(). */
static __attribute__((noinline)) bool
make_object(struct ktest *t, unsigned i)
{
	unsigned kind = prng_below(&t->prng, 10);
	size_t size = 16 + prng_below(&t->prng, kind == 0 ? 60000 : kind < 3 ? 6000 : 500);
	void *made;

	is_large[i] = kind == 1;
	made = is_large[i] ? large_alloc(size, GFP_ZERO) : kmalloc(size, GFP_ZERO);
	if (!made)
		return false;
	object[i] = (uintptr_t)made ^ DISGUISE;
	object_size[i] = size;
	return true;
}

/* A pointer to the object, or into it. */
static void *
pointer_to(struct ktest *t, unsigned i)
{
	bool interior = prng_below(&t->prng, 3) == 0;

	return (char *)real(i) + (interior ? prng_below(&t->prng, object_size[i]) : 0);
}

static __attribute__((noinline)) void
link_objects(struct ktest *t)
{
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		size_t nr_words = object_size[i] / sizeof(void *);
		size_t first = prng_below(&t->prng, nr_words);
		void **words = real(i);

		nr_links[i] = prng_below(&t->prng, MAX_LINKS + 1);
		nr_links[i] = MIN(nr_links[i], nr_words);
		for (unsigned j = 0; j < nr_links[i]; j++) {
			link_to[i][j] = prng_below(&t->prng, NR_OBJECTS);
			words[(first + j) % nr_words] = pointer_to(t, link_to[i][j]);
		}
	}
	for (unsigned h = 0; h < NR_HOLDERS; h++) {
		held[h] =
		    prng_below(&t->prng, 3) == 0 ? prng_below(&t->prng, NR_OBJECTS) : NR_OBJECTS;
		set_holder(h, held[h] < NR_OBJECTS ? pointer_to(t, held[h]) : NULL);
	}
}

/* What the graph says: as long as anything changes, reach what reached objects point to. */
static void
find_lost(void)
{
	bool changed = true;

	memset(is_lost, true, sizeof(is_lost));
	for (unsigned h = 0; h < NR_HOLDERS; h++) {
		if (held[h] < NR_OBJECTS)
			is_lost[held[h]] = false;
	}
	while (changed) {
		changed = false;
		for (unsigned i = 0; i < NR_OBJECTS; i++) {
			for (unsigned j = 0; j < nr_links[i] && !is_lost[i]; j++) {
				changed |= is_lost[link_to[i][j]];
				is_lost[link_to[i][j]] = false;
			}
		}
	}
}

static void
note_leak(const struct leak *leak, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		uintptr_t start = (uintptr_t)leak->object;

		if ((object[i] ^ DISGUISE) - start < leak->size) {
			reported[i] = true;
			return;
		}
	}
	strangers++;
}

static __attribute__((noinline)) void
free_objects(void)
{
	for (unsigned h = 0; h < NR_HOLDERS; h++)
		set_holder(h, NULL);
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		if (is_large[i])
			large_free(real(i));
		else
			kfree(real(i));
	}
}

static void
scenario(struct ktest *t)
{
	for (unsigned i = 0; i < NR_OBJECTS; i++)
		assert_true(t, make_object(t, i));
	link_objects(t);
	find_lost();
	memset(reported, false, sizeof(reported));
	strangers = 0;
	assert_le(t, 0, leak_scan(note_leak, NULL));
	expect_eq(t, strangers, 0);
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		if (reported[i] != is_lost[i])
			ktest_fail(t, __FILE__, __LINE__, "object %u of %lu bytes: %s", i,
				   (unsigned long)object_size[i],
				   is_lost[i] ? "a leak that was not found" : "a false alarm");
	}
	free_objects();
}

#define NR_SCENARIOS 25

/* Ten times twenty-five heaps, each drawn anew. */
KTEST(leak, scenarios, .nr_params = 10, .budget_ms = 60000)
{
	struct thread *holder = start_holder(t);

	for (unsigned i = 0; i < NR_SCENARIOS && t->failures == 0; i++)
		scenario(t);
	end_holder(holder);
}

/* The kernel as it is has no leak: threads come and go, and nothing is left. */
KTEST(leak, kernel_has_none, .budget_ms = 20000)
{
	struct thread *holder = start_holder(t);

	memset(object, 0, sizeof(object));
	memset(object_size, 0, sizeof(object_size));
	strangers = 0;
	expect_eq(t, leak_scan(note_leak, NULL), 0);
	end_holder(holder);
	expect_eq(t, leak_scan(note_leak, NULL), 0);
	expect_eq(t, strangers, 0);
}

/* ---- Registers ------------------------------------------------------------------------------ */

static uint64_t only_copy; /* disguised */
static bool in_register, may_drop;

/* Hold a pointer in a register only, while running. */
static void
spin_with_it(void *arg)
{
	uint64_t pointer = only_copy ^ DISGUISE;

	(void)arg;
	__atomic_store_n(&in_register, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&may_drop, __ATOMIC_ACQUIRE)) {
		__asm__ volatile("" : "+b"(pointer)); /* in RBX, for all the compiler knows */
		arch_cpu_relax();
	}
	__asm__ volatile("" ::"b"(pointer));
}

static __attribute__((noinline)) void
make_only_copy(struct ktest *t)
{
	void *made = kmalloc(100, GFP_KERNEL);

	assert_true(t, made != NULL);
	only_copy = (uintptr_t)made ^ DISGUISE;
}

static __attribute__((noinline)) void
free_only_copy(void)
{
	kfree((void *)(only_copy ^ DISGUISE));
}

static void
count_leak(const struct leak *leak, void *arg)
{
	(void)leak;
	(*(unsigned *)arg)++;
}

/* On another CPU, which is interrupted in its loop. */
KTEST(leak, held_in_a_register, .min_cpus = 2, .budget_ms = 20000)
{
	struct thread *thread;
	unsigned nr = 0;

	in_register = may_drop = false;
	make_only_copy(t);
	thread = thread_create("register", spin_with_it, NULL, 1);
	assert_true(t, thread != NULL);
	while (!__atomic_load_n(&in_register, __ATOMIC_ACQUIRE))
		thread_yield();
	expect_eq(t, leak_scan(count_leak, &nr), 0);
	__atomic_store_n(&may_drop, true, __ATOMIC_RELEASE);
	thread_join(thread);
	nr = 0;
	expect_eq(t, leak_scan(count_leak, &nr), 1);
	expect_eq(t, nr, 1);
	free_only_copy();
}

/* What is free is no leak, wherever it lies: in a magazine, in quarantine, in its slab. */
KTEST(leak, free_objects_are_none, .budget_ms = 20000)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < 300; i++) {
		make_only_copy(t);
		free_only_copy();
	}
	expect_eq(t, leak_scan(count_leak, &nr), 0);
}
