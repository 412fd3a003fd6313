/* SPDX-License-Identifier: MIT */
/*
 * Reports: which object, which byte, who.
 *
 * Overwritten zones and wrong pointers are found in calls. An access to a page that is not shown is
 * a fault: its signal is caught, and the address tells what it was meant for.
 *
 *	[ A   ) guard page         [   B )       nearer to A's end: behind A; to B's start: before B
 *	      ^^^^^^^^^^^^^^^^^^^^^^
 *	[ freed               )                  used after free
 */
#include "internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void (*reporter)(const struct guard_report *report);
static struct sigaction old_action;

void
guard_on_report(void (*fn)(const struct guard_report *report))
{
	reporter = fn;
}

/* ---- As text --------------------------------------------------------------------------------- */

/* The first words are fixed. */
static const char *const first_words[] = {
	[GUARD_ZONE_BEFORE] = "red zone before object overwritten",
	[GUARD_ZONE_AFTER] = "red zone after object overwritten",
	[GUARD_ACCESS_BEFORE] = "access before object",
	[GUARD_ACCESS_AFTER] = "access behind object",
	[GUARD_USED_AFTER_FREE] = "used after free",
	[GUARD_DOUBLE_FREE] = "double free",
	[GUARD_INTERIOR] = "freed in the middle of an object",
	[GUARD_FOREIGN] = "freed, but not an object",
	[GUARD_WRONG_SIZE] = "freed with the wrong size",
};

static void
print(const struct guard_report *r)
{
	char line[400];
	int length =
	    snprintf(line, sizeof(line), "libguard: %s: %p", first_words[r->kind], r->object);

	if (r->kind != GUARD_FOREIGN)
		length += snprintf(line + length, sizeof(line) - (size_t)length, " of %zu bytes",
				   r->size);
	if (r->kind == GUARD_WRONG_SIZE)
		length +=
		    snprintf(line + length, sizeof(line) - (size_t)length, ", not %td", r->offset);
	else if (r->kind != GUARD_FOREIGN && r->kind != GUARD_DOUBLE_FREE)
		length += snprintf(line + length, sizeof(line) - (size_t)length, ", offset %td",
				   r->offset);
	if (r->kind == GUARD_ZONE_BEFORE || r->kind == GUARD_ZONE_AFTER)
		length +=
		    snprintf(line + length, sizeof(line) - (size_t)length, " holds %#x", r->now);
	if (r->allocated_at)
		length += snprintf(line + length, sizeof(line) - (size_t)length,
				   "; allocated at %p", r->allocated_at);
	if (r->freed_at)
		length += snprintf(line + length, sizeof(line) - (size_t)length, "; freed at %p",
				   r->freed_at);
	line[length++] = '\n';
	if (write(2, line, (size_t)length) < 0)
		abort();
}

static bool
is_access(const struct guard_report *r)
{
	return r->kind == GUARD_ACCESS_BEFORE || r->kind == GUARD_ACCESS_AFTER ||
	       r->kind == GUARD_USED_AFTER_FREE;
}

void
report(const struct guard_report *r)
{
	if (reporter) {
		reporter(r);
		return;
	}
	print(r);
	if (!is_access(r))
		abort();
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static struct guard_report
access_report(const struct record *record, const char *address)
{
	return (struct guard_report){
		.kind = address < record->object ? GUARD_ACCESS_BEFORE : GUARD_ACCESS_AFTER,
		.object = record->object,
		.size = record->size,
		.offset = address - record->object,
		.allocated_at = record->allocated_at,
		.freed_at = record->freed_at,
	};
}

/* The object in use that is next to a page that is not shown: below or above it. */
static const struct record *
neighbour(const char *address)
{
	const char *page = (const char *)((uintptr_t)address & -PAGE);
	const struct record *below = span_of(page - 1), *above = span_of(page + PAGE);

	if (below && below->state != LIVE)
		below = NULL;
	if (above && above->state != LIVE)
		above = NULL;
	if (below && above)
		return address - (below->object + below->size) < above->object - address ? below
											 : above;
	return below ? below : above;
}

/* What an access to an address of the arena was. Returns false if that cannot be told. */
static bool
explain(const char *address, struct guard_report *r)
{
	const struct record *record = span_of(address);

	if (record && record->state == QUARANTINED) {
		*r = access_report(record, address);
		r->kind = GUARD_USED_AFTER_FREE;
		return true;
	}
	if (!record || record->state != LIVE)
		record = neighbour(address);
	if (!record)
		return false;
	*r = access_report(record, address);
	return true;
}

/* The signal's own end follows when the access is made again. */
static void
on_fault(int signal, siginfo_t *info, void *context)
{
	struct guard_report r;

	(void)context;
	if (in_arena(info->si_addr) && explain(info->si_addr, &r))
		report(&r);
	sigaction(signal, &old_action, NULL);
}

void
report_faults(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaction(SIGSEGV, &action, &old_action);
}
