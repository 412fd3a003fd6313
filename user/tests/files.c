/* SPDX-License-Identifier: MIT */
/* Files: reading, writing, holes, names, links, directories, descriptors. */
#include "ktap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>

/* A directory of the case's own, which it is in. */
static void
in_a_directory(void)
{
	static char name[256];

	need(mkdtemp(ktap_template(name)));
	need(chdir(name) == 0);
}

static void
leave_directory(void)
{
	char path[256];

	need(getcwd(path, sizeof(path)));
	is(chdir("/"), 0);
	is(rmdir(path), 0);
}

static int
create(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);

	need(fd >= 0);
	need(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	return fd;
}

CASE(what_was_written_is_read)
{
	int fd = file_of(0);
	char text[16];

	is(write(fd, "hello world", 11), 11);
	is(lseek(fd, 0, SEEK_CUR), 11);
	is(lseek(fd, 6, SEEK_SET), 6);
	is(read(fd, text, 16), 5);
	is(memcmp(text, "world", 5), 0);
	is(read(fd, text, 16), 0);
	is(pread(fd, text, 3, 1), 3);
	is(memcmp(text, "ell", 3), 0);
	is(lseek(fd, -2, SEEK_END), 9);
	is(pwrite(fd, "J", 1, 0), 1);
	is(lseek(fd, 0, SEEK_CUR), 9);
}

CASE(holes_are_zero)
{
	int fd = file_of(0);
	struct stat status;
	char text[8] = "xxxxxxx";

	is(pwrite(fd, "e", 1, 100000), 1);
	is(fstat(fd, &status), 0);
	is(status.st_size, 100001);
	yes(status.st_blocks < 100);
	is(pread(fd, text, 8, 50000), 8);
	is(memcmp(text, "\0\0\0\0\0\0\0\0", 8), 0);
	is(pread(fd, text, 8, 99999), 2);
	is(text[1], 'e');
}

CASE(cutting_short_and_lengthening)
{
	int fd = file_of(0);
	char text[8];

	is(write(fd, "abcdefgh", 8), 8);
	is(ftruncate(fd, 3), 0);
	is(ftruncate(fd, 8), 0);
	is(pread(fd, text, 8, 0), 8);
	is(memcmp(text, "abc\0\0\0\0\0", 8), 0);
}

CASE(appending)
{
	in_a_directory();
	int fd = create("f", "one"), other = open("f", O_WRONLY | O_APPEND);
	char text[16];

	is(pwrite(fd, "O", 1, 0), 1);
	is(write(other, "two", 3), 3);
	is(lseek(other, 0, SEEK_SET), 0);
	is(write(other, "!", 1), 1);
	is(pread(fd, text, 16, 0), 7);
	is(memcmp(text, "Onetwo!", 7), 0);
	is(open("f", O_WRONLY | O_TRUNC) >= 0, 1);
	is(pread(fd, text, 16, 0), 0);
	is(unlink("f"), 0);
	leave_directory();
}

CASE(in_pieces)
{
	int fd = file_of(0);
	char one[3], two[4];
	struct iovec out[3] = { { "ab", 2 }, { "", 0 }, { "cdefg", 5 } };
	struct iovec in[2] = { { one, 3 }, { two, 4 } };

	is(writev(fd, out, 3), 7);
	is(lseek(fd, 0, SEEK_SET), 0);
	is(readv(fd, in, 2), 7);
	is(memcmp(one, "abc", 3), 0);
	is(memcmp(two, "defg", 4), 0);
}

CASE(a_name_is_not_the_file)
{
	in_a_directory();
	int fd = create("f", "text");
	struct stat status;
	char text[8];

	is(link("f", "g"), 0);
	is(fstat(fd, &status), 0);
	is(status.st_nlink, 2);
	is(unlink("f"), 0);
	fails(open("f", O_RDONLY), ENOENT);
	is(unlink("g"), 0);
	is(fstat(fd, &status), 0);
	is(status.st_nlink, 0);
	is(pread(fd, text, 8, 0), 4);
	leave_directory();
}

CASE(renaming)
{
	in_a_directory();
	struct stat one, two;

	close(create("a", "A"));
	close(create("b", "BB"));
	is(stat("a", &one), 0);
	is(rename("a", "b"), 0);
	fails(stat("a", &two), ENOENT);
	is(stat("b", &two), 0);
	is(one.st_ino, two.st_ino);
	is(two.st_size, 1);
	is(mkdir("d", 0755), 0);
	is(mkdir("d/e", 0755), 0);
	fails(rename("d", "d/e/f"), EINVAL);
	fails(rename("b", "d"), EISDIR);
	fails(rename("d", "b"), ENOTDIR);
	is(mkdir("x", 0755), 0);
	fails(rename("x", "d"), ENOTEMPTY);
	is(rename("d/e", "x"), 0);
	is(rename("b", "x/b"), 0);
	is(unlink("x/b"), 0);
	is(rmdir("x"), 0);
	is(rmdir("d"), 0);
	leave_directory();
}

CASE(symbolic_links)
{
	in_a_directory();
	struct stat status;
	char text[16];

	close(create("f", "12345"));
	is(symlink("f", "l"), 0);
	is(readlink("l", text, sizeof(text)), 1);
	is(text[0], 'f');
	is(stat("l", &status), 0);
	is(status.st_size, 5);
	is(lstat("l", &status), 0);
	yes(S_ISLNK(status.st_mode));
	fails(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	is(symlink("loop", "loop"), 0);
	fails(open("loop", O_RDONLY), ELOOP);
	is(symlink("none", "dangling"), 0);
	fails(open("dangling", O_RDONLY), ENOENT);
	fails(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	close(open("dangling", O_RDWR | O_CREAT, 0600));
	is(stat("none", &status), 0);
	is(unlink("l") + unlink("loop") + unlink("dangling") + unlink("none") + unlink("f"), 0);
	leave_directory();
}

CASE(directories)
{
	in_a_directory();
	struct dirent *entry;
	struct stat status;
	int names = 0, dots = 0;
	char path[300];
	DIR *directory;

	is(mkdir("d", 0700), 0);
	is(stat("d", &status), 0);
	is(status.st_mode, S_IFDIR | 0700);
	is(status.st_nlink >= 1, 1);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "d/a-rather-long-name-number-%d", i);
		close(create(path, ""));
	}
	directory = opendir("d");
	need(directory);
	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.') {
			dots++;
			continue;
		}
		names++;
		snprintf(path, sizeof(path), "d/%s", entry->d_name);
		need(stat(path, &status) == 0 && status.st_ino == entry->d_ino);
	}
	is(names, 60);
	is(dots, 2);
	closedir(directory);
	fails(rmdir("d"), ENOTEMPTY);
	for (int i = 0; i < 60; i++) {
		snprintf(path, sizeof(path), "d/a-rather-long-name-number-%d", i);
		need(unlink(path) == 0);
	}
	is(rmdir("d"), 0);
	leave_directory();
}

CASE(the_current_directory)
{
	in_a_directory();
	char before[256], after[256];
	int here = open(".", O_RDONLY | O_DIRECTORY);

	need(getcwd(before, sizeof(before)) && here >= 0);
	is(mkdir("sub", 0755), 0);
	is(chdir("sub"), 0);
	need(getcwd(after, sizeof(after)));
	is(strncmp(after, before, strlen(before)), 0);
	is(strcmp(after + strlen(before), "/sub"), 0);
	is(chdir(".."), 0);
	is(chdir("./sub/../sub/."), 0);
	is(fchdir(here), 0);
	need(getcwd(after, sizeof(after)));
	is(strcmp(after, before), 0);
	close(openat(here, "file", O_CREAT | O_WRONLY, 0600));
	is(faccessat(here, "file", F_OK, 0), 0);
	is(unlinkat(here, "file", 0), 0);
	is(unlinkat(here, "sub", AT_REMOVEDIR), 0);
	is(chdir("/"), 0);
	is(chdir(".."), 0);
	need(getcwd(after, sizeof(after)));
	is(strcmp(after, "/"), 0);
	is(rmdir(before), 0);
}

CASE(modes)
{
	in_a_directory();
	struct stat status;

	umask(027);
	close(open("f", O_CREAT | O_WRONLY, 0666));
	is(stat("f", &status), 0);
	is(status.st_mode, S_IFREG | 0640);
	is(umask(022), 027);
	is(chmod("f", 0751), 0);
	is(stat("f", &status), 0);
	is(status.st_mode, S_IFREG | 0751);
	is(access("f", X_OK), 0);
	is(chmod("f", 0600), 0);
	fails(access("f", X_OK), EACCES);
	is(unlink("f"), 0);
	leave_directory();
}

CASE(times)
{
	in_a_directory();
	struct timespec times[2] = { { 1000, 5 }, { 2000, 6 } };
	struct stat status;

	close(create("f", ""));
	is(utimensat(AT_FDCWD, "f", times, 0), 0);
	is(stat("f", &status), 0);
	is(status.st_atim.tv_sec, 1000);
	is(status.st_mtim.tv_sec, 2000);
	is(status.st_mtim.tv_nsec, 6);
	is(utimensat(AT_FDCWD, "f", NULL, 0), 0);
	is(stat("f", &status), 0);
	yes(status.st_mtim.tv_sec > 2000);
	is(unlink("f"), 0);
	leave_directory();
}

CASE(duplicates)
{
	int fd = file_of(0), copy = dup(fd), high;

	is(write(fd, "abc", 3), 3);
	is(lseek(copy, 0, SEEK_CUR), 3);
	is(dup2(fd, copy), copy);
	is(dup2(fd, fd), fd);
	high = fcntl(fd, F_DUPFD, 100);
	is(high, 100);
	is(fcntl(fd, F_DUPFD_CLOEXEC, 100), 101);
	is(fcntl(101, F_GETFD), FD_CLOEXEC);
	is(fcntl(100, F_GETFD), 0);
	is(close(fd), 0);
	is(write(high, "d", 1), 1);
	is(lseek(copy, 0, SEEK_CUR), 4);
	is(dup(high), fd); /* the lowest that is free */
}

CASE(descriptors_run_out)
{
	int count = 0;

	while (count < 1 << 21 && dup(0) >= 0)
		count++;
	is(errno, EMFILE);
	yes(count >= 100);
}

CASE(devices)
{
	int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY);
	char text[64];
	struct stat status;

	need(null >= 0 && zero >= 0);
	is(write(null, text, sizeof(text)), sizeof(text));
	is(read(null, text, sizeof(text)), 0);
	memset(text, 'x', sizeof(text));
	is(read(zero, text, sizeof(text)), sizeof(text));
	is(text[0], 0);
	is(text[63], 0);
	is(fstat(null, &status), 0);
	yes(S_ISCHR(status.st_mode));
	is(status.st_rdev, 0x103);
}

CASE(reading_and_a_mapping_agree)
{
	int fd = file_of(2);
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), text[4];

	need(memory != MAP_FAILED);
	is(pwrite(fd, "abcd", 4, PAGE - 2), 4);
	is(memcmp(memory + PAGE - 2, "abcd", 4), 0);
	memory[PAGE] = 'X';
	is(pread(fd, text, 4, PAGE - 2), 4);
	is(memcmp(text, "abXd", 4), 0);
	/* From the file into the file's own mapping. */
	is(pread(fd, memory, 4, PAGE - 2), 4);
	is(memcmp(memory, "abXd", 4), 0);
}

/* A memory file of three pages of 'a'. */
static int
file_in_memory(void)
{
	int fd = memfd_create("file", 0);
	char *bytes = map(3);

	need(fd >= 0);
	memset(bytes, 'a', 3 * PAGE);
	need(write(fd, bytes, 3 * PAGE) == (ssize_t)(3 * PAGE));
	return fd;
}

static long
blocks_of(int fd)
{
	struct stat status;

	need(fstat(fd, &status) == 0);
	return status.st_blocks;
}

static char
byte_at(int fd, off_t at)
{
	char byte = -1;

	need(pread(fd, &byte, 1, at) == 1);
	return byte;
}

CASE(room_made_beforehand)
{
	int fd = memfd_create("file", 0);

	need(fd >= 0);
	is(fallocate(fd, 0, 10, PAGE), 0);
	is(lseek(fd, 0, SEEK_END), PAGE + 10);
	is(blocks_of(fd), 2 * PAGE / 512);
	is(byte_at(fd, PAGE + 9), 0);
	is(fallocate(fd, FALLOC_FL_KEEP_SIZE, 2 * PAGE, PAGE), 0);
	is(lseek(fd, 0, SEEK_END), PAGE + 10);
	is(blocks_of(fd), 3 * PAGE / 512);
	fails(fallocate(fd, 0, 0, 0), EINVAL);
	fails(fallocate(fd, 0, -1, 1), EINVAL);
	fails(fallocate(open("/dev/null", O_RDONLY), 0, 0, 1), EBADF);
}

CASE(holes_punched)
{
	int fd = file_in_memory(), mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	char *memory = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	need(memory != MAP_FAILED);
	is(memory[PAGE], 'a');
	is(fallocate(fd, mode, 100, 50), 0);
	is(memory[99], 'a');
	is(memory[100], 0);
	is(memory[149], 0);
	is(memory[150], 'a');
	is(blocks_of(fd), 3 * PAGE / 512);
	is(fallocate(fd, mode, PAGE - 10, PAGE + 30), 0);
	is(blocks_of(fd), 2 * PAGE / 512);
	is(byte_at(fd, PAGE - 11), 'a');
	is(memory[PAGE - 10], 0);
	is(memory[PAGE], 0);
	is(memory[2 * PAGE + 19], 0);
	is(byte_at(fd, 2 * PAGE + 20), 'a');
	is(lseek(fd, 0, SEEK_END), 3 * PAGE);
	is(fallocate(fd, mode, 0, 10 * PAGE), 0);
	is(blocks_of(fd), 0);
	is(lseek(fd, 0, SEEK_END), 3 * PAGE);
	is(memory[3 * PAGE - 1], 0);
	fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
	fails(fallocate(fd, 64, 0, PAGE), EOPNOTSUPP); /* there is no such mode */
}
