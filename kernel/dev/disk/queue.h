/* SPDX-License-Identifier: MIT */
/*
 * From requests to commands: what a driver of disks is to the block layer. The theory is at the
 * top of queue.c.
 *
 * A driver owns a struct block_queue for everything that can be told one thing at a time: a disk,
 * or a cable with two disks. The sectors of all its disks are one line of numbers; where a disk
 * begins on it, the driver chooses (block_device.start), with a gap between disks.
 *
 * (c) fixed once made   (q) queue->lock
 */
#ifndef DISK_QUEUE_H
#define DISK_QUEUE_H

#include <block.h>
#include <spinlock.h>
#include <thread.h>

#define QUEUE_MAX_WAITING 128 /* requests; who submits one more sleeps */
#define QUEUE_MAX_DEPTH	  16  /* commands that a disk works on at a time */

struct block_queue;

/* What a disk is told at one time: requests of one kind for adjacent sectors. All (q). */
struct block_command {
	struct block_queue *queue;
	unsigned index; /* in queue->commands */
	bool running;
	enum block_op op;
	uint64_t first;
	uint32_t nr_sectors; /* 0: BLOCK_FLUSH */
	unsigned nr_segments;
	struct list_head requests;
	uint64_t deadline; /* time_ns() */
};

struct block_driver {
	/*
	 * Begin a command. Its end is told by block_command_done_locked(), perhaps from in here.
	 * Called with the lock, perhaps from an interrupt.
	 */
	void (*start_locked)(struct block_command *command);
	/*
	 * Look whether the disk has anything to say: after an interrupt; all the time, if there
	 * are none (queue->polled); and before a command is given up. With the lock.
	 */
	void (*poll_locked)(struct block_queue *queue);
	/*
	 * Make the disk forget all commands. Afterwards it touches no memory of theirs. Returns
	 * whether it works again. From a thread, without the lock; may sleep. Nothing else is
	 * called meanwhile.
	 */
	bool (*reset)(struct block_queue *queue);
};

enum queue_state { QUEUE_READY, QUEUE_RESETTING, QUEUE_DEAD };

struct block_queue {
	spinlock_t lock;		   /* RANK_DEVICE */
	char name[16];			   /* (c) */
	const struct block_driver *driver; /* (c) */
	void *data;			   /* (c) the driver's */
	unsigned depth, max_segments;	   /* (c) commands at a time; segments of a command */
	bool polled;			   /* (c) there is no interrupt */
	enum queue_state state;		   /* (q) */
	bool broken;			   /* (q) the driver asks for a reset */
	unsigned nr_reported;		   /* (q) errors */
	struct list_head sweep, next;	   /* (q) requests that wait, by sector */
	unsigned nr_waiting, nr_running;   /* (q) requests in these two; commands */
	unsigned nr_wanting;		   /* (q) threads that sleep to submit */
	unsigned nr_let_in;		   /* (q) that have been woken, and have a place */
	struct wait_queue room;		   /* (q) both */
	struct list_head finished;	   /* (q) requests whose done() is to be called */
	struct block_command commands[QUEUE_MAX_DEPTH]; /* (q) */
	struct block_queue *watched;			/* of watch.c: the next one */
};

/* An empty one. depth: 1 to QUEUE_MAX_DEPTH; max_segments: BLOCK_MAX_SEGMENTS or more. */
void block_queue_init(struct block_queue *queue, const char *name,
		      const struct block_driver *driver, void *data, unsigned depth,
		      unsigned max_segments);

/* Take a checked request. May sleep. */
void block_queue_submit(struct block_queue *queue, struct block_request *request);

/* A command has ended: 0 or -EIO. */
void block_command_done_locked(struct block_command *command, int error);

/* It has failed: the same with -EIO, and a line that says so, unless it will be tried again. */
void block_command_failed_locked(struct block_command *command, const char *what, unsigned code);

/*
 * The driver found that the disk does not keep to its rules: nothing that runs can be trusted. It
 * is reset soon.
 */
void block_queue_broken_locked(struct block_queue *queue);

/* The disk has raised its interrupt. From its handler. */
void block_queue_interrupt(struct block_queue *queue);

/*
 * See whether commands take too long, and reset the disk then; of a polled queue, look what it has
 * to say. Returns whether commands are running. From one thread at a time. May sleep.
 */
bool block_queue_watch(struct block_queue *queue);

/* Recompute and compare. Returns the number of contradictions. */
unsigned block_queue_check(struct block_queue *queue) __must_check;

/* ---- What a command moves ---------------------------------------------------------------- */

struct block_cursor {
	struct block_command *command;
	struct block_request *request;
	unsigned segment; /* of the request: the next */
};

void block_cursor_init(struct block_cursor *cursor, struct block_command *command);

/* The next segment, or NULL behind the last. */
const struct block_segment *block_next_segment(struct block_cursor *cursor);

/* ---- Registration: block.c, watch.c------------------------------------------------------ */

/*
 * Make a device of a queue known under its name, with a line that also says how it is driven, and
 * read its partitions. May sleep.
 */
void block_register(struct block_device *device, const char *how);

/* Have a thread call block_queue_watch() from now on, every now and then. */
void block_watch(struct block_queue *queue);

/* May sectors [sector, sector + nr) be moved? 0 or the error that says why not. */
int block_check_range(const struct block_device *device, enum block_op op, uint64_t sector,
		      uint64_t nr);

/* Of statistics: a request begins (by = 1), or has ended (by = -1). With the queue's lock. */
void block_count_pending(struct block_device *device, int by, uint64_t now);

#endif
