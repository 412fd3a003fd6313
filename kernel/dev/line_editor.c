/* SPDX-License-Identifier: MIT */
/*
 * Line editing on a serial terminal, with the keys of Emacs and of every shell.
 *
 * The terminal does no more than any VT100: cursor to the left margin, erase to the end of
 * the line, cursor right, clear. The line is always drawn in one screen row. One that is
 * longer is seen through a window, which moves as little as keeps the cursor inside:
 *
 *	text    [ . . . . . . . . . . . . . . . . . . )
 *	                ^window         ^cursor       ^length
 *	screen          ikos> . . . . . . . .
 *
 * Lines read are kept in a ring for the up and down keys. Typed text goes to the serial
 * line only; the VGA screen shows what commands print.
 *
 * One thread reads lines: nothing here is locked.
 *
 * Source of the key codes: ECMA-48 (1991) 5.4, and xterm's control sequences.
 */
#include <printk.h>
#include <serial.h>
#include <string.h>

#include "line_editor.h"

#define COLUMNS	     80
#define HISTORY_SIZE 32

#define CTRL(letter) ((letter)&0x1f)

enum key {
	KEY_ESCAPE = 27,
	KEY_RUBOUT = 127,
	KEY_LEFT = 256, /* above all bytes */
	KEY_RIGHT,
	KEY_UP,
	KEY_DOWN,
	KEY_HOME,
	KEY_END,
	KEY_DELETE,
	KEY_NONE,
};

struct editor {
	const char *prompt;
	const char *(*candidate)(const char *prefix, size_t size, unsigned n);
	char *text; /* EDIT_MAX bytes, no NUL while it is edited */
	size_t length, cursor;
	size_t window; /* first byte shown */
	unsigned back; /* lines back in history; 0: the new line */
};

static char history[HISTORY_SIZE][EDIT_MAX];
static unsigned history_count;	/* lines ever kept; the newest is at count - 1, modulo */
static char new_line[EDIT_MAX]; /* what was typed before the up key */

/* ---- Screen ------------------------------------------------------------------ */

static void
beep(void)
{
	kprint_serial("\a", 1);
}

/* Draw the whole row again: in one piece, so that it never flickers. */
static void
redraw(struct editor *e)
{
	size_t columns = COLUMNS - strlen(e->prompt) - 1;
	char row[2 * COLUMNS];
	size_t shown;
	int size;

	if (e->cursor < e->window)
		e->window = e->cursor;
	if (e->cursor > e->window + columns)
		e->window = e->cursor - columns;
	shown = MIN(e->length - e->window, columns);
	size = ksnprintf(row, sizeof(row), "\r%s%.*s\033[K\r\033[%zuC", e->prompt, (int)shown,
			 e->text + e->window, strlen(e->prompt) + e->cursor - e->window);
	kprint_serial(row, (size_t)size);
}

/* ---- Changes ------------------------------------------------------------------- */

static void
insert(struct editor *e, const char *text, size_t size)
{
	if (e->length + size > EDIT_MAX - 1) {
		beep();
		return;
	}
	memmove(e->text + e->cursor + size, e->text + e->cursor, e->length - e->cursor);
	memcpy(e->text + e->cursor, text, size);
	e->length += size;
	e->cursor += size;
	/* Typing at the end of a short line needs no more than the text itself. */
	if (e->cursor == e->length && e->length < COLUMNS - 1 - strlen(e->prompt))
		kprint_serial(text, size);
	else
		redraw(e);
}

/* Cut [from, to) out and leave the cursor there. */
static void
cut(struct editor *e, size_t from, size_t to)
{
	memmove(e->text + from, e->text + to, e->length - to);
	e->length -= to - from;
	e->cursor = from;
	redraw(e);
}

static void
cut_word(struct editor *e)
{
	size_t from = e->cursor;

	while (from > 0 && e->text[from - 1] == ' ')
		from--;
	while (from > 0 && e->text[from - 1] != ' ')
		from--;
	cut(e, from, e->cursor);
}

static void
move(struct editor *e, size_t cursor)
{
	e->cursor = cursor;
	redraw(e);
}

/* ---- History --------------------------------------------------------------------- */

static void
remember(const char *line)
{
	const char *last = history[(history_count - 1) % HISTORY_SIZE];

	if (*line && (history_count == 0 || strcmp(line, last) != 0))
		strlcpy(history[history_count++ % HISTORY_SIZE], line, EDIT_MAX);
}

/* Show the line that is back lines old. */
static void
recall(struct editor *e, unsigned back)
{
	const char *line = new_line;

	if (back > MIN(history_count, HISTORY_SIZE)) {
		beep();
		return;
	}
	if (e->back == 0) {
		e->text[e->length] = '\0';
		strlcpy(new_line, e->text, EDIT_MAX);
	}
	if (back > 0)
		line = history[(history_count - back) % HISTORY_SIZE];
	e->back = back;
	e->length = strlcpy(e->text, line, EDIT_MAX);
	e->window = 0;
	move(e, e->length);
}

/* ---- Completion -------------------------------------------------------------------- */

static void
print_candidates(struct editor *e)
{
	const char *word;

	kprint_serial("\n", 1);
	for (unsigned n = 0; (word = e->candidate(e->text, e->cursor, n)) != NULL; n++) {
		kprint_serial(word, strlen(word));
		kprint_serial("  ", 2);
	}
	kprint_serial("\n", 1);
	redraw(e);
}

/* Extend the first word by what all its candidates have in common, or show them. */
static void
complete(struct editor *e)
{
	const char *first = e->candidate(e->text, e->cursor, 0);
	const char *word;
	size_t size = e->cursor, common;
	unsigned n;

	if (!first) {
		beep();
		return;
	}
	common = strlen(first);
	for (n = 1; (word = e->candidate(e->text, size, n)) != NULL; n++) {
		while (strncmp(first, word, common) != 0)
			common--;
	}
	if (common > size)
		insert(e, first + size, common - size);
	if (n == 1)
		insert(e, " ", 1);
	else if (common == size)
		print_candidates(e);
}

/* ---- Keys ------------------------------------------------------------------------ */

/* The key of a sequence ESC [ NUMBER ~ */
static int
numbered_key(unsigned number)
{
	switch (number) {
	case 1:
	case 7:
		return KEY_HOME;
	case 3:
		return KEY_DELETE;
	case 4:
	case 8:
		return KEY_END;
	default:
		return KEY_NONE;
	}
}

/* Read what follows ESC: "[ parameters final" or "O final". */
static int
read_escape(void)
{
	unsigned number = 0;
	int c = serial_getc();

	if (c != '[' && c != 'O')
		return KEY_NONE;
	/* Parameters and intermediates lie in [0x20, 0x40), a final byte above. */
	for (c = serial_getc(); c >= 0x20 && c < 0x40; c = serial_getc())
		number = c >= '0' && c <= '9' ? number * 10 + (unsigned)(c - '0') : 0;
	switch (c) {
	case 'A':
		return KEY_UP;
	case 'B':
		return KEY_DOWN;
	case 'C':
		return KEY_RIGHT;
	case 'D':
		return KEY_LEFT;
	case 'F':
		return KEY_END;
	case 'H':
		return KEY_HOME;
	case '~':
		return numbered_key(number);
	default:
		return KEY_NONE;
	}
}

/* The next key. A line may end in CR, LF or CR LF: all are '\n' here, once. */
static int
read_key(void)
{
	static bool after_cr;
	int c = serial_getc();

	if (c == '\n' && after_cr)
		c = serial_getc();
	after_cr = c == '\r';
	if (after_cr)
		return '\n';
	return c == KEY_ESCAPE ? read_escape() : c;
}

/* Keys that only move the cursor. Returns whether it was one. */
static bool
movement(struct editor *e, int key)
{
	switch (key) {
	case KEY_LEFT:
	case CTRL('b'):
		move(e, e->cursor - (e->cursor > 0));
		return true;
	case KEY_RIGHT:
	case CTRL('f'):
		move(e, e->cursor + (e->cursor < e->length));
		return true;
	case KEY_HOME:
	case CTRL('a'):
		move(e, 0);
		return true;
	case KEY_END:
	case CTRL('e'):
		move(e, e->length);
		return true;
	default:
		return false;
	}
}

/* Keys that delete. Returns whether it was one. */
static bool
deletion(struct editor *e, int key)
{
	switch (key) {
	case KEY_RUBOUT:
	case CTRL('h'):
		cut(e, e->cursor - (e->cursor > 0), e->cursor);
		return true;
	case KEY_DELETE:
	case CTRL('d'):
		cut(e, e->cursor, e->cursor + (e->cursor < e->length));
		return true;
	case CTRL('k'):
		cut(e, e->cursor, e->length);
		return true;
	case CTRL('u'):
		cut(e, 0, e->cursor);
		return true;
	case CTRL('w'):
		cut_word(e);
		return true;
	default:
		return false;
	}
}

/* All other keys but the end of the line. */
static void
other_key(struct editor *e, int key)
{
	char c = (char)key;

	if (key >= ' ' && key < KEY_RUBOUT) {
		insert(e, &c, 1);
	} else if (key == KEY_UP || key == CTRL('p')) {
		recall(e, e->back + 1);
	} else if ((key == KEY_DOWN || key == CTRL('n')) && e->back > 0) {
		recall(e, e->back - 1);
	} else if (key == '\t') {
		complete(e);
	} else if (key == CTRL('l')) {
		kprint_serial("\033[H\033[2J", 7);
		redraw(e);
	} else if (key == CTRL('c')) {
		kprint_serial("^C\n", 3);
		e->length = e->window = e->back = 0;
		move(e, 0);
	} else {
		beep();
	}
}

void
line_read(char line[EDIT_MAX], const char *prompt,
	  const char *(*candidate)(const char *prefix, size_t size, unsigned n))
{
	struct editor e = { .prompt = prompt, .candidate = candidate, .text = line };
	int key;

	/* Without escape sequences: the prompt is all that someone who only listens sees. */
	kprint_serial(prompt, strlen(prompt));
	while ((key = read_key()) != '\n') {
		if (!movement(&e, key) && !deletion(&e, key))
			other_key(&e, key);
	}
	/* What follows starts below the line, wherever the cursor was. */
	kprint_serial("\n", 1);
	line[e.length] = '\0';
	remember(line);
}
