/* SPDX-License-Identifier: MIT */
/*
 * ext2 from inside. Read in this order: super.c (mounting, the picture), buffer.c (blocks that are
 * not data), allocate.c (what is free), map.c (where the blocks of a file are), directory.c
 * (names), inode.c, file.c (pages), names.c (what the rest of the kernel asks for), sync.c (in
 * which order things are written).
 *
 * Everything read from a disk may be wrong. It is checked where it is used, and -EIO is the answer.
 *
 * (c) fixed while mounted   (s) fs->syncing   (l) fs->lock   (d) fs->dirty_lock
 */
#ifndef EXT2_H
#define EXT2_H

#include <block.h>
#include <list.h>
#include <mutex.h>
#include <printk.h>
#include <string.h>
#include <tree.h>

#include "../mount.h"
#include "format.h"

/* ---- Buffers: buffer.c ----------------------------------------------------------------------- */

/* What is in a block, which decides when it is written: see sync.c. */
enum ext2_kind {
	EXT2_MAP1, /* leads to blocks of a file */
	EXT2_MAP2, /* leads to maps of the kind before */
	EXT2_MAP3,
	EXT2_TEXT, /* target of a symbolic link; extended attributes */
	EXT2_NAMES,
	EXT2_INODES,
	EXT2_BITMAP,
	EXT2_KINDS,
};

struct ext2_buffer {
	struct tree_node node;	/* (l) key: block */
	struct list_head used;	/* (l) in fs->used, the one used last at the end */
	struct list_head dirty; /* (l) in fs->dirty_buffers of its kind, or empty */
	enum ext2_kind kind;	/* (l) */
	bool fresh;		/* (l) nothing on the disk leads to it yet */
	bool gone;		/* (l) its block is nobody's: freed when the lock is released */
	uint8_t *bytes;		/* (l) fs->block_size */
};

/* ---- A file system --------------------------------------------------------------------------- */

struct ext2_fs {
	struct block_device *device; /* (c) */
	struct mount *mount;	     /* (c) */
	bool read_only;		     /* (c) */
	uint32_t block_size;	     /* (c) bytes */
	uint32_t blocks_per_page;    /* (c) */
	uint32_t map_slots;	     /* (c) entries of a map */
	uint32_t inode_size;	     /* (c) bytes */
	uint32_t first_inode;	     /* (c) that may be given out */
	uint32_t nr_groups;	     /* (c) */
	uint32_t table_blocks;	     /* (c) of inodes, in a group */
	uint32_t descriptor_blocks;  /* (c) behind a superblock */
	uint64_t max_size;	     /* (c) bytes of a file */
	bool has_types;		     /* (c) EXT2_INCOMPAT_TYPES */
	uint32_t lost_found;	     /* (c) inode of the directory lost+found, or 0 */

	struct mutex syncing; /* one thread at a time; outside of lock */
	struct mutex lock;
	struct ext2_super super;		    /* (l) */
	struct ext2_group *groups;		    /* (l) of all groups */
	bool super_dirty;			    /* (l) it or a group has changed */
	bool damaged;				    /* (l) a contradiction was found and reported */
	struct tree buffers;			    /* (l) by block */
	struct list_head used;			    /* (l) least recently used first */
	struct list_head gone;			    /* (l) buffers of blocks that were given back */
	struct list_head dirty_buffers[EXT2_KINDS]; /* (l) in the order in which they got dirty */
	unsigned nr_buffers;			    /* (l) */
	uint8_t **freed;   /* (l) of each group: blocks that get free with the next sync, or NULL */
	uint32_t nr_freed; /* (l) how many */
	struct tree nodes; /* (l) inodes in memory, by number */
	struct list_head dead; /* (l) that have lost their last name, in that order */
	spinlock_t dirty_lock;
	struct list_head dirty_nodes; /* (d) each with a reference; in the order of their names */
};

/* An inode in memory: what struct inode does not have. */
struct ext2_node {
	struct ext2_fs *fs;	    /* (c) */
	struct inode *inode;	    /* (l) NULL: released, and only its end is to be written */
	struct tree_node by_number; /* (l) key: its number */
	bool in_tree;		    /* (l) */
	struct list_head dirty;	    /* (d) in fs->dirty_nodes, or one of sync.c */
	bool is_dirty;		    /* (d) */
	struct list_head dead;	    /* (l) in fs->dead */
	struct list_head written;   /* (s) in a batch of sync.c, with a reference */
	bool is_directory;	    /* (c) */
	bool named;		    /* (l) has, or has had, a name */
	bool fresh;		    /* (l) not on the disk yet */
	bool is_dead;		    /* (l) has lost its last name: in fs->dead */
	bool end_written;	    /* (l) and the disk knows */
	bool linked;		    /* (l) got another name that may not be on the disk yet */
	uint32_t block[EXT2_SLOTS]; /* (l) as on the disk */
	uint32_t flags, attributes; /* (l) */
	uint32_t sectors;	    /* (l) that it takes */
	uint32_t goal;		    /* (l) the block that was allocated last */
	uint32_t free_hint;	    /* (l) of a directory: no room in blocks before that */
};

static inline struct ext2_fs *
ext2_of(const struct inode *inode)
{
	return inode->mount->private;
}

static inline struct ext2_node *
node_of(const struct inode *inode)
{
	return inode->node;
}

static inline uint32_t
node_number(const struct ext2_node *node)
{
	return (uint32_t)node->by_number.key;
}

static inline void
assert_ext2_locked(const struct ext2_fs *fs)
{
	DEBUG_ASSERT(mutex_is_held(&fs->lock));
	(void)fs;
}

/* Unlocking also gives back buffers that have not been used for long. */
void ext2_lock(struct ext2_fs *fs);
void ext2_unlock(struct ext2_fs *fs);

/* The disk contradicts itself: say so, once. Returns -EIO. */
int ext2_damaged(struct ext2_fs *fs, const char *what, uint32_t number);

/* Everything below with the file system locked, unless it says otherwise. */

/* The block's buffer, read if it is not there. -EIO also if it has been something else. */
int ext2_get(struct ext2_fs *fs, uint32_t block, enum ext2_kind kind, struct ext2_buffer **buffer)
    __must_check;
/* The same for a block that was just allocated: zeroes, dirty, fresh. */
int ext2_get_new(struct ext2_fs *fs, uint32_t block, enum ext2_kind kind,
		 struct ext2_buffer **buffer) __must_check;
void ext2_dirty(struct ext2_fs *fs, struct ext2_buffer *buffer);
/* The block is nobody's any more. */
void ext2_forget(struct ext2_fs *fs, uint32_t block);
int ext2_write_buffer(struct ext2_fs *fs, struct ext2_buffer *buffer) __must_check;
void ext2_free_buffers(struct ext2_fs *fs);

/* ---- What is free: allocate.c ---------------------------------------------------------------- */

/* Does the group begin with a superblock and descriptors, or copies of them? */
bool ext2_has_super(const struct ext2_fs *fs, uint32_t group);
/* May a file or directory have that block? */
bool ext2_is_data(struct ext2_fs *fs, uint32_t block);
/* A block, at goal or behind it if possible: 0, -ENOSPC, -EIO. */
int ext2_allocate(struct ext2_fs *fs, uint32_t goal, uint32_t *block) __must_check;
/* It is free after the next sync. Returns false if it was free, which is damage. */
bool ext2_free(struct ext2_fs *fs, uint32_t block);
int ext2_allocate_inode(struct ext2_fs *fs, uint32_t parent, bool directory, uint32_t *number)
    __must_check;
void ext2_free_inode(struct ext2_fs *fs, uint32_t number, bool directory);
/* What has been freed may be given out again. */
int ext2_settle_freed(struct ext2_fs *fs) __must_check;
uint32_t ext2_group_start(const struct ext2_fs *fs, uint32_t group); /* its first block */

/* ---- Where blocks are: map.c ----------------------------------------------------------------- */

/* The block of a file at that place, 0: none. allocate: then get one, *fresh: it is new. */
int ext2_map(struct ext2_node *node, uint64_t place, bool allocate, uint32_t *block, bool *fresh)
    __must_check;
/* Free all blocks from that place on. */
void ext2_cut(struct ext2_node *node, uint64_t place);
/* Blocks that a file can have. */
uint64_t ext2_max_blocks(const struct ext2_fs *fs);

/* ---- Inodes: inode.c ------------------------------------------------------------------------- */

int ext2_get_inode(struct ext2_fs *fs, uint32_t number, struct inode **inode) __must_check;
int ext2_make_inode(struct inode *directory, const struct new_inode *new, struct inode **made)
    __must_check;
void ext2_release(struct inode *inode);	    /* not locked */
void ext2_inode_dirty(struct inode *inode); /* not locked */
/* Not to be written any more. Returns whether it was dirty: then there is a reference to drop. */
bool ext2_inode_undirty(struct ext2_node *node);
/* It loses its last name. */
void ext2_die(struct ext2_node *node);
/* Copy it to its place in the table: *buffer; or what is left of one that has no name. */
int ext2_store_inode(struct ext2_node *node, struct ext2_buffer **buffer) __must_check;
int ext2_store_end(struct ext2_node *node, struct ext2_buffer **buffer) __must_check;
/* The block of the table that it is in. */
int ext2_inode_buffer(struct ext2_node *node, struct ext2_buffer **buffer) __must_check;
void ext2_free_node(struct ext2_node *node);

/* ---- Directories: directory.c ---------------------------------------------------------------- */

/* Where an entry is. */
struct ext2_place {
	struct ext2_buffer *buffer;
	struct ext2_entry *entry, *before; /* before: in the same block, or NULL */
};

int ext2_find(struct ext2_node *directory, const char *name, size_t size, struct ext2_place *place)
    __must_check; /* 0, -ENOENT, -EIO */
int ext2_add(struct ext2_node *directory, const char *name, size_t size, uint32_t number,
	     uint32_t mode) __must_check;
void ext2_remove(struct ext2_node *directory, struct ext2_place *place);
void ext2_set_entry(struct ext2_node *directory, struct ext2_place *place, uint32_t number,
		    uint32_t mode);
int ext2_check_empty(struct ext2_node *directory) __must_check;
int ext2_make_directory(struct ext2_node *directory, uint32_t parent) __must_check;
void ext2_list(struct inode *directory, uint64_t place, list_fn *emit, void *arg); /* not locked */

/* ---- The rest -------------------------------------------------------------------------------- */

extern const struct name_ops ext2_name_ops;	       /* names.c */
extern const struct page_store ext2_store;	       /* file.c */
int ext2_truncate(struct inode *inode, uint64_t size); /* not locked */

/* sync.c. Not locked: write all that is dirty. */
int ext2_sync(struct ext2_fs *fs);
int ext2_write_super(struct ext2_fs *fs) __must_check;
/* After -ENOSPC: may it be that there is room now? Not locked. */
bool ext2_make_room(struct ext2_fs *fs);

#endif
