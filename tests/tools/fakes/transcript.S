/* SPDX-License-Identifier: MIT */
/* A whole run: the seed from the command line, a transcript, a report. With
   WRONG_SEED, EMPTY or WRONG_RECORD, one that must not count. */
#include "fake.inc"
	/* struct hvm_start_info: the command line's address is at 24. */
	movl 24(%ebx), %esi
1:	lodsb
	testb %al, %al
	jz 3f
	cmpl $0x64656573, -1(%esi)	/* "seed" */
	jne 1b
	addl $4, %esi			/* behind "seed=" */
	xorl %eax, %eax
	xorl %ecx, %ecx
2:	movb (%esi), %cl
	subb $48, %cl
	cmpb $9, %cl
	ja 3f
	imull $10, %eax
	addl %ecx, %eax
	incl %esi
	jmp 2b
3:
#ifdef WRONG_SEED
	incl %eax
#endif
#ifdef EMPTY
	movl $0, written
#endif
	movl %eax, seed
	say "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: sample\n    1..1\n"
	say "    # seed: 7  virtual_ns: 1234567\n"
	say "    ok 1 work\nok 1 sample\n"
	exit 0x10

#ifdef WRONG_RECORD
#define ORDER 4
#else
#define ORDER 3
#endif
	.data
	.align 8
	.globl evidence
evidence:
	.quad 0x45434e4544495645
	.long 1, 32
	.quad records, 16
written:
	.quad 3, 0
records:
	.short 1, 0
	.long 0
seed:	.quad 0, 0, 0
	.short 64, 0
	.long ORDER
	.quad 0x1000, 0, 0
	.short 2, 0
	.long 0
	.quad 0, 0, 0
