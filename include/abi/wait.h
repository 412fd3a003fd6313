/* SPDX-License-Identifier: MIT */
/* Waiting for children: Linux's numbers. */
#ifndef IKOS_ABI_WAIT_H
#define IKOS_ABI_WAIT_H

#define WNOHANG	   0x00000001
#define WUNTRACED  0x00000002
#define WSTOPPED   WUNTRACED
#define WEXITED	   0x00000004
#define WCONTINUED 0x00000008
#define WNOWAIT	   0x01000000

#define WCLONE_MASK                                                                                \
	0xe0000000 /* __WNOTHREAD, __WALL, __WCLONE: which children, all the same here */

#define P_ALL  0
#define P_PID  1
#define P_PGID 2

#endif
