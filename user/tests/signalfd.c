/* SPDX-License-Identifier: MIT */
/* Signals that are read from a descriptor: what they say, who gets them, who waits for them. */
#include "ktap.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#define MS   1000000l
#define SIZE sizeof(struct signalfd_siginfo)

static sigset_t
set_of(int first, int second)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, first);
	sigaddset(&set, second);
	return set;
}

static void
sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * MS };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* A descriptor for two signals, which are blocked. */
static int
open_for(int first, int second, int flags)
{
	sigset_t set = set_of(first, second);
	int fd;

	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	fd = signalfd(-1, &set, flags);
	need(fd >= 0);
	return fd;
}

static struct signalfd_siginfo
read_one(int fd)
{
	struct signalfd_siginfo info;

	memset(&info, 0xee, sizeof(info));
	need(read(fd, &info, sizeof(info)) == SIZE);
	return info;
}

static bool
is_pending(int signal)
{
	sigset_t set;

	need(sigpending(&set) == 0);
	return sigismember(&set, signal);
}

static bool
is_readable(int fd)
{
	struct pollfd poll_one = { .fd = fd, .events = POLLIN | POLLOUT };
	int nr = poll(&poll_one, 1, 0);

	yes(nr == 0 || (nr == 1 && poll_one.revents == POLLIN));
	return nr == 1;
}

/* ---- Making one ------------------------------------------------------------------------------ */

CASE(made_and_refused)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	int ends[2], path = open("/", O_PATH), fd;

	need(pipe(ends) == 0 && path >= 0);
	fails(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
	fails(syscall(SYS_signalfd4, -1, &set, 16, 0), EINVAL);
	fails(syscall(SYS_signalfd4, -1, NULL, 4, 0), EINVAL);
	fails(syscall(SYS_signalfd4, -1, NULL, 8, 0), EFAULT);
	fails(syscall(SYS_signalfd4, -1, NULL, 8, O_APPEND), EFAULT);
	fails(syscall(SYS_signalfd4, -1, &set, 8, O_APPEND), EINVAL);
	fails(syscall(SYS_signalfd4, 900, &set, 8, O_APPEND), EINVAL);
	fails(syscall(SYS_signalfd4, 900, &set, 8, 0), EBADF);
	fails(syscall(SYS_signalfd4, -2, &set, 8, 0), EBADF);
	fails(syscall(SYS_signalfd4, ends[0], &set, 8, 0), EINVAL);
	fails(syscall(SYS_signalfd4, path, &set, 8, 0), EBADF);
	fails(syscall(SYS_signalfd, -1, &set, 4), EINVAL);
	fails(syscall(SYS_signalfd, -1, NULL, 8), EFAULT);
	fd = (int)syscall(SYS_signalfd, -1, &set, 8, -1ul /* no argument */);
	yes(fd >= 0);
	is(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
	is(fcntl(fd, F_GETFD), 0);
	is(syscall(SYS_signalfd, fd, &set, 8), fd);
	is(close(fd), 0);
}

CASE(flags)
{
	int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK | SFD_CLOEXEC);
	sigset_t set = set_of(SIGUSR1, SIGUSR2);

	is(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	is(fcntl(fd, F_GETFD), FD_CLOEXEC);
	/* Only a new one gets them. */
	is(signalfd(fd, &set, 0), fd);
	is(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	is(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

CASE(what_cannot_be_done)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	char bytes[2 * SIZE];

	is(raise(SIGUSR1), 0);
	fails(write(fd, bytes, SIZE), EINVAL);
	fails(read(fd, bytes, SIZE - 1), EINVAL);
	fails(read(fd, bytes, 0), EINVAL);
	fails(pread(fd, bytes, SIZE, 0), ESPIPE);
	is(lseek(fd, 5, SEEK_SET), 0);
	is(read(fd, bytes, 2 * SIZE - 1), SIZE);
}

CASE(its_link)
{
	char path[64], text[64] = "";
	int fd = open_for(SIGUSR1, SIGUSR2, 0);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	yes(readlink(path, text, sizeof(text) - 1) > 0);
	is(strcmp(text, "anon_inode:[signalfd]"), 0);
}

CASE(closed_by_exec)
{
	for (int flags = 0; flags <= SFD_CLOEXEC; flags += SFD_CLOEXEC) {
		int fd = open_for(SIGUSR1, SIGUSR2, flags);
		char number[16];
		pid_t pid;

		snprintf(number, sizeof(number), "%d", fd);
		pid = fork();
		if (pid == 0) {
			execl("/bin/sh", "sh", "-c", "test -e /proc/self/fd/$0", number, NULL);
			_exit(9);
		}
		is(ended(pid), flags ? 1 : 0);
		is(close(fd), 0);
	}
}

/* ---- Reading --------------------------------------------------------------------------------- */

CASE(one_that_was_sent)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	struct signalfd_siginfo info, empty;

	is(kill(getpid(), SIGUSR1), 0);
	yes(is_pending(SIGUSR1));
	info = read_one(fd);
	memset(&empty, 0, sizeof(empty));
	empty.ssi_signo = SIGUSR1;
	empty.ssi_code = SI_USER;
	empty.ssi_pid = getpid();
	empty.ssi_uid = getuid();
	is(memcmp(&info, &empty, sizeof(info)), 0);
	yes(!is_pending(SIGUSR1));
	is(syscall(SYS_tkill, getpid(), SIGUSR2), 0);
	info = read_one(fd);
	is(info.ssi_signo, SIGUSR2);
	is(info.ssi_code, SI_TKILL);
	is(info.ssi_pid, getpid());
}

CASE(without_waiting)
{
	int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
	char bytes[SIZE];

	fails(read(fd, bytes, SIZE), EAGAIN);
	is(raise(SIGUSR1), 0);
	is(read_one(fd).ssi_signo, SIGUSR1);
	fails(read(fd, bytes, SIZE), EAGAIN);
}

/* The lowest first, and those of the thread before those of its process. */
CASE(several_at_once)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	struct signalfd_siginfo info[4];

	is(kill(getpid(), SIGUSR2), 0);
	is(kill(getpid(), SIGUSR1), 0);
	is(kill(getpid(), SIGUSR1), 0); /* waits already */
	is(read(fd, info, sizeof(info)), 2 * SIZE);
	is(info[0].ssi_signo, SIGUSR1);
	is(info[1].ssi_signo, SIGUSR2);
	is(kill(getpid(), SIGUSR1), 0);
	is(syscall(SYS_tkill, getpid(), SIGUSR2), 0);
	is(read(fd, info, 2 * SIZE), 2 * SIZE);
	is(info[0].ssi_signo, SIGUSR2);
	is(info[1].ssi_signo, SIGUSR1);
	is(kill(getpid(), SIGUSR1), 0);
	is(kill(getpid(), SIGUSR2), 0);
	is(read(fd, info, 2 * SIZE - 1), SIZE); /* as many as fit */
	is(info[0].ssi_signo, SIGUSR1);
	yes(is_pending(SIGUSR2));
}

CASE(into_bad_memory)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	char *memory = map(2), *end = memory + PAGE;

	is(munmap(end, PAGE), 0);
	fails(read(fd, (void *)8, SIZE - 1), EINVAL);
	is(raise(SIGUSR1), 0);
	fails(read(fd, (void *)8, SIZE), EFAULT);
	yes(!is_pending(SIGUSR1)); /* it was taken all the same */
	is(raise(SIGUSR1), 0);
	is(raise(SIGUSR2), 0);
	is(read(fd, end - SIZE, 2 * SIZE), SIZE);
	is(((struct signalfd_siginfo *)(end - SIZE))->ssi_signo, SIGUSR1);
}

CASE(into_pieces)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	struct signalfd_siginfo info[2];
	struct iovec pieces[2] = { { &info[1], SIZE }, { &info[0], SIZE } };

	is(raise(SIGUSR1), 0);
	is(raise(SIGUSR2), 0);
	is(readv(fd, pieces, 2), 2 * SIZE);
	is(info[1].ssi_signo, SIGUSR1);
	is(info[0].ssi_signo, SIGUSR2);
}

CASE(those_with_values)
{
	int fd = open_for(SIGRTMIN, SIGUSR1, 0);
	struct signalfd_siginfo info;

	for (int i = 1; i <= 3; i++)
		is(sigqueue(getpid(), SIGRTMIN,
			    (union sigval){ .sival_ptr = (void *)(0x1234500000000 + i) }),
		   0);
	for (int i = 1; i <= 3; i++) {
		info = read_one(fd);
		is(info.ssi_signo, SIGRTMIN);
		is(info.ssi_code, SI_QUEUE);
		is(info.ssi_pid, getpid());
		is(info.ssi_uid, getuid());
		is(info.ssi_ptr, 0x1234500000000 + i);
		is(info.ssi_int, i);
	}
	yes(!is_pending(SIGRTMIN));
}

CASE(a_child_ends)
{
	int fd = open_for(SIGCHLD, SIGUSR1, 0);
	struct signalfd_siginfo info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(17);
	info = read_one(fd);
	is(info.ssi_signo, SIGCHLD);
	is(info.ssi_code, CLD_EXITED);
	is(info.ssi_pid, pid);
	is(info.ssi_uid, getuid());
	is(info.ssi_status, 17);
	is(info.ssi_ptr, 0);
	is(info.ssi_addr, 0);
	is(ended(pid), 17);
	pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	is(kill(pid, SIGSTOP), 0);
	info = read_one(fd);
	is(info.ssi_code, CLD_STOPPED);
	is(info.ssi_status, SIGSTOP);
	is(kill(pid, SIGCONT), 0);
	info = read_one(fd);
	is(info.ssi_code, CLD_CONTINUED);
	is(info.ssi_status, SIGCONT);
	is(kill(pid, SIGKILL), 0);
	info = read_one(fd);
	is(info.ssi_code, CLD_KILLED);
	is(info.ssi_status, SIGKILL);
	is(info.ssi_pid, pid);
	is(ended(pid), -SIGKILL);
}

/* The time that a child has used. */
CASE(a_child_has_worked)
{
	int fd = open_for(SIGCHLD, SIGUSR1, 0);
	struct signalfd_siginfo info;
	pid_t pid = fork();

	if (pid == 0) {
		while (clock() < CLOCKS_PER_SEC / 5)
			;
		_exit(0);
	}
	info = read_one(fd);
	yes(info.ssi_utime + info.ssi_stime >= (unsigned long)sysconf(_SC_CLK_TCK) / 10);
	is(ended(pid), 0);
}

CASE(of_timers)
{
	int fd = open_for(SIGUSR1, SIGALRM, 0);
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec spec = { { 0, 10 * MS }, { 0, 10 * MS } }, never = { { 0, 0 }, { 0, 0 } };
	struct itimerval once = { { 0, 0 }, { 0, 1000 } };
	struct signalfd_siginfo info;
	timer_t timer;

	event.sigev_value.sival_int = 77;
	need(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	is(timer_settime(timer, 0, &spec, NULL), 0);
	sleep_ms(55);
	info = read_one(fd);
	is(info.ssi_overrun, timer_getoverrun(timer));
	is(timer_settime(timer, 0, &never, NULL), 0);
	is(info.ssi_signo, SIGUSR1);
	is(info.ssi_code, SI_TIMER);
	is(info.ssi_tid, (long)timer);
	is(info.ssi_int, 77);
	yes(info.ssi_overrun >= 4);
	is(info.ssi_pid, 0);
	is(timer_delete(timer), 0);

	is(setitimer(ITIMER_REAL, &once, NULL), 0);
	while ((info = read_one(fd)).ssi_signo == SIGUSR1)
		; /* the last of the other one */
	is(info.ssi_signo, SIGALRM);
	is(info.ssi_code, 0x80 /* SI_KERNEL */);
	is(info.ssi_pid, 0);
	is(info.ssi_uid, 0);
}

/* ---- Which signals --------------------------------------------------------------------------- */

CASE(other_signals)
{
	int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
	sigset_t set = set_of(SIGUSR2, SIGHUP), none;
	char bytes[SIZE];

	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	is(raise(SIGHUP), 0);
	fails(read(fd, bytes, SIZE), EAGAIN);
	is(signalfd(fd, &set, 0), fd);
	is(raise(SIGUSR1), 0);
	is(read_one(fd).ssi_signo, SIGHUP);
	fails(read(fd, bytes, SIZE), EAGAIN);
	yes(is_pending(SIGUSR1));
	sigemptyset(&none);
	is(signalfd(fd, &none, 0), fd);
	fails(read(fd, bytes, SIZE), EAGAIN);
	yes(is_pending(SIGUSR1));
}

/* What dup() makes has the same set; another one has its own. */
CASE(sets_of_several)
{
	int first = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK), copy = dup(first);
	int second = open_for(SIGHUP, SIGTERM, SFD_NONBLOCK);
	sigset_t set = set_of(SIGUSR2, SIGUSR2);
	char bytes[SIZE];

	is(raise(SIGUSR1), 0);
	fails(read(second, bytes, SIZE), EAGAIN);
	is(signalfd(copy, &set, 0), copy);
	fails(read(first, bytes, SIZE), EAGAIN);
	is(raise(SIGUSR2), 0);
	is(read_one(first).ssi_signo, SIGUSR2);
	fails(read(copy, bytes, SIZE), EAGAIN);
}

CASE(those_that_nobody_keeps_back)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int fd = open_for(SIGKILL, SIGSTOP, 0);

		(void)read_one(fd);
		_exit(1);
	}
	is(kill(pid, SIGSTOP), 0);
	is(waitpid(pid, &status, WUNTRACED), pid);
	yes(WIFSTOPPED(status));
	is(kill(pid, SIGCONT), 0);
	is(kill(pid, SIGKILL), 0);
	is(ended(pid), -SIGKILL);
}

static volatile int count;

static void
note(int signal)
{
	(void)signal;
	count++;
}

CASE(not_blocked)
{
	sigset_t set = set_of(SIGUSR1, SIGCHLD);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	char bytes[SIZE];

	signal(SIGUSR1, note);
	is(raise(SIGUSR1), 0);
	is(count, 1);
	is(raise(SIGCHLD), 0); /* ignored by default */
	fails(read(fd, bytes, SIZE), EAGAIN);
}

CASE(a_childs_own)
{
	int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK), status = -1;
	pid_t parent = getpid(), pid;

	is(raise(SIGUSR1), 0);
	pid = fork();
	if (pid == 0) {
		char bytes[SIZE];
		bool good = read(fd, bytes, SIZE) == -1 && errno == EAGAIN;

		good = good && !is_readable(fd) && raise(SIGUSR2) == 0 && is_readable(fd);
		good = good && read_one(fd).ssi_signo == SIGUSR2 && getppid() == parent;
		_exit(!good);
	}
	need(waitpid(pid, &status, 0) == pid);
	is(status, 0);
	is(read_one(fd).ssi_signo, SIGUSR1);
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* A child that does this to its parent after a while. */
static pid_t
send_later(int signal, int times)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		for (int i = 0; i < times; i++) {
			sleep_ms(20);
			kill(parent, signal);
		}
		_exit(0);
	}
	need(pid > 0);
	return pid;
}

CASE(woken_by_another_process)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	pid_t pid = send_later(SIGUSR1, 1);
	struct signalfd_siginfo info[2];

	is(read(fd, info, sizeof(info)), SIZE); /* it does not wait for more */
	is(info[0].ssi_signo, SIGUSR1);
	is(info[0].ssi_pid, pid);
	is(ended(pid), 0);
}

static pthread_t
start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	need(pthread_create(&thread, NULL, run, arg) == 0);
	return thread;
}

static long
join(pthread_t thread)
{
	void *result;

	need(pthread_join(thread, &result) == 0);
	return (long)result;
}

static atomic_int reader_tid;

/* Returns the number of the signal. */
static void *
read_there(void *arg)
{
	reader_tid = (int)syscall(SYS_gettid);
	return (void *)(long)read_one((int)(long)arg).ssi_signo;
}

static pthread_t
start_reader(int fd)
{
	pthread_t thread;

	reader_tid = 0;
	thread = start(read_there, (void *)(long)fd);
	while (!reader_tid)
		sched_yield();
	sleep_ms(20);
	return thread;
}

CASE(woken_by_another_thread)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	pthread_t thread = start_reader(fd);

	is(kill(getpid(), SIGUSR1), 0); /* to the process */
	is(join(thread), SIGUSR1);
	thread = start_reader(fd);
	is(syscall(SYS_tgkill, getpid(), reader_tid, SIGUSR2), 0);
	is(join(thread), SIGUSR2);
}

CASE(not_for_that_thread)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	pthread_t thread = start_reader(fd);

	is(raise(SIGUSR1), 0); /* to this thread only */
	sleep_ms(20);
	yes(is_pending(SIGUSR1));
	is(kill(getpid(), SIGUSR2), 0);
	is(join(thread), SIGUSR2);
	is(read_one(fd).ssi_signo, SIGUSR1);
}

/* Of several readers, that one gets a signal who wants it. */
CASE(several_readers)
{
	pthread_t threads[4];
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = open_for(SIGRTMIN + i, SIGRTMIN + i, 0);
	for (int i = 0; i < 4; i++)
		threads[i] = start(read_there, (void *)(long)fds[i]);
	sleep_ms(20);
	for (int i = 3; i >= 0; i--) {
		is(kill(getpid(), SIGRTMIN + i), 0);
		is(join(threads[i]), SIGRTMIN + i);
	}
	/* All want the same: each gets one. */
	for (int i = 0; i < 4; i++)
		threads[i] = start(read_there, (void *)(long)fds[0]);
	sleep_ms(20);
	for (int i = 0; i < 4; i++)
		is(kill(getpid(), SIGRTMIN), 0);
	for (int i = 0; i < 4; i++)
		is(join(threads[i]), SIGRTMIN);
}

CASE(another_set_for_who_waits)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	sigset_t set = set_of(SIGHUP, SIGHUP);
	pthread_t thread;

	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	thread = start_reader(fd);
	is(kill(getpid(), SIGHUP), 0);
	sleep_ms(20);
	is(signalfd(fd, &set, 0), fd);
	is(join(thread), SIGHUP);
}

/* A signal that comes between looking and sleeping is not missed. */
CASE(back_and_forth)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 500; i++) {
			if (read_one(fd).ssi_signo != SIGUSR1)
				_exit(1);
			kill(parent, SIGUSR2);
		}
		_exit(0);
	}
	for (int i = 0; i < 500; i++) {
		kill(pid, SIGUSR1);
		need(read_one(fd).ssi_signo == SIGUSR2);
	}
	is(ended(pid), 0);
}

/* The same with poll(). */
CASE(back_and_forth_polled)
{
	int fd = open_for(SIGUSR1, SIGUSR2, SFD_NONBLOCK);
	struct pollfd poll_one = { .fd = fd, .events = POLLIN };
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 500; i++) {
			if (poll(&poll_one, 1, -1) != 1 || read_one(fd).ssi_signo != SIGUSR1)
				_exit(1);
			kill(parent, SIGUSR2);
		}
		_exit(0);
	}
	for (int i = 0; i < 500; i++) {
		kill(pid, SIGUSR1);
		need(poll(&poll_one, 1, -1) == 1 && read_one(fd).ssi_signo == SIGUSR2);
	}
	is(ended(pid), 0);
}

static void
handle(int signal, int flags)
{
	struct sigaction action = { .sa_handler = note, .sa_flags = flags };

	need(sigaction(signal, &action, NULL) == 0);
}

CASE(interrupted)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	char bytes[SIZE];
	pid_t pid;

	handle(SIGHUP, 0);
	pid = send_later(SIGHUP, 1);
	fails(read(fd, bytes, SIZE), EINTR);
	is(count, 1);
	is(ended(pid), 0);
}

/* After a handler with SA_RESTART, and after a stop, it goes on. */
CASE(restarted)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0), status;
	pid_t pid = fork();

	if (pid == 0) {
		handle(SIGHUP, SA_RESTART);
		_exit(read_one(fd).ssi_signo != SIGUSR1 || count != 1);
	}
	sleep_ms(50);
	is(kill(pid, SIGHUP), 0);
	is(kill(pid, SIGSTOP), 0);
	is(waitpid(pid, &status, WUNTRACED), pid);
	is(kill(pid, SIGCONT), 0);
	sleep_ms(20);
	is(kill(pid, SIGUSR1), 0);
	is(ended(pid), 0);
}

CASE(killed_while_it_waits)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	pid_t pid = fork();

	if (pid == 0)
		_exit(read_one(fd).ssi_signo);
	sleep_ms(20);
	is(kill(pid, SIGTERM), 0);
	is(ended(pid), -SIGTERM);
}

CASE(polled)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	struct pollfd poll_one = { .fd = fd, .events = POLLIN | POLLRDNORM | POLLOUT };
	pid_t pid;

	is(poll(&poll_one, 1, 0), 0);
	is(poll(&poll_one, 1, 10), 0);
	pid = send_later(SIGUSR1, 1);
	is(poll(&poll_one, 1, -1), 1);
	is(poll_one.revents, POLLIN);
	is(poll(&poll_one, 1, 0), 1); /* it is still there */
	is(read_one(fd).ssi_pid, pid);
	is(poll(&poll_one, 1, 0), 0);
	is(ended(pid), 0);
}

CASE(selected)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	struct timeval now = { 0, 0 };
	fd_set readable, writable;
	pid_t pid;

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	FD_SET(fd, &readable);
	is(select(fd + 1, &readable, NULL, NULL, &now), 0);
	pid = send_later(SIGUSR2, 1);
	FD_SET(fd, &readable);
	FD_SET(fd, &writable);
	is(select(fd + 1, &readable, &writable, NULL, NULL), 1);
	yes(FD_ISSET(fd, &readable));
	yes(!FD_ISSET(fd, &writable));
	is(read_one(fd).ssi_signo, SIGUSR2);
	is(ended(pid), 0);
}

/* Who polls hears of signals that only another set makes readable. */
static void *
poll_there(void *arg)
{
	struct pollfd poll_one = { .fd = (int)(long)arg, .events = POLLIN };

	return (void *)(long)poll(&poll_one, 1, 30000);
}

CASE(another_set_for_who_polls)
{
	int fd = open_for(SIGUSR1, SIGUSR2, 0);
	sigset_t set = set_of(SIGHUP, SIGHUP);
	pthread_t thread;

	need(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	is(kill(getpid(), SIGHUP), 0);
	thread = start(poll_there, (void *)(long)fd);
	sleep_ms(20);
	is(signalfd(fd, &set, 0), fd);
	is(join(thread), 1);
}
