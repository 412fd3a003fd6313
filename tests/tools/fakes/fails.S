/* SPDX-License-Identifier: MIT */
/* A case that fails honestly. */
#include "fake.inc"
	say "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: sample\n    1..1\n"
	say "    # mm/buddy_allocator.c:7: expected a == b, but a is 1 and b is 2\n"
	say "    # replay: ktest=sample.work seed=7\n"
	say "    # seed: 7  virtual_ns: 1234567\n"
	say "    not ok 1 work\nnot ok 1 sample\n"
	exit 0x11
