/* SPDX-License-Identifier: MIT */
/*
 * Sockets: there are no protocols, so no family of them is supported. C libraries that ask for a
 * service by a socket, such as one that knows users, take this answer and look into files instead.
 */
#include <errno.h>
#include <syscall.h>

static int64_t
sys_socket(const uint64_t *arg)
{
	(void)arg;
	return -EAFNOSUPPORT;
}
SYSCALL(41, socket, 3, sys_socket);
SYSCALL(53, socketpair, 4, sys_socket);
