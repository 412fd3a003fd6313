/* SPDX-License-Identifier: MIT */
/* Pipes: order, ends, how much fits, who waits for whom. */
#include "ktap.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

CASE(first_in_first_out)
{
	int ends[2];
	char text[16];

	need(pipe(ends) == 0);
	is(write(ends[1], "abc", 3), 3);
	is(write(ends[1], "defg", 4), 4);
	is(read(ends[0], text, 5), 5);
	is(memcmp(text, "abcde", 5), 0);
	is(read(ends[0], text, 16), 2);
	is(memcmp(text, "fg", 2), 0);
}

CASE(the_end)
{
	int ends[2];
	char byte;

	need(pipe(ends) == 0);
	is(write(ends[1], "x", 1), 1);
	is(close(ends[1]), 0);
	is(read(ends[0], &byte, 1), 1);
	is(read(ends[0], &byte, 1), 0);
	is(read(ends[0], &byte, 1), 0);
}

CASE(without_waiting)
{
	static char block[4096];
	int ends[2];
	long total = 0;
	ssize_t wrote;

	need(pipe2(ends, O_NONBLOCK) == 0);
	fails(read(ends[0], block, 1), EAGAIN);
	while ((wrote = write(ends[1], block, sizeof(block))) > 0)
		total += wrote;
	is(errno, EAGAIN);
	is(total, 65536);
	is(read(ends[0], block, sizeof(block)), sizeof(block));
	is(write(ends[1], block, sizeof(block)), sizeof(block));
}

CASE(more_than_fits)
{
	static unsigned char out[300000], in[300000];
	int ends[2];
	size_t got = 0;
	ssize_t n;
	pid_t pid;

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = i * 7 + i / 251;
	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		_exit(write(ends[1], out, sizeof(out)) != sizeof(out));
	}
	close(ends[1]);
	while ((n = read(ends[0], in + got, sizeof(in) - got)) > 0)
		got += n;
	is(n, 0);
	is(got, sizeof(out));
	is(memcmp(in, out, sizeof(out)), 0);
	is(ended(pid), 0);
}

CASE(small_writes_are_not_mixed)
{
	int ends[2];
	char line[16];
	pid_t pids[3];
	bool whole = true;

	need(pipe(ends) == 0);
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			memset(line, 'a' + i, sizeof(line));
			for (int j = 0; j < 100; j++) {
				if (write(ends[1], line, sizeof(line)) != sizeof(line))
					_exit(1);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 300; i++) {
		need(read(ends[0], line, sizeof(line)) == sizeof(line));
		for (size_t j = 1; j < sizeof(line); j++)
			whole &= line[j] == line[0];
	}
	yes(whole);
	for (int i = 0; i < 3; i++)
		is(ended(pids[i]), 0);
}

CASE(a_reader_waits)
{
	int ends[2];
	char byte;
	pid_t pid;

	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0)
		_exit(read(ends[0], &byte, 1) == 1 ? byte : 0);
	usleep(20000);
	is(write(ends[1], "\x21", 1), 1);
	is(ended(pid), 0x21);
}

CASE(polling)
{
	int ends[2];
	struct pollfd fds[2];
	char byte;

	need(pipe(ends) == 0);
	fds[0] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = ends[1], .events = POLLOUT };
	is(poll(fds, 1, 0), 0);
	is(poll(fds, 1, 20), 0);
	is(poll(fds, 2, -1), 1);
	is(fds[1].revents, POLLOUT);
	is(write(ends[1], "x", 1), 1);
	is(poll(fds, 1, -1), 1);
	is(fds[0].revents, POLLIN);
	is(read(ends[0], &byte, 1), 1);
	is(close(ends[1]), 0);
	is(poll(fds, 1, -1), 1);
	is(fds[0].revents, POLLHUP);
	fds[0].fd = ends[1];
	is(poll(fds, 1, 0), 1);
	is(fds[0].revents, POLLNVAL);
	fds[0].fd = -1;
	is(poll(fds, 1, 0), 0);
}

CASE(a_writer_without_readers)
{
	int ends[2];
	struct pollfd fds;

	signal(SIGPIPE, SIG_IGN);
	need(pipe(ends) == 0);
	is(close(ends[0]), 0);
	fails(write(ends[1], "x", 1), EPIPE);
	fds = (struct pollfd){ .fd = ends[1], .events = POLLOUT };
	is(poll(&fds, 1, 0), 1);
	yes(fds.revents & POLLERR);
}

static siginfo_t told;

static void
note(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	told = *info;
}

CASE(the_writer_itself_is_who_sends_the_signal)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	int ends[2];

	need(sigaction(SIGPIPE, &action, NULL) == 0);
	need(pipe(ends) == 0);
	is(close(ends[0]), 0);
	fails(write(ends[1], "x", 1), EPIPE);
	is(told.si_signo, SIGPIPE);
	is(told.si_code, SI_USER);
	is(told.si_pid, getpid());
	is(told.si_uid, getuid());
}

CASE(what_they_are)
{
	struct stat status;
	int ends[2], waiting;

	need(pipe2(ends, O_CLOEXEC) == 0);
	is(fstat(ends[0], &status), 0);
	yes(S_ISFIFO(status.st_mode));
	is(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
	is(fcntl(ends[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	is(fcntl(ends[1], F_GETFL) & O_ACCMODE, O_WRONLY);
	is(write(ends[1], "12345", 5), 5);
	is(ioctl(ends[0], FIONREAD, &waiting), 0);
	is(waiting, 5);
	is(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	yes(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
}
