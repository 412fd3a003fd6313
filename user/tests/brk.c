/* SPDX-License-Identifier: MIT */
/* brk(): the heap. The C library here uses it for nothing that these cases do. */
#include "ktap.h"

static char *
brk_to(const char *wanted)
{
	return (char *)syscall(SYS_brk, wanted);
}

static char *
page_up(char *address)
{
	return (char *)(((uintptr_t)address + PAGE - 1) & -PAGE);
}

CASE(growing)
{
	char *start = brk_to(NULL);

	is(brk_to(start + 3 * PAGE), start + 3 * PAGE);
	is(brk_to(NULL), start + 3 * PAGE);
	for (char *byte = start; byte < start + 3 * PAGE; byte++)
		need(*byte == 0);
	allowed(WRITE, start + 3 * PAGE - 1);
}

CASE(to_the_byte)
{
	char *start = brk_to(NULL);

	is(brk_to(start + 1), start + 1);
	is(brk_to(start + 77), start + 77);
	allowed(WRITE, start + 76);
}

CASE(it_ends_at_a_page)
{
	char *end = page_up(brk_to(NULL)) + PAGE;

	is(brk_to(end), end);
	allowed(WRITE, end - 1);
	faults(READ, end, SIGSEGV, SEGV_MAPERR);
}

CASE(shrinking_and_growing_gives_zeroes)
{
	char *start = page_up(brk_to(NULL));

	is(brk_to(start + 4 * PAGE), start + 4 * PAGE);
	memset(start, 6, 4 * PAGE);
	is(brk_to(start + PAGE), start + PAGE);
	is(start[0], 6);
	faults(READ, start + PAGE, SIGSEGV, SEGV_MAPERR);
	is(brk_to(start + 4 * PAGE), start + 4 * PAGE);
	is(start[0], 6);
	is(start[PAGE], 0);
	is(start[4 * PAGE - 1], 0);
}

CASE(below_the_start)
{
	char *start = brk_to(NULL);

	is(brk_to((char *)PAGE), start);
	is(brk_to(start - 1024 * PAGE), start);
}

CASE(what_cannot_be_had)
{
	char *start = brk_to(NULL);

	is(brk_to((char *)0x7ffffffff000ul), start);
	is(brk_to((char *)-PAGE), start);
	is(brk_to(NULL), start);
}

CASE(a_mapping_in_the_way)
{
	char *start = page_up(brk_to(NULL)), *wall = start + 2 * PAGE;

	is(brk_to(start), start);
	is(mmap(wall, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
	   wall);
	is(brk_to(wall + PAGE), start);
	is(*wall, 0);
}

CASE(a_child_has_its_own)
{
	char *start = brk_to(NULL);
	pid_t pid;

	is(brk_to(start + PAGE), start + PAGE);
	*start = 1;
	pid = fork();
	if (pid == 0) {
		bool good = brk_to(NULL) == start + PAGE && *start == 1;

		good &= brk_to(start + 9 * PAGE) == start + 9 * PAGE;
		*start = 2;
		_exit(good ? 0 : 1);
	}
	is(ended(pid), 0);
	is(brk_to(NULL), start + PAGE);
	is(*start, 1);
}
