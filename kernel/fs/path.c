/* SPDX-License-Identifier: MIT */
/*
 * Walking paths: from a text to a name in the tree.
 *
 * The text that is still to be walked lies at the end of a buffer. A symbolic link on the way puts
 * its target in front of it, and the walk goes on; so there is no recursion, and the number of
 * links is all that needs a limit:
 *
 *	at "/usr", rest "lib/x"         lib is a link to "../lib64"
 *	at "/usr", rest "../lib64/x"
 *
 * A link that stands for an object (those of /proc/PID/fd) moves the walk there at once.
 *
 * Slashes at the end say that the last name must be a directory. For those who will make or remove
 * the last name (WALK_PARENT) it is they who judge that, and the last name is not followed unless
 * WALK_FOLLOW says so: "open(O_CREAT)" on a link that leads nowhere makes what it leads to.
 *
 * LOCKING. The walk, and the use of what it found, are one step under names_lock. The path is
 * copied from the program before.
 */
#include <process.h>
#include <string.h>

#include "fs.h"

/* ---- Beginning and ending ------------------------------------------------------------------ */

/* What all beginnings share: the text is there. fs may be another process's. */
static void
start_at(struct walk *walk, struct fs_context *fs, struct dentry *start)
{
	mutex_lock(&names_lock);
	walk->root = dentry_get(fs->root);
	if (walk->rest[0] == '/')
		walk->start = dentry_get(fs->root);
	else
		walk->start = dentry_get(start ? start : fs->current);
	mutex_unlock(&names_lock);
}

static int
make_text(struct walk *walk)
{
	*walk = (struct walk){ .text = kmalloc(WALK_TEXT, GFP_KERNEL) };
	walk->rest = walk->text;
	return walk->text ? 0 : -ENOMEM;
}

int
walk_begin(struct walk *walk, struct fs_context *fs, const char *path)
{
	int error = make_text(walk);

	if (error)
		return error;
	if (strlcpy(walk->text, path, PATH_MAX) >= PATH_MAX) {
		kfree(walk->text);
		return -ENAMETOOLONG;
	}
	start_at(walk, fs, NULL);
	return 0;
}

/* The descriptor counts only if the path is relative to it. */
static int
start_at_descriptor(struct walk *walk, int directory)
{
	struct file *file = NULL;

	if (walk->text[0] != '/' && directory != AT_FDCWD) {
		file = fd_current(directory);
		if (!file)
			return -EBADF;
		if (walk->text[0] && !S_ISDIR(file->inode->mode)) {
			file_put(file);
			return -ENOTDIR;
		}
	}
	start_at(walk, context_current(), file ? file->dentry : NULL);
	if (file)
		file_put(file);
	return 0;
}

int
walk_begin_user(struct walk *walk, int directory, uintptr_t path)
{
	int error = make_text(walk);
	int64_t size;

	if (error)
		return error;
	size = copy_string_from_user(walk->text, path, PATH_MAX);
	error = size < 0 ? (int)size : start_at_descriptor(walk, directory);
	if (error)
		kfree(walk->text);
	return error;
}

void
walk_end(struct walk *walk)
{
	dentry_put(walk->found);
	dentry_put(walk->directory);
	dentry_put(walk->start);
	dentry_put(walk->root);
	kfree(walk->text);
}

/* ---- One step ------------------------------------------------------------------------------ */

static void
skip_slashes(struct walk *walk)
{
	while (*walk->rest == '/')
		walk->rest++;
}

/* Move to another place, whose reference is taken over. */
static void
go_to(struct walk *walk, struct dentry *dentry)
{
	dentry_put(walk->start);
	walk->start = dentry;
}

static void
go_up(struct walk *walk)
{
	if (walk->start != walk->root && walk->start->parent)
		go_to(walk, dentry_get(walk->start->parent));
}

/* The target of a link: its length, below room, or an error. */
static int64_t
read_target(struct inode *link, char *to, size_t room)
{
	size_t size;

	if (link->ops->read_link)
		return link->ops->read_link(link, to, room);
	size = strlen(link->target);
	if (size < room)
		memcpy(to, link->target, size);
	return (int64_t)size;
}

/*
 * Put a link's target before what is left, with a slash between unless nothing is left. That is
 * moved to the end of the buffer first, to make room.
 */
static int
prepend_target(struct walk *walk, struct inode *link)
{
	size_t left = strlen(walk->rest), room = WALK_TEXT - left - 2;
	char *tail = walk->text + WALK_TEXT - left - 1;
	int64_t size;

	memmove(tail, walk->rest, left + 1);
	size = read_target(link, walk->text, room);
	if (size < 0)
		return (int)size;
	if ((size_t)size >= room)
		return -ENAMETOOLONG;
	walk->rest = walk->text;
	if (left > 0)
		walk->text[size++] = '/';
	memmove(walk->text + size, tail, left + 1);
	return walk->rest[0] ? 0 : -ENOENT;
}

/* Follow the link, which lies in the directory where the walk is. */
static int
follow(struct walk *walk, struct inode *link)
{
	int error;

	if (++walk->nr_links > MAX_SYMLINKS)
		return -ELOOP;
	if (link->ops->follow) {
		struct dentry *target;

		error = link->ops->follow(link, &target);
		if (!error)
			go_to(walk, target);
		return error;
	}
	error = prepend_target(walk, link);
	if (!error && walk->rest[0] == '/')
		go_to(walk, dentry_get(walk->root));
	return error;
}

/* ---- The whole way ------------------------------------------------------------------------- */

/* Cut the next name off the rest. Returns its size; *is_last: only slashes follow. */
static size_t
next_name(struct walk *walk, bool *is_last)
{
	size_t size = 0;

	walk->name = walk->rest;
	while (walk->rest[size] && walk->rest[size] != '/')
		size++;
	walk->rest += size;
	walk->slash = *walk->rest == '/';
	skip_slashes(walk);
	*is_last = !*walk->rest;
	walk->size = size;
	return size;
}

static enum last_kind
kind_of(const char *name, size_t size)
{
	if (size == 1 && name[0] == '.')
		return LAST_DOT;
	return size == 2 && name[0] == '.' && name[1] == '.' ? LAST_DOTDOT : LAST_NAME;
}

/* The walk ends where it is. */
static int
end_here(struct walk *walk, enum last_kind last)
{
	walk->last = last;
	walk->found = dentry_get(walk->start);
	return 0;
}

/*
 * The walk ends at a name, looked up with this result. slash: kept for the caller, whose name
 * still lies in the text.
 */
static int
end_at_name(struct walk *walk, unsigned flags, int error, struct dentry *found)
{
	walk->last = LAST_NAME;
	if (error && !(error == -ENOENT && (flags & WALK_PARENT)))
		return error;
	if (!error && walk->slash && !(flags & WALK_PARENT) && !S_ISDIR(found->inode->mode)) {
		dentry_put(found);
		return -ENOTDIR;
	}
	walk->directory = dentry_get(walk->start);
	walk->found = error ? NULL : found;
	return 0;
}

/* Go through a link. is_last: nothing but slashes stood behind it. */
static int
go_through(struct walk *walk, struct dentry *link, bool is_last)
{
	int error;

	if (is_last)
		walk->rest -= walk->slash; /* "link/" goes on as "target/" */
	error = follow(walk, link->inode);
	dentry_put(link);
	if (error || *walk->rest)
		return error;
	walk->ended = true;
	return end_here(walk, LAST_ROOT); /* at an object */
}

/* Take one name, and go there, or end. Returns 0 or an error. */
static int
step(struct walk *walk, unsigned flags)
{
	struct dentry *found = NULL;
	bool is_last, through;
	enum last_kind kind;
	int error;

	if (!S_ISDIR(walk->start->inode->mode))
		return -ENOTDIR;
	if (next_name(walk, &is_last) > NAME_MAX)
		return -ENAMETOOLONG;
	walk->ended = is_last;
	kind = kind_of(walk->name, walk->size);
	if (kind != LAST_NAME) {
		if (kind == LAST_DOTDOT)
			go_up(walk);
		return is_last ? end_here(walk, kind) : 0;
	}
	error = inode_permission(walk->start->inode, MAY_EXEC);
	if (error)
		return error;
	error = dentry_lookup_locked(walk->start, walk->name, walk->size, &found);
	if (error)
		return is_last ? end_at_name(walk, flags, error, NULL) : error;
	through = !is_last || (flags & WALK_FOLLOW) || (walk->slash && !(flags & WALK_PARENT));
	if (S_ISLNK(found->inode->mode) && through) {
		walk->ended = false;
		return go_through(walk, found, is_last);
	}
	if (is_last)
		return end_at_name(walk, flags, 0, found);
	go_to(walk, found);
	return 0;
}

int
walk_locked(struct walk *walk, unsigned flags)
{
	int error = 0;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	if (!*walk->rest)
		return flags & WALK_EMPTY ? end_here(walk, LAST_DOT) : -ENOENT;
	while (!error && !walk->ended) {
		skip_slashes(walk);
		if (*walk->rest)
			error = step(walk, flags);
		else if (S_ISDIR(walk->start->inode->mode))
			return end_here(walk, LAST_ROOT);
		else
			return -ENOTDIR;
	}
	return error;
}

/* ---- All at once --------------------------------------------------------------------------- */

static int
find(struct walk *walk, unsigned flags, struct dentry **found)
{
	int error;

	mutex_lock(&names_lock);
	error = walk_locked(walk, flags);
	if (!error)
		*found = dentry_get(walk->found);
	mutex_unlock(&names_lock);
	walk_end(walk);
	return error;
}

int
path_find(struct fs_context *fs, const char *path, unsigned flags, struct dentry **found)
{
	struct walk walk;
	int error = walk_begin(&walk, fs, path);

	return error ? error : find(&walk, flags, found);
}

int
path_find_user(int directory, uintptr_t path, unsigned flags, struct dentry **found)
{
	struct walk walk;
	int error = walk_begin_user(&walk, directory, path);

	return error ? error : find(&walk, flags, found);
}
