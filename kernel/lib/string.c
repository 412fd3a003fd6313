/* SPDX-License-Identifier: MIT */
/*
 * Bytes and strings.
 *
 * The compiler itself emits calls of memcpy, memmove, memset and memcmp, so these four
 * must exist under these names in any freestanding program. The same liberty is a trap:
 * a compiler that recognises the loop inside memcpy() as "a memcpy" would replace it by
 * a call of itself. KEEP_LOOP() in the body makes the loop opaque to that analysis and
 * costs no instruction.
 *
 * Speed on an emulator is unlike speed on silicon. "rep movsb", the fastest copy on a
 * recent processor, runs at 26-45 MB/s under TCG, where every byte is one turn of an
 * emulated loop; plain 8-byte moves, eight to a turn, reach more than 1 GB/s. For filling,
 * "rep stosq" is the fastest of all (6 GB/s), and under -icount it counts one instruction
 * for 8 bytes.
 */
#include <string.h>

#define KEEP_LOOP() __asm__ volatile("" ::: "memory")

/* Eight bytes anywhere in memory, whatever type lives there. */
typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

#define WORD  sizeof(word_t)
#define BLOCK (8 * WORD)

/* All loads come before all stores, so the two blocks may overlap. */
static inline void
copy_block(char *dst, const char *src)
{
	const word_t *from = (const word_t *)src;
	word_t *to = (word_t *)dst;
	uint64_t w0 = from[0], w1 = from[1], w2 = from[2], w3 = from[3];
	uint64_t w4 = from[4], w5 = from[5], w6 = from[6], w7 = from[7];

	KEEP_LOOP();
	to[0] = w0, to[1] = w1, to[2] = w2, to[3] = w3;
	to[4] = w4, to[5] = w5, to[6] = w6, to[7] = w7;
}

/* Copy from the lowest address up: right unless dst lies inside [src, src + size). */
static inline void
copy_up(char *dst, const char *src, size_t size)
{
	for (; size >= BLOCK; size -= BLOCK, dst += BLOCK, src += BLOCK)
		copy_block(dst, src);
	for (; size >= WORD; size -= WORD, dst += WORD, src += WORD) {
		*(word_t *)dst = *(const word_t *)src;
		KEEP_LOOP();
	}
	for (; size > 0; size--) {
		*dst++ = *src++;
		KEEP_LOOP();
	}
}

/* Copy from the highest address down: right unless src lies inside [dst, dst + size). */
static inline void
copy_down(char *dst, const char *src, size_t size)
{
	for (; size >= BLOCK; size -= BLOCK)
		copy_block(dst + size - BLOCK, src + size - BLOCK);
	for (; size >= WORD; size -= WORD) {
		*(word_t *)(dst + size - WORD) = *(const word_t *)(src + size - WORD);
		KEEP_LOOP();
	}
	for (; size > 0; size--) {
		dst[size - 1] = src[size - 1];
		KEEP_LOOP();
	}
}

void *
memcpy(void *dst, const void *src, size_t size)
{
	copy_up(dst, src, size);
	return dst;
}

void *
memmove(void *dst, const void *src, size_t size)
{
	/* Unsigned: a dst below src wraps to a huge distance, and counts as "not inside". */
	if ((uintptr_t)dst - (uintptr_t)src >= size)
		copy_up(dst, src, size);
	else
		copy_down(dst, src, size);
	return dst;
}

void *
memset(void *dst, int byte, size_t size)
{
	uint64_t pattern = (unsigned char)byte * 0x0101010101010101ull;
	char *to = dst;
	size_t words = size / WORD;

	/* Setting "rep" up costs more than it saves on a few words. */
	if (words >= 8) {
		__asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
		size %= WORD;
	}
	for (; size >= WORD; size -= WORD, to += WORD) {
		*(word_t *)to = pattern;
		KEEP_LOOP();
	}
	for (; size > 0; size--) {
		*to++ = (char)byte;
		KEEP_LOOP();
	}
	return dst;
}

int
memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *p = a, *q = b;

	/* Skip equal words; the bytes of the first different one decide below. */
	for (; size >= WORD && *(const word_t *)p == *(const word_t *)q; size -= WORD) {
		p += WORD;
		q += WORD;
		KEEP_LOOP();
	}
	for (; size > 0; size--, p++, q++) {
		if (*p != *q)
			return *p - *q;
		KEEP_LOOP();
	}
	return 0;
}

size_t
strlen(const char *s)
{
	size_t length = 0;

	while (s[length]) {
		length++;
		KEEP_LOOP();
	}
	return length;
}

size_t
strnlen(const char *s, size_t max)
{
	size_t length = 0;

	while (length < max && s[length])
		length++;
	return length;
}

int
strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (unsigned char)*a - (unsigned char)*b;
}

int
strncmp(const char *a, const char *b, size_t max)
{
	for (; max > 0; max--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (!*a)
			break;
	}
	return 0;
}

char *
strchr(const char *s, int c)
{
	for (; *s != (char)c; s++) {
		if (!*s)
			return NULL;
	}
	return (char *)s;
}

size_t
strlcpy(char *dst, const char *src, size_t size)
{
	size_t length = strlen(src);

	if (size > 0) {
		size_t copied = MIN(length, size - 1);

		memcpy(dst, src, copied);
		dst[copied] = '\0';
	}
	return length;
}
