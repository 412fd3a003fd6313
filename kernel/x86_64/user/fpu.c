/* SPDX-License-Identifier: MIT */
/*
 * The floating-point and vector registers, which only programs use.
 *
 * The kernel is compiled without them, so an entry into the kernel need not save them; a switch
 * to another thread must. Each thread of a program has an area for them, in the processor's own
 * format. They are saved and loaded at every switch: to wait until a thread uses them (by a trap)
 * saves little, since the C library does so all the time, and has leaked registers of one
 * program to another (CVE-2018-3665).
 *
 *	offset 0     x87 and SSE registers, FCW, MXCSR: as FXSAVE stores them
 *	       512   header: which of the parts differ from their state after a reset
 *	       576   AVX and what else CPUID says, if there is XSAVE
 *
 * Protection keys (keys.c) are one of XSAVE's parts, too, but not one that is saved here: the
 * kernel needs the right ones while it copies for the program. They are in the frames of signals,
 * where programs look for them, far behind everything else.
 *
 * Sources: Intel SDM vol. 1, chapters 10.5 (FXSAVE) and 13 (XSAVE).
 */
#include <arch.h>
#include <memory_advanced.h>
#include <string.h>

#include "machine.h"

#define LEGACY_SIZE 512
#define HEADER_SIZE 64

#define FCW_DEFAULT   0x37f  /* all exceptions masked, 64 bits of precision */
#define MXCSR_DEFAULT 0x1f80 /* all exceptions masked */

#define CPUID_XSAVE (1u << 26) /* leaf 1, ECX */

/* Parts that are saved: x87, SSE, AVX; AVX-512 if all its three parts are there. */
#define XFEATURE_X87	1ul
#define XFEATURE_SSE	2ul
#define XFEATURE_AVX	4ul
#define XFEATURE_AVX512 0xe0ul
#define XFEATURE_KEYS	0x200ul

struct legacy_area {
	uint16_t fcw, fsw;
	uint8_t ftw, reserved;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t registers[480];
};
_Static_assert(sizeof(struct legacy_area) == LEGACY_SIZE, "the processor's layout");

struct xsave_header {
	uint64_t present; /* XSTATE_BV */
	uint64_t compact; /* XCOMP_BV: 0, this kernel has no use for that format */
	uint64_t reserved[6];
};

static uint64_t features;	 /* (c) that are saved; 0: FXSAVE only */
static uint64_t keys_feature;	 /* (c) XFEATURE_KEYS, if there are keys, or 0 */
static size_t keys_offset;	 /* (c) where they are in a frame */
static size_t frame_size;	 /* (c) of all that a frame has */
static size_t area_size;	 /* (c) */
static uint32_t mxcsr_mask;	 /* (c) bits of MXCSR that may be set */
static kmem_cache_t *area_cache; /* (c) */

static void
xsetbv(uint64_t value)
{
	__asm__ volatile("xsetbv" ::"c"(0), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

void
fpu_init_cpu(void)
{
	write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT | (features ? CR4_OSXSAVE : 0) |
		  (keys_feature ? CR4_PKE : 0));
	if (features)
		xsetbv(features | keys_feature);
	__asm__ volatile("fninit");
}

static uint64_t
wanted_features(void)
{
	struct cpuid_regs leaf = cpuid(1, 0);
	uint64_t offered, wanted = XFEATURE_X87 | XFEATURE_SSE;

	if (!(leaf.ecx & CPUID_XSAVE))
		return 0;
	leaf = cpuid(0xd, 0);
	offered = leaf.eax | (uint64_t)leaf.edx << 32;
	wanted |= offered & XFEATURE_AVX;
	if ((offered & XFEATURE_AVX512) == XFEATURE_AVX512 && (wanted & XFEATURE_AVX))
		wanted |= XFEATURE_AVX512;
	return wanted;
}

/* Which bits of MXCSR exist, FXSAVE tells; 0 stands for those of the first processors. */
static uint32_t
probe_mxcsr(void)
{
	static struct legacy_area probe __attribute__((aligned(16)));

	__asm__ volatile("fxsave64 %0" : "+m"(probe));
	return probe.mxcsr_mask ? probe.mxcsr_mask : 0xffbf;
}

/* Turn keys on, if the processor can save them. */
static void
init_keys(void)
{
	if (!cpu_has(CPU_PKU) || !features || !(cpuid(0xd, 0).eax & XFEATURE_KEYS))
		return;
	keys_feature = XFEATURE_KEYS;
	fpu_init_cpu();
	frame_size = cpuid(0xd, 0).ebx;
	keys_offset = cpuid(0xd, 9).ebx;
}

void
fpu_init(void)
{
	irqflags_t flags = arch_irq_save(); /* one CPU for all of this */

	features = wanted_features();
	fpu_init_cpu();
	/* How much the parts take that are turned on now. */
	area_size = frame_size = features ? cpuid(0xd, 0).ebx : LEGACY_SIZE;
	init_keys();
	mxcsr_mask = probe_mxcsr();
	arch_irq_restore(flags);
	area_cache = kmem_cache_create("fpu_area", area_size, 64, 0, NULL);
	if (!area_cache)
		panic("no memory for the cache of floating-point areas");
}

void
fpu_save(void *area)
{
	if (features)
		__asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(features), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

void
fpu_load(const void *area)
{
	if (features)
		__asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(features), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}

void
fpu_sanitize(void *area)
{
	struct legacy_area *legacy = area;
	struct xsave_header *header = (struct xsave_header *)((char *)area + LEGACY_SIZE);

	legacy->mxcsr &= mxcsr_mask;
	if (!features)
		return;
	header->present &= features;
	header->compact = 0;
	memset(header->reserved, 0, sizeof(header->reserved));
}

void
fpu_mark_legacy(void *area)
{
	struct xsave_header *header = (struct xsave_header *)((char *)area + LEGACY_SIZE);

	header->present = XFEATURE_X87 | XFEATURE_SSE;
}

size_t
fpu_area_size(void)
{
	return area_size;
}

uint64_t
fpu_features(void)
{
	return features | keys_feature;
}

size_t
fpu_frame_size(void)
{
	return frame_size;
}

size_t
fpu_keys_offset(void)
{
	return keys_offset;
}

/* Those of another frame, in its header: are there keys in it? */
bool
fpu_frame_has_keys(const void *area)
{
	const struct xsave_header *header =
	    (const struct xsave_header *)((const char *)area + LEGACY_SIZE);

	return header->present & keys_feature;
}

uint64_t
fpu_frame_present(const void *area)
{
	const struct xsave_header *header =
	    (const struct xsave_header *)((const char *)area + LEGACY_SIZE);

	return header->present | keys_feature;
}

void
fpu_area_reset(void *area)
{
	struct legacy_area *legacy = area;

	memset(area, 0, area_size);
	legacy->fcw = FCW_DEFAULT;
	legacy->mxcsr = MXCSR_DEFAULT;
}

void *
fpu_area_alloc(void)
{
	void *area = kmem_cache_alloc(area_cache, GFP_KERNEL);

	if (area)
		fpu_area_reset(area);
	return area;
}

void
fpu_area_free(void *area)
{
	kmem_cache_free(area_cache, area);
}
