/* SPDX-License-Identifier: MIT */
/*
 * Native benchmarks of allocators: who is measured (subjects), on what (traces), and how.
 *
 * No header of the kernel or of the C library but types: its users see one or the other.
 */
#ifndef HOST_BENCH_H
#define HOST_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An allocator. The functions are called from several threads at a time. */
struct subject {
	const char *name;
	size_t only_size; /* bytes: it serves requests of this size alone; 0: of any */
	/* Returns false, and says why, if it is not there. NULL: nothing to do. */
	bool (*setup)(void);
	void (*teardown)(void);
	/* Returns NULL when there is no memory. Filled in by setup() where it depends on that. */
	void *(*alloc)(size_t size);
	void (*free)(void *object);
	/* Bytes of memory in use for all objects and everything about them; NULL: not known. */
	uint64_t (*used)(void);
	/* Give back what is kept for later, so that a trace finds nothing ready. */
	void (*trim)(void);
	/* Bytes set aside for an object; NULL: not known, or as many as asked for. */
	size_t (*usable)(const void *object);
};

/* Lab 3's are not there in a build of labs before it, hence weak. */
extern struct subject subject_glibc, subject_mimalloc, subject_jemalloc;
extern struct subject subject_pages;
extern struct subject subject_kmem __attribute__((weak)), subject_kmalloc __attribute__((weak));

/*
 * One step of a trace: allocate size bytes and keep them in a slot, or free what is there
 * (size 0). A trace begins and ends with all slots empty.
 */
struct event {
	uint32_t slot;
	uint32_t size;
};

struct trace {
	const char *name;
	size_t size;	   /* bytes, of all requests; 0: they differ */
	bool measure_used; /* is it long enough to say how much memory goes beside the objects? */
	bool in_threads;   /* is it also run by several threads? */
	void (*generate)(struct trace *trace, uint64_t seed);

	/* What generate() makes. */
	struct event *event;
	unsigned nr_events, nr_slots, nr_allocs;
	unsigned full_at; /* the event before which memory is measured */
	unsigned laps;	  /* how often it is replayed in one measurement */
};

extern struct trace bench_traces[];
extern const unsigned nr_bench_traces;

/*
 * Replay the trace once. Returns false if there was no memory. The slots are the caller's,
 * trace->nr_slots of them: each thread has its own.
 */
bool trace_replay(const struct trace *trace, const struct subject *subject, void **slots);

/* What a trace needed at its event full_at, bytes. */
struct usage {
	uint64_t live;	 /* asked for */
	uint64_t usable; /* set aside for that: sizes rounded up */
	uint64_t used;	 /* taken for that since the trace began */
};

/*
 * The same, slowly: every byte of every object is written, and compared when it is freed.
 * Returns NULL, or what is wrong. Fills in usage as far as the subject can tell.
 */
const char *trace_check(const struct trace *trace, const struct subject *subject, void **slots,
			struct usage *usage);

/* Start this program again with what the libraries need, unless it was already. */
void make_room_for_libraries(char **argv);

/* Nanoseconds of processor time of this thread; of the clock on the wall. */
double thread_ns(void);
double wall_ns(void);

/* Stay on the processor that is the nth of those that this program may use. */
void pin_thread(unsigned nth);
unsigned count_processors(void);

/* Nanoseconds for turning interrupts off and on again, as the host's machine plays it. */
double interrupt_flag_ns(void);

/* Let a thread that plays a CPU wait for others: it answers them meanwhile. */
void relax(void);

#endif
