/* SPDX-License-Identifier: MIT */
/*
 * Circular doubly linked lists, threaded through the objects themselves.
 *
 * A list is a head whose next and prev point at itself when it is empty. Every
 * operation is O(1), none allocates, and none needs to know which list an entry
 * is on. The caller holds whatever lock guards the list.
 */
#ifndef IKOS_LIST_H
#define IKOS_LIST_H

#include <types.h>

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_INIT(name)                                                                            \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}

static inline void
list_init(struct list_head *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool
list_empty(const struct list_head *head)
{
	return head->next == head;
}

/* Put entry between two neighbours. */
static inline void
list_insert(struct list_head *entry, struct list_head *prev, struct list_head *next)
{
	entry->next = next;
	entry->prev = prev;
	prev->next = entry;
	next->prev = entry;
}

static inline void
list_add(struct list_head *entry, struct list_head *head)
{
	list_insert(entry, head, head->next);
}

static inline void
list_add_tail(struct list_head *entry, struct list_head *head)
{
	list_insert(entry, head->prev, head);
}

/* Take entry off its list. Its own links are left stale. */
static inline void
list_del(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
}

#define list_entry(ptr, type, member)	     container_of(ptr, type, member)
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)

#define list_for_each_entry(pos, head, member)                                                     \
	for (pos = list_first_entry(head, __typeof__(*pos), member); &pos->member != (head);       \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

/* The same, for a body that may take pos off the list. */
#define list_for_each_entry_safe(pos, tmp, head, member)                                           \
	for (pos = list_first_entry(head, __typeof__(*pos), member),                               \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member);                          \
	     &pos->member != (head);                                                               \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
