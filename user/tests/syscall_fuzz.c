/* SPDX-License-Identifier: MIT */
/*
 * System calls with hostile arguments.
 *
 *	syscall_fuzz [SEED [CHILDREN [CALLS]]]
 *
 * Each child makes so many calls, at random, and may die of them; the kernel must not. A table
 * says what kind of thing each argument is, so that many calls get past the first check. Prints
 * how many succeeded and failed, and how the children ended.
 *
 * It is as harmless on Linux, as root: there are no calls that stop or change the machine, paths
 * lead nowhere but into a directory of its own, and signals go to the child itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "random.h"

#define PAGE	    4096ul
#define ARENA_PAGES 64
#define SLACK_PAGES 16	 /* behind it: an operation may go beyond its end */
#define LIMIT_MS    1000 /* of a child */
#define NR_FILES    6	 /* descriptors of files of its own: 0 to 5; then come others */
#define NR_FDS	    16

/*
 * Kinds of arguments:
 *	a address   l length   b buffer to be filled or read   f descriptor   F one of its own files
 *	p path   n small number   x any number   s signal   m its own process id   z zero
 *	i request of ioctl()   r rights of memory   M flags of mmap()   o flags of open()
 */
static const struct {
	long number;
	const char *args;
} calls[] = {
	{ SYS_read, "fbl" },
	{ SYS_write, "Fbl" },
	{ SYS_open, "pon" },
	{ SYS_close, "f" },
	{ SYS_stat, "pb" },
	{ SYS_fstat, "fb" },
	{ SYS_lstat, "pb" },
	{ SYS_poll, "bnn" },
	{ SYS_lseek, "fxn" },
	{ SYS_mmap, "alrMfx" },
	{ SYS_mmap, "alrMFl" },
	{ SYS_mprotect, "alr" },
	{ SYS_munmap, "al" },
	{ SYS_pkey_mprotect, "alrn" },
	{ SYS_pkey_alloc, "zn" },
	{ SYS_pkey_free, "n" },
	{ SYS_personality, "x" },
	{ SYS_brk, "x" },
	{ SYS_brk, "a" },
	{ SYS_rt_sigaction, "sbbn" },
	{ SYS_rt_sigaction, "szbn" },
	{ SYS_rt_sigprocmask, "nbbn" },
	{ SYS_rt_sigprocmask, "nzbn" },
	{ SYS_ioctl, "fib" },
	{ SYS_pread64, "fblx" },
	{ SYS_pwrite64, "Fbln" },
	{ SYS_readv, "fbn" },
	{ SYS_writev, "Fbn" },
	{ SYS_access, "pn" },
	{ SYS_pipe, "b" },
	{ SYS_select, "nbbbb" },
	{ SYS_sched_yield, "" },
	{ SYS_mremap, "alln" },
	{ SYS_mremap, "allna" },
	{ SYS_msync, "aln" },
	{ SYS_mincore, "alb" },
	{ SYS_madvise, "aln" },
	{ SYS_dup, "f" },
	{ SYS_dup2, "ff" },
	{ SYS_nanosleep, "bb" },
	{ SYS_getitimer, "nb" },
	{ SYS_getpid, "" },
	{ SYS_sendfile, "Ffbl" },
	{ SYS_execve, "pbb" },
	{ SYS_wait4, "xbnb" },
	{ SYS_kill, "ms" },
	{ SYS_uname, "b" },
	{ SYS_fcntl, "fnx" },
	{ SYS_fsync, "F" },
	{ SYS_truncate, "px" },
	{ SYS_truncate, "pl" },
	{ SYS_ftruncate, "Fx" },
	{ SYS_ftruncate, "Fl" },
	{ SYS_getdents64, "fbl" },
	{ SYS_getcwd, "bl" },
	{ SYS_chdir, "p" },
	{ SYS_fchdir, "f" },
	{ SYS_rename, "pp" },
	{ SYS_mkdir, "pn" },
	{ SYS_rmdir, "p" },
	{ SYS_link, "pp" },
	{ SYS_unlink, "p" },
	{ SYS_symlink, "pp" },
	{ SYS_readlink, "pbl" },
	{ SYS_chmod, "pn" },
	{ SYS_fchmod, "Fn" },
	{ SYS_umask, "n" },
	{ SYS_gettimeofday, "bb" },
	{ SYS_getrlimit, "nb" },
	{ SYS_getrusage, "xb" },
	{ SYS_sysinfo, "b" },
	{ SYS_times, "b" },
	{ SYS_getuid, "" },
	{ SYS_getppid, "" },
	{ SYS_getpgid, "x" },
	{ SYS_getsid, "x" },
	{ SYS_rt_sigpending, "bn" },
	{ SYS_rt_sigtimedwait, "bbbn" },
	{ SYS_sigaltstack, "bb" },
	{ SYS_sigaltstack, "zb" },
	{ SYS_mlock, "al" },
	{ SYS_munlock, "al" },
	{ SYS_mlock2, "aln" },
	{ SYS_mlockall, "n" },
	{ SYS_munlockall, "" },
	{ SYS_process_vm_readv, "mbnbnz" },
	{ SYS_process_vm_writev, "mbnbnz" },
	{ SYS_arch_prctl, "xb" },
	{ SYS_gettid, "" },
	{ SYS_tkill, "ms" },
	{ SYS_tgkill, "mms" },
	{ SYS_time, "b" },
	{ SYS_futex, "bnnbbn" },
	{ SYS_sched_getaffinity, "zlb" },
	{ SYS_set_tid_address, "b" },
	{ SYS_clock_gettime, "nb" },
	{ SYS_clock_getres, "nb" },
	{ SYS_clock_nanosleep, "nnbb" },
	{ SYS_openat, "fpon" },
	{ SYS_mkdirat, "fpn" },
	{ SYS_newfstatat, "fpbn" },
	{ SYS_unlinkat, "fpn" },
	{ SYS_renameat, "fpfp" },
	{ SYS_linkat, "fpfpn" },
	{ SYS_symlinkat, "pfp" },
	{ SYS_readlinkat, "fpbl" },
	{ SYS_faccessat, "fpn" },
	{ SYS_ppoll, "bnbbn" },
	{ SYS_set_robust_list, "bl" },
	{ SYS_utimensat, "fpbn" },
	{ SYS_dup3, "ffn" },
	{ SYS_pipe2, "bn" },
	{ SYS_signalfd4, "fbnn" },
	{ SYS_preadv, "fbnn" },
	{ SYS_pwritev, "Fbnn" },
	{ SYS_prlimit64, "znbb" },
	{ SYS_getrandom, "bln" },
	{ SYS_statx, "fpnnb" },
	{ 470, "xxxxxx" }, /* no such call, here or there */
	{ -1, "xxxxxx" },
};

#define NR_CALLS (sizeof(calls) / sizeof(*calls))

struct counts {
	unsigned long made, succeeded;
};

static struct counts *counts;
static struct random rng;
static char *arena, *buffer;
static pid_t me;

static unsigned
below(unsigned end)
{
	return random_below(&rng, end);
}

static uint64_t
any_number(void)
{
	static const uint64_t odd[] = {
		0,	    1,
		-1ul,	    -2ul,
		0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000,
		1ul << 47,  1ul << 62,
		1ul << 63,  (1ul << 63) - 1,
		-4096ul,    0x7ffffffff000ul,
		0xfff,
	};

	if (below(3) == 0)
		return random_next(&rng) >> below(64);
	return odd[below(sizeof(odd) / sizeof(*odd))];
}

static uint64_t
bad_pointer(void)
{
	static const uint64_t bad[] = {
		0,
		8,
		0x7ffffffff000ul,
		0x7ffffffffff8ul,
		0xffff800000000000ul,
		0xffffffff80000000ul,
		0x0000900000000000ul,
		-8ul,
	};

	return bad[below(sizeof(bad) / sizeof(*bad))];
}

static uint64_t
some_address(void)
{
	uint64_t address = (uint64_t)arena + below(ARENA_PAGES) * PAGE;

	if (below(16) == 0)
		return bad_pointer() & -PAGE;
	return below(24) == 0 ? address + below(PAGE) : address;
}

static uint64_t
some_length(void)
{
	switch (below(64)) {
	case 0:
		return any_number();
	case 1 ... 8:
		return below(PAGE);
	default:
		return below(12) * PAGE;
	}
}

/* Memory in which anything may stand: good, half good, or none at all. */
static uint64_t
some_buffer(void)
{
	switch (below(8)) {
	case 0:
		return bad_pointer();
	case 1:
		return some_address();
	case 2:
		return (uint64_t)buffer + PAGE - below(64); /* the next page is not there */
	default:
		for (int i = 0; i < 8; i++)
			((uint64_t *)buffer)[below(64)] = below(2) ? below(4) : any_number();
		return (uint64_t)buffer + below(32) * 8;
	}
}

static uint64_t
some_path(void)
{
	static char longest[5000];
	static const char *const names[] = {
		"a", "b", "d", "d/a", "d/b", "d/e", ".", "d/.", "", "none/x", "a/b", "l", longest,
	};

	memset(longest, 'n', sizeof(longest) - 1);
	if (below(10) == 0)
		return bad_pointer();
	return (uint64_t)names[below(sizeof(names) / sizeof(*names))];
}

static uint64_t
some_signal(void)
{
	static const int harmless[] = { 0, SIGCHLD, SIGWINCH, SIGCONT, SIGURG, 65, -1 };
	static const int others[] = { SIGUSR1, SIGUSR2, SIGHUP,	 SIGTERM, SIGSEGV,
				      SIGBUS,  SIGPIPE, SIGALRM, 40,	  64 };

	/* Those that may end it are rare. */
	if (below(24) == 0)
		return others[below(sizeof(others) / sizeof(*others))];
	return harmless[below(sizeof(harmless) / sizeof(*harmless))];
}

static uint64_t
some_request(void)
{
	static const unsigned requests[] = { TCGETS,	 TCSETS,   TIOCGPGRP, TIOCSPGRP,
					     TIOCGWINSZ, FIONREAD, FIONBIO,   FIOCLEX };

	return requests[below(sizeof(requests) / sizeof(*requests))];
}

static uint64_t
some_flags_of_open(void)
{
	static const unsigned flags[] = { O_CREAT,     O_EXCL,	   O_TRUNC,  O_APPEND,
					  O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC };
	/* Never without O_NONBLOCK: nobody comes to the other end of a named pipe. */
	unsigned chosen = O_NONBLOCK | below(4);

	for (int i = 0; i < 2; i++)
		chosen |= flags[below(sizeof(flags) / sizeof(*flags))];
	return chosen;
}

static uint64_t
argument(char kind)
{
	switch (kind) {
	case 'a':
		return some_address();
	case 'l':
		return some_length();
	case 'b':
		return some_buffer();
	case 'f':
		return below(8) ? below(NR_FDS) : any_number();
	case 'F':
		return below(NR_FILES);
	case 'p':
		return some_path();
	case 'n':
		return below(8) ? below(16) : below(1 << below(31));
	case 's':
		return some_signal();
	case 'm':
		return me;
	case 'z':
		return 0;
	case 'i':
		return some_request();
	case 'r':
		return below(12) ? below(8) : any_number();
	case 'M':
		return below(12) ? (1 + below(2)) | below(2) << 4 | below(3) << 5 : any_number();
	case 'o':
		return some_flags_of_open();
	default:
		return any_number();
	}
}

static void
nothing(int signal)
{
	(void)signal;
}

/* A file without a name. */
static int
anonymous_file(void)
{
	char name[] = "/tmp/fuzz-file-XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	return fd;
}

/* Descriptors that are worth a call; all that may be changed are files of its own. */
static void
open_descriptors(void)
{
	static const char *const others[] = { "/proc/self/maps", "/proc/self/status",
					      "/proc/meminfo", "/dev/zero" };
	int ends[2], file = anonymous_file();

	for (int i = 0; i < NR_FILES; i++) {
		if (i != file && dup2(file, i) != i)
			_exit(4);
	}
	for (int fd = NR_FILES; fd < 64; fd++)
		close(fd);
	close(open("a", O_RDWR | O_CREAT, 0644));
	close(open("b", O_RDWR | O_CREAT, 0644));
	for (int i = 0; i < 4; i++)
		(void)!open(others[i], O_RDONLY | O_CLOEXEC);
	(void)!open(".", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 2; i++)
		(void)!pipe2(ends, O_NONBLOCK);
}

/* A call that waits is interrupted, whatever was done to signals before. */
static void
arm_timer(void)
{
	struct itimerval often = { { 0, 10000 }, { 0, 10000 } };
	struct sigaction action = { .sa_handler = nothing };
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

/* What would only keep the machine busy. */
static void
limit_oneself(void)
{
	struct rlimit memory = { 64 << 20, 64 << 20 }, size = { 16 << 20, 16 << 20 };

	setrlimit(RLIMIT_AS, &memory);
	setrlimit(RLIMIT_FSIZE, &size);
	signal(SIGXFSZ, SIG_IGN);
}

static void
make_calls(unsigned long nr)
{
	me = getpid();
	open_descriptors();
	arena = mmap(NULL, (ARENA_PAGES + SLACK_PAGES) * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	buffer = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || buffer == MAP_FAILED || munmap(buffer + PAGE, PAGE))
		_exit(2);
	limit_oneself();
	for (unsigned long i = 0; i < nr; i++) {
		unsigned choice = below(NR_CALLS);
		const char *kinds = calls[choice].args;
		uint64_t arg[6] = { 0 };

		for (int j = 0; kinds[j]; j++)
			arg[j] = argument(kinds[j]);
		if (i % 4 == 0)
			arm_timer();
		counts->made++;
		if (syscall(calls[choice].number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]) !=
		    -1)
			counts->succeeded++;
	}
	_exit(0);
}

/* Wait for the child, and end it if it takes too long: it may have stopped its own timer. */
static int
wait_for(pid_t pid)
{
	int status;

	for (int ms = 0; ms < LIMIT_MS; ms++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(1000);
	}
	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

int
main(int argc, char **argv)
{
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	unsigned long children = argc > 2 ? strtoul(argv[2], NULL, 0) : 20;
	unsigned long nr = argc > 3 ? strtoul(argv[3], NULL, 0) : 500;
	unsigned long ended = 0, killed = 0, stuck = 0;
	char directory[] = "/tmp/fuzz-XXXXXX";

	counts = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED || !mkdtemp(directory)) {
		printf("syscall_fuzz: cannot start: %s\n", strerror(errno));
		return 1;
	}
	for (unsigned long i = 0; i < children; i++) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			rng = random_of(seed * 1000 + i);
			if (chdir(directory) || (mkdir("d", 0755) && errno != EEXIST))
				_exit(3);
			make_calls(nr);
		}
		if (pid < 0) {
			printf("syscall_fuzz: fork: %s\n", strerror(errno));
			return 1;
		}
		status = wait_for(pid);
		if (WIFEXITED(status))
			ended++;
		else if (WTERMSIG(status) == SIGKILL)
			stuck++;
		else
			killed++;
	}
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	printf("syscall_fuzz: seed %lu, %lu calls: %lu succeeded, %lu failed; "
	       "%lu children: %lu ended, %lu by a signal, %lu stuck\n",
	       seed, counts->made, counts->succeeded, counts->made - counts->succeeded, children,
	       ended, killed, stuck);
	return 0;
}
