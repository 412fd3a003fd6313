/* SPDX-License-Identifier: MIT */
/*
 * Ways for a program to end badly, each of which must hurt nobody else.
 *
 *	crash null|write|jump|stack|divide|illegal|privileged|kernel|abort
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *volatile nowhere = (char *)8;
static const char constant[] = "constant";
static volatile int one = 1;

static void
null(void)
{
	*nowhere = 1;
}

static void
write_constant(void)
{
	*(volatile char *)constant = 'C';
}

static void
jump(void)
{
	static void (*volatile to_nowhere)(void);

	to_nowhere();
}

static void
stack(void)
{
	volatile char frame[4096];

	frame[0] = 1;
	if (one)
		stack();
	frame[1] = frame[0];
}

static void
divide(void)
{
	__asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx");
}

static void
illegal(void)
{
	__asm__ volatile("ud2");
}

static void
privileged(void)
{
	__asm__ volatile("cli; hlt");
}

static void
kernel(void)
{
	nowhere = (char *)0xffffffff80000000ul;
	*nowhere = 1;
}

static const struct {
	const char *name;
	void (*crash)(void);
} ways[] = {
	{ "null", null },     { "write", write_constant },  { "jump", jump },
	{ "stack", stack },   { "divide", divide },	    { "illegal", illegal },
	{ "kernel", kernel }, { "privileged", privileged }, { "abort", abort },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(ways) / sizeof(*ways); i++) {
		if (!strcmp(argv[1], ways[i].name))
			ways[i].crash();
	}
	fprintf(stderr,
		"usage: crash null|write|jump|stack|divide|illegal|privileged|kernel|abort\n");
	return 2;
}
