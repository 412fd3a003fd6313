/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing ranges and their gaps against a map of single units.
 *
 * Each operation is 3 bytes: kind, place or range, size. Kind 0 and 1 occupy the lowest gap,
 * 2 the place if it is free, 3 frees a range.
 */
#include "../host.h"

#include <range_tree.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNITS 256

static struct range_tree ranges;
static struct range range[UNITS];
static struct range *owner[UNITS]; /* of each unit */

static void
die(const char *what, unsigned number)
{
	host_note("operation %u: %s", number, what);
	fflush(stdout);
	abort();
}

static bool
is_free(size_t start, size_t size)
{
	if (start + size > UNITS)
		return false;
	for (size_t i = start; i < start + size; i++) {
		if (owner[i])
			return false;
	}
	return true;
}

static void
occupy(size_t start, size_t size)
{
	struct range *one = &range[start]; /* no other begins there */

	range_insert(&ranges, one, start, start + size);
	for (size_t i = start; i < start + size; i++)
		owner[i] = one;
}

static void
release(struct range *one)
{
	for (size_t i = one->node.key; i < one->end; i++)
		owner[i] = NULL;
	range_erase(&ranges, one);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	range_tree_init(&ranges, 0, UNITS);
	memset(owner, 0, sizeof(owner));
	for (unsigned number = 0; size >= 3; data += 3, size -= 3, number++) {
		size_t length = 1 + data[2] % (data[2] < 200 ? 16 : UNITS), expected = 0;
		uint64_t start = 0;
		bool found = range_lowest_gap(&ranges, length, &start);

		while (expected < UNITS && !is_free(expected, length))
			expected++;
		if (found != (expected < UNITS) || (found && start != expected))
			die("wrong gap", number);
		if (range_find(&ranges, data[1]) != owner[data[1]])
			die("wrong range at an address", number);
		if (data[0] % 4 < 2 && found)
			occupy(start, length);
		else if (data[0] % 4 == 2 && is_free(data[1], length))
			occupy(data[1], length);
		else if (data[0] % 4 == 3 && owner[data[1]])
			release(owner[data[1]]);
		if (range_tree_check(&ranges) != 0)
			die("the tree contradicts itself", number);
	}
	return 0;
}
