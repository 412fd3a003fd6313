/* SPDX-License-Identifier: MIT */
/*
 * Files as the rest of the kernel sees them: kernel/fs. What a path leads to is an inode; what a
 * program has open is a file, with its position and the way it was opened.
 */
#ifndef IKOS_FILE_H
#define IKOS_FILE_H

#include <memory_object.h>
#include <types.h>
#include <uaccess.h>

#define PATH_MAX 4096 /* bytes of a path, with its final 0 */
#define NAME_MAX 255  /* bytes of one name in it, without */

struct file;
struct fd_table;   /* which file each descriptor of a process stands for */
struct fs_context; /* root, current directory, umask */

/* Set up the root file system, unpack the initrd into it, make /dev and /proc. */
void fs_init(void);

/* ---- Opening ------------------------------------------------------------------------------ */

/*
 * Open the path for a process, as openat(AT_FDCWD) would. flags: O_*. Returns 0 and *file with
 * one reference, or an error. May sleep.
 */
int file_open(struct fs_context *fs, const char *path, int flags, unsigned mode, struct file **file)
    __must_check;
struct file *file_get(struct file *file);
void file_put(struct file *file); /* the last one closes it. May sleep */

/* Read at a place, without moving the file's own position. Bytes read, or an error. */
int64_t file_read_at(struct file *file, uint64_t offset, void *to, size_t size) __must_check;

/*
 * May this file be executed? 0; -EACCES: it is no regular file, or nobody may; -ETXTBSY: it is open
 * for writing. After 0, nobody can open it for writing until this file is closed: whoever executes
 * it keeps it open.
 */
int file_may_exec(struct file *file) __must_check;

/* Was it opened for PROT_READ, PROT_WRITE, or both? */
unsigned file_prot(const struct file *file);

/* What mmap() of it shows, or NULL if it cannot be mapped. Lives as long as the file is open. */
struct memory_object *file_object(struct file *file);

/* Who one becomes by executing it: its owner and group if it has the bits for that, else -1. */
void file_set_ids(const struct file *file, uint32_t *uid, uint32_t *gid);

/* Is it where nothing may be executed? */
bool file_forbids_exec(const struct file *file);

/* Is it /dev/zero? To map that is to map anonymous memory. */
bool file_is_zeroes(const struct file *file);

/*
 * Around mapping it: nobody seals it meanwhile. Returns whether a shared mapping may be written to.
 */
bool file_begin_map(struct file *file);
void file_end_map(struct file *file);

/* It has been mapped: that is an access. */
void file_note_mapped(struct file *file);

/* The path by which an object's file is known, for /proc; "" if it has none any more. */
void object_path(struct memory_object *object, char *path, size_t size);

/* For /proc/self/exe and the like. */
void file_path(struct file *file, char *path, size_t size);

/* The running process ends: if it leads a session, the session's terminal is nobody's now. */
void terminal_leave(void);

/* What poll() says of some file may have changed. From any context, with locks before RANK_POLL. */
void poll_wake(void);

/* ---- A process's share -------------------------------------------------------------------- */

struct fd_table *fd_table_create(void); /* empty, one reference; NULL: no memory */
struct fd_table *fd_table_get(struct fd_table *table);
void fd_table_put(struct fd_table *table); /* the last one closes all */
int fd_table_copy(struct fd_table *table, struct fd_table **copy) __must_check; /* fork() */
void fd_table_exec(struct fd_table *table); /* close what is marked O_CLOEXEC */
/* Put a file at the lowest free descriptor: that, and its reference is the table's; or an error. */
int fd_install(struct fd_table *table, struct file *file, bool close_on_exec) __must_check;
struct file *fd_get(struct fd_table *table, int fd); /* with a reference, or NULL */

struct fs_context *fs_context_create(void); /* "/", umask 022 */
struct fs_context *fs_context_get(struct fs_context *fs);
void fs_context_put(struct fs_context *fs);
int fs_context_copy(struct fs_context *fs, struct fs_context **copy) __must_check;

#endif
