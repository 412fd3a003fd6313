/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader told us, in one plain form whichever loader it was.
 *
 * kernel/x86_64 fills this in before anything else runs; strings are copied, so the
 * loader's own memory may be reused.
 */
#ifndef IKOS_BOOTINFO_H
#define IKOS_BOOTINFO_H

#include <memory_map.h>
#include <types.h>

#define BOOT_MAX_MODULES 8
#define BOOT_CMDLINE_MAX 1024

struct boot_module {
	paddr_t start, end; /* [start, end) */
	char args[64];
};

struct boot_info {
	const char *loader; /* "PVH", "multiboot2" */
	char cmdline[BOOT_CMDLINE_MAX];
	paddr_t rsdp;	       /* physical address of the ACPI RSDP, 0 if unknown */
	struct memory_map map; /* as firmware gave it: any order, overlaps and all */
	struct boot_module modules[BOOT_MAX_MODULES];
	unsigned nr_modules;
};

extern struct boot_info boot_info;

/* Add what the loader has put into memory, as in use: the kernel, and all modules but one. */
void memory_map_add_loaded(struct memory_map *map, const struct boot_module *but);

#endif
