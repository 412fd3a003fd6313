/* SPDX-License-Identifier: MIT */
/* Users: what a process may become, and what it may do to others. For the superuser. */
#include "ktap.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
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

/* ---- What may be done to others -------------------------------------------------------------- */

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
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0), EAGAIN);
	is(mlockall(MCL_FUTURE), 0);
	fails(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EAGAIN);
	is(munlockall(), 0);
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

/* ---- Files ----------------------------------------------------------------------------------- */

/* What follows is done by a child, as somebody; then it is for the superuser to tidy up. */
static bool
as_somebody(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		need(setgroups(0, NULL) == 0);
		need(setgid(SOMEBODY) == 0);
		need(setuid(SOMEBODY) == 0);
		return true;
	}
	is(waitpid(child, &status, 0), child);
	is(status, 0);
	return false;
}

static void
make_file(const char *path, mode_t mode, uid_t uid)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	need(fd >= 0);
	is(write(fd, "text", 4), 4);
	is(close(fd), 0);
	is(chown(path, uid, uid), 0);
	is(chmod(path, mode), 0);
}

/* A directory of that mode, and the way into it. */
static const char *
make_place(mode_t mode)
{
	static char place[64];

	snprintf(place, sizeof(place), "/tmp/users-%d", (int)getpid());
	need(mkdir(place, 0700) == 0);
	need(chdir(place) == 0);
	need(chmod(place, mode) == 0);
	return place;
}

static void
remove_place(const char *place, const char *const *names)
{
	for (; *names; names++)
		unlink(*names);
	is(chdir("/"), 0);
	is(rmdir(place), 0);
}

CASE(files_by_mode)
{
	static const char *const names[] = { "none", "read", "all", "group", "mine", NULL };
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	const char *place;

	if (!is_super())
		return;
	place = make_place(0755);
	make_file("none", 0600, 0);
	make_file("read", 0644, 0);
	make_file("all", 0666, 0);
	make_file("group", 0640, 0);
	make_file("mine", 0066, SOMEBODY);
	is(chown("group", 0, SOMEBODY), 0);
	if (as_somebody()) {
		fails(open("none", O_RDONLY), EACCES);
		yes(open("read", O_RDONLY) >= 0);
		fails(open("read", O_RDWR), EACCES);
		fails(open("read", O_RDONLY | O_TRUNC), EACCES);
		yes(open("all", O_RDWR) >= 0);
		yes(open("group", O_RDONLY) >= 0);
		fails(open("group", O_WRONLY), EACCES);
		fails(open("mine", O_RDONLY), EACCES); /* the owner's bits decide */
		is(access("read", R_OK), 0);
		fails(access("read", W_OK), EACCES);
		fails(access("read", X_OK), EACCES);
		fails(truncate("read", 0), EACCES);
		fails(chmod("all", 0777), EPERM);
		fails(chown("all", SOMEBODY, -1), EPERM);
		fails(utimensat(AT_FDCWD, "all", times, 0), EPERM);
		is(utimensat(AT_FDCWD, "all", NULL, 0), 0);
		fails(utimensat(AT_FDCWD, "read", NULL, 0), EACCES);
		is(chmod("mine", 0600), 0);
		yes(open("mine", O_RDWR) >= 0);
		fails(chown("mine", ANOTHER, -1), EPERM);
		fails(unlink("all"), EACCES); /* that is a matter of the directory */
		fails(rename("all", "other"), EACCES);
		fails(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
		fails(mkdir("new", 0700), EACCES);
		fails(symlink("all", "new"), EACCES);
		fails(link("all", "new"), EACCES);
		fails(execl("read", "read", NULL), EACCES);
		exit(0);
	}
	remove_place(place, names);
}

CASE(directories_by_mode)
{
	static const char *const names[] = { "inside", NULL };
	const char *place;
	char path[96];

	if (!is_super())
		return;
	place = make_place(0700);
	make_file("inside", 0666, 0);
	snprintf(path, sizeof(path), "%s/inside", place);
	if (as_somebody()) {
		fails(open(path, O_RDONLY), EACCES);
		fails(access(path, F_OK), EACCES);
		fails(open(place, O_RDONLY | O_DIRECTORY), EACCES);
		fails(chdir(place), EACCES);
		exit(0);
	}
	is(chmod(place, 0711), 0); /* to be passed through, but not read */
	if (as_somebody()) {
		yes(open(path, O_RDONLY) >= 0);
		fails(open(place, O_RDONLY | O_DIRECTORY), EACCES);
		is(chdir(place), 0);
		exit(0);
	}
	remove_place(place, names);
}

CASE(the_sticky_bit)
{
	static const char *const names[] = { "roots", "own", NULL };
	const char *place;
	struct stat what;

	if (!is_super())
		return;
	place = make_place(01777);
	make_file("roots", 0666, 0);
	if (as_somebody()) {
		yes(open("own", O_CREAT | O_EXCL | O_WRONLY, 0644) >= 0);
		is(stat("own", &what), 0);
		is(what.st_uid, SOMEBODY);
		is(what.st_gid, SOMEBODY);
		fails(unlink("roots"), EPERM);
		fails(rename("roots", "stolen"), EPERM);
		fails(rename("own", "roots"), EPERM);
		is(rename("own", "still-own"), 0);
		is(unlink("still-own"), 0);
		exit(0);
	}
	remove_place(place, names);
}

/* A program of somebody else's, made to run as that: what it says then. */
__attribute__((constructor)) static void
tell(void)
{
	if (getenv("TELL_USERS"))
		_exit(getuid() == SOMEBODY && geteuid() == ANOTHER && getauxval(AT_SECURE) ? 0 : 1);
}

/* A copy of this program, with the bit, another's. */
static void
make_program(void)
{
	static char buffer[65536];
	int from, to;
	ssize_t size;

	from = open("/proc/self/exe", O_RDONLY);
	to = open("program", O_CREAT | O_WRONLY, 0700);
	need(from >= 0 && to >= 0);
	while ((size = read(from, buffer, sizeof(buffer))) > 0)
		need(write(to, buffer, (size_t)size) == size);
	is(close(to), 0);
	is(chown("program", ANOTHER, 0), 0);
	is(chmod("program", 04755), 0);
}

CASE(set_user_id)
{
	static const char *const names[] = { "program", NULL };
	const char *place;

	if (!is_super())
		return;
	place = make_place(0755);
	make_program();
	if (as_somebody()) {
		need(setenv("TELL_USERS", "1", 1) == 0);
		execl("program", "program", NULL);
		exit(2);
	}
	remove_place(place, names);
}

/* Who has renounced more privileges does not get the other's. */
CASE(set_user_id_renounced)
{
	static const char *const names[] = { "program", NULL };
	const char *place;
	pid_t pid;

	if (!is_super())
		return;
	place = make_place(0755);
	make_program();
	pid = fork();
	if (pid == 0) {
		need(setresuid(SOMEBODY, SOMEBODY, SOMEBODY) == 0);
		need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		need(setenv("TELL_USERS", "1", 1) == 0);
		execl("program", "program", NULL);
		_exit(2);
	}
	is(ended(pid), 1); /* it is not another, as it would be above */
	remove_place(place, names);
}

/* Who has taken on another's number may not change what of the superuser runs, and when. */
CASE(scheduling_of_others)
{
	struct sched_param param = { 0 };
	cpu_set_t cpus;
	pid_t pid;

	if (!is_super())
		return;
	need(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	pid = fork();
	if (pid == 0) {
		need(seteuid(SOMEBODY) == 0); /* the real one is the superuser's still */
		fails(syscall(SYS_sched_setparam, getppid(), &param), EPERM);
		fails(syscall(SYS_sched_setscheduler, getppid(), 0, &param), EPERM);
		fails(sched_setaffinity(getppid(), sizeof(cpus), &cpus), EPERM);
		fails(setpriority(PRIO_PROCESS, getppid(), 5), EPERM);
		is(kill(getppid(), 0), 0);
		exit(0);
	}
	is(ended(pid), 0);
}

CASE(times_of_others)
{
	int fd;

	if (!is_super())
		return;
	fd = open("/proc/self/exe", O_RDONLY | O_NOATIME);
	yes(fd >= 0);
	if (as_somebody()) {
		fails(open("/", O_RDONLY | O_NOATIME), EPERM);
		exit(0);
	}
}

/* Which place of the table a segment has, or -1. */
static int
place_of(int id)
{
	struct shmid_ds what;
	struct shm_info sums;
	int highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&sums);

	for (int place = 0; place <= highest; place++)
		if (shmctl(place, SHM_STAT, &what) == id)
			return place;
	return -1;
}

/* What is found by its place takes the right to read it, too, or asking for any. */
CASE(places_of_others)
{
	int id, place;

	if (!is_super())
		return;
	id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	need(id >= 0 && (place = place_of(id)) >= 0);
	if (as_somebody()) {
		struct shmid_ds what;

		fails(shmctl(place, SHM_STAT, &what), EACCES);
		is(shmctl(place, 15, &what), id); /* SHM_STAT_ANY */
		exit(0);
	}
	is(shmctl(id, IPC_RMID, NULL), 0);
}

CASE(segments_of_others)
{
	int id;

	if (!is_super())
		return;
	id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0604);
	need(id >= 0);
	if (as_somebody()) {
		struct shmid_ds what;
		char *memory = shmat(id, NULL, SHM_RDONLY);

		need(memory != (void *)-1);
		is(memory[0], 0);
		fails(shmat(id, NULL, 0), EACCES);
		is(shmctl(id, IPC_STAT, &what), 0);
		is(what.shm_perm.uid, 0);
		fails(shmctl(id, IPC_RMID, NULL), EPERM);
		fails(shmctl(id, IPC_SET, &what), EPERM);
		exit(0);
	}
	is(shmctl(id, IPC_RMID, NULL), 0);
}
