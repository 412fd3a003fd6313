/* SPDX-License-Identifier: MIT */
/* Disks of virtual machines: virtio_blk.c drives them; the other files are pure. */
#ifndef DISK_VIRTIO_H
#define DISK_VIRTIO_H

#include "../pci.h"
#include "queue.h"

/* ---- Where the registers are: virtio_capabilities.c -------------------------------------- */

/* Bytes of a memory register of the device. */
struct virtio_place {
	uint8_t bar;
	uint32_t offset, size;
};

struct virtio_places {
	struct virtio_place common, notify, device;
	uint32_t notify_multiplier;
};

/*
 * Read the capabilities of a device. Returns NULL, or why it cannot be used. The configuration
 * space may hold anything.
 */
const char *virtio_parse_capabilities(const uint8_t config[PCI_CONFIG_SIZE],
				      struct virtio_places *places);

/* ---- The queue that driver and device share: virtio_ring.c ------------------------------- */

struct virtio_descriptor {
	uint64_t address;
	uint32_t size;
	uint16_t flags;
	uint16_t next; /* with DESCRIPTOR_NEXT */
};

#define DESCRIPTOR_NEXT	    1
#define DESCRIPTOR_WRITE    2 /* the device writes */
#define DESCRIPTOR_INDIRECT 4 /* it is a table of descriptors */

#define VIRTIO_RING_SIZE 128 /* descriptors, a power of two: all fits into a frame */

struct virtio_ring {
	unsigned size; /* a power of two, VIRTIO_RING_SIZE at most */
	volatile struct virtio_descriptor *descriptors;
	volatile uint16_t *available; /* flags, index, and size entries */
	volatile uint16_t *used;      /* flags, index, and size entries of 4 times that */
	uint16_t nr_available;	      /* that were ever given to the device, modulo 2^16 */
	uint16_t nr_used;	      /* that were ever taken back */
	bool lent[VIRTIO_RING_SIZE];  /* by the first descriptor of a chain: the device has it */
};

/* Lay an empty ring out in a frame. */
void virtio_ring_init(struct virtio_ring *ring, void *frame, unsigned size);

/* Give the chain that begins with a descriptor to the device. */
void virtio_ring_give(struct virtio_ring *ring, unsigned first);

/*
 * Take back a chain that the device is done with: its first descriptor, or -EAGAIN if there is
 * none, or -EIO if the device returned what it did not have.
 */
int virtio_ring_take(struct virtio_ring *ring);

#endif
