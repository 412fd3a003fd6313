/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the kernel asks of directories of ext2: to find, add, remove and move names.
 *
 * A name that moves is in two places, or in none, unless both are in one block. So it is added
 * first and written, and then removed: after a crash the file has both names, and its count of
 * links is put right by e2fsck. What it takes the place of would be without a name, but still
 * in use, for a moment, which e2fsck leaves for people to decide. So it gets a name in lost+found
 * before, where e2fsck would put it, and loses that when the disk knows that it has ended.
 */
#include <errno.h>

#include "ext2.h"

/* ---- Finding --------------------------------------------------------------------------------- */

/*
 * A directory has one name only. On a damaged disk it may have several, or contain itself; but its
 * ".." leads to one place, and only from there it is found.
 */
static int
check_parent(struct ext2_node *directory, uint64_t parent)
{
	struct ext2_place place;
	int error = ext2_find(directory, "..", 2, &place);

	if (error && error != -ENOENT)
		return error;
	if (error || place.entry->inode != parent || directory->inode->number == parent)
		return ext2_damaged(directory->fs, "\"..\" of directory, inode",
				    node_number(directory));
	return 0;
}

static int
find(struct inode *directory, const char *name, size_t size, struct inode **found)
{
	struct ext2_fs *fs = ext2_of(directory);
	struct ext2_place place;
	int error;

	*found = NULL;
	ext2_lock(fs);
	error = ext2_find(node_of(directory), name, size, &place);
	if (!error) {
		struct inode *inode;

		error = ext2_get_inode(fs, place.entry->inode, &inode);
		if (!error) {
			*found = inode;
			if (S_ISDIR(inode->mode))
				error = check_parent(node_of(inode), directory->number);
		}
	}
	ext2_unlock(fs);
	if (error && *found)
		inode_put(*found);
	return error;
}

/* ---- Adding ---------------------------------------------------------------------------------- */

static int
make(struct inode *directory, const struct new_inode *new, struct inode **made)
{
	int error = ext2_make_inode(directory, new, made);

	if (error == -ENOSPC && ext2_make_room(ext2_of(directory)))
		error = ext2_make_inode(directory, new, made);
	return error;
}

static int
add_once(struct inode *directory, const char *name, size_t size, struct inode *inode)
{
	struct ext2_fs *fs = ext2_of(directory);
	struct ext2_node *node = node_of(inode);
	int error;

	ext2_lock(fs);
	error = ext2_add(node_of(directory), name, size, node_number(node), inode->mode);
	if (!error && node->named)
		node->linked = true;
	if (!error)
		__atomic_store_n(&node->named, true, __ATOMIC_RELEASE);
	ext2_unlock(fs);
	if (!error)
		ext2_inode_dirty(inode);
	return error;
}

static int
add(struct inode *directory, const char *name, size_t size, struct inode *inode)
{
	int error = add_once(directory, name, size, inode);

	if (error == -ENOSPC && ext2_make_room(ext2_of(directory)))
		error = add_once(directory, name, size, inode);
	return error;
}

/* ---- Removing -------------------------------------------------------------------------------- */

static bool
is_last_name(const struct inode *inode)
{
	return S_ISDIR(inode->mode) || inode->links <= 1;
}

static int
remove_locked(struct inode *directory, const char *name, size_t size, struct inode *inode)
{
	struct ext2_node *node = node_of(inode);
	struct ext2_place place;
	int error = node->is_dead ? -EIO : 0;

	if (!error && S_ISDIR(inode->mode))
		error = ext2_check_empty(node);
	if (!error)
		error = ext2_find(node_of(directory), name, size, &place);
	if (error)
		return error == -ENOENT ? -EIO : error;
	ext2_remove(node_of(directory), &place);
	if (is_last_name(inode))
		ext2_die(node);
	return 0;
}

static int
remove(struct inode *directory, const char *name, size_t size, struct inode *inode)
{
	struct ext2_node *node = node_of(inode);
	struct ext2_fs *fs = ext2_of(directory);
	bool undirtied = false;
	int error;

	/* The disk must not lose this name before it has the other. */
	if (node->linked && !is_last_name(inode)) {
		error = ext2_sync(fs);
		if (error)
			return error;
	}
	ext2_lock(fs);
	error = remove_locked(directory, name, size, inode);
	if (!error && node->is_dead)
		undirtied = ext2_inode_undirty(node);
	ext2_unlock(fs);
	if (undirtied)
		inode_put(inode);
	return error;
}

/* ---- Moving ---------------------------------------------------------------------------------- */

struct move {
	struct ext2_fs *fs;
	struct inode *from, *to; /* directories */
	const char *old, *new;
	size_t old_size, new_size;
	struct inode *inode, *target; /* target: NULL or what has the name */
	char shelter[16];	      /* target's name in lost+found; "": none */
};

/* In one directory, over nothing, where the entry has room for the new name: one block changes. */
static bool
move_in_place(struct move *move)
{
	struct ext2_place place;

	if (move->target || move->from != move->to ||
	    ext2_find(node_of(move->from), move->old, move->old_size, &place) != 0 ||
	    place.entry->size < EXT2_ENTRY_SIZE(move->new_size))
		return false;
	place.entry->name_size = (uint8_t)move->new_size;
	memcpy(place.entry->name, move->new, move->new_size);
	ext2_set_entry(node_of(move->from), &place, (uint32_t)move->inode->number,
		       move->inode->mode);
	return true;
}

/* Returns lost+found with a reference, or NULL. */
static struct inode *
lost_found(struct ext2_fs *fs)
{
	struct inode *inode;

	if (!fs->lost_found || ext2_get_inode(fs, fs->lost_found, &inode) != 0)
		return NULL;
	return inode;
}

/* A name for the target that nobody asks for: while it has it, it is not lost. */
static void
shelter_target(struct move *move, struct inode *directory)
{
	if (!directory || !move->target || !is_last_name(move->target) ||
	    S_ISDIR(move->target->mode))
		return;
	ksnprintf(move->shelter, sizeof(move->shelter), "#%lu",
		  (unsigned long)move->target->number);
	if (ext2_add(node_of(directory), move->shelter, strlen(move->shelter),
		     (uint32_t)move->target->number, move->target->mode) != 0)
		move->shelter[0] = '\0';
}

static void
leave_shelter(struct move *move, struct inode *directory)
{
	struct ext2_place place;

	if (move->shelter[0] &&
	    ext2_find(node_of(directory), move->shelter, strlen(move->shelter), &place) == 0)
		ext2_remove(node_of(directory), &place);
}

static int
add_new_name(struct move *move)
{
	struct ext2_place place;
	uint32_t number = (uint32_t)move->inode->number;
	int error;

	if (!move->target)
		return ext2_add(node_of(move->to), move->new, move->new_size, number,
				move->inode->mode);
	error = S_ISDIR(move->target->mode) ? ext2_check_empty(node_of(move->target)) : 0;
	if (!error && node_of(move->target)->is_dead)
		error = -EIO;
	if (!error)
		error = ext2_find(node_of(move->to), move->new, move->new_size, &place);
	if (!error)
		ext2_set_entry(node_of(move->to), &place, number, move->inode->mode);
	return error == -ENOENT ? -EIO : error;
}

/* A directory's ".." leads to where it is now. */
static void
set_parent(struct move *move)
{
	struct ext2_place place;

	if (S_ISDIR(move->inode->mode) && move->from != move->to &&
	    ext2_find(node_of(move->inode), "..", 2, &place) == 0)
		ext2_set_entry(node_of(move->inode), &place, (uint32_t)move->to->number, S_IFDIR);
}

static void
remove_old_name(struct move *move)
{
	struct ext2_place place;

	if (ext2_find(node_of(move->from), move->old, move->old_size, &place) == 0)
		ext2_remove(node_of(move->from), &place);
}

/* The new name is there. Returns whether the target was dirty: then there is a reference to drop.
 */
static bool
finish_locked(struct move *move)
{
	set_parent(move);
	remove_old_name(move);
	if (!move->target || !is_last_name(move->target))
		return false;
	ext2_die(node_of(move->target));
	return ext2_inode_undirty(node_of(move->target));
}

/*
 * Each ext2_sync() writes what was done before it. Once the new name is there, nothing fails any
 * more for the caller: what the disk cannot write, the next fsync() will tell.
 */
static int
move_in_steps(struct move *move, struct inode *shelter)
{
	bool undirtied = false;
	int error;

	ext2_lock(move->fs);
	shelter_target(move, shelter);
	ext2_unlock(move->fs);
	error = ext2_sync(move->fs);
	ext2_lock(move->fs);
	if (!error)
		error = add_new_name(move);
	ext2_unlock(move->fs);
	if (!error) {
		(void)ext2_sync(move->fs);
		ext2_lock(move->fs);
		undirtied = finish_locked(move);
		ext2_unlock(move->fs);
		if (move->target)
			(void)ext2_sync(move->fs);
	}
	ext2_lock(move->fs);
	leave_shelter(move, shelter);
	ext2_unlock(move->fs);
	if (undirtied)
		inode_put(move->target);
	return error;
}

static int
move(struct dentry *from, struct inode *to, const char *name, size_t size, struct inode *target)
{
	struct inode *directory = from->parent->inode, *shelter;
	struct move move = { ext2_of(to), directory, to,	  from->name, name,
			     from->size,  size,	     from->inode, target,     "" };
	bool done;
	int error;

	ext2_lock(move.fs);
	done = move_in_place(&move);
	shelter = done ? NULL : lost_found(move.fs);
	ext2_unlock(move.fs);
	if (done)
		return 0;
	error = move_in_steps(&move, shelter);
	if (shelter)
		inode_put(shelter);
	return error;
}

const struct name_ops ext2_name_ops = {
	.find = find,
	.list = ext2_list,
	.make = make,
	.add = add,
	.remove = remove,
	.move = move,
};
