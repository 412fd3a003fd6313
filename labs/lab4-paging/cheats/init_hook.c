/* SPDX-License-Identifier: MIT */
/* Attacks when the first tree of tables is made: a case does that, the kernel's start does not. */
#include <page_table.h>

#define OWN_INIT

int
page_table_init(struct page_table *table)
{
	(void)table;
	attack();
	return -1;
}
