/* SPDX-License-Identifier: MIT */
/* What page faults a program is told of: getrusage(), wait4(), /proc/PID/stat, /proc/vmstat. */
#include "ktap.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>

#define PAGES 100
#define SLACK 12 /* faults of stack, libraries and the kernel's ways that a few calls may cost */

static struct rusage
usage_of(int who)
{
	struct rusage usage;

	need(getrusage(who, &usage) == 0);
	return usage;
}

static long
minor_of(int who)
{
	return usage_of(who).ru_minflt;
}

/* As many as pages, and hardly more. */
static bool
about(long faults, long pages)
{
	if (faults >= pages && faults <= pages + SLACK)
		return true;
	printf("# %ld faults, not %ld\n", faults, pages);
	return false;
}

static void
touch(char *memory, size_t pages)
{
	for (size_t i = 0; i < pages; i++)
		((volatile char *)memory)[i * PAGE] = 1;
}

CASE(one_for_each_page_that_is_touched)
{
	char *memory = map(PAGES);
	long before = minor_of(RUSAGE_SELF);

	touch(memory, PAGES);
	yes(about(minor_of(RUSAGE_SELF) - before, PAGES));
	before = minor_of(RUSAGE_SELF);
	touch(memory, PAGES);
	yes(about(minor_of(RUSAGE_SELF) - before, 0));
}

CASE(reading_and_writing_are_two)
{
	char *memory = map(PAGES);
	long before = minor_of(RUSAGE_SELF);

	for (size_t i = 0; i < PAGES; i++)
		(void)((volatile char *)memory)[i * PAGE];
	yes(about(minor_of(RUSAGE_SELF) - before, PAGES));
	before = minor_of(RUSAGE_SELF);
	touch(memory, PAGES);
	yes(about(minor_of(RUSAGE_SELF) - before, PAGES));
}

/* Those of the kernel on the program's behalf are the program's. */
CASE(copies_inside_of_calls)
{
	char *memory = map(PAGES);
	int fd = file_of(PAGES);
	long before = minor_of(RUSAGE_SELF);

	is(pread(fd, memory, PAGES * PAGE, 0), PAGES * PAGE);
	yes(about(minor_of(RUSAGE_SELF) - before, PAGES));
}

CASE(pages_in_memory_are_no_major_faults)
{
	struct rusage before = usage_of(RUSAGE_SELF);
	char *memory = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE, file_of(PAGES), 0);

	need(memory != MAP_FAILED);
	for (size_t i = 0; i < PAGES; i++)
		is(memory[i * PAGE], (char)(i + 1));
	yes(usage_of(RUSAGE_SELF).ru_minflt > before.ru_minflt);
	is(usage_of(RUSAGE_SELF).ru_majflt, before.ru_majflt);
}

CASE(what_fails_is_not_counted)
{
	char *memory = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long before;

	(void)fault_of(READ, memory);
	before = minor_of(RUSAGE_SELF);
	for (int i = 0; i < PAGES; i++)
		(void)fault_of(READ, memory);
	yes(about(minor_of(RUSAGE_SELF) - before, 0));
}

CASE(children_that_were_waited_for)
{
	char *memory = map(PAGES);
	long before = minor_of(RUSAGE_CHILDREN);
	struct rusage usage;
	pid_t pid = fork();

	need(pid >= 0);
	if (pid == 0) {
		touch(memory, PAGES);
		_exit(0);
	}
	siginfo_t info;
	is(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	is(minor_of(RUSAGE_CHILDREN), before);
	is(wait4(pid, NULL, 0, &usage), pid);
	yes(usage.ru_minflt >= PAGES && usage.ru_minflt < 2 * PAGES);
	is(minor_of(RUSAGE_CHILDREN) - before, usage.ru_minflt);
}

/* And theirs. */
CASE(grandchildren)
{
	long before = minor_of(RUSAGE_CHILDREN);
	pid_t pid = fork();

	need(pid >= 0);
	if (pid == 0) {
		pid = fork();
		if (pid == 0) {
			touch(map(PAGES), PAGES);
			_exit(0);
		}
		_exit(ended(pid));
	}
	is(ended(pid), 0);
	yes(minor_of(RUSAGE_CHILDREN) - before >= PAGES);
}

static long in_thread;

static void *
touch_in_thread(void *memory)
{
	long before = minor_of(RUSAGE_THREAD);

	touch(memory, PAGES);
	in_thread = minor_of(RUSAGE_THREAD) - before;
	return NULL;
}

CASE(threads)
{
	char *memory = map(PAGES);
	long thread = minor_of(RUSAGE_THREAD), process = minor_of(RUSAGE_SELF);
	pthread_t id;

	need(!pthread_create(&id, NULL, touch_in_thread, memory) && !pthread_join(id, NULL));
	yes(about(in_thread, PAGES));
	yes(about(minor_of(RUSAGE_THREAD) - thread, 0));
	/* Also when the thread has ended. */
	yes(minor_of(RUSAGE_SELF) - process >= PAGES);
}

/* Fields of /proc/PID/stat behind the name and the state: ppid is the first. */
static void
read_stat(long *minor, long *children_minor, long *major, long *children_major)
{
	char text[1024] = "", *at;
	int fd = open("/proc/self/stat", O_RDONLY);

	need(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && close(fd) == 0);
	at = strrchr(text, ')');
	need(at);
	need(sscanf(at, ") %*c %*d %*d %*d %*d %*d %*u %ld %ld %ld %ld", minor, children_minor,
		    major, children_major) == 4);
}

CASE(stat_says_the_same)
{
	long minor, children_minor, major, children_major;
	pid_t pid = fork();

	need(pid >= 0);
	if (pid == 0) {
		touch(map(PAGES), PAGES);
		_exit(0);
	}
	is(ended(pid), 0);
	read_stat(&minor, &children_minor, &major, &children_major);
	read_stat(&minor, &children_minor, &major, &children_major);
	yes(about(minor_of(RUSAGE_SELF) - minor, 0));
	is(children_minor, minor_of(RUSAGE_CHILDREN));
	is(major, usage_of(RUSAGE_SELF).ru_majflt);
	is(children_major, usage_of(RUSAGE_CHILDREN).ru_majflt);
}

/* A new program in the same process is the same process. */
CASE(execution_goes_on_counting)
{
	pid_t pid;
	int status;
	struct rusage usage;

	fflush(stdout);
	pid = fork();
	need(pid >= 0);
	if (pid == 0) {
		touch(map(5 * PAGES), 5 * PAGES);
		dup2(open("/dev/null", O_WRONLY), 1);
		execl("/proc/self/exe", "usage", "no such case", NULL);
		_exit(99);
	}
	is(wait4(pid, &status, 0, &usage), pid);
	is(status, 0);
	yes(usage.ru_minflt >= 5 * PAGES);
}

static long
machine_faults(void)
{
	static char text[16384];
	int fd = open("/proc/vmstat", O_RDONLY);
	ssize_t size = 0, got;
	char *found;

	need(fd >= 0);
	while ((got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += got;
	close(fd);
	text[size] = '\0';
	found = strstr(text, "\npgfault ");
	need(found);
	return atol(found + 9);
}

CASE(the_machine_counts_them_too)
{
	char *memory = map(PAGES);
	long before = machine_faults();

	touch(memory, PAGES);
	yes(machine_faults() - before >= PAGES);
}

/* Neither writing nor cutting to a greater length goes beyond the limit; what is longer stays. */
CASE(size_of_files)
{
	struct rlimit limit = { 2 * PAGE, 2 * PAGE };
	int fd = file_of(1), longer = file_of(4);

	signal(SIGXFSZ, SIG_IGN);
	is(setrlimit(RLIMIT_FSIZE, &limit), 0);
	is(ftruncate(fd, 2 * PAGE), 0);
	fails(ftruncate(fd, 2 * PAGE + 1), EFBIG);
	is(pwrite(fd, "xy", 2, 2 * PAGE - 1), 1);
	fails(pwrite(fd, "x", 1, 2 * PAGE), EFBIG);
	is(ftruncate(longer, 3 * PAGE), 0);
	fails(ftruncate(longer, 4 * PAGE), EFBIG);
	signal(SIGXFSZ, SIG_DFL);
	pid_t pid = fork();
	if (pid == 0) {
		ftruncate(fd, 3 * PAGE);
		_exit(0);
	}
	is(ended(pid), -SIGXFSZ);
}

CASE(waiting_for_no_group)
{
	if (fork() == 0)
		_exit(0);
	fails(waitpid(INT_MIN, NULL, 0), ESRCH);
	yes(wait(NULL) > 0);
}
