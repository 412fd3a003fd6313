/* SPDX-License-Identifier: MIT */
/*
 * The kernel's library: formatted text against a table of what C99 says, memory functions
 * against loops over single bytes, numbers and words of the command line.
 */
#include <cmdline.h>
#include <ktest.h>
#include <limits.h>
#include <printk.h>
#include <string.h>

/* ---- printf ------------------------------------------------------------------ */

static __format(4, 5) void expect_text(struct ktest *t, int line, const char *expected,
				       const char *fmt, ...)
{
	char buf[128];
	va_list ap;
	int length;

	va_start(ap, fmt);
	length = kvsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	if (strcmp(buf, expected) != 0 || length != (int)strlen(expected))
		ktest_fail(t, __FILE__, line, "\"%s\": expected \"%s\", got \"%s\" (%d)", fmt,
			   expected, buf, length);
}

#define EXPECT_TEXT(expected, ...) expect_text(t, __LINE__, expected, __VA_ARGS__)

KTEST(printf, integers)
{
	EXPECT_TEXT("0 1 -1", "%d %d %d", 0, 1, -1);
	EXPECT_TEXT("-2147483648 2147483647", "%d %i", INT_MIN, INT_MAX);
	EXPECT_TEXT("4294967295", "%u", UINT_MAX);
	EXPECT_TEXT("-9223372036854775808", "%ld", LONG_MIN);
	EXPECT_TEXT("18446744073709551615", "%llu", ULLONG_MAX);
	EXPECT_TEXT("ffffffffffffffff FF 377", "%lx %X %o", ULONG_MAX, 255u, 255u);
	EXPECT_TEXT("1777777777777777777777", "%lo", ULONG_MAX);
	EXPECT_TEXT("18446744073709551615 -1", "%zu %td", SIZE_MAX, (ptrdiff_t)-1);
}

KTEST(printf, narrow)
{
	int value = 0x12345; /* a variable, or the compiler would complain */

	EXPECT_TEXT("69 45 9029 2345", "%hhd %hhx %hd %hx", (signed char)value,
		    (unsigned char)value, (short)value, (unsigned short)value);
	EXPECT_TEXT("-1 255", "%hhd %hhu", (signed char)-1, (unsigned char)255);
}

KTEST(printf, alternative_forms)
{
	EXPECT_TEXT("0x1f 0X1F 017", "%#x %#X %#o", 0x1fu, 0x1fu, 15u);
	EXPECT_TEXT("0 0 0", "%#x %#X %#o", 0u, 0u, 0u);
	EXPECT_TEXT("0x00001f 0x1f      |", "%#08x %-#10x|", 0x1fu, 0x1fu);
	EXPECT_TEXT("0017", "%#.4o", 15u);
}

KTEST(printf, signs)
{
	EXPECT_TEXT("+5 +0 -5", "%+d %+d %+d", 5, 0, -5);
	EXPECT_TEXT(" 5 -5", "% d % d", 5, -5);
	EXPECT_TEXT("+0005 -0005", "%+05d %+05d", 5, -5);
}

KTEST(printf, width_and_precision)
{
	EXPECT_TEXT("[   42] [42   ] [00042]", "[%5d] [%-5d] [%05d]", 42, 42, 42);
	EXPECT_TEXT("[  042] [042  ]", "[%5.3d] [%-5.3d]", 42, 42);
	EXPECT_TEXT("[   42] [42   ]", "[%*d] [%*d]", 5, 42, -5, 42);
	EXPECT_TEXT("[00042] [42]", "[%.*d] [%.*d]", 5, 42, -5, 42);
	/* No digit at all: value and precision are both 0. */
	EXPECT_TEXT("[] [   ] [0]", "[%.0d] [%3.d] [%#.0o]", 0, 0, 0u);
	EXPECT_TEXT("[-2147483648]", "[%5d]", INT_MIN);
	EXPECT_TEXT("[           -0000000000000042]", "[%*.*d]", 28, 16, -42);
}

KTEST(printf, strings)
{
	static const char unended[] = { 'a', 'b', 'c' };
	const char *volatile null = NULL; /* or the compiler would see it */

	EXPECT_TEXT("[abc] [  abc] [abc  ]", "[%s] [%5s] [%-5s]", "abc", "abc", "abc");
	EXPECT_TEXT("[ab] [   ab] []", "[%.2s] [%5.2s] [%.0s]", "abc", "abc", "abc");
	EXPECT_TEXT("abc", "%.3s", unended);
	EXPECT_TEXT("[(null)]", "[%s]", null);
	EXPECT_TEXT("[x] [  x] [x  ] 100%", "[%c] [%3c] [%-3c] 100%%", 'x', 'x', 'x');
	EXPECT_TEXT("", "%s", "");
}

KTEST(printf, pointers)
{
	EXPECT_TEXT("0xffff800000000000", "%p", (void *)0xffff800000000000ul);
	EXPECT_TEXT("0x0", "%p", (void *)NULL);
	EXPECT_TEXT("[    0x10]", "[%8p]", (void *)0x10ul);
}

KTEST(printf, truncation)
{
	char buf[8];

	for (size_t size = 0; size <= sizeof(buf); size++) {
		memset(buf, '#', sizeof(buf));
		expect_eq(t, ksnprintf(buf, size, "%s%d", "abcdef", 123456), 12);
		for (size_t i = 0; i < sizeof(buf); i++) {
			char expected = "abcdef12"[i];

			if (i + 1 == size)
				expected = '\0';
			else if (i >= size)
				expected = '#';
			expect_eq(t, buf[i], expected);
		}
	}
	expect_eq(t, ksnprintf(NULL, 0, "%20s", "x"), 20);
}

/* Longer than any buffer inside: a wide field, and one longer than an int can count. */
KTEST(printf, long_text)
{
	static char buf[2000];

	expect_eq(t, ksnprintf(buf, sizeof(buf), "%01500d", 7), 1500);
	expect_eq(t, strlen(buf), 1500);
	expect_eq(t, buf[0], '0');
	expect_eq(t, buf[1499], '7');
	expect_eq(t, ksnprintf(buf, sizeof(buf), "%1999s!", "x"), 2000);
	expect_eq(t, strlen(buf), 1999);
	expect_eq(t, buf[1998], 'x');
}

/* ---- Memory -------------------------------------------------------------------- */

#define MEMORY 512

struct memory {
	unsigned char bytes[MEMORY];
};

static void
fill(struct ktest *t, struct memory *memory)
{
	for (size_t i = 0; i < MEMORY; i++)
		memory->bytes[i] = (unsigned char)prng_next(&t->prng);
}

/* Compare without memcmp(), which is under test too. */
static bool
same(const struct memory *a, const struct memory *b)
{
	for (size_t i = 0; i < MEMORY; i++) {
		if (a->bytes[i] != b->bytes[i])
			return false;
	}
	return true;
}

/* Copies of random size between random places, often overlapping, in both directions. */
KTEST(string, memmove)
{
	struct memory real, model, before;

	for (unsigned round = 0; round < 2000; round++) {
		size_t size = prng_below(&t->prng, round % 2 ? 24 : MEMORY / 2);
		size_t from = prng_below(&t->prng, MEMORY - size + 1);
		size_t to = prng_below(&t->prng, MEMORY - size + 1);

		fill(t, &real);
		before = model = real;
		for (size_t i = 0; i < size; i++)
			model.bytes[to + i] = before.bytes[from + i];
		assert_true(t,
			    memmove(real.bytes + to, real.bytes + from, size) == real.bytes + to);
		if (!same(&real, &model)) {
			ktest_note(t, "from %zu to %zu, %zu bytes", from, to, size);
			assert_true(t, same(&real, &model));
		}
	}
}

KTEST(string, memcpy)
{
	struct memory real, model, source;

	for (unsigned round = 0; round < 2000; round++) {
		size_t size = prng_below(&t->prng, round % 2 ? 24 : MEMORY + 1);
		size_t from = prng_below(&t->prng, MEMORY - size + 1);
		size_t to = prng_below(&t->prng, MEMORY - size + 1);

		fill(t, &source);
		fill(t, &real);
		model = real;
		for (size_t i = 0; i < size; i++)
			model.bytes[to + i] = source.bytes[from + i];
		assert_true(t,
			    memcpy(real.bytes + to, source.bytes + from, size) == real.bytes + to);
		if (!same(&real, &model)) {
			ktest_note(t, "from %zu to %zu, %zu bytes", from, to, size);
			assert_true(t, same(&real, &model));
		}
	}
}

KTEST(string, memset)
{
	struct memory real, model;

	for (unsigned round = 0; round < 2000; round++) {
		size_t size = prng_below(&t->prng, round % 2 ? 24 : MEMORY + 1);
		size_t to = prng_below(&t->prng, MEMORY - size + 1);
		int byte = (int)prng_next(&t->prng); /* only its low 8 bits count */

		fill(t, &real);
		model = real;
		for (size_t i = 0; i < size; i++)
			model.bytes[to + i] = (unsigned char)byte;
		assert_true(t, memset(real.bytes + to, byte, size) == real.bytes + to);
		if (!same(&real, &model)) {
			ktest_note(t, "at %zu, %zu bytes", to, size);
			assert_true(t, same(&real, &model));
		}
	}
}

static int
sign(int value)
{
	return (value > 0) - (value < 0);
}

/* Equal memory with one byte changed: every place, both directions, every alignment. */
KTEST(string, memcmp)
{
	struct memory a, b;

	fill(t, &a);
	for (size_t at = 0; at < 40; at++) {
		for (size_t start = 0; start < 9; start++) {
			b = a;
			b.bytes[start + at] ^= 0x80;
			expect_eq(t, memcmp(a.bytes + start, b.bytes + start, at), 0);
			expect_eq(t, sign(memcmp(a.bytes + start, b.bytes + start, at + 1)),
				  a.bytes[start + at] & 0x80 ? 1 : -1);
			expect_eq(t, sign(memcmp(b.bytes + start, a.bytes + start, 64)),
				  a.bytes[start + at] & 0x80 ? -1 : 1);
		}
	}
}

KTEST(string, strings)
{
	char buf[4];

	expect_eq(t, strlen(""), 0);
	expect_eq(t, strlen("abc"), 3);
	expect_eq(t, strnlen("abc", 2), 2);
	expect_eq(t, strnlen("abc", 9), 3);
	expect_eq(t, strcmp("abc", "abc"), 0);
	expect_eq(t, sign(strcmp("abc", "abd")), -1);
	expect_eq(t, sign(strcmp("abc", "ab")), 1);
	/* Bytes compare as unsigned. */
	expect_eq(t, sign(strcmp("\x80", "a")), 1);
	expect_eq(t, strncmp("abcd", "abxx", 2), 0);
	expect_eq(t, sign(strncmp("abcd", "abxx", 3)), -1);
	expect_eq(t, strncmp("ab", "ab", 9), 0);
	expect_true(t, strchr("abc", 'd') == NULL);
	expect_eq(t, strlen(strchr("abc", 'b')), 2);
	expect_eq(t, strlen(strchr("abc", '\0')), 0);
	expect_eq(t, strlcpy(buf, "ab", sizeof(buf)), 2);
	expect_eq(t, strcmp(buf, "ab"), 0);
	expect_eq(t, strlcpy(buf, "abcdef", sizeof(buf)), 6);
	expect_eq(t, strcmp(buf, "abc"), 0);
	expect_eq(t, strlcpy(buf, "xyz", 0), 3);
	expect_eq(t, strcmp(buf, "abc"), 0);
}

/* ---- Command line ---------------------------------------------------------------- */

static void
expect_number(struct ktest *t, int line, const char *text, uint64_t expected)
{
	uint64_t value = ~expected;

	if (parse_u64(text, &value) != 0 || value != expected)
		ktest_fail(t, __FILE__, line, "\"%s\": expected %lu, got %lu", text, expected,
			   value);
}

KTEST(cmdline, numbers)
{
	expect_number(t, __LINE__, "0", 0);
	expect_number(t, __LINE__, "7", 7);
	expect_number(t, __LINE__, "010", 10);
	expect_number(t, __LINE__, "0x1F", 31);
	expect_number(t, __LINE__, "0xffffffffffffffff", UINT64_MAX);
	expect_number(t, __LINE__, "18446744073709551615", UINT64_MAX);
	expect_number(t, __LINE__, "4K", KiB(4));
	expect_number(t, __LINE__, "16M", MiB(16));
	expect_number(t, __LINE__, "0x10G", GiB(16));
	expect_number(t, __LINE__, "17179869183G", 17179869183ul << 30);
}

KTEST(cmdline, bad_numbers)
{
	static const char *const bad[] = {
		"",
		"x",
		"-1",
		"+1",
		" 1",
		"1 ",
		"0x",
		"0xg",
		"1a",
		"K",
		"1KB",
		"1k",
		"1.5M",
		"1T",
		"18446744073709551616",
		"0x10000000000000000",
		"17179869184G",
		"99999999999999999999",
		"18014398509481984K",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t value = 42;

		if (parse_u64(bad[i], &value) == 0)
			ktest_fail(t, __FILE__, __LINE__, "expected \"%s\" to be refused, got %lu",
				   bad[i], value);
		expect_eq(t, value, 42);
	}
}

static uint64_t number = 7;
static const char *word;

static int
parse_test_word(const char *value)
{
	word = value;
	return 0;
}

TUNABLE(number, "test.number", 1, 100, "a number for the test suite \"cmdline\"");
CMDLINE_OPTION(test_word, "test.word", "a word for the test suite \"cmdline\"", parse_test_word);

/* The line is cut up in place: every case needs a fresh one. */
KTEST(cmdline, words)
{
	static char line[128];

	strlcpy(line, "  test.number=8\ttest.word=a=b test.word", sizeof(line));
	cmdline_parse(line);
	expect_eq(t, number, 8);
	assert_true(t, word != NULL);
	expect_eq(t, strcmp(word, ""), 0);

	strlcpy(line, "test.word=a=b test.number=9 test.number=0x10", sizeof(line));
	cmdline_parse(line);
	expect_eq(t, strcmp(word, "a=b"), 0);
	expect_eq(t, number, 16);
	number = 7;
}

KTEST(cmdline, bad_values_keep_the_old_one)
{
	static char line[128];

	strlcpy(line, "test.number=0 test.number=101 test.number= test.number test.number=5x",
		sizeof(line));
	cmdline_parse(line);
	expect_eq(t, number, 7);
	strlcpy(line, "nonsense test.numbe=9 test.number.x=9 =9 =", sizeof(line));
	cmdline_parse(line);
	expect_eq(t, number, 7);
}
