/* SPDX-License-Identifier: MIT */
/*
 * Descriptors and locks: the lowest number is given out, tables grow and are copied, exec closes
 * what it should; who holds an exclusive lock holds it alone.
 */
#include <thread.h>

#include "../../kernel/fs/flock.h"
#include "fs_helpers.h"

static struct file *
open_null(struct ktest *t)
{
	struct file *file = NULL;

	assert_eq(t, open_at_path("/dev/null", O_RDWR, &file), 0);
	return file;
}

KTEST(fs_files, lowest_descriptor_first)
{
	struct fd_table *table = fd_table_create();

	assert_true(t, table != NULL);
	for (int i = 0; i < 5; i++)
		expect_eq(t, fd_install(table, open_null(t), false), i);
	expect_eq(t, fd_close(table, 1), 0);
	expect_eq(t, fd_close(table, 3), 0);
	expect_eq(t, fd_close(table, 3), -EBADF);
	expect_eq(t, fd_install(table, open_null(t), false), 1);
	expect_eq(t, fd_install_from(table, open_null(t), 10, false), 10);
	expect_eq(t, fd_install(table, open_null(t), false), 3);
	expect_eq(t, fd_install(table, open_null(t), false), 5);
	expect_eq(t, fd_next(table, 6), 10);
	expect_eq(t, fd_next(table, 11), -1);
	fd_table_put(table);
}

KTEST(fs_files, wrong_descriptors)
{
	struct fd_table *table = fd_table_create();
	struct file *file = open_null(t);

	expect_true(t, fd_get(table, -1) == NULL);
	expect_true(t, fd_get(table, 0) == NULL);
	expect_true(t, fd_get(table, INT32_MAX) == NULL);
	expect_eq(t, fd_install_from(table, file, -1, false), -EINVAL);
	expect_eq(t, fd_install_from(table, file, MAX_FILES, false), -EINVAL);
	expect_eq(t, fd_replace(table, file, -1, false), -EBADF);
	expect_eq(t, fd_replace(table, file, MAX_FILES, false), -EBADF);
	expect_eq(t, fd_get_flags(table, 7), -EBADF);
	expect_eq(t, fd_replace(table, file, MAX_FILES - 1, true), MAX_FILES - 1);
	expect_eq(t, fd_get_flags(table, MAX_FILES - 1), FD_CLOEXEC);
	fd_table_put(table);
}

/* The table grows to its limit; then there is none. All are closed at the end. */
KTEST(fs_files, as_many_as_may_be, .budget_ms = 20000)
{
	struct fd_table *table = fd_table_create();
	struct file *file = open_null(t);

	for (int i = 0; i < MAX_FILES; i++)
		expect_eq(t, fd_install(table, file_get(file), false), i);
	expect_eq(t, fd_install(table, file, false), -EMFILE);
	expect_eq(t, file->refs, MAX_FILES + 1);
	fd_close_range(table, 10, UINT32_MAX, false);
	expect_eq(t, file->refs, 11);
	fd_table_put(table);
	expect_eq(t, file->refs, 1);
	file_put(file);
}

KTEST(fs_files, copies_and_exec)
{
	struct fd_table *table = fd_table_create(), *copy = NULL;
	struct file *file = open_null(t);

	expect_eq(t, fd_install(table, file_get(file), true), 0);
	expect_eq(t, fd_install(table, file_get(file), false), 1);
	expect_eq(t, fd_replace(table, file_get(file), 100, true), 100);
	assert_eq(t, fd_table_copy(table, &copy), 0);
	expect_eq(t, file->refs, 7);
	fd_table_exec(copy);
	expect_eq(t, file->refs, 5);
	expect_eq(t, fd_next(copy, 0), 1);
	expect_eq(t, fd_next(copy, 2), -1);
	expect_eq(t, fd_get_flags(table, 100), FD_CLOEXEC);
	expect_eq(t, fd_install(copy, file_get(file), false), 0);
	fd_table_put(copy);
	fd_table_put(table);
	expect_eq(t, file->refs, 1);
	file_put(file);
}

/* ---- Locks --------------------------------------------------------------------------------- */

static unsigned inside, most_inside;

static void
lock_and_count(void *arg)
{
	struct file *file;
	unsigned now;

	(void)arg;
	if (open_at_path("/fs_lock", O_RDONLY, &file))
		return;
	for (unsigned i = 0; i < 50; i++) {
		if (flock_set(file, LOCK_EX))
			break;
		now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		most_inside = MAX(most_inside, now);
		thread_yield();
		__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		(void)flock_set(file, LOCK_UN);
	}
	file_put(file);
}

KTEST(fs_files, exclusive_locks_exclude, .budget_ms = 20000)
{
	struct thread *threads[3];

	assert_eq(t, make_file("/fs_lock", ""), 0);
	inside = most_inside = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		threads[i] = thread_create("lock", lock_and_count, NULL, CPU_ANY);
	for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
		thread_join(threads[i]);
	expect_eq(t, most_inside, 1);
	expect_eq(t, remove_path("/fs_lock", false), 0);
}

KTEST(fs_files, locks_go_with_their_file)
{
	struct file *a, *b;

	assert_eq(t, make_file("/fs_lock", ""), 0);
	assert_eq(t, open_at_path("/fs_lock", O_RDONLY, &a), 0);
	assert_eq(t, open_at_path("/fs_lock", O_RDONLY, &b), 0);
	expect_eq(t, flock_set(a, LOCK_SH), 0);
	expect_eq(t, flock_set(b, LOCK_SH), 0);
	expect_eq(t, flock_set(a, LOCK_EX | LOCK_NB), -EAGAIN);
	file_put(b);
	expect_eq(t, flock_set(a, LOCK_EX | LOCK_NB), 0);
	file_put(a);
	expect_eq(t, remove_path("/fs_lock", false), 0);
}
