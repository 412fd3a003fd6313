/* SPDX-License-Identifier: MIT */
/* From a memory object to the regions that show it. */
#include <memory_object.h>
#include <panic.h>

void
memory_object_unmap(struct memory_object *object, uint64_t first, uint64_t end, bool private)
{
	(void)first;
	(void)end;
	(void)private;
	ASSERT(list_empty(&object->regions)); /* nothing maps files yet */
}
