/* SPDX-License-Identifier: MIT */
/*
 * The first process.
 *
 * init=PATH names its program; without it /init is tried, /sbin/init, /bin/sh. It is process 1,
 * has the console as its standard input, output and error, and no parent. When it ends, all
 * that it has left behind is killed and freed, and the kernel's console takes over; or, with
 * init.off=1, the machine is switched off, well if the program ended with status 0.
 */
#include <abi/fcntl.h>
#include <cmdline.h>
#include <power.h>
#include <printk.h>
#include <start.h>
#include <string.h>

#include "user.h"

#define CONSOLE "/dev/console"

static const char *init_path; /* (c) from the command line, or NULL */

static int
parse_init(const char *value)
{
	if (value[0] != '/')
		return -EINVAL;
	init_path = value;
	return 0;
}
CMDLINE_OPTION(init, "init", "path of the first program", parse_init);

static uint64_t off_after; /* (c) */
TUNABLE(off_after, "init.off", 0, 1, "1: switch off when the first program has ended");

/* What the new thread is to do, and how it went. */
static struct {
	const char *path;
	const char *const *argv, *const *envp;
	bool done; /* (p) */
	int error; /* (p) */
	struct wait_queue queue;
} start = { .queue = WAIT_QUEUE_INIT(start.queue) };

/* ---- In the new thread ------------------------------------------------------------------- */

static int
open_console(void)
{
	struct process *me = process_current();
	struct file *file;
	int error = file_open(me->fs, CONSOLE, O_RDWR, 0, &file), fd = 0;

	if (error)
		return error;
	while (fd >= 0 && fd < 2) {
		fd = fd_install(me->files, file_get(file), false);
		if (fd < 0)
			file_put(file);
	}
	file_put(file);
	return fd < 0 ? fd : 0;
}

static int
add_all(struct exec_strings *strings, const char *const *list)
{
	int error = 0;

	for (; *list && !error; list++)
		error = exec_strings_add(strings, *list);
	return error;
}

static int
run_program(void)
{
	struct exec_args args = { .argv.text = NULL };
	int error = open_console();

	if (!error)
		error = add_all(&args.argv, start.argv);
	if (!error)
		error = add_all(&args.envp, start.envp);
	if (!error)
		error = exec_program(start.path, &args);
	exec_args_free(&args);
	return error;
}

static void
first_main(void *arg)
{
	int error = run_program();
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	(void)arg;
	start.error = error;
	start.done = true;
	wake_all(&start.queue);
	spin_unlock_irqrestore(&process_lock, flags);
	if (error)
		user_thread_exit(127);
	arch_user_enter();
}

/* ---- In the kernel's thread -------------------------------------------------------------- */

struct process *
process_make_first(void (*entry)(void *))
{
	struct process *process = process_new(NULL);
	struct user_thread *user;
	irqflags_t flags;

	if (!process)
		return NULL;
	process_set_name(process, "init");
	process->space = space_create();
	process->files = fd_table_create();
	process->fs = fs_context_create();
	user = process->space && process->files && process->fs ? user_thread_new(process, entry)
							       : NULL;
	if (!user) {
		process_discard(process);
		return NULL;
	}
	user->space = process->space;
	flags = spin_lock_irqsave(&process_lock);
	first_process = process;
	process_publish_first_locked(process, user);
	spin_unlock_irqrestore(&process_lock, flags);
	thread_start(user->thread);
	return process;
}

/* If it could not be started, its process ends at once, and is to be waited for all the same. */
int
process_start_first(const char *path, const char *const *argv, const char *const *envp)
{
	irqflags_t flags;
	int error;

	start.path = path;
	start.argv = argv;
	start.envp = envp;
	start.done = false;
	if (!process_make_first(first_main))
		return -ENOMEM;
	flags = spin_lock_irqsave(&process_lock);
	while (!start.done)
		wait_on(&start.queue, &process_lock);
	error = start.error;
	spin_unlock_irqrestore(&process_lock, flags);
	if (error)
		(void)process_wait_first();
	return error;
}

/* Kill all processes but the first, which has ended. Returns whether one is left. */
static bool
kill_rest_locked(void)
{
	struct process *process;
	bool left = false;

	assert_held(&process_lock);
	for (process = process_next_locked(0); process;
	     process = process_next_locked(process->pid + 1)) {
		if (process == first_process)
			continue;
		left = true;
		process_end_locked(process, CLD_KILLED, SIGKILL);
	}
	return left;
}

/* A child of the first process that has ended, out of the trees; or NULL. */
static struct process *
take_zombie_locked(void)
{
	struct process_private *child;

	assert_held(&process_lock);
	list_for_each_entry (child, &first_process->private->children, sibling) {
		if (child->process.state == PROCESS_ZOMBIE) {
			process_unpublish_locked(&child->process);
			return &child->process;
		}
	}
	return NULL;
}

static void
free_rest(void)
{
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	while (kill_rest_locked()) {
		struct process *zombie = take_zombie_locked();

		if (!zombie) {
			wait_on(&first_process->private->child_changed, &process_lock);
			continue;
		}
		spin_unlock_irqrestore(&process_lock, flags);
		process_free(zombie);
		flags = spin_lock_irqsave(&process_lock);
	}
	spin_unlock_irqrestore(&process_lock, flags);
}

struct wait_status
process_wait_first(void)
{
	struct process *first;
	struct wait_status status;
	irqflags_t flags = spin_lock_irqsave(&process_lock);

	while (first_process->state != PROCESS_ZOMBIE)
		wait_on(&first_process_ended, &process_lock);
	spin_unlock_irqrestore(&process_lock, flags);
	free_rest();
	flags = spin_lock_irqsave(&process_lock);
	first = first_process;
	first_process = NULL;
	status = first->private->end;
	process_unpublish_locked(first);
	spin_unlock_irqrestore(&process_lock, flags);
	process_free(first);
	reaper_wait();
	return status;
}

/* Asked before there is a process, which would take the terminal, and what was typed there. */
static bool
exists(const char *path)
{
	struct fs_context *fs = fs_context_create();
	struct file *file;
	int error = fs ? file_open(fs, path, O_RDONLY, 0, &file) : -ENOMEM;

	if (!error)
		file_put(file);
	if (fs)
		fs_context_put(fs);
	return error != -ENOENT && error != -ENOTDIR;
}

static int
start_any(const char **path)
{
	static const char *const usual[] = { "/init", "/sbin/init", "/bin/sh" };
	static const char *const envp[] = { "HOME=/", "TERM=linux",
					    "PATH=/sbin:/usr/sbin:/bin:/usr/bin", NULL };
	int error = -ENOENT;

	for (unsigned i = 0; i < (init_path ? 1 : ARRAY_SIZE(usual)) && error == -ENOENT; i++) {
		const char *argv[2] = { init_path ? init_path : usual[i], NULL };

		*path = argv[0];
		error = exists(argv[0]) ? process_start_first(argv[0], argv, envp) : -ENOENT;
	}
	return error;
}

static void
run_first(void)
{
	const char *path = NULL;
	struct wait_status status;
	int error = start_any(&path);

	if (error) {
		if (init_path || error != -ENOENT)
			kprintf("init: %s cannot be started: error %d\n", path, -error);
		return;
	}
	status = process_wait_first();
	if (status.code == CLD_EXITED)
		kprintf("init: %s has ended with status %d\n", path, status.status);
	else
		kprintf("init: %s was ended by signal %d\n", path, status.status);
	if (off_after)
		power_off(status.code == CLD_EXITED && status.status == 0 ? EXIT_PASS : EXIT_FAIL);
}

static void
first_init(void)
{
	run_first_program = run_first;
}
START_STEP(first, first_init, START_PROCESSES);

/* ---- Switching off --------------------------------------------------------------------------- */

#define REBOOT_MAGIC1	 0xfee1deadu
#define REBOOT_RESTART	 0x01234567u
#define REBOOT_HALT	 0xcdef0123u
#define REBOOT_POWER_OFF 0x4321fedcu

static bool
is_magic(uint64_t word)
{
	return word == 672274793 || word == 85072278 || word == 369367448 || word == 537993216;
}

static int64_t
sys_reboot(const uint64_t *arg)
{
	if ((uint32_t)arg[0] != REBOOT_MAGIC1 || !is_magic((uint32_t)arg[1]))
		return -EINVAL;
	if (!is_privileged())
		return -EPERM;
	switch ((uint32_t)arg[2]) {
	case REBOOT_RESTART:
		kprintf("reboot: starting again\n");
		power_reboot();
	case REBOOT_HALT:
	case REBOOT_POWER_OFF:
		kprintf("reboot: switching off\n");
		power_off(EXIT_PASS);
	default:
		return -EINVAL;
	}
}
SYSCALL(169, reboot, 4, sys_reboot);
