/* SPDX-License-Identifier: MIT */
#include "pool_source.h"

#include <spinlock.h>

static spinlock_t source_lock = SPINLOCK_INIT("source", RANK_DEVICE);

void
source_reset(struct source *source, unsigned nr_left)
{
	*source = (struct source){ .nr_left = nr_left };
}

void *
source_alloc(gfp_t gfp, void *arg)
{
	struct source *source = arg;
	irqflags_t flags = spin_lock_irqsave(&source_lock);
	struct source_element *element = NULL;
	unsigned calls = source->nr_calls++;

	source->gfp = gfp;
	if (source->nr_left > 0 && (source->fail_one == 0 || calls % source->fail_one != 0)) {
		/* Not the one that was given back last: a mistake with that should show. */
		for (unsigned i = 0; i < SOURCE_ELEMENTS && !element; i++) {
			element = &source->element[(calls + i) % SOURCE_ELEMENTS];
			if (element->away)
				element = NULL;
		}
	}
	if (element) {
		element->away = true;
		source->nr_away++;
		source->nr_left -= source->nr_left != SOURCE_FOREVER;
	}
	spin_unlock_irqrestore(&source_lock, flags);
	return element;
}

void
source_free(void *memory, void *arg)
{
	struct source *source = arg;
	struct source_element *element = memory;
	irqflags_t flags = spin_lock_irqsave(&source_lock);

	source->nr_bad += !element->away;
	element->away = false;
	source->nr_away--;
	spin_unlock_irqrestore(&source_lock, flags);
}
