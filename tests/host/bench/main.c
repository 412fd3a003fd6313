/* SPDX-License-Identifier: MIT */
/*
 * host-bench: IKOS's allocators beside glibc's, mimalloc and jemalloc, on the same traces, in
 * one process.
 *
 * The subjects take turns, A B C A B C ..., so that a slow moment of this machine hits all of
 * them; a ratio is the median of the ratios within each turn. One thread on one processor
 * counts its own processor time, so what else runs here costs it caches but not the time
 * that it does not run. Several threads are measured by the clock on the wall.
 *
 *	host-bench [-n TURNS] [-s SEED] [TRACE]	 all traces, or those whose name holds TRACE
 *	host-bench -1 ...			 without the traces of several threads
 *	host-bench -c				 only check: every byte, once; TAP
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_TURNS    101
#define MAX_SUBJECTS 6
#define NR_FOREIGN   3
#define NR_LISTED    6

/* The foreign ones first: ratios are to them. */
static struct subject *const listed[NR_LISTED] = {
	&subject_glibc, &subject_mimalloc, &subject_jemalloc,
	&subject_pages, &subject_kmem,	   &subject_kmalloc,
};

static struct subject *subjects[MAX_SUBJECTS];
static unsigned nr_subjects, nr_foreign;

/* Nanoseconds for an allocation and a free, by subject and turn. */
static double ns[MAX_SUBJECTS][MAX_TURNS];
static unsigned nr_turns = 15;

static void
set_up_subjects(void)
{
	for (unsigned i = 0; i < NR_LISTED; i++) {
		struct subject *subject = listed[i];

		if (!subject || (subject->setup && !subject->setup()))
			continue;
		nr_foreign += i < NR_FOREIGN;
		subjects[nr_subjects++] = subject;
	}
}

static bool
serves(const struct subject *subject, const struct trace *trace)
{
	return subject->only_size == 0 || subject->only_size == trace->size;
}

static _Noreturn void
out_of_memory(const struct subject *subject, const struct trace *trace)
{
	fprintf(stderr, "host-bench: %s: no memory for %s\n", subject->name, trace->name);
	exit(1);
}

static void **
make_slots(const struct trace *trace)
{
	void **slots = calloc(trace->nr_slots, sizeof(*slots));

	if (!slots)
		abort();
	return slots;
}

/* ---- Figures ------------------------------------------------------------------------- */

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(const double *values, unsigned nr)
{
	double sorted[MAX_TURNS];

	memcpy(sorted, values, nr * sizeof(*values));
	qsort(sorted, nr, sizeof(*sorted), compare);
	return sorted[nr / 2];
}

static double
median_ratio(const double *values, const double *to, unsigned nr)
{
	double ratio[MAX_TURNS];

	for (unsigned i = 0; i < nr; i++)
		ratio[i] = values[i] / to[i];
	return median(ratio, nr);
}

static void
print_head(const char *what)
{
	printf("\n%-32s %-13s %8s", what, "", "ns");
	for (unsigned i = 0; i < nr_foreign; i++)
		printf("  x %-9s", subjects[i]->name);
	putchar('\n');
}

static void
print_figures(const struct trace *trace)
{
	for (unsigned i = 0; i < nr_subjects; i++) {
		if (!serves(subjects[i], trace))
			continue;
		printf("%-32s %-13s %8.1f", trace->name, subjects[i]->name,
		       median(ns[i], nr_turns));
		for (unsigned j = 0; j < nr_foreign && i >= nr_foreign; j++)
			printf("  %-11.2f", median_ratio(ns[i], ns[j], nr_turns));
		putchar('\n');
	}
}

/* ---- One thread ------------------------------------------------------------------------ */

static double
measure(const struct trace *trace, const struct subject *subject, void **slots)
{
	double start = thread_ns();

	for (unsigned lap = 0; lap < trace->laps; lap++) {
		if (!trace_replay(trace, subject, slots))
			out_of_memory(subject, trace);
	}
	return (thread_ns() - start) / ((double)trace->nr_allocs * trace->laps);
}

static void
bench_trace(const struct trace *trace)
{
	void **slots = make_slots(trace);

	/* Turn 0 counts from its second time: the first warms up. */
	for (unsigned turn = 0; turn <= nr_turns; turn++) {
		for (unsigned i = 0; i < nr_subjects; i++) {
			if (serves(subjects[i], trace))
				ns[i][turn ? turn - 1 : 0] = measure(trace, subjects[i], slots);
		}
	}
	free(slots);
	print_figures(trace);
}

/* ---- Several threads ---------------------------------------------------------------------- */

void host_run_threads(unsigned nr, void (*fn)(unsigned cpu, void *arg), void *arg);

#define MAX_THREADS 16
#define TEAM_TURNS  5 /* at most: an allocator with one lock takes its time */
#define TEAM_LAPS   8 /* times those of one thread: threads do not start at the same moment */

struct team {
	const struct trace *trace;
	const struct subject *subject;
	unsigned nr_threads, nr_ready; /* nr_ready is atomic */
	double start[MAX_THREADS], end[MAX_THREADS], own_time[MAX_THREADS];
};

static void
replay_in_thread(unsigned cpu, void *arg)
{
	struct team *team = arg;
	void **slots = make_slots(team->trace);

	pin_thread(cpu);
	for (unsigned lap = 0; lap <= team->trace->laps * TEAM_LAPS; lap++) {
		/* The first lap warms up. */
		if (lap == 1) {
			__atomic_add_fetch(&team->nr_ready, 1, __ATOMIC_RELAXED);
			while (__atomic_load_n(&team->nr_ready, __ATOMIC_RELAXED) <
			       team->nr_threads)
				relax();
			team->start[cpu] = wall_ns();
			team->own_time[cpu] = thread_ns();
		}
		if (!trace_replay(team->trace, team->subject, slots))
			out_of_memory(team->subject, team->trace);
	}
	team->own_time[cpu] = thread_ns() - team->own_time[cpu];
	team->end[cpu] = wall_ns();
	free(slots);
}

struct team_times {
	double wall[MAX_TURNS]; /* ns for each allocation and free of any of the threads */
	double own[MAX_TURNS];	/* the same, of the processor time of its thread */
};

static void
measure_team(const struct trace *trace, const struct subject *subject, unsigned nr_threads,
	     struct team_times *times, unsigned at)
{
	struct team team = { .trace = trace, .subject = subject, .nr_threads = nr_threads };
	double nr_pairs = (double)trace->nr_allocs * trace->laps * TEAM_LAPS * nr_threads;
	double start, end, own_time = 0;

	host_run_threads(nr_threads, replay_in_thread, &team);
	start = team.start[0];
	end = team.end[0];
	for (unsigned i = 0; i < nr_threads; i++) {
		start = team.start[i] < start ? team.start[i] : start;
		end = team.end[i] > end ? team.end[i] : end;
		own_time += team.own_time[i];
	}
	times->wall[at] = (end - start) / nr_pairs;
	times->own[at] = own_time / nr_pairs;
}

static void
bench_threads(const struct trace *trace, unsigned nr_threads)
{
	static struct team_times alone[MAX_SUBJECTS], together[MAX_SUBJECTS];
	unsigned turns = nr_turns < TEAM_TURNS ? nr_turns : TEAM_TURNS;

	for (unsigned turn = 0; turn <= turns; turn++) {
		for (unsigned i = 0; i < nr_subjects; i++) {
			unsigned at = turn ? turn - 1 : 0;

			if (!serves(subjects[i], trace))
				continue;
			measure_team(trace, subjects[i], 1, &alone[i], at);
			measure_team(trace, subjects[i], nr_threads, &together[i], at);
		}
	}
	for (unsigned i = 0; i < nr_subjects; i++) {
		if (serves(subjects[i], trace))
			printf("%-32s %-13s %10.1f %11.1f %9.2f %11.2f\n", trace->name,
			       subjects[i]->name, 1000 / median(alone[i].wall, turns),
			       1000 / median(together[i].wall, turns),
			       median_ratio(alone[i].wall, together[i].wall, turns),
			       median_ratio(together[i].own, alone[i].own, turns));
	}
}

/* ---- Memory ------------------------------------------------------------------------------- */

static double
percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/*
 * Rounded up: what sizes lose to the size set aside, of that. Beside: frames and pages in use
 * that hold no object, of those.
 */
static void
print_usage(const struct trace *trace)
{
	for (unsigned i = nr_foreign; i < nr_subjects; i++) {
		void **slots = make_slots(trace);
		struct usage usage;
		const char *wrong;

		if (subjects[i]->used && serves(subjects[i], trace)) {
			wrong = trace_check(trace, subjects[i], slots, &usage);
			if (wrong) {
				fprintf(stderr, "host-bench: %s: %s\n", subjects[i]->name, wrong);
				exit(1);
			}
			printf("%-32s %-13s %9.0f %9.0f %9.1f %% %7.1f %%\n", trace->name,
			       subjects[i]->name, (double)usage.live / 1024,
			       (double)usage.used / 1024,
			       percent(usage.usable - usage.live, usage.usable),
			       percent(usage.used - usage.usable, usage.used));
		}
		free(slots);
	}
}

/* ---- What is asked for ------------------------------------------------------------------- */

static int
check_all(void)
{
	unsigned number = 0, failed = 0;

	for (unsigned i = 0; i < nr_subjects; i++) {
		for (unsigned j = 0; j < nr_bench_traces; j++) {
			void **slots = make_slots(&bench_traces[j]);
			struct usage usage;
			const char *wrong;

			if (serves(subjects[i], &bench_traces[j])) {
				wrong = trace_check(&bench_traces[j], subjects[i], slots, &usage);
				if (wrong)
					printf("# %s\n", wrong);
				printf("%sok %u - %s: %s\n", wrong ? "not " : "", ++number,
				       subjects[i]->name, bench_traces[j].name);
				failed += wrong != NULL;
			}
			free(slots);
		}
	}
	printf("1..%u\n", number);
	return failed != 0;
}

/* What a replay costs by itself, in every figure. */
static void *
alloc_nothing(size_t size)
{
	static uint64_t object;

	(void)size;
	return &object;
}

static void
free_nothing(void *object)
{
	(void)object;
}

static void
print_machine(void)
{
	static const struct subject nothing = { .alloc = alloc_nothing, .free = free_nothing };
	const struct trace *pair = &bench_traces[0];
	void **slots = make_slots(pair);

	measure(pair, &nothing, slots);
	printf("# median of %u turns. In each figure: %.1f ns of the replay itself. Interrupts "
	       "off and on again: %.1f ns\n",
	       nr_turns, measure(pair, &nothing, slots), interrupt_flag_ns());
	free(slots);
}

static void
bench_all(const char *only, unsigned nr_threads)
{
	pin_thread(0);
	print_machine();
	print_head("an allocation and a free");
	for (unsigned i = 0; i < nr_bench_traces; i++) {
		if (strstr(bench_traces[i].name, only))
			bench_trace(&bench_traces[i]);
	}
	if (nr_threads > 1)
		printf("\n%-32s %-13s %10s %6u thr. %9s %11s\n", "million pairs a second", "",
		       "1 thread", nr_threads, "ratio", "own time x");
	for (unsigned i = 0; i < nr_bench_traces && nr_threads > 1; i++) {
		if (strstr(bench_traces[i].name, only) && bench_traces[i].in_threads)
			bench_threads(&bench_traces[i], nr_threads);
	}
	pin_thread(0);
	printf("\n%-32s %-13s %9s %9s %11s %9s\n", "memory", "", "KiB live", "KiB used",
	       "rounded up", "beside");
	for (unsigned i = 0; i < nr_bench_traces; i++) {
		if (strstr(bench_traces[i].name, only) && bench_traces[i].measure_used)
			print_usage(&bench_traces[i]);
	}
}

int
main(int argc, char **argv)
{
	uint64_t seed = 1;
	unsigned nr_threads = count_processors();
	bool check = false;
	int option, status = 0;

	make_room_for_libraries(argv);
	nr_threads = nr_threads < MAX_THREADS ? nr_threads : MAX_THREADS;

	while ((option = getopt(argc, argv, "1cn:s:")) != -1) {
		if (option == '1')
			nr_threads = 1;
		if (option == 'c')
			check = true;
		if (option == 'n')
			nr_turns = (unsigned)strtoul(optarg, NULL, 0);
		if (option == 's')
			seed = strtoull(optarg, NULL, 0);
		if (option == '?' || nr_turns < 1 || nr_turns > MAX_TURNS) {
			fprintf(stderr, "usage: %s [-1] [-c] [-n TURNS] [-s SEED] [TRACE]\n",
				argv[0]);
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned i = 0; i < nr_bench_traces; i++)
		bench_traces[i].generate(&bench_traces[i], seed);
	set_up_subjects();
	if (check)
		status = check_all();
	else
		bench_all(argv[optind] ? argv[optind] : "", nr_threads);
	for (unsigned i = 0; i < nr_subjects; i++) {
		if (subjects[i]->teardown)
			subjects[i]->teardown();
	}
	return status;
}
