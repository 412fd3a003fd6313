/* SPDX-License-Identifier: MIT */
/* Reading one edited line from the serial terminal, for console.c. */
#ifndef DEV_LINE_EDITOR_H
#define DEV_LINE_EDITOR_H

#include <types.h>

#define EDIT_MAX 256 /* bytes of a line, with its NUL */

/*
 * Print prompt and read a line into line, without its end. candidate(prefix, size, n) gives
 * the n-th word that may complete the first one, which so far is the size bytes at
 * prefix, or NULL. May sleep.
 */
void line_read(char line[EDIT_MAX], const char *prompt,
	       const char *(*candidate)(const char *prefix, size_t size, unsigned n));

#endif
