/* SPDX-License-Identifier: MIT */
/*
 * execve(): another program in the same process.
 *
 * What can fail for ordinary reasons is done first, beside the running program: arguments are
 * copied into the kernel, the file is checked, and a new address space is made with all of the
 * file's segments mapped. Nothing is read but headers: pages come when they are touched. Then,
 * past the point of no return, the space takes the place of the old one:
 *
 *	copy arguments, open, parse, map      any error: the old program goes on
 *	------------------------------------- other threads are killed
 *	switch spaces, forget handlers        any error: the process dies
 *	clear the end of data, fill the stack
 *	registers as at the start
 *
 * The stack as a program finds it (System V ABI, AMD64 supplement, 3.4.1):
 *
 *	top    random gap, platform, random bytes, path, environment, arguments: strings
 *	       auxiliary vector, environment pointers, 0, argument pointers, 0
 *	RSP -> number of arguments
 *
 * "#!" at the start of a file names the program that is to interpret it. A program that is linked
 * dynamically names its loader, which is mapped beside it, and begins in its place.
 */
#include <abi/fcntl.h>
#include <cmdline.h>
#include <random.h>
#include <slab.h>
#include <string.h>

#include "elf.h"
#include "exec.h"

#define SCRIPT_LINE  256 /* bytes of "#!..." that count */
#define SCRIPT_DEPTH 4	 /* scripts that are interpreted by scripts */

uint64_t randomize_va_space = LAYOUT_RANDOM_HEAP;
TUNABLE(randomize_va_space, "mm.aslr", LAYOUT_FIXED, LAYOUT_RANDOM_HEAP,
	"1: programs begin at random addresses; 2: their heaps, too; 0: always at the same");

/* ---- Opening ----------------------------------------------------------------------------- */

static int
open_executable(const char *path, struct file **file)
{
	int error = file_open(process_current()->fs, path, O_RDONLY, 0, file);

	if (error)
		return error;
	error = file_may_exec(*file);
	if (error)
		file_put(*file);
	return error;
}

/* Read exactly size bytes: a file that ends before is no program. */
static int
read_exactly(struct file *file, uint64_t offset, void *to, size_t size)
{
	int64_t got = file_read_at(file, offset, to, size);

	if (got < 0)
		return (int)got;
	return (size_t)got == size ? 0 : -ENOEXEC;
}

static int
read_image(struct file *file, struct elf_image *image)
{
	struct elf_program_header *headers;
	struct elf_header header;
	int error = read_exactly(file, 0, &header, sizeof(header));

	if (!error)
		error = elf_check_header(&header);
	if (error)
		return error;
	headers = kmalloc(header.phnum * sizeof(*headers), GFP_KERNEL);
	if (!headers)
		return -ENOMEM;
	error = read_exactly(file, header.phoff, headers, header.phnum * sizeof(*headers));
	if (!error)
		error = elf_parse(&header, headers, image);
	kfree(headers);
	return error;
}

/* The program wants another one to load it: that must lie anywhere, and want none itself. */
static int
find_interpreter(struct exec *exec)
{
	size_t size = exec->image.interpreter_size;
	char *path;
	int error;

	if (size < 2 || size > PATH_MAX)
		return -ENOEXEC;
	path = kmalloc(size, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	error = read_exactly(exec->file, exec->image.interpreter_offset, path, size);
	if (!error && path[size - 1] != '\0')
		error = -ENOEXEC;
	if (!error)
		error = open_executable(path, &exec->interpreter_file);
	kfree(path);
	if (!error)
		error = read_image(exec->interpreter_file, &exec->interpreter);
	if (!error && (!exec->interpreter.relocatable || exec->interpreter.interpreter_size))
		error = -ENOEXEC;
	return error;
}

/* ---- Scripts ----------------------------------------------------------------------------- */

/* Cut "#! INTERPRETER [ARGUMENT]" into its two words. */
static int
parse_script(char *line, char **interpreter, char **argument)
{
	char *end = strchr(line, '\n'), *p = line + 2;

	if (!end && strlen(line) == SCRIPT_LINE)
		return -ENOEXEC; /* cut off in the middle of a word */
	if (!end)
		end = line + strlen(line);
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	while (*p == ' ' || *p == '\t')
		p++;
	if (!*p)
		return -ENOEXEC;
	*interpreter = p;
	while (*p && *p != ' ' && *p != '\t')
		p++;
	while (*p == ' ' || *p == '\t')
		*p++ = '\0';
	*argument = *p ? p : NULL;
	return 0;
}

/* In place of the first argument: interpreter, its argument, the script's path. */
static int
replace_first(struct exec_strings *argv, const char *interpreter, const char *argument,
	      const char *script)
{
	struct exec_strings new = { .text = NULL };
	const char *rest = argv->text;
	int error = exec_strings_add(&new, interpreter);

	if (!error && argument)
		error = exec_strings_add(&new, argument);
	if (!error)
		error = exec_strings_add(&new, script);
	for (unsigned i = 0; i < argv->nr && !error; i++) {
		if (i > 0)
			error = exec_strings_add(&new, rest);
		rest += strlen(rest) + 1;
	}
	if (error) {
		kfree(new.text);
		return error;
	}
	kfree(argv->text);
	*argv = new;
	return 0;
}

/*
 * If the file is a script, change arguments and path to those of its interpreter. Returns 1 if it
 * was one, 0 if not, or an error.
 */
static int
follow_script(struct file *file, char *path, struct exec_args *args)
{
	char line[SCRIPT_LINE + 1];
	char *interpreter, *argument;
	int64_t got = file_read_at(file, 0, line, SCRIPT_LINE);
	int error;

	if (got < 2 || line[0] != '#' || line[1] != '!')
		return got < 0 ? (int)got : 0;
	line[got] = '\0';
	error = parse_script(line, &interpreter, &argument);
	if (!error)
		error = replace_first(&args->argv, interpreter, argument, path);
	if (error)
		return error;
	strlcpy(path, interpreter, PATH_MAX);
	return 1;
}

/* Open what is to be loaded in the end. path: PATH_MAX bytes, becomes that of the interpreter. */
static int
find_program(char *path, struct exec_args *args, struct file **file)
{
	for (unsigned depth = 0;; depth++) {
		int script, error = open_executable(path, file);

		if (error)
			return error;
		script = follow_script(*file, path, args);
		if (script == 0)
			return 0;
		file_put(*file);
		if (script < 0)
			return script;
		if (depth == SCRIPT_DEPTH)
			return -ELOOP;
	}
}

/* ---- Loading ----------------------------------------------------------------------------- */

/* Map [start, end) anonymously, if it is not empty. */
static int
map_zeroes(struct address_space *space, uintptr_t start, uintptr_t end, unsigned prot)
{
	if (start == end)
		return 0;
	return space_map(space, &start, end - start, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
			 NULL, 0, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int
map_segment(struct address_space *space, struct file *file, const struct elf_segment *segment,
	    uintptr_t base)
{
	uintptr_t start = ALIGN_DOWN(base + segment->vaddr, PAGE_SIZE);
	uintptr_t file_end = base + segment->vaddr + segment->file_size;
	uintptr_t end = ALIGN_UP(base + segment->vaddr + segment->memory_size, PAGE_SIZE);
	uintptr_t at = start;
	int error;

	if (segment->file_size == 0)
		return map_zeroes(space, start, end, segment->prot);
	file_end = ALIGN_UP(file_end, PAGE_SIZE);
	error = space_map(space, &at, file_end - start, segment->prot, MAP_PRIVATE | MAP_FIXED,
			  file_object(file), ALIGN_DOWN(segment->offset, PAGE_SIZE),
			  PROT_READ | PROT_WRITE | PROT_EXEC);
	return error ? error : map_zeroes(space, file_end, end, segment->prot);
}

static int
map_image(struct address_space *space, struct file *file, const struct elf_image *image,
	  uintptr_t base)
{
	int error = file_object(file) ? 0 : -EACCES;

	for (unsigned i = 0; i < image->nr_segments && !error; i++)
		error = map_segment(space, file, &image->segment[i], base);
	return error;
}

/* The interpreter goes where there is room: that is reserved, and then replaced. */
static int
load_interpreter(struct exec *exec)
{
	const struct elf_image *image = &exec->interpreter;
	uintptr_t at = 0;
	int error;

	if (!exec->interpreter_file)
		return 0;
	error = space_map(exec->space, &at, image->high - image->low, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, PROT_NONE);
	if (error)
		return error;
	exec->interpreter_base = at - image->low;
	return map_image(exec->space, exec->interpreter_file, image, exec->interpreter_base);
}

/* The whole mapping that holds an address; where nothing may become executable it stays as it is.
 */
static int
make_executable(struct address_space *space, uintptr_t address)
{
	struct region_info info;

	if (space_refuses_exec_gain(space) || !space_region_at(space, address, &info))
		return 0;
	return space_protect(space, info.start, info.end - info.start,
			     PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* How much of the layout is random: what the process asked for by personality(), or all do. */
static enum layout_kind
layout_kind(void)
{
	if (process_current()->private->persona & ADDR_NO_RANDOMIZE)
		return LAYOUT_FIXED;
	return (enum layout_kind)__atomic_load_n(&randomize_va_space, __ATOMIC_RELAXED);
}

static int
load(struct exec *exec)
{
	const struct elf_image *image = &exec->image;
	size_t stack_limit = MIN(process_limit(RLIMIT_STACK), GiB(1));
	struct space_layout *layout = &exec->layout;
	int error;

	if (image->high - image->low > USER_WINDOW / 4)
		return -ENOMEM;
	stack_limit = ALIGN_UP(MAX(stack_limit, KiB(128)), PAGE_SIZE);
	space_choose_layout(layout, layout_kind(), stack_limit, random_u64);
	space_set_map_top(exec->space, layout->map_top);
	if (image->relocatable)
		exec->base = layout->program - image->low;
	error = map_image(exec->space, exec->file, image, exec->base);
	if (!error)
		error = load_interpreter(exec);
	if (error)
		return error;
	exec->heap = exec->base + image->high + layout->heap_offset;
	error = space_map_stack(exec->space, layout->stack_top, stack_limit);
	if (!error && image->executable_stack)
		error = make_executable(exec->space, layout->stack_top - PAGE_SIZE);
	return error;
}

/* The rest of the last page of each segment's file part is the program's zeroed data. */
static int
clear_ends(const struct elf_image *image, uintptr_t base)
{
	for (unsigned i = 0; i < image->nr_segments; i++) {
		const struct elf_segment *segment = &image->segment[i];
		uintptr_t end = base + segment->vaddr + segment->file_size;
		size_t left =
		    MIN(ALIGN_UP(end, PAGE_SIZE) - end, segment->memory_size - segment->file_size);

		if (segment->file_size && left && clear_user(end, left))
			return -EFAULT;
	}
	return 0;
}

/* ---- The switch -------------------------------------------------------------------------- */

static void
take_over(struct exec *exec)
{
	struct process *process = process_current();
	struct address_space *old = process->space;
	struct file *old_file = process->private->executable;
	struct user_thread *me = user_current();
	uint32_t set_uid, set_gid;
	irqflags_t flags;

	flags = spin_lock_irqsave(&process_lock);
	process->space = exec->space;
	process->private->executable = exec->file;
	process->private->has_execed = true;
	process_set_name(process, exec->path);
	process_trace(process);
	spin_unlock_irqrestore(&process_lock, flags);
	arch_user_set_space(exec->space);
	arch_user_reset_keys();
	vfork_release(process);
	space_put(old);
	if (old_file)
		file_put(old_file);
	space_set_heap(process->space, exec->heap);
	file_set_ids(process->private->executable, &set_uid, &set_gid);
	if (process->private->no_new_privileges)
		set_uid = set_gid = UINT32_MAX;
	if (set_uid != UINT32_MAX || set_gid != UINT32_MAX)
		process->private->death_signal = 0;
	credentials_exec(set_uid, set_gid);
	process->private->barriers = 0;
	process->private->undumpable = false;
	signals_exec();
	timers_drop(process, false);
	fd_table_exec(process->files);
	me->clear_tid = me->robust_list = 0;
}

static int
begin(struct exec *exec)
{
	uintptr_t stack, entry = exec->base + exec->image.entry;
	int error = clear_ends(&exec->image, exec->base);

	if (!error && exec->interpreter_file) {
		entry = exec->interpreter_base + exec->interpreter.entry;
		error = clear_ends(&exec->interpreter, exec->interpreter_base);
	}
	if (!error)
		error = exec_fill_stack(exec, &stack);
	if (!error)
		arch_user_start(thread_current(), entry, stack);
	return error;
}

static void
die(void)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	process_end_locked(process_current(), CLD_KILLED, SIGKILL);
	spin_unlock_irqrestore(&process_lock, flags);
}

/* Everything up to the point of no return, and then the rest. */
static int
replace_program(struct exec *exec)
{
	int error = read_image(exec->file, &exec->image);

	if (!error && exec->image.interpreter_size)
		error = find_interpreter(exec);
	if (error)
		return error;
	exec->space = space_create();
	if (!exec->space)
		return -ENOMEM;
	if (space_refuses_exec_gain(process_current()->space))
		space_refuse_exec_gain(exec->space);
	space_forbid_huge(exec->space, space_forbids_huge(process_current()->space));
	error = load(exec);
	if (!error)
		error = signal_actions_unshare();
	if (!error)
		error = process_kill_other_threads();
	if (error) {
		space_put(exec->space);
		return error;
	}
	take_over(exec);
	exec->file = NULL; /* the process's now */
	if (begin(exec))
		die();
	return 0;
}

int
exec_program(const char *path, struct exec_args *args)
{
	struct exec *exec = kmalloc(sizeof(*exec), GFP_KERNEL);
	int error;

	if (!exec)
		return -ENOMEM;
	memset(exec, 0, sizeof(*exec));
	exec->args = args;
	strlcpy(exec->path, path, sizeof(exec->path));
	strlcpy(exec->program, path, sizeof(exec->program));
	error = find_program(exec->program, args, &exec->file);
	if (!error) {
		error = replace_program(exec);
		if (exec->file)
			file_put(exec->file);
		if (exec->interpreter_file)
			file_put(exec->interpreter_file);
	}
	kfree(exec);
	return error;
}
