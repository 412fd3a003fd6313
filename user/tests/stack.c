/* SPDX-License-Identifier: MIT */
/* The stack: how it grows, and where that ends. */
#include "ktap.h"

#include <sys/auxv.h>
#include <sys/resource.h>

static volatile bool deeper = true;

/* Touch a frame of 4 KiB in each of so many calls. */
static int __attribute__((noinline)) descend(int calls)
{
	volatile char frame[PAGE];

	frame[0] = calls;
	return deeper && calls > 1 ? descend(calls - 1) + (frame[0] == (char)calls) : 1;
}

static int
in_a_child(int (*run)(int), int arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(run(arg) ? 0 : 1);
	return ended(pid);
}

CASE(it_grows_by_megabytes)
{
	is(descend(1000), 1000);
	is(in_a_child(descend, 1500), 0);
}

CASE(it_ends_at_its_limit)
{
	is(in_a_child(descend, 1 << 20), -SIGSEGV);
}

/* One big step down, as a function with a large array makes it. */
static int
step_down(int kilobytes)
{
	volatile char *place = (char *)__builtin_frame_address(0) - kilobytes * 1024l;

	*place = 1;
	return *place == 1;
}

CASE(it_grows_in_one_step)
{
	is(in_a_child(step_down, 64), 0);
	is(in_a_child(step_down, 6 * 1024), 0);
	is(in_a_child(step_down, 64 * 1024), -SIGSEGV);
}

CASE(what_it_grows_by_is_zero)
{
	volatile char *below = (char *)__builtin_frame_address(0) - 1024 * 1024l;
	bool zero = true;

	for (int i = 0; i < 64 * 1024; i++)
		zero &= below[i] == 0;
	yes(zero);
}

CASE(the_kernel_makes_it_grow_too)
{
	char *below = (char *)__builtin_frame_address(0) - 2 * 1024 * 1024l;
	int ends[2];

	need(pipe(ends) == 0);
	is(write(ends[1], "abc", 3), 3);
	is(read(ends[0], below, 3), 3);
	is(memcmp(below, "abc", 3), 0);
}

CASE(it_is_not_executable)
{
	char code[16] = { (char)0xc3 };

	faults(EXECUTE, code, SIGSEGV, SEGV_ACCERR);
}

CASE(a_mapping_in_its_way)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0) & -PAGE;
	char *wall = (char *)here - 1024 * PAGE; /* 4 MiB down, the limit is 8 */

	is(mmap(wall, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
	   wall);
	is(in_a_child(descend, 1500), -SIGSEGV);
	is(in_a_child(descend, 500), 0);
}

CASE(a_mapping_that_grows_down)
{
	char *top = map(600) + 600 * PAGE, *low = top - 600 * PAGE;

	is(munmap(low, 600 * PAGE), 0);
	is(mmap(top - PAGE, PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0),
	   top - PAGE);
	allowed(WRITE, top - 2 * PAGE);
	allowed(WRITE, top - 20 * PAGE);
}

CASE(what_the_kernel_left_on_it)
{
	unsigned char *random = (unsigned char *)getauxval(AT_RANDOM);
	bool any = false;

	is(getauxval(AT_PAGESZ), PAGE);
	need(random);
	for (int i = 0; i < 16; i++)
		any |= random[i] != 0;
	yes(any);
	yes(getauxval(AT_PHDR) != 0);
	is(getauxval(AT_UID), getuid());
}

CASE(its_limit_is_told)
{
	struct rlimit limit;

	is(getrlimit(RLIMIT_STACK, &limit), 0);
	is(limit.rlim_cur, 8 << 20);
}
