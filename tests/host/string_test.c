/* SPDX-License-Identifier: MIT */
/*
 * kernel/lib/string.c against the C library. Its functions are compiled here under names
 * of their own, kernel_memcpy() and so on: see host.mk.
 */
#include "host.h"

#include <string.h>

#define NR_ROUNDS 50000
#define AREA	  512

void *kernel_memcpy(void *dst, const void *src, size_t size);
void *kernel_memmove(void *dst, const void *src, size_t size);
void *kernel_memset(void *dst, int byte, size_t size);
int kernel_memcmp(const void *a, const void *b, size_t size);
size_t kernel_strlen(const char *s);
size_t kernel_strnlen(const char *s, size_t max);
int kernel_strcmp(const char *a, const char *b);
int kernel_strncmp(const char *a, const char *b, size_t max);
char *kernel_strchr(const char *s, int c);

static uint8_t ours[AREA], theirs[AREA];

static int
sign(int x)
{
	return (x > 0) - (x < 0);
}

/* A size with its alignment: short ones often, as the code has loops for the rest. */
static size_t
dice_size(struct prng *prng, size_t max)
{
	return prng_below(prng, prng_below(prng, 2) ? MIN(max, 24) + 1 : max + 1);
}

static void
fill(struct prng *prng)
{
	for (unsigned i = 0; i < AREA; i++)
		ours[i] = theirs[i] = (uint8_t)prng_next(prng);
}

/* Whole areas are compared: a byte too many is found like one too few. */
static void
copies(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < NR_ROUNDS && !host_failed(); i++) {
		size_t to = prng_below(&prng, AREA), from = prng_below(&prng, AREA);
		size_t size = dice_size(&prng, AREA - MAX(to, from));
		int byte = (int)prng_next(&prng);

		if (i % 64 == 0)
			fill(&prng);
		memset(theirs + from, byte, size);
		CHECK(kernel_memset(ours + from, byte, size) == ours + from);
		CHECK_EQ(memcmp(ours, theirs, AREA), 0);
		memmove(theirs + to, theirs + from, size);
		CHECK(kernel_memmove(ours + to, ours + from, size) == ours + to);
		CHECK_EQ(memcmp(ours, theirs, AREA), 0);
		if (to + size > from && from + size > to)
			continue;
		fill(&prng);
		memcpy(theirs + to, theirs + from, size);
		CHECK(kernel_memcpy(ours + to, ours + from, size) == ours + to);
		CHECK_EQ(memcmp(ours, theirs, AREA), 0);
	}
}

static void
comparisons(void)
{
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < NR_ROUNDS && !host_failed(); i++) {
		char a[64], b[64];
		size_t length = prng_below(&prng, sizeof(a)), max = dice_size(&prng, sizeof(a));
		int c = (int)prng_below(&prng, 3) + 'a' - 1;

		/* Few letters, so that long common beginnings are common. */
		for (unsigned j = 0; j < sizeof(a); j++) {
			a[j] = (char)('a' + (prng_below(&prng, 8) == 0));
			b[j] = prng_below(&prng, 12) == 0 ? (char)0xe4 : a[j];
		}
		a[length] = b[length] = a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
		CHECK_EQ(sign(kernel_memcmp(a, b, max)), sign(memcmp(a, b, max)));
		CHECK_EQ(sign(kernel_strcmp(a, b)), sign(strcmp(a, b)));
		CHECK_EQ(sign(kernel_strncmp(a, b, max)), sign(strncmp(a, b, max)));
		CHECK_EQ(kernel_strlen(a), strlen(a));
		CHECK_EQ(kernel_strnlen(a, max), strnlen(a, max));
		CHECK(kernel_strchr(a, c) == strchr(a, c));
		CHECK(kernel_strchr(a, 0) == a + strlen(a));
	}
}

static void
strlcpy_cuts(void)
{
	char text[8] = "1234567";

	CHECK_EQ(strlcpy(text, "abc", sizeof(text)), 3);
	CHECK_EQ(strcmp(text, "abc"), 0);
	CHECK_EQ(text[4], '5');
	CHECK_EQ(strlcpy(text, "a long text", sizeof(text)), 11);
	CHECK_EQ(strcmp(text, "a long "), 0);
	CHECK_EQ(strlcpy(text, "x", 0), 1);
	CHECK_EQ(text[0], 'a');
}

HOST_SUITE(string, { "copies", copies }, { "comparisons", comparisons },
	   { "strlcpy_cuts", strlcpy_cuts });
