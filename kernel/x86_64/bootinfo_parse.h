/* SPDX-License-Identifier: MIT */
/* Boot loaders' information, as bytes. */
#ifndef X86_BOOTINFO_PARSE_H
#define X86_BOOTINFO_PARSE_H

#include <bootinfo.h>
#include <types.h>

/* What boot.S finds in EAX, or puts there. */
#define BOOT_MAGIC_MULTIBOOT2 0x36d76289u
#define BOOT_MAGIC_PVH	      0x336ec578u

/*
 * Read what the loader left at physical address info, where memory holds physical memory
 * [0, size). Nothing outside of it is read, whatever the bytes are. Fills in *out, zeroed
 * by the caller. out->rsdp is where the loader has the RSDP or a copy.
 *
 * Returns 0; -EINVAL if something was damaged or -E2BIG if there was more than *out can
 * hold: *out then has what could be read.
 */
int bootinfo_parse_multiboot2(const void *memory, uint64_t size, paddr_t info,
			      struct boot_info *out) __must_check;
int bootinfo_parse_pvh(const void *memory, uint64_t size, paddr_t info, struct boot_info *out)
    __must_check;

#endif
