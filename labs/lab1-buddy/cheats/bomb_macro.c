/* SPDX-License-Identifier: MIT */
/* A few lines that become 2^36 tokens. */
#define A(x) x x x x x x x x
#define B(x) A(A(A(x)))
#define C(x) B(B(B(x)))
int bomb[] = { C(C(1, )) };
