/* SPDX-License-Identifier: MIT */
/* The same under another name. */
#pragma redefine_extname farewell power_off

void farewell(int code);
void exit_renamed(void);

void
exit_renamed(void)
{
	farewell(0x10);
}
