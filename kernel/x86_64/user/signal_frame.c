/* SPDX-License-Identifier: MIT */
/*
 * How a signal handler is called, and how it returns.
 *
 * The program goes on in the handler, and everything it was doing is kept on its own stack, in
 * the layout that Linux has there, as C libraries know it:
 *
 *	interrupted stack pointer
 *	                 128 bytes that the ABI lets functions use below it
 *	fpstate ->       vector registers and protection keys, as XSAVE stores them (multiple of 64)
 *	                 struct signal_frame: siginfo, ucontext with all registers
 *	handler's RSP -> address of the restorer, which calls sigreturn
 *
 * Nothing of this is trusted on the way back, since the program can write there what it likes
 * and call sigreturn at any time. Segments are not taken from it at all, of the flags only
 * those that a program could change itself, and vector state is made loadable. An instruction
 * pointer that is not canonical is found in user_leave().
 *
 * The frame is written as the program would write it, with its protection keys; the handler itself
 * begins with those that a program begins with, whatever the thread had denied itself.
 */
#include <errno.h>
#include <string.h>

#include "machine.h"

#define RED_ZONE 128

#define UC_FP_XSTATE	     0x1u
#define UC_SIGCONTEXT_SS     0x2u
#define UC_STRICT_RESTORE_SS 0x4u

/* In the unused end of the FXSAVE area: that there is more behind it, and how much. */
#define XSTATE_INFO_AT 464
#define XSTATE_MAGIC1  0x46505853u
#define XSTATE_MAGIC2  0x46505845u
#define FXSAVE_SIZE    512

struct xstate_info {
	uint32_t magic1;
	uint32_t extended_size; /* all of it, with magic2 */
	uint64_t features;
	uint32_t xstate_size;
	uint32_t reserved[7];
};

struct sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, vector, oldmask, cr2, fpstate;
	uint64_t reserved[8];
};
_Static_assert(sizeof(struct sigcontext) == 256, "Linux's layout");

struct ucontext {
	uint64_t flags, link;
	struct abi_sigaltstack stack;
	struct sigcontext context;
	uint64_t blocked;
};

struct signal_frame {
	uint64_t restorer;
	struct ucontext uc;
	struct abi_siginfo info;
};
_Static_assert(sizeof(struct signal_frame) % 16 == 8, "aligned as after a call");

/* ---- Interrupted calls ------------------------------------------------------------------- */

bool
arch_call_interrupted(int error)
{
	const struct trap_frame *frame = user_frame();

	return frame->vector == VECTOR_SYSCALL && frame->rax == (uint64_t)-error;
}

uint64_t
arch_call_number(void)
{
	return user_frame()->error;
}

void
arch_call_again(void)
{
	struct trap_frame *frame = user_frame();

	frame->rip -= 2; /* SYSCALL */
	frame->rax = frame->error;
}

void
arch_call_fail(void)
{
	user_frame()->rax = (uint64_t)-EINTR;
}

bool
arch_on_stack(uintptr_t start, size_t size)
{
	return user_frame()->rsp - start < size;
}

/* ---- To the handler ---------------------------------------------------------------------- */

/* Bytes that the vector registers take on the program's stack. */
static size_t
fpstate_size(void)
{
	return fpu_frame_size() + (fpu_features() ? sizeof(uint32_t) : 0);
}

size_t
arch_signal_frame_size(void)
{
	return sizeof(struct signal_frame) + fpstate_size() + RED_ZONE + 64 + 16;
}

/* Bytes between what the kernel saves and the keys are not written. */
static int
put_keys(uintptr_t at, const void *area)
{
	uint64_t present = fpu_frame_present(area), keys = keys_read();

	if (!fpu_keys_offset())
		return 0;
	if (copy_to_user(at + FPU_PRESENT_AT, &present, sizeof(present)))
		return -EFAULT;
	return copy_to_user(at + fpu_keys_offset(), &keys, sizeof(keys));
}

static int
put_fpstate(uintptr_t at)
{
	struct user_thread *user = thread_current()->user;
	struct xstate_info info = {
		.magic1 = XSTATE_MAGIC1,
		.extended_size = (uint32_t)fpstate_size(),
		.features = fpu_features(),
		.xstate_size = (uint32_t)fpu_frame_size(),
	};
	uint32_t magic2 = XSTATE_MAGIC2;
	irqflags_t flags = arch_irq_save();

	fpu_save(user->arch.fpu); /* and at every switch again, the same */
	arch_irq_restore(flags);
	if (copy_to_user(at, user->arch.fpu, fpu_area_size()))
		return -EFAULT;
	if (!fpu_features())
		return 0;
	if (put_keys(at, user->arch.fpu))
		return -EFAULT;
	if (copy_to_user(at + XSTATE_INFO_AT, &info, sizeof(info)))
		return -EFAULT;
	return copy_to_user(at + fpu_frame_size(), &magic2, sizeof(magic2));
}

static void
fill_context(struct sigcontext *to, const struct trap_frame *from, const struct arch_user *arch)
{
	*to = (struct sigcontext){
		.r8 = from->r8,
		.r9 = from->r9,
		.r10 = from->r10,
		.r11 = from->r11,
		.r12 = from->r12,
		.r13 = from->r13,
		.r14 = from->r14,
		.r15 = from->r15,
		.rdi = from->rdi,
		.rsi = from->rsi,
		.rbp = from->rbp,
		.rbx = from->rbx,
		.rdx = from->rdx,
		.rax = from->rax,
		.rcx = from->rcx,
		.rsp = from->rsp,
		.rip = from->rip,
		.rflags = from->rflags,
		.cs = USER_CS,
		.ss = USER_DS,
		.error = arch->error,
		.vector = arch->vector,
		.cr2 = arch->fault_address,
	};
}

/* Where the handler's frame is to end: on the alternate stack, if it wants that. */
static uintptr_t
stack_for(const struct abi_sigaction *action, const struct abi_sigaltstack *stack)
{
	if (action->flags & SA_ONSTACK && !(stack->flags & SS_DISABLE) &&
	    !arch_on_stack(stack->sp, stack->size))
		return stack->sp + stack->size;
	return user_frame()->rsp - RED_ZONE;
}

/* On an alternate stack the frame must not end up below it. */
static bool
fits(const struct abi_sigaction *action, const struct abi_sigaltstack *stack, uintptr_t at)
{
	bool enters = action->flags & SA_ONSTACK && !(stack->flags & SS_DISABLE);

	return !(enters || arch_on_stack(stack->sp, stack->size)) || at - stack->sp < stack->size;
}

int
arch_signal_call(const struct abi_sigaction *action, const struct abi_siginfo *info,
		 uint64_t blocked, const struct abi_sigaltstack *stack)
{
	struct trap_frame *frame = user_frame();
	uintptr_t at = stack_for(action, stack), fpstate;
	struct signal_frame out;

	if (!(action->flags & SA_RESTORER))
		return -EFAULT;
	fpstate = ALIGN_DOWN(at - fpstate_size(), 64);
	at = ALIGN_DOWN(fpstate - sizeof(out), 16) - 8;
	if (!fits(action, stack, at))
		return -EFAULT;
	memset(&out, 0, sizeof(out));
	out.restorer = action->restorer;
	out.uc.flags =
	    UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (fpu_features() ? UC_FP_XSTATE : 0);
	out.uc.stack = *stack;
	out.uc.blocked = blocked;
	fill_context(&out.uc.context, frame, &thread_current()->user->arch);
	out.uc.context.oldmask = blocked;
	out.uc.context.fpstate = fpstate;
	out.info = *info;
	if (put_fpstate(fpstate) || copy_to_user(at, &out, sizeof(out)))
		return -EFAULT;

	keys_write(KEYS_DEFAULT);
	frame->rip = action->handler;
	frame->rsp = at;
	frame->rdi = (uint64_t)info->signo;
	frame->rsi = at + offsetof(struct signal_frame, info);
	frame->rdx = at + offsetof(struct signal_frame, uc);
	frame->rax = 0; /* no vector registers hold arguments */
	frame->rflags &= ~(RFLAGS_DF | RFLAGS_TF | RFLAGS_RF);
	frame->vector = 0; /* not by SYSRET: RCX and R11 are to stay */
	return 0;
}

/* ---- And back ---------------------------------------------------------------------------- */

/* Does the frame hold all that XSAVE stores, in the format of this machine? */
static bool
has_xstate(const void *area, uintptr_t at)
{
	struct xstate_info info;
	uint32_t magic2;

	memcpy(&info, (const char *)area + XSTATE_INFO_AT, sizeof(info));
	if (!fpu_features() || info.magic1 != XSTATE_MAGIC1 || info.xstate_size != fpu_frame_size())
		return false;
	return !copy_from_user(&magic2, at + fpu_frame_size(), sizeof(magic2)) &&
	       magic2 == XSTATE_MAGIC2;
}

/* Fill area with what lies at at, and *keys; keys that are not there deny nothing. */
static int
read_fpstate(void *area, uintptr_t at, uint32_t *keys)
{
	*keys = 0;
	if (copy_from_user(area, at, FXSAVE_SIZE))
		return -EFAULT;
	if (has_xstate(area, at)) {
		if (copy_from_user(area, at, fpu_area_size()))
			return -EFAULT;
		if (fpu_frame_has_keys(area) &&
		    copy_from_user(keys, at + fpu_keys_offset(), sizeof(*keys)))
			return -EFAULT;
	} else if (fpu_features()) {
		fpu_mark_legacy(area);
	}
	fpu_sanitize(area);
	return 0;
}

/* Load the vector registers from what a handler's frame says: 0 for those after a reset. */
static int
get_fpstate(uintptr_t at)
{
	struct user_thread *user = thread_current()->user;
	void *area = fpu_area_alloc();
	uint32_t keys = KEYS_DEFAULT;
	irqflags_t flags;
	int error = 0;

	if (!area)
		return -ENOMEM;
	if (at)
		error = read_fpstate(area, at, &keys);
	if (!error) {
		flags = arch_irq_save();
		memcpy(user->arch.fpu, area, fpu_area_size());
		fpu_load(user->arch.fpu);
		arch_irq_restore(flags);
		keys_write(keys);
	}
	fpu_area_free(area);
	return error;
}

static void
take_context(struct trap_frame *to, const struct sigcontext *from)
{
	*to = (struct trap_frame){
		.r8 = from->r8,
		.r9 = from->r9,
		.r10 = from->r10,
		.r11 = from->r11,
		.r12 = from->r12,
		.r13 = from->r13,
		.r14 = from->r14,
		.r15 = from->r15,
		.rdi = from->rdi,
		.rsi = from->rsi,
		.rbp = from->rbp,
		.rbx = from->rbx,
		.rdx = from->rdx,
		.rax = from->rax,
		.rcx = from->rcx,
		.rsp = from->rsp,
		.rip = from->rip,
		.rflags = RFLAGS_FIXED | RFLAGS_IF | (from->rflags & RFLAGS_USER),
		.cs = USER_CS,
		.ss = USER_DS,
	};
}

int
arch_signal_return(uint64_t *blocked, struct abi_sigaltstack *stack, int64_t *result)
{
	struct trap_frame *frame = user_frame();
	struct ucontext uc;

	/* The handler's return has taken the restorer's address off the stack. */
	if (copy_from_user(&uc, frame->rsp - 8 + offsetof(struct signal_frame, uc), sizeof(uc)))
		return -EFAULT;
	if (get_fpstate(uc.context.fpstate))
		return -EFAULT;
	take_context(frame, &uc.context);
	*blocked = uc.blocked;
	*stack = uc.stack;
	*result = (int64_t)frame->rax;
	return 0;
}
