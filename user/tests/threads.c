/* SPDX-License-Identifier: MIT */
/* Threads: one memory on several processors, futexes, what happens to the others at the end. */
#include "ktap.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define FUTEX_WAIT	   0 /* <linux/futex.h> does not come with the C library */
#define FUTEX_WAKE	   1
#define FUTEX_PRIVATE_FLAG 128

#define NR 4 /* threads */

static long
futex(atomic_int *word, int op, int value, const struct timespec *limit)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, limit, NULL, 0);
}

static pthread_t
start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	need(pthread_create(&thread, NULL, run, arg) == 0);
	return thread;
}

static void *
join(pthread_t thread)
{
	void *result;

	need(pthread_join(thread, &result) == 0);
	return result;
}

static void *
add_one(void *arg)
{
	return (char *)arg + 1;
}

CASE(results)
{
	for (intptr_t i = 0; i < 20; i++)
		is(join(start(add_one, (void *)i)), i + 1);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *
count_up(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
	}
	return NULL;
}

CASE(a_mutex)
{
	pthread_t threads[NR];

	for (int i = 0; i < NR; i++)
		threads[i] = start(count_up, NULL);
	for (int i = 0; i < NR; i++)
		join(threads[i]);
	is(counter, NR * 20000);
}

static pthread_cond_t turn_came = PTHREAD_COND_INITIALIZER;
static int turn;

static void *
take_turns(void *arg)
{
	int mine = (intptr_t)arg;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < 50; i++) {
		while (turn % NR != mine)
			pthread_cond_wait(&turn_came, &lock);
		turn++;
		pthread_cond_broadcast(&turn_came);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

CASE(a_condition)
{
	pthread_t threads[NR];

	for (intptr_t i = 0; i < NR; i++)
		threads[i] = start(take_turns, (void *)i);
	for (int i = 0; i < NR; i++)
		join(threads[i]);
	is(turn, NR * 50);
}

static __thread int own = 5;

static void *
change_own(void *arg)
{
	int before = own;

	own = (intptr_t)arg;
	usleep(1000);
	return (void *)(intptr_t)(before * 1000 + own);
}

CASE(variables_of_each_thread)
{
	pthread_t one = start(change_own, (void *)1), two = start(change_own, (void *)2);

	own = 9;
	is(join(one), 5001);
	is(join(two), 5002);
	is(own, 9);
}

static void *
ids(void *arg)
{
	*(pid_t *)arg = getpid();
	return (void *)syscall(SYS_gettid);
}

CASE(identity)
{
	pid_t pid;
	long tid = (long)join(start(ids, &pid));

	is(pid, getpid());
	yes(tid != getpid());
	is(syscall(SYS_gettid), getpid());
	is(syscall(SYS_set_tid_address, NULL), getpid());
}

/* ---- Futexes -------------------------------------------------------------------------------- */

CASE(a_futex_that_has_changed)
{
	atomic_int word = 1;
	struct timespec soon = { 0, 20000000 };

	fails(futex(&word, FUTEX_WAIT, 0, NULL), EAGAIN);
	fails(futex(&word, FUTEX_WAIT, 1, &soon), ETIMEDOUT);
	is(futex(&word, FUTEX_WAKE, 10, NULL), 0);
}

static atomic_int gate, waiting, through;

static void *
wait_at_gate(void *arg)
{
	(void)arg;
	waiting++;
	while (gate == 0)
		futex(&gate, FUTEX_WAIT, 0, NULL);
	through++;
	return NULL;
}

static void
until(atomic_int *value, int wanted)
{
	while (*value < wanted)
		usleep(1000);
}

CASE(waking_all)
{
	pthread_t threads[NR];

	for (int i = 0; i < NR; i++)
		threads[i] = start(wait_at_gate, NULL);
	until(&waiting, NR);
	usleep(20000);
	is(through, 0);
	gate = 1;
	futex(&gate, FUTEX_WAKE, NR, NULL);
	for (int i = 0; i < NR; i++)
		join(threads[i]);
	is(through, NR);
}

CASE(between_processes)
{
	atomic_int *word =
	    mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	need(word != MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		while (*word == 0)
			syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(*word);
	}
	usleep(20000);
	*word = 3;
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	is(ended(pid), 3);
}

CASE(a_private_futex_is_not_the_childs)
{
	static atomic_int word;
	struct timespec limit = { 0, 50000000 };
	pid_t pid = fork();

	if (pid == 0)
		_exit(futex(&word, FUTEX_WAIT, 0, &limit) == -1 && errno == ETIMEDOUT ? 0 : 1);
	usleep(10000);
	is(futex(&word, FUTEX_WAKE, 1, NULL), 0);
	is(ended(pid), 0);
}

/* ---- One memory ----------------------------------------------------------------------------- */

static void *
touch_pages(void *arg)
{
	volatile char *memory = arg;

	for (int i = 0; i < 256; i++)
		__sync_fetch_and_add((int *)(memory + i * PAGE), 1);
	return NULL;
}

CASE(faults_at_the_same_pages)
{
	char *memory = map(256);
	pthread_t threads[NR];
	bool whole = true;

	for (int i = 0; i < NR; i++)
		threads[i] = start(touch_pages, memory);
	for (int i = 0; i < NR; i++)
		join(threads[i]);
	for (int i = 0; i < 256; i++)
		whole &= *(int *)(memory + i * PAGE) == NR;
	yes(whole);
}

static volatile char *volatile target;
static atomic_int reading, stop;

/* Reads the target until it is gone or stop is set. */
static void *
read_target(void *arg)
{
	struct fault fault;

	(void)arg;
	reading = 1;
	do {
		fault = fault_of(READ, target);
	} while (fault.signal == 0 && !stop);
	return (void *)(intptr_t)(fault.signal * 100 + fault.code);
}

CASE(unmapping_reaches_the_other_processors)
{
	pthread_t thread;

	target = map(1);
	*target = 1;
	thread = start(read_target, NULL);
	until(&reading, 1);
	is(munmap((void *)target, PAGE), 0);
	is(join(thread), SIGSEGV * 100 + SEGV_MAPERR);
}

CASE(protection_reaches_the_other_processors)
{
	pthread_t thread;

	target = map(1);
	*target = 1;
	thread = start(read_target, NULL);
	until(&reading, 1);
	is(mprotect((void *)target, PAGE, PROT_NONE), 0);
	is(join(thread), SIGSEGV * 100 + SEGV_ACCERR);
}

static void *
map_and_unmap(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		char *memory = map(8);

		for (int j = 0; j < 8; j++)
			need(memory[j * PAGE] == 0);
		memset(memory, 0xee, 8 * PAGE);
		need(munmap(memory, 8 * PAGE) == 0);
	}
	return NULL;
}

CASE(everyone_maps_and_unmaps)
{
	pthread_t threads[NR];

	for (int i = 0; i < NR; i++)
		threads[i] = start(map_and_unmap, NULL);
	for (int i = 0; i < NR; i++)
		is(join(threads[i]), NULL);
}

static void *
write_always(void *arg)
{
	volatile long *memory = arg;

	reading = 1;
	for (long i = 1; !stop; i++)
		memory[0] = memory[512] = i;
	return NULL;
}

/* A child's copy must stand still, though another thread of the parent writes on and on. */
CASE(fork_while_another_thread_writes)
{
	long *memory = (long *)map(2);
	pthread_t thread = start(write_always, memory);

	until(&reading, 1);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			volatile long *copy = memory;
			long first = copy[0], second = copy[512];

			for (int j = 0; j < 1000; j++) {
				if (copy[0] != first || copy[512] != second)
					_exit(1);
			}
			_exit(0);
		}
		is(ended(pid), 0);
	}
	stop = 1;
	join(thread);
}

/* ---- The end of it all ---------------------------------------------------------------------- */

static void *
sleep_forever(void *arg)
{
	(void)arg;
	waiting++;
	while (!stop)
		pause();
	return NULL;
}

static void *
spin_forever(void *arg)
{
	(void)arg;
	waiting++;
	while (!stop)
		;
	return NULL;
}

static void
end_with_others(void (*end)(void))
{
	start(sleep_forever, NULL);
	start(spin_forever, NULL);
	until(&waiting, 2);
	end();
}

static void
exit_7(void)
{
	_exit(7);
}

static void
null(void)
{
	char *volatile nowhere = (char *)8;

	*nowhere = 1;
}

static void
execute(void)
{
	execl("/bin/busybox", "sh", "-c", "exit 9", NULL);
}

CASE(the_others_end_too)
{
	static void (*const ends[])(void) = { exit_7, null, abort, execute };
	static const int statuses[] = { 7, -SIGSEGV, -SIGABRT, 9 };

	for (int i = 0; i < 4; i++) {
		pid_t pid = fork();

		if (pid == 0)
			end_with_others(ends[i]);
		is(ended(pid), statuses[i]);
	}
}

static void *
run_on(void *arg)
{
	(void)arg;
	usleep(20000);
	_exit(11);
}

CASE(the_first_thread_may_end_first)
{
	pid_t pid = fork();

	if (pid == 0) {
		start(run_on, NULL);
		pthread_exit(NULL);
	}
	is(ended(pid), 11);
}

static void *
execute_9(void *arg)
{
	(void)arg;
	execute();
	return NULL;
}

CASE(another_thread_may_exec)
{
	pid_t pid = fork();

	if (pid == 0) {
		start(execute_9, NULL);
		for (;;)
			pause();
	}
	is(ended(pid), 9);
}

static volatile pid_t handled_by;

static void
note_thread(int signal)
{
	(void)signal;
	handled_by = syscall(SYS_gettid);
}

CASE(a_signal_for_one_thread)
{
	pthread_t thread;

	signal(SIGUSR1, note_thread);
	thread = start(sleep_forever, NULL);
	until(&waiting, 1);
	is(pthread_kill(thread, SIGUSR1), 0);
	while (!handled_by)
		usleep(1000);
	yes(handled_by != getpid());
	is(raise(SIGUSR1), 0);
	is(handled_by, getpid());
}

/* ---- Signals that another thread takes after all ------------------------------------------------
 */

static atomic_int nr_taken;

/* Takes one of the signals of a set, and ends. */
static void *
take_one(void *set)
{
	int signal;

	if (sigwait(set, &signal) == 0)
		atomic_fetch_add(&nr_taken, 1);
	return NULL;
}

CASE(as_many_threads_wake_as_signals_come)
{
	pthread_t thread[4];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	for (int round = 0; round < 20; round++) {
		nr_taken = 0;
		for (int i = 0; i < 4; i++)
			need(pthread_create(&thread[i], NULL, take_one, &set) == 0);
		usleep(2000);
		/* All at once: the first is not yet awake when the last comes. */
		kill(getpid(), SIGUSR1);
		kill(getpid(), SIGUSR2);
		kill(getpid(), SIGTERM);
		kill(getpid(), SIGHUP);
		for (int i = 0; i < 4; i++)
			need(pthread_join(thread[i], NULL) == 0);
		is(nr_taken, 4);
	}
}

static volatile sig_atomic_t who_took;

static void
note_who(int signal)
{
	(void)signal;
	who_took = gettid();
}

static void *
sleep_until_taken(void *arg)
{
	*(volatile int *)arg = gettid();
	while (!who_took)
		usleep(1000);
	return NULL;
}

CASE(who_blocks_a_signal_leaves_it_to_others)
{
	struct sigaction action = { .sa_handler = note_who };
	volatile int tid = 0;
	pthread_t thread;
	sigset_t set, all;

	need(sigaction(SIGUSR1, &action, NULL) == 0);
	sigfillset(&all);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	need(pthread_create(&thread, NULL, sleep_until_taken, (void *)&tid) == 0);
	while (!tid)
		usleep(1000);
	/* A handler runs with it blocked, and it comes again: the other thread is there for that.
	 */
	need(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	is(kill(getpid(), SIGUSR1), 0);
	need(pthread_join(thread, NULL) == 0);
	is(who_took, tid);
}
