/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID: a directory for each process, made up when it is looked for.
 *
 *	/proc/PID/	stat status maps ...	texts
 *			exe cwd root		links to what they say
 *			fd/N			a link to each open file
 *			task/TID/		the same of each thread, without task
 *
 * Whether there is such a process is asked at each lookup, and again when a text is made: what has
 * been opened and whose process has ended says ESRCH. An inode's number is made of the process's
 * and of the place in the table, so that it is the same each time.
 *
 * Threads are found as processes are, by their numbers, but only listed below task.
 */
#include <printk.h>
#include <process.h>
#include <string.h>

#include "procfs.h"

/* Numbers of inodes: far above those that are counted up. */
#define INODE_BASE	     (1ull << 48)
#define INODE_OF(pid, which) (INODE_BASE | (uint64_t)(pid) << 20 | (which))
#define FD_INODES	     0x1000

enum { DIRECTORY = 1, TASK, TASK_DIRECTORY, FDS, FAIL, LINKS, PAGEMAP = 0x80, FILES = 0x100 };

static bool
process_exists(int pid)
{
	struct process_info info;

	return process_info_of(pid, &info);
}

/* A number without leading zeroes, or -1. */
static int
parse_number(const char *name, size_t size)
{
	int number = 0;

	if (size == 0 || size > 9 || (name[0] == '0' && size > 1))
		return -1;
	for (size_t i = 0; i < size; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -1;
		number = number * 10 + (name[i] - '0');
	}
	return number;
}

static bool
is_called(const char *name, size_t size, const char *text)
{
	return strlen(text) == size && memcmp(name, text, size) == 0;
}

/* Whose directory that is, or is below: it has the process's number as its name. */
static int
pid_of(const struct dentry *directory)
{
	int pid = -1;

	for (; pid < 0 && directory->parent; directory = directory->parent)
		pid = parse_number(directory->name, directory->size);
	return pid;
}

/* ---- self ---------------------------------------------------------------------------------- */

int64_t
proc_read_self(struct inode *inode, char *to, size_t size)
{
	struct process *process = process_current();
	char text[16];
	size_t length;

	(void)inode;
	if (!process)
		return -ENOENT;
	length = MIN((size_t)ksnprintf(text, sizeof(text), "%d", process->pid), size);
	memcpy(to, text, length);
	return (int64_t)length;
}

int64_t
proc_read_thread_self(struct inode *inode, char *to, size_t size)
{
	struct process *process = process_current();
	char text[32];
	size_t length;

	(void)inode;
	if (!process)
		return -ENOENT;
	length = (size_t)ksnprintf(text, sizeof(text), "%d/task/%d", process->pid,
				   process_current_thread());
	length = MIN(length, size);
	memcpy(to, text, length);
	return (int64_t)length;
}

/* ---- Links --------------------------------------------------------------------------------- */

static int
follow_executable(int pid, int fd, struct dentry **target)
{
	struct file *file = process_executable(pid);

	(void)fd;
	if (!file)
		return -ENOENT;
	*target = dentry_get(file->dentry);
	file_put(file);
	return 0;
}

static int
follow_descriptor(int pid, int fd, struct dentry **target)
{
	struct fd_table *files = process_files(pid);
	struct file *file = files ? fd_get(files, fd) : NULL;

	if (files)
		fd_table_put(files);
	if (!file)
		return -ENOENT;
	*target = dentry_get(file->dentry);
	file_put(file);
	return 0;
}

/* Under names_lock: both are read at one moment. */
static int
follow_place(int pid, bool root, struct dentry **target)
{
	struct fs_context *fs = process_context(pid);

	if (!fs)
		return -ENOENT;
	*target = dentry_get(root ? fs->root : fs->current);
	fs_context_put(fs);
	return 0;
}

static int
follow_current(int pid, int fd, struct dentry **target)
{
	(void)fd;
	return follow_place(pid, false, target);
}

static int
follow_root(int pid, int fd, struct dentry **target)
{
	(void)fd;
	return follow_place(pid, true, target);
}

static const struct proc_link {
	const char *name;
	int (*follow)(int pid, int fd, struct dentry **target);
} links[] = {
	{ "exe", follow_executable },
	{ "cwd", follow_current },
	{ "root", follow_root },
};

static const struct proc_link descriptor_link = { "", follow_descriptor };

/* number: the process's, and in the upper half the descriptor. */
static int
link_follow(struct inode *inode, struct dentry **target)
{
	const struct proc_link *link = inode->private.data;

	return link->follow((int)(uint32_t)inode->private.number,
			    (int)(inode->private.number >> 32), target);
}

static int64_t
link_read(struct inode *inode, char *to, size_t size)
{
	struct dentry *target;
	char *path;
	int64_t length;
	int error;

	mutex_lock(&names_lock);
	error = link_follow(inode, &target);
	mutex_unlock(&names_lock);
	if (error)
		return error;
	path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (path) {
		dentry_show_path(target, path, PATH_MAX);
		length = (int64_t)MIN(strlen(path), size);
		memcpy(to, path, (size_t)length);
	} else {
		length = -ENOMEM;
	}
	kfree(path);
	dentry_put(target);
	return length;
}

static const struct inode_ops link_ops = { .follow = link_follow, .read_link = link_read };

static struct inode *
link_inode(const struct proc_link *link, int pid, int fd, uint64_t which)
{
	struct inode *inode = proc_inode(&link_ops, S_IFLNK | 0777, link, INODE_OF(pid, which));

	if (inode)
		inode->private.number = (uint64_t)(uint32_t)fd << 32 | (uint32_t)pid;
	return inode;
}

/* ---- fd ------------------------------------------------------------------------------------ */

static int
lookup_fd(struct dentry *directory, const char *name, size_t size, struct dentry **found)
{
	int pid = pid_of(directory), fd = parse_number(name, size);
	struct dentry *target;

	if (fd < 0 || follow_descriptor(pid, fd, &target))
		return -ENOENT;
	dentry_put(target);
	return proc_dentry(directory, name, size,
			   link_inode(&descriptor_link, pid, fd, FD_INODES + (unsigned)fd), found);
}

static void
list_fds(struct dentry *directory, uint64_t place, list_fn *emit, void *arg)
{
	int pid = pid_of(directory), fd = (int)(place - DYNAMIC_PLACE);
	struct fd_table *files = process_files(pid);
	char name[16];

	if (!files)
		return;
	for (; (fd = fd_next(files, fd)) >= 0; fd++) {
		struct listed entry = { name, 0, INODE_OF(pid, FD_INODES + (unsigned)fd), S_IFLNK,
					DYNAMIC_PLACE + (unsigned)fd + 1 };

		entry.size = (size_t)ksnprintf(name, sizeof(name), "%d", fd);
		if (!emit(&entry, arg))
			break;
	}
	fd_table_put(files);
}

static const struct inode_ops fd_ops = {
	.file_ops = &directory_ops,
	.lookup = lookup_fd,
	.list = list_fds,
	.fixed = true,
};

/* ---- A process's directory ----------------------------------------------------------------- */

static int lookup_in_process(struct dentry *directory, const char *name, size_t size,
			     struct dentry **found);
static void list_process(struct dentry *directory, uint64_t place, list_fn *emit, void *arg);
static int lookup_task(struct dentry *directory, const char *name, size_t size,
		       struct dentry **found);
static void list_tasks(struct dentry *directory, uint64_t place, list_fn *emit, void *arg);

static const struct inode_ops process_ops = {
	.file_ops = &directory_ops,
	.lookup = lookup_in_process,
	.list = list_process,
	.fixed = true,
};
static const struct inode_ops task_ops = {
	.file_ops = &directory_ops,
	.lookup = lookup_task,
	.list = list_tasks,
	.fixed = true,
};

static const struct subdirectory {
	const char *name;
	const struct inode_ops *ops;
	unsigned which;
} subdirectories[] = {
	{ "fd", &fd_ops, FDS },
	{ "task", &task_ops, TASK },
};

/* The directory of a thread has no "task". */
static bool
is_hidden(const struct dentry *directory, const struct subdirectory *sub)
{
	return sub->which == TASK && directory->parent &&
	       directory->parent->inode->ops == &task_ops;
}

/* Files that are no text. */
static const struct special {
	const char *name;
	const struct inode_ops *ops;
	uint32_t mode;
	unsigned which;
} specials[] = {
	{ "fail-nth", &proc_fail_ops, 0600, FAIL },
	{ "pagemap", &proc_pagemap_ops, 0400, PAGEMAP },
};

static struct inode *
special_inode(const struct special *special, int pid)
{
	struct inode *inode =
	    proc_inode(special->ops, S_IFREG | special->mode, NULL, INODE_OF(pid, special->which));

	if (inode)
		inode->private.number = (uint64_t)pid;
	return inode;
}

/* Returns whether there is such a name; if so, what it leads to, NULL for want of memory. */
static bool
make_entry(struct dentry *directory, int pid, const char *name, size_t size, struct inode **made)
{
	const struct proc_file *file = proc_process_files;

	for (unsigned i = 0; i < ARRAY_SIZE(subdirectories); i++) {
		const struct subdirectory *sub = &subdirectories[i];

		if (is_called(name, size, sub->name) && !is_hidden(directory, sub)) {
			*made =
			    proc_inode(sub->ops, S_IFDIR | 0555, NULL, INODE_OF(pid, sub->which));
			return true;
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(links); i++) {
		if (is_called(name, size, links[i].name)) {
			*made = link_inode(&links[i], pid, 0, LINKS + i);
			return true;
		}
	}
	for (unsigned i = 0; i < ARRAY_SIZE(specials); i++) {
		if (is_called(name, size, specials[i].name)) {
			*made = special_inode(&specials[i], pid);
			return true;
		}
	}
	while (file->name && !is_called(name, size, file->name))
		file++;
	if (file->name)
		*made =
		    proc_file_inode(file, pid, INODE_OF(pid, FILES + (file - proc_process_files)));
	return file->name != NULL;
}

static int
lookup_in_process(struct dentry *directory, const char *name, size_t size, struct dentry **found)
{
	int pid = pid_of(directory);
	struct inode *inode;

	if (!process_exists(pid) || !make_entry(directory, pid, name, size, &inode))
		return -ENOENT;
	return proc_dentry(directory, name, size, inode, found);
}

/* The n-th name of a process's directory; false: there are no more. */
static bool
nth_entry(struct dentry *directory, int pid, unsigned n, struct listed *entry)
{
	if (n < ARRAY_SIZE(subdirectories)) {
		entry->name =
		    is_hidden(directory, &subdirectories[n]) ? NULL : subdirectories[n].name;
		entry->mode = S_IFDIR;
		entry->inode = INODE_OF(pid, subdirectories[n].which);
		return true;
	}
	n -= ARRAY_SIZE(subdirectories);
	if (n < ARRAY_SIZE(links)) {
		entry->name = links[n].name;
		entry->mode = S_IFLNK;
		entry->inode = INODE_OF(pid, LINKS + n);
		return true;
	}
	n -= ARRAY_SIZE(links);
	if (n < ARRAY_SIZE(specials)) {
		entry->name = specials[n].name;
		entry->mode = S_IFREG;
		entry->inode = INODE_OF(pid, specials[n].which);
		return true;
	}
	n -= ARRAY_SIZE(specials);
	entry->name = proc_process_files[n].name;
	entry->mode = S_IFREG;
	entry->inode = INODE_OF(pid, FILES + n);
	return entry->name != NULL;
}

static void
list_process(struct dentry *directory, uint64_t place, list_fn *emit, void *arg)
{
	int pid = pid_of(directory);
	struct listed entry;

	if (!process_exists(pid))
		return;
	for (; nth_entry(directory, pid, (unsigned)(place - DYNAMIC_PLACE), &entry); place++) {
		if (!entry.name)
			continue;
		entry.size = strlen(entry.name);
		entry.next = place + 1;
		if (!emit(&entry, arg))
			break;
	}
}

static int
lookup_task(struct dentry *directory, const char *name, size_t size, struct dentry **found)
{
	int pid = pid_of(directory), tid = parse_number(name, size);

	if (tid <= 0 || process_thread_next(pid, tid) != tid)
		return -ENOENT;
	return proc_dentry(directory, name, size,
			   proc_inode(&process_ops, S_IFDIR | 0555, NULL,
				      INODE_OF(tid, TASK_DIRECTORY)),
			   found);
}

static void
list_tasks(struct dentry *directory, uint64_t place, list_fn *emit, void *arg)
{
	int pid = pid_of(directory), tid = (int)(place - DYNAMIC_PLACE);
	char name[16];

	for (; (tid = process_thread_next(pid, tid)) > 0; tid++) {
		struct listed entry = { name, 0, INODE_OF(tid, TASK_DIRECTORY), S_IFDIR,
					DYNAMIC_PLACE + (unsigned)tid + 1 };

		entry.size = (size_t)ksnprintf(name, sizeof(name), "%d", tid);
		if (!emit(&entry, arg))
			break;
	}
}

/* ---- /proc itself -------------------------------------------------------------------------- */

int
proc_lookup_process(struct dentry *directory, const char *name, size_t size, struct dentry **found)
{
	int pid = parse_number(name, size);

	if (pid <= 0 || !process_exists(pid))
		return -ENOENT;
	return proc_dentry(directory, name, size,
			   proc_inode(&process_ops, S_IFDIR | 0555, NULL, INODE_OF(pid, DIRECTORY)),
			   found);
}

/* The place of a process is its number. */
void
proc_list_processes(struct dentry *directory, uint64_t place, list_fn *emit, void *arg)
{
	struct process_info info;
	char name[16];

	(void)directory;
	for (int pid = (int)(place - DYNAMIC_PLACE); process_info_next(pid, &info);
	     pid = info.pid + 1) {
		struct listed entry = { name, 0, INODE_OF(info.pid, DIRECTORY), S_IFDIR,
					DYNAMIC_PLACE + (unsigned)info.pid + 1 };

		entry.size = (size_t)ksnprintf(name, sizeof(name), "%d", info.pid);
		if (!emit(&entry, arg))
			break;
	}
}
