/* SPDX-License-Identifier: MIT */
/*
 * /proc: every file can be read, in one piece and byte by byte, with the same length; the texts
 * that programs parse have the form that they expect.
 */
#include <arch.h>

#include "fs_helpers.h"

#define TEXT_SIZE 65536

static char text[TEXT_SIZE];

/* Read a file whole. Returns the length, or an error. */
static int64_t
read_all(const char *path, size_t piece)
{
	struct file *file;
	int64_t length = 0, now = 1;
	int error = open_at_path(path, O_RDONLY, &file);

	if (error)
		return error;
	while (now > 0 && (size_t)length < TEXT_SIZE - 1) {
		now = read_bytes(file, text + length, MIN(piece, TEXT_SIZE - 1 - (size_t)length));
		if (now > 0)
			length += now;
	}
	text[length] = '\0';
	file_put(file);
	return now < 0 ? now : length;
}

static const char *const always_there[] = {
	"/proc/meminfo",
	"/proc/vmstat",
	"/proc/buddyinfo",
	"/proc/zoneinfo",
	"/proc/slabinfo",
	"/proc/stat",
	"/proc/uptime",
	"/proc/loadavg",
	"/proc/version",
	"/proc/cpuinfo",
	"/proc/filesystems",
	"/proc/cmdline",
	"/proc/sys/kernel/ostype",
	"/proc/sys/kernel/osrelease",
	"/proc/sys/kernel/pid_max",
	"/proc/sys/kernel/random/uuid",
	"/proc/sys/vm/overcommit_memory",
};

KTEST(fs_proc, files_can_be_read)
{
	for (unsigned i = 0; i < ARRAY_SIZE(always_there); i++) {
		int64_t length = read_all(always_there[i], TEXT_SIZE);

		if (length <= 0)
			ktest_fail(t, __FILE__, __LINE__, "%s: %ld", always_there[i], (long)length);
		else
			expect_eq(t, text[length - 1], '\n');
	}
}

KTEST(fs_proc, pieces_make_up_one_text)
{
	int64_t whole = read_all("/proc/cpuinfo", TEXT_SIZE);

	expect_eq(t, read_all("/proc/cpuinfo", 1), whole);
	expect_eq(t, read_all("/proc/cpuinfo", 7), whole);
}

/* The number behind a word, or -1. */
static int64_t
number_after(const char *word)
{
	size_t size = strlen(word);
	int64_t number = 0;

	for (const char *p = text; *p; p++) {
		if (strncmp(p, word, size) != 0 || (p > text && p[-1] != '\n'))
			continue;
		for (p += size; *p == ' ' || *p == '\t' || *p == ':'; p++)
			;
		if (*p < '0' || *p > '9')
			return -1;
		for (; *p >= '0' && *p <= '9'; p++)
			number = number * 10 + (*p - '0');
		return number;
	}
	return -1;
}

KTEST(fs_proc, meminfo_says_what_the_allocator_does)
{
	struct page_totals totals;
	int64_t total, free;

	assert_true(t, read_all("/proc/meminfo", TEXT_SIZE) > 0);
	page_allocator_totals(&totals);
	total = number_after("MemTotal:");
	free = number_after("MemFree:");
	expect_eq(t, total, totals.managed * 4);
	expect_true(t, free > 0 && free <= total);
	expect_true(t, number_after("MemAvailable:") >= 0);
	expect_true(t, number_after("Cached:") >= 0);
	expect_eq(t, number_after("SwapTotal:"), 0);
	expect_eq(t, number_after("DirectMap4k:"), arch_direct_map_bytes(0) >> 10);
	expect_eq(t, number_after("DirectMap2M:"), arch_direct_map_bytes(1) >> 10);
	expect_eq(t, number_after("DirectMap1G:"), arch_direct_map_bytes(2) >> 10);
	/* All that is for use is in it, and the first MiB, and little else. */
	expect_le(t, totals.managed * 4,
		  number_after("DirectMap4k:") + number_after("DirectMap2M:") +
		      number_after("DirectMap1G:"));
}

KTEST(fs_proc, stat_has_all_cpus)
{
	assert_true(t, read_all("/proc/stat", TEXT_SIZE) > 0);
	expect_true(t, number_after("cpu ") >= 0);
	expect_true(t, number_after("cpu0 ") >= 0);
	expect_true(t, number_after("ctxt ") >= 0);
	expect_true(t, number_after("btime ") >= 0);
}

KTEST(fs_proc, nobody_changes_it)
{
	struct file *file;

	expect_eq(t, open_at_path("/proc/new", O_CREAT | O_WRONLY, &file), -EPERM);
	expect_eq(t, remove_path("/proc/meminfo", false), -EPERM);
	expect_eq(t, remove_path("/proc/sys", true), -EPERM);
	expect_eq(t, rename_path("/proc/meminfo", "/meminfo", 0), -EPERM);
	expect_eq(t, make_directory("/proc/sys/new"), -EPERM);
}

KTEST(fs_proc, what_is_not_there)
{
	expect_eq(t, walk_to("/proc/99999", 0), -ENOENT);
	expect_eq(t, walk_to("/proc/0", 0), -ENOENT);
	expect_eq(t, walk_to("/proc/01", 0), -ENOENT);
	expect_eq(t, walk_to("/proc/999999999999999999999", 0), -ENOENT);
	expect_eq(t, walk_to("/proc/self", WALK_FOLLOW), -ENOENT); /* threads of the kernel */
	expect_eq(t, walk_to("/proc/meminfo/x", 0), -ENOTDIR);
}

/* Write a line to a file. Returns as write() does. */
static int64_t
set(const char *path, const char *line)
{
	struct transfer from = kernel_transfer(line, strlen(line));
	struct file *file;
	int64_t result;
	int error = open_at_path(path, O_WRONLY, &file);

	if (error)
		return error;
	result = file_write(file, &from, NULL);
	file_put(file);
	return result;
}

KTEST(fs_proc, what_can_be_set)
{
	static const struct {
		const char *path, *old, *new, *too_small, *too_large;
	} settings[] = {
		{ "/proc/sys/vm/max_map_count", "65530\n", "100\n", "-1\n", "2147483648\n" },
		{ "/proc/sys/kernel/pid_max", "32768\n", "4194304\n", "4095\n", "4194305\n" },
		{ "/proc/sys/kernel/randomize_va_space", "2\n", "1\n", "-1\n", "3\n" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(settings); i++) {
		const char *path = settings[i].path;

		expect_eq(t, set(path, settings[i].too_small), -EINVAL);
		expect_eq(t, set(path, settings[i].too_large), -EINVAL);
		expect_eq(t, set(path, "many\n"), -EINVAL);
		expect_true(t, read_all(path, TEXT_SIZE) > 0 && !strcmp(text, settings[i].old));
		expect_eq(t, set(path, settings[i].new), strlen(settings[i].new));
		expect_true(t, read_all(path, TEXT_SIZE) > 0 && !strcmp(text, settings[i].new));
		expect_eq(t, set(path, settings[i].old), strlen(settings[i].old));
	}
	expect_eq(t, set("/proc/sys/vm/overcommit_memory", "0\n"), -EINVAL);
}
