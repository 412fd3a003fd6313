/* SPDX-License-Identifier: MIT */
/*
 * A stack that grows, call by call, until there is no more: the handler, on a stack of its own,
 * says how far it got.
 *
 *	stackgrow [die]		die: without a handler, to see what the shell says
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uintptr_t top;
static volatile unsigned depth, deeper = 1;

static void
end(int signal, siginfo_t *info, void *context)
{
	struct rusage usage;

	(void)context;
	getrusage(RUSAGE_SELF, &usage);
	printf("stackgrow: signal %d at %lu kB below the start, %u calls deep, %ld faults\n",
	       signal, (unsigned long)(top - (uintptr_t)info->si_addr) / 1024, depth,
	       usage.ru_minflt);
	exit(0);
}

static int __attribute__((noinline)) descend(void)
{
	volatile char frame[1000];

	memset((char *)frame, depth++, sizeof(frame));
	if (depth % 2048 == 0)
		printf("stackgrow: %lu kB\n",
		       (unsigned long)(top - (uintptr_t)__builtin_frame_address(0)) / 1024);
	return (deeper ? descend() : 0) + frame[0];
}

int
main(int argc, char **argv)
{
	static char other[64 * 1024];
	stack_t stack = { .ss_sp = other, .ss_size = sizeof(other) };
	struct sigaction action = { .sa_sigaction = end, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	top = (uintptr_t)__builtin_frame_address(0);
	if (argc == 1 || strcmp(argv[1], "die")) {
		sigaltstack(&stack, NULL);
		sigaction(SIGSEGV, &action, NULL);
	}
	return descend();
}
