/* SPDX-License-Identifier: MIT */
/* Fuzzing a node: any bytes lay one out and call it. See zone_trace.c for what is checked. */
#include "../host.h"
#include "../zone_trace.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *wrong = zone_trace_run(data, size);

	if (wrong) {
		host_note("%s", wrong);
		fflush(stdout);
		abort();
	}
	return 0;
}
