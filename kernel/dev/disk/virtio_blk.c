/* SPDX-License-Identifier: MIT */
/*
 * Driving disks of virtual machines: virtio over PCI. (Virtual I/O Device (VIRTIO) 1.1)
 *
 * A command is a chain of pieces of memory: what to do, the data, and a byte for the answer.
 * Several are given to the device at a time; it says by a message when it is done with some.
 *
 *	command i  -->  descriptor i of the ring  -->  slot i: a frame
 *	                                               [header] [data]... [status]  <- table
 *	                                               header, status
 *
 * So a command needs one descriptor, which leads to a table of its own (an indirect one), and
 * nothing is ever allocated. A device that knows no such tables gets each command's chain in the
 * ring itself, of which every command has an equal share.
 *
 * The device is not trusted to be right. What it must not do (return a command that it does not
 * have) has it reset.
 */
#include <abi/stat.h>
#include <errno.h>
#include <memory_advanced.h>
#include <panic.h>
#include <printk.h>
#include <start.h>
#include <string.h>
#include <time.h>

#include "virtio.h"

#define VENDOR_VIRTIO	    0x1af4
#define DEVICE_BLOCK	    0x1042
#define DEVICE_TRANSITIONAL 0x1001 /* may have the registers of version 1, too */

/* Common registers (4.1.4.3), by their offsets. */
enum {
	COMMON_DEVICE_SELECT = 0x00, /* which 32 feature bits are seen in the next */
	COMMON_DEVICE_FEATURES = 0x04,
	COMMON_DRIVER_SELECT = 0x08,
	COMMON_DRIVER_FEATURES = 0x0c,
	COMMON_STATUS = 0x14,	    /* 8 bits */
	COMMON_QUEUE_SELECT = 0x16, /* 16 bits, as all up to the addresses */
	COMMON_QUEUE_SIZE = 0x18,
	COMMON_QUEUE_MESSAGE = 0x1a,
	COMMON_QUEUE_ENABLE = 0x1c,
	COMMON_QUEUE_NOTIFY = 0x1e,
	COMMON_DESCRIPTORS = 0x20, /* two words of 32 bits, as the next two */
	COMMON_AVAILABLE = 0x28,
	COMMON_USED = 0x30,
};

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER	   2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

/* Feature bits (5.2.3, 6). */
#define FEATURE_SIZE_MAX   (1ull << 1)
#define FEATURE_SEG_MAX	   (1ull << 2)
#define FEATURE_READ_ONLY  (1ull << 5)
#define FEATURE_BLOCK_SIZE (1ull << 6)
#define FEATURE_FLUSH	   (1ull << 9)
#define FEATURE_INDIRECT   (1ull << 28)
#define FEATURE_VERSION_1  (1ull << 32)
#define FEATURES_WANTED                                                                            \
	(FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_READ_ONLY | FEATURE_BLOCK_SIZE |             \
	 FEATURE_FLUSH | FEATURE_INDIRECT | FEATURE_VERSION_1)

/* Registers of a disk (5.2.4), by their offsets. */
enum {
	DISK_CAPACITY = 0x00, /* 64 bits: sectors of 512 bytes */
	DISK_SIZE_MAX = 0x08, /* bytes of a segment */
	DISK_SEG_MAX = 0x0c,
	DISK_BLOCK_SIZE = 0x14,
};

/* What a command says (5.2.6). */
enum { TYPE_READ = 0, TYPE_WRITE = 1, TYPE_FLUSH = 4 };

struct virtio_header {
	uint32_t type;
	uint32_t reserved;
	uint64_t sector;
};

#define ANSWER_OK   0
#define ANSWER_NONE 0xff /* what stands there until the device has written its own */

#define MAX_DISKS    16 /* each takes some of the window for registers */
#define MAX_SEGMENTS 128
#define RESET_NS     (2 * NSEC_PER_SEC)
#define MAJOR	     254
#define DISK_MINORS  16

/* What a command needs beside the ring: a frame. */
struct virtio_slot {
	struct virtio_descriptor table[MAX_SEGMENTS + 2];
	struct virtio_header header;
	uint8_t answer;
};

_Static_assert(sizeof(struct virtio_slot) <= PAGE_SIZE, "a slot is a frame");

struct virtio_disk {
	struct block_queue queue;
	struct block_device device;
	const struct pci_device *pci;	      /* (c) */
	volatile uint8_t *common, *registers; /* (c) */
	volatile uint16_t *notify;	      /* (c) */
	uint64_t features;		      /* (c) */
	bool has_messages;		      /* (c) */
	unsigned share;			      /* (c) of the ring, for a command that lies in it */
	void *frame;			      /* (c) of the ring */
	struct virtio_ring ring;	      /* (q) */
	struct virtio_slot *slots[QUEUE_MAX_DEPTH]; /* (q) */
};

static struct virtio_disk *disks[MAX_DISKS]; /* (c) */
static unsigned nr_disks;

/* ---- Registers --------------------------------------------------------------------------- */

static volatile uint32_t *
word_at(volatile uint8_t *registers, unsigned offset)
{
	return (volatile uint32_t *)(registers + offset);
}

static volatile uint16_t *
half_at(volatile uint8_t *registers, unsigned offset)
{
	return (volatile uint16_t *)(registers + offset);
}

static void
write_address(struct virtio_disk *disk, unsigned offset, const volatile void *at)
{
	paddr_t address = virt_to_phys((const void *)at);

	*word_at(disk->common, offset) = (uint32_t)address;
	*word_at(disk->common, offset + 4) = (uint32_t)(address >> 32);
}

static uint64_t
read_features(struct virtio_disk *disk)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < 2; i++) {
		*word_at(disk->common, COMMON_DEVICE_SELECT) = i;
		features |= (uint64_t)*word_at(disk->common, COMMON_DEVICE_FEATURES) << i * 32;
	}
	return features;
}

static void
write_features(struct virtio_disk *disk)
{
	for (unsigned i = 0; i < 2; i++) {
		*word_at(disk->common, COMMON_DRIVER_SELECT) = i;
		*word_at(disk->common, COMMON_DRIVER_FEATURES) =
		    (uint32_t)(disk->features >> i * 32);
	}
}

static volatile uint8_t *
status_of(struct virtio_disk *disk)
{
	return disk->common + COMMON_STATUS;
}

/* ---- Commands ---------------------------------------------------------------------------- */

/* Add a descriptor to a chain that begins at descriptor number base of its table. */
static void
add_piece(volatile struct virtio_descriptor *chain, unsigned *nr, unsigned base, const void *at,
	  size_t size, bool device_writes)
{
	if (*nr > 0) {
		chain[*nr - 1].flags |= DESCRIPTOR_NEXT;
		chain[*nr - 1].next = (uint16_t)(base + *nr);
	}
	chain[*nr].address = virt_to_phys(at);
	chain[*nr].size = (uint32_t)size;
	chain[*nr].flags = device_writes ? DESCRIPTOR_WRITE : 0;
	(*nr)++;
}

/* Write a command's chain, from descriptor number base of its table on. Returns its size. */
static unsigned
make_chain(struct block_command *command, struct virtio_slot *slot,
	   volatile struct virtio_descriptor *chain, unsigned base)
{
	static const uint8_t types[] = {
		[BLOCK_READ] = TYPE_READ, [BLOCK_WRITE] = TYPE_WRITE, [BLOCK_FLUSH] = TYPE_FLUSH
	};
	const struct block_segment *segment;
	struct block_cursor cursor;
	unsigned nr = 0;

	slot->header = (struct virtio_header){
		.type = types[command->op],
		.sector = command->op == BLOCK_FLUSH ? 0 : command->first,
	};
	slot->answer = ANSWER_NONE;
	add_piece(chain, &nr, base, &slot->header, sizeof(slot->header), false);
	block_cursor_init(&cursor, command);
	while ((segment = block_next_segment(&cursor)))
		add_piece(chain, &nr, base, (char *)page_to_virt(segment->page) + segment->offset,
			  segment->size, command->op == BLOCK_READ);
	add_piece(chain, &nr, base, &slot->answer, sizeof(slot->answer), true);
	return nr;
}

static void
virtio_start_locked(struct block_command *command)
{
	struct virtio_disk *disk = command->queue->data;
	struct virtio_slot *slot = disk->slots[command->index];
	unsigned first = command->index * disk->share, nr;

	if (command->op == BLOCK_FLUSH && !(disk->features & FEATURE_FLUSH)) {
		block_command_done_locked(command, 0); /* it has no cache to flush */
		return;
	}
	if (disk->features & FEATURE_INDIRECT) {
		nr = make_chain(command, slot, slot->table, 0);
		disk->ring.descriptors[first].address = virt_to_phys(slot->table);
		disk->ring.descriptors[first].size = nr * sizeof(slot->table[0]);
		disk->ring.descriptors[first].flags = DESCRIPTOR_INDIRECT;
	} else {
		(void)make_chain(command, slot, &disk->ring.descriptors[first], first);
	}
	virtio_ring_give(&disk->ring, first);
	*disk->notify = 0; /* queue 0 */
}

static void
virtio_poll_locked(struct block_queue *queue)
{
	struct virtio_disk *disk = queue->data;
	struct block_command *command;
	int first;

	while ((first = virtio_ring_take(&disk->ring)) >= 0) {
		uint8_t answer;

		command = &queue->commands[(unsigned)first / disk->share];
		answer = *(volatile uint8_t *)&disk->slots[command->index]->answer;
		if (answer == ANSWER_OK)
			block_command_done_locked(command, 0);
		else
			block_command_failed_locked(command, "status", answer);
	}
	if (first == -EIO)
		block_queue_broken_locked(queue);
}

static void
virtio_interrupt(void *arg)
{
	struct virtio_disk *disk = arg;

	block_queue_interrupt(&disk->queue);
}

/* ---- Beginning --------------------------------------------------------------------------- */

/* Have the device forget everything. Returns whether it did. */
static bool
reset_device(struct virtio_disk *disk)
{
	uint64_t until = time_ns() + RESET_NS;

	*status_of(disk) = 0;
	while (*status_of(disk) != 0) {
		if (time_ns() > until)
			return false;
		arch_cpu_relax();
	}
	return true;
}

/* Agree on what both can do. Returns NULL, or what is wrong. */
static const char *
negotiate(struct virtio_disk *disk)
{
	*status_of(disk) = STATUS_ACKNOWLEDGE | STATUS_DRIVER;
	disk->features = read_features(disk) & FEATURES_WANTED;
	if (!(disk->features & FEATURE_VERSION_1))
		return "it is older than version 1.0";
	write_features(disk);
	*status_of(disk) |= STATUS_FEATURES_OK;
	return *status_of(disk) & STATUS_FEATURES_OK ? NULL : "it refuses what it has offered";
}

/* Give the device its ring, of size descriptors, and let it begin. Returns whether it takes it. */
static bool
start_device(struct virtio_disk *disk, unsigned size)
{
	volatile uint16_t *message = half_at(disk->common, COMMON_QUEUE_MESSAGE);

	virtio_ring_init(&disk->ring, disk->frame, size);
	*half_at(disk->common, COMMON_QUEUE_SELECT) = 0;
	*half_at(disk->common, COMMON_QUEUE_SIZE) = (uint16_t)size;
	if (*half_at(disk->common, COMMON_QUEUE_SIZE) != size)
		return false;
	write_address(disk, COMMON_DESCRIPTORS, disk->ring.descriptors);
	write_address(disk, COMMON_AVAILABLE, disk->ring.available);
	write_address(disk, COMMON_USED, disk->ring.used);
	if (disk->has_messages)
		*message = 0;
	disk->has_messages = disk->has_messages && *message == 0;
	disk->queue.polled = !disk->has_messages;
	*half_at(disk->common, COMMON_QUEUE_ENABLE) = 1;
	*status_of(disk) |= STATUS_DRIVER_OK;
	return true;
}

static bool
virtio_reset(struct block_queue *queue)
{
	struct virtio_disk *disk = queue->data;
	bool works = reset_device(disk) && !negotiate(disk) && start_device(disk, disk->ring.size);

	if (!works)
		pci_disable(disk->pci, PCI_COMMAND_MASTER);
	return works;
}

static const struct block_driver virtio_driver = { .start_locked = virtio_start_locked,
						   .poll_locked = virtio_poll_locked,
						   .reset = virtio_reset };

/* ---- Finding disks ----------------------------------------------------------------------- */

/* The largest power of two that is not larger. */
static unsigned
round_down(unsigned n)
{
	unsigned power = 1;

	while (power * 2 <= n)
		power *= 2;
	return power;
}

/* How many commands at a time, and each one's share of the ring. Returns NULL, or what is wrong. */
static const char *
set_limits(struct virtio_disk *disk, unsigned size, unsigned *depth, unsigned *max_segments)
{
	bool indirect = disk->features & FEATURE_INDIRECT;

	*max_segments = MAX_SEGMENTS;
	if (disk->features & FEATURE_SEG_MAX)
		*max_segments = MIN(*word_at(disk->registers, DISK_SEG_MAX), MAX_SEGMENTS);
	if (disk->features & FEATURE_SIZE_MAX &&
	    *word_at(disk->registers, DISK_SIZE_MAX) < PAGE_SIZE)
		return "it takes only parts of a frame";
	*depth = MIN(indirect ? size : size / (BLOCK_MAX_SEGMENTS + 2), QUEUE_MAX_DEPTH);
	if (*depth == 0)
		return "its queue is too short";
	disk->share = indirect ? 1 : size / *depth;
	if (!indirect)
		*max_segments = MIN(*max_segments, disk->share - 2);
	return *max_segments < BLOCK_MAX_SEGMENTS ? "it takes too few segments" : NULL;
}

/* What the device tells of itself. Returns NULL, or what is wrong. */
static const char *
set_device(struct virtio_disk *disk)
{
	volatile uint32_t *capacity = word_at(disk->registers, DISK_CAPACITY);
	struct block_device *device = &disk->device;

	device->nr_sectors = capacity[0] | (uint64_t)capacity[1] << 32;
	device->block_size = SECTOR_SIZE;
	if (disk->features & FEATURE_BLOCK_SIZE)
		device->block_size = *word_at(disk->registers, DISK_BLOCK_SIZE);
	device->read_only = disk->features & FEATURE_READ_ONLY;
	if (device->block_size < SECTOR_SIZE || device->block_size > PAGE_SIZE ||
	    round_down(device->block_size) != device->block_size)
		return "its blocks are of no usual size";
	device->nr_sectors -= device->nr_sectors % (device->block_size / SECTOR_SIZE);
	return device->nr_sectors == 0 || device->nr_sectors >> 54 ? "its size makes no sense"
								   : NULL;
}

static const char *
map_registers(struct virtio_disk *disk, struct virtio_places *places)
{
	uint8_t config[PCI_CONFIG_SIZE];
	const char *wrong;

	pci_copy_config(disk->pci, config);
	wrong = virtio_parse_capabilities(config, places);
	if (wrong)
		return wrong;
	pci_enable(disk->pci, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	disk->common = pci_map(disk->pci, places->common.bar, places->common.offset,
			       MIN(places->common.size, PAGE_SIZE));
	disk->registers = pci_map(disk->pci, places->device.bar, places->device.offset,
				  MIN(places->device.size, PAGE_SIZE));
	return disk->common && disk->registers ? NULL : "its registers are nowhere";
}

static const char *
map_notify(struct virtio_disk *disk, const struct virtio_places *places)
{
	uint64_t at =
	    (uint64_t)*half_at(disk->common, COMMON_QUEUE_NOTIFY) * places->notify_multiplier;

	if (at > places->notify.size - sizeof(uint16_t))
		return "its registers are nowhere";
	disk->notify =
	    pci_map(disk->pci, places->notify.bar, places->notify.offset + at, sizeof(uint16_t));
	return disk->notify ? NULL : "its registers are nowhere";
}

static bool
take_memory(struct virtio_disk *disk, unsigned depth)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	disk->frame = page ? page_to_virt(page) : NULL;
	for (unsigned i = 0; i < depth && page; i++) {
		page = alloc_pages(GFP_KERNEL | GFP_ZERO, 0);
		disk->slots[i] = page ? page_to_virt(page) : NULL;
	}
	return page;
}

/* Everything up to the first command. Returns NULL, or why the disk cannot be used. */
static const char *
set_up(struct virtio_disk *disk)
{
	unsigned size, depth = 0, max_segments = 0;
	struct virtio_places places;
	const char *wrong = map_registers(disk, &places);

	if (!wrong)
		wrong = reset_device(disk) ? negotiate(disk) : "it cannot be reset";
	if (wrong)
		return wrong;
	*half_at(disk->common, COMMON_QUEUE_SELECT) = 0;
	size = *half_at(disk->common, COMMON_QUEUE_SIZE);
	size = size ? round_down(MIN(size, VIRTIO_RING_SIZE)) : 0;
	wrong = set_limits(disk, size, &depth, &max_segments);
	if (!wrong)
		wrong = set_device(disk);
	if (!wrong)
		wrong = map_notify(disk, &places);
	if (wrong)
		return wrong;
	block_queue_init(&disk->queue, disk->device.name, &virtio_driver, disk, depth,
			 max_segments);
	disk->device.queue = &disk->queue;
	if (!take_memory(disk, depth))
		return "there is no memory for it";
	disk->has_messages = pci_install_message(disk->pci, virtio_interrupt, disk);
	return start_device(disk, size) ? NULL : "it does not take its queue";
}

static void
probe(const struct pci_device *pci)
{
	struct virtio_disk *disk = kmalloc_zeroed(sizeof(*disk), GFP_KERNEL);
	char name[] = "vda";
	const char *wrong;

	name[2] = (char)('a' + nr_disks);
	if (!disk || nr_disks == MAX_DISKS) {
		kprintf("%s: left alone: %s\n", name, disk ? "too many disks" : "no memory");
		kfree(disk);
		return;
	}
	disk->pci = pci;
	strlcpy(disk->device.name, name, sizeof(disk->device.name));
	strlcpy(disk->device.model, "virtio disk", sizeof(disk->device.model));
	disk->device.number = make_device(MAJOR, nr_disks * DISK_MINORS);
	wrong = set_up(disk);
	if (wrong) {
		/* What it was given so far stays its own: it may still write there. */
		pci_disable(pci, PCI_COMMAND_MASTER);
		kprintf("%s: left alone: %s\n", name, wrong);
		return;
	}
	disks[nr_disks++] = disk;
	block_watch(&disk->queue);
	block_register(&disk->device, disk->has_messages ? "DMA" : "DMA, polled");
}

static void
virtio_init(void)
{
	struct pci_device *pci = NULL;

	while ((pci = pci_next(pci))) {
		if (pci->vendor == VENDOR_VIRTIO &&
		    (pci->device == DEVICE_BLOCK || pci->device == DEVICE_TRANSITIONAL))
			probe(pci);
	}
}

START_STEP(virtio, virtio_init, START_DEVICES);
