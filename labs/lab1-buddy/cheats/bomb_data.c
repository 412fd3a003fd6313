/* SPDX-License-Identifier: MIT */
/* An object file of 4 GiB. */
int bomb[1 << 30] = { 1 };
