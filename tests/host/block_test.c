/* SPDX-License-Identifier: MIT */
/*
 * Disks without hardware: the request queue against a model of the disk, in front of a disk that
 * does its commands in any order and fails some; and what drivers read and write, bit by bit.
 */
#include "host.h"

#include <block.h>
#include <errno.h>
#include <memory_advanced.h>
#include <string.h>

#include "../../kernel/dev/disk/ide.h"
#include "../../kernel/dev/disk/mbr.h"
#include "../../kernel/dev/disk/virtio.h"
#include "machine.h"

/* ---- The queue --------------------------------------------------------------------------- */

#define DISK_SECTORS 600
#define NR_WISHES    160
#define MAX_PIECES   4

/* Each sector's bytes are all the same here. */
static struct any_order {
	struct block_queue queue;
	struct block_device device;
	uint8_t contents[DISK_SECTORS]; /* of the disk */
	uint8_t model[DISK_SECTORS];	/* what it must be once all requests have ended */
	bool claimed[DISK_SECTORS];	/* some request that has not ended moves it */
	struct block_command *running[QUEUE_MAX_DEPTH];
	unsigned nr_running, turn;
	bool fails;
	struct prng prng;
} disk;

struct wish {
	struct block_request request;
	struct block_segment segments[MAX_PIECES];
	struct page *frame;
	unsigned nr_sectors;
	bool under_way;
};

static struct wish wishes[NR_WISHES];

static void
any_start_locked(struct block_command *command)
{
	CHECK(disk.nr_running < disk.queue.depth);
	disk.running[disk.nr_running++] = command;
}

/* Do the command whose turn it is. */
static void
any_poll_locked(struct block_queue *queue)
{
	struct block_command *command = disk.running[disk.turn];
	uint64_t sector = command->first;
	const struct block_segment *segment;
	struct block_cursor cursor;

	(void)queue;
	disk.running[disk.turn] = disk.running[--disk.nr_running];
	block_cursor_init(&cursor, command);
	while (!disk.fails && (segment = block_next_segment(&cursor))) {
		uint8_t *bytes = (uint8_t *)page_to_virt(segment->page) + segment->offset;

		for (uint32_t at = 0; at < segment->size; at += SECTOR_SIZE, sector++) {
			CHECK(sector < DISK_SECTORS);
			if (command->op == BLOCK_READ)
				memset(bytes + at, disk.contents[sector], SECTOR_SIZE);
			else
				disk.contents[sector] = bytes[at];
		}
	}
	CHECK(disk.fails || sector == command->first + command->nr_sectors);
	block_command_done_locked(command, disk.fails ? -EIO : 0);
}

static bool
any_reset(struct block_queue *queue)
{
	(void)queue;
	disk.nr_running = 0;
	return true;
}

static const struct block_driver any_driver = { .start_locked = any_start_locked,
						.poll_locked = any_poll_locked,
						.reset = any_reset };

/* What a read must have found, and what is free now. */
static void
wish_done(struct block_request *request)
{
	struct wish *wish = request->private;
	uint8_t *bytes = page_to_virt(wish->frame);

	CHECK(wish->under_way);
	wish->under_way = false;
	for (unsigned i = 0; i < wish->nr_sectors; i++) {
		uint64_t sector = request->sector + i;

		disk.claimed[sector] = false;
		if (request->error == 0 && request->op == BLOCK_WRITE)
			disk.model[sector] = bytes[i * SECTOR_SIZE];
		else if (request->error == 0)
			CHECK_EQ(bytes[i * SECTOR_SIZE + 7], disk.model[sector]);
	}
}

/* Sectors that nobody else moves at the moment, or false. */
static bool
claim(uint64_t sector, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (disk.claimed[sector + i])
			return false;
	}
	memset(disk.claimed + sector, true, nr);
	return true;
}

static void
make_segments(struct wish *wish)
{
	unsigned left = wish->nr_sectors, offset = 0;
	struct block_request *request = &wish->request;

	while (left > 0) {
		unsigned nr = request->nr_segments == MAX_PIECES - 1
				  ? left
				  : 1 + (unsigned)prng_below(&disk.prng, left);

		wish->segments[request->nr_segments++] =
		    (struct block_segment){ wish->frame, offset * SECTOR_SIZE, nr * SECTOR_SIZE };
		offset += nr;
		left -= nr;
	}
}

static void
submit_one(void)
{
	struct wish *wish = &wishes[prng_below(&disk.prng, NR_WISHES)];
	uint64_t sector = prng_below(&disk.prng, DISK_SECTORS - 8);
	unsigned nr = 1 + (unsigned)prng_below(&disk.prng, 8);

	/* From a single thread: who would sleep would sleep for ever. */
	if (wish->under_way || disk.queue.nr_waiting >= QUEUE_MAX_WAITING || !claim(sector, nr))
		return;
	wish->under_way = true;
	wish->nr_sectors = nr;
	wish->request = (struct block_request){
		.op = prng_below(&disk.prng, 2) ? BLOCK_WRITE : BLOCK_READ,
		.device = &disk.device,
		.sector = sector,
		.segments = wish->segments,
		.done = wish_done,
		.private = wish,
	};
	make_segments(wish);
	if (wish->request.op == BLOCK_WRITE)
		memset(page_to_virt(wish->frame), (int)prng_next(&disk.prng), PAGE_SIZE);
	block_submit(&wish->request);
}

static void
end_one(bool fails)
{
	if (disk.nr_running == 0)
		return;
	disk.turn = (unsigned)prng_below(&disk.prng, disk.nr_running);
	disk.fails = fails;
	block_queue_interrupt(&disk.queue);
}

static void
any_order_start(uint64_t seed, unsigned depth)
{
	memset(&disk, 0, sizeof(disk));
	memset(wishes, 0, sizeof(wishes));
	prng_seed(&disk.prng, seed);
	block_queue_init(&disk.queue, "any", &any_driver, &disk, depth, BLOCK_MAX_SEGMENTS);
	disk.device = (struct block_device){ .name = "any",
					     .nr_sectors = DISK_SECTORS,
					     .block_size = SECTOR_SIZE,
					     .queue = &disk.queue };
	for (unsigned i = 0; i < NR_WISHES; i++)
		wishes[i].frame = alloc_pages(GFP_KERNEL, 0);
}

static void
queue(void)
{
	machine_start(MiB(8));
	for (unsigned round = 0; round < 30 && !host_failed(); round++) {
		unsigned depth = 1 + round % QUEUE_MAX_DEPTH;

		any_order_start(host_seed * 1000 + round, depth);
		for (unsigned step = 0; step < 3000 && !host_failed(); step++) {
			if (prng_below(&disk.prng, 3) > 0)
				submit_one();
			else
				end_one(round % 3 == 0 && prng_below(&disk.prng, 5) == 0);
			CHECK_EQ(block_queue_check(&disk.queue), 0);
		}
		while (disk.nr_running > 0 && !host_failed())
			end_one(false);
		CHECK_EQ(disk.queue.nr_waiting, 0);
		CHECK_EQ(disk.device.statistics.nr_pending, 0);
		CHECK_EQ(memcmp(disk.contents, disk.model, DISK_SECTORS), 0);
		CHECK(disk.device.statistics.nr_merged[BLOCK_READ] > 0);
		for (unsigned i = 0; i < NR_WISHES; i++)
			__free_pages(wishes[i].frame, 0);
	}
}

/* The queue's checker notices what is wrong. */
static void
queue_damage(void)
{
	machine_start(MiB(8));
	any_order_start(host_seed, 2);
	while (disk.queue.nr_waiting < 20)
		submit_one();
	CHECK_EQ(block_queue_check(&disk.queue), 0);
	CHECK_FINDS(disk.queue.nr_waiting, 7, block_queue_check(&disk.queue), "queue any");
	CHECK_FINDS(disk.queue.nr_running, 1, block_queue_check(&disk.queue), "queue any");
	CHECK_FINDS(disk.running[0]->nr_sectors, 9999, block_queue_check(&disk.queue), "queue any");
	CHECK_FINDS(list_first_entry(&disk.queue.next, struct block_request, link)->first, 1 << 20,
		    block_queue_check(&disk.queue), "queue any");
}

/* ---- The bus master's tables ------------------------------------------------------------- */

/* A command of one request with the given segments. */
static void
make_command(struct block_command *command, struct block_request *request)
{
	*command = (struct block_command){ .op = request->op };
	list_init(&command->requests);
	list_add_tail(&request->link, &command->requests);
	for (unsigned i = 0; i < request->nr_segments; i++)
		command->nr_sectors += request->segments[i].size / SECTOR_SIZE;
}

static void
check_prds(const struct block_request *request, const struct ide_prd *prds, unsigned nr)
{
	unsigned at = 0;
	uint64_t done = 0;

	for (unsigned i = 0; i < request->nr_segments; i++) {
		const struct block_segment *segment = &request->segments[i];
		uint64_t address = (page_to_pfn(segment->page) << PAGE_SHIFT) + segment->offset;
		uint64_t size = prds[at].size ? prds[at].size : KiB(64);

		if (done == size) {
			at++;
			done = 0;
			size = prds[at].size ? prds[at].size : KiB(64);
		}
		CHECK(at < nr);
		CHECK_EQ(prds[at].address + done, address);
		done += segment->size;
		CHECK(done <= size);
	}
	CHECK_EQ(at, nr - 1);
	for (unsigned i = 0; i < nr; i++) {
		uint64_t size = prds[i].size ? prds[i].size : KiB(64);

		CHECK_EQ(prds[i].address / KiB(64), (prds[i].address + size - 1) / KiB(64));
		CHECK_EQ(prds[i].flags, i == nr - 1 ? IDE_PRD_LAST : 0);
	}
}

static void
prds(void)
{
	static struct ide_prd table[IDE_MAX_PRDS];
	static struct block_segment segments[BLOCK_MAX_SECTORS];
	struct block_request request = { .segments = segments };
	struct block_command command;
	struct prng prng = { host_seed };

	for (unsigned round = 0; round < 2000 && !host_failed(); round++) {
		pfn_t pfn = prng_below(&prng, 1 << 20);
		unsigned nr;

		request.nr_segments = 1 + (unsigned)prng_below(&prng, BLOCK_MAX_SECTORS);
		for (unsigned i = 0; i < request.nr_segments; i++) {
			bool whole = prng_below(&prng, 4) != 0;
			uint32_t offset = whole ? 0 : SECTOR_SIZE * prng_below(&prng, 8);

			pfn = prng_below(&prng, 8) == 0 ? prng_below(&prng, 1 << 20) : pfn + 1;
			segments[i] =
			    (struct block_segment){ pfn_to_page(pfn), offset, PAGE_SIZE - offset };
		}
		make_command(&command, &request);
		nr = ide_make_prds(&command, table);
		for (unsigned i = 0; i < request.nr_segments; i++)
			pfn = MAX(pfn, page_to_pfn(segments[i].page));
		if (pfn < 1 << 20) {
			CHECK(nr > 0);
			check_prds(&request, table, nr);
		}
	}
	/* Contiguous up to the very end of what the bus master reaches, and one sector beyond. */
	for (unsigned i = 0; i < 32; i++)
		segments[i] =
		    (struct block_segment){ pfn_to_page((1 << 20) - 32 + i), 0, PAGE_SIZE };
	request.nr_segments = 32;
	make_command(&command, &request);
	CHECK_EQ(ide_make_prds(&command, table), 2);
	CHECK_EQ(table[0].size, 0);
	segments[31].page++;
	CHECK_EQ(ide_make_prds(&command, table), 0);
}

/* ---- What drives say of themselves ------------------------------------------------------- */

static void
sample_identity(uint16_t words[IDE_IDENTIFY_WORDS])
{
	static const char model[] = "MODEL 5\"           \xff                    ";

	memset(words, 0, IDE_IDENTIFY_WORDS * 2);
	for (unsigned i = 0; i < 20; i++)
		words[27 + i] = (uint16_t)((uint8_t)model[2 * i] << 8 | (uint8_t)model[2 * i + 1]);
	words[49] = 1 << 8 | 1 << 9;
	words[60] = 0x1234;
	words[61] = 0x0001;
	words[83] = 1 << 14 | 1 << 12;
}

static void
identify(void)
{
	uint16_t words[IDE_IDENTIFY_WORDS];
	struct ide_identity identity;

	sample_identity(words);
	CHECK(ide_parse_identify(words, &identity) == NULL);
	CHECK_EQ(strcmp(identity.model, "MODEL 5\"           ?"), 0);
	CHECK_EQ(identity.nr_sectors, 0x11234);
	CHECK(identity.dma && identity.flush && !identity.lba48);
	words[83] = 1 << 14 | 1 << 10;
	words[100] = 0x5678;
	words[102] = 0x1;
	CHECK(ide_parse_identify(words, &identity) == NULL);
	CHECK_EQ(identity.nr_sectors, 0x100005678);
	CHECK(identity.lba48 && !identity.flush);
	words[103] = 1; /* 2^48 sectors and more */
	CHECK(ide_parse_identify(words, &identity) != NULL);
	sample_identity(words);
	words[83] = 0xffff; /* the drive does not know of this word */
	CHECK(ide_parse_identify(words, &identity) == NULL);
	CHECK(!identity.lba48 && !identity.flush);
	words[106] = 1 << 14 | 1 << 12;
	CHECK_NAMES(ide_parse_identify(words, &identity), "512 bytes");
	words[106] = 0;
	words[49] = 0;
	CHECK_NAMES(ide_parse_identify(words, &identity), "linear");
	words[49] = 1 << 9;
	words[60] = words[61] = 0;
	CHECK_NAMES(ide_parse_identify(words, &identity), "size");
	words[60] = words[61] = 0xffff;
	CHECK(ide_parse_identify(words, &identity) == NULL);
	CHECK_EQ(identity.nr_sectors, (1 << 28) - 1);
}

static void
set_entry(uint8_t *sector, unsigned i, uint8_t kind, uint32_t start, uint32_t nr)
{
	uint8_t *entry = sector + 446 + 16 * i;

	entry[4] = kind;
	memcpy(entry + 8, &start, 4);
	memcpy(entry + 12, &nr, 4);
	sector[510] = 0x55;
	sector[511] = 0xaa;
}

static void
partitions(void)
{
	struct block_device device = { .nr_sectors = 10000, .block_size = SECTOR_SIZE };
	struct mbr_partition partition[MBR_PARTITIONS];
	uint8_t sector[SECTOR_SIZE] = { 0 };

	CHECK(mbr_parse(sector, &device, partition) == NULL);
	CHECK_EQ(partition[0].nr_sectors, 0);
	set_entry(sector, 0, 0x83, 63, 1000);
	set_entry(sector, 2, 0x82, 2000, 8000);
	CHECK(mbr_parse(sector, &device, partition) == NULL);
	CHECK_EQ(partition[0].start, 63);
	CHECK_EQ(partition[0].nr_sectors, 1000);
	CHECK_EQ(partition[1].nr_sectors, 0);
	CHECK_EQ(partition[2].start + partition[2].nr_sectors, 10000);
	set_entry(sector, 3, 0x05, 5000, 1u << 31); /* extended: not looked at */
	CHECK(mbr_parse(sector, &device, partition) == NULL);
	device.nr_sectors--;
	CHECK_NAMES(mbr_parse(sector, &device, partition), "not on the disk");
	set_entry(sector, 0, 0xee, 1, UINT32_MAX);
	CHECK_NAMES(mbr_parse(sector, &device, partition), "GPT");
	sector[446] = 0xeb; /* code */
	CHECK(mbr_parse(sector, &device, partition) == NULL);
	CHECK_EQ(partition[2].nr_sectors, 0);
}

/* ---- Virtio ------------------------------------------------------------------------------ */

static unsigned
add_capability(uint8_t *config, unsigned at, uint8_t kind, uint8_t bar, uint32_t offset,
	       uint32_t size)
{
	config[at] = PCI_CAPABILITY_VENDOR;
	config[at + 1] = (uint8_t)(at + 20);
	config[at + 3] = kind;
	config[at + 4] = bar;
	memcpy(config + at + 8, &offset, 4);
	memcpy(config + at + 12, &size, 4);
	memset(config + at + 16, 4, 1);
	return at + 20;
}

static void
capabilities(void)
{
	uint8_t config[PCI_CONFIG_SIZE] = { 0 };
	struct virtio_places places;
	unsigned at;

	CHECK_NAMES(virtio_parse_capabilities(config, &places), "older");
	config[PCI_STATUS] = PCI_STATUS_CAPABILITIES;
	config[PCI_CAPABILITIES] = 0x40;
	at = add_capability(config, 0x40, 5, 0, 0, 0);
	at = add_capability(config, at, 1, 4, 0x1000, 0x1000);
	at = add_capability(config, at, 1, 3, 0, 56); /* of two the first counts */
	at = add_capability(config, at, 2, 4, 0x3000, 0x1000);
	CHECK_NAMES(virtio_parse_capabilities(config, &places), "missing");
	at = add_capability(config, at, 4, 4, 0x2000, 0x1000);
	config[at - 19] = 0;
	CHECK(virtio_parse_capabilities(config, &places) == NULL);
	CHECK_EQ(places.common.bar, 4);
	CHECK_EQ(places.common.offset, 0x1000);
	CHECK_EQ(places.device.offset, 0x2000);
	CHECK_EQ(places.notify.offset, 0x3000);
	CHECK_EQ(places.notify_multiplier, 4);
	config[at - 19] = 0x40; /* a ring */
	CHECK(virtio_parse_capabilities(config, &places) == NULL);
	config[at - 12] = 2;
	CHECK_NAMES(virtio_parse_capabilities(config, &places), "aligned");
	config[PCI_STATUS] = 0;
	CHECK_NAMES(virtio_parse_capabilities(config, &places), "older");
}

/* A device that returns what it was given in any order. */
static struct {
	uint16_t nr_seen, nr_returned; /* modulo 2^16 */
	unsigned held[VIRTIO_RING_SIZE], nr_held;
} device;

static void
device_sees(struct virtio_ring *ring)
{
	while (device.nr_seen != ring->available[1])
		device.held[device.nr_held++] = ring->available[2 + device.nr_seen++ % ring->size];
}

static void
device_returns(struct virtio_ring *ring, uint32_t first)
{
	unsigned at = 2 + device.nr_returned % ring->size * 4;

	ring->used[at] = (uint16_t)first;
	ring->used[at + 1] = (uint16_t)(first >> 16);
	ring->used[1] = ++device.nr_returned;
}

static void
ring_traffic(struct virtio_ring *ring, struct prng *prng)
{
	bool given[VIRTIO_RING_SIZE] = { false };

	/* More than 2^16 of them, so that the indices wrap around. */
	for (unsigned step = 0; step < 300000 && !host_failed(); step++) {
		unsigned i = (unsigned)prng_below(prng, ring->size);
		int first;

		switch (prng_below(prng, 3)) {
		case 0:
			if (!given[i])
				virtio_ring_give(ring, i);
			given[i] = true;
			break;
		case 1:
			device_sees(ring);
			if (device.nr_held == 0)
				break;
			i = (unsigned)prng_below(prng, device.nr_held);
			device_returns(ring, device.held[i]);
			device.held[i] = device.held[--device.nr_held];
			break;
		default:
			first = virtio_ring_take(ring);
			CHECK(first == -EAGAIN || (first >= 0 && given[first]));
			if (first >= 0)
				given[first] = false;
		}
	}
}

static void
ring(void)
{
	static struct virtio_ring ring;
	struct prng prng = { host_seed };

	machine_start(MiB(8));
	for (unsigned size = 1; size <= VIRTIO_RING_SIZE; size *= 2) {
		struct page *page = alloc_pages(GFP_KERNEL, 0);

		memset(&device, 0, sizeof(device));
		virtio_ring_init(&ring, page_to_virt(page), size);
		ring_traffic(&ring, &prng);
		__free_pages(page, 0);
	}
}

static void
ring_lies(void)
{
	static struct virtio_ring ring;
	struct page *page;

	machine_start(MiB(8));
	page = alloc_pages(GFP_KERNEL, 0);
	memset(&device, 0, sizeof(device));
	virtio_ring_init(&ring, page_to_virt(page), 8);
	CHECK_EQ(virtio_ring_take(&ring), -EAGAIN);
	virtio_ring_give(&ring, 3);
	device_returns(&ring, 3);
	CHECK_EQ(virtio_ring_take(&ring), 3);
	device_returns(&ring, 3); /* again */
	CHECK_EQ(virtio_ring_take(&ring), -EIO);
	CHECK_EQ(virtio_ring_take(&ring), -EIO);
	virtio_ring_init(&ring, page_to_virt(page), 8);
	virtio_ring_give(&ring, 3);
	device.nr_returned = 0;
	device_returns(&ring, 0x10003); /* not a descriptor */
	CHECK_EQ(virtio_ring_take(&ring), -EIO);
	virtio_ring_init(&ring, page_to_virt(page), 8);
	ring.used[1] = 40000; /* many, of which it had none */
	CHECK_EQ(virtio_ring_take(&ring), -EIO);
	__free_pages(page, 0);
}

HOST_SUITE(block, { "queue", queue }, { "queue_damage", queue_damage }, { "prds", prds },
	   { "identify", identify }, { "partitions", partitions }, { "capabilities", capabilities },
	   { "ring", ring }, { "ring_lies", ring_lies });
