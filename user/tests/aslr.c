/* SPDX-License-Identifier: MIT */
/*
 * Where programs begin: how much of it is random, measured; and that it can be turned off.
 *
 * The program executes itself many times, only to say where its parts lie. What is said of a place
 * that has n random bits, from bit 12 (pages) on, is what must hold of n independent coins:
 *
 *	each bit is 1 in half of the samples, and differs from one sample to the next in half of
 *	them; any two of them agree in half; no sum of some of them is always the same (the rank
 *	of the differences over GF(2) is n); two samples are alike as often as chance has it
 *
 * "Half" is within LIMIT standard deviations: false alarms are rarer than one in a million runs.
 */
#include "ktap.h"

#include <math.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/utsname.h>

#define SAMPLES 1500
#define LIMIT	6.0 /* standard deviations */

enum place { MAPPING, STACK, PROGRAM, HEAP, NR_PLACES };

static const struct {
	const char *name;
	unsigned bits;
} places[NR_PLACES] = {
	[MAPPING] = { "mmap", 28 },
	[STACK] = { "stack", 22 },
	[PROGRAM] = { "program", 28 },
	[HEAP] = { "heap", 13 },
};

struct sample {
	uint64_t at[NR_PLACES];
	uint8_t random[16]; /* AT_RANDOM */
};

static struct sample samples[SAMPLES];

/* Executed again: write a sample, and end. */
__attribute__((constructor)) static void
say_places(void)
{
	struct sample sample;

	if (!getenv("SAY_PLACES"))
		return;
	sample.at[MAPPING] =
	    (uintptr_t)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sample.at[STACK] = getauxval(AT_EXECFN);
	sample.at[PROGRAM] = (uintptr_t)say_places;
	sample.at[HEAP] = (uintptr_t)sbrk(0);
	memcpy(sample.random, (const void *)getauxval(AT_RANDOM), sizeof(sample.random));
	_exit(write(1, &sample, sizeof(sample)) != sizeof(sample));
}

static bool
is_ikos(void)
{
	struct utsname name;

	need(uname(&name) == 0);
	return strcmp(name.version, "IKOS") == 0;
}

static void
take(struct sample *sample)
{
	int ends[2];
	pid_t pid;

	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 1);
		execle("/proc/self/exe", "aslr", NULL, (char *[]){ "SAY_PLACES=1", NULL });
		_exit(2);
	}
	need(ended(pid) == 0);
	need(read(ends[0], sample, sizeof(*sample)) == sizeof(*sample));
	close(ends[0]);
	close(ends[1]);
}

/* ---- Statistics ------------------------------------------------------------------------------ */

/* How far a count is from half of n, in standard deviations. */
static double
deviation(unsigned count, unsigned n)
{
	return fabs(count - n / 2.0) / (sqrt(n) / 2);
}

static unsigned
bit_of(const uint64_t *value, unsigned i, unsigned bit)
{
	return value[i] >> bit & 1;
}

/* The rank over GF(2) of the differences from the first value. */
static unsigned
rank_of(const uint64_t *value, unsigned n)
{
	uint64_t basis[64] = { 0 };
	unsigned rank = 0;

	for (unsigned i = 1; i < n; i++) {
		uint64_t rest = value[i] ^ value[0];

		while (rest) {
			unsigned top = 63 - (unsigned)__builtin_clzll(rest);

			if (!basis[top]) {
				basis[top] = rest;
				rank++;
				break;
			}
			rest ^= basis[top];
		}
	}
	return rank;
}

static int
compare(const void *one, const void *two)
{
	uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)two;

	return a < b ? -1 : a > b;
}

/* Pairs of samples that are alike. */
static unsigned
collisions(const uint64_t *value, unsigned n)
{
	static uint64_t sorted[SAMPLES];
	unsigned pairs = 0, run = 0;

	memcpy(sorted, value, n * sizeof(*value));
	qsort(sorted, n, sizeof(*sorted), compare);
	for (unsigned i = 1; i < n; i++) {
		run = sorted[i] == sorted[i - 1] ? run + 1 : 0;
		pairs += run;
	}
	return pairs;
}

/* The worst of all single bits, of their changes, and of all pairs of bits. */
static double
worst_deviation(const uint64_t *value, unsigned n, unsigned bits, double *low, double *high)
{
	double worst = 0;

	*low = 1, *high = 0;
	for (unsigned a = 0; a < bits; a++) {
		unsigned ones = 0, flips = 0;

		for (unsigned i = 0; i < n; i++) {
			ones += bit_of(value, i, a);
			flips += i && bit_of(value, i, a) != bit_of(value, i - 1, a);
		}
		*low = fmin(*low, flips / (n - 1.0));
		*high = fmax(*high, flips / (n - 1.0));
		worst = fmax(worst, fmax(deviation(ones, n), deviation(flips, n - 1)));
		for (unsigned b = 0; b < a; b++) {
			unsigned agree = 0;

			for (unsigned i = 0; i < n; i++)
				agree += bit_of(value, i, a) == bit_of(value, i, b);
			worst = fmax(worst, deviation(agree, n));
		}
	}
	return worst;
}

static void
check_place(enum place place)
{
	static uint64_t value[SAMPLES];
	unsigned bits = places[place].bits, rank, pairs;
	double worst, low, high, expected = SAMPLES * (SAMPLES - 1.0) / 2 / pow(2, bits);

	for (unsigned i = 0; i < SAMPLES; i++)
		value[i] = samples[i].at[place] / PAGE & ((1ul << bits) - 1);
	worst = worst_deviation(value, SAMPLES, bits, &low, &high);
	rank = rank_of(value, SAMPLES);
	pairs = collisions(value, SAMPLES);
	printf("# %s: %u bits; a bit changes in %.1f to %.1f %%, worst deviation %.1f; rank %u; "
	       "%u pairs alike, %.3f expected\n",
	       places[place].name, bits, 100 * low, 100 * high, worst, rank, pairs, expected);
	yes(worst < LIMIT);
	is(rank, bits);
	yes(pairs <= expected + 3 + LIMIT * sqrt(expected));
}

/* All bytes of AT_RANDOM, as two numbers. */
static void
check_random_bytes(void)
{
	static uint64_t value[SAMPLES];
	double low, high;

	for (unsigned half = 0; half < 2; half++) {
		for (unsigned i = 0; i < SAMPLES; i++)
			memcpy(&value[i], samples[i].random + 8 * half, sizeof(value[i]));
		yes(worst_deviation(value, SAMPLES, 64, &low, &high) < LIMIT);
		is(rank_of(value, SAMPLES), 64);
		is(collisions(value, SAMPLES), 0);
	}
}

CASE(every_place_has_its_bits)
{
	for (unsigned i = 0; i < SAMPLES; i++)
		take(&samples[i]);
	for (enum place place = 0; place < NR_PLACES; place++)
		check_place(place);
	check_random_bytes();
}

/* What one place was tells nothing of another: their lowest bits agree by chance. */
CASE(places_are_independent)
{
	unsigned agree[NR_PLACES] = { 0 };

	for (unsigned i = 0; i < SAMPLES / 4; i++) {
		take(&samples[i]);
		for (enum place place = STACK; place < NR_PLACES; place++)
			agree[place] += (samples[i].at[place] / PAGE & 1) ==
					(samples[i].at[MAPPING] / PAGE & 1);
	}
	for (enum place place = STACK; place < NR_PLACES; place++) {
		/* Linux maps such a program where it makes mappings. */
		if (place != PROGRAM || is_ikos())
			yes(deviation(agree[place], SAMPLES / 4) < LIMIT);
	}
}

/* ---- Turning it off -------------------------------------------------------------------------- */

static bool
are_alike(const struct sample *one, const struct sample *two)
{
	return memcmp(one->at, two->at, sizeof(one->at)) == 0;
}

CASE(personality_turns_it_off)
{
	struct sample one, two;
	int before = personality(0xffffffff);

	is(before & ADDR_NO_RANDOMIZE, 0);
	is(personality((unsigned long)before | ADDR_NO_RANDOMIZE), before);
	is(personality(0xffffffff), before | ADDR_NO_RANDOMIZE);
	take(&one); /* a child's program, too */
	for (int i = 0; i < 5; i++) {
		take(&two);
		yes(are_alike(&one, &two));
		yes(memcmp(one.random, two.random, sizeof(one.random)) != 0);
	}
	is(personality((unsigned long)before), before | ADDR_NO_RANDOMIZE);
	take(&two);
	yes(!are_alike(&one, &two));
}

static void
set(const char *value)
{
	FILE *file = fopen("/proc/sys/kernel/randomize_va_space", "w");

	need(file && fputs(value, file) >= 0 && fclose(file) == 0);
}

CASE(the_system_turns_it_off)
{
	struct sample one, two;
	FILE *file;

	if (!is_ikos())
		skip("the system is not ours to change");
	set("0\n");
	take(&one);
	take(&two);
	yes(are_alike(&one, &two));
	set("1");
	take(&one);
	take(&two);
	yes(!are_alike(&one, &two));
	yes(one.at[HEAP] - one.at[PROGRAM] == two.at[HEAP] - two.at[PROGRAM]);
	set("2\n");
	take(&one);
	take(&two);
	yes(one.at[HEAP] - one.at[PROGRAM] != two.at[HEAP] - two.at[PROGRAM]);
	file = fopen("/proc/sys/kernel/randomize_va_space", "w");
	need(file);
	fputs("3\n", file);
	fails(fclose(file), EINVAL);
}

CASE(a_child_has_its_parents_places)
{
	char *memory = map(1);
	pid_t pid = fork();

	if (pid == 0)
		_exit(mincore(memory, PAGE, &(unsigned char){ 0 }) != 0);
	is(ended(pid), 0);
}
