/* SPDX-License-Identifier: MIT */
/* The interactive console, and how a subsystem adds a command to it. */
#ifndef IKOS_CONSOLE_H
#define IKOS_CONSOLE_H

#include <types.h>

struct console_command {
	const char *name;
	const char *usage; /* arguments, for help: "[suite]" */
	const char *help;  /* one line */
	void (*run)(int argc, char **argv);
};

#define CONSOLE_COMMAND(ident, name_string, usage_string, help_string, function)                   \
	static const struct console_command ident##_command __section("console_commands") = {      \
		name_string, usage_string, help_string, function                                   \
	}

/* Read and run commands until the machine is powered off. */
_Noreturn void console_run(void);

/*
 * Run one line as if it had been typed. Returns 0, -ENOENT for an unknown command, or
 * -E2BIG for a line with too many words or characters (a helpful line has been printed).
 */
int console_execute(const char *line);

#endif
