/* SPDX-License-Identifier: MIT */
/* Fuzzing caches and kmalloc(): any bytes are calls, run against the model. */
#include "../host.h"
#include "../slab_model.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *wrong = slab_run(data, size);

	if (wrong) {
		host_note("%s", wrong);
		fflush(stdout);
		abort();
	}
	return 0;
}
