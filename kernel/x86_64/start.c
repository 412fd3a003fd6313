/* SPDX-License-Identifier: MIT */
/*
 * The first C that runs, on the boot page tables: the boot CPU's own state, the serial line,
 * and what the boot loader knows, copied out of the loader's memory before that is reused.
 */
#include <bootinfo.h>
#include <page.h>
#include <panic.h>
#include <printk.h>
#include <serial.h>
#include <string.h>

#include "bootinfo_parse.h"
#include "x86.h"

#define RSDP_SIZE 36

struct boot_info boot_info;
uint64_t boot_cycles;

/*
 * GRUB hands over a copy of the RSDP that lies in memory which is free for use. Ours is in
 * the kernel image.
 */
static uint8_t rsdp_copy[RSDP_SIZE];

static void
keep_rsdp(void)
{
	if (!boot_info.rsdp || boot_info.rsdp > BOOT_MAP_END - RSDP_SIZE)
		return;
	memcpy(rsdp_copy, phys_to_virt(boot_info.rsdp), RSDP_SIZE);
	boot_info.rsdp = (uintptr_t)rsdp_copy - KERNEL_BASE;
}

static void
read_bootinfo(uint32_t magic, paddr_t info)
{
	const void *memory = phys_to_virt(0);
	int error;

	switch (magic) {
	case BOOT_MAGIC_MULTIBOOT2:
		error = bootinfo_parse_multiboot2(memory, BOOT_MAP_END, info, &boot_info);
		break;
	case BOOT_MAGIC_PVH:
		error = bootinfo_parse_pvh(memory, BOOT_MAP_END, info, &boot_info);
		break;
	default:
		panic("started by an unknown boot loader (magic %#x): use multiboot2 or PVH",
		      magic);
	}
	if (error)
		kprintf("boot: what %s says is damaged or too long; using what could be read\n",
			boot_info.loader);
	keep_rsdp();
}

/* Entered from boot.S, on the boot CPU's stack, interrupts off. */
_Noreturn void x86_start(uint32_t magic, uint32_t info);

_Noreturn void
x86_start(uint32_t magic, uint32_t info)
{
	boot_cycles = arch_cycles();
	serial_init_early();
	cpu_features_probe();
	boot_cpu_stacks_init();
	idt_init();
	x86_cpu_init(0);
	read_bootinfo(magic, info);
	kernel_main();
}
