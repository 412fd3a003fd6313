/* SPDX-License-Identifier: MIT */
/* Code to run before anything else does. */
static void __attribute__((__constructor__)) before(void)
{
}
