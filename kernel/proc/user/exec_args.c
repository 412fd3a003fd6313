/* SPDX-License-Identifier: MIT */
/*
 * The arguments of a new program: from the memory of the old one, by way of the kernel, onto the
 * stack of the new one.
 *
 * In the kernel they lie as they will on the stack, one string after the other, in two buffers
 * that grow as needed. Together they may take STRINGS_MAX bytes; one may take STRING_MAX.
 */
#include <abi/auxv.h>
#include <random.h>
#include <slab.h>
#include <string.h>

#include "exec.h"

#define STRINGS_MAX MiB(2)
#define STRING_MAX  KiB(128)
#define ROOM_FIRST  1024

#define PLATFORM     "x86_64"
#define RANDOM_BYTES 16

/* ---- Buffers ----------------------------------------------------------------------------- */

/* Room for size more bytes. */
static int
make_room(struct exec_strings *strings, size_t size)
{
	size_t room = MAX(strings->room, ROOM_FIRST);
	char *text;

	if (strings->size + size > STRINGS_MAX)
		return -E2BIG;
	while (room < strings->size + size)
		room *= 2;
	if (room == strings->room)
		return 0;
	text = krealloc(strings->text, room, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	strings->text = text;
	strings->room = room;
	return 0;
}

int
exec_strings_add(struct exec_strings *strings, const char *text)
{
	size_t size = strlen(text) + 1;
	int error = make_room(strings, size);

	if (error)
		return error;
	memcpy(strings->text + strings->size, text, size);
	strings->size += size;
	strings->nr++;
	return 0;
}

void
exec_args_free(struct exec_args *args)
{
	kfree(args->argv.text);
	kfree(args->envp.text);
}

/* Append a string of the running program. */
static int
add_from_user(struct exec_strings *strings, uintptr_t from)
{
	for (size_t room = 256;; room *= 2) {
		int64_t length;
		int error = make_room(strings, room);

		if (error)
			return error;
		length = copy_string_from_user(strings->text + strings->size, from, room);
		if (length >= 0) {
			strings->size += (size_t)length + 1;
			strings->nr++;
			return 0;
		}
		if (length != -ENAMETOOLONG)
			return (int)length;
		if (room >= STRING_MAX)
			return -E2BIG;
	}
}

/* Append all strings of an array of pointers that ends with NULL, or that is NULL. */
static int
add_array(struct exec_strings *strings, uintptr_t array)
{
	uintptr_t string;
	int error = 0;

	for (; array && !error; array += sizeof(string)) {
		if (copy_from_user(&string, array, sizeof(string)))
			return -EFAULT;
		if (!string)
			break;
		error = add_from_user(strings, string);
	}
	return error;
}

static int64_t
sys_execve(const uint64_t *arg)
{
	struct exec_args args = { .argv.text = NULL };
	char *path = kmalloc(PATH_MAX, GFP_KERNEL);
	int64_t length;
	int error = -ENOMEM;

	if (!path)
		return -ENOMEM;
	length = copy_string_from_user(path, arg[0], PATH_MAX);
	error = length < 0 ? (int)length : 0;
	if (!error)
		error = add_array(&args.argv, arg[1]);
	if (!error && args.argv.nr == 0) /* programs rely on having a first argument */
		error = exec_strings_add(&args.argv, "");
	if (!error)
		error = add_array(&args.envp, arg[2]);
	if (!error && args.argv.size + args.envp.size > STRINGS_MAX)
		error = -E2BIG;
	if (!error)
		error = exec_program(path, &args);
	exec_args_free(&args);
	kfree(path);
	return error;
}
SYSCALL(59, execve, 3, sys_execve);

/* ---- The stack --------------------------------------------------------------------------- */

struct stack {
	uintptr_t sp; /* grows down */
	bool failed;
};

static uintptr_t
push_bytes(struct stack *stack, const void *bytes, size_t size)
{
	stack->sp -= size;
	if (!stack->failed && size && copy_to_user(stack->sp, bytes, size))
		stack->failed = true;
	return stack->sp;
}

static void
push_word(struct stack *stack, uint64_t word)
{
	push_bytes(stack, &word, sizeof(word));
}

/* Auxiliary vector entries lie type first, so the value is pushed first. */
static void
push_aux(struct stack *stack, uint64_t type, uint64_t value)
{
	push_word(stack, value);
	push_word(stack, type);
}

/* Pointers to strings that begin at at, and NULL behind them. They are written front to back. */
static void
push_pointers(struct stack *stack, const struct exec_strings *strings, uintptr_t at)
{
	const char *text = strings->text;
	uintptr_t slot;

	push_word(stack, 0);
	stack->sp -= strings->nr * sizeof(uintptr_t);
	slot = stack->sp;
	for (unsigned i = 0; i < strings->nr && !stack->failed; i++) {
		uintptr_t string = at + (uintptr_t)(text - strings->text);

		stack->failed = copy_to_user(slot, &string, sizeof(string)) != 0;
		slot += sizeof(string);
		text += strlen(text) + 1;
	}
}

struct strings_at {
	uintptr_t platform, random, path, envp, argv;
};

static struct strings_at
push_strings(struct stack *stack, const struct exec *exec)
{
	uint8_t random[RANDOM_BYTES];
	struct strings_at at;

	random_bytes(random, sizeof(random));
	push_word(stack, 0);
	at.path = push_bytes(stack, exec->path, strlen(exec->path) + 1);
	at.envp = push_bytes(stack, exec->args->envp.text, exec->args->envp.size);
	at.argv = push_bytes(stack, exec->args->argv.text, exec->args->argv.size);
	at.platform = push_bytes(stack, PLATFORM, sizeof(PLATFORM));
	at.random = push_bytes(stack, random, sizeof(random));
	return at;
}

static void
push_aux_vector(struct stack *stack, const struct exec *exec, const struct strings_at *at)
{
	const struct credentials *who = &process_current()->private->credentials;
	const struct elf_image *image = &exec->image;

	push_aux(stack, AT_NULL, 0);
	push_aux(stack, AT_PLATFORM, at->platform);
	push_aux(stack, AT_EXECFN, at->path);
	push_aux(stack, AT_RANDOM, at->random);
	push_aux(stack, AT_SECURE,
		 who->uid.real != who->uid.effective || who->gid.real != who->gid.effective);
	push_aux(stack, AT_EGID, who->gid.effective);
	push_aux(stack, AT_GID, who->gid.real);
	push_aux(stack, AT_EUID, who->uid.effective);
	push_aux(stack, AT_UID, who->uid.real);
	push_aux(stack, AT_ENTRY, exec->base + image->entry);
	push_aux(stack, AT_FLAGS, 0);
	push_aux(stack, AT_BASE, exec->interpreter_base);
	if (image->headers) {
		push_aux(stack, AT_PHNUM, image->nr_headers);
		push_aux(stack, AT_PHENT, sizeof(struct elf_program_header));
		push_aux(stack, AT_PHDR, exec->base + image->headers);
	}
	push_aux(stack, AT_CLKTCK, USER_HZ);
	push_aux(stack, AT_PAGESZ, PAGE_SIZE);
	push_aux(stack, AT_HWCAP, arch_hwcap());
	push_aux(stack, AT_MINSIGSTKSZ, arch_signal_frame_size());
}

static void
set_arguments(const struct exec *exec, const struct strings_at *at)
{
	struct process_private *private = process_current()->private;
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	private->arg_start = at->argv;
	private->arg_end = at->argv + exec->args->argv.size;
	private->env_start = at->envp;
	private->env_end = at->envp + exec->args->envp.size;
	spin_unlock_irqrestore(&process_lock, flags);
}

/*
 * The stack pointer is to end at a multiple of 16, and what lies between the random bytes and it
 * is words: all pointers, three counts and ends, and the vector, whose entries are two.
 */
int
exec_fill_stack(const struct exec *exec, uintptr_t *sp)
{
	struct stack stack = { .sp = exec->layout.stack_top - exec->layout.stack_offset };
	struct strings_at at = push_strings(&stack, exec);

	stack.sp = ALIGN_DOWN(stack.sp, 16);
	if ((exec->args->argv.nr + exec->args->envp.nr + 3) % 2)
		push_word(&stack, 0);
	push_aux_vector(&stack, exec, &at);
	push_pointers(&stack, &exec->args->envp, at.envp);
	push_pointers(&stack, &exec->args->argv, at.argv);
	push_word(&stack, exec->args->argv.nr);
	set_arguments(exec, &at);
	*sp = stack.sp;
	return stack.failed ? -EFAULT : 0;
}
