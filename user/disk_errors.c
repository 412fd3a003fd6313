/* SPDX-License-Identifier: MIT */
/*
 * disk_errors FILE: write to a file whose disk fails, and tell what fsync() and msync() say: each
 * word is followed by the error numbers of two calls in turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 65536

static int
error_of(int result)
{
	return result == 0 ? 0 : errno;
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "file";
	int first = open(name, O_RDWR), second = open(name, O_RDWR), later, error;
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, first, 0);

	if (first < 0 || second < 0 || memory == MAP_FAILED) {
		perror(name);
		return 1;
	}
	for (int i = 0; i < SIZE; i += 4096)
		memory[i] = 'x';
	error = error_of(fsync(first));
	printf("first %d %d\n", error, error_of(fsync(first)));
	error = error_of(fsync(second));
	printf("second %d %d\n", error, error_of(fsync(second)));
	error = error_of(msync(memory, SIZE, MS_SYNC));
	printf("mapping %d %d\n", error, error_of(msync(memory, SIZE, MS_SYNC)));
	later = open(name, O_RDWR);
	printf("later %d\n", error_of(fsync(later)));
	return 0;
}
