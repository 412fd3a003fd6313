/* SPDX-License-Identifier: MIT */
/*
 * The kernel command line.
 *
 * Subsystems place what they understand in two tables that the linker collects, options
 * (free form) and tunables (numbers with limits); nothing is registered at run time, so
 * the whole line can be read before any subsystem runs. Each word is looked up in both.
 * A mistake never stops the boot: it is reported in one line, and the default stays.
 * When a key comes twice, the last one wins.
 *
 * The line is cut up into strings where it lies, and stays there: an option's parse
 * function may keep the pointer that it is given.
 */
#include <cmdline.h>
#include <errno.h>
#include <printk.h>
#include <string.h>

/* Set by the linker. Weak: a kernel may have none of the one or of the other. */
extern const struct cmdline_option __start_cmdline_options[] __attribute__((weak));
extern const struct cmdline_option __stop_cmdline_options[] __attribute__((weak));
extern const struct tunable __start_tunables[] __attribute__((weak));
extern const struct tunable __stop_tunables[] __attribute__((weak));

/* Value of one digit, or 99 for what is none in any base here. */
static unsigned
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A') + 10;
	return 99;
}

/* log2 of what a suffix multiplies by, or 64 for what is no suffix. */
static unsigned
suffix_shift(char c)
{
	switch (c) {
	case 'K':
		return 10;
	case 'M':
		return 20;
	case 'G':
		return 30;
	default:
		return 64;
	}
}

int
parse_u64(const char *text, uint64_t *value)
{
	unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
	const char *p = base == 16 ? text + 2 : text;
	uint64_t number = 0;

	if (digit_value(*p) >= base)
		return -EINVAL;
	for (; digit_value(*p) < base; p++) {
		if (__builtin_mul_overflow(number, (uint64_t)base, &number) ||
		    __builtin_add_overflow(number, (uint64_t)digit_value(*p), &number))
			return -EINVAL;
	}
	if (*p) {
		unsigned shift = suffix_shift(*p);

		if (shift == 64 || p[1] || number << shift >> shift != number)
			return -EINVAL;
		number <<= shift;
	}
	*value = number;
	return 0;
}

static bool
set_option(const char *key, const char *value)
{
	const struct cmdline_option *option;

	for (option = __start_cmdline_options; option < __stop_cmdline_options; option++) {
		if (strcmp(option->key, key) != 0)
			continue;
		if (option->parse(value) != 0)
			kprintf("cmdline: bad value \"%s\" for \"%s\" (%s): ignored\n", value, key,
				option->help);
		return true;
	}
	return false;
}

static bool
set_tunable(const char *key, const char *value)
{
	const struct tunable *tunable;
	uint64_t number;

	for (tunable = __start_tunables; tunable < __stop_tunables; tunable++) {
		if (strcmp(tunable->key, key) != 0)
			continue;
		if (parse_u64(value, &number) != 0 || number < tunable->min ||
		    number > tunable->max)
			kprintf("cmdline: bad value \"%s\" for \"%s\" (%lu..%lu): keeping %lu\n",
				value, key, tunable->min, tunable->max, *tunable->value);
		else
			*tunable->value = number;
		return true;
	}
	return false;
}

/* Take one word "KEY=VALUE" or "KEY" apart, in place. It is whole again afterwards. */
static void
parse_word(char *word)
{
	char *equals = strchr(word, '=');
	const char *value = "";

	if (equals) {
		*equals = '\0';
		value = equals + 1;
	}
	if (!set_option(word, value) && !set_tunable(word, value))
		kprintf("cmdline: unknown option \"%s%s%s\" ignored\n", word, equals ? "=" : "",
			value);
	if (equals)
		*equals = '=';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void
cmdline_parse(char *line)
{
	char *p = line;

	while (*p) {
		char *word;

		while (is_blank(*p))
			p++;
		word = p;
		while (*p && !is_blank(*p))
			p++;
		if (*p)
			*p++ = '\0';
		if (*word)
			parse_word(word);
	}
}

void
tunables_print(void)
{
	const struct tunable *tunable;

	kprintf("%-24s %12s  %s\n", "KEY", "VALUE", "LIMITS");
	for (tunable = __start_tunables; tunable < __stop_tunables; tunable++)
		kprintf("%-24s %12lu  %lu..%lu\n    %s\n", tunable->key, *tunable->value,
			tunable->min, tunable->max, tunable->help);
}
