/* SPDX-License-Identifier: MIT */
/*
 * The machine of the host build: each thread of the test program plays one CPU.
 *
 * Turning interrupts off only sets a flag of the thread, so that a test sees whether
 * everything that was turned off came on again.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <types.h>

typedef uint64_t irqflags_t;

#define RFLAGS_IF (1ul << 9)

/* 0: interrupts stay on, to measure what the flag costs; for one thread alone. */
#ifndef HOST_INTERRUPTS
#define HOST_INTERRUPTS 1
#endif

/* Of the C library; its sched.h would be found behind the kernel's. */
int sched_yield(void);

extern _Thread_local unsigned host_cpu_id;
extern _Thread_local bool host_irqs_off;

/* What another CPU wants of this one: tests/host/calls_host.c. */
extern bool host_wanted[];
void host_serve_calls(void);

/* Interrupts have just come on. */
static inline void
host_take_interrupts(void)
{
	if (__builtin_expect(__atomic_load_n(&host_wanted[host_cpu_id], __ATOMIC_RELAXED), 0))
		host_serve_calls();
}

static inline bool
arch_irqs_enabled(void)
{
	return !host_irqs_off;
}

static inline irqflags_t
arch_irq_save(void)
{
	irqflags_t flags = host_irqs_off || !HOST_INTERRUPTS ? 0 : RFLAGS_IF;

	if (HOST_INTERRUPTS)
		host_irqs_off = true;
	return flags;
}

static inline void
arch_irq_restore(irqflags_t flags)
{
	if (flags & RFLAGS_IF) {
		host_irqs_off = false;
		host_take_interrupts();
	}
}

static inline void
arch_irq_enable(void)
{
	host_irqs_off = false;
	host_take_interrupts();
}

static inline void
arch_irq_disable(void)
{
	host_irqs_off = true;
}

/* There may be more threads than processors: let the one that is waited for run. */
static inline void
arch_cpu_relax(void)
{
	sched_yield();
	if (!host_irqs_off)
		host_take_interrupts();
}

static inline uint64_t
arch_cycles(void)
{
	return __builtin_ia32_rdtsc();
}

static inline unsigned long
arch_cpu_id(void)
{
	return host_cpu_id;
}

#endif
