/* SPDX-License-Identifier: MIT */
/*
 * What must hold on any file system, and where one on a disk differs from one in memory: large
 * and sparse files, every kind of rename, what is removed while it is open, mappings that are
 * written to, synchronisation. Runs in $TMPDIR.
 */
#include "ktap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define KIB 1024l
#define MIB (1024 * KIB)

static void
enter(void)
{
	static char name[256];

	need(mkdtemp(ktap_template(name)));
	need(chdir(name) == 0);
}

/* Leave the directory of the case, which must be empty, and remove it. */
static void
leave(void)
{
	char path[512];

	need(getcwd(path, sizeof(path)));
	is(chdir("/"), 0);
	is(rmdir(path), 0);
}

static void
make(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);

	need(fd >= 0);
	is(write(fd, text, strlen(text)), strlen(text));
	is(close(fd), 0);
}

/* The file has exactly this text. */
static bool
has(const char *name, const char *text)
{
	char found[256] = "";
	int fd = open(name, O_RDONLY);
	ssize_t size = fd >= 0 ? read(fd, found, sizeof(found) - 1) : -1;

	if (fd >= 0)
		close(fd);
	return size == (ssize_t)strlen(text) && strcmp(found, text) == 0;
}

static long
links(const char *name)
{
	struct stat status;

	return lstat(name, &status) == 0 ? (long)status.st_nlink : -1;
}

static long
inode(const char *name)
{
	struct stat status;

	need(lstat(name, &status) == 0);
	return status.st_ino;
}

static unsigned char
byte_at(long offset)
{
	return offset * 7 + (offset >> 12) * 13;
}

/* ---- Contents ------------------------------------------------------------------------------- */

/* Through all of the direct and the first indirect blocks, in pieces that fit no block. */
CASE(a_file_of_two_megabytes)
{
	static unsigned char bytes[2 * MIB], found[2 * MIB];
	int fd = file_of(0);

	for (long i = 0; i < 2 * MIB; i++)
		bytes[i] = byte_at(i);
	for (long at = 0; at < 2 * MIB; at += 7777)
		need(pwrite(fd, bytes + at, at + 7777 < 2 * MIB ? 7777 : 2 * MIB - at, at) > 0);
	is(fsync(fd), 0);
	is(pread(fd, found, 2 * MIB, 0), 2 * MIB);
	is(memcmp(bytes, found, 2 * MIB), 0);
	is(pread(fd, found, 100, 2 * MIB - 1), 1);
}

/* One byte each behind what maps of one, two and three levels can reach. */
CASE(far_apart)
{
	static const long places[] = { 0,	11 * KIB, 13 * KIB,  300 * KIB,
				       5 * MIB, 70 * MIB, 1100 * MIB };
	int fd = file_of(0);
	struct stat status;
	char c;

	for (unsigned i = 0; i < 7; i++)
		is(pwrite(fd, &(char){ 'a' + i }, 1, places[i]), 1);
	is(fdatasync(fd), 0);
	for (unsigned i = 0; i < 7; i++) {
		is(pread(fd, &c, 1, places[i]), 1);
		is(c, 'a' + i);
		is(pread(fd, &c, 1, places[i] + 1), i < 6);
		if (i < 6)
			is(c, 0);
	}
	is(fstat(fd, &status), 0);
	is(status.st_size, 1100 * MIB + 1);
	yes(status.st_blocks > 0 && status.st_blocks < 400);
	is(ftruncate(fd, 6 * MIB), 0);
	is(ftruncate(fd, 1100 * MIB), 0);
	is(pread(fd, &c, 1, 70 * MIB), 1);
	is(c, 0);
	is(pread(fd, &c, 1, 5 * MIB), 1);
	is(c, 'e');
	is(ftruncate(fd, 0), 0);
	is(fstat(fd, &status), 0);
	is(status.st_blocks, 0);
}

CASE(what_is_cut_off_does_not_come_back)
{
	int fd = file_of(0);
	char text[16] = "";

	is(write(fd, "0123456789", 10), 10);
	is(fsync(fd), 0);
	is(ftruncate(fd, 4), 0);
	is(fsync(fd), 0);
	is(ftruncate(fd, 10), 0);
	is(pread(fd, text, 16, 0), 10);
	is(memcmp(text, "0123\0\0\0\0\0\0", 10), 0);
	is(pwrite(fd, "x", 1, 5000), 1);
	is(ftruncate(fd, 2), 0);
	is(pwrite(fd, "y", 1, 6000), 1);
	is(pread(fd, text, 8, 0), 8);
	is(memcmp(text, "01\0\0\0\0\0\0", 8), 0);
	is(pread(fd, text, 1, 5000), 1);
	is(text[0], 0);
}

CASE(removed_while_open)
{
	char text[8] = "";
	int fd;

	enter();
	make("file", "hello");
	fd = open("file", O_RDWR);
	need(fd >= 0);
	is(unlink("file"), 0);
	is(links("file"), -1);
	is(fsync(fd), 0);
	is(pread(fd, text, 8, 0), 5);
	is(memcmp(text, "hello", 5), 0);
	is(pwrite(fd, "world", 5, 100000), 5);
	is(fsync(fd), 0);
	make("file", "other");
	is(pread(fd, text, 5, 100000), 5);
	is(memcmp(text, "world", 5), 0);
	yes(has("file", "other"));
	is(close(fd), 0);
	is(unlink("file"), 0);
	leave();
}

/* ---- Names ---------------------------------------------------------------------------------- */

CASE(renames_of_files)
{
	long number;

	enter();
	need(mkdir("a", 0755) == 0 && mkdir("b", 0700) == 0);
	make("a/x", "one");
	number = inode("a/x");
	is(rename("a/x", "a/y"), 0);
	is(rename("a/y", "a/a-name-that-is-longer-than-the-one-before"), 0);
	is(rename("a/a-name-that-is-longer-than-the-one-before", "b/x"), 0);
	is(inode("b/x"), number);
	is(links("b/x"), 1);
	make("a/x", "two");
	is(rename("b/x", "a/x"), 0);
	yes(has("a/x", "one"));
	is(links("b/x"), -1);
	fails(rename("a/none", "a/x"), ENOENT);
	fails(rename("a/x", "b"), EISDIR);
	fails(rename("a/x", "a/x/y"), ENOTDIR);
	is(link("a/x", "b/z"), 0);
	is(rename("a/x", "b/z"), 0); /* two names of one file: nothing happens */
	is(links("a/x"), 2);
	is(unlink("a/x"), 0);
	is(links("b/z"), 1);
	is(unlink("b/z"), 0);
	is(rmdir("a"), 0);
	is(rmdir("b"), 0);
	leave();
}

CASE(renames_of_directories)
{
	struct stat up, here;

	enter();
	need(mkdir("a", 0755) == 0 && mkdir("a/sub", 0755) == 0 && mkdir("b", 0755) == 0);
	make("a/sub/file", "text");
	is(links("a"), 3);
	fails(rename("a", "a/sub/a"), EINVAL);
	fails(rename("a", "a/sub"), EINVAL);
	fails(rename("a/sub", "a"), ENOTEMPTY);
	is(rename("a/sub", "b/moved"), 0);
	is(links("a"), 2);
	is(links("b"), 3);
	is(stat("b/moved/..", &up), 0);
	is(stat("b", &here), 0);
	is(up.st_ino, here.st_ino);
	yes(has("b/moved/file", "text"));
	is(rename("b/moved", "a"), 0); /* over an empty directory */
	yes(has("a/file", "text"));
	is(links("b"), 2);
	fails(rename("b", "a"), ENOTEMPTY);
	fails(rename("b", "a/file"), ENOTDIR);
	is(unlink("a/file"), 0);
	is(rmdir("a"), 0);
	is(rmdir("b"), 0);
	leave();
}

CASE(removing_directories)
{
	int fd;

	enter();
	need(mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
	fails(rmdir("a"), ENOTEMPTY);
	fails(unlink("a"), EISDIR);
	fails(mkdir("a", 0755), EEXIST);
	fd = open("a/b", O_RDONLY | O_DIRECTORY);
	need(fd >= 0);
	is(rmdir("a/b"), 0);
	fails(openat(fd, "file", O_WRONLY | O_CREAT, 0644), ENOENT);
	is(fsync(fd), 0);
	is(close(fd), 0);
	is(rmdir("a"), 0);
	fails(rmdir("a"), ENOENT);
	leave();
}

/* More names than a block holds, each removed when the next has been read. */
CASE(a_thousand_names)
{
	unsigned found = 0, number;
	struct dirent *entry;
	char name[300], *seen = calloc(1000, 1);
	DIR *directory;

	enter();
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "name-%u-%.*s", i, (int)(i % 100),
			 "----------------------------------------------------------------------"
			 "------------------------------");
		is(mknod(name, S_IFREG | 0600, 0), 0);
	}
	directory = opendir(".");
	need(directory && seen);
	while ((entry = readdir(directory))) {
		if (sscanf(entry->d_name, "name-%u", &number) != 1)
			continue;
		need(number < 1000);
		found += !seen[number];
		seen[number] = 1;
		yes(entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
		is(unlink(entry->d_name), 0);
	}
	is(found, 1000);
	is(closedir(directory), 0);
	leave();
}

CASE(symbolic_links_of_any_length)
{
	char target[1000], found[1001];

	enter();
	for (unsigned size = 1; size < 1000; size += size < 64 ? 1 : 131) {
		memset(target, 'x', size);
		target[size] = '\0';
		is(symlink(target, "link"), 0);
		is(readlink("link", found, sizeof(found)), size);
		is(memcmp(target, found, size), 0);
		is(unlink("link"), 0);
	}
	make("file", "text");
	is(symlink("./././././././././././././././././././././././././././././././file", "link"),
	   0);
	yes(has("link", "text"));
	is(unlink("link"), 0);
	is(unlink("file"), 0);
	leave();
}

CASE(hard_links)
{
	char name[16];

	enter();
	make("file", "text");
	for (unsigned i = 0; i < 50; i++) {
		sprintf(name, "link%u", i);
		is(link("file", name), 0);
	}
	is(links("file"), 51);
	is(unlink("file"), 0);
	yes(has("link49", "text"));
	fails(link("link0", "link1"), EEXIST);
	fails(link(".", "link"), EPERM);
	for (unsigned i = 0; i < 50; i++) {
		sprintf(name, "link%u", i);
		is(links(name), 50 - i);
		is(unlink(name), 0);
	}
	leave();
}

CASE(rights_owners_and_times)
{
	struct timespec times[2] = { { 1000000000, 0 }, { -5, 0 } };
	struct stat status;

	enter();
	make("file", "");
	is(chmod("file", 04751), 0);
	is(chown("file", 70000, 80000), 0);
	is(chmod("file", 04751), 0);
	is(utimensat(AT_FDCWD, "file", times, 0), 0);
	sync();
	is(stat("file", &status), 0);
	is(status.st_mode, S_IFREG | 04751);
	is(status.st_uid, 70000);
	is(status.st_gid, 80000);
	is(status.st_atime, 1000000000);
	is(status.st_mtime, -5);
	is(mkfifo("pipe", 0600), 0);
	is(mknod("null", S_IFCHR | 0600, makedev(1, 3)), 0);
	is(stat("null", &status), 0);
	is(status.st_rdev, makedev(1, 3));
	is(unlink("null"), 0);
	is(unlink("pipe"), 0);
	is(unlink("file"), 0);
	leave();
}

/* ---- Mappings -------------------------------------------------------------------------------- */

CASE(written_through_a_mapping)
{
	int fd = file_of(8);
	char *memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char c;

	need(memory != MAP_FAILED);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 8; i++)
			memory[i * PAGE + 100] = round * 8 + i;
		is(msync(memory, 8 * PAGE, round == 1 ? MS_ASYNC : MS_SYNC), 0);
		is(fsync(fd), 0);
		for (unsigned i = 0; i < 8; i++) {
			is(pread(fd, &c, 1, i * PAGE + 100), 1);
			is(c, round * 8 + i);
		}
	}
	is(pwrite(fd, "z", 1, 3 * PAGE), 1);
	is(memory[3 * PAGE], 'z');
}

/* Without a block below it at first, and read before it is written. */
CASE(a_hole_through_a_mapping)
{
	int fd = file_of(0);
	char *memory, c;

	is(ftruncate(fd, 100 * PAGE), 0);
	memory = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(memory != MAP_FAILED);
	for (unsigned i = 0; i < 100; i += 9)
		is(memory[i * PAGE], 0);
	for (unsigned i = 0; i < 100; i += 9)
		memory[i * PAGE] = i;
	is(msync(memory, 100 * PAGE, MS_SYNC), 0);
	for (unsigned i = 0; i < 100; i++) {
		is(pread(fd, &c, 1, i * PAGE), 1);
		is(c, i % 9 ? 0 : i);
	}
}

CASE(cut_while_mapped)
{
	int fd = file_of(4);
	char *memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	need(memory != MAP_FAILED);
	memory[3 * PAGE] = 'x';
	memory[PAGE + 10] = 'y';
	is(ftruncate(fd, PAGE + 5), 0);
	faults(READ, memory + 2 * PAGE, SIGBUS, BUS_ADRERR);
	faults(WRITE, memory + 3 * PAGE, SIGBUS, BUS_ADRERR);
	is(memory[PAGE + 10], 0);
	is(ftruncate(fd, 4 * PAGE), 0);
	is(memory[3 * PAGE], 0);
	is(memory[PAGE + 10], 0);
	memory[3 * PAGE] = 'z';
	is(fsync(fd), 0);
}

/* Children write to pages of their own as fast as they can, and all of it comes to the disk. */
CASE(written_while_it_is_made_sure_of)
{
	int fd = file_of(16), status, ended_ones = 0;
	unsigned *memory = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned found;

	need(memory != MAP_FAILED);
	for (unsigned child = 0; child < 4; child++) {
		if (fork() != 0)
			continue;
		for (unsigned i = 1; i <= 40000; i++)
			memory[(child * 4 + i % 4) * PAGE / sizeof(*memory) + 1] = i;
		_exit(0);
	}
	while (ended_ones < 4) {
		is(fsync(fd), 0);
		while (waitpid(-1, &status, WNOHANG) > 0) {
			is(status, 0);
			ended_ones++;
		}
	}
	is(munmap(memory, 16 * PAGE), 0);
	is(fsync(fd), 0);
	is(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0); /* so it is read again */
	for (unsigned page = 0; page < 16; page++) {
		is(pread(fd, &found, sizeof(found), page * PAGE + sizeof(found)), sizeof(found));
		is(found, 40000 - (40000 - page % 4) % 4);
	}
}

CASE(a_child_writes_to_the_same_file)
{
	int fd = file_of(2);
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pid_t pid;

	need(memory != MAP_FAILED);
	memory[0] = 'p';
	pid = fork();
	if (pid == 0) {
		memory[1] = 'c';
		_exit(msync(memory, PAGE, MS_SYNC) != 0 || memory[0] != 'p');
	}
	is(ended(pid), 0);
	is(memory[1], 'c');
	memory[2] = 'q';
	is(fsync(fd), 0);
}

/* ---- Making sure ----------------------------------------------------------------------------- */

CASE(ways_to_make_sure)
{
	int fd, directory;

	enter();
	fd = open("file", O_RDWR | O_CREAT | O_SYNC, 0644);
	directory = open(".", O_RDONLY);
	need(fd >= 0 && directory >= 0);
	is(write(fd, "sync", 4), 4);
	is(fcntl(fd, F_GETFL) & O_SYNC, O_SYNC);
	is(fsync(fd), 0);
	is(fdatasync(fd), 0);
	is(fsync(directory), 0);
	is(syncfs(directory), 0);
	sync();
	fails(fsync(-1), EBADF);
	fails(syncfs(-1), EBADF);
	yes(has("file", "sync"));
	is(close(fd), 0);
	is(close(directory), 0);
	is(unlink("file"), 0);
	leave();
}

CASE(room_comes_back)
{
	struct statfs before, full, after;
	char name[256];
	int fd;

	sync();
	fd = mkstemp(ktap_template(name));
	need(fd >= 0);
	is(fstatfs(fd, &before), 0);
	for (unsigned i = 0; i < 256; i++)
		is(pwrite(fd, name, 1, i * PAGE), 1);
	is(fsync(fd), 0);
	is(fstatfs(fd, &full), 0);
	yes(full.f_bfree < before.f_bfree);
	is(ftruncate(fd, 0), 0);
	is(fsync(fd), 0);
	is(fstatfs(fd, &after), 0);
	yes(after.f_bfree > full.f_bfree);
	is(unlink(name), 0);
}
