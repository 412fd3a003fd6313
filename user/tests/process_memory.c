/* SPDX-License-Identifier: MIT */
/* process_vm_readv() and process_vm_writev(): another process's memory. */
#include <sys/prctl.h>
#include <sys/uio.h>

#include "ktap.h"

#define PIECE(memory, bytes) (&(struct iovec){ (memory), (bytes) })

/* A child that has prepared its memory, and waits until it is told to end by its exit status. */
struct child {
	pid_t pid;
	int go; /* a byte here, and it ends with the status that end() returns */
};

static struct child
child_with(void (*begin)(char *), int (*end)(char *), char *memory)
{
	int ready[2], go[2];
	struct child child;
	char byte;

	need(pipe(ready) == 0 && pipe(go) == 0);
	child.pid = fork();
	need(child.pid >= 0);
	if (child.pid == 0) {
		begin(memory);
		need(write(ready[1], "", 1) == 1);
		need(read(go[0], &byte, 1) == 1);
		_exit(end(memory));
	}
	need(read(ready[0], &byte, 1) == 1);
	child.go = go[1];
	return child;
}

static int
let_end(struct child child)
{
	need(write(child.go, "", 1) == 1);
	return ended(child.pid);
}

static long
get(pid_t pid, void *to, void *from, size_t bytes)
{
	return process_vm_readv(pid, PIECE(to, bytes), 1, PIECE(from, bytes), 1, 0);
}

static long
put(pid_t pid, void *from, void *to, size_t bytes)
{
	return process_vm_writev(pid, PIECE(from, bytes), 1, PIECE(to, bytes), 1, 0);
}

static void
fill(char *memory)
{
	for (size_t i = 0; i < 3 * PAGE; i++)
		memory[i] = i % 251;
}

static void
leave(char *memory)
{
	(void)memory;
}

static int
first_byte(char *memory)
{
	return (unsigned char)memory[0];
}

/* In the middle of its second and third page. */
static int
two_bytes(char *memory)
{
	return memory[PAGE + 100] + memory[2 * PAGE + 100];
}

static int
nothing(char *memory)
{
	(void)memory;
	return 0;
}

CASE(reads_what_the_other_has)
{
	char *memory = map(3), *copy = map(3);
	struct child child = child_with(fill, nothing, memory);
	bool same = true;

	is(get(child.pid, copy + 10, memory + 10, 3 * PAGE - 20), 3 * PAGE - 20);
	for (size_t i = 10; i < 3 * PAGE - 10; i++)
		same &= copy[i] == (char)(i % 251);
	yes(same);
	is(copy[9], 0);
	is(copy[3 * PAGE - 10], 0);
	is(memory[100], 0);
	is(let_end(child), 0);
}

CASE(writes_there_and_nowhere_else)
{
	char *memory = map(3), *bytes = map(2);
	struct child child;

	memory[PAGE + 100] = 1; /* a page that both have until one writes */
	child = child_with(leave, two_bytes, memory);
	memset(bytes, 20, 2 * PAGE);
	is(put(child.pid, bytes, memory + PAGE + 100, PAGE + 1), PAGE + 1);
	is(memory[PAGE + 100], 1);
	is(memory[2 * PAGE + 100], 0);
	is(let_end(child), 40);
}

CASE(a_program_s_own_memory)
{
	char *memory = map(2);

	memory[0] = 5;
	is(get(getpid(), memory + PAGE, memory, PAGE), PAGE);
	is(memory[PAGE], 5);
	memory[0] = 6;
	is(put(getpid(), memory, memory + PAGE + 1, 1), 1);
	is(memory[PAGE + 1], 6);
}

CASE(pieces_of_other_sizes)
{
	char *memory = map(3), *to = map(1);
	struct child child = child_with(fill, nothing, memory);
	struct iovec local[] = { { to, 3 }, { to, 0 }, { to + 10, 7 }, { to + 20, 100 } };
	struct iovec remote[] = {
		{ memory, 5 }, { memory + PAGE - 2, 4 }, { NULL, 0 }, { memory + 1, 3 }
	};
	size_t at[] = { 0, 1, 2, 3, 4, PAGE - 2, PAGE - 1, PAGE, PAGE + 1, 1, 2, 3 };
	bool same = true;

	is(process_vm_readv(child.pid, local, 4, remote, 4, 0), 12);
	for (int i = 0; i < 12; i++) {
		char got = i < 3 ? to[i] : i < 10 ? to[10 + i - 3] : to[20 + i - 10];

		same &= got == (char)(at[i] % 251);
	}
	yes(same);
	is(to[22], 0);
	is(let_end(child), 0);
}

CASE(it_ends_where_nothing_is)
{
	char *memory = map(3), *copy = map(3);
	struct child child;

	is(munmap(memory + 2 * PAGE, PAGE), 0);
	child = child_with(leave, nothing, memory);
	is(get(child.pid, copy, memory + PAGE, 2 * PAGE), PAGE);
	is(put(child.pid, copy, memory + PAGE + 1, 2 * PAGE), PAGE - 1);
	fails(get(child.pid, copy, memory + 2 * PAGE, 1), EFAULT);
	fails(put(child.pid, copy, memory + 2 * PAGE, 1), EFAULT);
	fails(get(child.pid, NULL, memory, 1), EFAULT);
	fails(put(child.pid, NULL, memory, 1), EFAULT);
	is(let_end(child), 0);
}

CASE(rights_count)
{
	char *memory = map(2), *copy = map(1);
	struct child child;

	memory[PAGE] = 1; /* it is there, and yet it is nobody's to read */
	is(mprotect(memory, PAGE, PROT_READ), 0);
	is(mprotect(memory + PAGE, PAGE, PROT_NONE), 0);
	child = child_with(leave, first_byte, memory);
	is(get(child.pid, copy, memory, 1), 1);
	fails(get(child.pid, copy, memory + PAGE, 1), EFAULT);
	memset(copy, 1, PAGE);
	fails(put(child.pid, copy, memory, 1), EFAULT);
	fails(put(child.pid, copy, memory + PAGE, 1), EFAULT);
	is(let_end(child), 0);
}

CASE(pages_that_are_not_there_yet)
{
	char *memory = map(3);
	char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file_of(2), 0),
	     byte = 9;
	struct child child;

	need(file != MAP_FAILED);
	child = child_with(leave, two_bytes, memory);
	is(get(child.pid, &byte, memory, 1), 1);
	is(byte, 0);
	is(get(child.pid, &byte, file + PAGE, 1), 1);
	is(byte, 2);
	byte = 30;
	is(put(child.pid, &byte, memory + PAGE + 100, 1), 1);
	is(put(child.pid, &byte, file, 1), 1);
	is(file[0], 1);
	is(let_end(child), 30);
}

static void
become_another_user(char *memory)
{
	(void)memory;
	need(setuid(1234) == 0);
	need(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

CASE(users_are_kept_apart)
{
	char *memory = map(1);
	struct child other, same;

	if (getuid() != 0)
		skip("only the superuser can become others");
	same = child_with(become_another_user, nothing, memory);
	other = child_with(leave, nothing, memory);
	is(get(same.pid, memory, memory, 1), 1);
	if (fork() == 0) {
		become_another_user(memory);
		fails(get(other.pid, memory, memory, 1), EPERM);
		fails(put(other.pid, memory, memory, 1), EPERM);
		_exit(0);
	}
	need(wait(NULL) > 0);
	is(let_end(other), 0);
	is(let_end(same), 0);
}

static void
hide(char *memory)
{
	become_another_user(memory);
	need(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
}

CASE(a_user_s_own_processes)
{
	char *memory = map(1);
	struct child open, hidden;
	pid_t pid;

	if (getuid() != 0)
		skip("only the superuser can become others");
	need(setgid(1234) == 0);
	open = child_with(become_another_user, nothing, memory);
	hidden = child_with(hide, nothing, memory);
	pid = fork();
	if (pid == 0) {
		become_another_user(memory);
		is(get(open.pid, memory, memory, 1), 1);
		fails(get(hidden.pid, memory, memory, 1), EPERM);
		_exit(0);
	}
	is(ended(pid), 0);
	is(let_end(open), 0);
	is(let_end(hidden), 0);
}

CASE(bad_arguments)
{
	char *memory = map(1);
	struct iovec *many = calloc(1025, sizeof(*many));
	pid_t gone = fork();

	if (gone == 0)
		_exit(0);
	is(ended(gone), 0);
	fails(get(gone, memory, memory, 1), ESRCH);
	fails(process_vm_readv(getpid(), PIECE(memory, 1), 1, PIECE(memory, 1), 1, 1), EINVAL);
	fails(process_vm_readv(getpid(), many, 1025, PIECE(memory, 1), 1, 0), EINVAL);
	fails(process_vm_writev(getpid(), PIECE(memory, 1), 1, many, 1025, 0), EINVAL);
	fails(process_vm_readv(getpid(), (void *)1, 1, PIECE(memory, 1), 1, 0), EFAULT);
	fails(process_vm_readv(getpid(), PIECE(memory, 1), 1, (void *)1, 1, 0), EFAULT);
	fails(process_vm_readv(getpid(), PIECE(memory, 1), 1, PIECE(memory, -1ul), 1, 0), EINVAL);
	is(process_vm_readv(getpid(), many, 0, PIECE(memory, 1), 1, 0), 0);
	is(process_vm_readv(getpid(), PIECE(memory, 1), 1, many, 0, 0), 0);
	is(process_vm_readv(gone, many, 5, many, 5, 0), 0);
}
