/* SPDX-License-Identifier: MIT */
/*
 * Unpacking archives: a good one, and the same cut short at every byte, with every byte changed,
 * and with what a hostile one would hold. What comes out never leaves its directory.
 */
#include "../../kernel/fs/cpio.h"
#include "fs_helpers.h"

#define ARCHIVE_MAX 4096

static uint8_t archive[ARCHIVE_MAX], damaged[ARCHIVE_MAX];
static size_t archive_size;

struct made {
	const char *name, *data;
	uint32_t mode, inode, links, major, minor;
};

static void
pad(void)
{
	while (archive_size % 4)
		archive[archive_size++] = 0;
}

static void
append_entry(const struct made *entry)
{
	size_t name_size = strlen(entry->name) + 1, size = entry->data ? strlen(entry->data) : 0;

	archive_size +=
	    (size_t)ksnprintf((char *)archive + archive_size, ARCHIVE_MAX - archive_size,
			      "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			      entry->inode, entry->mode, 0, 0, entry->links, 1000000000,
			      (unsigned)size, 0, 0, entry->major, entry->minor, (unsigned)name_size,
			      0);
	memcpy(archive + archive_size, entry->name, name_size);
	archive_size += name_size;
	pad();
	if (size > 0)
		memcpy(archive + archive_size, entry->data, size);
	archive_size += size;
	pad();
}

#define TOP "fs_cpio"

static const struct made good[] = {
	{ TOP, NULL, S_IFDIR | 0700, 1, 2, 0, 0 },
	{ "./" TOP "/a", "alpha", S_IFREG | 0755, 2, 1, 0, 0 },
	{ "/" TOP "/link", "a", S_IFLNK | 0777, 3, 1, 0, 0 },
	{ TOP "/null", NULL, S_IFCHR | 0666, 4, 1, 1, 3 },
	{ TOP "/h1", NULL, S_IFREG | 0644, 5, 2, 0, 0 },
	{ TOP "/h2", "shared", S_IFREG | 0644, 5, 2, 0, 0 },
	{ TOP "/empty", NULL, S_IFREG | 0600, 6, 1, 0, 0 },
	{ "TRAILER!!!", NULL, 0, 0, 1, 0, 0 },
};

static void
build(const struct made *entries, unsigned nr)
{
	archive_size = 0;
	for (unsigned i = 0; i < nr; i++)
		append_entry(&entries[i]);
}

static void
clean_up(void)
{
	static const char *const names[] = { "a", "link", "null", "h1", "h2", "empty", "x" };
	char path[32];

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		ksnprintf(path, sizeof(path), "/" TOP "/%s", names[i]);
		(void)remove_path(path, false);
	}
	(void)remove_path("/" TOP, true);
}

static bool
holds(const char *path, const char *text)
{
	char found[32];
	struct file *file;
	int64_t size;

	if (open_at_path(path, O_RDONLY, &file))
		return false;
	size = read_bytes(file, found, sizeof(found));
	file_put(file);
	return size == (int64_t)strlen(text) && memcmp(found, text, (size_t)size) == 0;
}

KTEST(fs_cpio, good_archive)
{
	struct dentry *dentry;

	build(good, ARRAY_SIZE(good));
	expect_eq(t, initrd_unpack_archive(kernel_context, archive, archive_size, true), 0);
	expect_true(t, holds("/" TOP "/a", "alpha"));
	expect_true(t, holds("/" TOP "/link", "alpha"));
	expect_true(t, holds("/" TOP "/h1", "shared"));
	expect_true(t, holds("/" TOP "/h2", "shared"));
	expect_true(t, holds("/" TOP "/empty", ""));
	assert_eq(t, path_find(kernel_context, "/" TOP "/a", 0, &dentry), 0);
	expect_eq(t, dentry->inode->mode, S_IFREG | 0755);
	expect_eq(t, dentry->inode->modified, 1000000000 * (int64_t)NSEC_PER_SEC);
	dentry_put(dentry);
	assert_eq(t, path_find(kernel_context, "/" TOP "/h1", 0, &dentry), 0);
	expect_eq(t, dentry->inode->links, 2);
	dentry_put(dentry);
	assert_eq(t, path_find(kernel_context, "/" TOP "/null", 0, &dentry), 0);
	expect_eq(t, dentry->inode->device, make_device(1, 3));
	dentry_put(dentry);
	clean_up();
}

KTEST(fs_cpio, two_archives_in_one)
{
	static const struct made second[] = { { TOP "/x", "second", S_IFREG | 0644, 9, 1, 0, 0 },
					      { "TRAILER!!!", NULL, 0, 0, 1, 0, 0 } };
	size_t first;

	build(good, ARRAY_SIZE(good));
	first = ALIGN_UP(archive_size, 512ul);
	memset(archive + archive_size, 0, first - archive_size);
	archive_size = first;
	append_entry(&second[0]);
	append_entry(&second[1]);
	expect_eq(t, initrd_unpack_archive(kernel_context, archive, archive_size, true), 0);
	expect_true(t, holds("/" TOP "/x", "second"));
	clean_up();
}

/* What was whole before the cut is there. */
KTEST(fs_cpio, cut_at_every_byte, .budget_ms = 30000)
{
	build(good, ARRAY_SIZE(good));
	for (size_t size = 0; size < archive_size; size++) {
		int result = initrd_unpack_archive(kernel_context, archive, size, true);

		/* The last padding may be missing. */
		if (result == 0 && size + 4 <= archive_size)
			ktest_fail(t, __FILE__, __LINE__, "cut at %lu: nothing was noticed",
				   (unsigned long)size);
		if (size > 300)
			expect_true(t, holds("/" TOP "/a", "alpha"));
		clean_up();
	}
}

/* Any byte changed to any of three values: whatever happens, nothing breaks or leaks. */
KTEST(fs_cpio, every_byte_changed, .budget_ms = 60000)
{
	static const uint8_t changes[] = { 0x00, 'f', 0x80 };

	build(good, ARRAY_SIZE(good));
	for (size_t at = 0; at < archive_size; at += 3) {
		for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
			struct cpio_reader reader;
			struct cpio_entry entry;
			unsigned nr = 0;

			memcpy(damaged, archive, archive_size);
			damaged[at] = changes[i];
			cpio_begin(&reader, damaged, archive_size);
			while (cpio_next(&reader, &entry) > 0)
				nr++;
			expect_le(t, nr, ARRAY_SIZE(good));
			expect_le(t, reader.at, archive_size);
		}
	}
}

KTEST(fs_cpio, hostile_names)
{
	static const struct made hostile[] = {
		{ TOP, NULL, S_IFDIR | 0755, 1, 2, 0, 0 },
		{ "../../" TOP "/x", "inside", S_IFREG | 0644, 2, 1, 0, 0 },
		{ TOP "/none/deep", "lost", S_IFREG | 0644, 3, 1, 0, 0 },
		{ ".", NULL, S_IFDIR | 0755, 4, 2, 0, 0 },
		{ "..", NULL, S_IFDIR | 0755, 5, 2, 0, 0 },
		{ "/", NULL, S_IFDIR | 0755, 6, 2, 0, 0 },
		{ TOP, "no", S_IFREG | 0644, 7, 1, 0, 0 }, /* a file in a directory's place */
		{ TOP "/link", "link", S_IFLNK | 0777, 8, 1, 0, 0 },
		{ TOP "/link/y", "no", S_IFREG | 0644, 9, 1, 0, 0 }, /* through a loop */
		{ TOP "/a", "kind", 0150000 | 0644, 10, 1, 0, 0 },   /* no such kind */
		{ "TRAILER!!!", NULL, 0, 0, 1, 0, 0 },
	};

	build(hostile, ARRAY_SIZE(hostile));
	expect_eq(t, initrd_unpack_archive(kernel_context, archive, archive_size, true), 0);
	expect_true(t, holds("/" TOP "/x", "inside")); /* the root is its own parent */
	expect_eq(t, walk_to("/" TOP "/none", 0), -ENOENT);
	expect_eq(t, walk_to("/" TOP "/a", 0), -ENOENT);
	clean_up();
	expect_eq(t, walk_to("/" TOP, 0), -ENOENT);
}
