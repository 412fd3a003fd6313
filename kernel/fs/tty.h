/* SPDX-License-Identifier: MIT */
/* The terminal on the serial line: tty.c, tty_ioctl.c. */
#ifndef TTY_H
#define TTY_H

#include "fs.h"
#include "line_discipline.h"

/* Device numbers as on Linux. */
#define TTY_MAJOR    5
#define TTY_MINOR    0
#define SERIAL_MAJOR 4
#define SERIAL_MINOR 64

/* (l) lock */
struct tty {
	spinlock_t lock;
	struct wait_queue readers, writers;
	struct line line;	 /* (l) */
	struct abi_winsize size; /* (l) */
	int session;		 /* (l) whose controlling terminal it is; 0: nobody's */
	int foreground;		 /* (l) process group in the foreground; 0: none */
	unsigned nr_open;	 /* (l) files */
	struct mutex printing;	 /* one write() at a time */
};

extern struct tty console_tty;
extern const struct file_ops tty_ops;

int64_t tty_ioctl(struct file *file, unsigned request, uintptr_t arg);

/* A byte was typed. Sends signals; from a thread. */
void tty_receive(struct tty *tty, uint8_t byte);

/* Is it the controlling terminal of the running process? */
bool tty_is_controlling(struct tty *tty);

/*
 * May the running process use it in a way that only the foreground may? Else it gets the signal:
 * returns 0, -ERESTARTSYS, or -EIO if it does not want to know of the signal.
 */
int tty_check_foreground(struct tty *tty, int signal);

/* Become the controlling terminal of the running process's session. steal: even of another's. */
int tty_set_controlling(struct tty *tty, bool steal);

/* The foreground group of a session's terminal, -1 if it has none: for /proc. */
int tty_foreground_of(int session);

#endif
