/* SPDX-License-Identifier: MIT */
/* Formatted output to the console, and into buffers. */
#ifndef IKOS_PRINTK_H
#define IKOS_PRINTK_H

#include <stdarg.h>
#include <types.h>

/*
 * Print to every console (serial line, VGA text where present). One call's output
 * is never interleaved with another CPU's. Callable from any context.
 * Conversions: d i u x X o c s p %, flags "-0#+ ", width and precision (also *),
 * length modifiers hh h l ll z t. No floating point.
 */
void kprintf(const char *fmt, ...) __format(1, 2);
void kvprintf(const char *fmt, va_list ap);

/*
 * Write text to the serial line only, as one piece: for the line editor, whose escape
 * sequences VGA text does not know.
 */
void kprint_serial(const char *text, size_t size);

/*
 * From now on kprintf() does not wait for the console lock: the CPU that holds it may
 * have been stopped, or be the one that panics. Called by panic() only.
 */
void kprintf_enter_panic(void);

/*
 * Print into buf, at most size bytes with the final NUL, as C99 snprintf does.
 * Returns the length that the whole text would have had.
 */
int ksnprintf(char *buf, size_t size, const char *fmt, ...) __format(3, 4);
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

/*
 * The engine under both: hands the text to write() piece by piece. Returns its whole
 * length, INT_MAX when it is longer than that.
 */
int kformat(void (*write)(void *context, const char *text, size_t size), void *context,
	    const char *fmt, va_list ap);

#endif
