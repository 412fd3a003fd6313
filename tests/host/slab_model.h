/* SPDX-License-Identifier: MIT */
/* Random calls of caches and kmalloc(), run against a model: tests/host/slab_model.c. */
#ifndef SLAB_MODEL_H
#define SLAB_MODEL_H

#include <types.h>

#define SLAB_OP_BYTES 5

/*
 * Read bytes as a level of protection and calls, and make them on a new machine. Returns NULL,
 * or what was wrong. Any bytes are valid.
 */
const char *slab_run(const uint8_t *bytes, size_t size);

#endif
