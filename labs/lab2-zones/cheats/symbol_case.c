/* SPDX-License-Identifier: MIT */
/* Asks the case itself what it will check. */
#include <zone.h>

#define OWN_ALLOC

struct lab;
zone_type_t lab2_zone_at(const struct lab *lab, pfn_t pfn);

struct page *
node_alloc_slowly(struct node *node, gfp_t gfp, unsigned order)
{
	(void)gfp, (void)order;
	return pfn_to_page(lab2_zone_at((const struct lab *)node, 0));
}
