/* SPDX-License-Identifier: MIT */
/* Memory files that are sealed: what others have mapped cannot be changed behind their backs. */
#include <fcntl.h>

#include "ktap.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 16
#endif

/* Two pages of 'a'. */
static int
sealable(void)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	char *bytes = map(2);

	need(fd >= 0);
	memset(bytes, 'a', 2 * PAGE);
	need(write(fd, bytes, 2 * PAGE) == (ssize_t)(2 * PAGE));
	return fd;
}

static void *
map_file(int fd, int prot, int flags)
{
	return mmap(NULL, 2 * PAGE, prot, flags, fd, 0);
}

CASE(seals_are_kept)
{
	int fd = sealable(), copy = dup(fd);

	is(fcntl(fd, F_GET_SEALS), 0);
	is(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	is(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	is(fcntl(copy, F_ADD_SEALS, F_SEAL_GROW), 0);
	is(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
	is(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	fails(fcntl(copy, F_ADD_SEALS, 0), EPERM);
	is(fcntl(copy, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

CASE(what_cannot_be_sealed)
{
	int fd = memfd_create("not sealed", 0), sealed = sealable(), pipes[2];
	char name[32];

	need(fd >= 0 && pipe(pipes) == 0);
	is(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	fails(fcntl(sealed, F_ADD_SEALS, 0x1000), EINVAL);
	fails(fcntl(pipes[1], F_GET_SEALS), EINVAL);
	fails(fcntl(pipes[1], F_ADD_SEALS, F_SEAL_WRITE), EINVAL);
	fails(fcntl(-1, F_GET_SEALS), EBADF);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", sealed);
	fails(fcntl(open(name, O_RDONLY), F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	is(fcntl(open(name, O_RDWR), F_ADD_SEALS, F_SEAL_WRITE), 0);
	is(fcntl(sealed, F_GET_SEALS), F_SEAL_WRITE);
}

CASE(shrink)
{
	int fd = sealable();

	is(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	fails(ftruncate(fd, PAGE), EPERM);
	is(ftruncate(fd, 2 * PAGE), 0);
	is(ftruncate(fd, 3 * PAGE), 0);
	fails(ftruncate(fd, 2 * PAGE), EPERM);
	is(lseek(fd, 0, SEEK_END), 3 * PAGE);
}

CASE(grow)
{
	int fd = sealable();

	is(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	fails(ftruncate(fd, 2 * PAGE + 1), EPERM);
	fails(pwrite(fd, "x", 1, 2 * PAGE), EPERM);
	fails(fallocate(fd, 0, 0, 3 * PAGE), EPERM);
	is(fallocate(fd, 0, 0, 2 * PAGE), 0);
	is(pwrite(fd, "x", 1, 2 * PAGE - 1), 1);
	is(ftruncate(fd, PAGE), 0);
	fails(ftruncate(fd, 2 * PAGE), EPERM);
	is(lseek(fd, 0, SEEK_END), PAGE);
}

CASE(written_to_no_more)
{
	int fd = sealable(), punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	char *memory;

	is(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	fails(pwrite(fd, "x", 1, 0), EPERM);
	fails(fallocate(fd, punch, 0, PAGE), EPERM);
	is(map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED), MAP_FAILED);
	is(errno, EPERM);
	memory = map_file(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	need(memory != MAP_FAILED);
	memory[0] = 'b';
	is(pread(fd, memory + PAGE, 1, 0), 1);
	is(memory[PAGE], 'a');
	is(ftruncate(fd, PAGE), 0); /* that is another seal's */
}

CASE(mapped_to_be_written_to)
{
	int fd = sealable();
	char *memory = map_file(fd, PROT_READ, MAP_SHARED), *private, *copy;

	need(memory != MAP_FAILED);
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); /* mprotect() could still allow it */
	is(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	if (fork() == 0)
		_exit(0);
	need(wait(NULL) > 0);
	copy = mremap(memory, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE);
	need(copy != MAP_FAILED);
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	is(munmap(copy, 4 * PAGE), 0);
	private = map_file(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	need(private != MAP_FAILED);
	is(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
}

CASE(mapped_by_another_process)
{
	int fd = sealable(), go[2], ready[2];
	char byte;
	pid_t pid;

	need(pipe(go) == 0 && pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		need(map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED) != MAP_FAILED);
		need(write(ready[1], "", 1) == 1);
		_exit(read(go[0], &byte, 1) != 1);
	}
	need(read(ready[0], &byte, 1) == 1);
	fails(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	need(write(go[1], "", 1) == 1);
	is(ended(pid), 0);
	is(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
}

CASE(written_to_only_by_who_has_it_mapped)
{
	int fd = sealable();
	char *memory = map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED), *later;

	need(memory != MAP_FAILED);
	is(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), 0);
	fails(pwrite(fd, "x", 1, 0), EPERM);
	is(map_file(fd, PROT_READ | PROT_WRITE, MAP_SHARED), MAP_FAILED);
	is(errno, EPERM);
	later = map_file(fd, PROT_READ, MAP_SHARED);
	need(later != MAP_FAILED);
	fails(mprotect(later, PAGE, PROT_READ | PROT_WRITE), EACCES);
	memory[0] = 'z';
	is(later[0], 'z');
}
