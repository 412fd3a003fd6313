/* SPDX-License-Identifier: MIT */
/*
 * The list of all pools, of whatever kind, so that one can ask where memory is kept.
 *
 * A pool enters the list once it is whole and leaves it before it is torn down; while somebody
 * walks the list, its lock keeps both from happening. A pool's own lock nests inside it.
 */
#include <checker.h>
#include <panic.h>
#include <pool_manager.h>
#include <printk.h>

static spinlock_t pools_lock = SPINLOCK_INIT("pools", RANK_MODULE);
static struct list_head pools = LIST_INIT(pools); /* (r) pools_lock */
static unsigned nr_created;			  /* (r) */

void
pool_register(struct pool_entry *entry, const struct pool_kind *kind, const char *name)
{
	irqflags_t flags = spin_lock_irqsave(&pools_lock);

	entry->kind = kind;
	entry->number = ++nr_created;
	ksnprintf(entry->name, sizeof(entry->name), "%s", name);
	list_add_tail(&entry->link, &pools);
	spin_unlock_irqrestore(&pools_lock, flags);
}

void
pool_unregister(struct pool_entry *entry)
{
	irqflags_t flags = spin_lock_irqsave(&pools_lock);

	list_del(&entry->link);
	spin_unlock_irqrestore(&pools_lock, flags);
}

void
pool_for_each(bool (*fn)(struct pool_entry *entry, void *arg), void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&pools_lock);
	struct pool_entry *entry;

	list_for_each_entry (entry, &pools, link) {
		if (!fn(entry, arg))
			break;
	}
	spin_unlock_irqrestore(&pools_lock, flags);
}

static bool
check_one(struct pool_entry *entry, void *errors)
{
	*(unsigned *)errors += entry->kind->check(entry);
	return true;
}

unsigned
pools_check(void)
{
	unsigned errors = 0;

	pool_for_each(check_one, &errors);
	return errors;
}
MM_CHECKER(pools, pools_check);
