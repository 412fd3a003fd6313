/* SPDX-License-Identifier: MIT */
/*
 * The end of a kernel that found itself wrong.
 *
 * A panic may come from anywhere: an interrupt handler, an NMI, a CPU that holds the console
 * lock, several CPUs at once, or the panic code itself. So:
 *   - the first CPU to come owns the panic; any other stops where it is;
 *   - the owner takes the watchdog away, stops the other CPUs by NMI and makes kprintf()
 *     ignore its lock, so nothing here waits for anyone;
 *   - a panic inside the panic prints one line and switches off.
 *
 * The output is meant for programs too: one line "panic: MESSAGE", lines "registers: ...",
 * lines "backtrace: ADDRESS ...", which the grader and "scripts" turn into function, file
 * and line.
 */
#include <evidence.h>
#include <ktest.h>
#include <panic.h>
#include <power.h>
#include <printk.h>
#include <smp.h>
#include <string.h>
#include <watchdog.h>

#include "x86.h"

#define BACKTRACE_MAX	   32
#define BACKTRACE_PER_LINE 6
#define NO_CPU		   UINT32_MAX

static uint32_t panic_cpu = NO_CPU;
static char message[512]; /* of the one panic that is printed */

static bool
is_text(uint64_t address)
{
	return address >= (uintptr_t)text_start && address < (uintptr_t)text_end;
}

/* Can the two words of a call frame at rbp be read without a fault? */
static bool
frame_readable(uint64_t rbp)
{
	return rbp % 8 == 0 && (int64_t)rbp < 0 && kernel_map_lookup(rbp, NULL) &&
	       kernel_map_lookup(rbp + 8, NULL);
}

/*
 * Each function begins by pushing its caller's RBP under the return address and pointing
 * RBP at the two: a list that the stack's first frame ends with 0. The stack may be damaged,
 * so a frame is only read if it is mapped, and the list ends where it leaves the text.
 */
static void
print_backtrace(uint64_t rbp, uint64_t rip)
{
	for (unsigned i = 0; i < BACKTRACE_MAX; i++) {
		kprintf("%s%#lx",
			i % BACKTRACE_PER_LINE ? " "
			: i		       ? "\nbacktrace: "
					       : "backtrace: ",
			(unsigned long)rip);
		if (!frame_readable(rbp))
			break;
		rip = ((const uint64_t *)rbp)[1];
		rbp = ((const uint64_t *)rbp)[0];
		if (!is_text(rip))
			break;
	}
	kprintf("\n");
}

static void
print_registers(const struct trap_frame *f)
{
	kprintf("registers: rax=%016lx rbx=%016lx rcx=%016lx rdx=%016lx\n", f->rax, f->rbx, f->rcx,
		f->rdx);
	kprintf("registers: rsi=%016lx rdi=%016lx r8 =%016lx r9 =%016lx\n", f->rsi, f->rdi, f->r8,
		f->r9);
	kprintf("registers: r10=%016lx r11=%016lx r12=%016lx r13=%016lx\n", f->r10, f->r11, f->r12,
		f->r13);
	kprintf("registers: r14=%016lx r15=%016lx rfl=%016lx\n", f->r14, f->r15, f->rflags);
}

static void
print_state(const struct trap_frame *frame, uint64_t rip, uint64_t rsp)
{
	if (frame)
		print_registers(frame);
	kprintf("registers: rip=%016lx rsp=%016lx cr2=%016lx cr3=%016lx cpu=%u\n",
		(unsigned long)rip, (unsigned long)rsp, (unsigned long)read_cr2(),
		(unsigned long)read_cr3(), cpu_id());
}

/* Make the panic this CPU's own. Returns only on the first CPU that calls, the first time. */
static void
take_panic(const char *fmt, va_list ap)
{
	uint32_t owner = NO_CPU;

	arch_irq_disable();
	if (__atomic_compare_exchange_n(&panic_cpu, &owner, cpu_id(), false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return;
	if (owner == cpu_id()) {
		kprintf_enter_panic();
		kprintf("\npanic: while panicking: ");
		kvprintf(fmt, ap);
		kprintf("\n");
		power_off(EXIT_PANIC);
	}
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void
log_message(void)
{
	uint64_t words[3];

	memcpy(words, message, sizeof(words));
	evidence_log(EV_PANIC, 0, words[0], words[1], words[2]);
}

/* frame: of the interrupted code, or NULL; then rip, rsp and rbp are the caller's. */
static _Noreturn void
panic_at(const struct trap_frame *frame, uint64_t rip, uint64_t rsp, uint64_t rbp, const char *fmt,
	 va_list ap)
{
	take_panic(fmt, ap);
	watchdog_disarm();
	kprintf_enter_panic();
	smp_stop_others();

	kvsnprintf(message, sizeof(message), fmt, ap);
	log_message();
	/* The line break first: another CPU may have been stopped in the middle of a line. */
	kprintf("\npanic: %s\n", message);
	print_state(frame, rip, rsp);
	if (!is_text(rip) && frame_readable(rsp)) { /* a call of a bad pointer: who made it? */
		kprintf("backtrace: %#lx\n", (unsigned long)rip);
		rip = *(const uint64_t *)rsp;
	}
	print_backtrace(rbp, rip);
	if (ktest_expects_panic(message))
		ktest_panicked();
	power_off(EXIT_PANIC);
}

void
panic(const char *fmt, ...)
{
	uint64_t rbp = (uint64_t)__builtin_frame_address(0);
	va_list ap;

	va_start(ap, fmt);
	panic_at(NULL, (uint64_t)__builtin_return_address(0), rbp + 16, *(uint64_t *)rbp, fmt, ap);
}

void
panic_frame(const struct trap_frame *frame, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	panic_at(frame, frame->rip, frame->rsp, frame->rbp, fmt, ap);
}

void
lab_todo(int lab, const char *what)
{
	panic("lab %d: TODO: %s", lab, what);
}
