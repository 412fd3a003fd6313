/* SPDX-License-Identifier: MIT */
/*
 * Normalising a memory map the naive way: one byte for each frame of a window.
 *
 * Everything in the input begins inside the window, and the limit lies inside it or at its
 * end, so that the window shows all of the result.
 */
#ifndef MEMORY_MAP_ORACLE_H
#define MEMORY_MAP_ORACLE_H

#include <memory_map.h>
#include <prng.h>

#define WINDOW_FRAMES 64

struct window {
	paddr_t base;  /* of the first frame */
	paddr_t limit; /* as given to memory_map_normalise() */
};

/* Make up a nasty map: unsorted, overlapping, empty, misaligned, wrapping. */
void nasty_map(struct prng *prng, struct window *window, struct memory_map *map);

/*
 * Normalise in and compare with the oracle. Returns NULL, or what is wrong; the text is
 * good until the next call.
 */
const char *check_normalise(const struct window *window, const struct memory_map *in);

#endif
