/* SPDX-License-Identifier: MIT */
/*
 * Formatted text: the conversions of C99 7.19.6.1, without floating point.
 *
 * A conversion is read into a struct spec; its value is then laid out as
 *
 *	[blanks] [sign or base prefix] [zeros] [digits] [blanks]
 *	|<---------------------- width --------------------->|
 *
 * and each part handed to a write function, so nothing is ever too long for a buffer
 * in here. The file touches nothing but its arguments: it is callable in any context,
 * and is tested natively against the C library as well as in the kernel.
 *
 * Left out: floating point, %n (a well-known hole), wide characters, positional
 * arguments. An unknown conversion is copied to the output as it stands.
 */
#include <limits.h>
#include <printk.h>
#include <string.h>

enum length { LENGTH_INT, LENGTH_CHAR, LENGTH_SHORT, LENGTH_LONG };

struct spec {
	bool left, zero, alt, plus, blank;
	int width;
	int precision; /* -1: none given */
	enum length length;
};

struct format {
	void (*write)(void *context, const char *text, size_t size);
	void *context;
	size_t total; /* bytes written so far */
	va_list ap;
};

static void
emit(struct format *f, const char *text, size_t size)
{
	if (size > 0)
		f->write(f->context, text, size);
	f->total += size;
}

static void
emit_repeated(struct format *f, char c, int count)
{
	char run[32];

	if (count <= 0)
		return;
	memset(run, c, sizeof(run));
	for (; count > (int)sizeof(run); count -= (int)sizeof(run))
		emit(f, run, sizeof(run));
	emit(f, run, (size_t)count);
}

/* Lay out prefix, zeros and body in the field that spec asks for. */
static void
emit_field(struct format *f, const struct spec *spec, const char *prefix, int zeros,
	   const char *body, int size)
{
	int prefix_size = (int)strlen(prefix);
	/* 64 bits: a precision close to INT_MAX must not overflow the sum. */
	long used = (long)prefix_size + zeros + size;
	int pad = spec->width > used ? (int)(spec->width - used) : 0;

	if (!spec->left)
		emit_repeated(f, ' ', pad);
	emit(f, prefix, (size_t)prefix_size);
	emit_repeated(f, '0', zeros);
	emit(f, body, (size_t)size);
	if (spec->left)
		emit_repeated(f, ' ', pad);
}

/* Write value's digits so that they end before end. Returns where they start. */
static char *
digits_before(char *end, uint64_t value, unsigned base, const char *alphabet)
{
	for (; value > 0; value /= base)
		*--end = alphabet[value % base];
	return end;
}

static void
emit_number(struct format *f, const struct spec *spec, uint64_t value, const char *prefix,
	    char conversion)
{
	char buf[24]; /* 2^64 has 22 octal digits */
	char *end = buf + sizeof(buf);
	unsigned base = conversion == 'o' ? 8 : conversion == 'x' || conversion == 'X' ? 16 : 10;
	const char *alphabet = conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	char *start = digits_before(end, value, base, alphabet);
	int size = (int)(end - start);
	int least = 1; /* digits */
	int zeros;

	if (spec->precision >= 0)
		least = spec->precision; /* C99: value 0 at precision 0 has no digit */
	else if (spec->zero && !spec->left)
		least = MAX(spec->width - (int)strlen(prefix), 1);
	zeros = MAX(least - size, 0);
	/* "#o" makes the first digit a zero by raising the precision. */
	if (conversion == 'o' && spec->alt && zeros == 0)
		zeros = 1;
	emit_field(f, spec, prefix, zeros, start, size);
}

/* Fetch the argument of a signed conversion and print it. */
static void
emit_signed(struct format *f, const struct spec *spec)
{
	int64_t value;
	const char *prefix;

	if (spec->length == LENGTH_LONG)
		value = va_arg(f->ap, long);
	else
		value = va_arg(f->ap, int);
	if (spec->length == LENGTH_CHAR)
		value = (signed char)value;
	else if (spec->length == LENGTH_SHORT)
		value = (short)value;

	prefix = value < 0 ? "-" : spec->plus ? "+" : spec->blank ? " " : "";
	/* Negating as unsigned is defined for the most negative number too. */
	emit_number(f, spec, value < 0 ? -(uint64_t)value : (uint64_t)value, prefix, 'd');
}

static void
emit_unsigned(struct format *f, const struct spec *spec, char conversion)
{
	uint64_t value;
	const char *prefix = "";

	if (spec->length == LENGTH_LONG)
		value = va_arg(f->ap, unsigned long);
	else
		value = va_arg(f->ap, unsigned);
	if (spec->length == LENGTH_CHAR)
		value = (unsigned char)value;
	else if (spec->length == LENGTH_SHORT)
		value = (unsigned short)value;

	if (spec->alt && value != 0 && conversion != 'o')
		prefix = conversion == 'x' ? "0x" : conversion == 'X' ? "0X" : "";
	emit_number(f, spec, value, prefix, conversion);
}

/* A precision bounds how far s is read: it then need not end in a NUL. */
static void
emit_string(struct format *f, const struct spec *spec, const char *s)
{
	size_t max = spec->precision >= 0 ? (size_t)spec->precision : INT_MAX;

	if (!s)
		s = "(null)";
	emit_field(f, spec, "", 0, s, (int)strnlen(s, max));
}

/* Read decimal digits at *p; a number too large for an int becomes INT_MAX. */
static int
read_int(const char **p)
{
	int value = 0;

	for (; **p >= '0' && **p <= '9'; (*p)++) {
		int digit = **p - '0';

		value = value > (INT_MAX - digit) / 10 ? INT_MAX : value * 10 + digit;
	}
	return value;
}

static const char *
read_flags(const char *p, struct spec *spec)
{
	for (;; p++) {
		switch (*p) {
		case '-':
			spec->left = true;
			break;
		case '0':
			spec->zero = true;
			break;
		case '#':
			spec->alt = true;
			break;
		case '+':
			spec->plus = true;
			break;
		case ' ':
			spec->blank = true;
			break;
		default:
			return p;
		}
	}
}

static const char *
read_width(struct format *f, const char *p, struct spec *spec)
{
	if (*p == '*') {
		int width = va_arg(f->ap, int);

		/* C99: a negative width is the flag "-" and a positive width. */
		if (width < 0)
			spec->left = true;
		spec->width = width < -INT_MAX ? INT_MAX : width < 0 ? -width : width;
		return p + 1;
	}
	spec->width = read_int(&p);
	return p;
}

static const char *
read_precision(struct format *f, const char *p, struct spec *spec)
{
	spec->precision = -1;
	if (*p != '.')
		return p;
	p++;
	if (*p == '*') {
		int precision = va_arg(f->ap, int);

		/* C99: a negative precision counts as none. */
		spec->precision = precision < 0 ? -1 : precision;
		return p + 1;
	}
	spec->precision = read_int(&p);
	return p;
}

/* On this machine l, ll, z and t all name 64 bits. */
static const char *
read_length(const char *p, struct spec *spec)
{
	spec->length = LENGTH_INT;
	switch (*p) {
	case 'h':
		spec->length = p[1] == 'h' ? LENGTH_CHAR : LENGTH_SHORT;
		return p + (p[1] == 'h' ? 2 : 1);
	case 'l':
		spec->length = LENGTH_LONG;
		return p + (p[1] == 'l' ? 2 : 1);
	case 'z':
	case 't':
		spec->length = LENGTH_LONG;
		return p + 1;
	default:
		return p;
	}
}

/* Convert what starts at the '%' at p. Returns where the next text starts. */
static const char *
convert(struct format *f, const char *p)
{
	const char *start = p;
	struct spec spec = { 0 };
	char c;

	p = read_flags(p + 1, &spec);
	p = read_width(f, p, &spec);
	p = read_precision(f, p, &spec);
	p = read_length(p, &spec);

	switch (*p) {
	case 'd':
	case 'i':
		emit_signed(f, &spec);
		break;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		emit_unsigned(f, &spec, *p);
		break;
	case 'p':
		emit_number(f, &spec, (uintptr_t)va_arg(f->ap, void *), "0x", 'x');
		break;
	case 's':
		emit_string(f, &spec, va_arg(f->ap, const char *));
		break;
	case 'c':
		c = (char)va_arg(f->ap, int);
		emit_field(f, &spec, "", 0, &c, 1);
		break;
	case '%':
		emit(f, "%", 1);
		break;
	case '\0':
		emit(f, start, (size_t)(p - start));
		return p;
	default:
		emit(f, start, (size_t)(p - start) + 1);
		break;
	}
	return p + 1;
}

int
kformat(void (*write)(void *context, const char *text, size_t size), void *context, const char *fmt,
	va_list ap)
{
	struct format f = { .write = write, .context = context };
	const char *p = fmt;

	va_copy(f.ap, ap);
	while (*p) {
		const char *start = p;

		while (*p && *p != '%')
			p++;
		emit(&f, start, (size_t)(p - start));
		if (*p)
			p = convert(&f, p);
	}
	va_end(f.ap);
	return f.total > INT_MAX ? INT_MAX : (int)f.total;
}

struct buffer {
	char *data;
	size_t size, used; /* used counts no NUL and stays below size */
};

static void
buffer_write(void *context, const char *text, size_t size)
{
	struct buffer *buffer = context;
	size_t copied;

	if (buffer->size == 0)
		return;
	copied = MIN(size, buffer->size - 1 - buffer->used);
	memcpy(buffer->data + buffer->used, text, copied);
	buffer->used += copied;
}

int
kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct buffer buffer = { .data = buf, .size = size };
	int length = kformat(buffer_write, &buffer, fmt, ap);

	if (size > 0)
		buf[buffer.used] = '\0';
	return length;
}

int
ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int length;

	va_start(ap, fmt);
	length = kvsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return length;
}
