/* SPDX-License-Identifier: MIT */
/* Stands in the starter of lab 2, so that its kernel boots: see lab.toml. */
#include <zone.h>

void
zone_set_marks_locked(struct zone *zone, size_t min)
{
	/*
	 * The machine's own node, the one that begins at frame 0, does without marks for now, so
	 * that the kernel boots to its console. The cases make others.
	 */
	(void)min;
	if (zone->node->zone[ZONE_DMA].first != 0)
		lab_todo(2, "compute the marks and the reserves of a zone");
}
