/* SPDX-License-Identifier: MIT */
/* The same by its address, as read in a kernel built at home. */
void exit_address(void);

void
exit_address(void)
{
	((void (*)(int))0xffffffff80101230ul)(0x10);
}
