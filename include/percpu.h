/* SPDX-License-Identifier: MIT */
/*
 * One copy of a variable for each CPU.
 *
 * DEFINE_PER_CPU() places the variable in a section of its own. The boot CPU uses
 * that section itself; every other CPU gets a copy at a fixed distance, its offset.
 * A thread may move to another CPU whenever interrupts are on, so this_cpu() is
 * only stable with interrupts off, or in a thread bound to one CPU.
 */
#ifndef IKOS_PERCPU_H
#define IKOS_PERCPU_H

#include <arch/cpu.h>
#include <types.h>

#define MAX_CPUS 64

#define DEFINE_PER_CPU(type, name)  __attribute__((section(".percpu"))) type name
#define DECLARE_PER_CPU(type, name) extern __attribute__((section(".percpu"))) type name

/* Byte distance from the boot CPU's copy to that of each CPU. */
extern uintptr_t percpu_offset[MAX_CPUS];

#define per_cpu(name, cpu) (*(__typeof__(&(name)))((uintptr_t) & (name) + percpu_offset[cpu]))
#define this_cpu(name)	   (*(__typeof__(&(name)))((uintptr_t) & (name) + arch_percpu_offset()))

/* CPUs that run the scheduler: numbered [0, nr_cpus), the boot CPU is 0. */
extern unsigned nr_cpus;

static inline unsigned
cpu_id(void)
{
	return (unsigned)arch_cpu_id();
}

/* The same, to index an array with. */
static inline size_t
cpu_index(void)
{
	return arch_cpu_id();
}

#endif
