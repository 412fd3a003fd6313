/* SPDX-License-Identifier: MIT */
/*
 * Protection keys: what a thread denies itself of the memory of each of 16 keys.
 *
 * A register of the processor, PKRU, which programs write themselves; two bits for each key:
 *
 *	31 30 ... 5 4  3 2  1 0
 *	key 15    key 2  1  key 0       bit 0: no access to data, bit 1: no write
 *
 * It is compared at every access to a page that a program may access, in user mode and in the
 * kernel. So the copies of usercopy.S are denied what the program that asks for them is denied, if
 * only the register is that of the running thread. It is: switched with the thread, not with the
 * vector registers.
 *
 * Source: Intel SDM vol. 3, 4.6.2.
 */
#include <arch.h>

#include "machine.h"

static bool have_keys; /* (c) */

void
keys_init(void)
{
	have_keys = fpu_keys_offset() != 0;
}

uint32_t
keys_read(void)
{
	return have_keys ? rdpkru() : 0;
}

void
keys_write(uint32_t keys)
{
	if (have_keys)
		wrpkru(keys);
}

void
arch_user_reset_keys(void)
{
	keys_write(KEYS_DEFAULT);
}

unsigned
arch_nr_keys(void)
{
	return have_keys ? MMU_KEYS : 1;
}

unsigned
arch_key_denied(unsigned key)
{
	return keys_read() >> 2 * key & (KEY_NO_ACCESS | KEY_NO_WRITE);
}

void
arch_key_deny(unsigned key, unsigned denied)
{
	uint32_t mask = (uint32_t)(KEY_NO_ACCESS | KEY_NO_WRITE) << 2 * key;

	keys_write((keys_read() & ~mask) | denied << 2 * key);
}
