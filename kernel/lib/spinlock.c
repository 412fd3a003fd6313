/* SPDX-License-Identifier: MIT */
/*
 * Waiting for a spin lock: the slow path of spin_lock().
 *
 * The longer a CPU has waited, the more rarely it looks: exponential back-off (Anderson
 * 1990), which keeps the lock's cache line with its holder. Between two looks it executes
 * plain instructions rather than more pauses. That matters under an emulator that counts
 * instructions as time: a pause hands over to another CPU and costs the host a thousand
 * times what it adds to the guest's clock, so a CPU that waits for ever for a lost lock by
 * pausing alone would not reach the watchdog's deadline within anybody's patience.
 */
#include <spinlock.h>

#define MAX_DELAY 2048 /* rounds of an empty loop, two instructions each */

void
spin_wait(const spinlock_t *lock, uint16_t ticket)
{
	unsigned delay = 1;

	while (__atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) != ticket) {
		arch_cpu_relax();
		for (unsigned i = 0; i < delay; i++)
			__asm__ volatile("");
		delay = MIN(2 * delay, MAX_DELAY);
	}
}
