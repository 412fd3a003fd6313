// SPDX-License-Identifier: MIT
/*
 * The trace ring over the second serial line, for machines whose memory no tool can read:
 * Bochs, or a real one.
 *
 * With trace_out=com2 on the command line it is sent when the machine is switched off: struct
 * trace_area, then the records that the ring holds, the oldest first, all as they lie in
 * memory. "scripts/memview --from FILE" reads what came out.
 *
 * It may run within a panic, so it polls, takes no lock, and never waits for ever: a line
 * that takes no byte for LINE_PATIENCE looks is given up.
 *
 * Source: National Semiconductor PC16550D data sheet (June 1995), section 8.
 */
#include <arch/cpu.h>
#include <cmdline.h>
#include <errno.h>
#include <printk.h>
#include <string.h>
#include <trace.h>

#include "../x86_64/insn.h"

#define COM2 0x2f8

enum uart_register {
	UART_DATA = COM2 + 0,
	UART_IER = COM2 + 1,	 /* interrupt enable */
	UART_FCR = COM2 + 2,	 /* FIFO control */
	UART_LCR = COM2 + 3,	 /* line control */
	UART_MCR = COM2 + 4,	 /* modem control */
	UART_LSR = COM2 + 5,	 /* line status */
	UART_SCRATCH = COM2 + 7, /* holds any byte, does nothing */
	/* While LCR_DLAB is set: */
	UART_DIVISOR_LOW = COM2 + 0,
	UART_DIVISOR_HIGH = COM2 + 1,
};

#define FCR_ENABLE_CLEAR 0x07 /* both FIFOs on, and empty */
#define LCR_8N1		 0x03
#define LCR_DLAB	 0x80
#define MCR_DTR_RTS	 0x03
#define LSR_THRE	 0x20 /* room for a byte to send */
#define LSR_TEMT	 0x40 /* nothing left to send */

#define LINE_PATIENCE 10000000u

static bool wanted;

static int
parse_trace_out(const char *value)
{
	if (strcmp(value, "com2") != 0)
		return -EINVAL;
	wanted = true;
	return 0;
}

CMDLINE_OPTION(trace_out, "trace_out", "where the trace goes at power off: com2", parse_trace_out);

/* A port without a chip reads as all ones, so it cannot hold another byte. */
static bool
line_open(void)
{
	outb(UART_SCRATCH, 0x55);
	if (inb(UART_SCRATCH) != 0x55)
		return false;
	outb(UART_IER, 0);
	outb(UART_LCR, LCR_DLAB);
	outb(UART_DIVISOR_LOW, 1); /* 115200 baud */
	outb(UART_DIVISOR_HIGH, 0);
	outb(UART_LCR, LCR_8N1);
	outb(UART_FCR, FCR_ENABLE_CLEAR);
	outb(UART_MCR, MCR_DTR_RTS);
	return true;
}

static bool
wait_for(uint8_t status)
{
	for (unsigned i = 0; i < LINE_PATIENCE; i++) {
		if (inb(UART_LSR) & status)
			return true;
		arch_cpu_relax();
	}
	return false;
}

static bool
send(const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++) {
		if (!wait_for(LSR_THRE))
			return false;
		outb(UART_DATA, bytes[i]);
	}
	return true;
}

/* The header is a copy: what other CPUs write meanwhile is not announced. */
static bool
send_ring(void)
{
	struct trace_area area = trace_area;
	uint64_t first = trace_lost(&area);

	if (!send(&area, sizeof(area)))
		return false;
	for (uint64_t number = first; number < area.written; number++) {
		const struct trace_record *record = &area.base[number % area.capacity];

		if (!send(record, sizeof(*record)))
			return false;
	}
	return wait_for(LSR_TEMT);
}

void
trace_send_at_power_off(void)
{
	if (!wanted || !trace_area.records)
		return;
	wanted = false; /* should this go wrong, the panic does not come here again */
	if (!line_open())
		kprintf("trace: no second serial line: nothing was sent\n");
	else if (!send_ring())
		kprintf("trace: the second serial line takes no bytes: not all was sent\n");
}
