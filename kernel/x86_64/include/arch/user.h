/* SPDX-License-Identifier: MIT */
/*
 * What kernel/proc/user asks of the machine: kernel/x86_64/user.
 */
#ifndef ARCH_USER_H
#define ARCH_USER_H

#include <types.h>

/*
 * Copies between the kernel and the program that runs, of ranges that have been found to lie
 * below USER_END. See usercopy.S for what they return. They may sleep.
 */
size_t usercopy_bytes(void *to, const void *from, size_t size);
size_t usercopy_clear(void *to, size_t size);
size_t usercopy_string(char *to, const char *from, size_t size);
size_t usercopy_read_u32(uint32_t *value, const uint32_t *from);
size_t usercopy_exchange_u32(uint32_t *at, uint32_t *expected, uint32_t desired);

#endif
