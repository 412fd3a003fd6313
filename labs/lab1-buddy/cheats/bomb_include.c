/* SPDX-License-Identifier: MIT */
/* A file that includes itself, twice. */
#include "buddy_allocator.c"
