/* SPDX-License-Identifier: MIT */
/* Limits of what a process may use: processor time, data, processes, waiting signals. */
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#include "ktap.h"

static void
set_limit(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit limit = { soft, hard };

	need(setrlimit(resource, &limit) == 0);
}

/* ---- Processor time -------------------------------------------------------------------------- */

static volatile sig_atomic_t nr_signals;

static void
count(int signal)
{
	(void)signal;
	nr_signals++;
}

static double
processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Seconds that a child has used. */
static double
used(const struct rusage *usage)
{
	return usage->ru_utime.tv_sec + usage->ru_stime.tv_sec +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

/* Is it so many seconds? Linux counts ticks that find the process running, which is a guess. */
static bool
is_about(double seconds, double expected)
{
	struct utsname system;

	need(uname(&system) == 0);
	if (!strstr(system.release, "ikos"))
		return seconds > expected / 4 && seconds < expected * 4;
	return seconds > expected - 0.1 && seconds < expected + 0.5;
}

CASE(processor_time_is_each_process_s_own)
{
	struct rusage usage;
	pid_t pid;
	int status;

	signal(SIGXCPU, SIG_DFL);
	while (processor_time() < 0.3)
		;
	set_limit(RLIMIT_CPU, 1, RLIM_INFINITY);
	pid = fork();
	if (pid == 0)
		for (;;)
			;
	is(wait4(pid, &status, 0, &usage), pid);
	yes(WIFSIGNALED(status));
	is(WTERMSIG(status), SIGXCPU);
	yes(is_about(used(&usage), 1));
}

CASE(processor_time_is_told_and_then_ends)
{
	int told[2], status;
	struct rusage usage;
	unsigned char byte = 0;
	pid_t pid;

	need(pipe(told) == 0);
	pid = fork();
	if (pid == 0) {
		signal(SIGXCPU, count);
		set_limit(RLIMIT_CPU, 1, 2);
		while (nr_signals == 0)
			;
		byte = is_about(processor_time(), 1);
		need(write(told[1], &byte, 1) == 1);
		for (;;)
			;
	}
	is(wait4(pid, &status, 0, &usage), pid);
	yes(WIFSIGNALED(status));
	is(WTERMSIG(status), SIGKILL);
	yes(is_about(used(&usage), 2));
	is(read(told[0], &byte, 1), 1);
	is(byte, 1);
}

/* ---- Data ------------------------------------------------------------------------------------ */

static void *
map_as(int prot, int flags)
{
	return mmap(NULL, 16 * PAGE, prot, flags | MAP_ANONYMOUS, -1, 0);
}

CASE(data_is_what_is_private_and_writable)
{
	char *before = map(16), *more = map_as(PROT_READ, MAP_PRIVATE);
	char *end = sbrk(0);

	need(more != MAP_FAILED);
	set_limit(RLIMIT_DATA, PAGE, RLIM_INFINITY);
	is(map_as(PROT_READ | PROT_WRITE, MAP_PRIVATE), MAP_FAILED);
	is(errno, ENOMEM);
	yes(map_as(PROT_READ, MAP_PRIVATE) != MAP_FAILED);
	yes(map_as(PROT_READ | PROT_WRITE, MAP_SHARED) != MAP_FAILED);
	is(syscall(SYS_brk, end + 16 * PAGE), end);
	is(mremap(before, 16 * PAGE, 32 * PAGE, MREMAP_MAYMOVE), MAP_FAILED);
	is(errno, ENOMEM);
	yes(mremap(more, 16 * PAGE, 32 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
	set_limit(RLIMIT_DATA, RLIM_INFINITY, RLIM_INFINITY);
	yes(map_as(PROT_READ | PROT_WRITE, MAP_PRIVATE) != MAP_FAILED);
}

/* ---- Processes --------------------------------------------------------------------------------
 */

static void
as_a_user(void)
{
	if (getuid() != 0)
		skip("only the superuser can become a user without processes");
	need(setuid(43210) == 0);
}

CASE(processes_of_a_user)
{
	pid_t pid;
	int go[2];

	as_a_user();
	need(pipe(go) == 0);
	set_limit(RLIMIT_NPROC, 3, 3);
	for (int i = 0; i < 2; i++) {
		pid = fork();
		need(pid >= 0);
		if (pid == 0)
			_exit(read(go[0], &(char){ 0 }, 1) != 1);
	}
	fails(fork(), EAGAIN);
	need(write(go[1], "12", 2) == 2);
	yes(wait(NULL) > 0);
	yes(wait(NULL) > 0);
	pid = fork();
	if (pid == 0)
		_exit(5);
	is(ended(pid), 5);
}

CASE(the_superuser_has_no_limit_of_processes)
{
	pid_t pid;

	if (getuid() != 0)
		skip("needs the superuser");
	set_limit(RLIMIT_NPROC, 1, 1);
	pid = fork();
	if (pid == 0)
		_exit(6);
	is(ended(pid), 6);
}

/* ---- Signals that wait --------------------------------------------------------------------------
 */

CASE(waiting_signals)
{
	union sigval value = { .sival_int = 1 };
	struct rlimit limit;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	need(getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
	set_limit(RLIMIT_SIGPENDING, 0, limit.rlim_max);
	fails(sigqueue(getpid(), SIGRTMIN, value), EAGAIN);
	fails(syscall(SYS_tgkill, getpid(), gettid(), SIGRTMIN), EAGAIN);
	/* Those that are only told of once need no room. */
	is(kill(getpid(), SIGRTMIN), 0);
	is(sigqueue(getpid(), SIGUSR1, value), 0);
	is(raise(SIGUSR1), 0);
	is(sigpending(&set), 0);
	yes(sigismember(&set, SIGRTMIN));
	yes(sigismember(&set, SIGUSR1));
}

CASE(waiting_signals_that_were_taken_make_room)
{
	union sigval value = { .sival_int = 1 };
	struct rlimit limit;
	siginfo_t info;
	sigset_t set;
	int nr = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	is(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	yes(limit.rlim_cur >= 32 && limit.rlim_cur < RLIM_INFINITY);
	set_limit(RLIMIT_SIGPENDING, 20, limit.rlim_max);
	while (nr < 100 && sigqueue(getpid(), SIGRTMIN, value) == 0)
		nr++;
	is(errno, EAGAIN);
	yes(nr > 0 && nr <= 20);
	for (int i = 0; i < 3; i++)
		is(sigwaitinfo(&set, &info), SIGRTMIN);
	for (int i = 0; i < 3; i++)
		is(sigqueue(getpid(), SIGRTMIN, value), 0);
	fails(sigqueue(getpid(), SIGRTMIN, value), EAGAIN);
}

/* ---- What clone() shares
 * ------------------------------------------------------------------------- */

static char clone_stack[16 * PAGE];

static pid_t
clone_as(int flags, int (*main)(void *))
{
	return clone(main, clone_stack + sizeof(clone_stack), flags | SIGCHLD, NULL);
}

static int
handle_in_child(void *arg)
{
	(void)arg;
	signal(SIGUSR1, count);
	return 0;
}

CASE(handlers_shared)
{
	struct sigaction now;

	need(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	is(ended(clone_as(CLONE_VM | CLONE_SIGHAND, handle_in_child)), 0);
	is(sigaction(SIGUSR1, NULL, &now), 0);
	yes(now.sa_handler == count);
	need(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	is(ended(clone_as(CLONE_VM, handle_in_child)), 0);
	is(sigaction(SIGUSR1, NULL, &now), 0);
	yes(now.sa_handler == SIG_IGN);
	fails(clone_as(CLONE_SIGHAND, handle_in_child), EINVAL);
	fails(clone_as(CLONE_THREAD | CLONE_VM, handle_in_child), EINVAL);
}

static int
execute(void *arg)
{
	(void)arg;
	execl("/bin/true", "true", NULL);
	return 1;
}

CASE(handlers_shared_until_a_program_is_executed)
{
	struct sigaction now;

	need(signal(SIGUSR1, count) != SIG_ERR);
	is(ended(clone_as(CLONE_VM | CLONE_SIGHAND, execute)), 0);
	is(sigaction(SIGUSR1, NULL, &now), 0);
	yes(now.sa_handler == count);
	is(raise(SIGUSR1), 0);
	is(nr_signals, 1);
}

static int
say_parent(void *arg)
{
	(void)arg;
	return getppid() == getpid() ? 0 : 7;
}

CASE(a_child_of_one_s_parent)
{
	int said[2], me = getpid();
	pid_t middle, sibling = 0;

	need(pipe(said) == 0);
	middle = fork();
	if (middle == 0) {
		sibling = clone_as(CLONE_PARENT, say_parent);
		need(write(said[1], &sibling, sizeof(sibling)) == sizeof(sibling));
		fails(waitpid(sibling, NULL, 0), ECHILD);
		_exit(getppid() == me ? 8 : 9);
	}
	is(ended(middle), 8);
	is(read(said[0], &sibling, sizeof(sibling)), sizeof(sibling));
	yes(sibling > 0 && sibling != middle);
	is(ended(sibling), 7);
}
