/* SPDX-License-Identifier: MIT */
/*
 * main() of a fuzz target where the compiler has no fuzzer. It takes the options of
 * libFuzzer that we use, and files; without coverage it only tries random bytes:
 *
 *	fuzz_buddy -runs=20000 -seed=1		that many inputs
 *	fuzz_buddy -max_total_time=30		as many as fit into that many seconds
 *	fuzz_buddy FILE...			run these inputs once
 */
#include <prng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIZE 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
long time(long *now); /* of the C library: the kernel's time.h has another purpose */

static uint8_t data[MAX_SIZE];

static int
run_file(const char *name)
{
	FILE *file = fopen(name, "rb");
	size_t size;

	if (!file) {
		fprintf(stderr, "%s: cannot be read\n", name);
		return 2;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	return 0;
}

int
main(int argc, char **argv)
{
	unsigned long runs = 0, seconds = 0, seed = 1, done = 0;
	long start = time(NULL);
	struct prng prng;

	for (int i = 1; i < argc; i++) {
		if (sscanf(argv[i], "-runs=%lu", &runs) == 1 ||
		    sscanf(argv[i], "-seed=%lu", &seed) == 1 ||
		    sscanf(argv[i], "-max_total_time=%lu", &seconds) == 1 || argv[i][0] == '-')
			continue;
		if (run_file(argv[i]) != 0)
			return 2;
	}
	prng_seed(&prng, seed);
	while (done < runs || (unsigned long)(time(NULL) - start) < seconds) {
		size_t size = prng_below(&prng, MAX_SIZE);

		for (size_t i = 0; i < size; i++)
			data[i] = (uint8_t)prng_next(&prng);
		LLVMFuzzerTestOneInput(data, size);
		done++;
	}
	printf("%lu random inputs\n", done);
	return 0;
}
