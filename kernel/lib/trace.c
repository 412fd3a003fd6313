// SPDX-License-Identifier: MIT
/*
 * The trace ring: events at memory speed, the newest kept.
 *
 *	slot      0     1     2     3     4     5
 *	event   | 6   | 7   | 2   | 3   | 4   | 5   |    capacity 6, written 8, lost 2
 *	                      ^ oldest
 *
 * Writing takes no lock: one atomic add draws the event's number, which says where it goes,
 * and the number is stored with it. So an event can come from any context, with any lock
 * held. A reader knows a record that was not finished, or that a slower CPU put over a
 * newer one, by its number: it is not the one that belongs there.
 *
 * What an event costs when tracing is on, about a hundred instructions, most of them to find
 * the caller, shows in the times of the trace, not in its order.
 */
#include <arch/cpu.h>
#include <boot_allocator.h>
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <page.h>
#include <printk.h>
#include <string.h>
#include <trace.h>

#define DUMP_DEFAULT 20 /* records */

static const char *const group_names[NR_TRACE_GROUPS] = {
	[TRACE_GROUP_BUDDY] = "buddy",
	[TRACE_GROUP_SPACE] = "space",
};

static const char *const event_names[NR_TRACE_EVENTS] = {
	"nothing", "init",  "add",	"reserve", "alloc",   "free", "split", "merge",
	"new",	   "fork",  "gone",	"owner",   "name",    "zero", "fresh", "file",
	"copy",	   "reuse", "spurious", "stack",   "refused", "map",  "unmap",
};

/* In .data, as evidence is: a kernel that never ran is told apart from one without a ring. */
struct trace_area trace_area = {
	.magic = TRACE_MAGIC,
	.version = TRACE_VERSION,
	.record_size = sizeof(struct trace_record),
};

static bool requested;
static uint64_t trace_size = MiB(4);

TUNABLE(trace_size, "trace_size", KiB(4), GiB(2), "bytes for the ring of trace events");

/* ---- The ring ------------------------------------------------------------------- */

void
trace_put(struct trace_area *area, enum trace_event event, pfn_t pfn, unsigned order,
	  uintptr_t caller)
{
	uint64_t number = __atomic_fetch_add(&area->written, 1, __ATOMIC_RELAXED);

	area->base[number % area->capacity] = (struct trace_record){
		.time = arch_cycles(),
		.caller = caller,
		.pfn = pfn,
		.event = (uint8_t)event,
		.order = (uint8_t)order,
		.cpu = (uint16_t)arch_cpu_id(),
		.sequence = (uint32_t)number,
	};
}

void
trace_put_range(struct trace_area *area, enum trace_event event, pfn_t first, pfn_t end,
		uintptr_t caller)
{
	while (first < end) {
		unsigned fits = 63 - __builtin_clzl(end - first);
		unsigned order = first ? MIN(fits, (unsigned)__builtin_ctzl(first)) : fits;

		trace_put(area, event, first, order, caller);
		first += 1ul << order;
	}
}

uint64_t
trace_kept(const struct trace_area *area)
{
	return MIN(area->written, area->capacity);
}

uint64_t
trace_lost(const struct trace_area *area)
{
	return area->written - trace_kept(area);
}

void
trace_log(unsigned event, const struct page *page, unsigned order)
{
	if (trace_area.records)
		trace_put(&trace_area, event, page_to_pfn(page), order,
			  arch_trace_caller(__builtin_frame_address(0)));
}

void
trace_log_range(unsigned event, pfn_t first, pfn_t end)
{
	if (trace_area.records)
		trace_put_range(&trace_area, event, first, end,
				arch_trace_caller(__builtin_frame_address(0)));
}

/* Who called is known: a program, by a fault or a system call. So the space takes that place. */
void
trace_log_space(unsigned event, const void *space, uint64_t what)
{
	if (trace_area.records)
		trace_put(&trace_area, event, what, 0, (uintptr_t)space);
}

/* ---- Setting up ------------------------------------------------------------------ */

/* The group called name[0..size), or all of them, as bits; 0 if there is none. */
static unsigned
groups_called(const char *name, size_t size)
{
	if (size == 3 && memcmp(name, "all", 3) == 0)
		return (1u << NR_TRACE_GROUPS) - 1;
	for (unsigned group = 0; group < NR_TRACE_GROUPS; group++) {
		if (strlen(group_names[group]) == size &&
		    memcmp(group_names[group], name, size) == 0)
			return 1u << group;
	}
	return 0;
}

/* Switches are turned on here, as soon as the option is read: later their code is read-only. */
static int
parse_trace(const char *value)
{
	unsigned groups = 0;

	for (;;) {
		const char *comma = strchr(value, ',');
		size_t size = comma ? (size_t)(comma - value) : strlen(value);
		unsigned named = groups_called(value, size);

		if (!named)
			return -EINVAL;
		groups |= named;
		if (!comma)
			break;
		value = comma + 1;
	}
	for (unsigned group = 0; group < NR_TRACE_GROUPS; group++) {
		if (groups & 1u << group)
			arch_trace_enable(group);
	}
	requested = true;
	return 0;
}

CMDLINE_OPTION(trace, "trace", "events to trace: buddy, space, or all", parse_trace);

void
trace_init(void)
{
	paddr_t records;

	if (!requested)
		return;
	/* Below 4 GiB, where an offset in the memory file equals the physical address. */
	records = boot_alloc(trace_size, PAGE_SIZE, GiB(4));
	if (!records) {
		kprintf("trace: no %lu bytes of memory below 4 GiB: give less with trace_size=\n",
			trace_size);
		return;
	}
	trace_area.base = phys_to_virt(records);
	trace_area.capacity = trace_size / sizeof(struct trace_record);
	trace_area.records = records;
}

/* ---- At the console --------------------------------------------------------------- */

static void
dump_record(uint64_t number, const struct trace_record *record)
{
	const char *name = event_names[record->event];

	kprintf("%10lu %16lu %4u  %-8s ", number, record->time, record->cpu, name);
	if (record->event < TRACE_SPACE_NEW)
		kprintf("%#10lx %5u  %#lx\n", record->pfn, record->order, record->caller);
	else if (record->event <= TRACE_SPACE_NAME)
		kprintf("%#10lx        space %#lx\n", record->pfn, record->caller);
	else
		kprintf("%#10lx        space %#lx, address %#lx\n",
			record->pfn & ((1ul << TRACE_FRAME_BITS) - 1), record->caller,
			record->pfn >> TRACE_FRAME_BITS << PAGE_SHIFT);
}

static void
dump(uint64_t nr)
{
	uint64_t end = trace_area.written;
	uint64_t first = end - MIN(nr, trace_kept(&trace_area));

	kprintf("%10s %16s %4s  %-8s %10s %5s  %s\n", "NUMBER", "TIME", "CPU", "EVENT", "FRAME",
		"ORDER", "CALLER");
	for (uint64_t number = first; number < end; number++) {
		struct trace_record record = trace_area.base[number % trace_area.capacity];

		if (record.sequence != (uint32_t)number || record.event >= NR_TRACE_EVENTS)
			continue; /* not finished, or overwritten meanwhile */
		dump_record(number, &record);
	}
}

static void
trace(int argc, char **argv)
{
	uint64_t nr = DUMP_DEFAULT;

	if (!trace_area.records) {
		kprintf("trace: off; start the kernel with trace=buddy or trace=space\n");
		return;
	}
	if (argc == 1) {
		kprintf("trace: %lu events, %lu lost\n", trace_kept(&trace_area),
			trace_lost(&trace_area));
		return;
	}
	if (strcmp(argv[1], "dump") != 0 || (argc > 2 && parse_u64(argv[2], &nr) != 0)) {
		kprintf("trace: use: trace, or trace dump [number of events]\n");
		return;
	}
	dump(nr);
}

CONSOLE_COMMAND(trace, "trace", "[dump [n]]", "events traced so far; dump: the last n", trace);
