/* SPDX-License-Identifier: MIT */
/*
 * The leak detector on the host, where the only roots are this file's: heaps drawn at random
 * against the graph they were drawn from, and with threads that allocate meanwhile.
 */
#include "host.h"

#include <arch.h>
#include <large_object.h>
#include <leak_detector.h>
#include <leak_roots.h>
#include <memory_advanced.h>
#include <string.h>

#define NR_OBJECTS 200
#define NR_ROOTS   20
#define MAX_LINKS  3

static void *roots[NR_ROOTS];

static void
each(leak_scan_fn *scan)
{
	scan(roots, roots + NR_ROOTS);
}
LEAK_ROOTS(leak_test, each);

static struct {
	char *at;
	size_t size;
	unsigned link[MAX_LINKS], nr_links;
	bool large, reached, reported;
} object[NR_OBJECTS];

static unsigned strangers;

static void
make_objects(struct prng *prng)
{
	memset(object, 0, sizeof(object));
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		unsigned kind = (unsigned)prng_below(prng, 20);

		object[i].size = 16 + prng_below(prng, kind == 0 ? 100000 : kind < 3 ? 9000 : 300);
		object[i].large = kind == 1;
		object[i].at = object[i].large ? large_alloc(object[i].size, GFP_ZERO)
					       : kmalloc(object[i].size, GFP_ZERO);
		CHECK(object[i].at != NULL);
	}
}

static void *
into(struct prng *prng, unsigned i)
{
	return object[i].at + (prng_below(prng, 2) ? prng_below(prng, object[i].size) : 0);
}

static void
link_objects(struct prng *prng)
{
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		size_t nr_words = object[i].size / sizeof(void *);
		size_t first = prng_below(prng, nr_words);

		object[i].nr_links = (unsigned)prng_below(prng, MAX_LINKS);
		for (unsigned j = 0; j < object[i].nr_links; j++) {
			object[i].link[j] = (unsigned)prng_below(prng, NR_OBJECTS);
			((void **)object[i].at)[(first + j) % nr_words] =
			    into(prng, object[i].link[j]);
		}
	}
}

static void
reach(unsigned i)
{
	if (object[i].reached)
		return;
	object[i].reached = true;
	for (unsigned j = 0; j < object[i].nr_links; j++)
		reach(object[i].link[j]);
}

static void
note(const struct leak *leak, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		if ((uintptr_t)object[i].at - (uintptr_t)leak->object < leak->size) {
			object[i].reported = true;
			return;
		}
	}
	strangers++;
}

static void
random_heaps(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned round = 0; round < 60 && !host_failed(); round++) {
		(void)host_start_machine(MiB(64));
		make_objects(&prng);
		link_objects(&prng);
		for (unsigned i = 0; i < NR_ROOTS; i++) {
			unsigned to = (unsigned)prng_below(&prng, NR_OBJECTS);

			roots[i] = round % 4 == 0 ? NULL : into(&prng, to);
			if (roots[i])
				reach(to);
		}
		strangers = 0;
		CHECK(leak_scan(note, NULL) >= 0);
		CHECK_EQ(strangers, 0);
		for (unsigned i = 0; i < NR_OBJECTS; i++)
			CHECK_EQ(object[i].reported, !object[i].reached);
		for (unsigned i = 0; i < NR_OBJECTS; i++) {
			if (object[i].large)
				large_free(object[i].at);
			else
				kfree(object[i].at);
		}
		CHECK_EQ(leak_scan(note, NULL), 0);
		(void)large_flush(); /* the next machine knows nothing of what waits */
	}
}

/* ---- More objects than expected ------------------------------------------------------------ */

#define NR_LARGE 3000
#define NR_SMALL 30000

static void *many[NR_SMALL];

static void
count(const struct leak *leak, void *arg)
{
	(void)leak;
	(*(unsigned *)arg)++;
}

/* Find exactly nr leaks. A scan whose table is never large enough would not end. */
static void
leak_many(unsigned nr, void *(*alloc)(size_t size, gfp_t gfp), void (*release)(const void *object))
{
	unsigned found = 0;

	memset(roots, 0, sizeof(roots));
	(void)host_start_machine(MiB(64));
	for (unsigned i = 0; i < nr; i++)
		many[i] = alloc(1, GFP_KERNEL);
	CHECK_EQ(leak_scan(count, &found), nr);
	CHECK_EQ(found, nr);
	for (unsigned i = 0; i < nr; i++)
		release(many[i]);
	(void)large_flush();
}

static void
many_large_objects(void)
{
	leak_many(NR_LARGE, large_alloc, large_free);
}

/* Of the smallest size class: more of them lie in a frame than of any other. */
static void
many_small_objects(void)
{
	leak_many(NR_SMALL, kmalloc, kfree);
}

HOST_SUITE(leak, { "random_heaps", random_heaps }, { "many_large_objects", many_large_objects },
	   { "many_small_objects", many_small_objects });
