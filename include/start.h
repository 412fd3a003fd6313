/* SPDX-License-Identifier: MIT */
/*
 * Steps of the start that come with a later lab: kernel/main.c runs them once there are threads,
 * timers, interrupts and all CPUs.
 *
 *	START_STEP(files, fs_init, START_FILES);
 */
#ifndef IKOS_START_H
#define IKOS_START_H

#include <types.h>

enum start_rank {
	START_MEMORY, /* layers of the memory manager */
	START_BUSES,
	START_DEVICES,
	START_FILES,
	START_PROCESSES,
	NR_START_RANKS,
};

struct start_step {
	unsigned rank; /* enum start_rank */
	void (*run)(void);
};

#define START_STEP(ident, function, rank_)                                                         \
	static const struct start_step ident##_start __section("start_steps") = { rank_, function }

/*
 * Run the program that init= names, or /init of the initrd, and wait until it has ended.
 * Set by the lab that has programs; without it there is none. Returns when the console is to
 * take over.
 */
extern void (*run_first_program)(void);

#endif
