/* SPDX-License-Identifier: MIT */
/*
 * The line discipline, fed by hand: what a reader gets, what is echoed, which signals are sent.
 */
#include <abi/signal.h>

#include "../../kernel/fs/line_discipline.h"
#include "fs_helpers.h"

static struct line line;
static char echoed[512];
static size_t nr_echoed;

static void
note_echo(const char *text, size_t size)
{
	size = MIN(size, sizeof(echoed) - 1 - nr_echoed);
	memcpy(echoed + nr_echoed, text, size);
	nr_echoed += size;
	echoed[nr_echoed] = '\0';
}

static void
begin(void)
{
	ldisc_init(&line, note_echo);
	nr_echoed = 0;
	echoed[0] = '\0';
}

/* Type a text. Returns the last signal. */
static int
type(const char *text)
{
	int signal = 0;

	for (; *text; text++) {
		int now = ldisc_receive(&line, (uint8_t)*text);

		signal = now ? now : signal;
	}
	return signal;
}

/* Does a read of so many bytes get this text? */
static bool
gets(size_t size, const char *text)
{
	char got[128];
	size_t nr = ldisc_read(&line, got, MIN(size, sizeof(got)));

	return nr == strlen(text) && memcmp(got, text, nr) == 0;
}

static void
set_raw(void)
{
	struct abi_termios raw = line.termios;

	raw.lflag &= ~(ICANON | ECHO | ISIG);
	raw.iflag &= ~(ICRNL | IXON);
	ldisc_set(&line, &raw);
}

static void
set_cooked(void)
{
	struct abi_termios cooked = line.termios;

	cooked.lflag |= ICANON | ECHO | ISIG;
	ldisc_set(&line, &cooked);
}

KTEST(fs_tty, lines)
{
	begin();
	(void)type("hel");
	expect_true(t, !ldisc_is_ready(&line));
	(void)type("lo\rnext\r");
	expect_true(t, ldisc_is_ready(&line));
	expect_true(t, gets(2, "he"));
	expect_true(t, gets(100, "llo\n"));
	expect_true(t, gets(5, "next\n"));
	expect_true(t, !ldisc_is_ready(&line));
	expect_true(t, strcmp(echoed, "hello\r\nnext\r\n") == 0);
}

KTEST(fs_tty, editing)
{
	begin();
	(void)type("abX\x7f"
		   "c\r");
	expect_true(t, gets(100, "abc\n"));
	expect_true(t, strcmp(echoed, "abX\b \bc\r\n") == 0);
	begin();
	(void)type("one two  \x17"
		   "three\x15"
		   "last\r"); /* ^W, ^U */
	expect_true(t, gets(100, "last\n"));
	begin();
	(void)type("a b  \x17"
		   "c\r");
	expect_true(t, gets(100, "a c\n"));
	begin();
	(void)type("\x7f\x7f\x15\x17\r");
	expect_true(t, gets(100, "\n"));
	begin();
	(void)type("x\xc3\xa4\x7f"
		   "y\r"); /* a letter of two bytes */
	expect_true(t, gets(100, "xy\n"));
	begin();
	(void)type("\x16\x03\r"); /* ^V takes the next as it is */
	expect_true(t, gets(100, "\x03\n"));
}

KTEST(fs_tty, erasing_wide_characters)
{
	begin();
	(void)type("ab\t\x7f");
	expect_true(t, strcmp(echoed, "ab\t\b\b\b\b\b\b") == 0);
	begin();
	(void)type("\x01\x7f");
	expect_true(t, strcmp(echoed, "^A\b \b\b \b") == 0);
}

KTEST(fs_tty, end_of_file)
{
	begin();
	(void)type("\x04");
	expect_true(t, ldisc_is_ready(&line));
	expect_true(t, gets(100, ""));
	expect_true(t, !ldisc_is_ready(&line));
	(void)type("part\x04rest\r");
	expect_true(t, gets(100, "part"));
	expect_true(t, gets(100, "rest\n"));
	/* A reader whose room ends just before the end of file has had the line. */
	(void)type("part\x04rest\r");
	expect_true(t, gets(4, "part"));
	expect_true(t, gets(100, "rest\n"));
}

KTEST(fs_tty, signals)
{
	begin();
	expect_eq(t, type("typed\x03"), SIGINT);
	expect_true(t, strcmp(echoed, "typed^C") == 0);
	(void)type("\r");
	expect_true(t, gets(100, "\n")); /* what was typed is forgotten */
	expect_eq(t, type("\x1c"), SIGQUIT);
	expect_eq(t, type("\x1a"), SIGTSTP);
	line.termios.lflag |= NOFLSH;
	expect_eq(t, type("kept\x03"), SIGINT);
	(void)type("\r");
	expect_true(t, gets(100, "kept\n"));
	line.termios.lflag &= ~ISIG;
	expect_eq(t, type("\x03\r"), 0);
	expect_true(t, gets(100, "\x03\n"));
	line.termios.cc[VINTR] = 0;
	line.termios.lflag |= ISIG;
	expect_eq(t, type("\x03\r"), 0);
}

KTEST(fs_tty, stopping_output)
{
	begin();
	(void)type("\x13");
	expect_true(t, line.stopped);
	(void)type("\x11");
	expect_true(t, !line.stopped);
	(void)type("\x13");
	expect_eq(t, type("\x03"), SIGINT);
	expect_true(t, !line.stopped);
}

KTEST(fs_tty, raw_mode)
{
	begin();
	set_raw();
	expect_eq(t, type("\x03\r\x04\x7f"), 0);
	expect_eq(t, ldisc_available(&line), 4);
	expect_true(t, gets(100, "\x03\r\x04\x7f"));
	expect_eq(t, nr_echoed, 0);
}

KTEST(fs_tty, between_the_modes)
{
	begin();
	(void)type("half");
	set_raw();
	expect_true(t, gets(2, "ha"));
	set_cooked();
	expect_true(t, ldisc_is_ready(&line));
	expect_true(t, gets(100, "lf"));
	(void)type("line\n");
	expect_true(t, gets(100, "line\n"));
	(void)type("one\ntwo\nthr");
	set_raw();
	set_cooked();
	expect_true(t, gets(100, "one\ntwo\nthr"));
}

KTEST(fs_tty, more_than_there_is_room_for)
{
	char got[64];
	size_t total = 0, nr;

	begin();
	for (unsigned i = 0; i < 2 * LINE_SIZE; i++)
		(void)ldisc_receive(&line, 'x');
	expect_true(t, !ldisc_is_ready(&line));
	(void)type("\r");
	while ((nr = ldisc_read(&line, got, sizeof(got))) > 0)
		total += nr;
	expect_eq(t, total, LINE_SIZE);
	(void)type("good again\r");
	expect_true(t, gets(100, "good again\n"));
}

KTEST(fs_tty, output)
{
	char out[64];
	size_t size;

	begin();
	size = ldisc_process_output(&line, "a\nb\r\n", 5, out);
	expect_true(t, size == 7 && memcmp(out, "a\r\nb\r\r\n", 7) == 0);
	line.termios.oflag &= ~OPOST;
	size = ldisc_process_output(&line, "a\n", 2, out);
	expect_true(t, size == 2 && memcmp(out, "a\n", 2) == 0);
}

/* Whatever bytes come, the positions stay in order. */
KTEST(fs_tty, random_bytes_and_modes, .budget_ms = 20000)
{
	char got[64];

	begin();
	for (unsigned i = 0; i < 20000; i++) {
		switch (prng_below(&t->prng, 12)) {
		case 0:
			expect_le(t, ldisc_read(&line, got, prng_below(&t->prng, sizeof(got))),
				  sizeof(got));
			break;
		case 1:
			set_raw();
			break;
		case 2:
			set_cooked();
			break;
		case 3:
			ldisc_flush(&line);
			break;
		default:
			(void)ldisc_receive(&line, (uint8_t)prng_below(&t->prng, 256));
		}
		nr_echoed = 0;
		expect_le(t, line.head - line.tail, LINE_SIZE);
		expect_le(t, line.line_end - line.tail, line.head - line.tail);
	}
}
