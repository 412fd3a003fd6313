/* SPDX-License-Identifier: MIT */
/*
 * Kernel messages: formatted text to every console there is.
 *
 * Each call holds the console lock, so that lines of different CPUs never mix, and has
 * interrupts off meanwhile, so that an interrupt handler's message waits for no one on
 * its own CPU. The lock has the greatest rank of all: kprintf() may be called with any
 * other lock held.
 *
 * A panic must get its message out whoever holds the lock, perhaps for ever:
 * kprintf_enter_panic() makes all later calls ignore it. Text may then mix with what
 * another CPU was just printing; that CPU is stopped within its line.
 */
#include <printk.h>
#include <serial.h>
#include <spinlock.h>

#include "vga.h"

static spinlock_t console_lock = SPINLOCK_INIT("console", RANK_CONSOLE);
static bool panicking;

/* (l) console_lock: looked for by the first message, when the boot page tables reach it */
static bool vga_probed, vga_present;

static irqflags_t
console_enter(bool *locked)
{
	*locked = !__atomic_load_n(&panicking, __ATOMIC_ACQUIRE);
	return *locked ? spin_lock_irqsave(&console_lock) : arch_irq_save();
}

static void
console_leave(irqflags_t flags, bool locked)
{
	if (locked)
		spin_unlock_irqrestore(&console_lock, flags);
	else
		arch_irq_restore(flags);
}

void
kprintf_enter_panic(void)
{
	__atomic_store_n(&panicking, true, __ATOMIC_RELEASE);
}

static void
write_all(void *context, const char *text, size_t size)
{
	(void)context;
	serial_write(text, size);
	if (vga_present)
		vga_write(text, size);
}

void
kvprintf(const char *fmt, va_list ap)
{
	bool locked;
	irqflags_t flags = console_enter(&locked);

	if (!vga_probed) {
		vga_probed = true;
		vga_present = vga_probe();
	}
	kformat(write_all, NULL, fmt, ap);
	console_leave(flags, locked);
}

void
kprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	kvprintf(fmt, ap);
	va_end(ap);
}

void
kprint_serial(const char *text, size_t size)
{
	bool locked;
	irqflags_t flags = console_enter(&locked);

	serial_write(text, size);
	console_leave(flags, locked);
}
