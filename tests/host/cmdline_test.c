/* SPDX-License-Identifier: MIT */
/* The kernel command line, with options and tunables of this file's own. */
#include "host.h"

#include <cmdline.h>
#include <errno.h>
#include <string.h>

static uint64_t test_first = 1, test_second = 2, test_third = 3;
TUNABLE(test_first, "test.first", 0, 100, "for this test");
TUNABLE(test_second, "test.second", 10, UINT64_MAX, "for this test");
TUNABLE(test_third, "test.third", 0, 5, "for this test");

static const char *mode;

static int
parse_mode(const char *value)
{
	if (strcmp(value, "wrong") == 0)
		return -EINVAL;
	mode = value;
	return 0;
}
CMDLINE_OPTION(test_mode, "test.mode", "for this test", parse_mode);

static void
parse(const char *line)
{
	static char copy[256]; /* is cut up, and options point into it */

	strlcpy(copy, line, sizeof(copy));
	test_first = 1;
	test_second = 20;
	test_third = 3;
	mode = NULL;
	host_capture_begin();
	cmdline_parse(copy);
	host_capture_end();
}

static void
good_lines(void)
{
	parse("  test.third=5 test.mode=fast\ttest.first=0x10 test.second=3M ");
	CHECK_EQ(strlen(host_output), 0);
	CHECK_EQ(test_first, 16);
	CHECK_EQ(test_second, MiB(3));
	CHECK_EQ(test_third, 5);
	CHECK(mode && strcmp(mode, "fast") == 0);

	/* No value is an empty one, and the last of two wins. */
	parse("test.first=7 test.mode test.first=8");
	CHECK_EQ(test_first, 8);
	CHECK(mode && strlen(mode) == 0);
	parse("");
	CHECK_EQ(strlen(host_output), 0);
}

/* Reported with the key, and the default stays. */
static void
bad_lines(void)
{
	parse("test.first=101 test.second=9 test.third=x test.mode=wrong no.such=1 nonsense");
	CHECK_NAMES(host_output, "test.first");
	CHECK_NAMES(host_output, "test.second");
	CHECK_NAMES(host_output, "test.third");
	CHECK_NAMES(host_output, "test.mode");
	CHECK_NAMES(host_output, "no.such");
	CHECK_NAMES(host_output, "nonsense");
	CHECK_EQ(test_first, 1);
	CHECK_EQ(test_second, 20);
	CHECK_EQ(test_third, 3);
	CHECK(mode == NULL);
}

/* Everything that was declared is in the table, one entry behind the other. */
static void
all_tunables_listed(void)
{
	host_capture_begin();
	tunables_print();
	host_capture_end();
	CHECK_NAMES(host_output, "test.first");
	CHECK_NAMES(host_output, "test.second");
	CHECK_NAMES(host_output, "test.third");
	CHECK_NAMES(host_output, "mm.check");
	CHECK_NAMES(host_output, "mm.fail_every");
}

static void
numbers(void)
{
	static const struct {
		const char *text;
		int error;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "0x1f", 0, 31 },
		{ "0XfF", 0, 255 },
		{ "4K", 0, 4096 },
		{ "0x10G", 0, GiB(16) },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -EINVAL, 0 },
		{ "0xffffffffffffffff", 0, UINT64_MAX },
		{ "0x10000000000000000", -EINVAL, 0 },
		{ "17179869183G", 0, 17179869183ul << 30 },
		{ "17179869184G", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "0x", -EINVAL, 0 },
		{ "K", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
		{ "1KK", -EINVAL, 0 },
		{ "12a", -EINVAL, 0 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 4711, expected = cases[i].error ? 4711 : cases[i].value;
		int error = parse_u64(cases[i].text, &value);

		if (error != cases[i].error || value != expected)
			host_fail(__FILE__, __LINE__, "\"%s\": returned %d and %lu", cases[i].text,
				  error, value);
	}
}

HOST_SUITE(cmdline, { "good_lines", good_lines }, { "bad_lines", bad_lines },
	   { "all_tunables_listed", all_tunables_listed }, { "numbers", numbers });
