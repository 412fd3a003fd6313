/* SPDX-License-Identifier: MIT */
/* Devices on the PCI bus: finding them, and what every one of them has. */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include <irq.h>
#include <types.h>

struct pci_device {
	uint8_t bus, slot, function;
	uint16_t vendor, device;
	uint32_t class; /* class, subclass, programming interface: 24 bits */
};

/* Offsets in the configuration space, 256 bytes. (PCI Local Bus Specification 3.0, 6.1) */
enum {
	PCI_VENDOR = 0x00,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_CLASS = 0x08, /* in the upper three bytes */
	PCI_HEADER = 0x0e,
	PCI_BAR = 0x10,
	PCI_SECONDARY_BUS = 0x19, /* of a bridge */
	PCI_CAPABILITIES = 0x34,
	PCI_CONFIG_SIZE = 0x100,
};

#define PCI_COMMAND_IO		(1u << 0)
#define PCI_COMMAND_MEMORY	(1u << 1)
#define PCI_COMMAND_MASTER	(1u << 2) /* the device may read and write memory */
#define PCI_COMMAND_NO_INTX	(1u << 10)
#define PCI_STATUS_CAPABILITIES (1u << 4)

#define PCI_CAPABILITY_VENDOR 0x09
#define PCI_CAPABILITY_MSIX   0x11

#define PCI_BARS 6

/* The device after the given one, or the first for NULL; NULL behind the last. */
struct pci_device *pci_next(struct pci_device *device);

/* Read and write the configuration space at an aligned offset. */
uint32_t pci_read(const struct pci_device *device, unsigned offset);
void pci_write(const struct pci_device *device, unsigned offset, uint32_t value);
uint16_t pci_read16(const struct pci_device *device, unsigned offset);
uint8_t pci_read8(const struct pci_device *device, unsigned offset);

/* Switch on, and off, bits of PCI_COMMAND. */
void pci_enable(const struct pci_device *device, uint16_t bits);
void pci_disable(const struct pci_device *device, uint16_t bits);

/*
 * Where a base address register leads. Returns whether it does; then *io tells whether to ports.
 */
bool pci_bar(const struct pci_device *device, unsigned bar, uint64_t *address, bool *io);

/*
 * Map bytes [offset, offset + size) of a memory register, for ever. NULL: it is no such register,
 * or reaches beyond what a device may have.
 */
volatile void *pci_map(const struct pci_device *device, unsigned bar, uint64_t offset,
		       uint64_t size);

/*
 * The offset of the capability of that kind after the one at offset, or the first for 0; 0: there
 * is none. Works on a copy of the configuration space, whatever is in it.
 */
unsigned pci_find_capability(const uint8_t config[PCI_CONFIG_SIZE], uint8_t kind, unsigned after);
void pci_copy_config(const struct pci_device *device, uint8_t config[PCI_CONFIG_SIZE]);

/*
 * Have the device's message number 0 (MSI-X) call handler(arg): see irq_install_message(). The
 * other messages stay masked. Returns whether it has such messages.
 */
bool pci_install_message(const struct pci_device *device, void (*handler)(void *arg), void *arg);

#endif
