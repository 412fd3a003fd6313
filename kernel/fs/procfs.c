/* SPDX-License-Identifier: MIT */
/*
 * /proc: what the kernel knows, as text.
 *
 * What is always there (/proc/meminfo, /proc/sys/...) is names in directories like any other, made
 * at the start; only nobody may add to them. The directories of processes are made up when they are
 * looked for, and gone when nobody holds them any more: a name is looked up by asking the kernel
 * whether there is such a process (proc_process.c).
 *
 * The text of a file is made when it is read from the beginning, as a whole, and kept with the open
 * file: so who reads it in pieces gets one consistent text. Reading from the beginning again makes
 * it anew.
 *
 * LOCKING. The text of an open file has a lock of its own, held while it is made and copied; the
 * latter may fault, and neither the fault nor the making of any text takes such a lock.
 */
#include "procfs.h"

#include <cmdline.h>
#include <printk.h>
#include <process.h>
#include <string.h>

#define TEXT_MAX  MiB(32)
#define STORE_MAX 63 /* bytes of what is written to set something */

/* ---- Texts --------------------------------------------------------------------------------- */

static bool
make_room(struct text *text, size_t more)
{
	size_t room = MAX(text->room, 512ul);
	char *buffer;

	while (room < text->size + more)
		room *= 2;
	if (room == text->room)
		return true;
	buffer = room <= TEXT_MAX ? krealloc(text->buffer, room, GFP_KERNEL) : NULL;
	if (!buffer) {
		text->failed = true;
		return false;
	}
	text->buffer = buffer;
	text->room = room;
	return true;
}

void
text_add(struct text *text, const void *bytes, size_t size)
{
	if (text->failed || !make_room(text, size))
		return;
	memcpy(text->buffer + text->size, bytes, size);
	text->size += size;
}

void
text_printf(struct text *text, const char *fmt, ...)
{
	va_list ap;
	int size;

	va_start(ap, fmt);
	size = kvsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (text->failed || !make_room(text, (size_t)size + 1))
		return;
	va_start(ap, fmt);
	text->size += (size_t)kvsnprintf(text->buffer + text->size, (size_t)size + 1, fmt, ap);
	va_end(ap);
}

/* ---- Files that are texts ------------------------------------------------------------------ */

struct opened_text {
	struct mutex lock;
	struct text text; /* (l) */
};

static int
text_open(struct file *file)
{
	struct opened_text *opened = kmalloc_zeroed(sizeof(*opened), GFP_KERNEL);

	if (!opened)
		return -ENOMEM;
	mutex_init(&opened->lock);
	file->private = opened;
	return 0;
}

static void
text_close(struct file *file)
{
	struct opened_text *opened = file->private;

	kfree(opened->text.buffer);
	kfree(opened);
}

static int
make_text(struct file *file, struct text *text)
{
	const struct proc_file *proc = file->inode->private.data;
	int error;

	text->size = 0;
	text->failed = false;
	error = proc->show(text, (int)file->inode->private.number);
	return text->failed ? -ENOMEM : error;
}

static int64_t
text_read(struct file *file, struct transfer *to, uint64_t offset)
{
	struct opened_text *opened = file->private;
	struct text *text = &opened->text;
	int64_t moved = 0;

	mutex_lock(&opened->lock);
	if (offset == 0 || !text->buffer)
		moved = make_text(file, text);
	if (moved == 0 && offset < text->size) {
		size_t bytes = MIN(to->left, text->size - offset);

		moved = transfer_out_part(to, text->buffer + offset, bytes);
	}
	mutex_unlock(&opened->lock);
	return moved;
}

static const struct proc_setting *
setting_of(const struct proc_file *file)
{
	const struct proc_setting *setting = proc_settings;

	while (setting->name && strcmp(setting->name, file->name) != 0)
		setting++;
	return setting->name && file->mode & 0222 ? setting : NULL;
}

/* A line that sets something. Each write is one, wherever the position is. */
static int64_t
text_write(struct file *file, struct transfer *from, uint64_t *offset)
{
	const struct proc_setting *setting = setting_of(file->inode->private.data);
	size_t size = from->left, length = size;
	char line[STORE_MAX + 1];
	uint64_t value;
	int error;

	(void)offset;
	if (!setting || size > STORE_MAX)
		return -EINVAL;
	error = transfer_in(from, line, size);
	if (error)
		return error;
	while (length > 0 && line[length - 1] == '\n')
		length--;
	line[length] = '\0';
	if (parse_u64(line, &value) || value < setting->least || value > setting->most)
		return -EINVAL;
	__atomic_store_n(setting->value, value, __ATOMIC_RELAXED);
	return (int64_t)size;
}

static const struct file_ops text_ops = {
	.name = "text",
	.seekable = true,
	.open = text_open,
	.close = text_close,
	.read = text_read,
	.write = text_write,
};

static const struct inode_ops text_inode_ops = { .file_ops = &text_ops };

/* ---- Making names -------------------------------------------------------------------------- */

struct inode *
proc_inode(const struct inode_ops *ops, uint32_t mode, const void *data, uint64_t number)
{
	struct inode *inode = inode_create(ops, mode);

	if (!inode)
		return NULL;
	if (!S_ISDIR(mode)) { /* a directory has its trees there */
		inode->private.data = (void *)data;
		inode->links = 1;
	}
	if (number)
		inode->number = number;
	inode->is_proc = true;
	return inode;
}

struct inode *
proc_file_inode(const struct proc_file *file, int pid, uint64_t number)
{
	struct inode *inode = proc_inode(&text_inode_ops, S_IFREG | file->mode, file, number);

	if (inode)
		inode->private.number = (uint64_t)pid;
	return inode;
}

int
proc_dentry(struct dentry *directory, const char *name, size_t size, struct inode *inode,
	    struct dentry **made)
{
	if (!inode)
		return -ENOMEM;
	*made = dentry_create(name, size, inode);
	if (!*made)
		return -ENOMEM;
	(*made)->parent = dentry_get(directory);
	(*made)->made_up = true;
	return 0;
}

bool
inode_is_proc(const struct inode *inode)
{
	return inode->is_proc;
}

/* ---- What is always there ------------------------------------------------------------------ */

static const struct inode_ops root_ops = {
	.file_ops = &directory_ops,
	.lookup = proc_lookup_process,
	.list = proc_list_processes,
	.fixed = true,
};
static const struct inode_ops fixed_ops = { .file_ops = &directory_ops, .fixed = true };
static const struct inode_ops self_ops = { .read_link = proc_read_self };
static const struct inode_ops thread_self_ops = { .read_link = proc_read_thread_self };

/* Put a name into a directory of /proc, at the start. The dentry stays for ever. */
static struct dentry *
add(struct dentry *directory, const char *name, struct inode *inode)
{
	struct dentry *dentry = inode ? dentry_create(name, strlen(name), inode) : NULL;

	if (!dentry)
		panic("procfs: no memory for %s", name);
	mutex_lock(&names_lock);
	dentry_link_locked(directory, dentry);
	if (S_ISDIR(inode->mode))
		directory->inode->links++;
	mutex_unlock(&names_lock);
	dentry_put(dentry);
	return dentry;
}

static void
add_files(struct dentry *directory, const struct proc_file *file)
{
	for (; file->name; file++)
		(void)add(directory, file->name, proc_file_inode(file, 0, 0));
}

static struct dentry *
add_directory(struct dentry *directory, const char *name)
{
	return add(directory, name, proc_inode(&fixed_ops, S_IFDIR | 0555, NULL, 0));
}

static void
add_link(struct dentry *directory, const char *name, const char *target)
{
	(void)add(directory, name, ramfs_create_link(target, strlen(target)));
}

/* The root of /proc takes the place of the directory that the archive may have brought. */
static struct dentry *
make_proc_root(void)
{
	struct dentry *old;

	mutex_lock(&names_lock);
	old = dentry_find_locked(root_dentry, "proc", 4);
	if (old && name_remove_locked(old, S_ISDIR(old->inode->mode)))
		panic("procfs: /proc is in use");
	mutex_unlock(&names_lock);
	dentry_put(old);
	return add(root_dentry, "proc", proc_inode(&root_ops, S_IFDIR | 0555, NULL, 0));
}

void
procfs_init(void)
{
	struct dentry *proc = make_proc_root(), *sys, *kernel;

	add_files(proc, proc_memory_files);
	add_files(proc, proc_system_files);
	add_files(proc, proc_disk_files);
	(void)add(proc, "self", proc_inode(&self_ops, S_IFLNK | 0777, NULL, 0));
	(void)add(proc, "thread-self", proc_inode(&thread_self_ops, S_IFLNK | 0777, NULL, 0));
	add_link(proc, "mounts", "self/mounts");
	sys = add_directory(proc, "sys");
	kernel = add_directory(sys, "kernel");
	add_files(kernel, proc_kernel_files);
	add_files(add_directory(kernel, "random"), proc_random_files);
	add_files(add_directory(sys, "vm"), proc_vm_files);
	add_files(add_directory(proc, "sysvipc"), proc_sysvipc_files);
}
