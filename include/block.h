/* SPDX-License-Identifier: MIT */
/*
 * Disks: kernel/dev/disk/block.c. Who needs blocks (file systems, swap, device nodes) sees a device
 *of numbered sectors; who drives a disk sees a queue of commands: kernel/dev/disk/queue.h.
 *
 *	struct block_device   a disk, or a partition of one
 *	struct block_request  move adjacent sectors from or to a list of pieces of frames
 *	block_submit()        begin it; done() is called when it has ended
 *	block_execute()       begin it and sleep until it has ended
 *	block_read(), block_write(), block_flush()    the same for a buffer, in one call
 *
 * What has been written may be lost with the power until a flush that was begun after the write
 * ended has ended itself. Two requests that are under way at the same time and share sectors are
 * carried out in any order: who cares waits for the first before beginning the second.
 *
 * (c) fixed once registered   (q) the queue's lock
 */
#ifndef IKOS_BLOCK_H
#define IKOS_BLOCK_H

#include <list.h>
#include <page.h>
#include <types.h>

#define SECTOR_SHIFT 9
#define SECTOR_SIZE  (1u << SECTOR_SHIFT)

#define BLOCK_MAX_SECTORS  256 /* of one request */
#define BLOCK_MAX_SEGMENTS 32

struct block_queue;

/* What a device has done since the start, for /proc/diskstats. By enum block_op. */
struct block_statistics {
	uint64_t nr_done[3];	/* requests, also those that failed */
	uint64_t nr_failed[3];	/* of them */
	uint64_t nr_merged[3];	/* of them, that shared a command with the one before */
	uint64_t nr_sectors[3]; /* moved without error */
	uint64_t ns[3];		/* from submission to end, added up */
	unsigned nr_pending;	/* submitted and not ended */
	uint64_t busy_ns;	/* time during which there were any */
	uint64_t weighted_ns;	/* nr_pending added up over time */
	uint64_t counted_until; /* time_ns() up to which these two are known */
};

struct block_device {
	char name[16];		   /* (c) "hda", "vda", of a partition "hda1" */
	char model[48];		   /* (c) what the disk calls itself, for people */
	uint64_t number;	   /* (c) of its device node: make_device(major, minor) */
	uint64_t start;		   /* (c) the sector of its queue that its sector 0 is */
	uint64_t nr_sectors;	   /* (c) of SECTOR_SIZE */
	unsigned block_size;	   /* (c) bytes: requests begin and end at multiples of it */
	bool read_only;		   /* (c) */
	struct block_queue *queue; /* (c) of the disk, or of all disks on one cable */
	struct block_statistics statistics; /* (q) */
	struct list_head link;		    /* (c) in the order of registration */
};

/* ---- Devices ----------------------------------------------------------------------------- */

/* The device of that name or number, or NULL. Devices stay for ever. */
struct block_device *block_find(const char *name);
struct block_device *block_find_number(uint64_t number);

/* The one registered after device, or the first for NULL; NULL behind the last. */
struct block_device *block_next(struct block_device *device);

/* A copy of its statistics, with the time that is running added. */
void block_get_statistics(struct block_device *device, struct block_statistics *statistics);

/* ---- Requests ---------------------------------------------------------------------------- */

enum block_op {
	BLOCK_READ,
	BLOCK_WRITE,
	BLOCK_FLUSH, /* make all that has been written durable; no sector, no segments */
};

/* A piece of one frame: offset and size are multiples of SECTOR_SIZE, size > 0. */
struct block_segment {
	struct page *page; /* in the direct map */
	uint32_t offset, size;
};

/*
 * The caller fills in the first part and keeps it, the segments and their frames as they are until
 * done() is called. The segments' sizes are the size of the request.
 */
struct block_request {
	enum block_op op;
	struct block_device *device;
	uint64_t sector; /* the device's */
	const struct block_segment *segments;
	unsigned nr_segments;
	/*
	 * It has ended, and is the caller's again; error tells how: 0, or
	 *	-EIO     the disk says so, or does not answer
	 *	-ENXIO   behind the end of the device
	 *	-EROFS   a write to what is read only
	 *	-EINVAL  not whole blocks, or larger than one request may be
	 * After an error nothing is known of what was to be moved. Called once, with interrupts
	 * off and no lock held, from an interrupt or from within block_submit(). It must not sleep
	 * and must not submit.
	 */
	void (*done)(struct block_request *request);
	void *private; /* the caller's */
	int error;

	/* The queue's own: */
	uint64_t first; /* sector of the queue */
	uint32_t nr_sectors;
	bool alone;	       /* (q) shares no command with others any more */
	uint64_t submitted;    /* time_ns() */
	struct list_head link; /* (q) waiting, in order of sectors; in its command; or finished */
};

/*
 * Begin a request. Sleeps while too many wait for the disk, hence: from a thread, with interrupts
 * on and without a spin lock. Requests for adjacent sectors may become one command, and any that
 * wait may be overtaken, but not for ever.
 */
void block_submit(struct block_request *request);

/* Submit and sleep until it has ended; done and private are set here. Returns error. */
int block_execute(struct block_request *request) __must_check;

/*
 * Move nr sectors, any number of them, from or to a buffer anywhere in the kernel's memory. Sleeps.
 * Returns 0, or an error as above or -ENOMEM; nothing was moved if it is -ENXIO, -EROFS or -EINVAL.
 */
int block_read(struct block_device *device, uint64_t sector, void *buffer, size_t nr) __must_check;
int block_write(struct block_device *device, uint64_t sector, const void *buffer, size_t nr)
    __must_check;

/* Sleep until all writes that have ended are durable: 0 or -EIO. */
int block_flush(struct block_device *device) __must_check;

/* ---- A disk in memory, for tests: kernel/dev/disk/ram.c ---------------------------------- */

/* Zeroes; not registered, so it has no name for others. NULL: no memory. */
struct block_device *block_ram_create(uint64_t nr_sectors, bool read_only);

/* No request is under way, and nobody will submit one. */
void block_ram_destroy(struct block_device *device);

/* One command in every, on average, fails with -EIO without effect; 0: none. */
void block_ram_fail(struct block_device *device, uint64_t every, uint64_t seed);

/* Its bytes, all sectors on end. */
void *block_ram_bytes(struct block_device *device);

/*
 * As if the power had failed: of the writes since the last flush, each sector has been written or
 * not, as the seed says. Only after block_ram_keep_cache(), which makes a copy of what is durable.
 */
int block_ram_keep_cache(struct block_device *device) __must_check;
void block_ram_lose_power(struct block_device *device, uint64_t seed);

#endif
