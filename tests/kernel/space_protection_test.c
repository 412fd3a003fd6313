/* SPDX-License-Identifier: MIT */
/*
 * Protection of programs' memory: W^X, protection keys, and entries of a machine with encrypted
 * memory. What the processor and the system calls make of it: user/tests/pkeys.c.
 */
#include <errno.h>
#include <ktest.h>

#include "../../kernel/x86_64/user/machine.h"
#include "space_user.h"

#define RX  (PROT_READ | PROT_EXEC)
#define RWX (RW | PROT_EXEC)

/* ---- W^X ----------------------------------------------------------------------------------- */

/* May the entry of a page be both written to and executed? */
static bool
is_both(struct address_space *space, uintptr_t at)
{
	mmu_entry_t entry = page_table_lookup(&space->table, at);

	return arch_mmu_is_writable(entry) && arch_mmu_is_executable(entry);
}

KTEST(space_protection, both_only_if_asked)
{
	struct address_space *space = space_create();
	uintptr_t at = user_map(space, 2, RW);

	expect_eq(t, user_write(space, at, 1), FAULT_DONE);
	expect_true(t, !is_both(space, at));
	expect_eq(t, space_protect(space, at, PAGE_SIZE, RX), 0);
	expect_true(t, !is_both(space, at));
	expect_eq(t, user_write(space, at, 2), FAULT_ACCERR);
	expect_eq(t, space_protect(space, at, PAGE_SIZE, RW), 0);
	expect_eq(t, user_write(space, at, 2), FAULT_DONE);
	expect_true(t, !is_both(space, at));
	expect_eq(t, space_protect(space, at, PAGE_SIZE, RWX), 0);
	expect_eq(t, user_write(space, at, 3), FAULT_DONE);
	expect_true(t, is_both(space, at));
	expect_eq(t, space_check(space), 0);
	space_put(space);
}

static void
expect_refused(struct ktest *t, struct address_space *space, uintptr_t data, uintptr_t code)
{
	uintptr_t at = 0;

	expect_eq(t, space_map(space, &at, PAGE_SIZE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, 0),
		  -EACCES);
	expect_eq(t, space_protect(space, data, PAGE_SIZE, RX), -EACCES);
	expect_eq(t, space_protect(space, data, PAGE_SIZE, PROT_EXEC), -EACCES);
	expect_eq(t, space_protect(space, code, PAGE_SIZE, RWX), -EACCES);
	expect_eq(t, space_protect(space, code, PAGE_SIZE, RX), 0);
	expect_eq(t, space_protect(space, data, PAGE_SIZE, PROT_READ), 0);
	expect_eq(t, space_protect(space, data, PAGE_SIZE, RW), 0);
	expect_eq(t, user_write(space, data, 4), FAULT_DONE);
}

KTEST(space_protection, given_up_for_ever)
{
	struct address_space *space = space_create(), *child;
	uintptr_t data = user_map(space, 1, RW), code = user_map(space, 1, RX);

	expect_true(t, !space_refuses_exec_gain(space));
	space_refuse_exec_gain(space);
	expect_refused(t, space, data, code);
	assert_eq(t, space_fork(space, &child), 0);
	expect_true(t, space_refuses_exec_gain(child));
	expect_refused(t, child, data, code);
	/* What is not executable any more does not become so again. */
	expect_eq(t, space_protect(child, code, PAGE_SIZE, PROT_READ), 0);
	expect_eq(t, space_protect(child, code, PAGE_SIZE, RX), -EACCES);
	expect_eq(t, space_check(space) + space_check(child), 0);
	space_put(child);
	space_put(space);
}

static void
use(struct address_space *space)
{
	irqflags_t irq = arch_irq_save();

	space_activate(space);
	arch_irq_restore(irq);
}

/* As if the program ran: its tables are this CPU's. */
KTEST(space_protection, of_the_running_program)
{
	struct address_space *space, *running;
	uintptr_t at;

	if (nr_cpus > 1)
		ktest_skip(t, "this thread may go on on another CPU");
	space = space_create();
	at = user_map(space, 1, RW);
	use(space);
	running = space_running();
	expect_true(t, running == space);
	expect_eq(t, set_memory_protection((void *)at, PAGE_SIZE, PROT_READ), 0);
	expect_eq(t, user_write(space, at, 1), FAULT_ACCERR);
	expect_eq(t, set_memory_protection((void *)at, PAGE_SIZE, RW | PROTECTION_KEY(0)),
		  arch_nr_keys() > 1 ? 0 : -EINVAL);
	expect_eq(t, set_memory_protection((void *)at, PAGE_SIZE, RW), 0);
	expect_eq(t, user_write(space, at, 1), FAULT_DONE);
	expect_eq(t, set_memory_protection((void *)(at + 1), PAGE_SIZE, RW), -EINVAL);
	expect_eq(t, set_memory_protection((void *)at, PAGE_SIZE, 0x10), -EINVAL);
	expect_eq(t, set_memory_protection((void *)(at - PAGE_SIZE), PAGE_SIZE, RW), -ENOMEM);
	use(NULL);
	space_put(running);
	space_put(space);
}

KTEST(space_protection, of_no_program)
{
	expect_eq(t, set_memory_protection((void *)USER_MIN, PAGE_SIZE, PROT_READ), -ESRCH);
	expect_eq(t, PROTECTION_KEY_OF(PROT_READ), NO_KEY);
	expect_eq(t, PROTECTION_KEY_OF(RW | PROTECTION_KEY(0)), 0);
	expect_eq(t, PROTECTION_KEY_OF(RW | PROTECTION_KEY(15)), 15);
}

/* ---- Keys ---------------------------------------------------------------------------------- */

static unsigned
entry_key(struct address_space *space, uintptr_t at)
{
	return arch_mmu_key(page_table_lookup(&space->table, at));
}

KTEST(space_protection, keys)
{
	struct address_space *space = space_create(), *child;
	uintptr_t at = user_map(space, 4, RW);
	int key;

	if (arch_nr_keys() == 1) {
		expect_eq(t, space_key_alloc(space), -EINVAL);
		expect_eq(t, space_protect_key(space, at, PAGE_SIZE, RW, 1), -EINVAL);
		expect_eq(t, space_protect_key(space, at, PAGE_SIZE, RW, NO_KEY), 0);
		space_put(space);
		ktest_skip(t, "no protection keys");
	}
	key = space_key_alloc(space);
	expect_eq(t, key, 1);
	arch_key_deny((unsigned)key, 0);
	expect_eq(t, user_write(space, at, 1), FAULT_DONE);
	expect_eq(t, space_protect_key(space, at, 2 * PAGE_SIZE, RW, key), 0);
	expect_eq(t, user_write(space, at + PAGE_SIZE, 2), FAULT_DONE);
	expect_eq(t, entry_key(space, at), key);
	expect_eq(t, entry_key(space, at + PAGE_SIZE), key);
	assert_eq(t, space_fork(space, &child), 0);
	expect_eq(t, entry_key(child, at), key);
	expect_eq(t, user_write(child, at, 3), FAULT_DONE);
	expect_eq(t, entry_key(child, at), key);
	arch_key_deny((unsigned)key, KEY_NO_WRITE);
	expect_eq(t, user_write(child, at, 4), FAULT_KEY);
	expect_eq(t, user_read(child, at), 3);
	arch_key_deny((unsigned)key, KEY_NO_ACCESS);
	expect_eq(t, user_read(space, at), -1 - FAULT_KEY);
	expect_eq(t, user_read(space, at + 2 * PAGE_SIZE), 0);
	arch_key_deny((unsigned)key, 0);
	expect_eq(t, space_key_free(space, key), 0);
	expect_eq(t, space_key_free(space, key), -EINVAL);
	expect_eq(t, space_check(space) + space_check(child), 0);
	space_put(child);
	space_put(space);
}

/* ---- Heaps --------------------------------------------------------------------------------- */

KTEST(space_protection, gaps_beside_a_heap)
{
	struct address_space *space = space_create(), *child;
	uintptr_t plain = user_map(space, 1, RW), first, second, third;

	expect_eq(t, user_write(space, plain - 1, 1), FAULT_MAPERR);
	space_guard_heap(space, true);
	expect_true(t, space_guards_heap(space));
	first = user_map(space, 2, RW);
	second = user_map(space, 1, RW);
	expect_eq(t, second, first - 3 * PAGE_SIZE);
	expect_eq(t, user_write(space, first, 1), FAULT_DONE);
	expect_eq(t, user_write(space, first - 1, 1), FAULT_HEAP);
	expect_eq(t, user_write(space, first + 2 * PAGE_SIZE, 1), FAULT_HEAP);
	expect_eq(t, user_read(space, first + 3 * PAGE_SIZE - 1), -1 - FAULT_HEAP);
	expect_eq(t, user_write(space, second - PAGE_SIZE - 1, 1), FAULT_MAPERR);
	/* Nothing comes where something was. */
	expect_eq(t, space_unmap(space, second, PAGE_SIZE), 0);
	third = user_map(space, 1, RW);
	expect_lt(t, third, second);
	expect_eq(t, user_write(space, second, 1), FAULT_MAPERR);
	/* What an allocator hides is a guard, too, if memory of its own is beside it. */
	expect_eq(t, space_protect(space, first, PAGE_SIZE, PROT_NONE), 0);
	expect_eq(t, user_write(space, first, 1), FAULT_HEAP);
	expect_eq(t, space_protect(space, first, 2 * PAGE_SIZE, PROT_NONE), 0);
	expect_eq(t, user_write(space, first, 1), FAULT_ACCERR);
	/* What may only be read is no guard. */
	expect_eq(t, space_protect(space, first, PAGE_SIZE, PROT_READ), 0);
	expect_eq(t, user_write(space, first, 1), FAULT_ACCERR);
	assert_eq(t, space_fork(space, &child), 0);
	expect_true(t, space_guards_heap(child));
	expect_eq(t, user_write(child, third - 1, 1), FAULT_HEAP);
	expect_eq(t, space_check(space) + space_check(child), 0);
	space_put(child);
	space_put(space);
}

KTEST(space_protection, a_gap_above_the_break)
{
	struct address_space *space = space_create();
	uintptr_t start = GiB(1), other = GiB(1) + 4 * PAGE_SIZE;

	space_set_heap(space, start);
	assert_eq(t,
		  space_map(space, &other, PAGE_SIZE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			    NULL, 0, 0),
		  0);
	space_guard_heap(space, true);
	expect_eq(t, space_break(space, start + 4 * PAGE_SIZE), start);
	expect_eq(t, space_break(space, start + 3 * PAGE_SIZE), start + 3 * PAGE_SIZE);
	expect_eq(t, user_write(space, start + 3 * PAGE_SIZE - 1, 1), FAULT_DONE);
	expect_eq(t, user_write(space, start + 3 * PAGE_SIZE, 1), FAULT_HEAP);
	space_guard_heap(space, false);
	expect_eq(t, space_break(space, start + 4 * PAGE_SIZE), start + 4 * PAGE_SIZE);
	space_put(space);
}

/* All addresses have been used once: from the top again, where there is room. */
KTEST(space_protection, addresses_come_back_at_last)
{
	struct address_space *space = space_create();
	uintptr_t at = 0, first;
	size_t half = ALIGN_DOWN(USER_END / 2, PAGE_SIZE) - MiB(1);

	space_guard_heap(space, true);
	for (unsigned i = 0; i < 6; i++) {
		first = at;
		at = 0;
		assert_eq(t,
			  space_map(space, &at, half, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, NULL,
				    0, 0),
			  0);
		expect_ne(t, at, first);
		expect_eq(t, space_unmap(space, at, half), 0);
	}
	space_put(space);
}

KTEST(space_protection, heaps_by_process)
{
	expect_eq(t, enable_heap_protection(1), -ESRCH); /* none runs */
	expect_eq(t, disable_heap_protection(-1), -ESRCH);
}

/* ---- Entries ------------------------------------------------------------------------------- */

/* Tables below the page's are missing: the neighbour's must not be taken for them. */
KTEST(space_protection, a_page_at_any_byte)
{
	struct address_space *space = space_create();
	uintptr_t start = 0x40000000ul - PAGE_SIZE;

	assert_eq(t,
		  space_map(space, &start, 2 * PAGE_SIZE, RW,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, 0),
		  0);
	expect_eq(t, user_write(space, start + PAGE_SIZE, 1), FAULT_DONE);
	expect_eq(t, page_table_lookup(&space->table, start), 0);
	expect_eq(t, page_table_lookup(&space->table, start + 1), 0);
	expect_eq(t, page_table_lookup(&space->table, start + PAGE_SIZE - 1), 0);
	expect_ne(t, page_table_lookup(&space->table, start + 2 * PAGE_SIZE - 1), 0);
	space_put(space);
}

/* Every entry has the C-bit; no frame does; nothing else of an entry changes. */
KTEST(space_protection, encrypted_entries)
{
	static struct mmu_format plain, encrypted;

	for (unsigned bit = MMU_C_BIT_MIN; bit <= MMU_C_BIT_MAX; bit++) {
		uint64_t c_bit = 1ul << bit;

		mmu_format_make(&plain, 1ul << 63, 0);
		mmu_format_make(&encrypted, 1ul << 63, c_bit);
		for (unsigned rights = 0; rights < MMU_NR_RIGHTS; rights++) {
			uint64_t with = encrypted.grants[rights], without = plain.grants[rights];

			expect_eq(t, with, without | c_bit);
			expect_eq(t, arch_mmu_frame(with | 0x7ffffff56000ul), 0x7ffffff56000ul);
			expect_eq(t, arch_mmu_key(with), MMU_KEY_OF(rights));
			expect_eq(t, arch_mmu_is_visible(with), (rights & MMU_ALL) != 0);
			expect_eq(t, arch_mmu_is_writable(with), (rights & MMU_WRITE) != 0);
		}
	}
}
