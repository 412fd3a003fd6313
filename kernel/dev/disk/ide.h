/* SPDX-License-Identifier: MIT */
/* IDE disks: ide.c finds them, ide_channel.c drives them; the other files are pure. */
#ifndef DISK_IDE_H
#define DISK_IDE_H

#include "queue.h"

/* ---- What a drive says of itself: ide_identify.c ----------------------------------------- */

#define IDE_IDENTIFY_WORDS 256

struct ide_identity {
	char model[41];
	uint64_t nr_sectors;
	bool lba48; /* has the commands for more than 2^28 sectors */
	bool dma;
	bool flush; /* has a command for that */
};

/* Returns NULL, or why the drive cannot be used. The words may be anything. */
const char *ide_parse_identify(const uint16_t words[IDE_IDENTIFY_WORDS],
			       struct ide_identity *identity);

/* ---- Lists of memory for the bus master: ide_prd.c --------------------------------------- */

/* Physical region descriptor: contiguous bytes, none beyond the next multiple of 64 KiB. */
struct ide_prd {
	uint32_t address;
	uint16_t size; /* bytes; 0: 64 KiB */
	uint16_t flags;
};

#define IDE_PRD_LAST 0x8000

/* What fits into a frame, in which the table lies: more than a command has sectors. */
#define IDE_MAX_PRDS (PAGE_SIZE / sizeof(struct ide_prd))

/* Returns how many were made; 0: some of the memory is out of the bus master's reach. */
unsigned ide_make_prds(struct block_command *command, struct ide_prd prds[IDE_MAX_PRDS]);

/* ---- A cable with up to two drives: ide_channel.c ---------------------------------------- */

#define IDE_UNITS	 2
#define IDE_UNIT_SECTORS (1ull << 48) /* of the queue, for each drive */

struct ide_channel {
	struct block_queue queue;
	uint16_t base;	      /* (c) first port of the command registers */
	uint16_t control;     /* (c) port */
	uint16_t master;      /* (c) first port of the bus master's registers; 0: there is none */
	struct ide_prd *prds; /* (q) */
	bool present[IDE_UNITS];	      /* (c) */
	struct ide_identity drive[IDE_UNITS]; /* (c) */
	struct block_device device[IDE_UNITS];

	struct block_command *command; /* (q) that runs, or NULL */
	bool by_dma;		       /* (q) it does */
	/* Without DMA: */
	struct block_cursor cursor;	     /* (q) */
	const struct block_segment *segment; /* (q) */
	uint32_t offset;		     /* (q) in the segment */
	uint32_t nr_left;		     /* (q) sectors */
};

/* Let it move data by itself, if there is a bus master at that port (0: none) and memory. */
void ide_set_master(struct ide_channel *channel, uint16_t master);
bool ide_uses_dma(const struct ide_channel *channel);

/* Ask a drive who it is. Returns whether there is one that can be used. name: for messages. */
bool ide_identify(struct ide_channel *channel, unsigned unit, const char *name);

extern const struct block_driver ide_driver;
extern uint64_t ide_use_dma; /* the tunable; only tests change it later */

#endif
