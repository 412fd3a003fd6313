/* SPDX-License-Identifier: MIT */
/* /proc from inside: procfs.c, and the files that its files' texts come from. */
#ifndef PROCFS_H
#define PROCFS_H

#include "fs.h"

/* A text that grows as it is written. Once there is no memory for it, all further text is dropped.
 */
struct text {
	char *buffer;
	size_t size, room;
	bool failed;
};

void text_printf(struct text *text, const char *fmt, ...) __format(2, 3);
void text_add(struct text *text, const void *bytes, size_t size);

/*
 * A file whose text is made when it is read. show() returns 0, or an error that read() returns.
 * pid: of the directory that it is in, 0 outside of those.
 */
struct proc_file {
	const char *name;
	uint32_t mode;
	int (*show)(struct text *text, int pid);
};

/* A number that is set when a file of that name, which its mode says may be written, is. */
struct proc_setting {
	const char *name;
	uint64_t *value; /* (a) */
	uint64_t least, most;
};
extern const struct proc_setting proc_settings[]; /* the last has no name */

/* Files of /proc itself and of a directory below it, "" for itself; the last has no name. */
struct proc_directory {
	const char *name;
	const struct proc_file *files;
};

extern const struct proc_file proc_memory_files[], proc_system_files[], proc_kernel_files[],
    proc_random_files[], proc_vm_files[], proc_disk_files[], proc_sysvipc_files[];

/* proc_fail.c, proc_pagemap.c: files of a process's directory that are no texts. */
extern const struct inode_ops proc_fail_ops, proc_pagemap_ops;

/* The files of a process's directory; the last has no name. */
extern const struct proc_file proc_process_files[];

/* proc_maps.c */
int show_maps(struct text *text, int pid);
int show_smaps(struct text *text, int pid);
int show_smaps_rollup(struct text *text, int pid);

/* Ticks of a hundredth of a second, in which Linux tells times. */
#define TICK_NS (NSEC_PER_SEC / 100)

/* Inodes of /proc: mode with its kind; number: which, the same whenever it is made. */
struct inode *proc_inode(const struct inode_ops *ops, uint32_t mode, const void *data,
			 uint64_t number);
struct inode *proc_file_inode(const struct proc_file *file, int pid, uint64_t number);

/* A name that was made up, in no directory's tree. Takes over the inode's reference. 0, -ENOMEM */
int proc_dentry(struct dentry *directory, const char *name, size_t size, struct inode *inode,
		struct dentry **made);

/* proc_process.c: the directories of processes, names of /proc that are made up. */
int proc_lookup_process(struct dentry *directory, const char *name, size_t size,
			struct dentry **found);
void proc_list_processes(struct dentry *directory, uint64_t place, list_fn *emit, void *arg);
int64_t proc_read_self(struct inode *inode, char *to, size_t size);
int64_t proc_read_thread_self(struct inode *inode, char *to, size_t size);

#endif
