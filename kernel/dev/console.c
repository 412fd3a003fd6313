/* SPDX-License-Identifier: MIT */
/*
 * The console: reads lines, and runs the commands that subsystems put in a table which
 * the linker collects (see <console.h>).
 *
 * A line is words separated by blanks; the first names the command. There is no quoting:
 * no command needs it. A word that names no command is answered with the nearest name,
 * when one is at most two typing errors away.
 */
#include <console.h>
#include <errno.h>
#include <printk.h>
#include <serial.h>
#include <string.h>

#include "line_editor.h"

#define MAX_WORDS   16
#define COMMAND_MAX 32 /* names longer than this have no typing errors */

/* Set by the linker; help is always there. */
extern const struct console_command __start_console_commands[];
extern const struct console_command __stop_console_commands[];

static const struct console_command *
find_command(const char *name)
{
	const struct console_command *command;

	for (command = __start_console_commands; command < __stop_console_commands; command++) {
		if (strcmp(command->name, name) == 0)
			return command;
	}
	return NULL;
}

/* The first name after this one in alphabetical order ("": the very first), or NULL. */
static const struct console_command *
next_by_name(const char *name)
{
	const struct console_command *command, *best = NULL;

	for (command = __start_console_commands; command < __stop_console_commands; command++) {
		if (strcmp(command->name, name) > 0 &&
		    (!best || strcmp(command->name, best->name) < 0))
			best = command;
	}
	return best;
}

/* For the line editor: the n-th name that begins with the size bytes at prefix. */
static const char *
candidate(const char *prefix, size_t size, unsigned n)
{
	const struct console_command *command = next_by_name("");

	for (; command; command = next_by_name(command->name)) {
		if (strncmp(command->name, prefix, size) == 0 && n-- == 0)
			return command->name;
	}
	return NULL;
}

/*
 * How many characters to insert, delete or replace to turn a into b (Levenshtein 1966),
 * by rows of the usual table (Wagner and Fischer 1974): row[j] is the distance between
 * the part of a read so far and the first j characters of b.
 */
static unsigned
edit_distance(const char *a, const char *b)
{
	unsigned row[COMMAND_MAX + 1];
	size_t size = strlen(b);

	if (strlen(a) > COMMAND_MAX || size > COMMAND_MAX)
		return COMMAND_MAX;
	for (unsigned j = 0; j <= size; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= size; j++) {
			unsigned replaced = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[size];
}

static void
unknown_command(const char *name)
{
	const struct console_command *command, *nearest = NULL;
	unsigned least = 3;

	for (command = next_by_name(""); command; command = next_by_name(command->name)) {
		unsigned distance = edit_distance(name, command->name);

		/* Nearer than replacing all of it: "ab" is no typing error for "ps". */
		if (distance < least && distance < strlen(command->name)) {
			least = distance;
			nearest = command;
		}
	}
	if (nearest)
		kprintf("unknown command \"%s\"; did you mean \"%s\"? Try \"help\"\n", name,
			nearest->name);
	else
		kprintf("unknown command \"%s\"; try \"help\"\n", name);
}

/* Cut text into words in place. Returns how many, or -E2BIG. */
static int
split(char *text, char *words[MAX_WORDS])
{
	int count = 0;

	for (char *p = text; *p;) {
		if (*p == ' ' || *p == '\t') {
			*p++ = '\0';
			continue;
		}
		if (count == MAX_WORDS)
			return -E2BIG;
		words[count++] = p;
		while (*p && *p != ' ' && *p != '\t')
			p++;
	}
	return count;
}

int
console_execute(const char *line)
{
	char text[EDIT_MAX];
	char *words[MAX_WORDS];
	const struct console_command *command;
	int count = -E2BIG;

	if (strlcpy(text, line, sizeof(text)) < sizeof(text))
		count = split(text, words);
	if (count < 0) {
		kprintf("the line is too long: at most %d words and %d characters\n", MAX_WORDS,
			EDIT_MAX - 1);
		return count;
	}
	if (count == 0)
		return 0;
	command = find_command(words[0]);
	if (!command) {
		unknown_command(words[0]);
		return -ENOENT;
	}
	command->run(count, words);
	return 0;
}

void
console_run(void)
{
	char line[EDIT_MAX];
	unsigned lost;

	kprintf("type \"help\" for a list of commands\n");
	for (;;) {
		line_read(line, "ikos> ", candidate);
		lost = serial_take_lost();
		if (lost)
			kprintf("serial: %u bytes of input came too fast and are lost\n", lost);
		(void)console_execute(line);
	}
}

static void
help_one(const char *name)
{
	const struct console_command *command = find_command(name);

	if (!command) {
		unknown_command(name);
		return;
	}
	kprintf("%s%s%s: %s\n", command->name, *command->usage ? " " : "", command->usage,
		command->help);
}

static void
help(int argc, char **argv)
{
	const struct console_command *command = next_by_name("");

	if (argc > 1) {
		help_one(argv[1]);
		return;
	}
	for (; command; command = next_by_name(command->name)) {
		char synopsis[64];

		ksnprintf(synopsis, sizeof(synopsis), "%s %s", command->name, command->usage);
		kprintf("  %-30s %s\n", synopsis, command->help);
	}
}

CONSOLE_COMMAND(help, "help", "[command]", "list the commands, or explain one", help);
