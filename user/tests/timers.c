/* SPDX-License-Identifier: MIT */
/* Timers, sleeping and clocks: when they expire, what their signals say, what stops do to them. */
#include "ktap.h"

#include <fcntl.h>
#include <sys/time.h>
#include <time.h>

#define MS 1000000l

static volatile siginfo_t seen;
static volatile int count, overruns;
static timer_t handled;

static void
note(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	memcpy((void *)&seen, info, sizeof(seen));
	count++;
	if (info->si_code == SI_TIMER)
		overruns = timer_getoverrun(handled);
}

static void
on(int signal)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

	need(sigaction(signal, &action, NULL) == 0);
}

static int64_t
now_ns(clockid_t clock)
{
	struct timespec t;

	need(clock_gettime(clock, &t) == 0);
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static struct itimerspec
every(long value_ns, long interval_ns)
{
	return (struct itimerspec){ { interval_ns / (1000 * MS), interval_ns % (1000 * MS) },
				    { value_ns / (1000 * MS), value_ns % (1000 * MS) } };
}

/* A timer that sends a signal with a value. */
static timer_t
new_timer(clockid_t clock, int signal, long value)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = signal };
	timer_t timer;

	event.sigev_value.sival_ptr = (void *)value;
	need(timer_create(clock, &event, &timer) == 0);
	return timer;
}

static void
sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * MS };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* ---- timer_create() -------------------------------------------------------------------------- */

CASE(once)
{
	timer_t timer = new_timer(CLOCK_MONOTONIC, SIGUSR1, 0x1234567);
	struct itimerspec spec = every(20 * MS, 0), left;
	int64_t before = now_ns(CLOCK_MONOTONIC);

	on(SIGUSR1);
	is(timer_settime(timer, 0, &spec, NULL), 0);
	is(timer_gettime(timer, &left), 0);
	yes(left.it_value.tv_sec == 0 && left.it_value.tv_nsec > 0 &&
	    left.it_value.tv_nsec <= 20 * MS);
	is(pause(), -1);
	yes(now_ns(CLOCK_MONOTONIC) - before >= 20 * MS);
	is(seen.si_code, SI_TIMER);
	is(seen.si_signo, SIGUSR1);
	is((long)seen.si_value.sival_ptr, 0x1234567);
	is(seen.si_overrun, 0);
	is(timer_gettime(timer, &left), 0);
	is(left.it_value.tv_sec + left.it_value.tv_nsec, 0);
	sleep_ms(30);
	is(count, 1);
	is(timer_delete(timer), 0);
	fails(syscall(SYS_timer_delete, timer), EINVAL);
}

CASE(again_and_again)
{
	timer_t timer = new_timer(CLOCK_REALTIME, SIGRTMIN + 1, 7);
	struct itimerspec spec = every(5 * MS, 5 * MS), left;

	on(SIGRTMIN + 1);
	is(timer_settime(timer, 0, &spec, NULL), 0);
	while (count < 4)
		pause();
	is(timer_gettime(timer, &left), 0);
	is(left.it_interval.tv_nsec, 5 * MS);
	spec = every(0, 0);
	is(timer_settime(timer, 0, &spec, &left), 0);
	is(left.it_interval.tv_nsec, 5 * MS);
	count = 0;
	sleep_ms(20);
	is(count, 0);
}

/* One signal stands for all expirations while it waits. */
CASE(overrun)
{
	struct itimerspec spec = every(10 * MS, 10 * MS);
	sigset_t set, none;

	handled = new_timer(CLOCK_MONOTONIC, SIGUSR2, 0);
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	on(SIGUSR2);
	is(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	is(timer_settime(handled, 0, &spec, NULL), 0);
	sleep_ms(105);
	is(sigsuspend(&none), -1);
	yes(count >= 1);
	yes(seen.si_overrun >= 7 && seen.si_overrun <= 30);
	is(overruns, seen.si_overrun);
}

/* A period that nobody could keep up with leaves the program, and the machine, time to go on. */
CASE(every_nanosecond)
{
	timer_t timer = new_timer(CLOCK_MONOTONIC, SIGUSR2, 0);
	struct itimerspec spec = every(1, 1), never = every(0, 0);
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	is(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	is(timer_settime(timer, 0, &spec, NULL), 0);
	sleep_ms(20);
	is(sigwaitinfo(&set, &info), SIGUSR2);
	yes(info.si_overrun > 1000 * 1000);
	is(timer_settime(timer, 0, &never, NULL), 0);
	/* And from long ago, as many as can be counted. */
	spec = every(1, 1);
	is(timer_settime(timer, TIMER_ABSTIME, &spec, NULL), 0);
	sleep_ms(1);
	is(timer_settime(timer, 0, &never, NULL), 0);
}

CASE(until_a_time)
{
	timer_t timer = new_timer(CLOCK_REALTIME, SIGUSR1, 0);
	int64_t at = now_ns(CLOCK_REALTIME) + 15 * MS;
	struct itimerspec spec = every(at, 0);

	on(SIGUSR1);
	is(timer_settime(timer, TIMER_ABSTIME, &spec, NULL), 0);
	is(pause(), -1);
	yes(now_ns(CLOCK_REALTIME) >= at);
	spec = every(1, 0); /* long ago: at once */
	is(timer_settime(timer, TIMER_ABSTIME, &spec, NULL), 0);
	while (count < 2)
		;
}

CASE(without_a_signal)
{
	struct sigevent event = { .sigev_notify = SIGEV_NONE };
	struct itimerspec spec = every(10 * MS, 0), left;
	timer_t timer;

	is(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	is(timer_settime(timer, 0, &spec, NULL), 0);
	sleep_ms(15);
	is(timer_gettime(timer, &left), 0);
	is(left.it_value.tv_sec + left.it_value.tv_nsec, 0);
}

CASE(to_a_thread)
{
	struct sigevent event = { .sigev_notify = 4 /* SIGEV_THREAD_ID */, .sigev_signo = SIGUSR1 };
	struct itimerspec spec = every(5 * MS, 0);
	int tid = (int)syscall(SYS_gettid), id;

	on(SIGUSR1);
	memcpy((char *)&event + 16, &tid, sizeof(tid));
	is(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), 0);
	is(syscall(SYS_timer_settime, id, 0, &spec, NULL), 0);
	is(pause(), -1);
	is(seen.si_code, SI_TIMER);
	tid = 999999;
	memcpy((char *)&event + 16, &tid, sizeof(tid));
	fails(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id), EINVAL);
}

CASE(of_processor_time)
{
	timer_t timer = new_timer(CLOCK_PROCESS_CPUTIME_ID, SIGUSR1, 0);
	struct itimerspec spec = every(20 * MS, 0);
	int64_t before = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	on(SIGUSR1);
	is(timer_settime(timer, 0, &spec, NULL), 0);
	sleep_ms(50); /* does not count */
	is(count, 0);
	while (!count)
		;
	yes(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 20 * MS);
}

CASE(refused)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65 };
	struct itimerspec spec = every(0, 0);
	timer_t timer;

	fails(timer_create(1234, NULL, &timer), EINVAL);
	fails(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
	event.sigev_notify = 77;
	event.sigev_signo = SIGUSR1;
	fails(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
	fails(syscall(SYS_timer_settime, 12345, 0, &spec, NULL), EINVAL);
	fails(syscall(SYS_timer_gettime, 12345, &spec), EINVAL);
	fails(syscall(SYS_timer_getoverrun, 12345), EINVAL);
	timer = new_timer(CLOCK_MONOTONIC, SIGUSR1, 0);
	spec.it_value.tv_nsec = 1000 * MS;
	fails(timer_settime(timer, 0, &spec, NULL), EINVAL);
	spec.it_value.tv_nsec = -1;
	fails(timer_settime(timer, 0, &spec, NULL), EINVAL);
	fails(syscall(SYS_timer_create, CLOCK_MONOTONIC, (void *)8, &timer), EFAULT);
}

/* A child has none of its parent's, and a new program none at all. */
CASE(not_inherited)
{
	timer_t timer = new_timer(CLOCK_MONOTONIC, SIGUSR1, 0);
	struct itimerspec spec;
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(timer_gettime(timer, &spec) == -1 && errno == EINVAL ? 0 : 1);
	is(waitpid(child, &status, 0), child);
	is(status, 0);
}

/* ---- setitimer() ----------------------------------------------------------------------------- */

CASE(interval_timers)
{
	static const struct {
		int which, signal;
	} kinds[] = { { ITIMER_REAL, SIGALRM },
		      { ITIMER_VIRTUAL, SIGVTALRM },
		      { ITIMER_PROF, SIGPROF } };
	struct itimerval set = { { 0, 10000 }, { 0, 10000 } }, off = { { 0, 0 }, { 0, 0 } }, old;

	for (unsigned i = 0; i < 3; i++) {
		on(kinds[i].signal);
		count = 0;
		is(setitimer(kinds[i].which, &set, NULL), 0);
		while (count < 3)
			;
		is(seen.si_signo, kinds[i].signal);
		is(getitimer(kinds[i].which, &old), 0);
		is(old.it_interval.tv_usec, 10000);
		is(setitimer(kinds[i].which, &off, &old), 0);
		is(old.it_interval.tv_usec, 10000);
	}
	fails(setitimer(3, &set, NULL), EINVAL);
	fails(getitimer(-1, &old), EINVAL);
}

CASE(virtual_time_is_that_in_user_mode)
{
	struct itimerval set = { { 0, 0 }, { 0, 20000 } };

	on(SIGVTALRM);
	is(setitimer(ITIMER_VIRTUAL, &set, NULL), 0);
	sleep_ms(60);
	is(count, 0);
	while (!count)
		;
}

/* ---- Clocks ---------------------------------------------------------------------------------- */

CASE(clocks_of_others)
{
	clockid_t clock;
	int status;
	pid_t child = fork();

	if (child == 0) {
		for (;;)
			;
	}
	sleep_ms(30);
	is(clock_getcpuclockid(child, &clock), 0);
	yes(now_ns(clock) > 0);
	is(kill(child, SIGKILL), 0);
	is(waitpid(child, &status, 0), child);
	yes(clock_getcpuclockid(child, &clock) != 0);
	is(clock_getcpuclockid(0, &clock), 0);
	yes(now_ns(clock) > 0);
}

CASE(clocks_that_cannot_be_set)
{
	struct timespec t = { 1, 0 };

	fails(clock_settime(CLOCK_MONOTONIC, &t), EINVAL);
	fails(clock_settime(1234, &t), EINVAL);
	t.tv_nsec = 1000 * MS;
	fails(clock_settime(CLOCK_REALTIME, &t), EINVAL);
}

/* ---- Sleeping -------------------------------------------------------------------------------- */

/* A stop does not shorten it, nor begin it anew. */
CASE(sleep_over_a_stop)
{
	struct timespec t = { 1, 0 };
	int64_t before = now_ns(CLOCK_MONOTONIC), took;
	int status;
	pid_t child = fork();

	if (child == 0)
		_exit(nanosleep(&t, NULL) == 0 ? 0 : 1);
	sleep_ms(600);
	is(kill(child, SIGSTOP), 0);
	is(waitpid(child, &status, WUNTRACED), child);
	sleep_ms(100);
	is(kill(child, SIGCONT), 0);
	is(waitpid(child, &status, 0), child);
	is(status, 0);
	took = now_ns(CLOCK_MONOTONIC) - before;
	yes(took >= 1000 * MS);
	yes(took < 1500 * MS); /* anew: 1,700 */
}

/* The parent is told why, by a signal and by waitid(). */
CASE(stopped_and_going_on)
{
	siginfo_t info;
	pid_t child;

	on(SIGCHLD);
	child = fork();
	if (child == 0) {
		for (;;)
			pause();
	}
	is(kill(child, SIGSTOP), 0);
	while (seen.si_code != CLD_STOPPED)
		;
	is(seen.si_pid, child);
	is(seen.si_status, SIGSTOP);
	is(waitid(P_PID, (id_t)child, &info, WSTOPPED), 0);
	is(kill(child, SIGCONT), 0);
	while (seen.si_code != CLD_CONTINUED)
		;
	is(seen.si_pid, child);
	is(waitid(P_PID, (id_t)child, &info, WCONTINUED), 0);
	is(info.si_code, CLD_CONTINUED);
	is(kill(child, SIGKILL), 0);
	is(waitid(P_PID, (id_t)child, &info, WEXITED), 0);
	is(info.si_code, CLD_KILLED);
}

/* Nobody waits for children of who does not want to, though it is told of them. */
CASE(no_zombies_wanted)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_NOCLDWAIT };
	int status;

	is(sigaction(SIGCHLD, &action, NULL), 0);
	if (fork() == 0)
		_exit(0);
	fails(wait(&status), ECHILD);
	is(count, 1);
}
