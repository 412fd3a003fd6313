/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing pools: any bytes are calls to a memory pool, a fixed pool, an arena and a per-CPU
 * pool. What they give out must be nobody else's, and their checkers must agree.
 *
 *	byte 0		guarantee of the memory pool
 *	byte 1, 2	size of the fixed pool's elements
 *	byte 3		limit of the per-CPU pool
 *	then: 1 byte kind, 2 bytes a of each operation
 */
#include "../host.h"
#include "../machine.h"
#include "../pool_source.h"

#include <memory_pool.h>
#include <panic.h>
#include <percpu.h>
#include <pool_manager.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_HELD  256
#define MAX_MARKS 8

/* Elements of one pool that are held, each filled with a byte of its own. */
struct holding {
	uint8_t *element[MAX_HELD];
	uint8_t byte[MAX_HELD];
	unsigned nr;
};

static struct source source;
static mempool_t *mempool;
static struct fixed_pool *fixed;
static struct percpu_pool *percpu;
static struct bump_arena *arena;
static size_t fixed_size;
static struct holding of_mempool, of_fixed, of_percpu;

static struct {
	uint8_t *memory[MAX_HELD];
	size_t size[MAX_HELD];
	struct arena_mark mark[MAX_MARKS];
	unsigned nr, nr_marks, at_mark[MAX_MARKS];
} of_arena;

#define PERCPU_SIZE 40

static void
hold(struct holding *holding, void *element, size_t size, unsigned byte)
{
	if (!element)
		return;
	holding->element[holding->nr] = element;
	holding->byte[holding->nr++] = (uint8_t)byte;
	memset(element, (int)(uint8_t)byte, size);
}

static void *
let_go(struct holding *holding, size_t size, unsigned which)
{
	unsigned i = which % holding->nr;
	uint8_t *element = holding->element[i];

	for (size_t at = 0; at < size; at++)
		ASSERT_EQ(element[at], holding->byte[i]);
	holding->nr--;
	holding->element[i] = holding->element[holding->nr];
	holding->byte[i] = holding->byte[holding->nr];
	return element;
}

/* The first word of an element of the source is ours to write to. */
#define SOURCE_SIZE sizeof(uint64_t)

static void
mempool_step(unsigned kind, unsigned a)
{
	struct mempool_stats stats;
	void *element;

	mempool_get_stats(mempool, &stats);
	ASSERT_EQ(stats.outstanding, of_mempool.nr);
	switch (kind) {
	case 0:
		if (of_mempool.nr == MAX_HELD)
			return;
		element = mempool_alloc(mempool, GFP_NOWAIT);
		ASSERT(element || of_mempool.nr >= stats.minimum);
		hold(&of_mempool, element, SOURCE_SIZE, a);
		return;
	case 1:
		if (of_mempool.nr > 0)
			mempool_free(let_go(&of_mempool, SOURCE_SIZE, a), mempool);
		return;
	case 2:
		(void)(mempool_resize(mempool, 1 + (int)a % 40) != 0);
		return;
	default:
		source.nr_left = a % 64;
		if (a & 64)
			(void)mempool_shrink_all();
	}
}

static void
fixed_step(bool alloc, unsigned a)
{
	if (alloc && of_fixed.nr < MAX_HELD)
		hold(&of_fixed, fixed_pool_alloc(fixed), fixed_size, a);
	else if (of_fixed.nr > 0)
		fixed_pool_free(fixed, let_go(&of_fixed, fixed_size, a));
}

static void
percpu_step(bool alloc, unsigned a)
{
	host_cpu_id = a % 4;
	if (alloc && of_percpu.nr < MAX_HELD)
		hold(&of_percpu,
		     percpu_pool_alloc(percpu, host_cpu_id == 0 ? GFP_KERNEL : GFP_NOWAIT),
		     PERCPU_SIZE, a);
	else if (of_percpu.nr > 0)
		percpu_pool_free(percpu, let_go(&of_percpu, PERCPU_SIZE, a));
	host_cpu_id = 0;
}

/* Everything since the last mark, or everything, is found unchanged and released. */
static void
arena_release(void)
{
	unsigned down_to = of_arena.nr_marks ? of_arena.at_mark[--of_arena.nr_marks] : 0;

	for (; of_arena.nr > down_to; of_arena.nr--) {
		const uint8_t *memory = of_arena.memory[of_arena.nr - 1];

		for (size_t at = 0; at < of_arena.size[of_arena.nr - 1]; at++)
			ASSERT_EQ(memory[at], (uint8_t)of_arena.nr);
	}
	if (down_to == 0 && of_arena.nr_marks == 0)
		arena_release_all(arena);
	else
		arena_release_to(arena, of_arena.mark[of_arena.nr_marks]);
}

static void
arena_step(unsigned kind, unsigned a)
{
	if (kind == 0 && of_arena.nr < MAX_HELD) {
		size_t size = 1 + (a >> 3) * (a & 1 ? 1 : 7);
		uint8_t *memory = arena_alloc(arena, size, 1ul << (a % 8));

		if (!memory)
			return;
		ASSERT(IS_ALIGNED((uintptr_t)memory, 1ul << (a % 8)));
		of_arena.memory[of_arena.nr] = memory;
		of_arena.size[of_arena.nr++] = size;
		memset(memory, (int)(uint8_t)of_arena.nr, size);
	} else if (kind == 1 && of_arena.nr_marks < MAX_MARKS) {
		of_arena.mark[of_arena.nr_marks] = arena_mark(arena);
		of_arena.at_mark[of_arena.nr_marks++] = of_arena.nr;
	} else if (kind == 2) {
		arena_release();
	}
}

static void
set_up(const uint8_t *data)
{
	machine_start(MiB(4));
	source_reset(&source, SOURCE_FOREVER);
	of_mempool.nr = of_fixed.nr = of_percpu.nr = 0;
	of_arena.nr = of_arena.nr_marks = 0;
	mempool = mempool_create(1 + data[0] % 40, source_alloc, source_free, &source);
	fixed_size = 1 + (data[1] << 8 | data[2]) % 6000;
	fixed = fixed_pool_create("fuzz", fixed_size);
	percpu = percpu_pool_create("fuzz", PERCPU_SIZE, data[3]);
	arena = arena_create("fuzz");
	ASSERT(mempool && fixed && percpu && arena);
}

static void
tear_down(void)
{
	while (of_mempool.nr > 0)
		mempool_free(let_go(&of_mempool, SOURCE_SIZE, 0), mempool);
	while (of_fixed.nr > 0)
		fixed_pool_free(fixed, let_go(&of_fixed, fixed_size, 0));
	while (of_percpu.nr > 0)
		percpu_pool_free(percpu, let_go(&of_percpu, PERCPU_SIZE, 0));
	ASSERT_EQ(pools_check() + percpu_pool_check(percpu), 0);
	mempool_destroy(mempool);
	ASSERT_EQ(fixed_pool_destroy(fixed), 0);
	ASSERT_EQ(percpu_pool_destroy(percpu), 0);
	arena_destroy(arena);
	ASSERT_EQ(source.nr_away + source.nr_bad, 0);
	ASSERT_EQ(machine_frames_taken(), 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4)
		return 0;
	set_up(data);
	data += 4;
	size -= 4;
	for (; size >= 3; data += 3, size -= 3) {
		unsigned a = data[1] << 8 | data[2];

		switch (data[0] % 4) {
		case 0:
			mempool_step(data[0] / 4 % 8 < 4 ? data[0] / 4 % 2 : data[0] / 4 % 4, a);
			break;
		case 1:
			fixed_step(data[0] & 4, a);
			break;
		case 2:
			percpu_step(data[0] & 4, a);
			break;
		default:
			arena_step(data[0] / 4 % 8 < 5 ? 0 : data[0] / 4 % 8 == 5 ? 2 : 1, a);
		}
		if (size % 32 == 0)
			ASSERT_EQ(pools_check() + percpu_pool_check(percpu), 0);
	}
	tear_down();
	return 0;
}
