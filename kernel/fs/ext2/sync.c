/* SPDX-License-Identifier: MIT */
/*
 * Writing what is known of files, in an order that survives a crash at any point.
 *
 * PROBLEM. A change of a file system is several blocks, and the machine may die between any two of
 * them. What fsync() has promised must be there afterwards, and e2fsck must be able to put the rest
 * right without asking: it does so with names that lead to free inodes (it removes them), with
 * wrong counts of links and wrong bitmaps (it corrects them). It asks people what to do with an
 *inode in use that has no name, with a block that two files have, and with directories of garbage.
 *
 * IDEA. Write so that only the harmless kinds can come to be:
 *
 *	1. maps, link texts, new blocks of directories    nothing leads to the new ones yet
 *	2. inodes that the disk knows, with their new     they lead to what is there
 *	   maps and sizes; ends of those without a name   names may lead to a free inode
 *	3. directories                                    new names lead to a free inode
 *	4. new inodes, parents before what is in them     now they lead to one in use
 *	5. bitmaps, counts                                what was freed may be used again
 *
 * A name always comes before its inode and stays until after its inode's end, so no inode is in
 * use without a name. A block is given to somebody else only after 5, when nothing on the disk
 * leads to it as what it was. Inodes that are new are written in the order in which they got
 * their names, and ends in the order of deaths, because a directory in the wrong place would take
 * what is in it along.
 *
 * Between the steps the disk is told to write what it only remembers.
 *
 * LEFT OUT. The bytes of a file that nobody called fsync() for may be written after its size: then
 * a crash leaves in them what was on the disk before. A directory that moves has two names for a
 * moment, of which e2fsck asks which is right.
 *
 * LOCKING. fs->lock while writing. syncing is held until references to inodes that were dirty have
 * been dropped, which takes fs->lock again.
 */
#include <errno.h>
#include <page_cache.h>

#include "ext2.h"

/* Inodes on their way: new ones wait for step 4. */
struct batch {
	struct ext2_fs *fs;
	struct list_head known, fresh; /* (d) */
	struct list_head done;	       /* (s) of ext2_node.written, references to be dropped */
	bool written;		       /* since the disk was told to write what it remembers */
};

static int
barrier(struct batch *batch)
{
	if (!batch->written)
		return 0;
	batch->written = false;
	return block_flush(batch->fs->device);
}

static int
write_buffer(struct batch *batch, struct ext2_buffer *buffer)
{
	batch->written = true;
	return ext2_write_buffer(batch->fs, buffer);
}

/* Write the dirty buffers of a kind; of fresh ones only if only_fresh. */
static int
write_kind(struct batch *batch, enum ext2_kind kind, bool only_fresh)
{
	struct ext2_buffer *buffer, *tmp;
	int error = 0;

	list_for_each_entry_safe (buffer, tmp, &batch->fs->dirty_buffers[kind], dirty) {
		if (only_fresh && !buffer->fresh)
			continue;
		error = write_buffer(batch, buffer);
		if (error)
			return error;
	}
	return 0;
}

/* ---- Inodes ---------------------------------------------------------------------------------- */

/* Take over what is dirty, in order. */
static void
collect(struct batch *batch)
{
	struct ext2_fs *fs = batch->fs;
	irqflags_t irq = spin_lock_irqsave(&fs->dirty_lock);
	struct ext2_node *node, *tmp;

	list_for_each_entry_safe (node, tmp, &fs->dirty_nodes, dirty) {
		list_del(&node->dirty);
		list_add_tail(&node->dirty, node->fresh ? &batch->fresh : &batch->known);
	}
	spin_unlock_irqrestore(&fs->dirty_lock, irq);
}

/* The next of a list, which is not dirty any more from here on: a change from now on makes it so.
 */
static struct ext2_node *
take(struct batch *batch, struct list_head *from)
{
	irqflags_t irq = spin_lock_irqsave(&batch->fs->dirty_lock);
	struct ext2_node *node = NULL;

	if (!list_empty(from)) {
		node = list_first_entry(from, struct ext2_node, dirty);
		list_del(&node->dirty);
		node->is_dirty = false;
	}
	spin_unlock_irqrestore(&batch->fs->dirty_lock, irq);
	return node;
}

/* What could not be written stays dirty. */
static void
put_back(struct batch *batch)
{
	irqflags_t irq = spin_lock_irqsave(&batch->fs->dirty_lock);

	while (!list_empty(&batch->fresh) || !list_empty(&batch->known)) {
		struct list_head *from = list_empty(&batch->fresh) ? &batch->known : &batch->fresh;
		struct ext2_node *node = list_entry(from->prev, struct ext2_node, dirty);

		list_del(&node->dirty);
		list_add(&node->dirty, &batch->fs->dirty_nodes);
	}
	spin_unlock_irqrestore(&batch->fs->dirty_lock, irq);
}

static int
store_known(struct batch *batch)
{
	struct ext2_buffer *buffer;
	struct ext2_node *node;
	int error = 0;

	while (!error && (node = take(batch, &batch->known))) {
		error = ext2_store_inode(node, &buffer);
		if (error)
			ext2_inode_dirty(node->inode);
		list_add_tail(&node->written, &batch->done);
	}
	return error;
}

/*
 * Inodes one after the other, in this order: the buffer is written before the next is changed.
 * barriers: each must be on the disk before the next is begun.
 */
static int
switch_buffer(struct batch *batch, struct ext2_buffer **now, struct ext2_buffer *next,
	      bool barriers)
{
	int error = 0;

	if (*now && *now != next) {
		error = write_buffer(batch, *now);
		if (!error && barriers)
			error = barrier(batch);
	}
	*now = next;
	return error;
}

/* In the order of deaths: what was in a directory died before it. */
static int
store_ends(struct batch *batch)
{
	struct ext2_buffer *now = NULL, *next;
	struct ext2_node *node;
	int error = 0;

	list_for_each_entry (node, &batch->fs->dead, dead) {
		if (node->end_written)
			continue;
		error = ext2_inode_buffer(node, &next);
		if (!error)
			error = switch_buffer(batch, &now, next, node->is_directory);
		if (!error)
			error = ext2_store_end(node, &next);
		if (error)
			return error;
		node->end_written = true;
	}
	return 0;
}

/* In the order of names: a directory got its own before what is in it. */
static int
store_fresh(struct batch *batch)
{
	struct ext2_buffer *now = NULL, *next;
	bool directories = false;
	struct ext2_node *node;
	int error = 0;

	while (!error && (node = take(batch, &batch->fresh))) {
		error = ext2_inode_buffer(node, &next);
		if (!error)
			error = switch_buffer(batch, &now, next, directories);
		if (!error)
			error = ext2_store_inode(node, &next);
		if (error)
			ext2_inode_dirty(node->inode);
		directories |= node->is_directory;
		list_add_tail(&node->written, &batch->done);
	}
	return error;
}

/* Numbers of those whose end the disk knows, and whom nobody uses. */
static void
bury(struct ext2_fs *fs)
{
	struct ext2_node *node, *tmp;

	list_for_each_entry_safe (node, tmp, &fs->dead, dead) {
		if (!node->end_written || node->inode)
			continue;
		list_del(&node->dead);
		ext2_free_inode(fs, node_number(node), node->is_directory);
		ext2_free_node(node);
	}
}

/* ---- The whole ------------------------------------------------------------------------------- */

int
ext2_write_super(struct ext2_fs *fs)
{
	uint32_t first = fs->super.first_data_block + 1;
	size_t bytes = fs->nr_groups * sizeof(*fs->groups);
	int error;

	fs->super.write_time = (uint32_t)(fs_now() / (int64_t)NSEC_PER_SEC);
	error = block_write(fs->device, EXT2_SUPER_AT / SECTOR_SIZE, &fs->super,
			    EXT2_SUPER_SIZE / SECTOR_SIZE);
	if (!error)
		error = block_write(fs->device, (uint64_t)first * (fs->block_size / SECTOR_SIZE),
				    fs->groups, (bytes + SECTOR_SIZE - 1) / SECTOR_SIZE);
	if (!error)
		fs->super_dirty = false;
	return error;
}

static int
write_counts(struct batch *batch)
{
	struct ext2_fs *fs = batch->fs;
	int error = ext2_settle_freed(fs);

	bury(fs);
	if (!error)
		error = write_kind(batch, EXT2_BITMAP, false);
	if (!error && fs->super_dirty) {
		batch->written = true;
		error = ext2_write_super(fs);
	}
	return error;
}

static int
write_maps(struct batch *batch)
{
	int error = 0;

	for (enum ext2_kind kind = EXT2_MAP1; kind <= EXT2_TEXT && !error; kind++)
		error = write_kind(batch, kind, false);
	return error ? error : write_kind(batch, EXT2_NAMES, true);
}

static int
write_known(struct batch *batch)
{
	int error = store_known(batch);

	if (!error)
		error = store_ends(batch);
	return error ? error : write_kind(batch, EXT2_INODES, false);
}

static int
write_names(struct batch *batch)
{
	return write_kind(batch, EXT2_NAMES, false);
}

static int
write_fresh(struct batch *batch)
{
	int error = store_fresh(batch);

	return error ? error : write_kind(batch, EXT2_INODES, false);
}

static int
sync_locked(struct batch *batch)
{
	static int (*const steps[])(struct batch *) = { write_maps, write_known, write_names,
							write_fresh, write_counts };
	int error = 0;

	assert_ext2_locked(batch->fs);
	for (unsigned i = 0; i < ARRAY_SIZE(steps) && !error; i++) {
		error = steps[i](batch);
		if (!error)
			error = barrier(batch);
	}
	return error;
}

int
ext2_sync(struct ext2_fs *fs)
{
	struct batch batch = { .fs = fs, .written = true };
	struct ext2_node *node, *tmp;
	int error;

	if (fs->read_only)
		return 0;
	list_init(&batch.known);
	list_init(&batch.fresh);
	list_init(&batch.done);
	mutex_lock(&fs->syncing);
	ext2_lock(fs);
	collect(&batch);
	error = sync_locked(&batch);
	put_back(&batch);
	list_for_each_entry (node, &batch.done, written)
		node->linked = node->linked && error;
	ext2_unlock(fs);
	list_for_each_entry_safe (node, tmp, &batch.done, written)
		inode_put(node->inode);
	mutex_unlock(&fs->syncing);
	return error;
}

bool
ext2_make_room(struct ext2_fs *fs)
{
	bool any;

	ext2_lock(fs);
	any = fs->nr_freed > 0 || !list_empty(&fs->dead);
	ext2_unlock(fs);
	return any && ext2_sync(fs) == 0;
}
