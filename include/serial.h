/* SPDX-License-Identifier: MIT */
/* The serial line COM1: see kernel/dev/serial.c. */
#ifndef IKOS_SERIAL_H
#define IKOS_SERIAL_H

#include <types.h>

/* Find and set up the UART, 115200 baud, 8N1, no interrupts. The first thing at boot. */
void serial_init_early(void);

/*
 * Write size bytes and return when the UART has taken the last one. Polls; callable from
 * any context. The caller keeps other writers away (kprintf() does, with the console
 * lock). Without a UART the bytes are dropped.
 */
void serial_write(const char *text, size_t size);

/* Wait until the last bit has left the UART: before the machine is switched off. */
void serial_drain(void);

/* Start to receive, by interrupt. Once, after irq_init() and sched_init(). */
void serial_start_input(void);

/*
 * Who gets what is received: the kernel's own console, or the terminal of programs while one of
 * them has it open. The other waits, and what nobody has taken yet goes to the new owner.
 */
enum serial_owner { SERIAL_CONSOLE, SERIAL_TERMINAL };

void serial_set_owner(enum serial_owner owner);

/* The next byte received, 0..255. May sleep: until one comes and it is theirs. */
int serial_getc(void);		/* the console */
int serial_getc_terminal(void); /* the terminal of programs */

/* Bytes received and lost since the last call, because nobody took them in time. */
unsigned serial_take_lost(void);

#endif
