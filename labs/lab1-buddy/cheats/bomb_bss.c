/* SPDX-License-Identifier: MIT */
/* A kernel larger than any machine's memory. */
static char bomb[1ul << 30];

void *use_bomb(void);

void *
use_bomb(void)
{
	return bomb;
}
