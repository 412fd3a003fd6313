/* SPDX-License-Identifier: MIT */
/*
 * What a terminal makes of the bytes that are typed and printed: line_discipline.c. Nothing but
 * state and bytes: the caller locks, sends the signals and prints.
 */
#ifndef LINE_DISCIPLINE_H
#define LINE_DISCIPLINE_H

#include <abi/termios.h>
#include <types.h>

#define LINE_SIZE 4096u /* bytes typed that nobody has read yet; a power of two */

struct line {
	struct abi_termios termios;
	uint8_t ring[LINE_SIZE];       /* positions grow for ever, modulo LINE_SIZE */
	uint8_t ends[LINE_SIZE / 8];   /* bit set: a line ends with that byte */
	unsigned tail, line_end, head; /* whole lines: [tail, line_end); being typed: to head */
	unsigned column;	       /* of the cursor */
	unsigned start_column;	       /* where the line that is typed begins */
	bool literal;		       /* the next byte is taken as it is */
	bool stopped;		       /* output is, by ^S */
	void (*print)(const char *text, size_t size); /* what is to be echoed */
};

void ldisc_init(struct line *line, void (*print)(const char *text, size_t size));

/* A byte was typed. Returns the signal to be sent to the foreground group, or 0. */
int ldisc_receive(struct line *line, uint8_t byte);

/* How many bytes can be read now; canonical mode: is there a line (maybe an empty one, the end)? */
size_t ldisc_available(const struct line *line);
bool ldisc_is_ready(const struct line *line);

/* Take up to size bytes: in canonical mode, no more than one line. */
size_t ldisc_read(struct line *line, char *to, size_t size);

/* Forget what was typed. */
void ldisc_flush(struct line *line);

/* Other settings. What was typed stays. */
void ldisc_set(struct line *line, const struct abi_termios *termios);

/* How size bytes from text are printed: to out, which has room for twice as much. Returns bytes. */
size_t ldisc_process_output(struct line *line, const char *text, size_t size, char *out);

#endif
