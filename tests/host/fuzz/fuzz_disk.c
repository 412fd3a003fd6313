/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing what drivers believe of disks: what a drive says of itself, its partition table, a
 * device's capabilities, and the ring that a device writes to. Whatever the bytes are, what is
 * accepted must keep its promises.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../../kernel/dev/disk/ide.h"
#include "../../../kernel/dev/disk/mbr.h"
#include "../../../kernel/dev/disk/virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int condition)
{
	if (!condition)
		abort();
}

static void
fuzz_identify(const uint8_t *data, size_t size, uint8_t how)
{
	uint16_t words[IDE_IDENTIFY_WORDS] = { 0 };
	struct ide_identity identity;

	/* The words that matter are few: spread the bytes over them. */
	memcpy(&words[27], data, MIN(size, 40u));
	for (unsigned i = 49; i < 120 && size > 2 * (i - 49) + 1; i++)
		memcpy(&words[i], data + 2 * (i - 49), 2);
	if (how & 1)
		words[49] |= 1 << 9;
	if (how & 2)
		words[83] = (uint16_t)((words[83] & 0x3fff) | 0x4000);
	if (ide_parse_identify(words, &identity))
		return;
	check(identity.nr_sectors > 0 && identity.nr_sectors < IDE_UNIT_SECTORS);
	check(identity.lba48 || identity.nr_sectors < 1ull << 28);
	check(strnlen(identity.model, sizeof(identity.model)) < sizeof(identity.model));
	for (const char *c = identity.model; *c; c++)
		check(*c >= ' ' && *c <= '~');
}

static void
fuzz_partitions(const uint8_t *data, size_t size, uint8_t how)
{
	struct block_device disk = { .nr_sectors = (how + 1) * 5000ull,
				     .block_size = 512 << how % 4 };
	struct mbr_partition partition[MBR_PARTITIONS];
	uint8_t sector[SECTOR_SIZE] = { 0 };

	memcpy(sector + 446, data, MIN(size, 64u));
	sector[510] = 0x55;
	sector[511] = how & 128 ? 0xaa : 0;
	for (unsigned i = 0; i < 4 && how & 64; i++)
		sector[446 + i * 16] &= 0x80;
	if (mbr_parse(sector, &disk, partition))
		return;
	for (unsigned i = 0; i < MBR_PARTITIONS; i++)
		check(partition[i].nr_sectors == 0 ||
		      (partition[i].start > 0 && partition[i].start < disk.nr_sectors &&
		       partition[i].nr_sectors <= disk.nr_sectors - partition[i].start));
}

static void
fuzz_capabilities(const uint8_t *data, size_t size, uint8_t how)
{
	uint8_t config[PCI_CONFIG_SIZE] = { 0 };
	struct virtio_places places;

	memcpy(config + PCI_CAPABILITIES, data, MIN(size, PCI_CONFIG_SIZE - PCI_CAPABILITIES));
	config[PCI_STATUS] = how & 1 ? PCI_STATUS_CAPABILITIES : 0;
	if (virtio_parse_capabilities(config, &places))
		return;
	check(places.common.bar < PCI_BARS && places.notify.bar < PCI_BARS &&
	      places.device.bar < PCI_BARS);
	check(places.common.size >= 56 && places.common.offset % 4 == 0);
	check(places.device.size >= 24 && places.device.offset % 4 == 0);
	check(places.notify.size >= 2 && places.notify.offset % 2 == 0);
}

/* The device writes anything to its table; no chain comes back that it did not have. */
static void
fuzz_ring(const uint8_t *data, size_t size, uint8_t how)
{
	static uint8_t frame[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	static struct virtio_ring ring;
	bool given[VIRTIO_RING_SIZE] = { false };
	int first;

	virtio_ring_init(&ring, frame, 1u << how % 8);
	for (size_t at = 0; at + 1 < size; at += 2) {
		unsigned i = data[at] % ring.size;

		if (data[at] & 128) {
			if (!given[i])
				virtio_ring_give(&ring, i);
			given[i] = true;
		} else {
			ring.used[data[at] % (2 + 4 * ring.size)] = data[at + 1];
		}
		first = virtio_ring_take(&ring);
		check(first == -EAGAIN || first == -EIO || given[first]);
		if (first >= 0)
			given[first] = false;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	switch (data[0] % 4) {
	case 0:
		fuzz_identify(data + 2, size - 2, data[1]);
		break;
	case 1:
		fuzz_partitions(data + 2, size - 2, data[1]);
		break;
	case 2:
		fuzz_capabilities(data + 2, size - 2, data[1]);
		break;
	default:
		fuzz_ring(data + 2, size - 2, data[1]);
	}
	return 0;
}
