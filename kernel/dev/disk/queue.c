/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for a disk.
 *
 * PROBLEM. Many threads want sectors here and there, and a disk does best what lies side by side,
 * in rising order, in few large pieces. Nobody may wait for ever for that.
 *
 * IDEA. Two lists, each in order of sectors. The disk works through one of them, the sweep, from
 * its beginning to its end; what arrives meanwhile goes to the other. When the sweep is empty they
 * change places (N-step scan; Frank, "Analysis and optimization of disk storage devices for
 * time-sharing systems", JACM 1969). So a request is overtaken by no more than what a sweep may
 * hold, QUEUE_MAX_WAITING, whatever others do:
 *
 *	submit --> next: 7 8 30 31        taken from the front, with those that adjoin
 *	           sweep: 12 13 14 90  ------------------------------> command: 12 13 14
 *
 * Requests for adjacent sectors become one command when they are taken, since whatever may still
 * join them has come by then. Flushes of one disk all "begin" at its first sector and have no
 * size, so they adjoin each other and are one command, too: many threads wait for one flush.
 *
 * ERRORS. A command fails as a whole, but an error is for the request that caused it. So if there
 * were several requests, each is put back to be tried alone; a request that was alone has failed.
 *
 * TIME. A command that has not ended after block.timeout_ms has failed; the disk is reset, and
 * whatever else was running is put back. A disk that does not come back is dead: every request
 * fails at once.
 *
 * LOCKING. queue->lock guards all of it, and the driver. It is held while a command is begun and
 * while its end is noted, never between. Who releases it first does what has become possible:
 * begins commands, and then, without the lock, calls done() of what has ended. So there is one way
 * out, unlock_queue(), for threads and interrupts alike.
 *
 * No memory is allocated from a request's submission to its end: it may be what memory waits for.
 */
#include "queue.h"

#include <cmdline.h>
#include <errno.h>
#include <panic.h>
#include <printk.h>
#include <string.h>
#include <time.h>

#define MAX_REPORTS 20 /* lines about errors of one queue */

#define LOST_NS NSEC_PER_SEC /* no disk takes so long as a rule */

static uint64_t timeout_ms = 30000; /* (c) */
TUNABLE(timeout_ms, "block.timeout_ms", 1, 1000000, "milliseconds until a disk command has failed");

void
block_queue_init(struct block_queue *queue, const char *name, const struct block_driver *driver,
		 void *data, unsigned depth, unsigned max_segments)
{
	ASSERT(depth >= 1 && depth <= QUEUE_MAX_DEPTH);
	ASSERT_LE(BLOCK_MAX_SEGMENTS, max_segments);
	*queue = (struct block_queue){
		.driver = driver, .data = data, .depth = depth, .max_segments = max_segments
	};
	spin_init(&queue->lock, "disk", RANK_DEVICE);
	strlcpy(queue->name, name, sizeof(queue->name));
	list_init(&queue->sweep);
	list_init(&queue->next);
	list_init(&queue->finished);
	wait_queue_init(&queue->room);
	for (unsigned i = 0; i < QUEUE_MAX_DEPTH; i++) {
		queue->commands[i].queue = queue;
		queue->commands[i].index = i;
		list_init(&queue->commands[i].requests);
	}
}

/* ---- Requests ---------------------------------------------------------------------------- */

/* Put a request among those that wait. From the end: most rise. Of equals, the older first. */
static void
insert_locked(struct block_queue *queue, struct list_head *list, struct block_request *request)
{
	struct list_head *at = list->prev;

	assert_held(&queue->lock);
	while (at != list && list_entry(at, struct block_request, link)->first > request->first)
		at = at->prev;
	list_insert(&request->link, at, at->next);
	queue->nr_waiting++;
}

static void
finish_locked(struct block_queue *queue, struct block_request *request, int error)
{
	struct block_statistics *statistics = &request->device->statistics;
	uint64_t now = time_ns();

	assert_held(&queue->lock);
	request->error = error;
	statistics->nr_done[request->op]++;
	statistics->nr_failed[request->op] += error != 0;
	statistics->nr_sectors[request->op] += error ? 0 : request->nr_sectors;
	statistics->ns[request->op] += now - request->submitted;
	block_count_pending(request->device, -1, now);
	list_add_tail(&request->link, &queue->finished);
}

/* ---- Commands ---------------------------------------------------------------------------- */

/* Does a request go on where the command ends, and is there room for it? */
static bool
adjoins(const struct block_command *command, const struct block_request *request)
{
	return command->op == request->op && !request->alone &&
	       command->first + command->nr_sectors == request->first &&
	       command->nr_sectors + request->nr_sectors <= BLOCK_MAX_SECTORS &&
	       command->nr_segments + request->nr_segments <= command->queue->max_segments;
}

static void
move_to_command_locked(struct block_command *command, struct block_request *request)
{
	assert_held(&command->queue->lock);
	list_del(&request->link);
	list_add_tail(&request->link, &command->requests);
	command->nr_sectors += request->nr_sectors;
	command->nr_segments += request->nr_segments;
	command->queue->nr_waiting--;
}

/* Make a command of the first request of the sweep, and those that adjoin. */
static void
fill_command_locked(struct block_command *command)
{
	struct list_head *sweep = &command->queue->sweep;
	struct block_request *request = list_first_entry(sweep, struct block_request, link);
	bool alone = request->alone;

	command->op = request->op;
	command->first = request->first;
	command->nr_sectors = 0;
	command->nr_segments = 0;
	move_to_command_locked(command, request);
	while (!alone && !list_empty(sweep)) {
		request = list_first_entry(sweep, struct block_request, link);
		if (!adjoins(command, request))
			break;
		move_to_command_locked(command, request);
		request->device->statistics.nr_merged[request->op]++;
	}
}

static struct block_command *
idle_command_locked(struct block_queue *queue)
{
	for (unsigned i = 0; i < queue->depth; i++) {
		if (!queue->commands[i].running)
			return &queue->commands[i];
	}
	return NULL;
}

/* Move all entries of a list to an empty one. */
static void
take_all(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	list_insert(to, from->prev, from->next);
	list_init(from);
}

/* Fill the sweep, if it is empty, with what has arrived meanwhile. Returns whether there is any. */
static bool
have_work_locked(struct block_queue *queue)
{
	assert_held(&queue->lock);
	if (list_empty(&queue->sweep))
		take_all(&queue->next, &queue->sweep);
	return !list_empty(&queue->sweep);
}

static void
start_commands_locked(struct block_queue *queue)
{
	struct block_command *command;

	assert_held(&queue->lock);
	while (queue->state == QUEUE_READY && !queue->broken &&
	       (command = idle_command_locked(queue)) && have_work_locked(queue)) {
		fill_command_locked(command);
		command->running = true;
		command->deadline = time_ns() + timeout_ms * NSEC_PER_MSEC;
		queue->nr_running++;
		queue->driver->start_locked(command);
	}
}

/* End a command: its requests have ended with error, or, if again, wait once more. */
static void
end_command_locked(struct block_command *command, int error, bool again)
{
	struct block_queue *queue = command->queue;
	struct block_request *request, *after;

	assert_held(&queue->lock);
	ASSERT(command->running);
	command->running = false;
	queue->nr_running--;
	list_for_each_entry_safe (request, after, &command->requests, link) {
		list_del(&request->link);
		if (again)
			insert_locked(queue, &queue->sweep, request);
		else
			finish_locked(queue, request, error);
	}
}

void
block_command_done_locked(struct block_command *command, int error)
{
	struct list_head *requests = &command->requests;
	struct block_request *request;
	bool again = error && requests->next != requests->prev;

	list_for_each_entry (request, requests, link)
		request->alone |= again;
	end_command_locked(command, error, again);
}

void
block_command_failed_locked(struct block_command *command, const char *what, unsigned code)
{
	static const char *const op_names[] = { "reading", "writing", "flushing" };
	struct list_head *requests = &command->requests;
	struct block_request *request = list_first_entry(requests, struct block_request, link);

	if (requests->next == requests->prev && command->queue->nr_reported++ < MAX_REPORTS)
		kprintf("%s: %s %u sectors at %lu failed: %s %#x\n", request->device->name,
			op_names[request->op], request->nr_sectors, (unsigned long)request->sector,
			what, code);
	block_command_done_locked(command, -EIO);
}

void
block_queue_broken_locked(struct block_queue *queue)
{
	assert_held(&queue->lock);
	queue->broken = true;
}

/* ---- In and out -------------------------------------------------------------------------- */

static void
fail_waiting_locked(struct block_queue *queue)
{
	while (have_work_locked(queue)) {
		struct block_request *request =
		    list_first_entry(&queue->sweep, struct block_request, link);

		list_del(&request->link);
		queue->nr_waiting--;
		finish_locked(queue, request, -EIO);
	}
}

/* Let in who sleeps to submit, in the order in which they came, each to a place of its own. */
static void
let_in_locked(struct block_queue *queue)
{
	assert_held(&queue->lock);
	while (queue->nr_wanting > 0 && queue->nr_waiting + queue->nr_let_in < QUEUE_MAX_WAITING) {
		queue->nr_wanting--;
		queue->nr_let_in++;
		wake_one(&queue->room);
	}
}

/* Do what has become possible, and release the lock. */
static void
unlock_queue(struct block_queue *queue, irqflags_t irq)
{
	struct list_head finished = LIST_INIT(finished);
	struct block_request *request, *after;

	start_commands_locked(queue);
	if (queue->state == QUEUE_DEAD)
		fail_waiting_locked(queue);
	let_in_locked(queue);
	take_all(&queue->finished, &finished);
	spin_unlock(&queue->lock);

	list_for_each_entry_safe (request, after, &finished, link)
		request->done(request); /* and is no more, perhaps */
	arch_irq_restore(irq);
}

void
block_queue_submit(struct block_queue *queue, struct block_request *request)
{
	irqflags_t irq = spin_lock_irqsave(&queue->lock);

	if (queue->nr_wanting > 0 || queue->nr_waiting + queue->nr_let_in >= QUEUE_MAX_WAITING) {
		queue->nr_wanting++;
		wait_on(&queue->room, &queue->lock); /* nobody wakes but let_in_locked() */
		queue->nr_let_in--;
	}
	request->alone = false;
	request->submitted = time_ns();
	block_count_pending(request->device, 1, request->submitted);
	insert_locked(queue, &queue->next, request);
	unlock_queue(queue, irq);
}

void
block_queue_interrupt(struct block_queue *queue)
{
	irqflags_t irq = spin_lock_irqsave(&queue->lock);

	if (queue->state == QUEUE_READY && !queue->broken)
		queue->driver->poll_locked(queue);
	unlock_queue(queue, irq);
}

/* ---- Commands that do not end ------------------------------------------------------------ */

/* The first command that has had its time, or NULL. */
static struct block_command *
late_command_locked(struct block_queue *queue, uint64_t now)
{
	assert_held(&queue->lock);
	for (unsigned i = 0; i < queue->depth; i++) {
		struct block_command *command = &queue->commands[i];

		if (command->running && (queue->broken || command->deadline <= now))
			return command;
	}
	return NULL;
}

/* The disk has forgotten everything: end what ran. Those that were in time are tried again. */
static void
end_all_locked(struct block_queue *queue, uint64_t now)
{
	struct block_command *command;

	while ((command = late_command_locked(queue, now)))
		end_command_locked(command, -EIO, false);
	for (unsigned i = 0; i < queue->depth; i++) {
		if (queue->commands[i].running)
			end_command_locked(&queue->commands[i], 0, true);
	}
}

static void
reset_queue(struct block_queue *queue, uint64_t now)
{
	bool works = queue->driver->reset(queue);
	irqflags_t irq = spin_lock_irqsave(&queue->lock);

	kprintf("%s: %s\n", queue->name,
		works ? "was reset" : "does not come back after a reset; it is given up");
	end_all_locked(queue, now);
	queue->broken = false;
	queue->state = works ? QUEUE_READY : QUEUE_DEAD;
	unlock_queue(queue, irq);
}

/* Deadlines up to here are of commands that have taken LOST_NS, or all of their time. */
static uint64_t
slow_at(uint64_t now)
{
	uint64_t limit = timeout_ms * NSEC_PER_MSEC;

	return limit > LOST_NS ? now + limit - LOST_NS : now;
}

bool
block_queue_watch(struct block_queue *queue)
{
	irqflags_t irq = spin_lock_irqsave(&queue->lock);
	uint64_t now = time_ns();
	bool hopeless = false, running;

	if (queue->state == QUEUE_READY) {
		/* An interrupt may have been lost. */
		if (!queue->broken && (queue->polled || late_command_locked(queue, slow_at(now))))
			queue->driver->poll_locked(queue);
		hopeless = queue->broken || late_command_locked(queue, now);
	}
	if (hopeless) {
		kprintf("%s: the disk %s\n", queue->name,
			queue->broken ? "breaks the rules" : "does not answer");
		queue->state = QUEUE_RESETTING;
	}
	running = queue->nr_running > 0;
	unlock_queue(queue, irq);
	if (hopeless)
		reset_queue(queue, now);
	return running || hopeless;
}

/* ---- What a command moves ---------------------------------------------------------------- */

void
block_cursor_init(struct block_cursor *cursor, struct block_command *command)
{
	*cursor = (struct block_cursor){
		.command = command,
		.request = list_first_entry(&command->requests, struct block_request, link),
	};
}

const struct block_segment *
block_next_segment(struct block_cursor *cursor)
{
	struct list_head *end = &cursor->command->requests;

	while (&cursor->request->link != end && cursor->segment == cursor->request->nr_segments) {
		cursor->request =
		    list_entry(cursor->request->link.next, struct block_request, link);
		cursor->segment = 0;
	}
	return &cursor->request->link == end ? NULL : &cursor->request->segments[cursor->segment++];
}

/* ---- Looking at it ----------------------------------------------------------------------- */

/* Entries of a list; SIZE_MAX if they are not in order. */
static size_t
count_waiting(struct list_head *list)
{
	struct block_request *request;
	uint64_t last = 0;
	size_t nr = 0;

	list_for_each_entry (request, list, link) {
		if (request->first < last)
			return SIZE_MAX;
		last = request->first;
		nr++;
	}
	return nr;
}

/* Does a command say of its requests what they are? */
static bool
command_is_sound(struct block_command *command)
{
	uint64_t at = command->first;
	unsigned nr_segments = 0;
	struct block_request *request;

	list_for_each_entry (request, &command->requests, link) {
		if (request->first != at || request->op != command->op ||
		    (request->alone && request->nr_segments != command->nr_segments))
			return false;
		at += request->nr_sectors;
		nr_segments += request->nr_segments;
	}
	return at == command->first + command->nr_sectors && nr_segments == command->nr_segments &&
	       nr_segments <= command->queue->max_segments;
}

unsigned
block_queue_check(struct block_queue *queue)
{
	irqflags_t irq = spin_lock_irqsave(&queue->lock);
	size_t nr_waiting = count_waiting(&queue->sweep) + count_waiting(&queue->next);
	unsigned nr_running = 0, errors = 0;

	for (unsigned i = 0; i < QUEUE_MAX_DEPTH; i++) {
		struct block_command *command = &queue->commands[i];

		nr_running += command->running;
		errors +=
		    command->running ? !command_is_sound(command) : !list_empty(&command->requests);
	}
	errors += nr_waiting != queue->nr_waiting;
	errors += nr_running != queue->nr_running || nr_running > queue->depth;
	if (errors)
		kprintf("check: queue %s: %u wait, not %zu; %u run, not %u; or a command is "
			"wrong\n",
			queue->name, queue->nr_waiting, nr_waiting, queue->nr_running, nr_running);
	spin_unlock_irqrestore(&queue->lock, irq);
	return errors;
}
