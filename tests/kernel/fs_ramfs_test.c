/* SPDX-License-Identifier: MIT */
/*
 * Directories and regular files against simple models, under shortage, and without leaks.
 */
#include <page_cache.h>
#include <thread.h>

#include "fs_helpers.h"

#define TOP "/fs_ramfs"

/* ---- Bytes of a file ----------------------------------------------------------------------- */

#define MODEL_SIZE (64 * 1024)
#define OPERATIONS 600

static uint8_t model[MODEL_SIZE], buffer[MODEL_SIZE];

static void
model_resize(size_t *size, size_t to)
{
	if (to > *size)
		memset(model + *size, 0, to - *size);
	*size = to;
}

static void
random_write(struct ktest *t, struct file *file, size_t *size)
{
	uint64_t offset = prng_below(&t->prng, MODEL_SIZE - 1);
	size_t bytes = 1 + prng_below(&t->prng, MIN(MODEL_SIZE - offset, 9000ul));
	struct transfer from;

	memset(buffer, (int)prng_below(&t->prng, 256), bytes);
	from = kernel_transfer(buffer, bytes);
	expect_eq(t, file_write(file, &from, &offset), bytes);
	if (offset > *size)
		model_resize(size, offset);
	memcpy(model + offset, buffer, bytes);
	*size = MAX(*size, offset + bytes);
}

static void
random_read(struct ktest *t, struct file *file, size_t size)
{
	uint64_t offset = prng_below(&t->prng, MODEL_SIZE);
	size_t bytes = prng_below(&t->prng, 9000);
	size_t expected = offset < size ? MIN(bytes, size - offset) : 0;

	expect_eq(t, file_read_at(file, offset, buffer, bytes), expected);
	expect_true(t, memcmp(buffer, model + offset, expected) == 0);
}

static void
random_cut(struct ktest *t, struct file *file, size_t *size)
{
	size_t to = prng_below(&t->prng, MODEL_SIZE);

	expect_eq(t, file_truncate(file->inode, to), 0);
	model_resize(size, to);
	expect_eq(t, inode_size(file->inode), to);
}

KTEST(fs_ramfs, bytes_agree_with_a_model, .budget_ms = 20000)
{
	struct file *file;
	size_t size = 0;

	assert_eq(t, open_at_path(TOP "_bytes", O_CREAT | O_EXCL | O_RDWR, &file), 0);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		switch (prng_below(&t->prng, 5)) {
		case 0:
			random_cut(t, file, &size);
			break;
		case 1:
		case 2:
			random_write(t, file, &size);
			break;
		default:
			random_read(t, file, size);
		}
	}
	expect_eq(t, file_read_at(file, 0, buffer, MODEL_SIZE), size);
	expect_true(t, memcmp(buffer, model, size) == 0);
	expect_eq(t, page_cache_check(page_cache_of(file_object(file))), 0);
	file_put(file);
	expect_eq(t, remove_path(TOP "_bytes", false), 0);
}

KTEST(fs_ramfs, holes_take_no_frames)
{
	uint64_t far = MiB(1024);
	struct transfer from = kernel_transfer("x", 1);
	struct file *file;
	uint8_t byte = 1;

	assert_eq(t, open_at_path(TOP "_hole", O_CREAT | O_EXCL | O_RDWR, &file), 0);
	expect_eq(t, file_write(file, &from, &far), 1);
	expect_eq(t, inode_size(file->inode), far + 1);
	expect_eq(t, file_pages_nr_pages(file->inode->file), 1);
	expect_eq(t, file_read_at(file, 12345, &byte, 1), 1);
	expect_eq(t, byte, 0);
	file_put(file);
	expect_eq(t, remove_path(TOP "_hole", false), 0);
}

/* The last byte that a file may have, in a file that has its first pages. */
KTEST(fs_ramfs, farthest_byte)
{
	uint64_t last = MAX_FILE_SIZE - 1, beyond = MAX_FILE_SIZE;
	struct transfer from = kernel_transfer("xy", 2);
	struct file *file;
	uint8_t byte = 0;

	assert_eq(t, make_file(TOP "_far", "near"), 0);
	assert_eq(t, open_at_path(TOP "_far", O_RDWR, &file), 0);
	expect_eq(t, file_write(file, &from, &last), 1); /* cut to what may be */
	from = kernel_transfer("z", 1);
	expect_eq(t, file_write(file, &from, &beyond), -EFBIG);
	expect_eq(t, inode_size(file->inode), MAX_FILE_SIZE);
	expect_eq(t, file_read_at(file, last, &byte, 1), 1);
	expect_eq(t, byte, 'x');
	expect_eq(t, file_truncate(file->inode, 2), 0);
	file_put(file);
	expect_eq(t, remove_path(TOP "_far", false), 0);
}

KTEST(fs_ramfs, positions)
{
	struct file *file, *append;
	char text[16];

	assert_eq(t, open_at_path(TOP "_pos", O_CREAT | O_EXCL | O_RDWR, &file), 0);
	assert_eq(t, open_at_path(TOP "_pos", O_WRONLY | O_APPEND, &append), 0);
	expect_eq(t, write_bytes(file, "abcdef", 6), 6);
	expect_eq(t, write_bytes(append, "gh", 2), 2);
	expect_eq(t, file_seek(append, 0, SEEK_CUR), 8);
	expect_eq(t, file_seek(file, -2, SEEK_END), 6);
	expect_eq(t, read_bytes(file, text, sizeof(text)), 2);
	expect_true(t, memcmp(text, "gh", 2) == 0);
	expect_eq(t, read_bytes(file, text, sizeof(text)), 0);
	expect_eq(t, file_seek(file, -9, SEEK_CUR), -EINVAL);
	expect_eq(t, file_seek(file, 0, 7), -EINVAL);
	expect_eq(t, file_seek(file, 3, SEEK_DATA), 3);
	expect_eq(t, file_seek(file, 3, SEEK_HOLE), 8);
	expect_eq(t, file_seek(file, 8, SEEK_DATA), -ENXIO);
	expect_eq(t, read_bytes(append, text, 1), -EBADF);
	file_put(file);
	file_put(append);
	expect_eq(t, remove_path(TOP "_pos", false), 0);
}

/* What was removed lives as long as it is open; what was cut off does not come back. */
KTEST(fs_ramfs, removed_and_cut)
{
	struct file *file, *again;
	char text[16];

	assert_eq(t, make_file(TOP "_gone", "hello"), 0);
	assert_eq(t, open_at_path(TOP "_gone", O_RDWR, &file), 0);
	expect_eq(t, remove_path(TOP "_gone", false), 0);
	expect_eq(t, open_at_path(TOP "_gone", O_RDONLY, &again), -ENOENT);
	expect_eq(t, read_bytes(file, text, sizeof(text)), 5);
	expect_eq(t, file->inode->links, 0);
	expect_eq(t, file_truncate(file->inode, 2), 0);
	expect_eq(t, file_truncate(file->inode, 5), 0);
	expect_eq(t, file_read_at(file, 0, text, 5), 5);
	expect_true(t, memcmp(text, "he\0\0\0", 5) == 0);
	file_put(file);
}

KTEST(fs_ramfs, executed_files_are_not_written)
{
	struct file *file, *writer;

	assert_eq(t, make_file(TOP "_exec", "#!"), 0);
	assert_eq(t, open_at_path(TOP "_exec", O_RDONLY, &file), 0);
	expect_eq(t, file_may_exec(file), -EACCES);
	file->inode->mode |= 0111;
	assert_eq(t, open_at_path(TOP "_exec", O_WRONLY, &writer), 0);
	expect_eq(t, file_may_exec(file), -ETXTBSY);
	file_put(writer);
	expect_eq(t, file_may_exec(file), 0);
	expect_eq(t, open_at_path(TOP "_exec", O_WRONLY, &writer), -ETXTBSY);
	expect_eq(t, open_at_path(TOP "_exec", O_RDONLY | O_TRUNC, &writer), -ETXTBSY);
	file_put(file);
	assert_eq(t, open_at_path(TOP "_exec", O_WRONLY, &writer), 0);
	file_put(writer);
	expect_eq(t, remove_path(TOP "_exec", false), 0);
}

/* ---- Names of a directory ------------------------------------------------------------------ */

#define NR_NAMES 40

static bool present[NR_NAMES];

static const char *
name_of(unsigned i)
{
	static char path[32];

	ksnprintf(path, sizeof(path), TOP "/name%u", i);
	return path;
}

static bool
count_entry(const struct listed *entry, void *arg)
{
	unsigned *seen = arg;

	if (strncmp(entry->name, "name", 4) == 0)
		(*seen)++;
	return true;
}

static unsigned
count_names(void)
{
	struct dentry *directory;
	unsigned seen = 0;

	if (path_find(kernel_context, TOP, 0, &directory))
		return 0;
	mutex_lock(&names_lock);
	dentry_list_locked(directory, 0, count_entry, &seen);
	mutex_unlock(&names_lock);
	dentry_put(directory);
	return seen;
}

static void
random_name_operation(struct ktest *t)
{
	unsigned a = (unsigned)prng_below(&t->prng, NR_NAMES);
	unsigned b = (unsigned)prng_below(&t->prng, NR_NAMES);
	char from[32];

	strlcpy(from, name_of(a), sizeof(from));
	switch (prng_below(&t->prng, 3)) {
	case 0:
		expect_eq(t, make_file(from, "x"), present[a] ? -EEXIST : 0);
		present[a] = true;
		break;
	case 1:
		expect_eq(t, remove_path(from, false), present[a] ? 0 : -ENOENT);
		present[a] = false;
		break;
	default:
		expect_eq(t, rename_path(from, name_of(b), 0), present[a] ? 0 : -ENOENT);
		if (present[a] && a != b) {
			present[a] = false;
			present[b] = true;
		}
	}
}

/* param 1: new names have one of four hashes, so chains are long. */
KTEST(fs_ramfs, names_agree_with_a_model, .nr_params = 2, .budget_ms = 20000)
{
	struct dentry *top;
	unsigned nr = 0;

	assert_eq(t, make_directory(TOP), 0);
	assert_eq(t, path_find(kernel_context, TOP, 0, &top), 0);
	top->inode->directory.hash_mask = t->param ? 3 : UINT64_MAX;
	dentry_put(top);
	memset(present, 0, sizeof(present));
	for (unsigned i = 0; i < 500; i++)
		random_name_operation(t);
	for (unsigned i = 0; i < NR_NAMES; i++) {
		expect_eq(t, walk_to(name_of(i), 0), present[i] ? 0 : -ENOENT);
		nr += present[i];
	}
	expect_eq(t, count_names(), nr);
	for (unsigned i = 0; i < NR_NAMES; i++)
		(void)remove_path(name_of(i), false);
	expect_eq(t, remove_path(TOP, true), 0);
}

/* As "rm -r" does: read a few names, remove them, go on. Each is met once. */
struct batch {
	char name[8][32];
	unsigned nr;
	uint64_t next;
};

static bool
gather_batch(const struct listed *entry, void *arg)
{
	struct batch *batch = arg;

	if (batch->nr == ARRAY_SIZE(batch->name))
		return false;
	strlcpy(batch->name[batch->nr++], entry->name, sizeof(batch->name[0]));
	batch->next = entry->next;
	return true;
}

KTEST(fs_ramfs, listing_survives_removal, .budget_ms = 20000)
{
	struct dentry *directory;
	struct batch batch = { .next = FIRST_PLACE };
	unsigned removed = 0;

	assert_eq(t, make_directory(TOP), 0);
	for (unsigned i = 0; i < 300; i++)
		expect_eq(t, make_file(name_of(i), ""), 0);
	assert_eq(t, path_find(kernel_context, TOP, 0, &directory), 0);
	do {
		batch.nr = 0;
		mutex_lock(&names_lock);
		dentry_list_locked(directory, batch.next, gather_batch, &batch);
		mutex_unlock(&names_lock);
		for (unsigned i = 0; i < batch.nr; i++) {
			char path[64];

			ksnprintf(path, sizeof(path), TOP "/%s", batch.name[i]);
			expect_eq(t, remove_path(path, false), 0);
			removed++;
		}
	} while (batch.nr > 0);
	expect_eq(t, removed, 300);
	dentry_put(directory);
	expect_eq(t, remove_path(TOP, true), 0);
}

KTEST(fs_ramfs, links_are_counted)
{
	struct dentry *top, *file, *other = NULL;

	assert_eq(t, make_directory(TOP), 0);
	assert_eq(t, make_directory(TOP "/a"), 0);
	assert_eq(t, make_file(TOP "/f", "x"), 0);
	assert_eq(t, path_find(kernel_context, TOP, 0, &top), 0);
	assert_eq(t, path_find(kernel_context, TOP "/f", 0, &file), 0);
	expect_eq(t, top->inode->links, 3);
	mutex_lock(&names_lock);
	expect_eq(t, name_create_locked(top, "g", 1, inode_get(file->inode), &other), 0);
	mutex_unlock(&names_lock);
	expect_eq(t, file->inode->links, 2);
	expect_eq(t, rename_path(TOP "/f", TOP "/g", 0), 0); /* one file: nothing is done */
	expect_eq(t, file->inode->links, 2);
	expect_eq(t, remove_path(TOP "/f", false), 0);
	expect_eq(t, file->inode->links, 1);
	expect_eq(t, remove_path(TOP "/g", false), 0);
	expect_eq(t, file->inode->links, 0);
	expect_eq(t, remove_path(TOP "/a", true), 0);
	expect_eq(t, top->inode->links, 2);
	dentry_put(other);
	dentry_put(file);
	dentry_put(top);
	expect_eq(t, remove_path(TOP, true), 0);
}

/* ---- Shortage, leaks ----------------------------------------------------------------------- */

/* Make, fill and remove a small tree; any step may fail for want of memory. */
static void
churn(void)
{
	struct file *file;
	struct file *end[2];

	(void)make_directory(TOP);
	(void)make_directory(TOP "/d");
	(void)make_symlink("d", TOP "/l");
	if (open_at_path(TOP "/l/f", O_CREAT | O_RDWR, &file) == 0) {
		for (unsigned i = 0; i < 8; i++)
			(void)write_bytes(file, model, 5000);
		(void)file_seek(file, 100, SEEK_SET);
		(void)read_bytes(file, buffer, 9000);
		(void)file_pages_allocate(file->inode, 0, 100000, false);
		file_put(file);
	}
	(void)rename_path(TOP "/d/f", TOP "/g", 0);
	if (pipe_make(O_NONBLOCK, end) == 0) {
		(void)write_bytes(end[1], model, 9000);
		(void)read_bytes(end[0], buffer, 4096);
		file_put(end[0]);
		file_put(end[1]);
	}
	if (open_at_path("/proc/meminfo", O_RDONLY, &file) == 0) {
		(void)read_bytes(file, buffer, MODEL_SIZE);
		file_put(file);
	}
}

/* With every page frame that fails a step leaves all as it was, or says so. */
static void
clean_up(struct ktest *t)
{
	(void)remove_path(TOP "/d/f", false);
	(void)remove_path(TOP "/g", false);
	(void)remove_path(TOP "/l", false);
	(void)remove_path(TOP "/d", true);
	(void)remove_path(TOP, true);
	expect_eq(t, walk_to(TOP, 0), -ENOENT);
}

static size_t
frames_free(void)
{
	(void)slab_reclaim(SIZE_MAX / PAGE_SIZE);
	return page_allocator_nr_free();
}

KTEST(fs_ramfs, shortage_breaks_and_leaks_nothing, .budget_ms = 30000)
{
	size_t before, pages = page_cache_total();
	unsigned failed = 0;

	churn();
	clean_up(t);
	before = frames_free();
	for (unsigned round = 0; round < 40; round++) {
		(void)slab_reclaim(SIZE_MAX / PAGE_SIZE); /* so that objects need frames, too */
		page_allocator_set_faults(1 + round % 7, t->seed + round);
		churn();
		failed += page_allocator_nr_faults() > 0;
		page_allocator_set_faults(0, 0);
		clean_up(t);
	}
	expect_true(t, failed > 20);
	expect_eq(t, page_cache_total(), pages);
	expect_eq(t, frames_free(), before);
	expect_eq(t, slab_check_all(), 0);
}

/* Writers of all CPUs append to one file: every record is there, and whole. */
#define WRITERS 4
#define RECORDS 60

static void
append_records(void *arg)
{
	char record[64];
	struct file *file;

	memset(record, 'a' + (int)(uintptr_t)arg, sizeof(record));
	if (open_at_path(TOP "_log", O_WRONLY | O_APPEND, &file))
		return;
	for (unsigned i = 0; i < RECORDS; i++)
		(void)write_bytes(file, record, sizeof(record));
	file_put(file);
}

KTEST(fs_ramfs, appended_records_stay_whole, .budget_ms = 30000)
{
	struct thread *threads[WRITERS];
	struct file *file;
	unsigned whole = 0;
	char record[64];

	assert_eq(t, open_at_path(TOP "_log", O_CREAT | O_EXCL | O_RDONLY, &file), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		threads[i] = thread_create("append", append_records, (void *)(uintptr_t)i, CPU_ANY);
	for (unsigned i = 0; i < WRITERS; i++)
		thread_join(threads[i]);
	while (read_bytes(file, record, sizeof(record)) == sizeof(record)) {
		bool same = true;

		for (unsigned i = 1; i < sizeof(record); i++)
			same = same && record[i] == record[0];
		whole += same;
	}
	expect_eq(t, whole, WRITERS * RECORDS);
	file_put(file);
	expect_eq(t, remove_path(TOP "_log", false), 0);
}
