/* SPDX-License-Identifier: MIT */
/*
 * Driving IDE disks: one command at a time for the two drives that share a cable.
 *
 * A command is written to eight registers: which drive, which sectors, what to do. Then there are
 * two ways to move the data:
 *
 *	PIO   The drive interrupts for each sector, whose 256 words the processor moves through a
 *	      port. A write begins with the first sector, without an interrupt before it.
 *	DMA   The controller moves the data from and to memory, as a table of pieces says
 *	      (ide_prd.c), and interrupts once, at the end.
 *
 *	start_locked() --> [drive works] --> interrupt --> poll_locked() --> more sectors, or the
 *end
 *
 * Commands come with 28 or with 48 bits of address; the latter are written as two halves, upper
 * one first, to the same registers.
 *
 * Memory above 4 GiB is out of the controller's reach: such commands are PIO.
 *
 * Sources: ATA/ATAPI-8 ACS, chapter 7; AT Attachment with Packet Interface 7, volume 2, chapters
 * 5 (registers), 9.2 (reset); Intel 82371SB (PIIX3), 2.7 (bus master).
 */
#include "ide.h"

#include <arch/cpu.h>
#include <cmdline.h>
#include <errno.h>
#include <memory_advanced.h>
#include <panic.h>
#include <printk.h>
#include <time.h>

#include "../../x86_64/insn.h"

/* Command registers, from channel->base. */
enum {
	REG_DATA = 0,
	REG_ERROR = 1, /* read */
	REG_COUNT = 2,
	REG_LBA_LOW = 3,
	REG_LBA_MID = 4,
	REG_LBA_HIGH = 5,
	REG_DEVICE = 6,
	REG_STATUS = 7,	 /* read: the interrupt is acknowledged, too */
	REG_COMMAND = 7, /* write */
};

#define STATUS_ERROR 0x01
#define STATUS_DATA  0x08 /* a sector is to be moved */
#define STATUS_FAULT 0x20
#define STATUS_BUSY  0x80

#define DEVICE_LBA    0xe0 /* with two bits that are always one */
#define DEVICE_UNIT   0x10
#define CONTROL_QUIET 0x02 /* no interrupts */
#define CONTROL_RESET 0x04

/* Registers of the bus master, from channel->master. */
enum {
	MASTER_COMMAND = 0,
	MASTER_STATUS = 2,
	MASTER_TABLE = 4,
};

#define MASTER_START	 0x01
#define MASTER_TO_MEMORY 0x08
#define MASTER_ERROR	 0x02 /* in MASTER_STATUS; cleared by a one, as the next */
#define MASTER_INTERRUPT 0x04

enum {
	COMMAND_IDENTIFY = 0xec,
	COMMAND_FLUSH = 0xe7,
	COMMAND_FLUSH_48 = 0xea,
};

/* By block_op, by DMA or not, with 48 bits or not. */
static const uint8_t move_commands[2][2][2] = {
	[BLOCK_READ] = { { 0x20, 0x24 }, { 0xc8, 0x25 } },
	[BLOCK_WRITE] = { { 0x30, 0x34 }, { 0xca, 0x35 } },
};

#define READY_NS    (2 * NSEC_PER_MSEC) /* until a drive that is not busy takes a command */
#define IDENTIFY_NS (2 * NSEC_PER_SEC)
#define RESET_NS    (5 * NSEC_PER_SEC)

#define SECTOR_WORDS (SECTOR_SIZE / 2)

uint64_t ide_use_dma = 1;
TUNABLE(ide_use_dma, "ide.dma", 0, 1, "1: IDE disks move data by themselves; 0: by the processor");

/* ---- Registers --------------------------------------------------------------------------- */

static void
write_reg(struct ide_channel *channel, unsigned reg, uint64_t value)
{
	outb((uint16_t)(channel->base + reg), (uint8_t)value);
}

static uint8_t
read_reg(struct ide_channel *channel, unsigned reg)
{
	return inb((uint16_t)(channel->base + reg));
}

/* The drive's status is not valid until 400 ns after it was selected or given a command. */
static void
settle(struct ide_channel *channel)
{
	for (unsigned i = 0; i < 4; i++)
		(void)inb(channel->control);
}

/* Poll until, of the bits in mask, those in value are set. Returns whether that came. */
static bool
wait_status(struct ide_channel *channel, uint8_t mask, uint8_t value, uint64_t ns)
{
	uint64_t until = time_ns() + ns;

	while ((inb(channel->control) & mask) != value) {
		if (time_ns() > until)
			return false;
		arch_cpu_relax();
	}
	return true;
}

static bool
select_unit(struct ide_channel *channel, unsigned unit, unsigned high_bits)
{
	write_reg(channel, REG_DEVICE, DEVICE_LBA | (unit ? DEVICE_UNIT : 0) | high_bits);
	settle(channel);
	return wait_status(channel, STATUS_BUSY | STATUS_DATA, 0, READY_NS);
}

/* ---- Who is there ------------------------------------------------------------------------ */

/* Has the selected drive another kind of command set? It says so instead of answering. */
static bool
is_packet_drive(struct ide_channel *channel)
{
	uint8_t mid = read_reg(channel, REG_LBA_MID), high = read_reg(channel, REG_LBA_HIGH);

	return (mid == 0x14 && high == 0xeb) || (mid == 0x69 && high == 0x96);
}

/* Get the drive's answer. Returns false if there is no disk. */
static bool
ask(struct ide_channel *channel, unsigned unit, const char *name, uint16_t *words)
{
	uint8_t status;

	write_reg(channel, REG_DEVICE, DEVICE_LBA | (unit ? DEVICE_UNIT : 0));
	settle(channel);
	status = read_reg(channel, REG_STATUS);
	if (status == 0 || status == 0xff || !wait_status(channel, STATUS_BUSY, 0, IDENTIFY_NS))
		return false;
	for (unsigned reg = REG_COUNT; reg <= REG_LBA_HIGH; reg++)
		write_reg(channel, reg, 0);
	write_reg(channel, REG_COMMAND, COMMAND_IDENTIFY);
	settle(channel);
	if (read_reg(channel, REG_STATUS) == 0 ||
	    !wait_status(channel, STATUS_BUSY, 0, IDENTIFY_NS))
		return false;
	if (is_packet_drive(channel)) {
		kprintf("%s: not a disk (ATAPI); it is left alone\n", name);
		return false;
	}
	if ((read_reg(channel, REG_STATUS) & (STATUS_DATA | STATUS_ERROR)) != STATUS_DATA)
		return false;
	insw(channel->base, words, IDE_IDENTIFY_WORDS);
	return true;
}

bool
ide_identify(struct ide_channel *channel, unsigned unit, const char *name)
{
	uint16_t words[IDE_IDENTIFY_WORDS];
	const char *wrong;

	outb(channel->control, CONTROL_QUIET);
	channel->present[unit] = false;
	if (ask(channel, unit, name, words)) {
		wrong = ide_parse_identify(words, &channel->drive[unit]);
		channel->present[unit] = !wrong;
		if (wrong)
			kprintf("%s: left alone: %s\n", name, wrong);
	}
	(void)read_reg(channel, REG_STATUS);
	outb(channel->control, 0);
	return channel->present[unit];
}

void
ide_set_master(struct ide_channel *channel, uint16_t master)
{
	struct page *table = master ? alloc_pages(GFP_DMA, 0) : NULL;

	channel->master = table ? master : 0;
	channel->prds = table ? page_to_virt(table) : NULL;
}

bool
ide_uses_dma(const struct ide_channel *channel)
{
	return channel->master && ide_use_dma;
}

/* ---- Beginning a command ----------------------------------------------------------------- */

static void
write_address(struct ide_channel *channel, uint64_t sector, uint32_t count)
{
	write_reg(channel, REG_COUNT, count); /* 256 is written as 0 */
	write_reg(channel, REG_LBA_LOW, sector);
	write_reg(channel, REG_LBA_MID, sector >> 8);
	write_reg(channel, REG_LBA_HIGH, sector >> 16);
}

/* Where the bytes of the next sector are. */
static void *
next_sector(struct ide_channel *channel)
{
	uint8_t *frame;

	if (!channel->segment || channel->offset == channel->segment->size) {
		channel->segment = block_next_segment(&channel->cursor);
		channel->offset = 0;
		ASSERT(channel->segment);
	}
	frame = page_to_virt(channel->segment->page);
	frame += channel->segment->offset + channel->offset;
	channel->offset += SECTOR_SIZE;
	channel->nr_left--;
	return frame;
}

static void
prepare_pio(struct ide_channel *channel)
{
	block_cursor_init(&channel->cursor, channel->command);
	channel->segment = NULL;
	channel->nr_left = channel->command->nr_sectors;
}

static bool
prepare_dma(struct ide_channel *channel, bool to_memory)
{
	if (!ide_make_prds(channel->command, channel->prds))
		return false;
	outl((uint16_t)(channel->master + MASTER_TABLE), (uint32_t)virt_to_phys(channel->prds));
	outb((uint16_t)(channel->master + MASTER_COMMAND), to_memory ? MASTER_TO_MEMORY : 0);
	outb((uint16_t)(channel->master + MASTER_STATUS), MASTER_ERROR | MASTER_INTERRUPT);
	return true;
}

/* What comes right after the command has been written. */
static void
start_data(struct ide_channel *channel)
{
	bool write = channel->command->op == BLOCK_WRITE;

	if (channel->by_dma) {
		outb((uint16_t)(channel->master + MASTER_COMMAND),
		     MASTER_START | (write ? 0 : MASTER_TO_MEMORY));
	} else if (write) {
		settle(channel);
		if (wait_status(channel, STATUS_BUSY | STATUS_DATA, STATUS_DATA, READY_NS))
			outsw(channel->base, next_sector(channel), SECTOR_WORDS);
		/* Else it has failed, and says so by an interrupt; or it never will. */
	}
}

static void
start_move(struct ide_channel *channel, unsigned unit, uint64_t sector)
{
	struct block_command *command = channel->command;
	const struct ide_identity *drive = &channel->drive[unit];
	bool lba48 = sector + command->nr_sectors > 1ul << 28;

	channel->by_dma =
	    drive->dma && ide_uses_dma(channel) && prepare_dma(channel, command->op == BLOCK_READ);
	if (!channel->by_dma)
		prepare_pio(channel);
	if (!select_unit(channel, unit, lba48 ? 0 : (unsigned)(sector >> 24))) {
		block_queue_broken_locked(&channel->queue);
		return;
	}
	if (lba48)
		write_address(channel, sector >> 24, command->nr_sectors >> 8);
	write_address(channel, sector, command->nr_sectors);
	write_reg(channel, REG_COMMAND, move_commands[command->op][channel->by_dma][lba48]);
	start_data(channel);
}

static void
start_flush(struct ide_channel *channel, unsigned unit)
{
	const struct ide_identity *drive = &channel->drive[unit];

	channel->by_dma = false;
	channel->nr_left = 0;
	if (select_unit(channel, unit, 0))
		write_reg(channel, REG_COMMAND, drive->lba48 ? COMMAND_FLUSH_48 : COMMAND_FLUSH);
	else
		block_queue_broken_locked(&channel->queue);
}

static void
ide_start_locked(struct block_command *command)
{
	struct ide_channel *channel = command->queue->data;
	unsigned unit = command->first >= IDE_UNIT_SECTORS;

	if (command->op == BLOCK_FLUSH && !channel->drive[unit].flush) {
		block_command_done_locked(command,
					  0); /* without a cache there is no such command */
		return;
	}
	channel->command = command;
	if (command->op == BLOCK_FLUSH)
		start_flush(channel, unit);
	else
		start_move(channel, unit, command->first % IDE_UNIT_SECTORS);
}

/* ---- Its end ----------------------------------------------------------------------------- */

static void
end_locked(struct ide_channel *channel, uint8_t status)
{
	struct block_command *command = channel->command;

	channel->command = NULL;
	if (status & (STATUS_ERROR | STATUS_FAULT))
		block_command_failed_locked(command, "error register",
					    read_reg(channel, REG_ERROR));
	else
		block_command_done_locked(command, 0);
}

static void
poll_dma(struct ide_channel *channel)
{
	uint8_t master = inb((uint16_t)(channel->master + MASTER_STATUS)), status;

	if (!(master & MASTER_INTERRUPT))
		return;
	outb((uint16_t)(channel->master + MASTER_COMMAND), 0);
	status = read_reg(channel, REG_STATUS);
	outb((uint16_t)(channel->master + MASTER_STATUS), MASTER_ERROR | MASTER_INTERRUPT);
	end_locked(channel, status | (master & MASTER_ERROR ? STATUS_FAULT : 0));
}

static void
poll_pio(struct ide_channel *channel)
{
	bool write = channel->command->op == BLOCK_WRITE;
	uint8_t status = read_reg(channel, REG_STATUS);

	if (status & STATUS_BUSY)
		return;
	if (status & (STATUS_ERROR | STATUS_FAULT)) {
		end_locked(channel, status);
	} else if (channel->nr_left == 0) {
		if (!(status & STATUS_DATA))
			end_locked(channel, status);
	} else if (status & STATUS_DATA) {
		if (write)
			outsw(channel->base, next_sector(channel), SECTOR_WORDS);
		else
			insw(channel->base, next_sector(channel), SECTOR_WORDS);
		if (!write && channel->nr_left == 0)
			end_locked(channel, 0);
	}
}

static void
ide_poll_locked(struct block_queue *queue)
{
	struct ide_channel *channel = queue->data;

	if (!channel->command)
		(void)read_reg(channel, REG_STATUS); /* whatever it wants, it has been heard */
	else if (channel->by_dma)
		poll_dma(channel);
	else
		poll_pio(channel);
}

static bool
ide_reset(struct block_queue *queue)
{
	struct ide_channel *channel = queue->data;
	uint64_t until = time_ns() + RESET_NS;

	if (channel->master)
		outb((uint16_t)(channel->master + MASTER_COMMAND), 0);
	outb(channel->control, CONTROL_RESET | CONTROL_QUIET);
	time_spin_ns(5 * NSEC_PER_USEC);
	outb(channel->control, 0);
	channel->command = NULL;
	do {
		thread_sleep_ns(2 * NSEC_PER_MSEC);
		if (!(inb(channel->control) & STATUS_BUSY))
			return true;
	} while (time_ns() < until);
	return false;
}

const struct block_driver ide_driver = { .start_locked = ide_start_locked,
					 .poll_locked = ide_poll_locked,
					 .reset = ide_reset };
