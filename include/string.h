/* SPDX-License-Identifier: MIT */
/* Bytes and strings, as in the C library: see kernel/lib/string.c. */
#ifndef IKOS_STRING_H
#define IKOS_STRING_H

#include <types.h>

void *memcpy(void *dst, const void *src, size_t size);
void *memmove(void *dst, const void *src, size_t size);
void *memset(void *dst, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

size_t strlen(const char *s);
/* Length of s, or max when the first max bytes hold no NUL; reads no further. */
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);

/*
 * Copy src into dst of size bytes, cut to fit and always ended by a NUL (unless size is
 * 0). Returns strlen(src): a result of size or more means that it was cut.
 */
size_t strlcpy(char *dst, const char *src, size_t size);

#endif
