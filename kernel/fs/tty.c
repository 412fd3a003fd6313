/* SPDX-License-Identifier: MIT */
/*
 * The terminal: the serial line as programs see it, by the names /dev/console, /dev/ttyS0, and for
 * those whose controlling terminal it is /dev/tty.
 *
 *	serial line --> reader thread --> tty_receive() --> line --> read()
 *	                                      |    \-- echo --------------\
 *	                                      v                            v
 *	                              signals to the               console lock --> serial line
 *	                              foreground group    write() --> line --/
 *
 * The reader thread is started when the terminal is first opened, and stays. It takes input from
 * the serial line only while some file has the terminal open; otherwise the kernel's own console
 * does (serial_set_owner()).
 *
 * Output goes out in pieces of whole lines where it can, each under the console lock, so that a
 * message of the kernel stands between the lines of a program, not inside them.
 *
 * A terminal belongs to a session at most, and one of the session's process groups is in the
 * foreground: it gets the signals of ^C and ^Z, and only it may read. A session that has ended
 * has left the terminal free, which is found out when the next one wants it.
 *
 * LOCKING. tty->lock guards the line and who has the terminal; the echo is printed under it.
 * Signals are sent without it.
 */
#include "tty.h"

#include <abi/poll.h>
#include <abi/signal.h>
#include <printk.h>
#include <process.h>
#include <serial.h>
#include <string.h>
#include <time.h>

#define PIECE	 ((size_t)256) /* bytes of a program printed at a time */
#define TENTH_NS (NSEC_PER_SEC / 10)

struct tty console_tty = {
	.lock = SPINLOCK_INIT("tty", RANK_MODULE),
	.readers = WAIT_QUEUE_INIT(console_tty.readers),
	.writers = WAIT_QUEUE_INIT(console_tty.writers),
	.size = { .rows = 24, .columns = 80 },
	.printing = MUTEX_INIT(console_tty.printing),
};

/* ---- Input --------------------------------------------------------------------------------- */

void
tty_receive(struct tty *tty, uint8_t byte)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	int signal = ldisc_receive(&tty->line, byte);
	int group = tty->foreground;

	spin_unlock_irqrestore(&tty->lock, flags);
	wake_all(&tty->readers);
	wake_all(&tty->writers);
	poll_wake();
	if (signal && group > 0)
		(void)signal_group(group, signal);
}

static void
feed(void *arg)
{
	for (;;)
		tty_receive(arg, (uint8_t)serial_getc_terminal());
}

/* ---- Opening and closing ------------------------------------------------------------------- */

/* With the first file the input becomes the terminal's, with the last the console's again. */
static void
count_open(struct tty *tty, int step)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);

	tty->nr_open += (unsigned)step;
	serial_set_owner(tty->nr_open > 0 ? SERIAL_TERMINAL : SERIAL_CONSOLE);
	spin_unlock_irqrestore(&tty->lock, flags);
}

/* Under names_lock, as good a lock as any for what happens once. */
static int
start_feeding(struct tty *tty)
{
	static struct thread *feeder; /* names_lock */
	int error = 0;

	mutex_lock(&names_lock);
	if (!feeder) {
		ldisc_init(&tty->line, kprint_serial);
		feeder = thread_create("tty", feed, tty, CPU_ANY);
		error = feeder ? 0 : -ENOMEM;
		if (feeder) /* ^C ends even what never waits */
			thread_set_priority(feeder, PRIORITY_SERVICE, true);
	}
	mutex_unlock(&names_lock);
	return error;
}

/* The first terminal that a session's leader opens becomes its own, but not as /dev/console. */
static int
tty_open(struct file *file)
{
	bool is_tty = file->inode->device == make_device(TTY_MAJOR, TTY_MINOR);
	bool is_serial = file->inode->device == make_device(SERIAL_MAJOR, SERIAL_MINOR);
	int error;

	if (is_tty && !tty_is_controlling(&console_tty))
		return -ENXIO;
	error = start_feeding(&console_tty);
	if (error)
		return error;
	file->private = &console_tty;
	count_open(&console_tty, 1);
	if (is_serial && !(file->flags & O_NOCTTY))
		(void)tty_set_controlling(&console_tty, false);
	return 0;
}

static void
tty_close(struct file *file)
{
	count_open(file->private, -1);
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* How long a read may still wait, and for how many bytes. */
struct patience {
	size_t least;
	uint64_t until, tenth_ns; /* tenth_ns: anew after each byte; 0: never */
};

/* As termios' MIN and TIME say for raw mode; a line, however long it takes, for canonical mode. */
static struct patience
patience_locked(const struct line *line, size_t size)
{
	uint64_t time_ns_each = line->termios.cc[VTIME] * TENTH_NS;
	size_t least = line->termios.cc[VMIN];
	struct patience patience = { 1, WAIT_FOREVER, 0 };

	if (line->termios.lflag & ICANON)
		return patience;
	patience.least = MIN(MAX(least, 1ul), size);
	if (least == 0)
		patience.until = time_ns_each > 0 ? time_ns() + time_ns_each : 0;
	else
		patience.tenth_ns = time_ns_each;
	return patience;
}

/* Wait until enough can be read. Returns 0, also when the time is over, or an error. */
static int
wait_for_input_locked(struct tty *tty, size_t size, bool wait)
{
	struct patience patience = patience_locked(&tty->line, size);
	size_t available, seen = 0;
	int error = 0;

	assert_held(&tty->lock);
	while (!error && (available = ldisc_available(&tty->line)) < patience.least) {
		if (patience.until == 0)
			return 0;
		if (!wait)
			return available > 0 ? 0 : -EAGAIN;
		if (patience.tenth_ns > 0 && available > seen)
			patience.until = time_ns() + patience.tenth_ns;
		seen = available;
		error = wait_on_until(&tty->readers, &tty->lock, patience.until);
		if (patience.least > 1 && tty->line.termios.lflag & ICANON)
			patience = patience_locked(&tty->line, size);
	}
	if (error == -ERESTARTSYS && ldisc_is_ready(&tty->line))
		return 0;
	return error == -ETIMEDOUT ? 0 : error;
}

static int64_t
tty_read(struct file *file, struct transfer *to, uint64_t offset)
{
	struct tty *tty = file->private;
	size_t size = MIN(to->left, (size_t)LINE_SIZE);
	int64_t result = tty_check_foreground(tty, SIGTTIN);
	irqflags_t flags;
	char *buffer;

	(void)offset;
	if (result < 0 || size == 0)
		return result;
	buffer = kmalloc(size, GFP_KERNEL);
	if (!buffer)
		return -ENOMEM;
	flags = spin_lock_irqsave(&tty->lock);
	result = wait_for_input_locked(tty, size, !(file->flags & O_NONBLOCK));
	if (result == 0)
		result = (int64_t)ldisc_read(&tty->line, buffer, size);
	spin_unlock_irqrestore(&tty->lock, flags);
	if (result > 0)
		result = transfer_out_part(to, buffer, (size_t)result);
	kfree(buffer);
	return result;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* As many whole lines as a piece holds, or else all of it. */
static size_t
whole_lines(const char *text, size_t size)
{
	size_t end = size;

	while (end > 0 && text[end - 1] != '\n')
		end--;
	return end > 0 ? end : size;
}

/* Wait while output is stopped by ^S. */
static int
wait_for_start(struct tty *tty, bool wait)
{
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	int error = 0;

	while (!error && tty->line.stopped)
		error = wait ? wait_on_until(&tty->writers, &tty->lock, WAIT_FOREVER) : -EAGAIN;
	spin_unlock_irqrestore(&tty->lock, flags);
	return error;
}

static int64_t
print_piece(struct tty *tty, struct transfer *from)
{
	char text[PIECE], out[2 * PIECE];
	size_t size = MIN(from->left, PIECE), made;
	struct transfer ahead = *from;
	int64_t got = transfer_in_part(&ahead, text, size);
	irqflags_t flags;

	if (got < 0)
		return got;
	size = whole_lines(text, (size_t)got);
	flags = spin_lock_irqsave(&tty->lock);
	made = ldisc_process_output(&tty->line, text, size, out);
	spin_unlock_irqrestore(&tty->lock, flags);
	kprint_serial(out, made);
	from->at += size;
	from->left -= size;
	return (int64_t)size;
}

static int64_t
tty_write(struct file *file, struct transfer *from, uint64_t *offset)
{
	struct tty *tty = file->private;
	int64_t total = 0, result = 0;

	(void)offset;
	if (tty->line.termios.lflag & TOSTOP)
		result = tty_check_foreground(tty, SIGTTOU);
	if (result < 0)
		return result;
	mutex_lock(&tty->printing);
	while (from->left > 0 && result >= 0) {
		result = wait_for_start(tty, !(file->flags & O_NONBLOCK));
		if (result == 0)
			result = print_piece(tty, from);
		if (result > 0)
			total += result;
		if (signal_pending())
			break;
	}
	mutex_unlock(&tty->printing);
	return total > 0 ? total : result;
}

static unsigned
tty_poll(struct file *file)
{
	struct tty *tty = file->private;
	irqflags_t flags = spin_lock_irqsave(&tty->lock);
	unsigned events = tty->line.stopped ? 0 : POLLOUT | POLLWRNORM;

	if (ldisc_is_ready(&tty->line))
		events |= POLLIN | POLLRDNORM;
	spin_unlock_irqrestore(&tty->lock, flags);
	return events;
}

const struct file_ops tty_ops = {
	.name = "tty",
	.open = tty_open,
	.close = tty_close,
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
};
