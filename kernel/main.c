/* SPDX-License-Identifier: MIT */
/*
 * The order in which the kernel comes up.
 *
 * Each step may use what the steps above it set up, and nothing else. None allocates from
 * the memory manager: whatever boot needs comes from the boot allocator, so a kernel
 * whose allocator is broken or not written yet still reaches its tests.
 *
 * Meanwhile the watchdog runs: a boot that hangs ends in a panic that says where.
 */
#include <acpi.h>
#include <bench.h>
#include <boot_allocator.h>
#include <bootinfo.h>
#include <cmdline.h>
#include <console.h>
#include <evidence.h>
#include <irq.h>
#include <ktest.h>
#include <memory_advanced.h>
#include <panic.h>
#include <printk.h>
#include <sched.h>
#include <serial.h>
#include <smp.h>
#include <start.h>
#include <test_arena.h>
#include <time.h>
#include <timer.h>
#include <trace.h>
#include <watchdog.h>

#include "x86_64/ipi.h"
#include "x86_64/x86.h"

#define BOOT_BUDGET_NS (10 * NSEC_PER_SEC)

static struct memory_map firmware_map; /* normalised, then what is in use is added */
static struct memory_map memory_map;   /* normalised again */

static void
report_map_damage(const struct memory_map_report *report)
{
	if (report->wrapped || report->overlaps || report->dropped)
		kprintf("memory: the firmware's map is damaged: %u ranges wrap around, %u pairs "
			"overlap, %u did not fit\n",
			report->wrapped, report->overlaps, report->dropped);
}

void
memory_map_add_loaded(struct memory_map *map, const struct boot_module *but)
{
	uintptr_t image = (uintptr_t)image_phys_start;

	memory_map_add(map, image, (uintptr_t)image_phys_end - image, MEMORY_KERNEL);
	for (unsigned i = 0; i < boot_info.nr_modules; i++) {
		const struct boot_module *module = &boot_info.modules[i];

		if (module != but)
			memory_map_add(map, module->start, module->end - module->start,
				       MEMORY_KERNEL);
	}
}

/*
 * What the loader put into memory is in use. It is added to the normalised map, where there
 * is room for it, however long a list the firmware made.
 */
static void
read_memory_map(void)
{
	struct memory_map_report report;

	if (memory_map_normalise(&boot_info.map, &firmware_map, DIRECT_MAP_SIZE, &report))
		panic("boot: %s names no usable memory", boot_info.loader);
	report_map_damage(&report);

	memory_map_add_loaded(&firmware_map, NULL);
	if (firmware_map.nr_dropped > 0)
		panic("boot: the memory map has too many ranges");
	if (memory_map_normalise(&firmware_map, &memory_map, DIRECT_MAP_SIZE, &report))
		panic("boot: no usable memory is left beside the kernel");
}

static uint64_t
usable_bytes(void)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < memory_map.nr; i++) {
		if (memory_map.range[i].kind == MEMORY_USABLE)
			bytes += memory_map.range[i].end - memory_map.range[i].start;
	}
	return bytes;
}

void (*run_first_program)(void);

/* Set by the linker: what later layers add to the start, in the order of rank. */
extern const struct start_step __start_start_steps[], __stop_start_steps[];

static void
run_start_steps(void)
{
	for (unsigned rank = 0; rank < NR_START_RANKS; rank++) {
		const struct start_step *step;

		for (step = __start_start_steps; step < __stop_start_steps; step++) {
			if (step->rank == rank)
				step->run();
		}
	}
}

void
kernel_main(void)
{
	kprintf("IKOS: started by %s\n", boot_info.loader);
	cpu_features_report();
	watchdog_init();
	watchdog_arm(BOOT_BUDGET_NS);
	cmdline_parse(boot_info.cmdline);
	stack_guard_init();

	read_memory_map();
	boot_alloc_init(&memory_map);
	kernel_map_init(&memory_map);
	acpi_init();
	smp_prepare();
	evidence_init();
	trace_init();
	test_arena_init();
	mm_init(&memory_map);

	irq_init();
	timer_init();
	sched_init();
	arch_irq_enable();
	smp_start();
	serial_start_input();
	run_start_steps();
	kprintf("boot: %u CPU%s, %lu MiB usable, %lu thousand cycles\n", nr_cpus,
		nr_cpus == 1 ? "" : "s", (unsigned long)(usable_bytes() >> 20),
		(unsigned long)((arch_cycles() - boot_cycles) / 1000));
	watchdog_disarm();

	ktest_run_cmdline();
	bench_run_cmdline();
	if (run_first_program)
		run_first_program();
	console_run();
}
