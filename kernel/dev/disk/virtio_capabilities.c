/* SPDX-License-Identifier: MIT */
/*
 * Where a virtio device on the PCI bus has its registers: it has a vendor capability for each
 * group of them. (Virtual I/O Device (VIRTIO) 1.1, 4.1.4)
 *
 *	+3  kind: 1 common, 2 notification, 3 interrupt status, 4 of the kind of device
 *	+4  BAR      +8 offset in it      +12 size
 *	+16 notification only: bytes between the places of two queues
 *
 * Of two of a kind the first is meant (4.1.4.1). Devices that are older than the specification have
 * none of this.
 */
#include "virtio.h"

#include <string.h>

enum {
	CAPABILITY_KIND = 3,
	CAPABILITY_BAR = 4,
	CAPABILITY_OFFSET = 8,
	CAPABILITY_SIZE = 12,
	CAPABILITY_MULTIPLIER = 16,
	CAPABILITY_END = 20,
};

enum { KIND_COMMON = 1, KIND_NOTIFY = 2, KIND_DEVICE = 4 };

#define COMMON_SIZE 56 /* what a driver needs */
#define DEVICE_SIZE 24 /* of a disk: up to its block size */

#define MAX_CAPABILITIES 48

static uint32_t
read_u32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void
read_place(const uint8_t *capability, struct virtio_place *place)
{
	if (place->size == 0 && capability[CAPABILITY_BAR] < PCI_BARS)
		*place = (struct virtio_place){ capability[CAPABILITY_BAR],
						read_u32(capability + CAPABILITY_OFFSET),
						read_u32(capability + CAPABILITY_SIZE) };
}

static void
read_capability(const uint8_t *capability, struct virtio_places *places)
{
	switch (capability[CAPABILITY_KIND]) {
	case KIND_COMMON:
		read_place(capability, &places->common);
		break;
	case KIND_NOTIFY:
		if (places->notify.size == 0)
			places->notify_multiplier = read_u32(capability + CAPABILITY_MULTIPLIER);
		read_place(capability, &places->notify);
		break;
	case KIND_DEVICE:
		read_place(capability, &places->device);
		break;
	}
}

const char *
virtio_parse_capabilities(const uint8_t config[PCI_CONFIG_SIZE], struct virtio_places *places)
{
	unsigned at = 0;

	memset(places, 0, sizeof(*places));
	for (unsigned n = 0; n < MAX_CAPABILITIES; n++) {
		at = pci_find_capability(config, PCI_CAPABILITY_VENDOR, at);
		if (!at)
			break;
		if (at <= PCI_CONFIG_SIZE - CAPABILITY_END)
			read_capability(config + at, places);
	}
	if (places->common.size == 0)
		return "it is older than version 1.0";
	if (places->common.size < COMMON_SIZE || places->notify.size < sizeof(uint16_t) ||
	    places->device.size < DEVICE_SIZE)
		return "registers are missing";
	if ((places->common.offset | places->device.offset) % 4 != 0 ||
	    places->notify.offset % 2 != 0)
		return "registers are not aligned";
	return NULL;
}
