/* SPDX-License-Identifier: MIT */
/* kernel/lib/printf.c against the C library, on random conversions. */
#include "host.h"

#include <printk.h>
#include <string.h>

#define NR_FORMATS 100000

static const char *const lengths[] = { "hh", "h", "", "l", "ll", "z", "t" };

/* One conversion, chosen by dice. */
struct conversion {
	char text[40];
	char type;
	bool wide; /* takes 64 bits */
	int width, precision;
	bool star_width, star_precision;
};

static void
append(char *text, const char *more)
{
	size_t used = strlen(text);

	strlcpy(text + used, more, 40 - used);
}

static int
dice_number(struct prng *prng)
{
	return (int)prng_below(prng, prng_below(prng, 4) ? 12 : 90);
}

static void
make_conversion(struct prng *prng, struct conversion *c)
{
	static const char types[] = "diuxXoscp";
	char digits[8];

	memset(c, 0, sizeof(*c));
	c->type = types[prng_below(prng, sizeof(types) - 1)];
	append(c->text, "%");
	/* The C standard leaves flags undefined where they make no sense: not tried. */
	if (prng_below(prng, 3) == 0)
		append(c->text, "-");
	if (strchr("diuxXo", c->type) && prng_below(prng, 3) == 0)
		append(c->text, "0");
	if (strchr("xXo", c->type) && prng_below(prng, 3) == 0)
		append(c->text, "#");
	if (strchr("di", c->type) && prng_below(prng, 3) == 0)
		append(c->text, prng_below(prng, 2) ? "+" : " ");

	c->width = dice_number(prng);
	c->star_width = prng_below(prng, 3) == 0;
	if (c->star_width && prng_below(prng, 3) == 0)
		c->width = -c->width;
	snprintf(digits, sizeof(digits), "%d", c->width);
	if (c->star_width)
		append(c->text, "*");
	else if (c->width > 0)
		append(c->text, digits);

	c->precision = dice_number(prng);
	if (strchr("diuxXos", c->type) && prng_below(prng, 3) == 0) {
		c->star_precision = prng_below(prng, 2);
		if (c->star_precision && prng_below(prng, 3) == 0)
			c->precision = -c->precision;
		snprintf(digits, sizeof(digits), "%d", c->precision);
		append(c->text, ".");
		append(c->text, c->star_precision ? "*" : digits);
	}
	if (strchr("diuxXo", c->type)) {
		unsigned i = (unsigned)prng_below(prng, ARRAY_SIZE(lengths));

		append(c->text, lengths[i]);
		c->wide = i >= 3;
	}
	append(c->text, (char[]){ c->type, '\0' });
}

typedef int (*print_function)(char *buf, size_t size, const char *fmt, ...);

/* Call print with what the conversion takes. */
static int
print_one(print_function print, char *buf, size_t size, const struct conversion *c, uint64_t value,
	  const char *string)
{
	int star[2], nr = 0;

	if (c->star_width)
		star[nr++] = c->width;
	if (c->star_precision)
		star[nr++] = c->precision;

#define PRINT(argument)                                                                            \
	(nr == 0   ? print(buf, size, c->text, argument)                                           \
	 : nr == 1 ? print(buf, size, c->text, star[0], argument)                                  \
		   : print(buf, size, c->text, star[0], star[1], argument))
	if (c->type == 's')
		return PRINT(string);
	if (c->type == 'p')
		return PRINT((void *)(value | 1)); /* the C library prints "(nil)" for NULL */
	if (c->type == 'c')
		return PRINT((int)(1 + value % 127));
	if (c->wide)
		return PRINT(value);
	return PRINT((unsigned)value);
#undef PRINT
}

static uint64_t
dice_value(struct prng *prng)
{
	static const uint64_t edges[] = { 0,	     1,		7,	   8,	      127,
					  128,	     255,	256,	   32767,     32768,
					  65535,     65536,	INT32_MAX, 1ul << 31, UINT32_MAX,
					  1ul << 32, INT64_MAX, 1ul << 63, UINT64_MAX };

	if (prng_below(prng, 2))
		return edges[prng_below(prng, ARRAY_SIZE(edges))];
	return prng_next(prng) >> prng_below(prng, 64);
}

static void
random_conversions(void)
{
	static const char *const strings[] = { "", "a", "frame", "a somewhat longer string, %d" };
	struct prng prng;

	prng_seed(&prng, host_seed);
	for (unsigned i = 0; i < NR_FORMATS && !host_failed(); i++) {
		char ours[300], theirs[300];
		/* Small buffers too: the text is cut, the length is that of all of it. */
		size_t size = prng_below(&prng, 3) ? sizeof(ours) : prng_below(&prng, 20);
		struct conversion c;
		const char *string = strings[prng_below(&prng, ARRAY_SIZE(strings))];
		uint64_t value = dice_value(&prng);
		int ours_length, theirs_length;

		make_conversion(&prng, &c);
		memset(ours, '~', sizeof(ours));
		memset(theirs, '~', sizeof(theirs));
		ours_length = print_one((print_function)ksnprintf, ours, size, &c, value, string);
		theirs_length =
		    print_one((print_function)snprintf, theirs, size, &c, value, string);
		/* All of both buffers: nothing may be written behind the end either. */
		if (ours_length != theirs_length || memcmp(ours, theirs, sizeof(ours)) != 0)
			host_fail(__FILE__, __LINE__,
				  "\"%s\", width %d, precision %d of %#lx, \"%s\", size %zu: "
				  "\"%.*s\" (%d), but the C library has \"%.*s\" (%d)",
				  c.text, c.width, c.precision, value, string, size,
				  (int)MIN(size, 299), ours, ours_length, (int)MIN(size, 299),
				  theirs, theirs_length);
	}
}

/* Where the C library differs on purpose, or leaves it open. */
static void
own_ways(void)
{
	const char *volatile none = NULL; /* or the compiler sees the mistake and refuses */
	char text[64];

	CHECK_EQ(ksnprintf(text, sizeof(text), "%p", (void *)0), 3);
	CHECK_NAMES(text, "0x0");
	ksnprintf(text, sizeof(text), "%s", none);
	CHECK_NAMES(text, "(null)");
	CHECK_EQ(ksnprintf(text, sizeof(text), "%d%%, %s|%5c|", 50, "half", 'x'), 16);
	CHECK_NAMES(text, "50%, half|    x|");
	CHECK_EQ(ksnprintf(NULL, 0, "%100d", 1), 100);
}

HOST_SUITE(printf, { "random_conversions", random_conversions }, { "own_ways", own_ways });
