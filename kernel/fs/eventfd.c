/* SPDX-License-Identifier: MIT */
/*
 * Event counters: eventfd(). A file that is a 64-bit number: a write adds to it and waits while
 * that would be too much, a read takes it all (or one, if it is a semaphore) and waits while it is
 * 0.
 *
 * LOCKING. The counter's lock; the number is copied to and from the program without it.
 */
#include <abi/poll.h>
#include <process.h>
#include <slab.h>
#include <syscall.h>
#include <thread.h>

#include "fs.h"

#define COUNT_MAX (UINT64_MAX - 1)

struct event_counter {
	spinlock_t lock;
	struct wait_queue changed; /* it was read or written */
	uint64_t count;		   /* (l) */
	bool semaphore;		   /* (c) */
};

static struct event_counter *
counter_of(struct file *file)
{
	return file->inode->private.data;
}

/* Take what there is, or what a semaphore gives. Returns 0 or an error. */
static int
take(struct event_counter *counter, bool wait, uint64_t *taken)
{
	irqflags_t flags = spin_lock_irqsave(&counter->lock);
	int error = 0;

	while (!error && counter->count == 0)
		error =
		    wait ? wait_on_until(&counter->changed, &counter->lock, WAIT_FOREVER) : -EAGAIN;
	if (!error) {
		*taken = counter->semaphore ? 1 : counter->count;
		counter->count -= *taken;
	}
	spin_unlock_irqrestore(&counter->lock, flags);
	return error;
}

static int
add(struct event_counter *counter, bool wait, uint64_t number)
{
	irqflags_t flags = spin_lock_irqsave(&counter->lock);
	int error = 0;

	while (!error && number > COUNT_MAX - counter->count)
		error =
		    wait ? wait_on_until(&counter->changed, &counter->lock, WAIT_FOREVER) : -EAGAIN;
	if (!error)
		counter->count += number;
	spin_unlock_irqrestore(&counter->lock, flags);
	return error;
}

static void
tell_change(struct event_counter *counter)
{
	wake_all(&counter->changed);
	poll_wake();
}

static int64_t
counter_read(struct file *file, struct transfer *to, uint64_t offset)
{
	struct event_counter *counter = counter_of(file);
	uint64_t taken;
	int error;

	(void)offset;
	if (to->left < sizeof(taken))
		return -EINVAL;
	error = take(counter, !(file->flags & O_NONBLOCK), &taken);
	if (error)
		return error;
	tell_change(counter);
	error = transfer_out(to, &taken, sizeof(taken));
	return error ? error : (int64_t)sizeof(taken);
}

static int64_t
counter_write(struct file *file, struct transfer *from, uint64_t *offset)
{
	struct event_counter *counter = counter_of(file);
	uint64_t number;
	int error;

	(void)offset;
	if (from->left < sizeof(number))
		return -EINVAL;
	error = transfer_in(from, &number, sizeof(number));
	if (!error && number == UINT64_MAX)
		error = -EINVAL;
	if (!error)
		error = add(counter, !(file->flags & O_NONBLOCK), number);
	if (error)
		return error;
	tell_change(counter);
	return sizeof(number);
}

static unsigned
counter_poll(struct file *file)
{
	struct event_counter *counter = counter_of(file);
	irqflags_t flags = spin_lock_irqsave(&counter->lock);
	unsigned events = (counter->count > 0 ? POLLIN | POLLRDNORM : 0) |
			  (counter->count < COUNT_MAX ? POLLOUT | POLLWRNORM : 0);

	spin_unlock_irqrestore(&counter->lock, flags);
	return events;
}

static void
counter_release(struct inode *inode)
{
	kfree(inode->private.data);
}

static const struct file_ops counter_ops = {
	.name = "eventfd",
	.endless = true,
	.read = counter_read,
	.write = counter_write,
	.poll = counter_poll,
};

static const struct inode_ops counter_inode_ops = {
	.file_ops = &counter_ops,
	.release = counter_release,
};

static struct inode *
counter_create(uint64_t count, bool semaphore)
{
	struct event_counter *counter = kmalloc_zeroed(sizeof(*counter), GFP_KERNEL);
	struct inode *inode = counter ? inode_create(&counter_inode_ops, 0600) : NULL;

	if (!inode) {
		kfree(counter);
		return NULL;
	}
	spin_init(&counter->lock, "eventfd", RANK_MODULE);
	wait_queue_init(&counter->changed);
	counter->count = count;
	counter->semaphore = semaphore;
	inode->private.data = counter;
	return inode;
}

static int64_t
make(uint64_t count, unsigned flags)
{
	struct inode *inode;
	struct file *file;
	int error, fd;

	if (flags & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	inode = counter_create(count, flags & EFD_SEMAPHORE);
	if (!inode)
		return -ENOMEM;
	error = file_create_nameless(inode, "anon_inode:[eventfd]", O_RDWR | (flags & O_NONBLOCK),
				     &file);
	if (error)
		return error;
	fd = fd_install(files_current(), file, flags & O_CLOEXEC);
	if (fd < 0)
		file_put(file);
	return fd;
}

static int64_t
sys_eventfd2(const uint64_t *arg)
{
	return make((uint32_t)arg[0], (unsigned)arg[1]);
}

static int64_t
sys_eventfd(const uint64_t *arg)
{
	return make((uint32_t)arg[0], 0);
}

SYSCALL(290, eventfd2, 2, sys_eventfd2);
SYSCALL(284, eventfd, 1, sys_eventfd);
