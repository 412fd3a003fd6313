/* SPDX-License-Identifier: MIT */
/*
 * The kernel command line: words KEY=VALUE or KEY, separated by blanks.
 *
 * A subsystem declares the keys it knows with CMDLINE_OPTION() (free form) or
 * TUNABLE() (a number with limits, key "mm.NAME" or the like). Unknown keys are
 * reported and ignored; a bad value is reported and the default kept.
 */
#ifndef IKOS_CMDLINE_H
#define IKOS_CMDLINE_H

#include <types.h>

struct cmdline_option {
	const char *key;
	const char *help;
	int (*parse)(const char *value); /* "" when there is no value; 0, or -EINVAL */
};

#define CMDLINE_OPTION(ident, key_string, help_string, parse_function)                             \
	static const struct cmdline_option ident##_option __section("cmdline_options") = {         \
		key_string, help_string, parse_function                                            \
	}

/* A 64-bit number that the command line may set. Suffixes K, M and G are powers of 1024. */
struct tunable {
	const char *key;
	const char *help;
	uint64_t *value; /* holds the default before the command line is read */
	uint64_t min, max;
};

#define TUNABLE(variable, key_string, min_value, max_value, help_string)                           \
	static const struct tunable variable##_tunable __section("tunables") = {                   \
		key_string, help_string, &(variable), min_value, max_value                         \
	}

/*
 * Read the whole line, before mm_init(). It is cut up where it lies, and options keep
 * pointers into it: it must stay there for ever.
 */
void cmdline_parse(char *line);

/* The console command "tunables": key, value, limits, help. */
void tunables_print(void);

/*
 * Parse a decimal or 0x... number with an optional suffix K, M or G. Returns 0, or
 * -EINVAL and leaves *value alone.
 */
int parse_u64(const char *text, uint64_t *value);

#endif
