/* SPDX-License-Identifier: MIT */
/* fork(): the child's memory is a copy, however late it is made. And how children end. */
#include "ktap.h"

#include <fcntl.h>

CASE(memory_is_copied)
{
	char *memory = map(8);
	static int global = 1;
	int local = 2;
	pid_t pid;

	memset(memory, 3, 8 * PAGE);
	pid = fork();
	if (pid == 0) {
		bool same =
		    memory[0] == 3 && memory[8 * PAGE - 1] == 3 && global == 1 && local == 2;

		memset(memory, 4, 8 * PAGE);
		global = local = 9;
		_exit(same ? 0 : 1);
	}
	is(ended(pid), 0);
	is(memory[0], 3);
	is(memory[8 * PAGE - 1], 3);
	is(global, 1);
	is(local, 2);
}

CASE(what_the_parent_writes_stays_its_own)
{
	char *memory = map(2), byte;
	int go[2];
	pid_t pid;

	need(pipe(go) == 0);
	memory[0] = 1;
	pid = fork();
	if (pid == 0) {
		if (read(go[0], &byte, 1) != 1)
			_exit(99);
		_exit(memory[0] + memory[PAGE]);
	}
	memory[0] = 50;
	memory[PAGE] = 60; /* was never touched before */
	is(write(go[1], "x", 1), 1);
	is(ended(pid), 1);
}

CASE(three_generations)
{
	char *memory = map(1);
	pid_t pid;

	*memory = 1;
	pid = fork();
	if (pid == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0) {
			*memory += 10;
			_exit(*memory);
		}
		if (ended(grandchild) != 11 || *memory != 1)
			_exit(1);
		*memory += 20;
		_exit(*memory);
	}
	is(ended(pid), 21);
	is(*memory, 1);
}

CASE(shared_memory_stays_shared)
{
	volatile char *memory =
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	need(memory != MAP_FAILED);
	memory[0] = 1;
	pid = fork();
	if (pid == 0) {
		memory[PAGE] = memory[0] + 1; /* a page that came after fork() */
		_exit(0);
	}
	is(ended(pid), 0);
	is(memory[PAGE], 2);
}

CASE(the_kernel_writes_into_a_copy_too)
{
	char *memory = map(1);
	int ends[2];
	pid_t pid;

	need(pipe(ends) == 0);
	*memory = 1;
	is(write(ends[1], "A", 1), 1);
	pid = fork();
	if (pid == 0)
		_exit(read(ends[0], memory, 1) == 1 && *memory == 'A' ? 0 : 1);
	is(ended(pid), 0);
	is(*memory, 1);
}

CASE(rights_are_inherited)
{
	char *memory = map(3);
	pid_t pid;

	memset(memory, 1, 3 * PAGE);
	is(mprotect(memory, PAGE, PROT_READ), 0);
	is(mprotect(memory + PAGE, PAGE, PROT_NONE), 0);
	pid = fork();
	if (pid == 0) {
		bool good = fault_of(WRITE, memory).code == SEGV_ACCERR &&
			    fault_of(READ, memory + PAGE).code == SEGV_ACCERR &&
			    fault_of(WRITE, memory + 2 * PAGE).signal == 0;

		_exit(good ? 0 : 1);
	}
	is(ended(pid), 0);
}

CASE(unmapping_in_the_child)
{
	char *memory = map(4);
	pid_t pid;

	memset(memory, 7, 4 * PAGE);
	pid = fork();
	if (pid == 0)
		_exit(munmap(memory, 4 * PAGE));
	is(ended(pid), 0);
	is(memory[0], 7);
	allowed(WRITE, memory + 3 * PAGE);
}

CASE(identity)
{
	pid_t me = getpid(), pid = fork();

	if (pid == 0)
		_exit(getppid() == me && getpid() != me && getpid() == syscall(SYS_gettid) ? 0 : 1);
	yes(pid > 0);
	yes(pid != me);
	is(ended(pid), 0);
}

CASE(positions_of_files_are_shared)
{
	int fd = file_of(2);
	pid_t pid;

	is(lseek(fd, 10, SEEK_SET), 10);
	pid = fork();
	if (pid == 0)
		_exit(lseek(fd, 5, SEEK_CUR) == 15 ? 0 : 1);
	is(ended(pid), 0);
	is(lseek(fd, 0, SEEK_CUR), 15);
}

CASE(closing_in_the_child)
{
	int fd = file_of(1);
	pid_t pid = fork();
	char byte;

	if (pid == 0)
		_exit(close(fd));
	is(ended(pid), 0);
	is(pread(fd, &byte, 1, 0), 1);
}

CASE(exit_status)
{
	static const int statuses[] = { 0, 1, 42, 255 };
	int status;
	pid_t pid;

	for (int i = 0; i < 4; i++) {
		pid = fork();
		if (pid == 0)
			_exit(statuses[i]);
		is(ended(pid), statuses[i]);
	}
	pid = fork();
	if (pid == 0)
		_exit(0x1234);
	is(waitpid(pid, &status, 0), pid);
	is(WEXITSTATUS(status), 0x34);
}

CASE(death_by_signal)
{
	char *volatile nowhere = (char *)8;
	pid_t pid = fork();

	if (pid == 0) {
		raise(SIGTERM);
		_exit(1);
	}
	is(ended(pid), -SIGTERM);
	pid = fork();
	if (pid == 0) {
		*nowhere = 1;
		_exit(1);
	}
	is(ended(pid), -SIGSEGV);
	pid = fork();
	if (pid == 0)
		abort();
	is(ended(pid), -SIGABRT);
}

CASE(waiting)
{
	int go[2], status;
	pid_t pid;
	char byte;

	need(pipe(go) == 0);
	fails(waitpid(-1, &status, 0), ECHILD);
	pid = fork();
	if (pid == 0)
		_exit(read(go[0], &byte, 1) == 1 ? 5 : 6);
	is(waitpid(pid, &status, WNOHANG), 0);
	is(write(go[1], "x", 1), 1);
	is(waitpid(-1, &status, 0), pid);
	is(WEXITSTATUS(status), 5);
	fails(waitpid(pid, &status, 0), ECHILD);
	fails(waitpid(pid, &status, 0x40000), EINVAL);
}

CASE(an_orphan_is_adopted)
{
	int ends[2];
	pid_t pid, parent;

	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		if (fork() == 0) {
			pid_t before = getppid();

			while (getppid() == before)
				usleep(1000);
			parent = getppid();
			_exit(write(ends[1], &parent, sizeof(parent)) != sizeof(parent));
		}
		usleep(10000);
		_exit(0);
	}
	is(ended(pid), 0);
	is(read(ends[0], &parent, sizeof(parent)), sizeof(parent));
	yes(parent > 0 && parent != pid);
}

CASE(many_children)
{
	pid_t pids[32];
	char *memory = map(32);

	memset(memory, 1, 32 * PAGE);
	for (int i = 0; i < 32; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			memory[i * PAGE] = i;
			_exit(memory[i * PAGE]);
		}
		need(pids[i] > 0);
	}
	for (int i = 0; i < 32; i++)
		is(ended(pids[i]), i);
	for (int i = 0; i < 32; i++)
		need(memory[i * PAGE] == 1);
}

CASE(vfork_shares_until_exec_or_exit)
{
	static volatile int shared = 1;
	pid_t pid = vfork();

	if (pid == 0) {
		shared = 2;
		_exit(3);
	}
	is(ended(pid), 3);
	is(shared, 2);
}
