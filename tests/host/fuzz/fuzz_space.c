/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing address spaces: any bytes are a list of calls and accesses, each compared with the model.
 *
 *	byte 0		bit 7: with huge pages; else one request for frames in so many fails, 0:
 *none then as many bytes for each operation as it has choices to make
 */
#include "../host.h"
#include "../space_mmu.h"

#include <page_allocator.h>
#include <slab.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MODEL_FAIL(...)                                                                            \
	do {                                                                                       \
		host_note(__VA_ARGS__);                                                            \
		fflush(stdout);                                                                    \
		abort();                                                                           \
	} while (0)

#include "../../kernel/space_model.h"

static struct model model;

static bool
with_huge(const uint8_t *data, size_t size)
{
	return size > 0 && (data[0] & 0x80);
}

static void
run(const uint8_t *data, size_t size)
{
	bool huge = with_huge(data, size);

	huge_pages = huge ? HUGE_ALWAYS : HUGE_ADVISED;
	if (!model_begin(&model, 1, huge ? UNIT : 1))
		MODEL_FAIL("no memory");
	model.input = data;
	if (size > 0) {
		model.input = data + 1;
		model.left = size - 1;
		model.shortage = (data[0] & 0x7f) != 0;
		page_allocator_set_faults(data[0] & 0x7f, size);
	}
	while (model.left > 0)
		model_step(&model);
	page_allocator_set_faults(0, 0);
	model_compare(&model);
	model_end(&model);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t before;

	(void)host_start_machine(with_huge(data, size) ? MiB(96) : MiB(16));
	host_mmu_reset();
	space_init();
	run(data, 0); /* what is kept from the first time on */
	(void)slab_reclaim(SIZE_MAX / 2);
	before = page_allocator_nr_free();
	run(data, size);
	(void)slab_reclaim(SIZE_MAX / 2);
	if (page_allocator_nr_free() != before)
		MODEL_FAIL("%ld frames are lost", (long)(before - page_allocator_nr_free()));
	return 0;
}
