/* SPDX-License-Identifier: MIT */
/*
 * Pipes: bytes in order from those who write to those who read; also named ones (FIFOs).
 *
 *	         tail                head
 *	          v                   v
 *	 ....[page 3][page 4][page 5][p....     positions grow for ever; a position's page is
 *	          <---- filled ---->            (position / PAGE_SIZE) % NR_PAGES
 *
 * A ring of 16 pages, each allocated when it is first written to. A writer waits for room, a reader
 * for bytes. Up to PIPE_BUF bytes are written as one piece or not at all yet; more are written as
 * there is room, and may be torn apart by other writers. When the last writer has gone, readers get
 * what is left and then the end; when the last reader has gone, writers get SIGPIPE and EPIPE.
 *
 * Opening a named pipe waits for the other side. Who opens counts up; so a side that came and went
 * again at once is noticed by who waits for it.
 *
 * LOCKING. pipe->lock guards positions and counts, and is what is waited under. Bytes are copied
 * without it, as that may fault: a reader copies from between tail and head, a writer to behind the
 * head, so they are not in each other's way; among readers, and among writers, a lock that is
 *waited for asleep lets one copy at a time. Nobody waits for bytes or room while holding that.
 */
#include <abi/poll.h>
#include <abi/signal.h>
#include <abi/termios.h>
#include <printk.h>
#include <process.h>
#include <slab.h>
#include <string.h>
#include <syscall.h>

#include "fs.h"

#define NR_PAGES  16
#define PIPE_SIZE (NR_PAGES * PAGE_SIZE)
#define PIPE_BUF  4096

enum side { READERS, WRITERS };

struct pipe {
	spinlock_t lock;
	struct wait_queue waiters[2]; /* readers for bytes, writers for room, both for each other */
	uint64_t tail, head;	      /* (l) filled: [tail, head) */
	unsigned nr[2];		      /* (l) files open for reading, for writing */
	uint64_t opened[2];	      /* (l) how many ever were */
	unsigned nr_asleep[2];	      /* (l) threads that wait for bytes, for room */
	struct mutex copying[2];
	struct page *page[NR_PAGES]; /* WRITERS' copying lock; freed when nobody is left */
};

static KMEM_CACHE(pipe_cache, "pipe", sizeof(struct pipe), 0, 0, NULL);
static spinlock_t make_lock = SPINLOCK_INIT("make pipe", RANK_MODULE);

/* ---- Life ---------------------------------------------------------------------------------- */

static struct pipe *
pipe_create(void)
{
	struct pipe *pipe = kmem_cache_alloc(&pipe_cache, GFP_ZERO);

	if (!pipe)
		return NULL;
	spin_init(&pipe->lock, "pipe", RANK_MODULE);
	for (unsigned side = READERS; side <= WRITERS; side++) {
		wait_queue_init(&pipe->waiters[side]);
		mutex_init(&pipe->copying[side]);
	}
	return pipe;
}

static void
free_pages(struct pipe *pipe)
{
	for (unsigned i = 0; i < NR_PAGES; i++) {
		if (pipe->page[i])
			__free_pages(pipe->page[i], 0);
		pipe->page[i] = NULL;
	}
}

void
pipe_destroy(struct pipe *pipe)
{
	free_pages(pipe);
	kmem_cache_free(&pipe_cache, pipe);
}

/* The pipe of an inode, made at the first opening; it stays as long as the inode. */
static struct pipe *
get_pipe(struct inode *inode)
{
	struct pipe *fresh = NULL, *pipe;
	irqflags_t flags;

	if (!__atomic_load_n(&inode->pipe, __ATOMIC_ACQUIRE))
		fresh = pipe_create();
	flags = spin_lock_irqsave(&make_lock);
	if (!inode->pipe && fresh) {
		__atomic_store_n(&inode->pipe, fresh, __ATOMIC_RELEASE);
		fresh = NULL;
	}
	pipe = inode->pipe;
	spin_unlock_irqrestore(&make_lock, flags);
	if (fresh)
		pipe_destroy(fresh);
	return pipe;
}

static void
wake_everybody(struct pipe *pipe)
{
	wake_all(&pipe->waiters[READERS]);
	wake_all(&pipe->waiters[WRITERS]);
	poll_wake();
}

/* ---- Opening and closing ------------------------------------------------------------------- */

/* Wait until somebody has the other side open, or had it since. */
static int
meet_locked(struct pipe *pipe, enum side side, bool wait)
{
	enum side other = side == READERS ? WRITERS : READERS;
	uint64_t opened = pipe->opened[other];
	int error = 0;

	assert_held(&pipe->lock);
	if (!wait)
		return side == WRITERS && pipe->nr[READERS] == 0 ? -ENXIO : 0;
	while (!error && pipe->nr[other] == 0 && pipe->opened[other] == opened)
		error = wait_on_until(&pipe->waiters[side], &pipe->lock, WAIT_FOREVER);
	return error;
}

static void
count_locked(struct pipe *pipe, const struct file *file, int step)
{
	assert_held(&pipe->lock);
	if (file_readable(file)) {
		pipe->nr[READERS] += (unsigned)step;
		pipe->opened[READERS] += step > 0;
	}
	if (file_writable(file)) {
		pipe->nr[WRITERS] += (unsigned)step;
		pipe->opened[WRITERS] += step > 0;
	}
}

/* What nobody can read any more is dropped. Returns whether nobody is left. */
static bool
leave(struct pipe *pipe, const struct file *file)
{
	irqflags_t flags = spin_lock_irqsave(&pipe->lock);
	bool empty;

	count_locked(pipe, file, -1);
	empty = pipe->nr[READERS] == 0 && pipe->nr[WRITERS] == 0;
	if (empty)
		pipe->tail = pipe->head;
	spin_unlock_irqrestore(&pipe->lock, flags);
	wake_everybody(pipe);
	return empty;
}

static int
fifo_open(struct file *file)
{
	struct pipe *pipe = get_pipe(file->inode);
	bool both = file_readable(file) && file_writable(file);
	bool wait = !(file->flags & O_NONBLOCK);
	irqflags_t flags;
	int error = 0;

	if (!pipe)
		return -ENOMEM;
	/* In one step: who comes between counting and waiting might be gone again. */
	flags = spin_lock_irqsave(&pipe->lock);
	count_locked(pipe, file, 1);
	wake_everybody(pipe);
	if (!both)
		error = meet_locked(pipe, file_readable(file) ? READERS : WRITERS, wait);
	spin_unlock_irqrestore(&pipe->lock, flags);
	if (error)
		(void)leave(pipe, file);
	return error;
}

static void
fifo_close(struct file *file)
{
	(void)leave(file->inode->pipe, file);
}

/* Wait for what the other side does. Returns 0 to look again, or an error. */
static int
sleep_locked(struct pipe *pipe, enum side side)
{
	int error;

	assert_held(&pipe->lock);
	pipe->nr_asleep[side]++;
	error = wait_on_until(&pipe->waiters[side], &pipe->lock, WAIT_FOREVER);
	pipe->nr_asleep[side]--;
	return error;
}

/*
 * Say how far a side has come, and wake the other, if it sleeps: most often it does not, and then
 * the lock of all threads is not needed.
 */
static void
advance(struct pipe *pipe, enum side side, uint64_t to)
{
	enum side other = side == READERS ? WRITERS : READERS;
	irqflags_t flags = spin_lock_irqsave(&pipe->lock);
	bool asleep = pipe->nr_asleep[other] > 0;

	__atomic_store_n(side == READERS ? &pipe->tail : &pipe->head, to, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&pipe->lock, flags);
	if (asleep)
		wake_all(&pipe->waiters[other]);
	poll_wake();
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* Wait for bytes. Returns how many there are, 0 at the end, or an error. */
static int64_t
wait_for_bytes(struct pipe *pipe, bool wait)
{
	irqflags_t flags = spin_lock_irqsave(&pipe->lock);
	int64_t result = 0;

	while (result == 0 && pipe->head == pipe->tail && pipe->nr[WRITERS] > 0)
		result = wait ? sleep_locked(pipe, READERS) : -EAGAIN;
	if (result == 0)
		result = (int64_t)(pipe->head - pipe->tail);
	spin_unlock_irqrestore(&pipe->lock, flags);
	return result;
}

/* Only readers move the tail, and this is the only one now. */
static int64_t
copy_out(struct pipe *pipe, struct transfer *to)
{
	uint64_t head = __atomic_load_n(&pipe->head, __ATOMIC_ACQUIRE), tail = pipe->tail;
	int64_t moved = 0, now = 1;

	while (to->left > 0 && tail < head && now > 0) {
		size_t start = tail % PAGE_SIZE;
		size_t bytes = MIN(to->left, MIN(PAGE_SIZE - start, head - tail));
		struct page *page = pipe->page[tail / PAGE_SIZE % NR_PAGES];

		now = transfer_out_part(to, (char *)page_to_virt(page) + start, bytes);
		if (now > 0) {
			tail += (uint64_t)now;
			moved += now;
		}
	}
	if (moved > 0)
		advance(pipe, READERS, tail);
	return moved > 0 ? moved : now < 0 ? now : 0;
}

static int64_t
fifo_read(struct file *file, struct transfer *to, uint64_t offset)
{
	struct pipe *pipe = file->inode->pipe;
	int64_t moved = 0;

	(void)offset;
	while (to->left > 0 && moved == 0) {
		int64_t there = wait_for_bytes(pipe, !(file->flags & O_NONBLOCK));

		if (there <= 0)
			return there;
		mutex_lock(&pipe->copying[READERS]);
		moved = copy_out(pipe, to);
		mutex_unlock(&pipe->copying[READERS]);
	}
	return moved;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static size_t
room_in(struct pipe *pipe)
{
	return PIPE_SIZE - (size_t)(pipe->head - __atomic_load_n(&pipe->tail, __ATOMIC_ACQUIRE));
}

/* Wait for room for that many bytes. Returns 0 or an error. */
static int
wait_for_room(struct pipe *pipe, size_t bytes, bool wait)
{
	irqflags_t flags = spin_lock_irqsave(&pipe->lock);
	int error = 0;

	while (!error && pipe->nr[READERS] > 0 && room_in(pipe) < bytes)
		error = wait ? sleep_locked(pipe, WRITERS) : -EAGAIN;
	if (!error && pipe->nr[READERS] == 0)
		error = -EPIPE;
	spin_unlock_irqrestore(&pipe->lock, flags);
	return error;
}

static struct page *
page_at(struct pipe *pipe, uint64_t position)
{
	struct page **page = &pipe->page[position / PAGE_SIZE % NR_PAGES];

	if (!*page)
		*page = alloc_pages(GFP_KERNEL, 0);
	return *page;
}

/*
 * Only writers move the head, and this is the only one now. least: if there is not that much room
 * any more, nothing is done. What was copied when an error comes is in the pipe only if it need
 * not be one piece.
 */
static int64_t
copy_in(struct pipe *pipe, struct transfer *from, size_t least)
{
	size_t room = room_in(pipe);
	uint64_t head = pipe->head;
	int64_t moved = 0;
	int error = 0;

	if (room < least)
		return 0;
	while (from->left > 0 && room > 0 && !error) {
		size_t start = head % PAGE_SIZE;
		size_t bytes = MIN(from->left, MIN(PAGE_SIZE - start, room));
		struct page *page = page_at(pipe, head);

		error =
		    page ? transfer_in(from, (char *)page_to_virt(page) + start, bytes) : -ENOMEM;
		if (!error) {
			head += bytes;
			room -= bytes;
			moved += (int64_t)bytes;
		}
	}
	if (error && least > 1)
		return error;
	if (moved > 0)
		advance(pipe, WRITERS, head);
	return moved > 0 ? moved : error;
}

static int64_t
fifo_write(struct file *file, struct transfer *from, uint64_t *offset)
{
	struct pipe *pipe = file->inode->pipe;
	size_t least = from->left <= PIPE_BUF ? from->left : 1;
	int64_t total = 0, moved = 0;

	(void)offset;
	while (from->left > 0) {
		moved = wait_for_room(pipe, least, !(file->flags & O_NONBLOCK));
		if (moved < 0)
			break;
		mutex_lock(&pipe->copying[WRITERS]);
		moved = copy_in(pipe, from, least);
		mutex_unlock(&pipe->copying[WRITERS]);
		if (moved < 0)
			break;
		total += moved;
	}
	if (moved == -EPIPE && process_current())
		signal_current(SIGPIPE, SI_USER, 0);
	return total > 0 ? total : moved < 0 ? moved : 0;
}

/* ---- The rest ------------------------------------------------------------------------------ */

static unsigned
fifo_poll(struct file *file)
{
	struct pipe *pipe = file->inode->pipe;
	irqflags_t flags = spin_lock_irqsave(&pipe->lock);
	unsigned events = 0;

	if (file_readable(file)) {
		if (pipe->head != pipe->tail)
			events |= POLLIN | POLLRDNORM;
		if (pipe->nr[WRITERS] == 0 && pipe->opened[WRITERS] > 0)
			events |= POLLHUP;
	}
	if (file_writable(file)) {
		if (room_in(pipe) >= PIPE_BUF)
			events |= POLLOUT | POLLWRNORM;
		if (pipe->nr[READERS] == 0)
			events |= POLLERR;
	}
	spin_unlock_irqrestore(&pipe->lock, flags);
	return events;
}

static int64_t
fifo_ioctl(struct file *file, unsigned request, uintptr_t arg)
{
	struct pipe *pipe = file->inode->pipe;
	int32_t bytes;

	if (request != FIONREAD)
		return -ENOTTY;
	bytes = (int32_t)(__atomic_load_n(&pipe->head, __ATOMIC_ACQUIRE) -
			  __atomic_load_n(&pipe->tail, __ATOMIC_ACQUIRE));
	return copy_to_user(arg, &bytes, sizeof(bytes));
}

int64_t
pipe_capacity(struct file *file)
{
	return file->ops == &fifo_ops ? (int64_t)PIPE_SIZE : -EBADF;
}

const struct file_ops fifo_ops = {
	.name = "pipe",
	.open = fifo_open,
	.close = fifo_close,
	.read = fifo_read,
	.write = fifo_write,
	.poll = fifo_poll,
	.ioctl = fifo_ioctl,
};

/* ---- pipe() -------------------------------------------------------------------------------- */

int
pipe_make(unsigned flags, struct file *end[2])
{
	struct inode *inode = ramfs_create(S_IFIFO | 0600, 0);
	unsigned status = flags & (O_NONBLOCK | O_DIRECT);
	char name[32];
	int error;

	if (!inode)
		return -ENOMEM;
	inode->links = 1;
	ksnprintf(name, sizeof(name), "pipe:[%lu]", (unsigned long)inode->number);
	/* The first end must not wait for the second. */
	error = file_create_nameless(inode, name, O_RDONLY | O_NONBLOCK, &end[0]);
	if (error)
		return error;
	error = file_create(end[0]->dentry, O_WRONLY | status, &end[1]);
	if (error) {
		file_put(end[0]);
		return error;
	}
	end[0]->flags = O_RDONLY | status;
	return 0;
}

static int
install_both(struct file *end[2], bool close_on_exec, int32_t fd[2])
{
	struct fd_table *table = files_current();

	fd[0] = fd_install(table, end[0], close_on_exec);
	if (fd[0] < 0)
		goto no_first;
	fd[1] = fd_install(table, end[1], close_on_exec);
	if (fd[1] < 0)
		goto no_second;
	return 0;
no_second:
	(void)fd_close(table, fd[0]);
	file_put(end[1]);
	return fd[1];
no_first:
	file_put(end[0]);
	file_put(end[1]);
	return fd[0];
}

static int64_t
make_descriptors(uintptr_t to, unsigned flags)
{
	struct file *end[2];
	int32_t fd[2];
	int error;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	error = pipe_make(flags, end);
	if (!error)
		error = install_both(end, flags & O_CLOEXEC, fd);
	if (error)
		return error;
	if (copy_to_user(to, fd, sizeof(fd)) == 0)
		return 0;
	(void)fd_close(files_current(), fd[0]);
	(void)fd_close(files_current(), fd[1]);
	return -EFAULT;
}

static int64_t
sys_pipe2(const uint64_t *arg)
{
	return make_descriptors(arg[0], (unsigned)arg[1]);
}

static int64_t
sys_pipe(const uint64_t *arg)
{
	return make_descriptors(arg[0], 0);
}

SYSCALL(293, pipe2, 2, sys_pipe2);
SYSCALL(22, pipe, 1, sys_pipe);
