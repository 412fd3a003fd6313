/* SPDX-License-Identifier: MIT */
/* Frames for allocators under test: kernel/test/test_arena.c. */
#ifndef IKOS_TEST_ARENA_H
#define IKOS_TEST_ARENA_H

#include <ktest.h>
#include <page_frame.h>
#include <types.h>

/* Set the arena aside if tests or benchmarks were asked for; while the boot allocator lives. */
void test_arena_init(void);

/*
 * nr_frames frames, whole largest blocks aligned to that, all PAGE_RESERVED; the same ones
 * at every call, so what a case before made there is gone. Empty when there is too little
 * memory; test_arena_get() ends the case as skipped then.
 */
struct frame_range test_arena_frames(size_t nr_frames);
struct frame_range test_arena_get(struct ktest *t, size_t nr_frames);

/* The runner calls it before each case, and when the console's "test" or "bench" is done. */
void test_arena_reset(void);

#endif
