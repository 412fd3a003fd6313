/* SPDX-License-Identifier: MIT */
/* Users: what a process may become, and what it may do to others. For the superuser. */
#include "ktap.h"

#include <grp.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <time.h>

#define SOMEBODY 1234
#define ANOTHER	 4321

static bool
is_super(void)
{
	return geteuid() == 0;
}

static void
is_ids(uid_t real, uid_t effective, uid_t saved)
{
	uid_t r, e, s;

	is(getresuid(&r, &e, &s), 0);
	is(r, real);
	is(e, effective);
	is(s, saved);
}

CASE(given_up_for_good)
{
	if (!is_super())
		return;
	is(setuid(SOMEBODY), 0);
	is_ids(SOMEBODY, SOMEBODY, SOMEBODY);
	is(getuid(), SOMEBODY);
	is(geteuid(), SOMEBODY);
	fails(setuid(0), EPERM);
	fails(seteuid(0), EPERM);
	fails(setreuid(0, -1), EPERM);
	fails(setresuid(-1, -1, 0), EPERM);
	fails(setgroups(0, NULL), EPERM);
	is(setuid(SOMEBODY), 0);
}

CASE(given_up_for_a_while)
{
	if (!is_super())
		return;
	is(seteuid(SOMEBODY), 0);
	is_ids(0, SOMEBODY, 0);
	fails(setuid(ANOTHER), EPERM);
	is(seteuid(0), 0);
	is_ids(0, 0, 0);
}

CASE(three_at_once)
{
	if (!is_super())
		return;
	is(setresuid(1, 2, 3), 0);
	is_ids(1, 2, 3);
	is(setresuid(3, -1, 2), 0);
	is_ids(3, 2, 2);
	fails(setresuid(-1, 1, -1), EPERM);
}

CASE(two_at_once)
{
	if (!is_super())
		return;
	is(setreuid(SOMEBODY, ANOTHER), 0);
	is_ids(SOMEBODY, ANOTHER, ANOTHER);
	is(setreuid(ANOTHER, SOMEBODY), 0);
	is_ids(ANOTHER, SOMEBODY, SOMEBODY);
	fails(setreuid(0, -1), EPERM);
}

CASE(groups)
{
	gid_t set[3] = { 5, 6, 7 }, got[3] = { 0 };
	gid_t r, e, s;

	if (!is_super())
		return;
	is(setgroups(3, set), 0);
	is(getgroups(0, NULL), 3);
	fails(getgroups(2, got), EINVAL);
	is(getgroups(3, got), 3);
	is(got[2], 7);
	is(setgid(SOMEBODY), 0);
	is(getresgid(&r, &e, &s), 0);
	is(r == SOMEBODY && e == SOMEBODY && s == SOMEBODY, 1);
	is(setegid(ANOTHER), 0); /* still the superuser */
	is(getegid(), ANOTHER);
}

CASE(inherited_and_for_files)
{
	int status;

	if (!is_super())
		return;
	is(setfsuid(77), 0);
	is(setfsuid(-1), 77);
	is(seteuid(SOMEBODY), 0);
	is(setfsuid(-1), SOMEBODY);
	if (fork() == 0)
		_exit(geteuid() == SOMEBODY && getuid() == 0 ? 0 : 1);
	yes(wait(&status) > 0);
	is(status, 0);
}

/* ---- What may be done to others ----------------------------------------------------------------
 */

static pid_t
sleeper(uid_t uid)
{
	int fd[2];
	char byte;
	pid_t child;

	need(pipe(fd) == 0);
	child = fork();
	if (child == 0) {
		need(setuid(uid) == 0);
		alarm(2); /* who made it may not be able to end it */
		need(write(fd[1], "x", 1) == 1);
		for (;;)
			pause();
	}
	need(read(fd[0], &byte, 1) == 1);
	return child;
}

CASE(signals_to_others)
{
	pid_t roots, others, own;

	if (!is_super())
		return;
	roots = sleeper(0);
	others = sleeper(ANOTHER);
	own = sleeper(SOMEBODY);
	is(seteuid(SOMEBODY), 0);
	is(kill(own, 0), 0);
	is(setreuid(SOMEBODY, SOMEBODY), 0);
	fails(kill(roots, 0), EPERM);
	fails(kill(others, SIGTERM), EPERM);
	fails(kill(999999, 0), ESRCH);
	is(kill(others, SIGCONT), 0); /* of the same session */
	is(kill(own, SIGKILL), 0);
}

CASE(niceness_and_limits)
{
	struct rlimit limit;
	pid_t others;

	if (!is_super())
		return;
	others = sleeper(ANOTHER);
	is(setuid(SOMEBODY), 0);
	is(setpriority(PRIO_PROCESS, 0, 5), 0);
	fails(setpriority(PRIO_PROCESS, 0, 3), EACCES);
	fails(setpriority(PRIO_PROCESS, (id_t)others, 10), EPERM);
	is(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	is(setrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_max--;
	limit.rlim_cur = 10;
	is(setrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_max++;
	fails(setrlimit(RLIMIT_NOFILE, &limit), EPERM);
}

CASE(locked_memory)
{
	struct rlimit limit = { 2 * PAGE, 2 * PAGE };
	char *memory = map(4);

	if (!is_super())
		return;
	is(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	is(mlock(memory, 4 * PAGE), 0); /* no limit for the superuser */
	is(munlock(memory, 4 * PAGE), 0);
	is(setuid(SOMEBODY), 0);
	is(mlock(memory, 2 * PAGE), 0);
	fails(mlock(memory + 2 * PAGE, PAGE), ENOMEM);
	is(munlock(memory, PAGE), 0);
	is(mlock(memory + 2 * PAGE, PAGE), 0);
	limit.rlim_cur = 0;
	is(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	fails(mlock(memory, PAGE), EPERM);
	fails(mlockall(MCL_CURRENT), EPERM);
}

CASE(only_the_superuser)
{
	struct timespec now;

	if (!is_super())
		return;
	is(clock_gettime(CLOCK_REALTIME, &now), 0);
	is(setuid(SOMEBODY), 0);
	fails(clock_settime(CLOCK_REALTIME, &now), EPERM);
	fails(sethostname("other", 5), EPERM);
}
