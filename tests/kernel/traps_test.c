/* SPDX-License-Identifier: MIT */
/*
 * Exceptions: each reaches the kernel as itself and can be recovered from, an interrupt
 * leaves no trace in the registers, and a fatal one is described in words.
 */
#include <ktest.h>
#include <panic.h>
#include <thread.h>

#include "../../kernel/x86_64/x86.h"

#define TEST_VECTOR 0xc8 /* of no device */

static void
raise_divide(void *arg)
{
	(void)arg;
	__asm__ volatile("divl %%ecx" ::"a"(1), "d"(0), "c"(0));
}

static void
raise_debug(void *arg)
{
	(void)arg;
	__asm__ volatile("pushfq\n\t" /* set the trap flag: a #DB after the next instruction */
			 "orq $0x100, (%rsp)\n\t"
			 "popfq\n\t"
			 "nop");
}

static void
raise_breakpoint(void *arg)
{
	(void)arg;
	__asm__ volatile("int3");
}

static void
raise_invalid_opcode(void *arg)
{
	(void)arg;
	__asm__ volatile("ud2");
}

/* SSE is off: no context switch saves its registers. */
static void
raise_sse(void *arg)
{
	(void)arg;
	__asm__ volatile("movaps %xmm0, %xmm0");
}

static void
raise_protection(void *arg)
{
	__asm__ volatile("movq (%0), %%rax" ::"r"(arg) : "rax");
}

static void
raise_selector(void *arg)
{
	(void)arg;
	__asm__ volatile("movl %0, %%es" ::"r"(0xfff8));
}

static void
return_at_once(void *arg)
{
	(void)arg;
}

static void
expect_exception(struct ktest *t, unsigned vector, void (*fn)(void *), uint64_t error)
{
	struct trap_frame frame;

	if (!trap_expect(vector, fn, (void *)0x8000000000000000, &frame)) {
		ktest_fail(t, __FILE__, __LINE__, "expected exception %u", vector);
		return;
	}
	expect_eq(t, frame.vector, vector);
	expect_eq(t, frame.error, error);
	expect_eq(t, frame.cs, KERNEL_CS);
	expect_le(t, (uintptr_t)fn, frame.rip);
	expect_lt(t, frame.rip, (uintptr_t)fn + 64);
}

KTEST(traps, exceptions_are_told_apart)
{
	expect_exception(t, VECTOR_DIVIDE, raise_divide, 0);
	expect_exception(t, VECTOR_DEBUG, raise_debug, 0);
	expect_exception(t, VECTOR_BREAKPOINT, raise_breakpoint, 0);
	expect_exception(t, VECTOR_INVALID_OPCODE, raise_invalid_opcode, 0);
	expect_exception(t, VECTOR_PROTECTION, raise_protection, 0);
	expect_exception(t, VECTOR_PROTECTION, raise_selector, 0xfff8);
}

/* Where they are on, for programs, tests/tools/test_fast_path.py reads the kernel's code. */
KTEST(traps, vector_registers_are_off)
{
	if (read_cr4() & CR4_OSFXSR)
		ktest_skip(t, "programs use them");
	expect_exception(t, VECTOR_INVALID_OPCODE, raise_sse, 0);
}

static void
push_at(void *stack_pointer)
{
	__asm__ volatile("movq %0, %%rsp\n\t"
			 "pushq $0" ::"r"(stack_pointer)
			 : "memory");
}

/* With no room left even for the fault's own frame, the handler still runs. */
KTEST(traps, double_fault_has_a_stack)
{
	uintptr_t top = kstack_alloc(GFP_KERNEL);
	struct trap_frame frame = { 0 };

	assert_ne(t, top, 0);
	expect_true(t,
		    trap_expect(VECTOR_DOUBLE_FAULT, push_at, (void *)(top - KSTACK_SIZE), &frame));
	expect_eq(t, frame.rsp, top - KSTACK_SIZE);
	kstack_free(top);
}

KTEST(traps, no_exception_no_report)
{
	bool enabled = arch_irqs_enabled();

	expect_true(t, !trap_expect(VECTOR_PAGE_FAULT, return_at_once, NULL, NULL));
	expect_true(t, trap_expect(VECTOR_BREAKPOINT, raise_breakpoint, NULL, NULL));
	expect_eq(t, arch_irqs_enabled(), enabled);
}

/* ---- Interrupts ----------------------------------------------------------- */

static unsigned interrupts_seen;

static void
count_interrupt(struct trap_frame *frame)
{
	if (frame->vector == TEST_VECTOR && !arch_irqs_enabled())
		interrupts_seen++;
}

/* Fill the registers with known values, interrupt, and return how many came back wrong. */
static uint64_t
registers_lost(void)
{
	uint64_t lost = 0;

#define FILL(n, reg)  "movq $0x100" #n ", %%" reg "\n\t"
#define CHECK(n, reg) "cmpq $0x100" #n ", %%" reg "\n\tje 1f\n\tincq %0\n1:\n\t"
	__asm__ volatile(FILL(1, "rax") FILL(2, "rbx") FILL(3, "rcx") FILL(4, "rdx") FILL(5, "rsi")
			     FILL(6, "rdi") FILL(7, "r8") FILL(8, "r9") FILL(9, "r10")
				 FILL(10, "r11") FILL(11, "r12") FILL(12, "r13") FILL(13, "r14")
				     FILL(14,
					  "r15") "std\n\t"
						 "int %1\n\t"
						 "pushfq\n\t"
						 "cld\n\t"
						 "btq $10, (%%rsp)\n\t" /* the direction flag */
						 "leaq 8(%%rsp), %%rsp\n\t"
						 "jc 1f\n\tincq %0\n1:\n\t" CHECK(1, "rax")
						     CHECK(2, "rbx") CHECK(3, "rcx") CHECK(4, "rdx")
							 CHECK(5, "rsi") CHECK(6, "rdi")
							     CHECK(7, "r8") CHECK(8, "r9")
								 CHECK(9, "r10") CHECK(10, "r11")
								     CHECK(11, "r12")
									 CHECK(12, "r13")
									     CHECK(13, "r14")
										 CHECK(14, "r15")
			 : "+m"(lost)
			 : "i"(TEST_VECTOR)
			 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
			   "r12", "r13", "r14", "r15", "cc", "memory");
#undef FILL
#undef CHECK
	return lost;
}

KTEST(traps, interrupt_keeps_registers)
{
	unsigned before;

	trap_set_handler(TEST_VECTOR, count_interrupt);
	before = interrupts_seen;
	expect_eq(t, registers_lost(), 0);
	expect_eq(t, interrupts_seen, before + 1);
}

/* ---- Fatal ones: each ends the kernel, and says why ------------------------- */

/* As instructions: the compiler may not think about such addresses. */
static void
read_word(uintptr_t address)
{
	__asm__ volatile("movq (%0), %%rax" ::"r"(address) : "rax");
}

static void
write_word(uintptr_t address)
{
	__asm__ volatile("movq $0, (%0)" ::"r"(address) : "memory");
}

KTEST(traps, fatal_read,
      .expect_panic = "page fault reading address 0x8 from kernel at 0xffffffff8")
{
	(void)t;
	read_word(8);
}

KTEST(traps, fatal_write,
      .expect_panic = "page fault writing address 0xffffffff80000000 from kernel at 0xffffffff8")
{
	(void)t;
	write_word(0xffffffff80000000);
}

KTEST(traps, fatal_execute,
      .expect_panic = "page fault executing address 0x10 from kernel at 0x10: null pointer")
{
	(void)t;
	((void (*)(void))0x10)();
}

KTEST(traps, fatal_protection,
      .expect_panic = "general protection fault from kernel at 0xffffffff8")
{
	(void)t;
	raise_protection((void *)0x8000000000000000);
}

KTEST(traps, fatal_divide, .expect_panic = "divide error (exception 0, error code 0) from kernel")
{
	(void)t;
	raise_divide(NULL);
}

KTEST(traps, panic_message, .expect_panic = "traps_test: 7 is not eight")
{
	(void)t;
	panic("traps_test: %d is not %s", 7, "eight");
}

/* Use up any stack. The sum after the call keeps the compiler from making it a loop. */
static __attribute__((noinline)) unsigned
recurse(volatile unsigned *below)
{
	volatile unsigned here = *below + 1;

	return here == 0 ? 0 : recurse(&here) + here; /* 0 after 2^32 calls: never */
}

static void
overflow(void *arg)
{
	volatile unsigned depth = 0;

	(void)arg;
	recurse(&depth);
}

#define OVERFLOW "kernel stack overflow: thread stack guard page, "

/* The boot thread's stack lies in the kernel image, */
KTEST(traps, boot_stack_overflow, .expect_panic = OVERFLOW)
{
	(void)t;
	overflow(NULL);
}

/* all others in an area of their own. */
KTEST(traps, thread_stack_overflow, .expect_panic = OVERFLOW)
{
	struct thread *thread = thread_create("overflow", overflow, NULL, CPU_ANY);

	assert_true(t, thread != NULL);
	thread_join(thread);
}

/* An array can reach the guard page while there is still room for the fault's frame. */
KTEST(traps, guard_page_touched, .expect_panic = OVERFLOW "reading address")
{
	(void)t;
	read_word(kstack_top(read_sp()) - KSTACK_SIZE - 8);
}

/* Whoever runs into the guard page of another stack did not use up its own. */
KTEST(traps, guard_page_of_another, .expect_panic = "page fault reading address 0xffffc0000")
{
	uintptr_t top = kstack_alloc(GFP_KERNEL);

	assert_ne(t, top, 0);
	read_word(top - KSTACK_SIZE - 8);
}
