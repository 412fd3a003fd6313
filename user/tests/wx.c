/* SPDX-License-Identifier: MIT */
/*
 * Memory that is writable and executable: only where it was asked for both at once. This program
 * asks for its stack to be, in its file; nothing else of it is.
 */
#include "ktap.h"

#include <sys/prctl.h>

#define RW  (PROT_READ | PROT_WRITE)
#define RX  (PROT_READ | PROT_EXEC)
#define RWX (RW | PROT_EXEC)
#define RET ((char)0xc3)

#define SET_MDWE    65 /* prctl(): memory, deny write and execute */
#define GET_MDWE    66
#define REFUSE_GAIN 1ul

static int
mdwe(int call, unsigned long value)
{
	return (int)syscall(SYS_prctl, call, value, 0ul, 0ul, 0ul);
}

/* Is a byte of it writable and executable? As /proc tells; and the processor, for one that may. */
static bool
is_both(const void *address)
{
	char line[400], rights[8];
	unsigned long start, end;
	FILE *maps = fopen("/proc/self/maps", "r");
	bool both = false;

	need(maps);
	while (fgets(line, sizeof(line), maps)) {
		need(sscanf(line, "%lx-%lx %7s", &start, &end, rights) == 3);
		if ((unsigned long)address >= start && (unsigned long)address < end)
			both = rights[1] == 'w' && rights[2] == 'x';
	}
	fclose(maps);
	return both;
}

static char data[PAGE] = { 1 };
static char bss[PAGE];

CASE(nothing_is_both_by_itself)
{
	char *mapped = map(1), *allocated = malloc(100), *heap = (char *)syscall(SYS_brk, 0);

	is(syscall(SYS_brk, heap + PAGE), heap + PAGE);
	*mapped = *allocated = *heap = RET;
	data[0] = bss[0] = RET;
	faults(EXECUTE, mapped, SIGSEGV, SEGV_ACCERR);
	faults(EXECUTE, allocated, SIGSEGV, SEGV_ACCERR);
	faults(EXECUTE, heap, SIGSEGV, SEGV_ACCERR);
	faults(EXECUTE, data, SIGSEGV, SEGV_ACCERR);
	faults(EXECUTE, bss, SIGSEGV, SEGV_ACCERR);
	faults(WRITE, (char *)(uintptr_t)&is_both, SIGSEGV, SEGV_ACCERR);
	yes(!is_both(mapped) && !is_both(data) && !is_both((void *)(uintptr_t)&is_both));
}

CASE(one_after_the_other)
{
	char *code = map(1);

	for (int i = 0; i < 3; i++) {
		*code = RET;
		is(mprotect(code, PAGE, RX), 0);
		allowed(EXECUTE, code);
		faults(WRITE, code, SIGSEGV, SEGV_ACCERR);
		is(mprotect(code, PAGE, RW), 0);
		faults(EXECUTE, code, SIGSEGV, SEGV_ACCERR);
	}
	yes(!is_both(code));
}

/* As programs do that compile while they run. */
CASE(both_at_once_if_asked)
{
	char *code = mmap(NULL, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *other = map(1);

	need(code != MAP_FAILED);
	*code = RET;
	allowed(EXECUTE, code);
	yes(is_both(code));
	*other = RET;
	is(mprotect(other, PAGE, RWX), 0);
	allowed(EXECUTE, other);
	allowed(WRITE, other);
}

CASE(a_stack_whose_file_asks)
{
	char code[16] = { RET };

	allowed(EXECUTE, code);
	yes(is_both(code));
}

/* ---- Given up for ever ----------------------------------------------------------------------- */

/* What such a process may not do, and may. Returns how much of it is wrong. */
static int
count_wrong(char *memory, char *code)
{
	int wrong = 0;

	wrong += mmap(NULL, PAGE, RWX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED ||
		 errno != EACCES;
	wrong += mprotect(memory, PAGE, RX) == 0 || errno != EACCES;
	wrong += mprotect(memory, PAGE, RWX) == 0 || errno != EACCES;
	wrong += mprotect(code, PAGE, RWX) == 0 || errno != EACCES;
	wrong += mprotect(code, PAGE, RX) != 0;
	wrong += mprotect(memory, PAGE, PROT_READ) != 0;
	wrong += mprotect(memory, PAGE, RW) != 0;
	wrong += mmap(NULL, PAGE, RX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
	wrong += mdwe(GET_MDWE, 0) != (int)REFUSE_GAIN;
	return wrong;
}

/* Executed again: is it still so? */
__attribute__((constructor)) static void
say_wrong(void)
{
	if (getenv("SAY_WRONG"))
		_exit(mdwe(GET_MDWE, 0) != (int)REFUSE_GAIN);
}

CASE(a_process_gives_it_up)
{
	char *memory = map(1), *code = mmap(NULL, PAGE, RX, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	need(code != MAP_FAILED);
	is(mdwe(GET_MDWE, 0), 0);
	fails(mdwe(SET_MDWE, 8), EINVAL);
	fails(syscall(SYS_prctl, SET_MDWE, REFUSE_GAIN, 1ul, 0ul, 0ul), EINVAL);
	fails(syscall(SYS_prctl, GET_MDWE, 1ul, 0ul, 0ul, 0ul), EINVAL);
	is(mdwe(SET_MDWE, 0), 0);
	is(mdwe(SET_MDWE, REFUSE_GAIN), 0);
	is(mdwe(SET_MDWE, REFUSE_GAIN), 0);
	fails(mdwe(SET_MDWE, 0), EPERM);
	is(count_wrong(memory, code), 0);
	pid = fork();
	if (pid == 0)
		_exit(count_wrong(memory, code));
	is(ended(pid), 0);
	pid = fork();
	if (pid == 0) {
		execle("/proc/self/exe", "wx", NULL, (char *[]){ "SAY_WRONG=1", NULL });
		_exit(99);
	}
	is(ended(pid), 0);
}
