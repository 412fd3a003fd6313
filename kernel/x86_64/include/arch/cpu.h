/* SPDX-License-Identifier: MIT */
/* The few instructions that portable code needs inline. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <types.h>

typedef uint64_t irqflags_t;

#define RFLAGS_IF (1ul << 9)

/* Turn interrupts off. Returns what arch_irq_restore() wants back. */
static inline irqflags_t
arch_irq_save(void)
{
	irqflags_t flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags)::"memory");
	return flags;
}

static inline void
arch_irq_restore(irqflags_t flags)
{
	/* Hardly anybody calls with interrupts off already. */
	if (__builtin_expect((flags & RFLAGS_IF) != 0, 1))
		__asm__ volatile("sti" ::: "memory");
}

static inline bool
arch_irqs_enabled(void)
{
	irqflags_t flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return (flags & RFLAGS_IF) != 0;
}

static inline void
arch_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline void
arch_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

/*
 * Tell the processor, and the emulator, that this is a polling loop. An emulator leaves its
 * generated code at every pause, to turn to other CPUs, which takes it as long as a few
 * hundred instructions. So a few plain ones come first: where instructions are the clock,
 * a loop of pauses alone would take minutes of real time to reach a deadline that is a
 * second away.
 */
static inline void
arch_cpu_relax(void)
{
	for (unsigned i = 0; i < 100; i++)
		__asm__ volatile("");
	__asm__ volatile("pause" ::: "memory");
}

/* Sleep until the next interrupt; interrupts come on atomically with going to sleep. */
static inline void
arch_cpu_wait(void)
{
	__asm__ volatile("sti; hlt" ::: "memory");
}

/* The time-stamp counter: executed instructions under -icount shift=0. */
static inline uint64_t
arch_cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (uint64_t)high << 32 | low;
}

/*
 * GS points at this CPU's struct arch_cpu. Its first two fields are read here; the rest
 * belongs to kernel/x86_64.
 */
#define ARCH_CPU_PERCPU_OFFSET 0
#define ARCH_CPU_ID	       8

static inline uintptr_t
arch_percpu_offset(void)
{
	uintptr_t offset;

	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(offset) : "i"(ARCH_CPU_PERCPU_OFFSET));
	return offset;
}

/* A long, so that as an index it need not be extended: loading 32 bits has cleared the others. */
static inline unsigned long
arch_cpu_id(void)
{
	unsigned long id;

	__asm__ volatile("movl %%gs:%c1, %k0" : "=r"(id) : "i"(ARCH_CPU_ID));
	return id;
}

#endif
