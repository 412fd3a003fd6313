/* SPDX-License-Identifier: MIT */
/*
 * Walking paths, opening, and the errors of both: what Linux says in each case.
 */
#include "fs_helpers.h"

#define TOP "/fs_path"

static void
build(struct ktest *t)
{
	assert_eq(t, make_directory(TOP), 0);
	assert_eq(t, make_directory(TOP "/dir"), 0);
	assert_eq(t, make_directory(TOP "/dir/sub"), 0);
	assert_eq(t, make_file(TOP "/file", "text"), 0);
	assert_eq(t, make_symlink("dir", TOP "/link"), 0);
	assert_eq(t, make_symlink(TOP "/file", TOP "/absolute"), 0);
	assert_eq(t, make_symlink("../file", TOP "/dir/up"), 0);
	assert_eq(t, make_symlink("nowhere", TOP "/dangling"), 0);
	assert_eq(t, make_symlink("loop", TOP "/loop"), 0);
}

static void
demolish(struct ktest *t)
{
	static const char *const names[] = { "/file",	  "/link",    "/absolute", "/dir/up",
					     "/dangling", "/nowhere", "/loop" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		char path[64];

		strlcpy(path, TOP, sizeof(path));
		strlcpy(path + strlen(path), names[i], sizeof(path) - strlen(path));
		(void)remove_path(path, false);
	}
	expect_eq(t, remove_path(TOP "/dir/sub", true), 0);
	expect_eq(t, remove_path(TOP "/dir", true), 0);
	expect_eq(t, remove_path(TOP, true), 0);
}

struct walked {
	const char *path;
	unsigned flags;
	int result;
};

KTEST(fs_path, walks)
{
	static const struct walked cases[] = {
		{ "/", 0, 0 },
		{ "//", 0, 0 },
		{ "/..", 0, 0 },
		{ "", 0, -ENOENT },
		{ ".", 0, 0 },
		{ TOP "/dir/../file", 0, 0 },
		{ TOP "///dir//./sub/", 0, 0 },
		{ TOP "/file/", 0, -ENOTDIR },
		{ TOP "/file/.", 0, -ENOTDIR },
		{ TOP "/file/..", 0, -ENOTDIR },
		{ TOP "/none", 0, -ENOENT },
		{ TOP "/none/x", 0, -ENOENT },
		{ TOP "/link/sub", 0, 0 },
		{ TOP "/link", 0, 0 },
		{ TOP "/link/", 0, 0 },
		{ TOP "/link/up", WALK_FOLLOW, 0 },
		{ TOP "/link/..", 0, 0 },
		{ TOP "/absolute", WALK_FOLLOW, 0 },
		{ TOP "/absolute/", 0, -ENOTDIR },
		{ TOP "/dangling", 0, 0 },
		{ TOP "/dangling", WALK_FOLLOW, -ENOENT },
		{ TOP "/dangling/", 0, -ENOENT },
		{ TOP "/loop", 0, 0 },
		{ TOP "/loop", WALK_FOLLOW, -ELOOP },
		{ TOP "/loop/x", 0, -ELOOP },
	};

	build(t);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int result = walk_to(cases[i].path, cases[i].flags);

		if (result != cases[i].result)
			ktest_fail(t, __FILE__, __LINE__, "%s: %d, not %d", cases[i].path, result,
				   cases[i].result);
	}
	demolish(t);
}

KTEST(fs_path, lengths)
{
	char name[NAME_MAX + 3] = "/", path[PATH_MAX + 1];

	memset(name + 1, 'n', NAME_MAX);
	name[NAME_MAX + 1] = '\0';
	expect_eq(t, walk_to(name, 0), -ENOENT);
	name[NAME_MAX + 1] = 'n';
	name[NAME_MAX + 2] = '\0';
	expect_eq(t, walk_to(name, 0), -ENAMETOOLONG);
	memset(path, '/', sizeof(path));
	path[PATH_MAX - 1] = '\0';
	expect_eq(t, walk_to(path, 0), 0);
	path[PATH_MAX - 1] = '/';
	path[PATH_MAX] = '\0';
	expect_eq(t, walk_to(path, 0), -ENAMETOOLONG);
}

/* 40 links in a row may be followed, 41 not. */
KTEST(fs_path, forty_links)
{
	char path[32], target[32];

	assert_eq(t, make_directory(TOP), 0);
	assert_eq(t, make_file(TOP "/l0", ""), 0);
	for (unsigned i = 1; i <= 41; i++) {
		ksnprintf(path, sizeof(path), TOP "/l%u", i);
		ksnprintf(target, sizeof(target), "l%u", i - 1);
		expect_eq(t, make_symlink(target, path), 0);
	}
	expect_eq(t, walk_to(TOP "/l40", WALK_FOLLOW), 0);
	expect_eq(t, walk_to(TOP "/l41", WALK_FOLLOW), -ELOOP);
	for (unsigned i = 0; i <= 41; i++) {
		ksnprintf(path, sizeof(path), TOP "/l%u", i);
		expect_eq(t, remove_path(path, false), 0);
	}
	expect_eq(t, remove_path(TOP, true), 0);
}

/* Each link leaves 4000 bytes to walk behind the next: two fit, with three there is no room. */
KTEST(fs_path, links_pile_up)
{
	static char target[4001];
	char path[32];

	assert_eq(t, make_directory(TOP), 0);
	assert_eq(t, make_directory(TOP "/p0"), 0);
	for (unsigned i = 1; i <= 3; i++) {
		for (unsigned at = 0; at < 4000; at += 2)
			memcpy(target + at, "./", 2);
		target[0] = 'p';
		target[1] = (char)('0' + i - 1);
		target[2] = '/';
		target[3] = '/';
		target[4000] = '\0';
		ksnprintf(path, sizeof(path), TOP "/p%u", i);
		expect_eq(t, make_symlink(target, path), 0);
	}
	expect_eq(t, walk_to(TOP "/p1", WALK_FOLLOW), 0);
	expect_eq(t, walk_to(TOP "/p2/", WALK_FOLLOW), 0);
	expect_eq(t, walk_to(TOP "/p3", WALK_FOLLOW), -ENAMETOOLONG);
	for (unsigned i = 1; i <= 3; i++) {
		ksnprintf(path, sizeof(path), TOP "/p%u", i);
		expect_eq(t, remove_path(path, false), 0);
	}
	expect_eq(t, remove_path(TOP "/p0", true), 0);
	expect_eq(t, remove_path(TOP, true), 0);
}

struct opened {
	const char *path;
	int flags, result;
};

KTEST(fs_path, opens)
{
	static const struct opened cases[] = {
		{ TOP "/file", O_RDONLY, 0 },
		{ TOP "/file", O_RDWR | O_DIRECTORY, -ENOTDIR },
		{ TOP "/file/", O_RDONLY, -ENOTDIR },
		{ TOP "/dir", O_RDONLY, 0 },
		{ TOP "/dir", O_WRONLY, -EISDIR },
		{ TOP "/dir", O_RDONLY | O_CREAT, -EISDIR },
		{ TOP "/dir", O_RDONLY | O_CREAT | O_DIRECTORY, -EINVAL },
		{ TOP "/file", O_CREAT | O_EXCL, -EEXIST },
		{ TOP "/dangling", O_CREAT | O_EXCL, -EEXIST },
		{ TOP "/absolute", O_RDONLY | O_NOFOLLOW, -ELOOP },
		{ TOP "/link", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, -ENOTDIR },
		{ TOP "/link/", O_RDONLY | O_NOFOLLOW, 0 },
		{ TOP "/dangling", O_RDONLY, -ENOENT },
		{ TOP "/new/", O_CREAT | O_WRONLY, -EISDIR },
		{ TOP "/none/new", O_CREAT | O_WRONLY, -ENOENT },
		{ TOP "/dir", O_TMPFILE | O_RDWR, 0 },
		{ TOP "/dir", O_TMPFILE, -EINVAL },
		{ TOP "/file", O_TMPFILE | O_RDWR, -ENOTDIR },
		{ TOP "/absolute", O_PATH | O_NOFOLLOW, 0 },
		{ TOP "/dangling", O_CREAT | O_WRONLY, 0 }, /* makes "nowhere" */
		{ TOP "/nowhere", O_RDONLY, 0 },
	};

	build(t);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct file *file;
		int result = open_at_path(cases[i].path, cases[i].flags, &file);

		if (result != cases[i].result)
			ktest_fail(t, __FILE__, __LINE__, "%s, flags %#x: %d, not %d",
				   cases[i].path, (unsigned)cases[i].flags, result,
				   cases[i].result);
		if (!result)
			file_put(file);
	}
	demolish(t);
}

KTEST(fs_path, renames)
{
	build(t);
	expect_eq(t, rename_path(TOP "/dir", TOP "/dir/sub/x", 0), -EINVAL);
	expect_eq(t, rename_path(TOP "/dir/sub", TOP "/dir", 0), -ENOTEMPTY);
	expect_eq(t, rename_path(TOP "/file", TOP "/dir", 0), -EISDIR);
	expect_eq(t, rename_path(TOP "/dir", TOP "/file", 0), -ENOTDIR);
	expect_eq(t, rename_path(TOP "/file", TOP "/absolute", RENAME_NOREPLACE), -EEXIST);
	expect_eq(t, rename_path(TOP "/none", TOP "/x", 0), -ENOENT);
	expect_eq(t, rename_path(TOP "/file", TOP "/none", RENAME_EXCHANGE), -ENOENT);
	expect_eq(t, rename_path(TOP "/file", TOP "/file", 0), 0);
	expect_eq(t, rename_path(TOP "/file", TOP "/dir/moved", 0), 0);
	expect_eq(t, walk_to(TOP "/file", 0), -ENOENT);
	expect_eq(t, rename_path(TOP "/dir/moved", TOP "/dir/sub", RENAME_EXCHANGE), 0);
	expect_eq(t, walk_to(TOP "/dir/sub/", 0), -ENOTDIR);
	expect_eq(t, walk_to(TOP "/dir/moved/", 0), 0);
	expect_eq(t, rename_path(TOP "/dir/sub", TOP "/file", 0), 0);
	expect_eq(t, rename_path(TOP "/dir/moved", TOP "/dir/sub", 0), 0);
	demolish(t);
}

KTEST(fs_path, paths_are_told)
{
	struct file *file;
	char path[64];

	build(t);
	assert_eq(t, open_at_path(TOP "/link/up", O_RDONLY, &file), 0);
	file_path(file, path, sizeof(path));
	expect_true(t, strcmp(path, TOP "/file") == 0);
	expect_eq(t, rename_path(TOP "/file", TOP "/dir/sub/g", 0), 0);
	file_path(file, path, sizeof(path));
	expect_true(t, strcmp(path, TOP "/dir/sub/g") == 0);
	file_path(file, path, 8); /* too short for it */
	expect_true(t, path[0] == '\0');
	expect_eq(t, remove_path(TOP "/dir/sub/g", false), 0);
	file_path(file, path, sizeof(path));
	expect_true(t, strcmp(path, TOP "/dir/sub/g (deleted)") == 0);
	object_path(file_object(file), path, sizeof(path));
	expect_true(t, strcmp(path, TOP "/dir/sub/g (deleted)") == 0);
	file_put(file);
	demolish(t);
}
