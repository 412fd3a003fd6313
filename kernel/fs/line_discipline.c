/* SPDX-License-Identifier: MIT */
/*
 * The line discipline of terminals: editing, echo, and the keys that send signals.
 *
 * In canonical mode a reader gets whole lines, and what is being typed can still be edited:
 *
 *	ring:   l s \n c a t   x ^D . .
 *	        ^tail          ^line_end = where the last whole line ends
 *	                               ^head = where the next byte goes
 *
 * Which bytes end a line is marked beside the ring. The end of file (^D) is such a byte, which
 * itself is not read: so ^D on an empty line makes an empty line, which read() returns as 0. In raw
 * mode all up to head can be read at once.
 *
 * The echo follows the cursor's column, so that a tab or a control character, shown as ^X, is
 * erased as wide as it was.
 *
 * Source: POSIX.1-2017, chapter 11; the settings and defaults are Linux's.
 */
#include "line_discipline.h"

#include <abi/signal.h>
#include <string.h>

#define CTRL(letter) ((letter)&0x1f)
#define RUBOUT	     0x7f
#define END_OF_FILE  0 /* in the ring, marked as an end */

static const struct abi_termios initial_termios = {
	.iflag = ICRNL | IXON | IUTF8,
	.oflag = OPOST | ONLCR,
	.cflag = B115200 | CS8 | CREAD | HUPCL | CLOCAL,
	.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.cc = {
		[VINTR] = CTRL('C'), [VQUIT] = CTRL('\\'), [VERASE] = RUBOUT, [VKILL] = CTRL('U'),
		[VEOF] = CTRL('D'), [VTIME] = 0, [VMIN] = 1, [VSTART] = CTRL('Q'),
		[VSTOP] = CTRL('S'), [VSUSP] = CTRL('Z'), [VREPRINT] = CTRL('R'),
		[VDISCARD] = CTRL('O'), [VWERASE] = CTRL('W'), [VLNEXT] = CTRL('V'),
	},
};

void
ldisc_init(struct line *line, void (*print)(const char *text, size_t size))
{
	*line = (struct line){ .termios = initial_termios, .print = print };
}

static bool
canonical(const struct line *line)
{
	return line->termios.lflag & ICANON;
}

/* Is this the control character of that index? 0 is none. */
static bool
is_control(const struct line *line, unsigned index, uint8_t byte)
{
	return line->termios.cc[index] != 0 && line->termios.cc[index] == byte;
}

/* ---- Output -------------------------------------------------------------------------------- */

static void
move_cursor(struct line *line, char c)
{
	switch (c) {
	case '\n':
	case '\r':
		line->column = 0;
		break;
	case '\t':
		line->column = (line->column | 7) + 1;
		break;
	case '\b':
		line->column -= line->column > 0;
		break;
	default:
		/* Bytes that go on with a character of UTF-8 take no column of their own. */
		if ((uint8_t)c >= ' ' && c != RUBOUT && ((uint8_t)c & 0xc0) != 0x80)
			line->column++;
	}
}

size_t
ldisc_process_output(struct line *line, const char *text, size_t size, char *out)
{
	bool process = line->termios.oflag & OPOST;
	uint32_t oflag = line->termios.oflag;
	size_t made = 0;

	for (size_t i = 0; i < size; i++) {
		char c = text[i];

		if (process && c == '\n' && (oflag & ONLCR))
			out[made++] = '\r';
		if (process && c == '\r') {
			if ((oflag & ONOCR) && line->column == 0)
				continue;
			if (oflag & OCRNL)
				c = '\n';
		}
		move_cursor(line, c);
		out[made++] = c;
	}
	return made;
}

/* ---- Echo ---------------------------------------------------------------------------------- */

static void
print(struct line *line, const char *text, size_t size)
{
	char out[64];

	while (size > 0) {
		size_t part = MIN(size, sizeof(out) / 2);

		line->print(out, ldisc_process_output(line, text, part, out));
		text += part;
		size -= part;
	}
}

static bool
shown_as_control(const struct line *line, uint8_t byte)
{
	return (line->termios.lflag & ECHOCTL) && (byte < ' ' || byte == RUBOUT) && byte != '\t' &&
	       byte != '\n';
}

static void
echo(struct line *line, uint8_t byte)
{
	char text[2] = { '^', (char)(byte ^ 0x40) };

	if (!(line->termios.lflag & ECHO) && !(byte == '\n' && (line->termios.lflag & ECHONL)))
		return;
	if (shown_as_control(line, byte))
		print(line, text, 2);
	else
		print(line, (const char *)&byte, 1);
}

/* ---- The ring ------------------------------------------------------------------------------ */

static uint8_t *
at(struct line *line, unsigned position)
{
	return &line->ring[position % LINE_SIZE];
}

static void
mark_end(struct line *line, unsigned position, bool is_end)
{
	uint8_t bit = (uint8_t)(1 << position % 8), *word = &line->ends[position % LINE_SIZE / 8];

	*word = is_end ? *word | bit : *word & ~bit;
}

static bool
is_end(const struct line *line, unsigned position)
{
	return line->ends[position % LINE_SIZE / 8] >> position % 8 & 1;
}

/* Add a byte; room for the end of the line is kept. What does not fit is lost. */
static bool
put(struct line *line, uint8_t byte, bool ends)
{
	unsigned used = line->head - line->tail;

	if (used >= LINE_SIZE - (ends ? 0 : 1))
		return false;
	*at(line, line->head) = byte;
	mark_end(line, line->head, ends);
	line->head++;
	if (ends)
		line->line_end = line->head;
	return true;
}

void
ldisc_flush(struct line *line)
{
	line->tail = line->line_end = line->head;
	line->literal = false;
}

/* ---- Editing ------------------------------------------------------------------------------- */

/* How many columns a tab at that position took. */
static unsigned
tab_width(struct line *line, unsigned tab)
{
	unsigned column = 0;
	unsigned position = tab;

	while (position != line->line_end) {
		uint8_t byte = *at(line, --position);

		if (byte == '\t')
			return 8 - column % 8;
		if (shown_as_control(line, byte))
			column += 2;
		else if ((byte & 0xc0) != 0x80 || !(line->termios.iflag & IUTF8))
			column++;
	}
	return 8 - (column + line->start_column) % 8;
}

static void
echo_erased(struct line *line, uint8_t byte)
{
	unsigned width = 1;

	if (!(line->termios.lflag & ECHO))
		return;
	if (!(line->termios.lflag & ECHOE)) {
		echo(line, line->termios.cc[VERASE]);
		return;
	}
	if (byte == '\t') {
		for (width = tab_width(line, line->head); width > 0; width--)
			print(line, "\b", 1);
		return;
	}
	if (shown_as_control(line, byte))
		width = 2;
	for (; width > 0; width--)
		print(line, "\b \b", 3);
}

/* Take back the last character, all its bytes. Returns its first byte, or -1. */
static int
erase_one(struct line *line)
{
	uint8_t byte;

	if (line->head == line->line_end)
		return -1;
	do {
		byte = *at(line, --line->head);
	} while ((line->termios.iflag & IUTF8) && (byte & 0xc0) == 0x80 &&
		 line->head != line->line_end);
	echo_erased(line, byte);
	return byte;
}

static void
erase_line(struct line *line)
{
	bool visibly = (line->termios.lflag & (ECHO | ECHOE)) == (ECHO | ECHOE);

	if (visibly && (line->termios.lflag & ECHOKE)) {
		while (erase_one(line) >= 0)
			;
		return;
	}
	line->head = line->line_end;
	echo(line, line->termios.cc[VKILL]);
	if (line->termios.lflag & ECHOK)
		echo(line, '\n');
}

static bool
in_word(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
	       (byte >= 'a' && byte <= 'z') || byte >= 0x80;
}

/* Blanks, and then what is before them up to the next blank. */
static void
erase_word(struct line *line)
{
	bool seen = false;

	while (line->head != line->line_end) {
		uint8_t last = *at(line, line->head - 1);

		if (in_word(last))
			seen = true;
		else if (seen)
			break;
		(void)erase_one(line);
	}
}

static void
reprint(struct line *line)
{
	echo(line, line->termios.cc[VREPRINT]);
	echo(line, '\n');
	for (unsigned position = line->line_end; position != line->head; position++)
		echo(line, *at(line, position));
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static int
signal_of(const struct line *line, uint8_t byte)
{
	if (!(line->termios.lflag & ISIG))
		return 0;
	if (is_control(line, VINTR, byte))
		return SIGINT;
	if (is_control(line, VQUIT, byte))
		return SIGQUIT;
	return is_control(line, VSUSP, byte) ? SIGTSTP : 0;
}

static void
add_byte(struct line *line, uint8_t byte)
{
	if (line->head == line->line_end)
		line->start_column = line->column;
	if (put(line, byte, false))
		echo(line, byte);
	else
		print(line, "\a", 1);
}

/* Keys that edit or end the line. Returns whether it was one. */
static bool
edit(struct line *line, uint8_t byte)
{
	bool extended = line->termios.lflag & IEXTEN;

	if (is_control(line, VERASE, byte)) {
		(void)erase_one(line);
	} else if (is_control(line, VKILL, byte)) {
		erase_line(line);
	} else if (extended && is_control(line, VWERASE, byte)) {
		erase_word(line);
	} else if (extended && is_control(line, VREPRINT, byte)) {
		reprint(line);
	} else if (extended && is_control(line, VLNEXT, byte)) {
		line->literal = true;
		if (line->termios.lflag & ECHO)
			print(line, "^\b", 2);
	} else if (is_control(line, VEOF, byte)) {
		(void)put(line, END_OF_FILE, true);
	} else if (byte == '\n' || is_control(line, VEOL, byte) || is_control(line, VEOL2, byte)) {
		echo(line, byte);
		(void)put(line, byte, true);
	} else {
		return false;
	}
	return true;
}

/* ^S and ^Q. Returns whether it was one. */
static bool
stop_or_start(struct line *line, uint8_t byte)
{
	if (!(line->termios.iflag & IXON))
		return false;
	if (is_control(line, VSTOP, byte))
		line->stopped = true;
	else if (is_control(line, VSTART, byte))
		line->stopped = false;
	else
		return false;
	return true;
}

/* What the settings make of a byte that comes in; -1: nothing. */
static int
translate(const struct line *line, uint8_t byte)
{
	uint32_t iflag = line->termios.iflag;

	if (iflag & ISTRIP)
		byte &= 0x7f;
	if (byte == '\r' && (iflag & IGNCR))
		return -1;
	if (byte == '\r' && (iflag & ICRNL))
		return '\n';
	return byte == '\n' && (iflag & INLCR) ? '\r' : byte;
}

int
ldisc_receive(struct line *line, uint8_t typed)
{
	int byte = translate(line, typed), signal;

	if (byte < 0)
		return 0;
	if (line->literal) {
		line->literal = false;
		add_byte(line, typed);
		return 0;
	}
	if (stop_or_start(line, (uint8_t)byte))
		return 0;
	signal = signal_of(line, (uint8_t)byte);
	if (signal) {
		if (!(line->termios.lflag & NOFLSH))
			ldisc_flush(line);
		line->stopped = false;
		echo(line, (uint8_t)byte);
		return signal;
	}
	if (!canonical(line) || !edit(line, (uint8_t)byte))
		add_byte(line, (uint8_t)byte);
	return 0;
}

/* ---- Reading ------------------------------------------------------------------------------- */

size_t
ldisc_available(const struct line *line)
{
	return canonical(line) ? line->line_end - line->tail : line->head - line->tail;
}

bool
ldisc_is_ready(const struct line *line)
{
	return ldisc_available(line) > 0;
}

size_t
ldisc_read(struct line *line, char *to, size_t size)
{
	size_t available = ldisc_available(line), taken = 0;

	while (taken < size && available > 0) {
		uint8_t byte = *at(line, line->tail);
		bool ends = canonical(line) && is_end(line, line->tail);

		line->tail++;
		available--;
		if (!ends || byte != END_OF_FILE)
			to[taken++] = (char)byte;
		if (ends)
			return taken;
	}
	/* The end of file behind bytes that just fit belongs to them. */
	if (canonical(line) && taken > 0 && available > 0 && is_end(line, line->tail) &&
	    *at(line, line->tail) == END_OF_FILE)
		line->tail++;
	if (!canonical(line))
		line->line_end = line->tail;
	return taken;
}

/*
 * Between the modes: what was typed in raw mode becomes a line at once; what was being edited can
 * be read in raw mode.
 */
void
ldisc_set(struct line *line, const struct abi_termios *termios)
{
	bool was_canonical = canonical(line);

	line->termios = *termios;
	if (!(termios->iflag & IXON))
		line->stopped = false;
	if (canonical(line) == was_canonical)
		return;
	line->literal = false;
	for (unsigned position = line->tail; position != line->head; position++)
		mark_end(line, position, false);
	line->line_end = canonical(line) ? line->head : line->tail;
	if (canonical(line) && line->head != line->tail)
		mark_end(line, line->head - 1, true);
}
