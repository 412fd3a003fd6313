/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing memory_map_normalise() against the oracle.
 *
 *	byte 0		where the window lies
 *	bytes 1 to 3	the limit, as an offset into the window
 *	then: 1 byte kind, 3 bytes start, 3 bytes end of each range; kinds past the last one
 *	make ranges that wrap
 */
#include "../host.h"
#include "../memory_map_oracle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WINDOW_SIZE (WINDOW_FRAMES * PAGE_SIZE)
#define RANGE_BYTES 7

static paddr_t
offset_at(const uint8_t *data)
{
	return ((paddr_t)data[0] << 16 | (paddr_t)data[1] << 8 | data[2]) % WINDOW_SIZE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const paddr_t bases[] = { 0, MiB(1), GiB(4), -WINDOW_SIZE };
	static struct memory_map map;
	struct window window;
	const char *wrong;

	if (size < 4)
		return 0;
	window.base = bases[data[0] % ARRAY_SIZE(bases)];
	/* 0: all of the window, as is most useful. */
	window.limit = window.base + (offset_at(data + 1) ? offset_at(data + 1) : WINDOW_SIZE - 1);
	data += 4;
	size -= 4;
	map.nr = map.nr_dropped = 0;
	for (; size >= RANGE_BYTES && map.nr < 64; data += RANGE_BYTES, size -= RANGE_BYTES) {
		unsigned kind = data[0] % (2 * (MEMORY_KERNEL + 1));
		paddr_t start = window.base + offset_at(data + 1);
		paddr_t end = window.base + offset_at(data + 4);
		bool wraps = kind > MEMORY_KERNEL;

		if ((end < start) != wraps) {
			paddr_t swap = start;

			start = end;
			end = swap;
		}
		memory_map_add(&map, start, end - start, kind % (MEMORY_KERNEL + 1));
	}
	wrong = check_normalise(&window, &map);
	if (!wrong)
		return 0;
	host_note("limit %#lx: %s", window.limit, wrong);
	for (unsigned i = 0; i < map.nr; i++)
		host_note("\t[%#lx, %#lx) %s", map.range[i].start, map.range[i].end,
			  memory_kind_name(map.range[i].kind));
	fflush(stdout);
	abort();
}
