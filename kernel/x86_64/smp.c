/* SPDX-License-Identifier: MIT */
/*
 * Starting the other CPUs, and stopping them.
 *
 * At power-on one processor runs, the boot processor; the others (APs) wait for a startup
 * interrupt, which tells them where to begin. ACPI lists them by APIC id.
 *
 *	boot CPU                         each AP
 *	INIT to all                      reset
 *	10 ms
 *	STARTUP to all            --->   trampoline.S: long mode, draw a ticket = CPU number
 *	                                 ap_main(): descriptor tables, local APIC
 *	                                 wait until nr_cpus == my number
 *	until all are here or     <---   nr_cpus = my number + 1
 *	none came for a second           scheduler
 *	close the tickets
 *
 * APs come up in any order. Numbers are drawn on arrival and published in order, so the CPUs
 * [0, nr_cpus) are always all running, whichever AP fails to answer. One that comes
 * after the tickets were closed finds none and halts.
 *
 * (Intel SDM vol. 3, 8.4.4; the second STARTUP is for processors that missed the first.)
 */
#include <acpi.h>
#include <boot_allocator.h>
#include <page.h>
#include <panic.h>
#include <printk.h>
#include <sched.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <time.h>

#include <arch/thread.h>

#include "apic.h"
#include "ipi.h"
#include "x86.h"

#define INIT_WAIT_NS	(10 * NSEC_PER_MSEC) /* SDM: 10 ms from INIT to STARTUP */
#define STARTUP_WAIT_NS (200 * NSEC_PER_USEC)
#define ARRIVAL_WAIT_NS NSEC_PER_SEC /* an emulated CPU may get little of its host */
#define STOP_WAIT_NS	(100 * NSEC_PER_MSEC)

/* Shared with trampoline.S. */
extern const char trampoline_start[], trampoline_end[];
extern const uint32_t trampoline_cr3, trampoline_cr4, trampoline_efer;
uint32_t ap_tickets = 1;       /* atomic: the next CPU number to draw */
uint32_t ap_limit;	       /* (c) one more than the largest */
uintptr_t ap_stacks[MAX_CPUS]; /* (c) of the idle threads, by their tops */
_Noreturn void ap_main(unsigned id);

uintptr_t
smp_idle_stack(unsigned cpu)
{
	return ap_stacks[cpu];
}

void
smp_prepare(void)
{
	ap_limit = acpi_info.nr_cpus;
	for (unsigned id = 0; id < ap_limit; id++) {
		paddr_t area;

		ap_stacks[id] = kstack_alloc_boot();
		if (id == 0) /* has the rest */
			continue;
		for (unsigned i = 0; i < NR_IST; i++)
			arch_cpus[id].ist_top[i] = kstack_alloc_boot();
		area = boot_alloc(ALIGN_UP(percpu_size(), PAGE_SIZE), PAGE_SIZE, 0);
		if (!area)
			panic("smp: no memory for %u CPUs; start with fewer CPUs or more memory",
			      ap_limit);
		percpu_set_area(id, phys_to_virt(area));
	}
}

/* ---- Start ------------------------------------------------------------------------ */

/* First C code of an AP. Interrupts are off, the stack is its idle thread's. */
_Noreturn void
ap_main(unsigned id)
{
	x86_cpu_init(id);
	apic_init_cpu();
	arch_cpus[id].apic_id = apic_id();
	while (__atomic_load_n(&nr_cpus, __ATOMIC_ACQUIRE) != id)
		arch_cpu_relax();
	__atomic_store_n(&nr_cpus, id + 1, __ATOMIC_RELEASE);
	sched_start_cpu();
}

/* Set a variable of the trampoline, there where it has been copied to. */
static void
fill_in(const uint32_t *variable, uint32_t value)
{
	char *page = phys_to_virt(TRAMPOLINE_PAGE);

	memcpy(page + ((const char *)variable - trampoline_start), &value, sizeof(value));
}

/* Copy the trampoline to where APs start, with what it has to load filled in. */
static void
place_trampoline(void)
{
	ASSERT_EQ((uint32_t)kernel_cr3, kernel_cr3); /* loaded by 32-bit code */
	memcpy(phys_to_virt(TRAMPOLINE_PAGE), trampoline_start,
	       (size_t)(trampoline_end - trampoline_start));
	fill_in(&trampoline_cr3, (uint32_t)kernel_cr3);
	fill_in(&trampoline_cr4, (uint32_t)cpu_boot_cr4());
	fill_in(&trampoline_efer, (uint32_t)cpu_boot_efer());
}

/* Send something to every AP that can be reached. */
static void
to_each_ap(void (*send)(uint32_t apic_id))
{
	for (unsigned i = 0; i < acpi_info.nr_cpus; i++)
		if (acpi_info.apic_id[i] != arch_cpus[0].apic_id &&
		    apic_reaches(acpi_info.apic_id[i]))
			send(acpi_info.apic_id[i]);
}

static void
send_startup(uint32_t apic_id)
{
	apic_send_startup(apic_id, TRAMPOLINE_PAGE >> PAGE_SHIFT);
}

static unsigned
cpus_here(void)
{
	return __atomic_load_n(&nr_cpus, __ATOMIC_ACQUIRE);
}

/* Sleep until all CPUs are here, or for that long after the last one came. */
static void
wait_for_cpus(uint64_t ns)
{
	unsigned seen = cpus_here();
	uint64_t since = time_ns();

	while (cpus_here() < ap_limit && time_ns() - since < ns) {
		thread_sleep_ns(STARTUP_WAIT_NS / 4);
		if (cpus_here() != seen) {
			seen = cpus_here();
			since = time_ns();
		}
	}
}

void
smp_start(void)
{
	uint32_t drawn;

	if (ap_limit == 1)
		return;
	place_trampoline();
	kernel_map_identity(TRAMPOLINE_PAGE, PAGE_SIZE);
	to_each_ap(apic_send_init);
	thread_sleep_ns(INIT_WAIT_NS);
	to_each_ap(send_startup);
	wait_for_cpus(STARTUP_WAIT_NS);
	if (cpus_here() < ap_limit) {
		to_each_ap(send_startup);
		wait_for_cpus(ARRIVAL_WAIT_NS);
	}

	drawn = __atomic_exchange_n(&ap_tickets, UINT32_MAX / 2, __ATOMIC_ACQ_REL);
	while (cpus_here() < MIN(drawn, ap_limit)) /* alive, but slow */
		arch_cpu_relax();
	kernel_unmap_identity();
	tlb_shootdown(TRAMPOLINE_PAGE, TRAMPOLINE_PAGE + PAGE_SIZE);
	if (nr_cpus < ap_limit)
		kprintf("smp: %u of %u CPUs did not start; going on without them\n",
			ap_limit - nr_cpus, ap_limit);
}

/* ---- Stop ---------------------------------------------------------------------------- */

static unsigned stopper; /* atomic: CPU + 1 of the one that stops all others, or 0 */
static unsigned stopped; /* atomic: how many have halted */

bool
smp_stopping(void)
{
	unsigned by = __atomic_load_n(&stopper, __ATOMIC_ACQUIRE);

	return by != 0 && by != cpu_id() + 1;
}

_Noreturn void
smp_halt(void)
{
	__atomic_add_fetch(&stopped, 1, __ATOMIC_RELEASE);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void
smp_stop_others(void)
{
	unsigned nobody = 0, me = cpu_id() + 1;
	uint64_t start = time_ns();

	if (!__atomic_compare_exchange_n(&stopper, &nobody, me, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		if (nobody == me)
			return; /* a panic while panicking: they have been stopped */
		smp_halt();
	}
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		if (cpu + 1 != me)
			apic_send_nmi(arch_cpus[cpu].apic_id);
	while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) < nr_cpus - 1 &&
	       time_ns() - start < STOP_WAIT_NS)
		arch_cpu_relax();
}
