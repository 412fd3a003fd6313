/* SPDX-License-Identifier: MIT */
/*
 * The queue that a driver shares with a virtual device: three tables in memory that both can see.
 * (Virtual I/O Device (VIRTIO) 1.1, 2.6: split virtqueues)
 *
 *	descriptors   pieces of memory, which lead to each other: chains
 *	available     first descriptors of chains, in the order in which the driver gave them
 *	used          the same of those that the device is done with, in the order in which it was
 *
 *	driver                                            device
 *	descriptors[], available[n % size] = first
 *	n++  --------------------------------------->     takes it, works
 *	                                                  used[m % size] = first
 *	takes it back  <------------------------------    m++
 *
 * Both indices count on for ever, modulo 2^16. Each side writes only its own table, an entry
 * before the index that tells of it; so neither needs a lock.
 *
 * What the device writes is not trusted: a chain that it does not have, it cannot return, and it
 * cannot return more of them than it has.
 *
 * LOCKING. The owner's.
 */
#include "virtio.h"

#include <errno.h>
#include <panic.h>
#include <string.h>

enum { RING_FLAGS, RING_INDEX, RING_ENTRIES }; /* in words of 16 bits */

#define USED_ENTRY_WORDS 4 /* first descriptor (32 bits), bytes written (32 bits) */

/* Where the tables are in the frame; at the end of each is a word that is not used here. */
#define AVAILABLE_AT (VIRTIO_RING_SIZE * sizeof(struct virtio_descriptor))
#define USED_AT	     (AVAILABLE_AT + 512)

_Static_assert((RING_ENTRIES + VIRTIO_RING_SIZE + 1) * 2 <= 512, "available is before used");
_Static_assert(USED_AT + (RING_ENTRIES + VIRTIO_RING_SIZE * USED_ENTRY_WORDS + 1) * 2 <= PAGE_SIZE,
	       "a ring fits into a frame");

void
virtio_ring_init(struct virtio_ring *ring, void *frame, unsigned size)
{
	ASSERT(size > 0 && size <= VIRTIO_RING_SIZE && (size & (size - 1)) == 0);
	memset(frame, 0, PAGE_SIZE);
	*ring = (struct virtio_ring){
		.size = size,
		.descriptors = frame,
		.available = (void *)((char *)frame + AVAILABLE_AT),
		.used = (void *)((char *)frame + USED_AT),
	};
}

void
virtio_ring_give(struct virtio_ring *ring, unsigned first)
{
	ASSERT(first < ring->size && !ring->lent[first]);
	ring->lent[first] = true;
	ring->available[RING_ENTRIES + ring->nr_available % ring->size] = (uint16_t)first;
	ring->nr_available++;
	__atomic_store_n(&ring->available[RING_INDEX], ring->nr_available, __ATOMIC_RELEASE);
}

int
virtio_ring_take(struct virtio_ring *ring)
{
	uint16_t index = __atomic_load_n(&ring->used[RING_INDEX], __ATOMIC_ACQUIRE);
	unsigned at = RING_ENTRIES + ring->nr_used % ring->size * USED_ENTRY_WORDS;
	uint32_t first;

	if (index == ring->nr_used)
		return -EAGAIN;
	first = ring->used[at] | (uint32_t)ring->used[at + 1] << 16;
	if (first >= ring->size || !ring->lent[first])
		return -EIO;
	ring->lent[first] = false;
	ring->nr_used++;
	return (int)first;
}
