/* SPDX-License-Identifier: MIT */
/*
 * Files from inside: what the files of kernel/fs share.
 *
 *	descriptor          open file           name               inode
 *	fd_table  ------->  struct file  ---->  struct dentry -->  struct inode
 *	(a process's)       position, flags     in a directory     kind, rights, contents
 *
 * An inode is what there is, whatever it is called: a regular file, a directory, a symbolic link, a
 * device, a pipe. A dentry is one name of it in one directory; a file that was opened, a current
 * directory and a root hold on to the name by which they were found, so that the kernel can tell
 * their path, also after a rename. In memory the tree of names is the file system. Of a file system
 *on a disk, mounted at some directory, it is a cache: names that were looked up (name_cache.c).
 *
 * Lock order, outermost first; those of one line are never held together:
 *
 *	file->position_lock
 *	inode->lock             contents and size of a regular file; a pipe has one of its own
 *	the space's lock        taken by a fault while a write copies from the program's memory
 *	names_lock              all names: the trees of all directories, links, parents
 *	a file system's own lock, and what a disk needs
 *	spin locks
 *
 * A fault may read from a disk, so a file system takes none of the upper ones, and touches no
 * memory of programs. What is found in names_lock may have to be read from a disk under it.
 *
 * A read holds none of them while it copies to the program's memory, but the first: a page is held
 * by its reference. So a program may read a file into its own mapping of it.
 *
 * (c) fixed once made   (n) names_lock   (i) inode->lock   (a) atomic
 */
#ifndef FS_H
#define FS_H

#include <abi/fcntl.h>
#include <abi/stat.h>
#include <errno.h>
#include <file.h>
#include <memory_advanced.h>
#include <mutex.h>
#include <tree.h>
#include <types.h>
#include <uaccess.h>

#define MAX_FILE_SIZE  ((uint64_t)INT64_MAX)
#define MAX_IO	       ((size_t)0x7ffff000) /* bytes that one call moves */
#define MAX_LINKS      65000
#define MAX_SYMLINKS   40
#define DIRECTORY_SIZE 4096 /* what stat() says of any directory */

struct dentry;
struct inode;
struct mount;
struct file_ops;

extern const struct file_ops regular_ops, fifo_ops, device_ops;

/* ---- What can be done with open files ------------------------------------------------------ */

/* A name in a directory, for getdents(). */
struct listed {
	const char *name;
	size_t size;
	uint64_t inode;
	uint32_t mode;
	uint64_t next; /* place where the listing goes on behind it */
};

/* Takes one name; false: there is no room, it was not taken. */
typedef bool list_fn(const struct listed *entry, void *arg);

/* NULL for what a kind of file cannot do: what is done then stands beside it. */
struct file_ops {
	const char *name;
	/* Has a position that read() and write() move. Without it: ESPIPE. */
	bool seekable;
	bool endless; /* lseek() works and does nothing: 0 */
	bool zeroes;  /* to map it is to have memory of one's own */
	/* May sleep; may set file->ops and file->private. NULL: always works */
	int (*open)(struct file *file);
	void (*close)(struct file *file);
	/* Move bytes until transfer->left is 0 or there is a reason to stop. NULL: EINVAL */
	int64_t (*read)(struct file *file, struct transfer *to, uint64_t offset);
	/* *offset: where; set to the end of the file before, if it was opened with O_APPEND */
	int64_t (*write)(struct file *file, struct transfer *from, uint64_t *offset);
	unsigned (*poll)(struct file *file); /* POLL* that hold now. NULL: always ready */
	int64_t (*ioctl)(struct file *file, unsigned request, uintptr_t arg); /* NULL: ENOTTY */
	uint64_t (*size)(struct file *file); /* for SEEK_END. NULL: 0 */
};

/* (c) but flags, which fcntl() changes */
struct file {
	unsigned refs;	/* (a) */
	unsigned flags; /* (a) O_* */
	struct dentry *dentry;
	struct inode *inode; /* dentry->inode */
	const struct file_ops *ops;
	struct mutex position_lock;
	uint64_t position;   /* (p) position_lock */
	void *private;	     /* of ops */
	uint32_t error_seen; /* (a) of writing back: see page_cache_error() */
	bool denies_write;   /* (a) is executed: nobody opens the inode for writing meanwhile */
	uint8_t flock;	     /* LOCK_SH, LOCK_EX or 0: see flock.c */
};

/* ---- Inodes: inode.c ----------------------------------------------------------------------- */

/* What a new inode is to be. */
struct new_inode {
	uint32_t mode;	    /* with its kind */
	uint64_t device;    /* of a device node */
	const char *target; /* of a symbolic link, size bytes; else NULL */
	size_t size;
};

/*
 * What can be done with the names in a directory of a file system on a disk. All under names_lock.
 * They return 0 or an error, and have done nothing then. Links and times are the caller's, but
 * remove and move let the disk know that an inode has lost its last name before they return.
 */
struct name_ops {
	int (*find)(struct inode *directory, const char *name, size_t size, struct inode **found);
	/* Names from place on, with places behind FIRST_PLACE, until emit returns false. */
	void (*list)(struct inode *directory, uint64_t place, list_fn *emit, void *arg);
	/* An inode near the directory, without a name: with one reference. Also without the lock.
	 */
	int (*make)(struct inode *directory, const struct new_inode *new, struct inode **made);
	int (*add)(struct inode *directory, const char *name, size_t size, struct inode *inode);
	/* -ENOTEMPTY: a directory that has names */
	int (*remove)(struct inode *directory, const char *name, size_t size, struct inode *inode);
	/* In place of target, unless NULL. */
	int (*move)(struct dentry *from, struct inode *to, const char *name, size_t size,
		    struct inode *target);
};

/* What a kind of inode is to the rest. */
struct inode_ops {
	const struct file_ops *file_ops;
	const struct name_ops *names; /* of a directory on a disk */
	/* Of a regular file on a disk; its inode->lock is held. */
	int (*truncate)(struct inode *inode, uint64_t size);
	/*
	 * Directories whose names are made up when asked for, beside those in their trees.
	 * lookup: a dentry with a reference, or -ENOENT. list: names from place on.
	 */
	int (*lookup)(struct dentry *directory, const char *name, size_t size,
		      struct dentry **found);
	void (*list)(struct dentry *directory, uint64_t place, list_fn *emit, void *arg);
	/* Symbolic links whose target is made up: its length, cut to size, or an error. */
	int64_t (*read_link)(struct inode *inode, char *to, size_t size);
	/* Links that lead to an object, not to a path: with a reference, or an error. */
	int (*follow)(struct inode *inode, struct dentry **target);
	void (*release)(struct inode *inode); /* the last reference is gone */
	bool fixed; /* of a directory: nobody may make or remove names in it */
};

struct directory {
	struct tree by_name;  /* (n) key: hash of the name; same hash: chained */
	struct tree by_place; /* (n) key: place, in the order in which names came */
	uint64_t next_place;  /* (n) */
	uint64_t hash_mask;   /* (n) what counts of a hash: all, but in tests of collisions */
};

#define FIRST_PLACE   2		   /* 0: ".", 1: ".." */
#define DYNAMIC_PLACE (1ull << 32) /* from here on: made up */

struct pipe;
struct file_pages;

/* ---- File systems that are mounted: mount.c ------------------------------------------------ */

struct fs_type {
	const char *name;
	bool in_memory; /* needs no disk, and a mount of it has none */
	/*
	 * Fill in ops, number (of one without a disk), root_inode and private of a mount. options:
	 * as mount() had them, NULL: none; may be cut up. Prints one line if a disk cannot be
	 * mounted. With mounts_lock.
	 */
	int (*mount)(struct mount *mount, char *options);
};

struct text; /* of a file of /proc */

struct mount_ops {
	/* The inode's mode, owner, links or times have changed. Does not sleep. */
	void (*dirty)(struct inode *inode);
	/* Write everything; the pages of files have been. */
	int (*sync)(struct mount *mount);
	/* The same for what is needed to find a file and its bytes again. */
	int (*sync_inode)(struct inode *inode);
	void (*statfs)(struct mount *mount, struct abi_statfs *statfs);
	/* For /proc/mounts: ",NAME=VALUE" for each that is not what it would be. NULL: none */
	void (*show_options)(struct mount *mount, struct text *text);
	/*
	 * Of one in memory: all names but the root's go, or -EBUSY and all stay, because somebody
	 * else than the tree itself, or than two of the root, has a reference to a name or an
	 * inode. With names_lock. NULL: the name cache can let go of them.
	 */
	int (*drop_names)(struct mount *mount);
	/* Nothing but the root is left of its names: write all; -EBUSY if files are in use. */
	int (*unmount)(struct mount *mount);
	void (*free)(struct mount *mount); /* and now the root has gone, too */
};

struct block_device;

#define MOUNT_SOURCE 64 /* bytes of what is mounted, as it was called */

/* What is not done with the files of a mount, whatever they say; as statfs() and mount() have it.
 */
#define MOUNT_NO_SET_ID	 2u /* executing makes nobody another user */
#define MOUNT_NO_DEVICES 4u /* device nodes cannot be opened */
#define MOUNT_NO_EXECUTE 8u

struct mount {
	const struct fs_type *type;  /* (c) */
	const struct mount_ops *ops; /* (c) */
	struct block_device *device; /* (c) NULL: all of it is memory */
	uint64_t number;	     /* (c) the device that stat() says its files are on */
	char source[MOUNT_SOURCE];   /* (c) */
	bool read_only;		     /* (c) */
	unsigned refused;	     /* (c) MOUNT_NO_* */
	struct inode *root_inode;    /* (c) while it is mounted: of the type, with a reference */
	struct dentry *root;	     /* (n) with a reference; stands in place of ... */
	struct dentry *place;	     /* (n) with a reference */
	struct list_head link;	     /* (n) in mounts */
	void *private;		     /* (c) of the type */
};

/* Write pages of files that have been dirty for so many rounds; never with names_lock. */
int mount_write_back(uint64_t rounds);

extern struct mutex mounts_lock; /* outside of all others: mounts come and go */
extern struct list_head mounts;	 /* mounts_lock and (n), in the order in which they came */
extern const struct fs_type *const fs_types[]; /* up to NULL */

struct inode {
	const struct inode_ops *ops; /* (c) */
	unsigned refs;		     /* (a) */
	uint32_t mode;		     /* (a) its kind is fixed */
	uint32_t uid, gid;	     /* (a) the owner's numbers */
	uint32_t links;	 /* (n) names, and for a directory "." and its subdirectories' ".." */
	uint64_t number; /* (c) */
	uint64_t device; /* (c) which, of a device node */
	int64_t accessed, modified, changed; /* (a) nanoseconds since 1970 */
	struct mutex lock;
	struct mount *mount;	   /* (c) that it is in, or NULL: in none */
	void *node;		   /* (c) the file system's own part of it */
	uint64_t size;		   /* (a) bytes of a directory on a disk */
	uint64_t blocks;	   /* (a) of 512 bytes, that it takes on a disk */
	bool is_proc;		   /* (c) */
	bool linkable;		   /* (n) may get its first name later: O_TMPFILE */
	int writers;		   /* (a) files open for writing; < 0: files that are executed */
	struct dentry *alias;	   /* alias_lock: a name by which it is known, or NULL */
	struct flock_state *flock; /* flock_lock: NULL until somebody locks */
	struct record *records;	   /* record_lock: locks on ranges */
	union {
		struct directory directory;
		char *target;		 /* (c) of a symbolic link: kmalloc()ed */
		struct file_pages *file; /* (c) of a regular file in memory */
		struct pipe *pipe;	 /* (c) of a pipe */
		struct {		 /* (c) of /proc and the like: their own */
			void *data;
			uint64_t number;
		} private;
	};
};

/* Is it in a file system on a disk? All of any other is memory. */
static inline bool
inode_is_on_disk(const struct inode *inode)
{
	return inode->mount && inode->mount->device;
}

static inline bool
mount_is_read_only(const struct inode *inode)
{
	return inode->mount && inode->mount->read_only;
}

static inline bool
mount_refuses(const struct inode *inode, unsigned what)
{
	return inode->mount && inode->mount->refused & what;
}

/* What has been changed in it is to be written to its disk, if it has one. */
static inline void
inode_dirty(struct inode *inode)
{
	if (inode->mount)
		inode->mount->ops->dirty(inode);
}

/* A new inode with one reference and no links; NULL: no memory. mode: with its kind. */
struct inode *inode_create(const struct inode_ops *ops, uint32_t mode);
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);
uint64_t inode_new_number(void);

/* Nanoseconds since 1970. */
int64_t fs_now(void);
/* ---- Rights: permission.c ------------------------------------------------------------------ */

#define MAY_READ  4u
#define MAY_WRITE 2u
#define MAY_EXEC  1u

/* May the running process do all of wanted, MAY_*? 0 or -EACCES. As who it really is: access(). */
int inode_permission(const struct inode *inode, unsigned wanted) __must_check;
int inode_permission_real(const struct inode *inode, unsigned wanted) __must_check;

/* Is it its owner's, or the superuser's, process? 0 or -EPERM. */
int inode_owner_check(const struct inode *inode) __must_check;

/* May it make a name in the directory, or with named, remove that one's? 0, -EACCES or -EPERM. */
int name_permission(const struct inode *directory, const struct inode *named) __must_check;

/* A new inode is the running process's. */
void inode_set_creator(struct inode *inode, const struct inode *directory);

/* ---- Times and sizes: inode.c -------------------------------------------------------------- */

void inode_touch(struct inode *inode, bool modified); /* contents read, or changed */
void inode_changed(struct inode *inode);	      /* rights, links */

/* Is it a regular file, with pages that programs can map? */
static inline bool
inode_has_pages(const struct inode *inode)
{
	return S_ISREG(inode->mode) && inode->ops->file_ops == &regular_ops;
}

uint64_t inode_size(struct inode *inode);
void inode_stat(struct inode *inode, struct abi_stat *stat);

/* Open for writing: 0, or -ETXTBSY while it is executed. And the reverse. */
int inode_start_write(struct inode *inode);
void inode_end_write(struct inode *inode);
int inode_deny_write(struct inode *inode);
void inode_allow_write(struct inode *inode);

/* ---- Names: dentry.c ----------------------------------------------------------------------- */

extern struct mutex names_lock;

struct dentry {
	unsigned refs;	       /* (a) one is the directory's */
	struct dentry *parent; /* (n) with a reference; NULL: the root, or a name in no directory */
	struct inode *inode;   /* (c) with a reference */
	char *name;	       /* (n) kmalloc()ed */
	size_t size;	       /* (n) bytes of it */
	bool linked;	       /* (n) is in its parent's directory */
	bool made_up;	       /* (c) its directory makes it up when asked: see procfs.c */
	struct mount *mount;   /* (n) what is mounted there and seen instead */
	struct list_head cached;	    /* (n) in the name cache; empty: not in it */
	struct dentry *same_hash;	    /* (n) the next in a chain */
	struct tree_node by_name, by_place; /* (n) */
};

extern struct dentry *root_dentry; /* (c) */

/* In no directory yet, one reference. Takes over the reference to inode, also when it fails. */
struct dentry *dentry_create(const char *name, size_t size, struct inode *inode);
struct dentry *dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);

/* The entry of that name with a reference, or NULL. */
struct dentry *dentry_find_locked(struct dentry *directory, const char *name, size_t size);

/* Put a name into a directory, and take it out; the directory's reference comes and goes. */
void dentry_link_locked(struct dentry *directory, struct dentry *dentry);
void dentry_unlink_locked(struct dentry *dentry);
/* Rename: name is kmalloc()ed and taken over. Returns the old parent, whose reference goes too. */
struct dentry *dentry_move_locked(struct dentry *dentry, struct dentry *directory, char *name,
				  size_t size);

/* Look a name up wherever it may come from: 0 and a reference, or -ENOENT, -ENOTDIR. */
int dentry_lookup_locked(struct dentry *directory, const char *name, size_t size,
			 struct dentry **found);

/* Call emit for the names of a directory from place on, until it returns false. */
void dentry_list_locked(struct dentry *directory, uint64_t place, list_fn *emit, void *arg);

bool dentry_is_within_locked(struct dentry *dentry, struct dentry *ancestor);
bool dentry_is_empty_locked(struct dentry *directory);

/*
 * The path from root. Returns the length, -ENAMETOOLONG if it does not fit into size, -ENOENT if
 * the name is no longer in a directory (the path is there all the same, if it fits).
 */
int64_t dentry_path(struct dentry *dentry, struct dentry *root, char *path, size_t size);
/* The same for people, from the running process's root. */
void dentry_show_path(struct dentry *dentry, char *path, size_t size);

/* The name by which an inode is known: with a reference, or NULL; and who sets it. */
struct dentry *inode_alias(struct inode *inode);
void inode_set_alias(struct inode *inode, struct dentry *dentry);
void inode_clear_alias(struct inode *inode, struct dentry *dentry);

/* The name cache, names of file systems on disks: name_cache.c. All with names_lock held. */
void name_cache_add_locked(struct dentry *dentry);
void name_cache_forget_locked(struct dentry *dentry);
/* Let go of names that nobody uses; of a mount, or NULL: the oldest, down to the limit. */
void name_cache_shrink_locked(struct mount *mount);

/* ---- Directories and regular files: ramfs.c, file_pages.c ------------------------------------ */

struct inode *ramfs_create(uint32_t mode, uint64_t device); /* any kind but a link */
struct inode *ramfs_create_link(const char *target, size_t size);
extern const struct inode_ops directory_inode_ops, fifo_inode_ops, device_inode_ops,
    regular_inode_ops;
extern const struct file_ops directory_ops;

/*
 * tmpfs.c: what is counted of a file system in memory that is mounted; of any other, nothing.
 * A new inode becomes one of a mount's, and goes; a file has a name more, and less, than before.
 * -ENOSPC: the mount has no room for it.
 */
int tmpfs_add_inode(struct mount *mount, struct inode *inode) __must_check;
void tmpfs_forget_inode(struct inode *inode);
int tmpfs_add_name(struct inode *inode) __must_check;
void tmpfs_forget_name(struct inode *inode);

/* store: where the pages are kept, or NULL: in memory */
struct page_store;
struct page_cache;
struct file_pages *file_pages_create(struct inode *inode, const struct page_store *store);
struct page_cache *file_pages_cache(struct file_pages *file);
struct inode *page_cache_inode(struct page_cache *cache); /* whose file_pages it is in */
int file_pages_sync(struct inode *inode, uint32_t *seen); /* all of it, to the disk */
void file_pages_destroy(struct file_pages *file);
uint64_t file_pages_size(struct file_pages *file);
uint64_t file_pages_nr_pages(struct file_pages *file);
size_t files_in_memory_limit(void); /* frames that files without a store may take */
int file_pages_truncate(struct inode *inode, uint64_t size);
int file_pages_allocate(struct inode *inode, uint64_t offset, uint64_t size, bool keep_size);
/* Bytes become zeroes, and their frames free. -EOPNOTSUPP on a disk. */
int file_pages_punch(struct inode *inode, uint64_t offset, uint64_t size);
/*
 * F_SEAL_*: what can no longer be done with a file in memory, for good. add: -EPERM: it is sealed
 * against that; -EBUSY: it cannot be sealed against writing while it is mapped for that. -EINVAL:
 * it is on a disk. allow: of a new file, which otherwise cannot be sealed at all.
 */
int file_pages_seals(struct inode *inode);
int file_pages_add_seals(struct inode *inode, unsigned seals);
void file_pages_allow_seals(struct inode *inode);
struct memory_object *file_pages_object(struct file_pages *file);
/* The inode of an object if it is a regular file's, or NULL. */
struct inode *object_inode(struct memory_object *object);

/* Make, remove and move names: names.c. Errors as of the system calls. */
int name_remove_locked(struct dentry *dentry, bool directory);
int name_rename_locked(struct dentry *from, struct dentry *to_directory, const char *name,
		       size_t size, struct dentry *target, unsigned flags);
int name_may_create_locked(struct dentry *directory);
/* An inode for a name in that directory, with one reference. */
int inode_make(struct dentry *directory, const struct new_inode *new, struct inode **made);
int name_create_locked(struct dentry *directory, const char *name, size_t size, struct inode *inode,
		       struct dentry **made);

/* ---- Walking paths: path.c ----------------------------------------------------------------- */

/* (n) names_lock, throughout */
struct fs_context {
	unsigned refs; /* (a) */
	struct dentry *root, *current;
	uint32_t umask; /* (a) */
};

enum walk_flags {
	WALK_FOLLOW = 1, /* a link at the end, too */
	WALK_PARENT = 2, /* the last name need not exist: found may be NULL */
	WALK_EMPTY = 4,	 /* an empty path is where the walk starts */
};

enum last_kind { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_ROOT };

struct walk {
	struct dentry *start, *root; /* with references */
	char *text;		     /* what is left to walk, at rest; room for WALK_TEXT bytes */
	char *rest;
	unsigned nr_links;
	bool ended;
	/* What was found: */
	struct dentry *directory; /* that the last name is in, with a reference */
	struct dentry *found;	  /* with a reference, or NULL */
	char *name;		  /* the last name, in text */
	size_t size;
	enum last_kind last;
	bool slash; /* the path ended with one */
};

#define WALK_TEXT (2 * PATH_MAX)

/*
 * Prepare to walk a path from a context's current directory (descriptor AT_FDCWD), or a
 * directory that is open. Returns 0, or an error and nothing is to be ended.
 */
int walk_begin(struct walk *walk, struct fs_context *fs, const char *path) __must_check;
int walk_begin_user(struct walk *walk, int directory, uintptr_t path) __must_check;
/* Walk. The caller holds names_lock until it has used what was found. */
int walk_locked(struct walk *walk, unsigned flags) __must_check;
void walk_end(struct walk *walk);

/* All of that: what the path leads to, with a reference. */
int path_find(struct fs_context *fs, const char *path, unsigned flags, struct dentry **found)
    __must_check;
int path_find_user(int directory, uintptr_t path, unsigned flags, struct dentry **found)
    __must_check;

struct fs_context *context_current(void); /* the running process's, or that of the kernel */
struct fd_table *files_current(void);	  /* the running process's, or NULL */
extern struct fs_context *kernel_context;

/* ---- Open files: file.c, open.c ------------------------------------------------------------ */

/* Open what a dentry leads to. Takes no reference over. */
int file_create(struct dentry *dentry, unsigned flags, struct file **file) __must_check;
/* An open file that has no place in the tree; takes over the inode's reference. */
int file_create_nameless(struct inode *inode, const char *name, unsigned flags, struct file **file)
    __must_check;
int open_walk(struct walk *walk, struct fs_context *fs, unsigned flags, uint32_t mode,
	      struct file **file) __must_check;
int open_check_flags(unsigned flags);

static inline bool
file_readable(const struct file *file)
{
	return (file->flags & O_ACCMODE) != O_WRONLY && !(file->flags & O_PATH);
}

static inline bool
file_writable(const struct file *file)
{
	return (file->flags & O_ACCMODE) != O_RDONLY && !(file->flags & O_PATH);
}

/*
 * Move size bytes, at most to->left, as far as the program's memory allows: a piece for each of its
 * pages. Returns how many, or -EFAULT if not even one.
 */
int64_t transfer_out_part(struct transfer *to, const void *from, size_t size);
int64_t transfer_in_part(struct transfer *from, void *to, size_t size);

/* Read and write at the file's position (offset NULL), or at *offset. */
int64_t file_read(struct file *file, struct transfer *to, const uint64_t *offset);
int64_t file_write(struct file *file, struct transfer *from, const uint64_t *offset);
int64_t file_seek(struct file *file, int64_t offset, int whence);
int file_truncate(struct inode *inode, uint64_t size);
extern const struct file_ops path_ops; /* of O_PATH */

/* ---- Descriptors: fd_table.c --------------------------------------------------------------- */

#define MAX_FILES 4096 /* descriptors of a process, whatever RLIMIT_NOFILE says */

struct file *fd_current(int fd); /* of the running process, with a reference, or NULL */
int fd_close(struct fd_table *table, int fd);
int fd_install_from(struct fd_table *table, struct file *file, int lowest, bool close_on_exec);
int fd_replace(struct fd_table *table, struct file *file, int fd, bool close_on_exec);
int fd_get_flags(struct fd_table *table, int fd);
int fd_set_flags(struct fd_table *table, int fd, bool close_on_exec);
void fd_close_range(struct fd_table *table, unsigned first, unsigned last, bool only_mark);
/* The lowest open descriptor of at least fd, or -1. */
int fd_next(struct fd_table *table, int fd);
unsigned fd_table_capacity(struct fd_table *table); /* descriptors that there is room for now */

/* ---- Kinds of files ------------------------------------------------------------------------ */

/* initrd.c: unpack into a context's root. Returns 0, or -EINVAL if the archive is damaged. */
void initrd_unpack(void);
int initrd_unpack_archive(struct fs_context *fs, const void *archive, size_t size, bool quiet);

/* initrd_memory.c: the frames that the archive lay in go to the allocator. */
struct boot_module;
void initrd_free_memory(struct boot_module *module);

/* devices.c: what opening a device node leads to, or NULL. */
const struct file_ops *device_find(uint32_t mode, uint64_t device);
void devices_init(void);
/* Make a name at the start of the kernel, unless the archive brought it: with a reference. */
struct dentry *make_at_start(struct dentry *directory, const char *name, struct inode *inode);

/* block_file.c: disks. block_file_sync(): of an open one; 0 or -EIO. */
extern const struct file_ops block_ops;
int block_file_sync(struct file *file);

/* pipe.c */
void pipe_destroy(struct pipe *pipe);
int pipe_make(unsigned flags, struct file *end[2]) __must_check;
int64_t pipe_capacity(struct file *file); /* in bytes; -EBADF: it is no pipe */

/* procfs.c */
void procfs_init(void);
bool inode_is_proc(const struct inode *inode);

#endif
