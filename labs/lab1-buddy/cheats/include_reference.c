/* SPDX-License-Identifier: MIT */
/* The solution, if it should lie about. */
#include "../labs/lab1-buddy/alternatives/bitmap/mm/buddy_allocator.c"
