/* SPDX-License-Identifier: MIT */
/* Signals as programs see them: Linux's numbers and layouts on x86-64. */
#ifndef IKOS_ABI_SIGNAL_H
#define IKOS_ABI_SIGNAL_H

#include <types.h>

#define SIGHUP	   1
#define SIGINT	   2
#define SIGQUIT	   3
#define SIGILL	   4
#define SIGTRAP	   5
#define SIGABRT	   6
#define SIGBUS	   7
#define SIGFPE	   8
#define SIGKILL	   9
#define SIGUSR1	   10
#define SIGSEGV	   11
#define SIGUSR2	   12
#define SIGPIPE	   13
#define SIGALRM	   14
#define SIGTERM	   15
#define SIGSTKFLT  16
#define SIGCHLD	   17
#define SIGCONT	   18
#define SIGSTOP	   19
#define SIGTSTP	   20
#define SIGTTIN	   21
#define SIGTTOU	   22
#define SIGURG	   23
#define SIGXCPU	   24
#define SIGXFSZ	   25
#define SIGVTALRM  26
#define SIGPROF	   27
#define SIGWINCH   28
#define SIGIO	   29
#define SIGPWR	   30
#define SIGSYS	   31
#define SIGRTMIN   32 /* from here on each is queued */
#define NR_SIGNALS 64

/* A set of signals: bit n - 1 for signal n. */
#define SIGNAL_BIT(signal) (1ull << ((signal)-1))

#define SIG_DFL 0ul
#define SIG_IGN 1ul

#define SIG_BLOCK   0
#define SIG_UNBLOCK 1
#define SIG_SETMASK 2

#define SA_NOCLDSTOP 0x00000001ul
#define SA_NOCLDWAIT 0x00000002ul
#define SA_SIGINFO   0x00000004ul
#define SA_RESTORER  0x04000000ul
#define SA_ONSTACK   0x08000000ul
#define SA_RESTART   0x10000000ul
#define SA_NODEFER   0x40000000ul
#define SA_RESETHAND 0x80000000ul

/* si_code: why a signal came. */
#define SI_USER	  0
#define SI_KERNEL 0x80
#define SI_QUEUE  (-1)
#define SI_TIMER  (-2)
#define SI_TKILL  (-6)

#define ILL_ILLOPN    2
#define FPE_INTDIV    1
#define FPE_INTOVF    2
#define FPE_FLTDIV    3
#define FPE_FLTOVF    4
#define FPE_FLTUND    5
#define FPE_FLTRES    6
#define FPE_FLTINV    7
#define SEGV_MAPERR   1
#define SEGV_ACCERR   2
#define SEGV_PKUERR   4
#define BUS_ADRALN    1
#define BUS_ADRERR    2
#define TRAP_BRKPT    1
#define TRAP_TRACE    2
#define CLD_EXITED    1
#define CLD_KILLED    2
#define CLD_DUMPED    3
#define CLD_STOPPED   5
#define CLD_CONTINUED 6

struct abi_siginfo {
	int32_t signo, error, code;
	int32_t pad;
	union {
		struct {
			int32_t pid;
			uint32_t uid;
			union {
				uint64_t value; /* sigqueue() */
				struct {	/* SIGCHLD */
					int32_t status;
					int64_t user_ticks, system_ticks;
				} child;
			};
		} from;
		struct {
			uint64_t address, reserved;
			uint32_t key; /* SEGV_PKUERR */
		} fault;
		struct { /* SI_TIMER */
			int32_t id, overrun;
			uint64_t value;
		} timer;
		uint8_t bytes[112];
	};
};
_Static_assert(sizeof(struct abi_siginfo) == 128, "Linux's layout");

struct abi_sigaction {
	uint64_t handler;
	uint64_t flags; /* SA_* */
	uint64_t restorer;
	uint64_t mask;
};

#define SS_ONSTACK  1
#define SS_DISABLE  2
#define MINSIGSTKSZ 2048

struct abi_sigaltstack {
	uint64_t sp;
	int32_t flags; /* SS_* */
	uint32_t pad;
	uint64_t size;
};

#endif
