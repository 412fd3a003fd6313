/* SPDX-License-Identifier: MIT */
/* Protection keys from user mode: the calls, and the register that each thread has. */
#ifndef USER_PKEYS_H
#define USER_PKEYS_H

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NO_ACCESS 1u /* what may be denied */
#define NO_WRITE  2u

#define PKEY_CODE 4 /* SEGV_PKUERR */

/* Does the system use them? The processor says so to programs: OSPKE. */
static inline bool
have_pkeys(void)
{
	unsigned a, b, c = 0, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && c & 1u << 4;
}

static inline uint32_t
read_pkru(void)
{
	uint32_t value;

	__asm__ volatile("rdpkru" : "=a"(value) : "c"(0) : "edx");
	return value;
}

static inline void
write_pkru(uint32_t value)
{
	__asm__ volatile("wrpkru" : : "a"(value), "c"(0), "d"(0) : "memory");
}

static inline unsigned
denied(int key)
{
	return read_pkru() >> 2 * key & 3;
}

static inline void
deny(int key, unsigned what)
{
	write_pkru((read_pkru() & ~(3u << 2 * key)) | what << 2 * key);
}

static inline int
key_alloc(unsigned what)
{
	return (int)syscall(SYS_pkey_alloc, 0, (unsigned long)what);
}

static inline int
key_free(int key)
{
	return (int)syscall(SYS_pkey_free, key);
}

static inline int
key_protect(void *memory, size_t size, int prot, int key)
{
	return (int)syscall(SYS_pkey_mprotect, memory, size, prot, key);
}

#endif
