/* SPDX-License-Identifier: MIT */
/*
 * File systems in memory that are mounted: their limits, what shows them, when they can be
 * unmounted and what is left of them then. As root; on Linux in mounts of the case's own.
 */
#include "ktap.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

#define KIB	    1024l
#define TMPFS_TYPE  0x01021994l
#define RAMFS_TYPE  0x858458f6l
#define NR_OF(list) (sizeof(list) / sizeof((list)[0]))

static char at[256]; /* the directory of the case, in which it mounts */

/* A fresh directory, from which all paths go; "m" in it is for mounting. */
static void
enter(void)
{
	if (geteuid() != 0)
		skip("only root may mount");
	if (unshare(CLONE_NEWNS) == 0)
		need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	need(mkdtemp(ktap_template(at)));
	need(chdir(at) == 0);
	need(mkdir("m", 0755) == 0);
}

/* What was mounted is not any more; the case has left nothing else. */
static void
leave(void)
{
	is(rmdir("m"), 0);
	is(chdir("/"), 0);
	is(rmdir(at), 0);
}

static void
mount_with(const char *options)
{
	int result = mount("memory", "m", "tmpfs", 0, options);

	if (result != 0 && errno == EPERM)
		skip("this root may not mount");
	need(result == 0);
}

static void
begin(const char *options)
{
	enter();
	mount_with(options);
}

static void
end(void)
{
	is(umount("m"), 0);
	leave();
}

static struct statfs
amounts(const char *path)
{
	struct statfs amounts;

	need(statfs(path, &amounts) == 0);
	return amounts;
}

#define blocks_free() ((long)amounts("m").f_bfree)
#define names_free()  ((long)amounts("m").f_ffree)

static struct stat
status_of(const char *path)
{
	struct stat status;

	need(lstat(path, &status) == 0);
	return status;
}

static int
make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);

	need(fd >= 0);
	return fd;
}

static void
make_empty(const char *path)
{
	need(close(make(path)) == 0);
}

/* Write so many pages, of so many a call, and return how many bytes there was room for. */
static long
fill(int fd, long pages)
{
	static char bytes[16 * PAGE];
	long done = 0, now = 1;

	memset(bytes, 'f', sizeof(bytes));
	while (done < pages * (long)PAGE && now > 0) {
		long left = pages * PAGE - done;

		now = write(fd, bytes, left < (long)sizeof(bytes) ? left : (long)sizeof(bytes));
		done += now > 0 ? now : 0;
	}
	return done;
}

/* The line of a file that has all three words, in buffer; or NULL. */
static char *
line_with(const char *path, const char *word, const char *second, const char *third)
{
	static char line[1024];
	FILE *file = fopen(path, "r");
	bool found = false;

	need(file);
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, word) && strstr(line, second) && strstr(line, third);
	fclose(file);
	return found ? line : NULL;
}

/* ---- What is there ------------------------------------------------------------------------- */

CASE(a_mount_is_a_tree_of_its_own)
{
	struct stat status;
	DIR *directory;
	int names = 0;

	enter();
	make_empty("m/covered");
	mount_with(NULL);
	status = status_of("m");
	yes(S_ISDIR(status.st_mode));
	is(status.st_mode & 07777, 01777);
	is(status.st_uid, 0);
	is(status.st_nlink, 2);
	yes(status.st_dev != status_of(".").st_dev);
	fails(open("m/covered", O_RDONLY), ENOENT);
	directory = opendir("m");
	need(directory);
	while (readdir(directory))
		names++;
	closedir(directory);
	is(names, 2);
	make_empty("m/a");
	is(status_of("m/a").st_dev, status.st_dev);
	is(umount("m"), 0);
	fails(open("m/a", O_RDONLY), ENOENT);
	is(unlink("m/covered"), 0);
	leave();
}

CASE(two_mounts_have_nothing_in_common)
{
	begin(NULL);
	need(mkdir("n", 0755) == 0);
	need(mount("memory", "n", "tmpfs", 0, NULL) == 0);
	yes(status_of("m").st_dev != status_of("n").st_dev);
	make_empty("m/a");
	fails(open("n/a", O_RDONLY), ENOENT);
	is(umount("n"), 0);
	is(rmdir("n"), 0);
	is(status_of("m/a").st_size, 0);
	end();
}

CASE(mode_and_owner_of_the_root)
{
	begin("mode=0750,uid=12,gid=34");
	is(status_of("m").st_mode & 07777, 0750);
	is(status_of("m").st_uid, 12);
	is(status_of("m").st_gid, 34);
	make_empty("m/a");
	is(status_of("m/a").st_uid, 0);
	end();
}

CASE(sizes_can_be_told_in_many_ways)
{
	static const struct {
		const char *options;
		long blocks, files;
	} good[] = {
		{ "size=1m", 256, -1 },		{ "size=64k,nr_inodes=7", 16, 7 },
		{ "size=1G", 262144, -1 },	{ "size=4097", 2, -1 },
		{ "size=0x3000", 3, -1 },	{ ",size=8192,,nr_inodes=1k,", 2, 1024 },
		{ "size=1m,size=2m", 512, -1 }, { "size=0,nr_inodes=0", 0, 0 },
	};

	enter();
	for (unsigned i = 0; i < NR_OF(good); i++) {
		mount_with(good[i].options);
		is(amounts("m").f_blocks, good[i].blocks);
		if (good[i].files >= 0)
			is(amounts("m").f_files, good[i].files);
		is(umount("m"), 0);
	}
	leave();
}

/* Half of memory, unless something else is said. */
CASE(sizes_from_memory)
{
	struct sysinfo info;
	long pages, whole;

	begin(NULL);
	need(sysinfo(&info) == 0);
	pages = info.totalram / PAGE * info.mem_unit;
	yes(labs((long)amounts("m").f_blocks - pages / 2) < pages / 20);
	yes(amounts("m").f_files > 0);
	is(umount("m"), 0);
	mount_with("size=100%");
	whole = amounts("m").f_blocks;
	yes(labs(whole - pages) < pages / 10);
	is(umount("m"), 0);
	mount_with("size=25%");
	yes(labs((long)amounts("m").f_blocks - whole / 4) < 2);
	end();
}

CASE(bad_options)
{
	static const char *const bad[] = {
		"size=x", "size=1q",   "size=",	 "size=1m,more=1", "nr_inodes=many", "mode=9",
		"mode=x", "mode=",     "uid=-1", "uid=root",	   "gid=4294967295", "nothing",
		"more=1", "size=10%%", "size",	 "uid=1k",
	};

	begin(NULL);
	is(umount("m"), 0);
	for (unsigned i = 0; i < NR_OF(bad); i++) {
		fails(mount("memory", "m", "tmpfs", 0, bad[i]), EINVAL);
		if (umount("m") == 0)
			printf("# it took \"%s\"\n", bad[i]);
	}
	leave();
}

CASE(bad_calls)
{
	begin(NULL);
	is(umount("m"), 0);
	make_empty("file");
	fails(mount("memory", "none", "tmpfs", 0, NULL), ENOENT);
	fails(mount("memory", "file", "tmpfs", 0, NULL), ENOTDIR);
	fails(mount("memory", "m", "nofs", 0, NULL), ENODEV);
	fails(mount("memory", "m", NULL, 0, NULL), EINVAL);
	fails(mount("memory", "m", "tmpfs", 0, (void *)8), EFAULT);
	fails(umount("m"), EINVAL);
	is(mount(NULL, "m", "tmpfs", 0, NULL), 0);
	fails(umount("file"), EINVAL);
	is(unlink("file"), 0);
	end();
}

CASE(what_shows_a_mount)
{
	begin("size=1m,mode=755");
	yes(line_with("/proc/filesystems", "nodev", "\ttmpfs", "\n"));
	yes(line_with("/proc/mounts", "memory ", at, "/m tmpfs rw"));
	yes(line_with("/proc/mounts", at, "size=1024k", "mode=755"));
	is(amounts("m").f_type, TMPFS_TYPE);
	is(amounts("m").f_bsize, PAGE);
	is(amounts("m").f_namelen, 255);
	is(umount("m"), 0);
	yes(!line_with("/proc/mounts", "memory ", at, "/m tmpfs"));
	mount_with("");
	yes(!line_with("/proc/mounts", at, "size=", "/m tmpfs"));
	end();
}

/* ---- Limits -------------------------------------------------------------------------------- */

CASE(amounts_go_up_and_down)
{
	int fd;

	begin("size=1m,nr_inodes=50");
	is(amounts("m").f_blocks, 256);
	is(blocks_free(), 256);
	is(amounts("m").f_bavail, 256);
	is(amounts("m").f_files, 50);
	is(names_free(), 49);
	fd = make("m/a");
	is(fill(fd, 3), 3 * PAGE);
	is(blocks_free(), 253);
	is(names_free(), 48);
	is(status_of("m/a").st_blocks, 3 * PAGE / 512);
	is(ftruncate(fd, PAGE + 1), 0);
	is(blocks_free(), 254);
	is(unlink("m/a"), 0);
	is(blocks_free(), 254); /* it is open */
	is(names_free(), 48);
	is(close(fd), 0);
	is(blocks_free(), 256);
	is(names_free(), 49);
	end();
}

CASE(writes_end_at_the_size)
{
	char c;
	int fd;

	begin("size=64k");
	fd = make("m/a");
	is(fill(fd, 100), 64 * KIB);
	fails(write(fd, "x", 1), ENOSPC);
	is(pwrite(fd, "x", 1, 5000), 1); /* what is there can change */
	is(blocks_free(), 0);
	make_empty("m/b"); /* takes no room */
	is(ftruncate(fd, 60 * KIB), 0);
	is(pwrite(fd, "yz", 2, 60 * KIB - 1), 2);
	fails(pwrite(fd, "x", 1, 64 * KIB), ENOSPC);
	is(pread(fd, &c, 1, 60 * KIB), 1);
	is(c, 'z');
	is(close(fd), 0);
	end();
}

/* They must not get one page more or less among them. */
CASE(many_write_until_it_is_full)
{
	begin("size=1m");
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			char name[] = { 'm', '/', (char)('a' + i), '\0' };
			int fd = make(name);

			yes(fill(fd, 300) <= 256 * (long)PAGE);
			fails(write(fd, "x", 1), ENOSPC);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	is(blocks_free(), 0);
	is(status_of("m/a").st_blocks + status_of("m/b").st_blocks + status_of("m/c").st_blocks +
	       status_of("m/d").st_blocks,
	   2048);
	end();
}

CASE(fallocate_ends_at_the_size)
{
	int fd;

	begin("size=64k");
	fd = make("m/a");
	fails(fallocate(fd, 0, 0, 80 * KIB), ENOSPC);
	is(blocks_free(), 16);
	is(status_of("m/a").st_size, 0);
	is(fallocate(fd, 0, 0, 40 * KIB), 0);
	is(blocks_free(), 6);
	fails(fallocate(fd, 0, 40 * KIB, 28 * KIB), ENOSPC);
	is(blocks_free(), 6);
	is(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8 * KIB), 0);
	is(blocks_free(), 8);
	is(close(fd), 0);
	end();
}

CASE(faults_end_at_the_size)
{
	char *shared, *private;
	int fd;

	begin("size=64k");
	fd = make("m/a");
	is(ftruncate(fd, 32 * PAGE), 0);
	is(blocks_free(), 16);
	shared = mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	need(shared != MAP_FAILED && private != MAP_FAILED);
	for (int i = 0; i < 16; i++)
		shared[i * PAGE] = (char)i;
	faults(WRITE, shared + 16 * PAGE, SIGBUS, BUS_ADRERR);
	faults(READ, shared + 20 * PAGE, SIGBUS, BUS_ADRERR);
	allowed(WRITE, private + 3 * PAGE); /* its own page is none of the file */
	is(private[3 * PAGE], 3);
	is(ftruncate(fd, 8 * PAGE), 0);
	is(ftruncate(fd, 32 * PAGE), 0);
	allowed(WRITE, shared + 16 * PAGE);
	is(shared[7 * PAGE], 7);
	is(shared[16 * PAGE], 0);
	is(munmap(shared, 32 * PAGE), 0);
	is(munmap(private, 32 * PAGE), 0);
	is(close(fd), 0);
	end();
}

/* Holes can be read where there is no room to fill them. */
CASE(to_read_a_hole_takes_no_room)
{
	static char bytes[64 * 1024];
	int fd, full;

	begin("size=16k");
	fd = make("m/holes");
	is(ftruncate(fd, 1024 * KIB), 0);
	memset(bytes, 'x', sizeof(bytes));
	is(pread(fd, bytes, sizeof(bytes), 100), sizeof(bytes));
	for (unsigned i = 0; i < sizeof(bytes); i++)
		need(bytes[i] == 0);
	is(blocks_free(), 4);
	is(status_of("m/holes").st_blocks, 0);
	full = make("m/full");
	is(fill(full, 4), 16 * KIB);
	is(pread(fd, bytes, 100, 700 * KIB), 100);
	fails(pwrite(fd, "x", 1, 700 * KIB), ENOSPC);
	is(close(fd), 0);
	is(close(full), 0);
	end();
}

CASE(more_names_than_there_may_be)
{
	begin("nr_inodes=5"); /* the root is one */
	make_empty("m/a");
	is(mkdir("m/b", 0755), 0);
	is(symlink("a", "m/c"), 0);
	is(mkfifo("m/d", 0644), 0);
	is(names_free(), 0);
	fails(open("m/e", O_WRONLY | O_CREAT, 0644), ENOSPC);
	fails(open("m", O_TMPFILE | O_RDWR, 0644), ENOSPC);
	fails(mkdir("m/e", 0755), ENOSPC);
	fails(symlink("a", "m/e"), ENOSPC);
	fails(mknod("m/e", S_IFCHR | 0600, makedev(1, 3)), ENOSPC);
	fails(link("m/a", "m/e"), ENOSPC);
	is(rename("m/a", "m/b/a"), 0);
	is(unlink("m/d"), 0);
	is(link("m/b/a", "m/e"), 0);
	is(names_free(), 0);
	is(status_of("m/e").st_nlink, 2);
	is(unlink("m/b/a"), 0);
	is(names_free(), 1);
	is(link("m/e", "m/f"), 0);
	is(rename("m/c", "m/f"), 0); /* in place of another name of it */
	is(names_free(), 1);
	is(rmdir("m/b"), 0);
	is(names_free(), 2);
	end();
}

CASE(without_limits)
{
	int fd;

	begin("size=0,nr_inodes=0");
	is(amounts("m").f_blocks, 0);
	is(amounts("m").f_files, 0);
	fd = make("m/a");
	is(fill(fd, 64), 64 * PAGE);
	is(close(fd), 0);
	end();
}

CASE(ramfs_knows_no_limits)
{
	int fd;

	begin(NULL);
	is(umount("m"), 0);
	fails(mount("memory", "m", "ramfs", 0, "mode=x"), EINVAL);
	need(mount("memory", "m", "ramfs", 0, "mode=700,size=4k,what=ever") == 0);
	is(amounts("m").f_type, RAMFS_TYPE);
	is(status_of("m").st_mode & 07777, 0700);
	fd = make("m/a");
	is(fill(fd, 64), 64 * PAGE);
	is(close(fd), 0);
	end();
}

/* ---- Files --------------------------------------------------------------------------------- */

CASE(files_are_as_in_any_other)
{
	char text[64] = "", path[64];
	int fd, later;

	begin(NULL);
	need(mkdir("m/d", 0755) == 0);
	fd = make("m/d/a");
	is(write(fd, "0123456789", 10), 10);
	is(symlink("d/a", "m/link"), 0);
	is(readlink("m/link", text, sizeof(text)), 3);
	is(status_of("m/link").st_size, 3);
	is(link("m/d/a", "m/b"), 0);
	is(rename("m/b", "m/d/c"), 0);
	is(status_of("m/d/c").st_ino, status_of("m/d/a").st_ino);
	fails(rmdir("m/d"), ENOTEMPTY);
	is(unlink("m/d/a"), 0);
	is(unlink("m/d/c"), 0);
	is(rmdir("m/d"), 0);
	is(pread(fd, text, sizeof(text), 0), 10);
	is(memcmp(text, "0123456789", 10), 0);
	later = open("m", O_TMPFILE | O_RDWR, 0600);
	need(later >= 0);
	is(write(later, "later", 5), 5);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", later);
	is(linkat(AT_FDCWD, path, AT_FDCWD, "m/later", AT_SYMLINK_FOLLOW), 0);
	is(status_of("m/later").st_size, 5);
	is(close(fd), 0);
	is(close(later), 0);
	end();
}

CASE(synchronising_works_and_does_nothing)
{
	char *page;
	int fd, directory;

	begin(NULL);
	fd = open("m/a", O_RDWR | O_CREAT | O_SYNC, 0644);
	directory = open("m", O_RDONLY);
	need(fd >= 0 && directory >= 0);
	is(fill(fd, 2), 2 * PAGE);
	is(fsync(fd), 0);
	is(fdatasync(fd), 0);
	is(syncfs(fd), 0);
	is(fsync(directory), 0);
	is(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(page != MAP_FAILED);
	is(page[100], 'f');
	is(msync(page, PAGE, MS_SYNC), 0);
	is(munmap(page, PAGE), 0);
	sync();
	is(close(fd), 0);
	is(close(directory), 0);
	end();
}

CASE(nothing_moves_from_one_mount_to_another)
{
	begin(NULL);
	make_empty("m/in");
	make_empty("out");
	need(mkdir("m/directory", 0755) == 0);
	fails(rename("m/in", "in"), EXDEV);
	fails(rename("out", "m/out"), EXDEV);
	fails(rename("out", "m/in"), EXDEV);
	fails(rename("m/directory", "directory"), EXDEV);
	fails(link("m/in", "in"), EXDEV);
	fails(link("out", "m/out"), EXDEV);
	is(unlink("out"), 0);
	end();
}

/* ---- Flags and rights ---------------------------------------------------------------------- */

CASE(read_only)
{
	enter();
	mount_with(NULL);
	is(umount("m"), 0);
	need(mount("memory", "m", "tmpfs", MS_RDONLY, "size=1m") == 0);
	fails(open("m/a", O_WRONLY | O_CREAT, 0644), EROFS);
	fails(mkdir("m/a", 0755), EROFS);
	fails(chmod("m", 0700), EROFS);
	yes(amounts("m").f_flags & ST_RDONLY);
	yes(line_with("/proc/mounts", at, "/m tmpfs ro", "size=1024k"));
	end();
}

CASE(refused_by_flags)
{
	char *const words[] = { "a", NULL };
	int fd;

	begin(NULL);
	is(umount("m"), 0);
	need(mount("memory", "m", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0);
	is(mknod("m/null", S_IFCHR | 0600, makedev(1, 3)), 0);
	fails(open("m/null", O_RDWR), EACCES);
	fd = make("m/a");
	is(write(fd, "#!/bin/sh\n", 10), 10);
	is(fchmod(fd, 0755), 0);
	is(close(fd), 0);
	fails(execv("m/a", words), EACCES);
	is(amounts("m").f_flags & (ST_NOSUID | 4 | 8), ST_NOSUID | 4 | 8);
	yes(line_with("/proc/mounts", at, "/m tmpfs rw,nosuid,nodev,noexec", "\n"));
	end();
}

CASE(others_than_root_may_not)
{
	pid_t pid;

	begin(NULL);
	need(chmod(at, 0755) == 0);
	need(mkdir("n", 0777) == 0);
	pid = fork();
	if (pid == 0) {
		need(setresgid(1000, 1000, 1000) == 0);
		need(setresuid(1000, 1000, 1000) == 0);
		fails(mount("memory", "n", "tmpfs", 0, NULL), EPERM);
		fails(umount("m"), EPERM);
		is(close(make("m/mine")), 0);
		_exit(0);
	}
	is(ended(pid), 0);
	is(status_of("m/mine").st_uid, 1000);
	is(rmdir("n"), 0);
	end();
}

/* ---- Unmounting ---------------------------------------------------------------------------- */

CASE(an_open_file_keeps_it)
{
	int fd;

	begin(NULL);
	fd = make("m/a");
	fails(umount("m"), EBUSY);
	is(unlink("m/a"), 0); /* open, but in no directory */
	fails(umount("m"), EBUSY);
	is(close(fd), 0);
	fd = open("m", O_TMPFILE | O_RDWR, 0600);
	need(fd >= 0);
	fails(umount("m"), EBUSY);
	is(close(fd), 0);
	fd = open("m", O_RDONLY);
	fails(umount("m"), EBUSY);
	is(close(fd), 0);
	need(mkdir("m/d", 0755) == 0);
	make_empty("m/d/a");
	fd = open("m/d/a", O_PATH);
	fails(umount("m"), EBUSY);
	is(close(fd), 0);
	is(status_of("m/d/a").st_size, 0); /* what failed has taken nothing away */
	end();
}

CASE(a_current_directory_keeps_it)
{
	begin(NULL);
	need(mkdir("m/d", 0755) == 0);
	is(chdir("m/d"), 0);
	fails(umount("../../m"), EBUSY);
	is(rmdir("../d"), 0);
	fails(umount2(at, 0), EINVAL);
	is(chdir(at), 0);
	is(chdir("m"), 0);
	fails(umount("../m"), EBUSY);
	is(chdir(at), 0);
	end();
}

CASE(a_mapping_keeps_it)
{
	char *shared, *private;
	int fd;

	begin(NULL);
	fd = make("m/a");
	is(fill(fd, 2), 2 * PAGE);
	is(link("m/a", "m/b"), 0);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	need(shared != MAP_FAILED && private != MAP_FAILED);
	is(close(fd), 0);
	fails(umount("m"), EBUSY);
	is(unlink("m/a"), 0);
	is(munmap(shared, PAGE), 0);
	fails(umount("m"), EBUSY);
	is(unlink("m/b"), 0);
	fails(umount("m"), EBUSY);
	is(private[1], 'f');
	is(munmap(private, PAGE), 0);
	end();
}

CASE(a_mount_inside_keeps_it)
{
	begin(NULL);
	need(mkdir("m/inner", 0755) == 0);
	need(mount("memory", "m/inner", "tmpfs", 0, NULL) == 0);
	make_empty("m/inner/a");
	fails(umount("m"), EBUSY);
	fails(rmdir("m/inner"), EBUSY);
	yes(status_of("m/inner").st_dev != status_of("m").st_dev);
	is(umount("m/inner"), 0);
	fails(open("m/inner/a", O_RDONLY), ENOENT);
	end();
}

CASE(a_mount_point_stays)
{
	begin(NULL);
	fails(rmdir("m"), EBUSY);
	fails(rename("m", "n"), EBUSY);
	need(mkdir("n", 0755) == 0);
	fails(rename("n", "m"), EBUSY);
	is(rmdir("n"), 0);
	end();
}

/* Wide and deep, with names of all kinds, and files with several names in several directories. */
static void
make_many(void)
{
	char name[32];

	need(chdir("m") == 0);
	for (int depth = 0; depth < 60; depth++) {
		for (int i = 0; i < 4; i++) {
			int fd;

			snprintf(name, sizeof(name), "file%d", i);
			fd = make(name);
			need(fill(fd, i) == i * (long)PAGE);
			need(close(fd) == 0);
		}
		need(link("file1", "again") == 0);
		need(depth == 0 || link("../file2", "upper") == 0);
		need(symlink("a/long/way", "link") == 0);
		need(mkfifo("fifo", 0600) == 0);
		need(mkdir("empty", 0700) == 0);
		need(mkdir("d", 0700) == 0);
		need(chdir("d") == 0);
	}
	need(chdir(at) == 0);
}

static long
shmem_kib(void)
{
	char *line = line_with("/proc/meminfo", "Shmem:", " kB", ":");

	need(line);
	return strtol(strchr(line, ':') + 1, NULL, 10);
}

/* 200 times 1.2 MiB: what stays of them would be seen. */
CASE(all_is_freed)
{
	long before;
	int fd;

	begin("nr_inodes=2k");
	make_many();
	is(umount("m"), 0);
	before = shmem_kib();
	for (int i = 0; i < 200; i++) {
		mount_with("nr_inodes=2k");
		if (i % 20 == 0)
			make_many();
		fd = make("m/a");
		need(fill(fd, 300) == 300 * (long)PAGE);
		need(close(fd) == 0);
		need(umount("m") == 0);
	}
	yes(labs(shmem_kib() - before) < 100 * 1024);
	leave();
}
