/* SPDX-License-Identifier: MIT */
/*
 * Where pointers to objects may lie outside of objects: the roots of the leak detector,
 * mm/leak_detector.c. Whoever has such memory declares a source:
 *
 *	static void
 *	each(leak_scan_fn *scan)
 *	{
 *		scan(table, table + NR);
 *	}
 *	LEAK_ROOTS(my_table, each);
 */
#ifndef IKOS_LEAK_ROOTS_H
#define IKOS_LEAK_ROOTS_H

#include <types.h>

/* Look for pointers in the words of [start, end). */
typedef void leak_scan_fn(const void *start, const void *end);

struct leak_roots {
	const char *name;
	/* Called while only this CPU runs, with interrupts off: takes no locks. */
	void (*each)(leak_scan_fn *scan);
};

#define LEAK_ROOTS(ident, each_function)                                                           \
	static const struct leak_roots ident##_leak_roots __section("leak_roots") = {              \
		#ident, each_function                                                              \
	}

#endif
