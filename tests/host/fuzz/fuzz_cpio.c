/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the reader of archives: any bytes are an archive. Each entry lies inside of it, entries
 * do not overlap, and the reader comes to an end.
 */
#include "../../../kernel/fs/cpio.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int condition)
{
	if (!condition)
		abort();
}

static void
check_entry(const uint8_t *data, size_t size, const struct cpio_entry *entry, size_t from)
{
	const uint8_t *name = (const uint8_t *)entry->name;

	check(name >= data + from && entry->name_size < size);
	check(name + entry->name_size < data + size && name[entry->name_size] == 0);
	check(entry->data >= name + entry->name_size + 1);
	check(entry->size <= (size_t)(data + size - entry->data));
}

/*
 * Most random bytes are no header: the first bit of the input says whether the magic numbers and
 * sizes are put right where the reader looks for them.
 */
static void
mend_header(uint8_t *data, size_t size, size_t at)
{
	static const char digits[] = "0123456789abcdef";

	if (size - at < HEADER_SIZE)
		return;
	memcpy(data + at, "070701", 6);
	for (size_t i = at + 6; i < at + HEADER_SIZE; i++) {
		/* Upper digits of sizes are mostly 0, so that they are small enough. */
		size_t place = (i - at - 6) % 8;

		data[i] = place < 6 && data[i] < 0xf0 ? '0' : (uint8_t)digits[data[i] % 16];
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cpio_reader reader;
	struct cpio_entry entry;
	uint8_t *copy = malloc(size + 1);
	size_t from = 0;
	int result;

	memcpy(copy, data, size);
	cpio_begin(&reader, copy, size);
	for (;;) {
		if (size > 0 && data[0] & 1 && reader.at < size)
			mend_header(copy, size, reader.at);
		result = cpio_next(&reader, &entry);
		if (result <= 0)
			break;
		check_entry(copy, size, &entry, from);
		check(reader.at > from && reader.at <= size);
		from = reader.at;
	}
	check(result == 0 || reader.problem != NULL);
	free(copy);
	return 0;
}
