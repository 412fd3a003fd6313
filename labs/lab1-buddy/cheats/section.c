/* SPDX-License-Identifier: MIT */
/* A section attribute whose name goes on as assembly. */
static int odd __attribute__((section(".data\n.incbin \"/etc/passwd\"\n#"), used)) = 1;
