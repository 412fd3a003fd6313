/* SPDX-License-Identifier: MIT */
/*
 * The physical memory map: first as firmware gave it, then normalised.
 * See mm/memory_map.c for what normalising means.
 */
#ifndef IKOS_MEMORY_MAP_H
#define IKOS_MEMORY_MAP_H

#include <types.h>

#define MEMORY_MAP_MAX 256

/* In rising strength: where ranges overlap, the strongest kind wins. */
enum memory_kind {
	MEMORY_USABLE,
	MEMORY_ACPI_RECLAIM, /* ACPI tables: free once they have been read */
	MEMORY_ACPI_NVS,
	MEMORY_RESERVED,
	MEMORY_BAD,
	MEMORY_KERNEL, /* the kernel image, modules, boot data: used from the start */
};

struct memory_range {
	paddr_t start, end; /* bytes, [start, end) */
	enum memory_kind kind;
};

struct memory_map {
	struct memory_range range[MEMORY_MAP_MAX];
	unsigned nr;
	unsigned nr_dropped; /* ranges that did not fit */
};

/* Append a range. What cannot be stored is counted in nr_dropped. */
void memory_map_add(struct memory_map *map, paddr_t start, paddr_t length, enum memory_kind kind);

/* Why parts of a firmware map were ignored or changed. */
struct memory_map_report {
	unsigned empty;	     /* ranges of length zero */
	unsigned wrapped;    /* ranges past the end of the address space, cut there */
	unsigned overlaps;   /* pairs of firmware ranges of different kinds that overlap */
	unsigned misaligned; /* usable ranges trimmed to whole frames */
	unsigned dropped;    /* ranges that did not fit the table */
};

/*
 * Write to out the ranges of in, sorted, disjoint, adjacent ones of one kind joined,
 * usable ones trimmed inwards and all others outwards to whole frames, nothing above
 * limit. Returns 0, or -EINVAL when no usable memory is left (out is then empty).
 */
int memory_map_normalise(const struct memory_map *in, struct memory_map *out, paddr_t limit,
			 struct memory_map_report *report);

/* Does the map satisfy everything that memory_map_normalise() promises? For tests. */
bool memory_map_is_normal(const struct memory_map *map);

const char *memory_kind_name(enum memory_kind kind);

#endif
