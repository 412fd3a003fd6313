/* SPDX-License-Identifier: MIT */
/* Ending the machine. */
#ifndef IKOS_POWER_H
#define IKOS_POWER_H

#include <types.h>

/* What the emulator's exit device is told; the process ends with (code << 1) | 1. */
enum exit_code {
	EXIT_PASS = 0x10,  /* status 33: everything asked for passed */
	EXIT_FAIL = 0x11,  /* status 35: a test failed */
	EXIT_PANIC = 0x12, /* status 37: the kernel panicked */
};

/*
 * Drain the serial line and switch off: through isa-debug-exit with the code where
 * the emulator has it, else ACPI, else Bochs' port, else halt.
 */
_Noreturn void power_off(enum exit_code code);
_Noreturn void power_reboot(void);

#endif
