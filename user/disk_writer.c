/* SPDX-License-Identifier: MIT */
/*
 * disk_writer DIRECTORY [SEED]: change files for ever, and make sure of each change before the
 *next.
 *
 * For who kills the machine meanwhile, and looks at the disk afterwards (tests/tools/test_kill.py).
 * Before a change it says what it is going to do, and after fsync() or msync() that it is done:
 *
 *	B 17 append d1/f3 1017 5000       from here on it may be there
 *	E 17                              from here on it must be
 *
 * Byte i of what belongs to version v is pattern(v, i), so contents can be told from outside.
 * Besides, it makes and removes files that it never makes sure of, whatever becomes of them.
 * Without a seed on the command line that of the kernel's (seed=N) is used, and changes=N there
 *ends it after so many.
 */
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORIES 3
#define FILES	    6 /* in each */
#define MAX_BYTES   60000
#define PAGE	    4096

static struct random numbers;
static unsigned serial;
static char buffer[MAX_BYTES];

static unsigned char
pattern(unsigned version, unsigned i)
{
	return version * 131 + i * 7 + (i >> 8) * 13;
}

static void
say(const char *format, ...)
{
	char line[256];
	va_list list;
	int size;

	va_start(list, format);
	size = vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	if (write(1, line, size) != size)
		exit(2);
}

static void
need(int good, const char *what)
{
	if (good)
		return;
	say("failed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
fill(unsigned version, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		buffer[i] = pattern(version, i);
}

static void
sync_directory(const char *path)
{
	char directory[64];
	char *slash;
	int fd;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash)
		*slash = '\0';
	fd = open(slash ? directory : ".", O_RDONLY);
	need(fd >= 0 && fsync(fd) == 0 && close(fd) == 0, "fsync of a directory");
}

/* Write a version to a file and make sure of it. */
static void
write_file(const char *path, int flags, unsigned version, unsigned size)
{
	int fd = open(path, O_WRONLY | flags, 0644);

	need(fd >= 0, path);
	fill(version, size);
	need(write(fd, buffer, size) == (ssize_t)size, "write");
	need(fsync(fd) == 0 && close(fd) == 0, "fsync");
}

static const char *
random_path(char *path)
{
	sprintf(path, "d%u/f%u", random_below(&numbers, DIRECTORIES),
		random_below(&numbers, FILES));
	return path;
}

static long
size_of(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? (long)status.st_size : -1;
}

/* ---- Changes -------------------------------------------------------------------------------- */

static void
change_write(const char *path, unsigned version, unsigned size)
{
	say("B %u write %s %u %u\n", serial, path, version, size);
	write_file(path, O_CREAT | O_TRUNC, version, size);
}

static void
change_append(const char *path, unsigned version, unsigned size)
{
	say("B %u append %s %u %u\n", serial, path, version, size);
	write_file(path, O_CREAT | O_APPEND, version, size);
}

static void
change_replace(const char *path, unsigned version, unsigned size)
{
	char temporary[72];

	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	say("B %u replace %s %u %u\n", serial, path, version, size);
	write_file(temporary, O_CREAT | O_TRUNC, version, size);
	need(rename(temporary, path) == 0, "rename");
	sync_directory(path);
}

static void
change_remove(const char *path)
{
	if (size_of(path) < 0)
		return;
	say("B %u remove %s\n", serial, path);
	need(unlink(path) == 0, "unlink");
	sync_directory(path);
	say("E %u\n", serial);
}

static void
change_move(const char *path)
{
	char to[64];

	random_path(to);
	if (size_of(path) < 0 || size_of(to) >= 0)
		return;
	say("B %u move %s %s\n", serial, path, to);
	need(rename(path, to) == 0, "rename");
	sync_directory(to);
	sync_directory(path);
	say("E %u\n", serial);
}

static void
change_link(const char *path)
{
	char to[64];

	random_path(to);
	if (size_of(path) < 0 || size_of(to) >= 0)
		return;
	/* Then they would share what is written to them: the old name goes again. */
	say("B %u move %s %s\n", serial, path, to);
	need(link(path, to) == 0, "link");
	need(unlink(path) == 0, "unlink");
	sync_directory(to);
	sync_directory(path);
	say("E %u\n", serial);
}

static void
change_cut(const char *path)
{
	long size = size_of(path);
	unsigned left;
	int fd;

	if (size <= 0)
		return;
	left = random_below(&numbers, size);
	say("B %u cut %s %u\n", serial, path, left);
	fd = open(path, O_WRONLY);
	need(fd >= 0 && ftruncate(fd, left) == 0 && fsync(fd) == 0 && close(fd) == 0, "ftruncate");
	say("E %u\n", serial);
}

/* Write a page through a mapping. */
static void
change_map(const char *path, unsigned version)
{
	long pages = size_of(path) / PAGE, page;
	char *at;
	int fd;

	if (pages <= 0)
		return;
	page = random_below(&numbers, pages);
	say("B %u map %s %u %ld\n", serial, path, version, page);
	fd = open(path, O_RDWR);
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page * PAGE);
	need(at != MAP_FAILED && close(fd) == 0, "mmap");
	fill(version, PAGE);
	memcpy(at, buffer, PAGE);
	need(msync(at, PAGE, MS_SYNC) == 0 && munmap(at, PAGE) == 0, "msync");
	say("E %u\n", serial);
}

/* What nobody makes sure of. */
static void
make_noise(void)
{
	char path[64], other[64];
	unsigned size = random_below(&numbers, 20000);
	int fd;

	sprintf(path, "d%u/noise%u", random_below(&numbers, DIRECTORIES),
		random_below(&numbers, 20));
	sprintf(other, "noise%u", random_below(&numbers, 20));
	switch (random_below(&numbers, 5)) {
	case 0:
		(void)unlink(path);
		break;
	case 1:
		(void)mkdir(other, 0755);
		break;
	case 2:
		(void)rmdir(other);
		break;
	default:
		fd = open(path, O_WRONLY | O_CREAT, 0600);
		fill(serial, size);
		need(fd >= 0 && write(fd, buffer, size) == (ssize_t)size && close(fd) == 0,
		     "noise");
	}
}

static void
change_any(void)
{
	unsigned version = 1000 + serial, size = random_below(&numbers, MAX_BYTES);
	unsigned what = random_below(&numbers, 9);
	char path[64];

	random_path(path);
	if (what < 3) {
		if (what == 0)
			change_write(path, version, size);
		else if (what == 1 && size_of(path) < 200000)
			change_append(path, version, size);
		else
			change_replace(path, version, size);
		say("E %u\n", serial);
	} else if (what == 3) {
		change_remove(path);
	} else if (what == 4) {
		change_move(path);
	} else if (what == 5) {
		change_link(path);
	} else if (what == 6) {
		change_cut(path);
	} else {
		change_map(path, version);
	}
}

/* A number of the kernel's command line, behind "seed=" or the like; 0: it is not there. */
static unsigned long
kernel_option(const char *name)
{
	char line[1024] = "", *at;
	int fd = open("/proc/cmdline", O_RDONLY);

	if (fd >= 0 && read(fd, line, sizeof(line) - 1) < 0)
		line[0] = '\0';
	at = strstr(line, name);
	return at ? strtoul(at + strlen(name), NULL, 0) : 0;
}

int
main(int argc, char **argv)
{
	unsigned long changes = kernel_option("changes=");
	char name[16];

	numbers = random_of(argc > 2 ? strtoul(argv[2], NULL, 0) : kernel_option("seed="));
	need(chdir(argc > 1 ? argv[1] : "/mnt") == 0, "chdir");
	for (unsigned i = 0; i < DIRECTORIES; i++) {
		sprintf(name, "d%u", i);
		need(mkdir(name, 0755) == 0, "mkdir");
	}
	sync_directory(".");
	say("ready\n");
	for (serial = 1; !changes || serial <= changes; serial++) {
		if (random_below(&numbers, 3) == 0)
			make_noise();
		change_any();
	}
	sync();
	say("ended\n");
	return 0;
}
