/* SPDX-License-Identifier: MIT */
/*
 * The serial line: a 16550 UART at the first PC port.
 *
 * Output polls. It must work before there are interrupts and after a panic, and a
 * kernel message has to be on the wire before the next statement runs, or the messages
 * that matter most would be the ones to get lost. Input comes by interrupt into a ring,
 * where a reader sleeps until there is something:
 *
 *	UART FIFO --(IRQ 4)--> input.ring [tail .. head) --serial_getc()--> reader
 *
 * There may be two readers, the kernel's console and the terminal of programs, of whom one owns
 * the input at a time.
 *
 * Before each byte the transmitter must say that it has room (THRE), and before power
 * off that it is idle (TEMT): an emulator that simulates the baud rate loses whatever
 * was written too early or is still on its way, just as the real chip does.
 *
 * Locking: input.lock guards the ring; the interrupt handler takes it too. Output has no
 * lock of its own, printk.c's console lock is around it.
 *
 * Source: National Semiconductor PC16550D data sheet (June 1995), section 8.
 */
#include <arch/cpu.h>
#include <irq.h>
#include <serial.h>
#include <spinlock.h>
#include <thread.h>

#include "../x86_64/insn.h"

#define COM1	 0x3f8
#define COM1_IRQ 4

enum uart_register {
	UART_DATA = COM1 + 0,	 /* read: received byte; write: byte to send */
	UART_IER = COM1 + 1,	 /* interrupt enable */
	UART_FCR = COM1 + 2,	 /* write: FIFO control */
	UART_LCR = COM1 + 3,	 /* line control */
	UART_MCR = COM1 + 4,	 /* modem control */
	UART_LSR = COM1 + 5,	 /* line status */
	UART_SCRATCH = COM1 + 7, /* holds any byte, does nothing */
	/* While LCR_DLAB is set: */
	UART_DIVISOR_LOW = COM1 + 0,
	UART_DIVISOR_HIGH = COM1 + 1,
};

#define IER_RECEIVED 0x01
#define FCR_ENABLE   0x01
#define FCR_CLEAR    0x06 /* both FIFOs */
#define FCR_TRIGGER8 0x80 /* interrupt at 8 bytes, or when the line falls idle */
#define LCR_8N1	     0x03
#define LCR_DLAB     0x80
#define MCR_DTR_RTS  0x03
#define MCR_OUT2     0x08 /* on a PC, connects the chip to its interrupt line */
#define LSR_READY    0x01 /* a byte has been received */
#define LSR_OVERRUN  0x02 /* a received byte was lost in the chip; cleared by the read */
#define LSR_THRE     0x20 /* room for a byte to send */
#define LSR_TEMT     0x40 /* nothing left to send */

/* 1.8432 MHz / 16 / 115200 */
#define DIVISOR 1

/* Enough for what a user pastes while a command is running. */
#define RING_SIZE 1024 /* a power of two */

static bool uart_present; /* (c) */

/* (l) input.lock */
static struct {
	spinlock_t lock;
	struct wait_queue readers;
	unsigned head, tail;	 /* (l) filled slots [tail, head), both modulo RING_SIZE */
	unsigned lost;		 /* (l) bytes dropped, by the chip or for want of a slot */
	enum serial_owner owner; /* (l) who may take bytes */
	uint8_t ring[RING_SIZE]; /* (l) */
} input = {
	.lock = SPINLOCK_INIT("serial input", RANK_DEVICE),
	.readers = WAIT_QUEUE_INIT(input.readers),
};

/* A port without a chip reads as all ones, so it cannot hold two different bytes. */
static bool
uart_probe(void)
{
	static const uint8_t patterns[] = { 0x55, 0xaa };

	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		outb(UART_SCRATCH, patterns[i]);
		if (inb(UART_SCRATCH) != patterns[i])
			return false;
	}
	return true;
}

/*
 * Switching the FIFO on clears it. Where somebody has sent something already, it stays off, and
 * the chip holds one byte: an emulator's sender has the others, and delivers the next one whenever
 * one is taken, so that there is no moment in which nothing could be lost. That costs an interrupt
 * for every byte.
 */
static void
fifo_enable(void)
{
	if (inb(UART_LSR) & LSR_READY)
		return;
	outb(UART_FCR, FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER8);
	(void)inb(UART_DATA); /* a sender that waits for a byte to be taken goes on */
}

void
serial_init_early(void)
{
	uart_present = uart_probe();
	if (!uart_present)
		return;
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_DLAB);
	outb(UART_DIVISOR_LOW, DIVISOR & 0xff);
	outb(UART_DIVISOR_HIGH, DIVISOR >> 8);
	outb(UART_LCR, LCR_8N1);
	fifo_enable();
	outb(UART_MCR, MCR_DTR_RTS);
}

static void
wait_for(uint8_t status)
{
	while (!(inb(UART_LSR) & status))
		arch_cpu_relax();
}

void
serial_write(const char *text, size_t size)
{
	if (!uart_present)
		return;
	for (size_t i = 0; i < size; i++) {
		wait_for(LSR_THRE);
		outb(UART_DATA, (uint8_t)text[i]);
	}
}

void
serial_drain(void)
{
	if (uart_present)
		wait_for(LSR_TEMT);
}

/* The interrupt handler: empty the chip's FIFO into the ring. */
static void
serial_interrupt(void)
{
	irqflags_t flags = spin_lock_irqsave(&input.lock);
	uint8_t status;

	while ((status = inb(UART_LSR)) & LSR_READY) {
		uint8_t byte = inb(UART_DATA);

		if (status & LSR_OVERRUN)
			input.lost++;
		if (input.head - input.tail == RING_SIZE)
			input.lost++;
		else
			input.ring[input.head++ % RING_SIZE] = byte;
	}
	spin_unlock_irqrestore(&input.lock, flags);
	wake_all(&input.readers);
}

void
serial_start_input(void)
{
	if (!uart_present)
		return;
	irq_install(COM1_IRQ, serial_interrupt);
	outb(UART_MCR, MCR_DTR_RTS | MCR_OUT2);
	outb(UART_IER, IER_RECEIVED);
	/*
	 * The interrupt is edge triggered: bytes that came before it was enabled may
	 * never raise it, and none would after them.
	 */
	serial_interrupt();
}

void
serial_set_owner(enum serial_owner owner)
{
	irqflags_t flags = spin_lock_irqsave(&input.lock);

	input.owner = owner;
	spin_unlock_irqrestore(&input.lock, flags);
	wake_all(&input.readers);
}

static int
take_byte(enum serial_owner reader)
{
	irqflags_t flags = spin_lock_irqsave(&input.lock);
	uint8_t byte;

	while (input.head == input.tail || input.owner != reader)
		wait_on(&input.readers, &input.lock);
	byte = input.ring[input.tail++ % RING_SIZE];
	spin_unlock_irqrestore(&input.lock, flags);
	return byte;
}

int
serial_getc(void)
{
	return take_byte(SERIAL_CONSOLE);
}

int
serial_getc_terminal(void)
{
	return take_byte(SERIAL_TERMINAL);
}

unsigned
serial_take_lost(void)
{
	irqflags_t flags = spin_lock_irqsave(&input.lock);
	unsigned lost = input.lost;

	input.lost = 0;
	spin_unlock_irqrestore(&input.lock, flags);
	return lost;
}
