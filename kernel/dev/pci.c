/* SPDX-License-Identifier: MIT */
/*
 * The PCI bus: which devices there are, where their registers are, how they interrupt.
 *
 * Every device has a configuration space of 256 bytes, reached through two ports: one takes the
 * device's place and an offset, the other is the word there (configuration mechanism 1). Where
 * nobody is, all bits read as one. Devices sit on bus 0 and on the buses behind bridges, each of
 * which tells its bus' number; the firmware has numbered them, and has given out addresses.
 *
 * Interrupts. Which pin of an interrupt controller the lines of the bus lead to, only a program in
 * the firmware's tables knows (AML), which this kernel does not interpret. Messages need no lines:
 * a device that has them (MSI-X) writes a number to an address, and that is the interrupt.
 *
 * LOCKING. Of the two ports one changes what the other is: pci_lock is held over both.
 *
 * Sources: PCI Local Bus Specification 3.0, chapter 6 and 6.8.2 (MSI-X); PCI-to-PCI Bridge
 * Architecture Specification 1.2, 3.2.
 */
#include "pci.h"

#include <printk.h>
#include <spinlock.h>
#include <start.h>
#include <string.h>

#include "../x86_64/x86.h"

#define ADDRESS_PORT   0xcf8
#define DATA_PORT      0xcfc
#define ADDRESS_ENABLE (1u << 31)

#define NOBODY 0xffffu /* as a vendor */

#define HEADER_KIND	0x7f
#define HEADER_BRIDGE	0x01
#define HEADER_MULTIPLE 0x80 /* functions */

#define BAR_IO	      (1u << 0)
#define BAR_64	      (2u << 1) /* the next one is the upper half */
#define BAR_KIND      (3u << 1)
#define MAX_REGISTERS KiB(64) /* of one piece: more would fill the window for registers */

/* The capability of MSI-X, and an entry of its table. */
enum {
	MSIX_CONTROL = 0, /* in the upper half */
	MSIX_TABLE = 4,	  /* in the lower three bits its BAR */
	MSIX_ADDRESS = 0,
	MSIX_DATA = 8,
	MSIX_VECTOR_CONTROL = 12,
	MSIX_ENTRY_SIZE = 16,
};

#define MSIX_ENABLE (1u << 31)
#define MSIX_MASKED (1u << 0) /* in MSIX_VECTOR_CONTROL */

#define MAX_DEVICES 64
#define MAX_BUSES   256

static struct pci_device devices[MAX_DEVICES]; /* (c) after pci_init() */
static unsigned nr_devices;
static spinlock_t pci_lock = SPINLOCK_INIT("pci", RANK_DEVICE);

/* ---- Configuration space ----------------------------------------------------------------- */

static uint32_t
address_of(const struct pci_device *device, unsigned offset)
{
	return ADDRESS_ENABLE | (uint32_t)device->bus << 16 | (uint32_t)device->slot << 11 |
	       (uint32_t)device->function << 8 | (offset & 0xfc);
}

uint32_t
pci_read(const struct pci_device *device, unsigned offset)
{
	irqflags_t irq = spin_lock_irqsave(&pci_lock);
	uint32_t value;

	outl(ADDRESS_PORT, address_of(device, offset));
	value = inl(DATA_PORT);
	spin_unlock_irqrestore(&pci_lock, irq);
	return value;
}

void
pci_write(const struct pci_device *device, unsigned offset, uint32_t value)
{
	irqflags_t irq = spin_lock_irqsave(&pci_lock);

	outl(ADDRESS_PORT, address_of(device, offset));
	outl(DATA_PORT, value);
	spin_unlock_irqrestore(&pci_lock, irq);
}

uint16_t
pci_read16(const struct pci_device *device, unsigned offset)
{
	return (uint16_t)(pci_read(device, offset) >> (offset & 2) * 8);
}

uint8_t
pci_read8(const struct pci_device *device, unsigned offset)
{
	return (uint8_t)(pci_read(device, offset) >> (offset & 3) * 8);
}

/* The status beside the command is cleared by ones, so zeroes leave it alone. */
void
pci_enable(const struct pci_device *device, uint16_t bits)
{
	pci_write(device, PCI_COMMAND, (uint32_t)pci_read16(device, PCI_COMMAND) | bits);
}

void
pci_disable(const struct pci_device *device, uint16_t bits)
{
	pci_write(device, PCI_COMMAND, pci_read16(device, PCI_COMMAND) & ~(uint32_t)bits);
}

void
pci_copy_config(const struct pci_device *device, uint8_t config[PCI_CONFIG_SIZE])
{
	for (unsigned offset = 0; offset < PCI_CONFIG_SIZE; offset += 4) {
		uint32_t value = pci_read(device, offset);

		memcpy(config + offset, &value, sizeof(value));
	}
}

/* ---- Finding devices --------------------------------------------------------------------- */

struct scan {
	uint8_t todo[MAX_BUSES]; /* numbers of buses that have been found */
	unsigned nr_todo;
	bool found[MAX_BUSES];
	unsigned nr_ignored;
};

static void
found_bus(struct scan *scan, uint8_t bus)
{
	if (scan->found[bus])
		return;
	scan->found[bus] = true;
	scan->todo[scan->nr_todo++] = bus;
}

/* Returns whether there is a device, and in *header what it says of itself. */
static bool
look_at(struct scan *scan, struct pci_device at, uint8_t *header)
{
	at.vendor = pci_read16(&at, PCI_VENDOR);
	if (at.vendor == NOBODY)
		return false;
	at.device = pci_read16(&at, PCI_VENDOR + 2);
	at.class = pci_read(&at, PCI_CLASS) >> 8;
	*header = pci_read8(&at, PCI_HEADER);
	if ((*header & HEADER_KIND) == HEADER_BRIDGE)
		found_bus(scan, pci_read8(&at, PCI_SECONDARY_BUS));
	if (nr_devices < MAX_DEVICES)
		devices[nr_devices++] = at;
	else
		scan->nr_ignored++;
	return true;
}

static void
scan_bus(struct scan *scan, uint8_t bus)
{
	for (unsigned slot = 0; slot < 32; slot++) {
		struct pci_device at = { .bus = bus, .slot = (uint8_t)slot };
		uint8_t header = 0, other;

		if (!look_at(scan, at, &header) || !(header & HEADER_MULTIPLE))
			continue;
		for (at.function = 1; at.function < 8; at.function++)
			(void)look_at(scan, at, &other);
	}
}

/* Is there a PCI at all? The address port keeps what is written to it. */
static bool
is_there(void)
{
	outl(ADDRESS_PORT, ADDRESS_ENABLE);
	return inl(ADDRESS_PORT) == ADDRESS_ENABLE;
}

static void
pci_init(void)
{
	static struct scan scan;

	if (!is_there())
		return;
	found_bus(&scan, 0);
	while (scan.nr_todo > 0)
		scan_bus(&scan, scan.todo[--scan.nr_todo]);
	if (scan.nr_ignored > 0)
		kprintf("pci: %u devices; %u more are ignored\n", nr_devices, scan.nr_ignored);
}

START_STEP(pci, pci_init, START_BUSES);

struct pci_device *
pci_next(struct pci_device *device)
{
	device = device ? device + 1 : devices;
	return device < devices + nr_devices ? device : NULL;
}

/* ---- Registers and interrupts ------------------------------------------------------------ */

bool
pci_bar(const struct pci_device *device, unsigned bar, uint64_t *address, bool *io)
{
	uint32_t low;

	if (bar >= PCI_BARS)
		return false;
	low = pci_read(device, PCI_BAR + bar * 4);
	*io = low & BAR_IO;
	*address = low & (*io ? ~3u : ~15u);
	if (!*io && (low & BAR_KIND) == BAR_64 && bar + 1 < PCI_BARS)
		*address |= (uint64_t)pci_read(device, PCI_BAR + (bar + 1) * 4) << 32;
	return *address != 0;
}

/* What page tables can lead to. */
static uint64_t
physical_end(void)
{
	return 1ull << MIN(cpuid(0x80000008, 0).eax & 0xff, 52u);
}

volatile void *
pci_map(const struct pci_device *device, unsigned bar, uint64_t offset, uint64_t size)
{
	uint64_t address;
	bool io;

	if (!pci_bar(device, bar, &address, &io) || io || size == 0 || size > MAX_REGISTERS ||
	    offset > UINT32_MAX || address > physical_end() - offset - size)
		return NULL;
	return map_mmio(address + offset, size);
}

bool
pci_install_message(const struct pci_device *device, void (*handler)(void *arg), void *arg)
{
	uint8_t config[PCI_CONFIG_SIZE];
	struct irq_message message;
	volatile uint32_t *entry;
	uint32_t table;
	unsigned at;

	pci_copy_config(device, config);
	at = pci_find_capability(config, PCI_CAPABILITY_MSIX, 0);
	if (!at)
		return false;
	table = pci_read(device, at + MSIX_TABLE);
	entry = pci_map(device, table & 7, table & ~7u, MSIX_ENTRY_SIZE);
	if (!entry || !irq_install_message(handler, arg, &message))
		return false;
	pci_write(device, at + MSIX_CONTROL, pci_read(device, at + MSIX_CONTROL) | MSIX_ENABLE);
	entry[MSIX_ADDRESS / 4] = (uint32_t)message.address;
	entry[MSIX_ADDRESS / 4 + 1] = (uint32_t)(message.address >> 32);
	entry[MSIX_DATA / 4] = message.data;
	entry[MSIX_VECTOR_CONTROL / 4] &= ~MSIX_MASKED;
	return true;
}
