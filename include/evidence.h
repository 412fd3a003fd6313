/* SPDX-License-Identifier: MIT */
/*
 * The transcript of a graded case: what it asked of the code under test and what it
 * got, written to guest memory that the grader maps. Marks are earned by transcripts
 * that satisfy a model outside the guest, never by printed text.
 *
 * The command line evidence=SIZE makes the kernel set the memory aside; the grader finds
 * it through the symbol "evidence". Without it every call here does nothing.
 */
#ifndef IKOS_EVIDENCE_H
#define IKOS_EVIDENCE_H

#include <types.h>

#define EVIDENCE_MAGIC	 0x45434e4544495645ull /* "EVIDENCE" */
#define EVIDENCE_VERSION 1

/* Little endian, 32 bytes. What a, b and c mean depends on the kind. */
struct evidence_record {
	uint16_t kind;
	uint16_t cpu;
	uint32_t arg;
	uint64_t a, b, c;
};

struct evidence_area {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size;
	paddr_t records;   /* physical address of the array, 0: not recording */
	uint64_t capacity; /* records */
	uint64_t written;  /* records; more than capacity: the rest was lost */
	struct evidence_record *base;
};

extern struct evidence_area evidence;

/* Kinds below 64 belong to the runner, from 64 to the lab. */
enum evidence_kind {
	EV_CASE_BEGIN = 1, /* a: seed, b: virtual ns since boot, arg: param */
	EV_CASE_END = 2,   /* a: failures, b: virtual ns since boot */
	EV_PANIC = 3,	   /* a, b, c: the message's first 24 bytes */
	EV_SKIP = 4,
	EV_LAB = 64,
};

void evidence_log(unsigned kind, uint32_t arg, uint64_t a, uint64_t b, uint64_t c);

/* Set the memory aside. Called once, while the boot allocator is alive. */
void evidence_init(void);

#endif
