/* SPDX-License-Identifier: MIT */
/* What the subjects of IKOS share: one machine. */
#ifndef HOST_BENCH_IKOS_H
#define HOST_BENCH_IKOS_H

#include <stdint.h>

/* Start the memory manager, once. */
void ikos_start(void);

/* Bytes in use since then, with the pages of the frames. */
uint64_t ikos_used(void);

#endif
