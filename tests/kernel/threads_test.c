/* SPDX-License-Identifier: MIT */
/*
 * Threads: they run, sleep, wait and end; no wake-up is lost; one that spins does not keep
 * the others from running; and a seeded, varying tick preempts at repeatable places.
 */
#include <ktest.h>
#include <percpu.h>
#include <string.h>
#include <thread.h>
#include <time.h>
#include <watchdog.h>

static struct thread *
start(struct ktest *t, const char *name, void (*entry)(void *), void *arg, int cpu)
{
	struct thread *thread = thread_create(name, entry, arg, cpu);

	assert_true(t, thread != NULL);
	return thread;
}

/*
 * How long some 2000 instructions take, if that is always the same, else 0: whether
 * instructions are the clock.
 */
static uint64_t
clock_counts_instructions(void)
{
	irqflags_t flags = arch_irq_save();
	uint64_t first = 0;
	bool same = true;

	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = time_ns(), taken;

		for (unsigned n = 0; n < 1000; n++)
			__asm__ volatile("");
		taken = time_ns() - before;
		if (i == 0)
			first = taken;
		same = same && taken == first;
	}
	arch_irq_restore(flags);
	return same ? first : 0;
}

/* ---- Life ---------------------------------------------------------------------------- */

static void
increment(void *arg)
{
	__atomic_add_fetch((unsigned *)arg, 1, __ATOMIC_RELAXED);
}

#define ROUNDS 5

KTEST(threads, create_and_join_many, .budget_ms = 30000)
{
	struct thread *threads[16];
	unsigned ran = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
			threads[i] = start(t, "increment", increment, &ran, CPU_ANY);
		for (unsigned i = 0; i < ARRAY_SIZE(threads); i++)
			thread_join(threads[i]);
	}
	expect_eq(t, ran, ROUNDS * ARRAY_SIZE(threads));
}

static void
copy_name(void *arg)
{
	strlcpy(arg, thread_name(thread_current()), 32);
}

KTEST(threads, names)
{
	char name[32];

	expect_true(t, strcmp(thread_name(thread_current()), "main") == 0);
	thread_join(start(t, "short", copy_name, name, CPU_ANY));
	expect_true(t, strcmp(name, "short") == 0);
	thread_join(start(t, "a name that is too long to be kept", copy_name, name, CPU_ANY));
	expect_true(t, strcmp(name, "a name that is too long") == 0);
}

/* There are 1024 stacks. Without one left, thread_create() says so, and recovers. */
KTEST(threads, no_stack_left, .budget_ms = 30000)
{
	static struct thread *threads[1024];
	unsigned ran = 0, nr = 0;

	if (nr_cpus > 2)
		ktest_skip(t, "takes too long: every join interrupts all CPUs");
	while (nr < ARRAY_SIZE(threads) &&
	       (threads[nr] = thread_create("increment", increment, &ran, CPU_ANY)))
		nr++;
	expect_lt(t, nr, ARRAY_SIZE(threads));
	for (unsigned i = 0; i < nr; i++)
		thread_join(threads[i]);
	expect_eq(t, ran, nr);
	thread_join(start(t, "increment", increment, &ran, CPU_ANY));
	expect_eq(t, ran, nr + 1);
}

/* ---- Sleep ----------------------------------------------------------------------------- */

/* Late is allowed where the emulator does not control time; early never is. */
#define LATE_NS (500 * NSEC_PER_MSEC)

KTEST(threads, sleep_lasts_as_long_as_asked, .budget_ms = 30000)
{
	static const uint64_t durations[] = {
		0, 1, 1000, 50000, NSEC_PER_MSEC, 13 * NSEC_PER_MSEC, 50 * NSEC_PER_MSEC
	};

	for (unsigned i = 0; i < ARRAY_SIZE(durations); i++) {
		uint64_t before = time_ns(), slept;

		thread_sleep_ns(durations[i]);
		slept = time_ns() - before;
		expect_le(t, durations[i], slept);
		expect_lt(t, slept, durations[i] + LATE_NS);
	}
}

#define SLEEPERS 8

static uint64_t due[SLEEPERS]; /* in the order of waking */
static unsigned nr_awake;

static void
sleep_a_while(void *arg)
{
	uint64_t ns = *(const uint64_t *)arg, when = time_ns() + ns;

	thread_sleep_ns(ns);
	due[__atomic_fetch_add(&nr_awake, 1, __ATOMIC_RELAXED)] = when;
}

/* All on one CPU, so that they share a list of sleepers; put to sleep out of order. */
KTEST(threads, sleepers_wake_in_order, .budget_ms = 30000)
{
	struct thread *threads[SLEEPERS];
	uint64_t ns[SLEEPERS];

	nr_awake = 0;
	for (unsigned i = 0; i < SLEEPERS; i++) {
		ns[i] = (1 + i * 5 % SLEEPERS) * 20 * NSEC_PER_MSEC;
		threads[i] = start(t, "sleeper", sleep_a_while, &ns[i], 0);
	}
	for (unsigned i = 0; i < SLEEPERS; i++)
		thread_join(threads[i]);
	expect_eq(t, nr_awake, SLEEPERS);
	/* A CPU that its host stops for long wakes several at once; then any may be first. */
	for (unsigned i = 1; i < SLEEPERS && clock_counts_instructions(); i++)
		expect_lt(t, due[i - 1], due[i]);
}

/* ---- Waiting ------------------------------------------------------------------------------ */

static spinlock_t lock = SPINLOCK_INIT("test", RANK_TEST);

#define PING_ROUNDS 3000

static struct {
	struct wait_queue queue[2];
	unsigned turn;	 /* guarded by lock: whose it is */
	unsigned rounds; /* guarded by lock */
} ball;

/* arg: player 0 or 1 */
static void
play(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;

	for (unsigned i = 0; i < PING_ROUNDS; i++) {
		irqflags_t flags = spin_lock_irqsave(&lock);

		while (ball.turn != me)
			wait_on(&ball.queue[me], &lock);
		ball.turn = !me;
		ball.rounds++;
		spin_unlock_irqrestore(&lock, flags);
		wake_one(&ball.queue[!me]);
	}
}

/* A single lost wake-up would leave both asleep. param 0: anywhere; 1: one CPU; 2: two CPUs */
KTEST(threads, ping_pong_loses_no_wakeup, .nr_params = 3, .budget_ms = 30000)
{
	struct thread *players[2];
	uint64_t tick_ns;

	if (t->param == 2 && nr_cpus < 2)
		ktest_skip(t, "needs 2 CPUs");
	ball.turn = 0;
	ball.rounds = 0;
	wait_queue_init(&ball.queue[0]);
	wait_queue_init(&ball.queue[1]);
	/* Ticks of a few microseconds of the host's time would leave it none for anything else. */
	tick_ns = clock_counts_instructions() ? 5000 : 200000;
	sched_fuzz_ticks(tick_ns, 20 * tick_ns, t->seed);
	for (unsigned i = 0; i < 2; i++) {
		int cpu = t->param == 0 ? CPU_ANY : t->param == 1 ? 0 : (int)i;

		players[i] = start(t, "player", play, (void *)(uintptr_t)i, cpu);
	}
	for (unsigned i = 0; i < 2; i++)
		thread_join(players[i]);
	sched_fuzz_ticks(0, 0, 0);
	expect_eq(t, ball.rounds, 2 * PING_ROUNDS);
}

#define TAKERS 6
#define ITEMS  600

static struct {
	struct wait_queue filled;
	unsigned available, taken; /* guarded by lock */
	bool closed;		   /* guarded by lock */
} shelf;

static void
take_items(void *arg)
{
	irqflags_t flags = spin_lock_irqsave(&lock);

	(void)arg;
	for (;;) {
		while (shelf.available == 0 && !shelf.closed)
			wait_on(&shelf.filled, &lock);
		if (shelf.available == 0)
			break;
		shelf.available--;
		shelf.taken++;
	}
	spin_unlock_irqrestore(&lock, flags);
}

/* One waiter is woken for each item, all of them at the end. */
KTEST(threads, wake_one_and_wake_all, .budget_ms = 30000)
{
	struct thread *takers[TAKERS];

	memset(&shelf, 0, sizeof(shelf));
	wait_queue_init(&shelf.filled);
	for (unsigned i = 0; i < TAKERS; i++)
		takers[i] = start(t, "taker", take_items, NULL, CPU_ANY);
	for (unsigned i = 0; i < ITEMS; i++) {
		irqflags_t flags = spin_lock_irqsave(&lock);

		shelf.available++;
		wake_one(&shelf.filled); /* with the lock held is allowed too */
		spin_unlock_irqrestore(&lock, flags);
		if (prng_below(&t->prng, 4) == 0)
			thread_yield();
	}
	spin_lock_irqsave(&lock);
	shelf.closed = true;
	spin_unlock_irqrestore(&lock, RFLAGS_IF);
	wake_all(&shelf.filled);
	for (unsigned i = 0; i < TAKERS; i++)
		thread_join(takers[i]);
	expect_eq(t, shelf.taken, ITEMS);
}

/* ---- Preemption and placement --------------------------------------------------------------- */

static void
spin_until_set(void *arg)
{
	while (!__atomic_load_n((unsigned *)arg, __ATOMIC_ACQUIRE))
		arch_cpu_relax();
}

/* On the same CPU, the second thread only runs if the first, which spins, is preempted. */
KTEST(threads, spinning_thread_is_preempted, .budget_ms = 5000)
{
	unsigned flag = 0;
	struct thread *spinner = start(t, "spin", spin_until_set, &flag, 0);
	struct thread *setter = start(t, "set", increment, &flag, 0);

	thread_join(spinner);
	thread_join(setter);
}

struct stay {
	unsigned cpu, strayed;
};

static void
stay_on_cpu(void *arg)
{
	struct stay *stay = arg;

	for (unsigned i = 0; i < 20; i++) {
		if (cpu_id() != stay->cpu)
			stay->strayed++;
		if (i % 4 == 0)
			thread_sleep_ns(100000);
		else
			thread_yield();
	}
}

KTEST(threads, bound_threads_stay, .budget_ms = 30000)
{
	struct thread *threads[2 * MAX_CPUS];
	struct stay stays[2 * MAX_CPUS];

	for (unsigned i = 0; i < 2 * nr_cpus; i++) {
		stays[i] = (struct stay){ .cpu = i % nr_cpus };
		threads[i] = start(t, "stay", stay_on_cpu, &stays[i], (int)(i % nr_cpus));
	}
	for (unsigned i = 0; i < 2 * nr_cpus; i++) {
		thread_join(threads[i]);
		expect_eq(t, stays[i].strayed, 0);
	}
}

static unsigned nr_met;

static void
meet(void *arg)
{
	(void)arg;
	arch_irq_disable(); /* so nobody can come to this CPU before all have met */
	__atomic_add_fetch(&nr_met, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&nr_met, __ATOMIC_ACQUIRE) < nr_cpus)
		arch_cpu_relax();
	arch_irq_enable();
}

KTEST(threads, all_cpus_run_threads, .budget_ms = 30000)
{
	struct thread *threads[MAX_CPUS];

	nr_met = 0;
	for (unsigned i = 0; i < nr_cpus; i++)
		threads[i] = start(t, "meet", meet, NULL, CPU_ANY);
	for (unsigned i = 0; i < nr_cpus; i++)
		thread_join(threads[i]);
	expect_eq(t, nr_met, nr_cpus);
}

/* ---- Repeatable preemption ------------------------------------------------------------------- */

#define RACERS	   3
#define RACE_STEPS 5000
#define RACE_MAX   1024

/* Who ran, from which of all steps on. Threads on one CPU: nothing else writes here. */
struct race {
	struct wait_queue gate;
	bool open; /* guarded by lock */
	volatile unsigned step;
	volatile unsigned last_runner;
	unsigned nr;
	struct {
		unsigned runner, step;
	} turn[RACE_MAX];
};

static struct race races[3];
static uint64_t tick_ns; /* the shortest tick of a race */

struct racer {
	struct race *race;
	unsigned me;
};

static void
run_race(void *arg)
{
	struct racer *racer = arg;
	struct race *race = racer->race;
	irqflags_t flags = spin_lock_irqsave(&lock);

	while (!race->open)
		wait_on(&race->gate, &lock);
	spin_unlock_irqrestore(&lock, flags);
	for (unsigned i = 0; i < RACE_STEPS; i++) {
		unsigned step = race->step++;

		if (race->last_runner == racer->me || race->nr == RACE_MAX)
			continue;
		race->last_runner = racer->me;
		race->turn[race->nr].runner = racer->me;
		race->turn[race->nr++].step = step;
	}
}

struct referee {
	struct ktest *t;
	struct race *race;
	uint64_t seed;
};

/*
 * Runs on the racers' CPU, so that nothing there depends on other CPUs. Arming the watchdog
 * anew puts its interrupts at the same places of every race.
 */
static void
hold_race(void *arg)
{
	struct referee *referee = arg;
	struct race *race = referee->race;
	struct racer racers[RACERS];
	struct thread *threads[RACERS];

	memset(race, 0, sizeof(*race));
	wait_queue_init(&race->gate);
	race->last_runner = RACERS;
	for (unsigned i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ race, i };
		threads[i] = thread_create("racer", run_race, &racers[i], 0);
		expect_true(referee->t, threads[i] != NULL);
	}
	thread_sleep_ns(NSEC_PER_MSEC); /* all racers at the gate */
	watchdog_arm(KTEST_BUDGET_MS * NSEC_PER_MSEC);
	sched_fuzz_ticks(tick_ns, 5 * tick_ns, referee->seed);
	arch_irq_disable();
	spin_lock(&lock);
	race->open = true;
	spin_unlock(&lock);
	wake_all(&race->gate);
	arch_irq_enable();
	for (unsigned i = 0; i < RACERS; i++)
		if (threads[i])
			thread_join(threads[i]);
	sched_fuzz_ticks(0, 0, 0);
}

KTEST(threads, fuzzed_preemption_repeats)
{
	struct referee referees[3] = {
		{ t, &races[0], t->seed },
		{ t, &races[1], t->seed },
		{ t, &races[2], t->seed + 1 },
	};

	tick_ns = clock_counts_instructions();
	if (!tick_ns)
		ktest_skip(t, "needs a clock that counts instructions");
	for (unsigned i = 0; i < 3; i++)
		thread_join(start(t, "referee", hold_race, &referees[i], 0));
	ktest_note(t, "%u, %u and %u turns", races[0].nr, races[1].nr, races[2].nr);
	expect_le(t, 2 * RACERS, races[0].nr);
	expect_eq(t, races[0].nr, races[1].nr);
	expect_true(t, memcmp(races[0].turn, races[1].turn, sizeof(races[0].turn)) == 0);
	expect_true(t, memcmp(races[0].turn, races[2].turn, sizeof(races[0].turn)) != 0);
}
