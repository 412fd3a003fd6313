/* SPDX-License-Identifier: MIT */
/*
 * Finding IDE disks: those of the PC's first controller, at the ports and interrupts where PCs
 * have always had them.
 *
 *	hda, hdb   primary cable     ports 0x1f0 and 0x3f6    interrupt 14
 *	hdc, hdd   secondary cable         0x170 and 0x376              15
 *
 * A drive that is not there does not answer: its status reads as 0, or as all ones where there is
 * not even a cable. Nobody waits for it.
 */
#include "ide.h"

#include <abi/stat.h>
#include <memory_advanced.h>
#include <printk.h>
#include <start.h>
#include <string.h>

#include "../pci.h"

#define CLASS_IDE 0x0101u /* class and subclass */

/* Programming interface, the lowest byte of the class. */
#define INTERFACE_NATIVE (1u << 0 | 1u << 2) /* one of the cables has ports of its own */
#define INTERFACE_MASTER (1u << 7)

#define MASTER_BAR   4
#define MASTER_PORTS 8 /* for each cable */

#define NR_CHANNELS  2
#define MAJOR_FIRST  3 /* of the primary cable; the secondary has 22 */
#define MAJOR_SECOND 22
#define UNIT_MINORS  64

static struct ide_channel channels[NR_CHANNELS];

static void
primary_interrupt(void)
{
	block_queue_interrupt(&channels[0].queue);
}

static void
secondary_interrupt(void)
{
	block_queue_interrupt(&channels[1].queue);
}

static const struct place {
	uint16_t base, control;
	unsigned irq, major;
	void (*interrupt)(void);
} places[NR_CHANNELS] = {
	{ 0x1f0, 0x3f6, 14, MAJOR_FIRST, primary_interrupt },
	{ 0x170, 0x376, 15, MAJOR_SECOND, secondary_interrupt },
};

static void
add_drive(struct ide_channel *channel, unsigned unit, const char *name, unsigned major)
{
	const struct ide_identity *drive = &channel->drive[unit];
	struct block_device *device = &channel->device[unit];

	*device = (struct block_device){
		.number = make_device(major, unit * UNIT_MINORS),
		.start = unit * IDE_UNIT_SECTORS,
		.nr_sectors = drive->nr_sectors,
		.block_size = SECTOR_SIZE,
		.queue = &channel->queue,
	};
	strlcpy(device->name, name, sizeof(device->name));
	strlcpy(device->model, drive->model, sizeof(device->model));
	block_register(device, drive->dma && ide_uses_dma(channel) ? "DMA" : "PIO");
}

/* master: the first port of the controller's bus master, or 0. */
static void
probe_channel(unsigned number, uint16_t master)
{
	struct ide_channel *channel = &channels[number];
	const struct place *place = &places[number];
	char name[IDE_UNITS][4] = { "hda", "hdb" }, label[] = "ide0";
	bool any = false;

	label[3] = (char)('0' + number);
	block_queue_init(&channel->queue, label, &ide_driver, channel, 1, BLOCK_MAX_SECTORS);
	channel->base = place->base;
	channel->control = place->control;
	for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
		name[unit][2] = (char)('a' + number * IDE_UNITS + unit);
		any |= ide_identify(channel, unit, name[unit]);
	}
	if (!any)
		return;
	ide_set_master(channel, master);
	irq_install(place->irq, place->interrupt);
	block_watch(&channel->queue);
	for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
		if (channel->present[unit])
			add_drive(channel, unit, name[unit], place->major);
	}
}

static void
ide_init(void)
{
	struct pci_device *controller = NULL;
	uint64_t master = 0;
	uint32_t interface;
	bool io = false;

	while ((controller = pci_next(controller)) && controller->class >> 8 != CLASS_IDE)
		;
	if (!controller)
		return;
	interface = controller->class & 0xff;
	if (interface & INTERFACE_NATIVE) {
		kprintf("ide: the controller is not at the ports of a PC; it is left alone\n");
		return;
	}
	if (!(interface & INTERFACE_MASTER) || !pci_bar(controller, MASTER_BAR, &master, &io) ||
	    !io || master > UINT16_MAX)
		master = 0;
	pci_enable(controller, PCI_COMMAND_IO | (master ? PCI_COMMAND_MASTER : 0));
	for (unsigned i = 0; i < NR_CHANNELS; i++)
		probe_channel(i, master ? (uint16_t)(master + i * MASTER_PORTS) : 0);
}

START_STEP(ide, ide_init, START_DEVICES);
