/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU variables of the host build: as include/percpu.h, but in a section whose name is
 * a C identifier, so that the linker says where it lies. Every CPU, the first one too, has
 * its copy outside it, in host_percpu.
 */
#ifndef IKOS_PERCPU_H
#define IKOS_PERCPU_H

#include <arch/cpu.h>
#include <types.h>

#define MAX_CPUS 64

#define HOST_PERCPU_SIZE 4096

extern char host_percpu[MAX_CPUS][HOST_PERCPU_SIZE];
extern char __start_percpu[] __attribute__((weak)), __stop_percpu[] __attribute__((weak));

#define DEFINE_PER_CPU(type, name) __attribute__((section("percpu"))) type name

#define DECLARE_PER_CPU(type, name) extern __attribute__((section("percpu"))) type name

#define per_cpu(name, cpu)                                                                         \
	(*(__typeof__(&(name)))(host_percpu[cpu] +                                                 \
				((uintptr_t) & (name) - (uintptr_t)__start_percpu)))

#define this_cpu(name)                                                                             \
	(*(__typeof__(&(name)))(host_percpu[arch_cpu_id()] +                                       \
				((uintptr_t) & (name) - (uintptr_t)__start_percpu)))

extern unsigned nr_cpus;

static inline unsigned
cpu_id(void)
{
	return (unsigned)arch_cpu_id();
}

static inline size_t
cpu_index(void)
{
	return arch_cpu_id();
}

#endif
