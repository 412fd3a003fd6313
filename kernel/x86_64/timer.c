/* SPDX-License-Identifier: MIT */
/*
 * Clocks. Time is read from the time-stamp counter (TSC), and each CPU's local APIC
 * counts down to its next timer interrupt. Neither says at what rate it counts, so both
 * are measured once, against a clock whose rate every PC shares: the programmable
 * interval timer (PIT), 1.193182 MHz, whose channel 2 can be read while it counts down.
 *
 *	TSC   ...|                                                       |...
 *	PIT   ___|'''|___|'''|  ...  wait for about 1 ms  ...  |___|'''|_|
 *	         edge: both counters read                            edge
 *
 * A PIT count lasts 838 ns, far longer than it takes to read it. So a sample polls for
 * the edge between two counts; of several edges it keeps the one that was caught in the
 * shortest time, because an emulator may be held up in any single one.
 *
 * Between the samples it only waits, and looks seldom: under an emulator a port read costs
 * more than a thousand plain instructions do. Sampling itself is the one polling loop
 * without a pause: a pause would take longer than the edge it looks for, and it ends
 * after a few microseconds.
 *
 * The TSC is taken to count at a constant rate, the same on all CPUs (any processor of the
 * last fifteen years). Its rate is rounded to whole MHz, which is finer than 1 ms against
 * the PIT can resolve; under an emulator that counts one instruction as one nanosecond,
 * that makes it 1000 MHz exactly, and time_ns() the count of instructions.
 */
#include <panic.h>
#include <sched.h>
#include <time.h>
#include <timer.h>

#include "apic.h"
#include "x86.h"

#define PIT_HZ	      1193182ull
#define PIT_CHANNEL2  0x42
#define PIT_COMMAND   0x43
#define PIT_LATCH2    0x80 /* hold channel 2's count for reading */
#define PIT_MODE0_CH2 0xb0 /* count down once; low byte first, then high */
#define SPEAKER_PORT  0x61
#define SPEAKER_GATE  0x01 /* channel 2 counts */
#define SPEAKER_ON    0x02

#define SAMPLE_EDGES  4
#define SAMPLE_READS  100000 /* more without an edge: no PIT */
#define MEASURE_TICKS (PIT_HZ / 1000)

/*
 * What timer_arm() waits for at least. Between arming and the return from the interrupt lie
 * a few hundred instructions; a timer that fires within them leaves no time for anything
 * but timers. Counted in cycles, because a simulated CPU may run at a few MHz.
 */
#define ARM_CYCLES_MIN 1000

/* Both factors are fixed point: 32 bits of fraction. */
static uint64_t ns_per_cycle; /* (c) */
static uint64_t ticks_per_ns; /* (c) of the local APIC's timer */
static uint64_t first_cycle;  /* (c) time_ns() == 0 */

struct sample {
	uint16_t pit;
	uint64_t cycles;
	uint32_t apic;
};

static uint16_t
pit_read(void)
{
	uint8_t low;

	outb(PIT_COMMAND, PIT_LATCH2);
	low = inb(PIT_CHANNEL2);
	return (uint16_t)(low | inb(PIT_CHANNEL2) << 8);
}

static struct sample
take_sample(void)
{
	struct sample best = { .cycles = 0 };
	uint64_t shortest = UINT64_MAX, before = arch_cycles();
	uint16_t last = pit_read();

	for (unsigned edges = 0, reads = 0; edges < SAMPLE_EDGES; reads++) {
		uint16_t pit = pit_read();
		uint64_t after = arch_cycles();

		if (reads == SAMPLE_READS)
			panic("timer: the PIT does not count; the clocks cannot be measured");
		if (pit != last) {
			edges++;
			if (after - before < shortest) {
				shortest = after - before;
				best = (struct sample){ pit, after, apic_timer_left() };
			}
		}
		last = pit;
		before = after;
	}
	return best;
}

static void
wait_for_pit(uint16_t start, unsigned ticks)
{
	while ((uint16_t)(start - pit_read()) < ticks)
		for (unsigned i = 0; i < 10; i++)
			arch_cpu_relax();
}

static void
timer_interrupt(struct trap_frame *frame)
{
	apic_eoi();
	sched_tick(from_user(frame));
}

void
timer_init(void)
{
	struct sample start, end;
	uint64_t pit, cycles, hz;

	first_cycle = arch_cycles();
	trap_set_handler(VECTOR_TIMER, timer_interrupt);
	outb(SPEAKER_PORT, (inb(SPEAKER_PORT) & ~SPEAKER_ON) | SPEAKER_GATE);
	outb(PIT_COMMAND, PIT_MODE0_CH2);
	outb(PIT_CHANNEL2, 0xff);
	outb(PIT_CHANNEL2, 0xff);
	apic_timer_start(UINT32_MAX);

	start = take_sample();
	wait_for_pit(start.pit, MEASURE_TICKS);
	end = take_sample();
	apic_timer_start(0);

	pit = (uint16_t)(start.pit - end.pit);
	cycles = end.cycles - start.cycles;
	hz = cycles * PIT_HZ / pit;
	hz = MAX((hz + 500000) / 1000000, 1) * 1000000;
	ns_per_cycle = (NSEC_PER_SEC << 32) / hz;
	ticks_per_ns = ((uint64_t)(start.apic - end.apic) << 32) / (cycles * NSEC_PER_SEC / hz);
}

/* value * factor, where factor has 32 bits of fraction. */
static uint64_t
scale(uint64_t value, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)value * factor >> 32);
}

uint64_t
time_ns(void)
{
	return scale(arch_cycles() - first_cycle, ns_per_cycle);
}

void
time_spin_ns(uint64_t ns)
{
	uint64_t start = time_ns();

	while (time_ns() - start < ns)
		arch_cpu_relax();
}

void
timer_arm(uint64_t ns)
{
	uint64_t least = scale(ARM_CYCLES_MIN, ns_per_cycle);
	uint64_t ticks = scale(MAX(ns, least), ticks_per_ns) + 1;

	apic_timer_start((uint32_t)MIN(ticks, UINT32_MAX));
}

void
timer_disarm(void)
{
	apic_timer_start(0);
}
