/* SPDX-License-Identifier: MIT */
/* prctl(): what a process says of itself and of its relatives. */
#include "ktap.h"

#include <sys/prctl.h>
#include <time.h>

/* In a pipe, so that the parent hears of it. */
static int pipe_fd[2];

static void
tell(int number)
{
	need(write(pipe_fd[1], &number, sizeof(number)) == sizeof(number));
}

static int
hear(void)
{
	int number = -1;

	need(read(pipe_fd[0], &number, sizeof(number)) == sizeof(number));
	return number;
}

CASE(names)
{
	char name[16] = "";

	is(prctl(PR_SET_NAME, "a name that is longer than that"), 0);
	is(prctl(PR_GET_NAME, name), 0);
	yes(!strcmp(name, "a name that is "));
	fails(prctl(PR_SET_NAME, 8), EFAULT);
	fails(prctl(PR_GET_NAME, 8), EFAULT);
}

CASE(unknown_requests)
{
	fails(prctl(9999), EINVAL);
	fails(prctl(-1), EINVAL);
}

/* A child whose parent is gone gets its signal. */
CASE(signal_at_the_parents_end)
{
	int ready[2], signal = -1;

	need(pipe(pipe_fd) == 0 && pipe(ready) == 0);
	fails(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
	pid_t parent = fork();
	if (parent == 0) {
		char go;

		if (fork() == 0) {
			sigset_t set;
			struct timespec limit = { 20, 0 };

			sigemptyset(&set);
			sigaddset(&set, SIGUSR1);
			sigprocmask(SIG_BLOCK, &set, NULL);
			need(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
			need(write(ready[1], "x", 1) == 1);
			tell(sigtimedwait(&set, NULL, &limit));
			_exit(0);
		}
		need(read(ready[0], &go, 1) == 1);
		_exit(0);
	}
	need(waitpid(parent, NULL, 0) == parent);
	is(hear(), SIGUSR1);

	/* It is told, and a child of its own does not inherit it. */
	is(prctl(PR_SET_PDEATHSIG, SIGUSR2), 0);
	is(prctl(PR_GET_PDEATHSIG, &signal), 0);
	is(signal, SIGUSR2);
	if (fork() == 0) {
		need(prctl(PR_GET_PDEATHSIG, &signal) == 0);
		tell(signal);
		_exit(0);
	}
	is(hear(), 0);
	is(prctl(PR_SET_PDEATHSIG, 0), 0);
	is(prctl(PR_GET_PDEATHSIG, &signal), 0);
	is(signal, 0);
	fails(prctl(PR_GET_PDEATHSIG, 8), EFAULT);
}

/* Children of a child that ends come to who wants them. */
CASE(orphans_come_to_the_reaper)
{
	pid_t reaper = getpid(), grandchild;
	int reaps = -1, status;

	need(pipe(pipe_fd) == 0);
	is(prctl(PR_GET_CHILD_SUBREAPER, &reaps), 0);
	is(reaps, 0);
	is(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	is(prctl(PR_GET_CHILD_SUBREAPER, &reaps), 0);
	is(reaps, 1);
	pid_t child = fork();
	if (child == 0) {
		need(prctl(PR_GET_CHILD_SUBREAPER, &reaps) == 0);
		grandchild = fork();
		if (grandchild == 0) {
			while (getppid() != reaper)
				usleep(1000);
			_exit(7);
		}
		tell(reaps);
		tell(grandchild);
		_exit(0);
	}
	is(hear(), 0); /* not inherited */
	grandchild = hear();
	is(waitpid(child, NULL, 0), child);
	is(waitpid(grandchild, &status, 0), grandchild);
	yes(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	fails(waitpid(-1, NULL, 0), ECHILD);
}

CASE(no_new_privileges)
{
	need(pipe(pipe_fd) == 0);
	is(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	fails(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
	fails(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
	fails(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
	is(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	is(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
	if (fork() == 0) {
		tell(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
		_exit(0);
	}
	is(hear(), 1);
}

CASE(timer_slack)
{
	is(prctl(PR_GET_TIMERSLACK), 50000);
	is(prctl(PR_SET_TIMERSLACK, 1000), 0);
	is(prctl(PR_GET_TIMERSLACK), 1000);
	need(pipe(pipe_fd) == 0);
	if (fork() == 0) {
		tell(prctl(PR_GET_TIMERSLACK));
		_exit(0);
	}
	is(hear(), 1000);
	is(prctl(PR_SET_TIMERSLACK, 0), 0);
	is(prctl(PR_GET_TIMERSLACK), 50000);
}

CASE(dumpable)
{
	is(prctl(PR_GET_DUMPABLE), 1);
	is(prctl(PR_SET_DUMPABLE, 0), 0);
	is(prctl(PR_GET_DUMPABLE), 0);
	fails(prctl(PR_SET_DUMPABLE, 2), EINVAL);
	is(prctl(PR_SET_DUMPABLE, 1), 0);
}
