/* SPDX-License-Identifier: MIT */
/*
 * The list of a PCI device's capabilities: each begins with its kind and the offset of the next, 0
 * in the last. (PCI Local Bus Specification 3.0, 6.7)
 *
 * They lie behind the header, at multiples of 4, so there are 48 at most; with more steps than
 * that the list is a ring.
 */
#include "pci.h"

#define MAX_CAPABILITIES 48

unsigned
pci_find_capability(const uint8_t config[PCI_CONFIG_SIZE], uint8_t kind, unsigned after)
{
	unsigned at = config[after ? after + 1 : PCI_CAPABILITIES] & 0xfc;

	if (!(config[PCI_STATUS] & PCI_STATUS_CAPABILITIES))
		return 0;
	for (unsigned n = 0; n < MAX_CAPABILITIES && at >= PCI_CAPABILITIES; n++) {
		if (config[at] == kind)
			return at;
		at = config[at + 1] & 0xfc;
	}
	return 0;
}
