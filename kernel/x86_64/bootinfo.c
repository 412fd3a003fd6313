/* SPDX-License-Identifier: MIT */
/*
 * Reading what the boot loader left in memory.
 *
 * A loader is not trusted to be right: every access goes through window_at(), which checks
 * it against the memory there is, and every loop moves forward by a size that was checked
 * to be large enough. Damage inside one item costs that item; damage to an item's size ends
 * the walk, for nothing after it can be found.
 *
 *	multiboot2:  info -> u32 total_size, u32 0, tag, tag, ... end tag
 *	             tag  =  u32 type, u32 size, payload; the next one 8-byte aligned
 *	PVH:         info -> struct hvm_start_info, with physical addresses of the command
 *	             line, the module list and the memory map
 *
 * Both give memory ranges as E820 types.
 *
 * Sources: Multiboot2 Specification 2.0, 3.6; xen/include/public/arch-x86/hvm/start_info.h.
 */
#include <errno.h>
#include <string.h>

#include "bootinfo_parse.h"

struct window {
	const uint8_t *memory; /* physical memory [0, size) */
	uint64_t size;
};

/* The bytes [address, address + length), or NULL if they are not all there. */
static const void *
window_at(const struct window *w, paddr_t address, uint64_t length)
{
	if (address > w->size || length > w->size - address)
		return NULL;
	return w->memory + address;
}

/*
 * Copy a string that lies in [address, end) into to, which has room for size bytes.
 * Returns 0, -EINVAL if it does not end there, or -E2BIG if it was cut.
 */
static int
copy_string(const struct window *w, paddr_t address, paddr_t end, char *to, size_t size)
{
	const char *from = address <= end ? window_at(w, address, end - address) : NULL;

	if (!from || strnlen(from, end - address) == end - address)
		return -EINVAL;
	return strlcpy(to, from, size) < size ? 0 : -E2BIG;
}

static enum memory_kind
kind_of_e820(uint32_t type)
{
	switch (type) {
	case 1:
		return MEMORY_USABLE;
	case 3:
		return MEMORY_ACPI_RECLAIM;
	case 4:
		return MEMORY_ACPI_NVS;
	case 5:
		return MEMORY_BAD;
	default:
		return MEMORY_RESERVED;
	}
}

static void
add_range(struct boot_info *out, paddr_t start, uint64_t length, uint32_t type)
{
	if (type == 0) /* padding at the end of some maps */
		return;
	memory_map_add(&out->map, start, length, kind_of_e820(type));
}

/* Begin a module. Returns it, or NULL when there is no room or it ends before it starts. */
static struct boot_module *
add_module(struct boot_info *out, paddr_t start, paddr_t end, int *error)
{
	struct boot_module *module = &out->modules[out->nr_modules];

	if (end < start) {
		*error = -EINVAL;
		return NULL;
	}
	if (out->nr_modules == BOOT_MAX_MODULES) {
		*error = -E2BIG;
		return NULL;
	}
	out->nr_modules++;
	module->start = start;
	module->end = end;
	return module;
}

/* ---- multiboot2 ----------------------------------------------------------- */

enum mb2_tag_type {
	MB2_END = 0,
	MB2_CMDLINE = 1,
	MB2_MODULE = 3,
	MB2_MEMORY_MAP = 6,
	MB2_RSDP_1 = 14, /* ACPI 1.0 */
	MB2_RSDP_2 = 15, /* ACPI 2.0 and later */
};

struct mb2_tag {
	uint32_t type, size;
};

struct mb2_module {
	struct mb2_tag tag;
	uint32_t start, end; /* then the string */
};

struct mb2_memory_map {
	struct mb2_tag tag;
	uint32_t entry_size, entry_version; /* then the entries */
};

struct mb2_memory_entry {
	uint64_t start, length;
	uint32_t type, reserved;
};

static int
mb2_module(const struct window *w, paddr_t at, paddr_t end, struct boot_info *out)
{
	const struct mb2_module *tag = window_at(w, at, sizeof(*tag));
	struct boot_module *module;
	int error = 0;

	if (!tag || end - at < sizeof(*tag))
		return -EINVAL;
	module = add_module(out, tag->start, tag->end, &error);
	if (!module)
		return error;
	return copy_string(w, at + sizeof(*tag), end, module->args, sizeof(module->args));
}

static int
mb2_memory_map(const struct window *w, paddr_t at, paddr_t end, struct boot_info *out)
{
	const struct mb2_memory_map *tag = window_at(w, at, sizeof(*tag));
	const struct mb2_memory_entry *entry;

	if (!tag || end - at < sizeof(*tag) || tag->entry_size < sizeof(*entry))
		return -EINVAL;
	for (at += sizeof(*tag); end - at >= tag->entry_size; at += tag->entry_size) {
		entry = window_at(w, at, sizeof(*entry));
		if (!entry)
			return -EINVAL;
		add_range(out, entry->start, entry->length, entry->type);
	}
	return at == end ? 0 : -EINVAL;
}

/* Take in the tag that lies in [at, end). */
static int
mb2_tag(const struct window *w, uint32_t type, paddr_t at, paddr_t end, struct boot_info *out)
{
	paddr_t payload = at + sizeof(struct mb2_tag);

	switch (type) {
	case MB2_CMDLINE:
		return copy_string(w, payload, end, out->cmdline, sizeof(out->cmdline));
	case MB2_MODULE:
		return mb2_module(w, at, end, out);
	case MB2_MEMORY_MAP:
		return mb2_memory_map(w, at, end, out);
	case MB2_RSDP_1:
		if (!out->rsdp)
			out->rsdp = payload;
		return 0;
	case MB2_RSDP_2: /* knows 64-bit tables: preferred whichever comes first */
		out->rsdp = payload;
		return 0;
	default:
		return 0;
	}
}

int
bootinfo_parse_multiboot2(const void *memory, uint64_t size, paddr_t info, struct boot_info *out)
{
	struct window w = { memory, size };
	const uint32_t *total_size = window_at(&w, info, 2 * sizeof(uint32_t));
	paddr_t at = info + 2 * sizeof(uint32_t), end;
	int result = 0;

	out->loader = "multiboot2";
	if (!total_size || !window_at(&w, info, *total_size))
		return -EINVAL;
	end = info + *total_size;

	while (at < end && end - at >= sizeof(struct mb2_tag)) {
		const struct mb2_tag *tag = window_at(&w, at, sizeof(*tag));
		int error;

		if (tag->size < sizeof(*tag) || tag->size > end - at)
			return -EINVAL;
		if (tag->type == MB2_END)
			return result;
		error = mb2_tag(&w, tag->type, at, at + tag->size, out);
		if (error)
			result = error;
		at += ALIGN_UP((uint64_t)tag->size, 8);
	}
	return -EINVAL; /* no end tag */
}

/* ---- PVH ------------------------------------------------------------------ */

struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp; /* physical addresses */
	uint64_t memory_map;		 /* from version 1 on */
	uint32_t nr_memory_map, reserved;
};

struct pvh_module {
	uint64_t start, size, cmdline, reserved;
};

struct pvh_memory_entry {
	uint64_t start, length;
	uint32_t type, reserved;
};

static int
pvh_module(const struct window *w, const struct pvh_module *entry, struct boot_info *out)
{
	struct boot_module *module;
	int error = 0;

	module = add_module(out, entry->start, entry->start + entry->size, &error);
	if (!module || !entry->cmdline)
		return error;
	return copy_string(w, entry->cmdline, w->size, module->args, sizeof(module->args));
}

static int
pvh_modules(const struct window *w, const struct pvh_start_info *start, struct boot_info *out)
{
	int result = 0;

	for (uint64_t i = 0; i < start->nr_modules; i++) {
		const struct pvh_module *entry =
		    window_at(w, start->modules + i * sizeof(*entry), sizeof(*entry));
		int error = entry ? pvh_module(w, entry, out) : -EINVAL;

		if (error)
			result = error;
		if (!entry || error == -E2BIG)
			break;
	}
	return result;
}

static int
pvh_memory_map(const struct window *w, const struct pvh_start_info *start, struct boot_info *out)
{
	for (uint64_t i = 0; i < start->nr_memory_map; i++) {
		const struct pvh_memory_entry *entry =
		    window_at(w, start->memory_map + i * sizeof(*entry), sizeof(*entry));

		if (!entry)
			return -EINVAL;
		add_range(out, entry->start, entry->length, entry->type);
	}
	return 0;
}

int
bootinfo_parse_pvh(const void *memory, uint64_t size, paddr_t info, struct boot_info *out)
{
	struct window w = { memory, size };
	const struct pvh_start_info *start = window_at(&w, info, sizeof(*start));
	int errors[3] = { 0 };

	out->loader = "PVH";
	if (!start || start->magic != BOOT_MAGIC_PVH || start->version < 1)
		return -EINVAL;
	out->rsdp = start->rsdp;
	if (start->cmdline)
		errors[0] =
		    copy_string(&w, start->cmdline, size, out->cmdline, sizeof(out->cmdline));
	errors[1] = pvh_modules(&w, start, out);
	errors[2] = pvh_memory_map(&w, start, out);
	for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
		if (errors[i])
			return errors[i];
	}
	return 0;
}
