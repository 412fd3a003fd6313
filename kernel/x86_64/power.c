/* SPDX-License-Identifier: MIT */
/*
 * Ending the machine, whatever it is.
 *
 * Each way works on some machines and does nothing on the others, so they are tried in turn,
 * the one that can carry an exit code first: QEMU's isa-debug-exit, the ACPI S5 state (real
 * machines, and QEMU without that device), Bochs' ports. Nothing here trusts the rest
 * of the kernel: panic() calls it.
 *
 * Sources: ACPI Specification 6.5, 4.8.3 (PM1 control and reset registers) and 16.1 (entering
 * S5); QEMU hw/misc/debugexit.c; Bochs iodev/unmapped.cc and iodev/acpi.cc.
 */
#include <acpi.h>
#include <power.h>
#include <serial.h>
#include <trace.h>

#include "x86.h"

#define DEBUG_EXIT_PORT 0xf4

#define PM1_SCI_ENABLE	   (1u << 0)
#define PM1_SLP_TYPE_SHIFT 10
#define PM1_SLP_ENABLE	   (1u << 13)

#define ACPI_ENABLE_POLLS 1000000 /* about a second */

#define QEMU_PM1_CONTROL  0x604 /* for want of ACPI tables */
#define BOCHS_PM1_CONTROL 0xb004
#define BOCHS_SHUTDOWN	  0x8900

#define RESET_CONTROL	   0xcf9
#define RESET_CONTROL_FULL 0x06 /* CPU and chipset */
#define KEYBOARD_COMMAND   0x64
#define SETTLE_POLLS	   1000 /* port reads, about a microsecond each */
#define KEYBOARD_RESET	   0xfe

static _Noreturn void
halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/*
 * Writing a control port has no effect until the firmware has handed power management over.
 * It is asked by a write to its command port, and says that it has by SCI_EN.
 */
static void
enter_acpi_mode(const struct acpi_info *acpi)
{
	if (!acpi->smi_command || !acpi->acpi_enable)
		return;
	if (inw(acpi->pm1a_control) & PM1_SCI_ENABLE)
		return;
	outb(acpi->smi_command, acpi->acpi_enable);
	for (unsigned i = 0; i < ACPI_ENABLE_POLLS; i++) {
		if (inw(acpi->pm1a_control) & PM1_SCI_ENABLE)
			return;
		arch_cpu_relax();
	}
}

static void
acpi_power_off(void)
{
	const struct acpi_info *acpi = &acpi_info;

	if (!acpi->has_s5 || !acpi->pm1a_control)
		return;
	enter_acpi_mode(acpi);
	outw(acpi->pm1a_control, acpi->s5_type_a << PM1_SLP_TYPE_SHIFT | PM1_SLP_ENABLE);
	if (acpi->pm1b_control)
		outw(acpi->pm1b_control, acpi->s5_type_b << PM1_SLP_TYPE_SHIFT | PM1_SLP_ENABLE);
}

void
power_off(enum exit_code code)
{
	arch_irq_disable();
	trace_send_at_power_off();
	serial_drain();
	outl(DEBUG_EXIT_PORT, code);
	acpi_power_off();
	for (const char *word = "Shutdown"; *word; word++)
		outb(BOCHS_SHUTDOWN, (uint8_t)*word);
	outw(QEMU_PM1_CONTROL, PM1_SLP_ENABLE);
	outw(BOCHS_PM1_CONTROL, PM1_SLP_ENABLE);
	halt();
}

/* Give the machine time to act on what was written: about a millisecond. */
static void
settle(void)
{
	for (unsigned i = 0; i < SETTLE_POLLS; i++)
		(void)inb(KEYBOARD_COMMAND);
}

static void
acpi_reset(void)
{
	const struct acpi_register *reset = &acpi_info.reset;

	if (!reset->present)
		return;
	if (!reset->in_memory)
		outb((uint16_t)reset->address, acpi_info.reset_value);
	else
		*(volatile uint8_t *)map_mmio(reset->address, 1) = acpi_info.reset_value;
}

void
power_reboot(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = { 0, 0 };

	arch_irq_disable();
	serial_drain();
	acpi_reset();
	settle();
	outb(RESET_CONTROL, RESET_CONTROL_FULL);
	settle();
	outb(KEYBOARD_COMMAND, KEYBOARD_RESET);
	settle();
	/* A fault that finds no IDT is a double fault, then a triple fault: a reset. */
	__asm__ volatile("lidt %0; ud2" ::"m"(no_idt));
	halt();
}
