/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing large objects: any bytes are a list of requests, good and bad.
 *
 *	byte 0		memory of the machine, 64 KiB more for each
 *	byte 1		one request for frames in so many fails; 0: none
 *	then 2 bytes an operation: its kind and object, and a size or an offset
 */
#include "../host.h"

#include <large_object.h>
#include <page_allocator.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NR_OBJECTS 8
#define MAX_OPS	   40

static uint8_t *object[NR_OBJECTS];
static size_t object_size[NR_OBJECTS];

static void
die(const char *what)
{
	host_note("%s", what);
	fflush(stdout);
	abort();
}

static void
call_free(void *address)
{
	large_free(address);
}

/* Freeing what is no object must panic and change nothing. */
static void
free_wrong(uint8_t *address)
{
	if (host_try(call_free, address, 1000))
		die("a wrong pointer was freed");
	if (__builtin_strncmp(host_message, "large: ", 7) != 0)
		die(host_message);
}

static void
make(unsigned i, unsigned bytes)
{
	object_size[i] = 1 + (size_t)bytes * 199;
	object[i] = large_alloc(object_size[i], bytes % 2 ? GFP_ZERO : GFP_KERNEL);
	if (!object[i])
		return;
	if (bytes % 2 && (object[i][0] || object[i][object_size[i] - 1]))
		die("not zeroed");
	object[i][0] = object[i][object_size[i] - 1] = (uint8_t)(i + 1);
}

static void
drop(unsigned i)
{
	if (object[i][0] != i + 1 || object[i][object_size[i] - 1] != i + 1)
		die("somebody else wrote there");
	if (large_size(object[i]) != object_size[i])
		die("wrong size");
	large_free(object[i]);
	object[i] = NULL;
}

static void
operate(unsigned kind, unsigned i, unsigned value)
{
	if (kind == 7)
		(void)large_flush();
	else if (!object[i])
		make(i, value);
	else if (kind == 6)
		free_wrong(object[i] + 1 + value * 67);
	else if (kind == 5)
		free_wrong(object[i] - 1 - value * 16);
	else
		drop(i);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t frames;

	if (size < 2)
		return 0;
	frames = host_start_machine(KiB(64) + data[0] % 16 * KiB(64));
	page_allocator_set_faults(data[1], 1);
	data += 2;
	size -= 2;
	for (unsigned nr = 0; size >= 2 && nr < MAX_OPS; data += 2, size -= 2, nr++) {
		operate(data[0] / NR_OBJECTS % 8, data[0] % NR_OBJECTS, data[1]);
		if (nr % 8 == 0 && large_check() != 0)
			die("the books are wrong");
	}
	for (unsigned i = 0; i < NR_OBJECTS; i++) {
		if (object[i])
			drop(i);
	}
	(void)large_flush();
	if (large_check() != 0 || mm_check() != 0 || page_allocator_nr_free() != frames)
		die("something is left");
	return 0;
}
