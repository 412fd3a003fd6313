/* SPDX-License-Identifier: MIT */
/* Locks on ranges of files: fcntl() with F_SETLK, F_SETLKW, F_GETLK. */
#include "ktap.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>

static int file;

static void
begin(void)
{
	file = file_of(1);
}

static int
set(int command, short type, off_t start, off_t length)
{
	struct flock lock = { .l_type = type, .l_start = start, .l_len = length };

	return fcntl(file, command, &lock);
}

/* What a process of its own would find in the way of a lock for writing, "r 10 5" or "". */
static const char *
seen_by_another(off_t start, off_t length)
{
	static char text[64];
	struct flock lock = { .l_type = F_WRLCK, .l_start = start, .l_len = length };
	pid_t parent = getpid(), pid;
	int ends[2];
	ssize_t size;

	need(pipe(ends) == 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		int error = fcntl(file, F_GETLK, &lock);

		if (error)
			dprintf(ends[1], "error %d", errno);
		else if (lock.l_type != F_UNLCK)
			dprintf(ends[1], "%s%c %ld %ld", lock.l_pid == parent ? "" : "not mine: ",
				lock.l_type == F_RDLCK ? 'r' : 'w', (long)lock.l_start,
				(long)lock.l_len);
		_exit(0);
	}
	close(ends[1]);
	is(ended(pid), 0);
	size = read(ends[0], text, sizeof(text) - 1);
	text[size > 0 ? size : 0] = '\0';
	close(ends[0]);
	return text;
}

#define sees(start, length, expected)                                                              \
	do {                                                                                       \
		const char *seen_ = seen_by_another(start, length);                                \
		if (!ktap_check(!strcmp(seen_, expected), __FILE__, __LINE__))                     \
			printf("expected \"%s\", another process sees \"%s\"\n", expected, seen_); \
	} while (0)

/* Does a process of its own get the lock at once? 0, or the error. */
static int
another_gets(short type, off_t start, off_t length)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(set(F_SETLK, type, start, length) ? errno : 0);
	return ended(pid);
}

CASE(one_writer_or_many_readers)
{
	begin();
	is(set(F_SETLK, F_RDLCK, 0, 10), 0);
	is(another_gets(F_RDLCK, 5, 10), 0);
	is(another_gets(F_WRLCK, 5, 10), EAGAIN);
	is(another_gets(F_WRLCK, 10, 10), 0);
	is(set(F_SETLK, F_WRLCK, 0, 10), 0);
	is(another_gets(F_RDLCK, 9, 1), EAGAIN);
	is(another_gets(F_RDLCK, 10, 1), 0);
	is(set(F_SETLK, F_UNLCK, 0, 10), 0);
	is(another_gets(F_WRLCK, 0, 10), 0);
}

CASE(a_process_does_not_disturb_itself)
{
	struct flock lock = { .l_type = F_WRLCK };

	begin();
	is(set(F_SETLK, F_WRLCK, 0, 10), 0);
	is(fcntl(file, F_GETLK, &lock), 0);
	is(lock.l_type, F_UNLCK);
	is(set(F_SETLK, F_RDLCK, 0, 10), 0);
	is(set(F_SETLK, F_WRLCK, 5, 10), 0);
}

CASE(what_is_told_of_a_lock)
{
	begin();
	sees(0, 0, "");
	is(set(F_SETLK, F_RDLCK, 10, 5), 0);
	sees(0, 0, "r 10 5");
	sees(14, 1, "r 10 5");
	sees(15, 1, "");
	sees(0, 10, "");
	is(set(F_SETLK, F_WRLCK, 100, 0), 0);
	sees(1000000, 1, "w 100 0");
	sees(0, 0, "r 10 5");
}

CASE(cut_in_the_middle)
{
	begin();
	is(set(F_SETLK, F_WRLCK, 0, 100), 0);
	is(set(F_SETLK, F_UNLCK, 40, 20), 0);
	sees(0, 0, "w 0 40");
	sees(40, 20, "");
	sees(40, 0, "w 60 40");
	is(set(F_SETLK, F_RDLCK, 10, 10), 0);
	sees(0, 0, "w 0 10");
	sees(10, 0, "r 10 10");
	sees(20, 0, "w 20 20");
}

CASE(cut_at_the_ends)
{
	begin();
	is(set(F_SETLK, F_WRLCK, 10, 20), 0);
	is(set(F_SETLK, F_UNLCK, 0, 15), 0);
	sees(0, 0, "w 15 15");
	is(set(F_SETLK, F_UNLCK, 25, 0), 0);
	sees(0, 0, "w 15 10");
	is(set(F_SETLK, F_UNLCK, 15, 10), 0);
	sees(0, 0, "");
}

CASE(neighbours_of_a_kind_unite)
{
	begin();
	is(set(F_SETLK, F_RDLCK, 0, 10), 0);
	is(set(F_SETLK, F_RDLCK, 20, 10), 0);
	sees(0, 0, "r 0 10");
	is(set(F_SETLK, F_RDLCK, 10, 10), 0);
	sees(0, 0, "r 0 30");
	is(set(F_SETLK, F_RDLCK, 25, 25), 0);
	sees(0, 0, "r 0 50");
	is(set(F_SETLK, F_WRLCK, 50, 10), 0);
	sees(0, 0, "r 0 50");
	is(set(F_SETLK, F_WRLCK, 0, 50), 0);
	sees(0, 0, "w 0 60");
}

CASE(over_several)
{
	begin();
	for (int i = 0; i < 10; i++)
		is(set(F_SETLK, i % 2 ? F_RDLCK : F_WRLCK, 10 * i, 10), 0);
	sees(15, 0, "r 10 10");
	is(set(F_SETLK, F_WRLCK, 5, 90), 0);
	sees(0, 0, "w 0 95");
	sees(95, 0, "r 95 5");
	is(set(F_SETLK, F_UNLCK, 0, 0), 0);
	sees(0, 0, "");
}

CASE(where_a_range_begins)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -10, .l_len = 5 };

	begin();
	is(fcntl(file, F_SETLK, &lock), 0);
	sees(0, 0, "w 4086 5");
	is(set(F_SETLK, F_UNLCK, 0, 0), 0);
	is(lseek(file, 100, SEEK_SET), 100);
	lock.l_whence = SEEK_CUR;
	is(fcntl(file, F_SETLK, &lock), 0);
	sees(0, 0, "w 90 5");
	is(set(F_SETLK, F_UNLCK, 0, 0), 0);
	is(set(F_SETLK, F_WRLCK, 50, -20), 0); /* what lies before */
	sees(0, 0, "w 30 20");
}

CASE(bad_arguments)
{
	begin();
	fails(set(F_SETLK, 17, 0, 0), EINVAL);
	fails(set(F_GETLK, F_UNLCK, 0, 0), EINVAL);
	fails(set(F_SETLK, F_RDLCK, -1, 0), EINVAL);
	fails(set(F_SETLK, F_RDLCK, 5, -6), EINVAL);
	fails(set(F_SETLK, F_RDLCK, LONG_MAX, 2), EOVERFLOW);
	is(set(F_SETLK, F_WRLCK, LONG_MAX, 1), 0);
	sees(0, 0, "w 9223372036854775807 0");

	struct flock lock = { .l_type = F_RDLCK, .l_whence = 9 };
	fails(fcntl(file, F_SETLK, &lock), EINVAL);
	lock.l_whence = SEEK_END;
	lock.l_start = LONG_MAX;
	fails(fcntl(file, F_SETLK, &lock), EOVERFLOW);
	fails(syscall(SYS_fcntl, file, F_SETLK, 8), EFAULT);
	fails(fcntl(-1, F_SETLK, &lock), EBADF);
}

CASE(how_the_file_is_open)
{
	char name[] = "/tmp/ktap-XXXXXX";
	int fd = mkstemp(name);

	need(fd >= 0);
	file = open(name, O_RDONLY);
	is(set(F_SETLK, F_RDLCK, 0, 0), 0);
	fails(set(F_SETLK, F_WRLCK, 0, 0), EBADF);
	file = open(name, O_WRONLY);
	fails(set(F_SETLK, F_RDLCK, 0, 0), EBADF);
	is(set(F_SETLK, F_WRLCK, 0, 0), 0);
	unlink(name);
}

CASE(any_close_lets_go)
{
	int other;

	begin();
	is(set(F_SETLK, F_WRLCK, 0, 10), 0);
	other = dup(file);
	need(other >= 0);
	is(another_gets(F_WRLCK, 0, 1), EAGAIN);
	is(close(other), 0);
	is(another_gets(F_WRLCK, 0, 1), 0);
	is(set(F_SETLK, F_WRLCK, 0, 10), 0);
	other = dup(file);
	is(dup2(0, other), other);
	is(another_gets(F_WRLCK, 0, 1), 0);
}

CASE(a_child_has_none)
{
	pid_t pid;

	begin();
	is(set(F_SETLK, F_WRLCK, 0, 10), 0);
	pid = fork();
	if (pid == 0) {
		bool good = set(F_SETLK, F_WRLCK, 0, 10) == -1 && errno == EAGAIN;

		close(file); /* lets nothing of the parent's go */
		_exit(good ? 0 : 1);
	}
	is(ended(pid), 0);
	is(another_gets(F_WRLCK, 0, 1), EAGAIN);
}

CASE(the_end_lets_go)
{
	int ends[2];
	char byte;
	pid_t pid;

	begin();
	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		set(F_SETLK, F_WRLCK, 0, 10);
		(void)!write(ends[1], "", 1);
		pause();
	}
	is(read(ends[0], &byte, 1), 1);
	fails(set(F_SETLK, F_WRLCK, 0, 1), EAGAIN);
	kill(pid, SIGKILL);
	is(ended(pid), -SIGKILL);
	is(set(F_SETLK, F_WRLCK, 0, 1), 0);
}

CASE(execution_keeps_them)
{
	pid_t pid;
	int status = -1;

	begin();
	pid = fork();
	if (pid == 0) {
		if (set(F_SETLK, F_WRLCK, 0, 10))
			_exit(1);
		execl("/bin/sleep", "sleep", "100", NULL);
		_exit(2);
	}
	for (int i = 0; i < 5000 && status; i++) {
		char name[64], text[64] = "";
		int fd;

		snprintf(name, sizeof(name), "/proc/%d/comm", pid);
		fd = open(name, O_RDONLY);
		if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0)
			status = strcmp(text, "sleep\n");
		close(fd);
		usleep(1000);
	}
	is(status, 0);
	fails(set(F_SETLK, F_WRLCK, 0, 1), EAGAIN);
	kill(pid, SIGKILL);
	is(ended(pid), -SIGKILL);
}

static void
note(int signal)
{
	(void)signal;
}

/* Until the other process is asleep, as /proc says, and not for a moment only. */
static void
until_asleep(pid_t pid)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	for (int i = 0, times = 0; i < 10000; i++) {
		int fd = open(name, O_RDONLY);
		ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		const char *at;

		close(fd);
		text[size > 0 ? size : 0] = '\0';
		at = strrchr(text, ')');
		times = at && at[2] == 'S' ? times + 1 : 0;
		if (times == 5)
			return;
		usleep(1000);
	}
	need(!"it sleeps");
}

CASE(waiting)
{
	pid_t pid;

	begin();
	is(set(F_SETLK, F_WRLCK, 0, 10), 0);
	pid = fork();
	if (pid == 0)
		_exit(set(F_SETLKW, F_RDLCK, 5, 10) ? errno : 0);
	until_asleep(pid);
	is(waitpid(pid, NULL, WNOHANG), 0);
	is(set(F_SETLK, F_UNLCK, 0, 5), 0); /* not what it waits for */
	is(set(F_SETLK, F_RDLCK, 5, 5), 0); /* now both may read */
	is(ended(pid), 0);
}

CASE(a_signal_ends_the_wait)
{
	struct sigaction action = { .sa_handler = note };
	pid_t pid;

	begin();
	is(set(F_SETLK, F_WRLCK, 0, 10), 0);
	pid = fork();
	if (pid == 0) {
		sigaction(SIGUSR1, &action, NULL);
		_exit(set(F_SETLKW, F_WRLCK, 5, 10) ? errno : 0);
	}
	until_asleep(pid);
	is(kill(pid, SIGUSR1), 0);
	is(ended(pid), EINTR);
}

CASE(two_that_wait_for_each_other)
{
	int ends[2];
	char byte;
	pid_t pid;

	begin();
	need(pipe(ends) == 0);
	is(set(F_SETLK, F_WRLCK, 0, 1), 0);
	pid = fork();
	if (pid == 0) {
		if (set(F_SETLK, F_WRLCK, 1, 1))
			_exit(100);
		(void)!write(ends[1], "", 1);
		_exit(set(F_SETLKW, F_WRLCK, 0, 1) ? errno : 0);
	}
	is(read(ends[0], &byte, 1), 1);
	until_asleep(pid);
	fails(set(F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	is(set(F_SETLK, F_UNLCK, 0, 0), 0);
	is(ended(pid), 0);
}

/* Process i has byte i and wants that of i + 1, the last one's the first's: that is told. */
CASE(a_circle_of_four)
{
	pid_t pids[4];
	int ends[2];
	char byte;

	begin();
	need(pipe(ends) == 0);
	is(set(F_SETLK, F_WRLCK, 3, 1), 0);
	for (int i = 2; i >= 0; i--) {
		pids[i] = fork();
		if (pids[i] == 0) {
			if (set(F_SETLK, F_WRLCK, i, 1))
				_exit(100);
			(void)!write(ends[1], "", 1);
			_exit(set(F_SETLKW, F_WRLCK, i + 1, 1) ? errno : 0);
		}
		is(read(ends[0], &byte, 1), 1);
		until_asleep(pids[i]);
	}
	fails(set(F_SETLKW, F_WRLCK, 0, 1), EDEADLK);
	is(set(F_SETLK, F_UNLCK, 3, 1), 0);
	for (int i = 2; i >= 0; i--)
		is(ended(pids[i]), 0);
}

/* Who has let go, and waits again, is not taken for one that holds what it held. */
CASE(no_deadlock_where_there_is_none)
{
	int ends[2];
	char byte;
	pid_t pid;

	begin();
	need(pipe(ends) == 0);
	is(set(F_SETLK, F_WRLCK, 0, 1), 0);
	pid = fork();
	if (pid == 0) {
		if (set(F_SETLK, F_WRLCK, 1, 1))
			_exit(100);
		(void)!write(ends[1], "", 1);
		if (set(F_SETLKW, F_WRLCK, 0, 1))
			_exit(101);
		_exit(set(F_SETLK, F_UNLCK, 0, 0) ? 102 : 0);
	}
	is(read(ends[0], &byte, 1), 1);
	until_asleep(pid);
	is(set(F_SETLK, F_UNLCK, 0, 1), 0);
	is(set(F_SETLKW, F_WRLCK, 1, 1), 0);
	is(ended(pid), 0);
}

static void *
lock_in_thread(void *arg)
{
	*(int *)arg = set(F_SETLK, F_WRLCK, 0, 10) ? errno : 0;
	return NULL;
}

CASE(threads_are_one_owner)
{
	pthread_t thread;
	int error = -1;

	begin();
	is(set(F_SETLK, F_WRLCK, 0, 5), 0);
	need(!pthread_create(&thread, NULL, lock_in_thread, &error));
	need(!pthread_join(thread, NULL));
	is(error, 0);
	sees(0, 0, "w 0 10"); /* a thread's end lets nothing go */
}

/* Not even a mutex beside them: four processes count in a file. */
CASE(they_keep_others_out)
{
	pid_t pids[4];
	long count = 0;

	begin();
	need(pwrite(file, &count, sizeof(count), 0) == sizeof(count));
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		for (int k = 0; pids[i] == 0 && k < 200; k++) {
			need(set(F_SETLKW, F_WRLCK, 0, 8) == 0);
			need(pread(file, &count, sizeof(count), 0) == sizeof(count));
			count++;
			need(pwrite(file, &count, sizeof(count), 0) == sizeof(count));
			need(set(F_SETLK, F_UNLCK, 0, 8) == 0);
		}
		if (pids[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < 4; i++)
		is(ended(pids[i]), 0);
	need(pread(file, &count, sizeof(count), 0) == sizeof(count));
	is(count, 800);
}

/* lockf() is made of them. */
CASE(lockf_too)
{
	begin();
	is(lseek(file, 10, SEEK_SET), 10);
	is(lockf(file, F_LOCK, 5), 0);
	sees(0, 0, "w 10 5");
	is(lockf(file, F_ULOCK, 0), 0);
	sees(0, 0, "");
}
