/* SPDX-License-Identifier: MIT */
/* What system calls say to bad arguments. None may harm the caller, let alone the kernel. */
#include "ktap.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>

/* ---- Pointers -------------------------------------------------------------------------------- */

#define BAD 0xbadbadul /* in a table: the bad pointer goes here */

/* Calls that read or write memory where an argument points. */
static const struct {
	const char *name;
	long number;
	unsigned long args[6];
} pointed[] = {
	{ "read", SYS_read, { 3, BAD, 64 } },
	{ "write", SYS_write, { 4, BAD, 64 } },
	{ "pread64", SYS_pread64, { 3, BAD, 64, 0 } },
	{ "pwrite64", SYS_pwrite64, { 4, BAD, 64, 0 } },
	{ "readv", SYS_readv, { 3, BAD, 1 } },
	{ "writev", SYS_writev, { 4, BAD, 1 } },
	{ "open", SYS_open, { BAD, O_RDONLY } },
	{ "openat", SYS_openat, { AT_FDCWD, BAD, O_RDONLY } },
	{ "stat", SYS_stat, { BAD, BAD } },
	{ "fstat", SYS_fstat, { 3, BAD } },
	{ "newfstatat", SYS_newfstatat, { AT_FDCWD, BAD, BAD, 0 } },
	{ "access", SYS_access, { BAD, F_OK } },
	{ "chdir", SYS_chdir, { BAD } },
	{ "mkdir", SYS_mkdir, { BAD, 0755 } },
	{ "rmdir", SYS_rmdir, { BAD } },
	{ "unlink", SYS_unlink, { BAD } },
	{ "rename", SYS_rename, { BAD, BAD } },
	{ "link", SYS_link, { BAD, BAD } },
	{ "symlink", SYS_symlink, { BAD, BAD } },
	{ "readlink", SYS_readlink, { BAD, BAD, 64 } },
	{ "chmod", SYS_chmod, { BAD, 0644 } },
	{ "getcwd", SYS_getcwd, { BAD, 4096 } },
	{ "getdents64", SYS_getdents64, { 5, BAD, 4096 } },
	{ "pipe2", SYS_pipe2, { BAD, 0 } },
	{ "poll", SYS_poll, { BAD, 1, 0 } },
	{ "uname", SYS_uname, { BAD } },
	{ "gettimeofday", SYS_gettimeofday, { BAD, 0 } },
	{ "clock_gettime", SYS_clock_gettime, { CLOCK_MONOTONIC, BAD } },
	{ "nanosleep", SYS_nanosleep, { BAD, 0 } },
	{ "times", SYS_times, { BAD } },
	{ "getrusage", SYS_getrusage, { RUSAGE_SELF, BAD } },
	{ "getrlimit", SYS_getrlimit, { RLIMIT_STACK, BAD } },
	{ "prlimit64", SYS_prlimit64, { 0, RLIMIT_STACK, 0, BAD } },
	{ "sysinfo", SYS_sysinfo, { BAD } },
	{ "rt_sigaction, new", SYS_rt_sigaction, { SIGUSR1, BAD, 0, 8 } },
	{ "rt_sigaction, old", SYS_rt_sigaction, { SIGUSR1, 0, BAD, 8 } },
	{ "rt_sigprocmask, new", SYS_rt_sigprocmask, { SIG_BLOCK, BAD, 0, 8 } },
	{ "rt_sigprocmask, old", SYS_rt_sigprocmask, { SIG_BLOCK, 0, BAD, 8 } },
	{ "rt_sigpending", SYS_rt_sigpending, { BAD, 8 } },
	{ "rt_sigsuspend", SYS_rt_sigsuspend, { BAD, 8 } },
	{ "signalfd4", SYS_signalfd4, { -1ul, BAD, 8, 0 } },
	{ "sigaltstack, new", SYS_sigaltstack, { BAD, 0 } },
	{ "sigaltstack, old", SYS_sigaltstack, { 0, BAD } },
	{ "setitimer", SYS_setitimer, { 0, BAD, 0 } },
	{ "execve", SYS_execve, { BAD, 0, 0 } },
	{ "futex", SYS_futex, { BAD & ~3ul, 0 /* FUTEX_WAIT */, 1, 0 } },
	{ "getrandom", SYS_getrandom, { BAD, 64, 0 } },
	{ "sched_getaffinity", SYS_sched_getaffinity, { 0, 128, BAD } },
	{ "mincore", SYS_mincore, { 0x10000000, 4096, BAD } },
};

#define NR_POINTED (sizeof(pointed) / sizeof(*pointed))

/* Call every one with this pointer in place of BAD. */
static void
with_pointer(unsigned long pointer)
{
	int zero, null, directory;

	/* Descriptors 3 and 4: from /dev/zero, to a file. 5: a directory. */
	zero = open("/dev/zero", O_RDONLY);
	null = file_of(1);
	directory = open("/", O_RDONLY | O_DIRECTORY);
	need(zero >= 0 && null >= 0 && directory >= 0);
	need(dup2(directory, 12) == 12 && dup2(null, 11) == 11 && dup2(zero, 10) == 10);
	need(dup2(10, 3) == 3 && dup2(11, 4) == 4 && dup2(12, 5) == 5);
	need(mmap((void *)0x10000000, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == (void *)0x10000000);
	for (size_t i = 0; i < NR_POINTED; i++) {
		unsigned long args[6];
		long result;

		for (int j = 0; j < 6; j++) {
			args[j] = pointed[i].args[j];
			if (args[j] == BAD)
				args[j] = pointer;
			else if (args[j] == (BAD & ~3ul))
				args[j] = pointer & ~3ul;
		}
		errno = 0;
		result = syscall(pointed[i].number, args[0], args[1], args[2], args[3], args[4],
				 args[5]);
		ktap_fails(result, errno, EFAULT, pointed[i].name, __FILE__, __LINE__);
	}
}

CASE(pointers_to_nothing)
{
	with_pointer(8);
}

CASE(pointers_to_memory_that_was_unmapped)
{
	char *memory = map(1);

	is(munmap(memory, PAGE), 0);
	with_pointer((unsigned long)memory + 40);
}

CASE(pointers_to_memory_without_rights)
{
	char *memory = map(1);

	is(mprotect(memory, PAGE, PROT_NONE), 0);
	with_pointer((unsigned long)memory + 40);
}

CASE(pointers_into_the_kernel)
{
	with_pointer(0xffffffff80000000ul);
}

CASE(pointers_at_the_border)
{
	with_pointer(0x7ffffffff000ul);
}

CASE(pointers_that_are_no_addresses)
{
	with_pointer(0x0123456789abcdefull);
}

CASE(pointers_behind_the_end_of_a_file)
{
	int fd = file_of(1);
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	need(memory != MAP_FAILED);
	with_pointer((unsigned long)memory + PAGE + 40);
}

CASE(memory_that_may_only_be_read)
{
	char *memory = map(1);
	int zero = open("/dev/zero", O_RDONLY), ends[2];

	need(pipe(ends) == 0);
	is(mprotect(memory, PAGE, PROT_READ), 0);
	fails(read(zero, memory, 10), EFAULT);
	is(write(ends[1], memory, 10), 10);
	fails(syscall(SYS_uname, memory), EFAULT);
	fails(syscall(SYS_fstat, zero, memory), EFAULT);
	fails(syscall(SYS_pipe2, memory, 0), EFAULT);
}

CASE(what_begins_well_and_ends_badly)
{
	char *memory = map(2), *end = memory + PAGE;
	int zero = open("/dev/zero", O_RDONLY);
	struct iovec pieces[2] = { { end - 8, 8 }, { (void *)8, 8 } };

	is(munmap(end, PAGE), 0);
	memset(memory, 'x', PAGE);
	/* As much as there is room for, then the error. */
	is(read(zero, end - 100, 200), 100);
	is(end[-1], 0);
	is(end[-101], 'x');
	fails(read(zero, end, 1), EFAULT);
	fails(syscall(SYS_fstat, zero, end - 8), EFAULT);
	fails(syscall(SYS_uname, end - 8), EFAULT);
	memset(end - 4, 'x', 4);
	fails(open(end - 4, O_RDONLY), EFAULT); /* a path without an end */
	is(readv(zero, pieces, 2), 8);
}

/* ---- Descriptors and paths ------------------------------------------------------------------- */

CASE(descriptors_that_are_not_open)
{
	static const int bad[] = { -1, 900, 1 << 20, 0x7fffffff, (int)0x80000000 };
	struct stat status;
	char byte = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		fails(read(bad[i], &byte, 1), EBADF);
		fails(write(bad[i], &byte, 1), EBADF);
		fails(close(bad[i]), EBADF);
		fails(syscall(SYS_fstat, bad[i], &status), EBADF);
		fails(lseek(bad[i], 0, SEEK_SET), EBADF);
		fails(dup(bad[i]), EBADF);
		fails(fcntl(bad[i], F_GETFL), EBADF);
		fails(ioctl(bad[i], TCGETS, &byte), EBADF);
		fails(ftruncate(bad[i], 0), EBADF);
		fails(fchdir(bad[i]), EBADF);
	}
}

CASE(descriptors_of_the_wrong_kind)
{
	int file = file_of(1), directory = open("/", O_RDONLY | O_DIRECTORY), ends[2];
	struct termios settings;
	char byte = 0;

	need(directory >= 0 && pipe(ends) == 0);
	fails(read(directory, &byte, 1), EISDIR);
	fails(write(directory, &byte, 1), EBADF); /* open for reading only */
	fails(open("/", O_RDWR), EISDIR);
	fails(ioctl(file, TCGETS, &settings), ENOTTY);
	fails(ioctl(ends[0], TCGETS, &settings), ENOTTY);
	fails(lseek(ends[0], 0, SEEK_SET), ESPIPE);
	fails(pread(ends[0], &byte, 1, 0), ESPIPE);
	fails(read(ends[1], &byte, 1), EBADF);
	fails(write(ends[0], &byte, 1), EBADF);
	fails(fchdir(file), ENOTDIR);
	fails(syscall(SYS_getdents64, file, &byte, 1), ENOTDIR);
	fails(ftruncate(ends[1], 0), EINVAL);
	fails(open("/dev/zero", O_RDONLY | O_DIRECTORY), ENOTDIR);
}

CASE(paths)
{
	struct stat status;
	char name[300], longest[5000];

	memset(name, 'n', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = 0;
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	fails(open("/no/such/file", O_RDONLY), ENOENT);
	fails(open("", O_RDONLY), ENOENT);
	fails(open("/etc/passwd/x", O_RDONLY), ENOTDIR);
	fails(stat(name, &status), ENAMETOOLONG);
	fails(stat(longest, &status), ENAMETOOLONG);
	fails(open("/etc/passwd", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	fails(mkdir("/tmp", 0755), EEXIST);
	fails(mkdir("/no/such", 0755), ENOENT);
	fails(rmdir("/etc/passwd"), ENOTDIR);
	fails(unlink("/tmp"), EISDIR);
	fails(rmdir("/no"), ENOENT);
	fails(chdir("/etc/passwd"), ENOTDIR);
	fails(rename("/no/such", "/tmp/x"), ENOENT);
	fails(readlink("/etc/passwd", name, 10), EINVAL);
	fails(truncate("/no/such", 0), ENOENT);
	fails(truncate("/tmp", 0), EISDIR);
}

CASE(values)
{
	int fd = file_of(1), ends[2];
	struct timespec odd = { 0, 1000000000 }, negative = { -1, 0 };
	struct pollfd poll_nothing;
	struct iovec huge[2] = { { &odd, 8 }, { &odd, -1ul } };
	char byte;

	fails(lseek(fd, 0, 99), EINVAL);
	fails(lseek(fd, -1, SEEK_SET), EINVAL);
	fails(pread(fd, &byte, 1, -1), EINVAL);
	fails(ftruncate(fd, -1), EINVAL);
	fails(nanosleep(&odd, NULL), EINVAL);
	fails(nanosleep(&negative, NULL), EINVAL);
	fails(syscall(SYS_clock_gettime, 1234, &odd), EINVAL);
	fails(syscall(SYS_pipe2, ends, 0x40), EINVAL);
	fails(syscall(SYS_poll, &poll_nothing, -1, 0), EINVAL);
	fails(fcntl(fd, 9999), EINVAL);
	fails(fcntl(fd, F_DUPFD, -1), EINVAL);
	fails(syscall(SYS_dup3, fd, fd, 0), EINVAL);
	fails(syscall(SYS_dup2, fd, -1), EBADF);
	fails(syscall(SYS_readv, fd, huge, 2), EINVAL);
	fails(syscall(SYS_readv, fd, huge, 5000), EINVAL);
	fails(syscall(SYS_getrusage, 77, &odd), EINVAL);
	fails(syscall(SYS_setitimer, 99, NULL, NULL), EINVAL);
	fails(syscall(SYS_futex, (char *)&odd + 1, 0 /* FUTEX_WAIT */, 1, 0), EINVAL);
	fails(waitid(99, 0, NULL, WEXITED), EINVAL);
	fails(syscall(SYS_getcwd, &byte, 1), ERANGE);
	fails(access("/tmp", 99), EINVAL);
	fails(syscall(SYS_exit_group + 100000), ENOSYS);
	fails(syscall(-1ul), ENOSYS);
	fails(syscall(511), ENOSYS);
}

CASE(processes)
{
	fails(kill(0x7ffffff0, SIGTERM), ESRCH);
	fails(kill(getpid(), -1), EINVAL);
	fails(waitpid(getpid(), NULL, 0), ECHILD);
	fails(getpgid(0x7ffffff0), ESRCH);
	fails(setpgid(0x7ffffff0, 0), ESRCH);
	fails(setpgid(0, -1), EINVAL);
	fails(getsid(0x7ffffff0), ESRCH);
	fails(syscall(SYS_tkill, -1, SIGTERM), EINVAL);
	fails(syscall(SYS_tkill, 0x7ffffff0, 0), ESRCH);
	fails(syscall(SYS_tgkill, getpid(), 0x7ffffff0, 0), ESRCH);
	/* Threads and signal handlers go with memory. */
	fails(syscall(SYS_clone, 0x10000 /* CLONE_THREAD */, NULL, NULL, NULL, 0), EINVAL);
	fails(syscall(SYS_clone, 0x800 /* CLONE_SIGHAND */, NULL, NULL, NULL, 0), EINVAL);
}

/* ---- The caller is unharmed ------------------------------------------------------------------ */

CASE(registers_are_kept)
{
	unsigned long result, rbx = 1;

	__asm__ volatile("movq $11, %%r8\n\t"
			 "movq $12, %%r9\n\t"
			 "movq $13, %%r10\n\t"
			 "movq $14, %%r12\n\t"
			 "syscall\n\t"
			 "leaq (%%r8, %%r9), %%rax\n\t"
			 "addq %%r10, %%rax\n\t"
			 "addq %%r12, %%rax"
			 : "=a"(result), "+b"(rbx)
			 : "0"(SYS_getppid)
			 : "rcx", "r8", "r9", "r10", "r11", "r12", "memory");
	is(result, 11 + 12 + 13 + 14);
	is(rbx, 1);
}
