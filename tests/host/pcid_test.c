/* SPDX-License-Identifier: MIT */
/*
 * kernel/x86_64/pcid.c on made-up processors, which remember translations by identifier, use what
 * they remember without looking at the tables, and forget when they are told to and never else.
 *
 * A page of a space is a number that changes. Whoever changes it asks for a flush, and does not go
 * on before all CPUs that use the space have been interrupted; meanwhile CPUs switch, look at
 * pages, and others change theirs. Then every CPU that uses the space must see the new number.
 */
#include "host.h"

#include <prng.h>
#include <string.h>

#include "../../kernel/x86_64/pcid.h"

#define CPUS	4
#define SPACES	9 /* more than there are slots */
#define PAGES	8
#define CHANGES 3 /* at a time */
#define STEPS	200000

struct space {
	uint64_t id, flushes, cpus;
	unsigned page[PAGES]; /* what the tables say */
};

struct cpu {
	struct pcid_slots slots;
	unsigned pcid;
	struct space *space; /* NULL: the kernel's tables */
	unsigned tlb[PCID_SLOTS + 1][PAGES];
};

/* A flush under way. */
struct change {
	struct space *space; /* NULL: none */
	unsigned page;
	uint64_t flush, waiting; /* CPUs that have yet to be interrupted */
};

static struct machine {
	struct prng prng;
	struct space space[SPACES];
	struct cpu cpu[CPUS];
	struct change change[CHANGES];
	uint64_t last_id;
	unsigned last_value, kept, stale;
	bool forgets; /* at a load, when it must: else the test must find out */
} machine;

static unsigned
below(unsigned limit)
{
	return (unsigned)prng_below(&machine.prng, limit);
}

static void
forget_all(struct cpu *cpu)
{
	memset(cpu->tlb[cpu->pcid], 0, sizeof(cpu->tlb[cpu->pcid]));
}

/* As space_activate() and tlb_load() do. */
static void
switch_to(struct cpu *cpu, struct space *space)
{
	struct space *old = cpu->space;
	uint64_t bit = 1ull << (cpu - machine.cpu);
	bool stale;

	if (space == old)
		return;
	if (space) {
		space->cpus |= bit;
		stale = pcid_load(&cpu->slots, space->id, space->flushes);
		cpu->pcid = (unsigned)pcid_of_slot(cpu->slots.loaded);
		if (stale && machine.forgets)
			forget_all(cpu);
		machine.kept += !stale;
	} else {
		pcid_unload(&cpu->slots);
		cpu->pcid = 0;
		forget_all(cpu);
	}
	if (old)
		old->cpus &= ~bit;
	cpu->space = space;
}

static bool
is_changing(const struct space *space, unsigned page)
{
	for (unsigned i = 0; i < CHANGES; i++) {
		if (machine.change[i].space == space && machine.change[i].page == page)
			return true;
	}
	return false;
}

static void
look(struct cpu *cpu)
{
	unsigned page = below(PAGES), *entry = &cpu->tlb[cpu->pcid][page];

	if (!cpu->space)
		return;
	if (*entry == 0)
		*entry = cpu->space->page[page];
	if (*entry != cpu->space->page[page] && !is_changing(cpu->space, page))
		machine.stale++;
}

/* Change a page, and find out who is to be told. */
static void
begin_change(struct change *change, struct space *space)
{
	unsigned page = below(PAGES);

	if (is_changing(space, page)) /* entries of one page do not change twice at a time */
		return;
	*change = (struct change){ .space = space, .page = page };
	space->page[page] = ++machine.last_value;
	change->flush = ++space->flushes;
	change->waiting = space->cpus;
}

/* One of the CPUs that are waited for is interrupted, though it may have left meanwhile. */
static void
go_on_with(struct change *change)
{
	unsigned n = below(CPUS);
	struct cpu *cpu = &machine.cpu[n];

	if (change->waiting & 1ull << n) {
		switch (pcid_flush(&cpu->slots, change->space->id, change->flush)) {
		case PCID_NOTHING:
			break;
		case PCID_PAGES:
			cpu->tlb[cpu->pcid][change->page] = 0;
			break;
		case PCID_ALL:
			forget_all(cpu);
		}
		change->waiting &= ~(1ull << n);
	}
	if (!change->waiting)
		change->space = NULL;
}

/* A space ends, and another begins in its place: nobody uses it, nobody changes it. */
static void
replace(struct space *space)
{
	for (unsigned i = 0; i < CHANGES; i++) {
		if (machine.change[i].space == space)
			return;
	}
	if (space->cpus)
		return;
	*space = (struct space){ .id = ++machine.last_id };
	for (unsigned i = 0; i < PAGES; i++)
		space->page[i] = ++machine.last_value;
}

static void
step(void)
{
	struct space *space = &machine.space[below(SPACES)];
	struct change *change = &machine.change[below(CHANGES)];
	struct cpu *cpu = &machine.cpu[below(CPUS)];

	switch (below(16)) {
	case 0:
		switch_to(cpu, NULL);
		break;
	case 1:
	case 2:
		switch_to(cpu, space);
		break;
	case 3:
		if (!change->space)
			begin_change(change, space);
		break;
	case 4:
		if (below(20) == 0)
			replace(space);
		break;
	case 5:
		if (below(20) == 0)
			pcid_forget_others(&cpu->slots);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		if (change->space)
			go_on_with(change);
		break;
	default:
		look(cpu);
	}
}

static void
run(uint64_t seed, bool forgets)
{
	memset(&machine, 0, sizeof(machine));
	prng_seed(&machine.prng, seed);
	machine.forgets = forgets;
	for (unsigned i = 0; i < CPUS; i++)
		machine.cpu[i].slots = (struct pcid_slots)PCID_SLOTS_INIT;
	for (unsigned i = 0; i < SPACES; i++)
		replace(&machine.space[i]);
	for (unsigned i = 0; i < STEPS; i++)
		step();
}

static void
nothing_stale(void)
{
	for (unsigned i = 0; i < 5; i++) {
		run(host_seed + i, true);
		CHECK_EQ(machine.stale, 0);
		CHECK(machine.kept > 1000); /* loads that forgot nothing */
	}
}

/* What the test above is worth. */
static void
stale_without_flushes(void)
{
	run(host_seed, false);
	CHECK(machine.stale > 1000);
}

/* The cases one by one. */
static void
cases(void)
{
	struct pcid_slots slots = PCID_SLOTS_INIT;

	CHECK_EQ(pcid_flush(&slots, 1, 1), PCID_NOTHING);
	CHECK(pcid_load(&slots, 1, 5));
	CHECK_EQ(pcid_flush(&slots, 1, 5), PCID_NOTHING);
	CHECK_EQ(pcid_flush(&slots, 1, 6), PCID_PAGES);
	CHECK_EQ(pcid_flush(&slots, 2, 7), PCID_NOTHING);
	CHECK_EQ(pcid_flush(&slots, 1, 8), PCID_ALL);
	CHECK_EQ(pcid_flush(&slots, 1, 7), PCID_NOTHING);
	pcid_unload(&slots);
	CHECK_EQ(pcid_flush(&slots, 1, 9), PCID_NOTHING);
	CHECK(pcid_load(&slots, 1, 9)); /* it was told in vain */
	pcid_unload(&slots);
	CHECK(!pcid_load(&slots, 1, 9));
	CHECK(pcid_load(&slots, 2, 0));
	CHECK(!pcid_load(&slots, 1, 9));
	pcid_forget_others(&slots);
	CHECK(!pcid_load(&slots, 1, 9));
	CHECK(pcid_load(&slots, 2, 0));
	for (unsigned i = 3; i < 3 + PCID_SLOTS; i++)
		CHECK(pcid_load(&slots, i, 0));
	CHECK(pcid_load(&slots, 1, 9)); /* its slot had been taken */
}

HOST_SUITE(pcid, { "cases", cases }, { "nothing_stale", nothing_stale },
	   { "stale_without_flushes", stale_without_flushes });
