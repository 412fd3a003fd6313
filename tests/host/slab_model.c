/* SPDX-License-Identifier: MIT */
/*
 * The heap against a model that is as simple as can be: a table of what is held, each of it
 * full of a byte of its own. An object that is too small, given out twice, or moved without
 * its contents has other bytes in it when it is given back.
 *
 *	byte 0		mm.heap_protection
 *	then, for each call: 1 byte kind, 1 byte slot, 1 byte a, 2 bytes b
 */
#include "slab_model.h"

#include "host.h"

#include <memory_advanced.h>
#include <page_allocator.h>
#include <percpu.h>
#include <slab.h>
#include <string.h>

#define NR_SLOTS  128
#define NR_CACHES 6
#define NR_PLAYED 4 /* CPUs that this thread plays, one at a time */

#define WRONG(...) (snprintf(why, sizeof(why), __VA_ARGS__), why)

struct slot {
	uint8_t *ptr;
	size_t size;
	kmem_cache_t *cache; /* NULL: of kmalloc() */
};

struct op {
	uint8_t kind, slot, a;
	uint16_t b;
};

static struct slot slots[NR_SLOTS];
static kmem_cache_t *caches[NR_CACHES];
static size_t cache_sizes[NR_CACHES];
static bool may_fail; /* requests for frames fail at random */
static char why[160];

static const char *
check_contents(const struct slot *slot)
{
	uint8_t fill = (uint8_t)(slot - slots + 1);

	for (size_t i = 0; i < slot->size; i++) {
		if (slot->ptr[i] != fill)
			return WRONG("byte %zu of %zu at %p is %#x, not %#x", i, slot->size,
				     (void *)slot->ptr, slot->ptr[i], fill);
	}
	return NULL;
}

/* Note what a call for size bytes has returned. */
static const char *
take(struct slot *slot, void *ptr, size_t size, size_t align, kmem_cache_t *cache)
{
	if (!ptr)
		return may_fail ? NULL : WRONG("no memory for %zu bytes", size);
	if (size == 0)
		return ptr == ZERO_SIZE_PTR ? NULL : WRONG("0 bytes at %p", ptr);
	if (!IS_ALIGNED((uintptr_t)ptr, align))
		return WRONG("%zu bytes at %p, to be aligned to %zu", size, ptr, align);
	*slot = (struct slot){ ptr, size, cache };
	memset(ptr, (int)(slot - slots + 1), size);
	return NULL;
}

static const char *
give_back(struct slot *slot, bool sized)
{
	const char *wrong;

	if (!slot->ptr)
		return NULL;
	wrong = check_contents(slot);
	if (wrong)
		return wrong;
	if (slot->cache)
		kmem_cache_free(slot->cache, slot->ptr);
	else if (sized)
		kfree_sized(slot->ptr, slot->size);
	else
		kfree(slot->ptr);
	slot->ptr = NULL;
	return NULL;
}

static size_t
some_size(const struct op *op)
{
	return op->b % ((1ul << op->a % 15) + 1);
}

static const char *
do_kmalloc(struct slot *slot, const struct op *op)
{
	const char *wrong = give_back(slot, op->a & 1);
	size_t size = some_size(op), align = op->kind & 1 ? 1ul << op->a % 13 : 1;
	void *ptr =
	    op->kind & 1 ? kmalloc_aligned(size, align, GFP_KERNEL) : kmalloc(size, GFP_KERNEL);

	return wrong ? wrong : take(slot, ptr, size, align, NULL);
}

static const char *
do_krealloc(struct slot *slot, const struct op *op)
{
	size_t size = some_size(op), kept = MIN(size, slot->size);
	struct slot moved = { NULL, kept, NULL };
	const char *wrong;

	if (!slot->ptr || slot->cache)
		return do_kmalloc(slot, op);
	moved.ptr = krealloc(slot->ptr, size, GFP_KERNEL);
	if (!moved.ptr)
		return may_fail ? check_contents(slot) : WRONG("krealloc: no memory");
	if (size == 0) {
		slot->ptr = NULL;
		return NULL;
	}
	slot->ptr = moved.ptr;
	slot->size = kept;
	wrong = check_contents(slot);
	return wrong ? wrong : take(slot, moved.ptr, size, 1, NULL);
}

static void
construct(void *object)
{
	*(uint8_t *)object = 0xcc;
}

static const char *
do_create(const struct op *op)
{
	static const slab_flags_t flags[] = {
		0,	    SLAB_NO_PROTECTION, SLAB_NO_MERGE,
		SLAB_CHECK, SLAB_RED_ZONE,	SLAB_POISON | SLAB_STORE_USER
	};
	unsigned i = op->slot % NR_CACHES;
	size_t size = 1 + op->b % KMEM_MAX_SIZE, align = op->a & 8 ? 1ul << op->a % 8 : 0;

	if (caches[i])
		return NULL;
	caches[i] = kmem_cache_create("fuzz", size, align, flags[op->a % ARRAY_SIZE(flags)],
				      op->a & 16 ? construct : NULL);
	cache_sizes[i] = size;
	return caches[i] || may_fail ? NULL : WRONG("no memory for a cache");
}

static const char *
do_cache_alloc(struct slot *slot, const struct op *op)
{
	const char *wrong = give_back(slot, false);
	unsigned i = op->a % NR_CACHES;

	if (wrong || !caches[i])
		return wrong;
	return take(slot, kmem_cache_alloc(caches[i], GFP_KERNEL), cache_sizes[i], 8, caches[i]);
}

/* Destroying needs all objects back; of a shared cache, those of all who share it. */
static const char *
do_destroy(const struct op *op)
{
	unsigned i = op->slot % NR_CACHES;

	for (struct slot *slot = slots; caches[i] && slot < slots + NR_SLOTS; slot++) {
		const char *wrong = slot->cache == caches[i] ? give_back(slot, false) : NULL;

		if (wrong)
			return wrong;
	}
	kmem_cache_destroy(caches[i]);
	caches[i] = NULL;
	return NULL;
}

static void
play_cpu(unsigned cpu)
{
	host_cpu_ends();
	host_cpu_id = cpu;
	host_cpu_starts();
}

static const char *
do_other(const struct op *op)
{
	switch (op->a % 6) {
	case 0:
		slab_reclaim(op->b % 64);
		break;
	case 1:
		if (caches[op->slot % NR_CACHES])
			kmem_cache_shrink(caches[op->slot % NR_CACHES]);
		break;
	case 2:
		may_fail = op->b & 1;
		page_allocator_set_faults(may_fail ? 2 : 0, op->b);
		break;
	case 3:
	case 4:
		play_cpu(op->b % NR_PLAYED);
		break;
	default:
		return slab_check_all() ? WRONG("slab_check_all() complains") : NULL;
	}
	return NULL;
}

static const char *
run_op(const struct op *op)
{
	struct slot *slot = &slots[op->slot % NR_SLOTS];

	switch (op->kind % 16) {
	case 0 ... 3:
		return do_kmalloc(slot, op);
	case 4:
	case 5:
		return do_krealloc(slot, op);
	case 6 ... 9:
		return do_cache_alloc(slot, op);
	case 10:
	case 11:
		return give_back(slot, op->a & 1);
	case 12:
		return do_create(op);
	case 13:
		return op->b % 4 ? NULL : do_destroy(op);
	default:
		return do_other(op);
	}
}

static const char *
give_all_back(size_t nr_free)
{
	const char *wrong = NULL;

	page_allocator_set_faults(0, 0);
	play_cpu(0);
	for (unsigned i = 0; i < NR_SLOTS && !wrong; i++)
		wrong = give_back(&slots[i], i & 1);
	for (unsigned i = 0; i < NR_CACHES; i++)
		kmem_cache_destroy(caches[i]);
	if (wrong)
		return wrong;
	if (slab_check_all())
		return WRONG("at the end slab_check_all() complains");
	slab_reclaim(SIZE_MAX);
	if (page_allocator_nr_free() != nr_free)
		return WRONG("%zu frames are free at the end, not %zu", page_allocator_nr_free(),
			     nr_free);
	return NULL;
}

const char *
slab_run(const uint8_t *bytes, size_t size)
{
	const char *wrong = NULL;
	size_t nr_free;

	memset(slots, 0, sizeof(slots));
	memset(caches, 0, sizeof(caches));
	may_fail = false;
	heap_protection = size ? bytes[0] % 3 : HEAP_OFF;
	nr_free = host_start_machine(MiB(32));
	for (size_t i = 1; i + SLAB_OP_BYTES <= size && !wrong; i += SLAB_OP_BYTES) {
		struct op op = { bytes[i], bytes[i + 1], bytes[i + 2],
				 (uint16_t)(bytes[i + 3] << 8 | bytes[i + 4]) };

		wrong = run_op(&op);
	}
	return wrong ? wrong : give_all_back(nr_free);
}
