/* SPDX-License-Identifier: MIT */
/*
 * Names: the tree of directories.
 *
 * Each directory keeps its names in two ordered trees. One is by the hash of the name, to find
 * it in O(log n) however many there are; names of the same hash form a chain behind the one that
 * is in the tree:
 *
 *	by_name:   hash 17 -- "a"      hash 23 -- "passwd" -> "zq41"      hash 99 -- "b"
 *	by_place:  2 "b"    3 "passwd"    7 "a"    8 "zq41"
 *
 * The other is by place, a number that each name draws when it comes into the directory. It is
 * what getdents() goes on from: names that come and go meanwhile move no others, so that
 * "rm -r", which reads and removes in turn, meets each name once.
 *
 * A dentry belongs to its directory as long as it is linked; that is one of its references. Its
 * parent stays as long as it does, linked or not, so that ".." and paths can be told. A dentry
 * without a parent is the root, or is in no tree at all, as that of a pipe.
 *
 * A directory on a disk keeps in its tree only what was looked up: see name_cache.c. Where a file
 * system is mounted, its root is found in place of the name; it has the same name and parent,
 * so that ".." and paths lead out of it, but it is not in the parent's tree.
 *
 * LOCKING. names_lock guards all trees, links and parents. Under it there is no memory of programs
 * to wait for, but there may be a disk.
 * dentry_put() needs no lock, as nobody else can find a dentry without references.
 */
#include <arch/cpu.h>
#include <slab.h>
#include <string.h>

#include "fs.h"

struct mutex names_lock = MUTEX_INIT(names_lock);
struct dentry *root_dentry;

static KMEM_CACHE(dentry_cache, "dentry", sizeof(struct dentry), 0, 0, NULL);

/* FNV-1a (Fowler, Noll and Vo 1991), its bits mixed once more. */
static uint64_t
hash_name(const struct directory *directory, const char *name, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3ull;
	hash ^= hash >> 32;
	return hash & directory->hash_mask;
}

/* ---- One name ------------------------------------------------------------------------------ */

static char *
copy_name(const char *name, size_t size)
{
	char *copy = kmalloc(size + 1, GFP_KERNEL);

	if (copy) {
		memcpy(copy, name, size);
		copy[size] = '\0';
	}
	return copy;
}

struct dentry *
dentry_create(const char *name, size_t size, struct inode *inode)
{
	struct dentry *dentry = kmem_cache_alloc(&dentry_cache, GFP_ZERO);

	if (!dentry)
		goto no_dentry;
	dentry->name = copy_name(name, size);
	if (!dentry->name)
		goto no_name;
	dentry->refs = 1;
	dentry->size = size;
	dentry->inode = inode;
	list_init(&dentry->cached);
	inode_set_alias(inode, dentry);
	return dentry;
no_name:
	kmem_cache_free(&dentry_cache, dentry);
no_dentry:
	inode_put(inode);
	return NULL;
}

struct dentry *
dentry_get(struct dentry *dentry)
{
	__atomic_add_fetch(&dentry->refs, 1, __ATOMIC_RELAXED);
	return dentry;
}

/* In a loop, not by recursion: a deep path must not need a deep stack. */
void
dentry_put(struct dentry *dentry)
{
	while (dentry && __atomic_sub_fetch(&dentry->refs, 1, __ATOMIC_ACQ_REL) == 0) {
		struct dentry *parent = dentry->parent;

		ASSERT(!dentry->linked);
		inode_clear_alias(dentry->inode, dentry);
		inode_put(dentry->inode);
		kfree(dentry->name);
		kmem_cache_free(&dentry_cache, dentry);
		dentry = parent;
	}
}

/* ---- A directory's trees ------------------------------------------------------------------- */

static struct dentry *
chain_of(struct dentry *directory, uint64_t hash)
{
	struct tree_node *node = tree_find(&directory->inode->directory.by_name, hash);

	return node ? container_of(node, struct dentry, by_name) : NULL;
}

struct dentry *
dentry_find_locked(struct dentry *directory, const char *name, size_t size)
{
	struct dentry *dentry;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	dentry = chain_of(directory, hash_name(&directory->inode->directory, name, size));
	for (; dentry; dentry = dentry->same_hash) {
		if (dentry->size == size && memcmp(dentry->name, name, size) == 0)
			return dentry_get(dentry);
	}
	return NULL;
}

void
dentry_link_locked(struct dentry *directory, struct dentry *dentry)
{
	struct directory *into = &directory->inode->directory;
	struct dentry *chain;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	ASSERT(!dentry->linked && !dentry->parent);
	dentry->by_name.key = hash_name(into, dentry->name, dentry->size);
	dentry->by_place.key = into->next_place++;
	dentry->same_hash = NULL;
	chain = chain_of(directory, dentry->by_name.key);
	if (chain) {
		dentry->same_hash = chain->same_hash;
		chain->same_hash = dentry;
	} else {
		tree_insert(&into->by_name, &dentry->by_name);
	}
	tree_insert(&into->by_place, &dentry->by_place);
	dentry->parent = dentry_get(directory);
	dentry->linked = true;
	dentry_get(dentry);
	inode_set_alias(dentry->inode, dentry);
}

/* Out of the chain; if it was the one in the tree, the next takes its place there. */
static void
unchain(struct directory *directory, struct dentry *dentry, struct dentry *chain)
{
	if (chain != dentry) {
		while (chain->same_hash != dentry)
			chain = chain->same_hash;
		chain->same_hash = dentry->same_hash;
		return;
	}
	tree_erase(&directory->by_name, &dentry->by_name);
	if (dentry->same_hash)
		tree_insert(&directory->by_name, &dentry->same_hash->by_name);
}

/* The parent stays, for who asks where the name was. */
void
dentry_unlink_locked(struct dentry *dentry)
{
	struct directory *from = &dentry->parent->inode->directory;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	ASSERT(dentry->linked);
	unchain(from, dentry, chain_of(dentry->parent, dentry->by_name.key));
	tree_erase(&from->by_place, &dentry->by_place);
	name_cache_forget_locked(dentry);
	dentry->linked = false;
	dentry_put(dentry);
}

/*
 * Move a name: to a directory, under a name that was kmalloc()ed for it. The reference to the
 * old parent is returned to be dropped.
 */
struct dentry *
dentry_move_locked(struct dentry *dentry, struct dentry *directory, char *name, size_t size)
{
	struct dentry *old = dentry->parent;

	dentry_get(dentry);
	dentry_unlink_locked(dentry);
	kfree(dentry->name);
	dentry->name = name;
	dentry->size = size;
	dentry->parent = NULL;
	dentry_link_locked(directory, dentry);
	name_cache_add_locked(dentry);
	dentry_put(dentry);
	return old;
}

/* Ask the disk for a name, and remember it. */
static int
find_on_disk(struct dentry *directory, const char *name, size_t size, struct dentry **found)
{
	struct inode *inode;
	int error = directory->inode->ops->names->find(directory->inode, name, size, &inode);

	if (error)
		return error;
	*found = dentry_create(name, size, inode);
	if (!*found)
		return -ENOMEM;
	dentry_link_locked(directory, *found);
	name_cache_add_locked(*found);
	return 0;
}

static int
look_up(struct dentry *directory, const char *name, size_t size, struct dentry **found)
{
	const struct inode_ops *ops = directory->inode->ops;

	if (!S_ISDIR(directory->inode->mode))
		return -ENOTDIR;
	*found = dentry_find_locked(directory, name, size);
	if (*found)
		return 0;
	if (ops->names && directory->inode->links > 0)
		return find_on_disk(directory, name, size, found);
	return ops->lookup ? ops->lookup(directory, name, size, found) : -ENOENT;
}

int
dentry_lookup_locked(struct dentry *directory, const char *name, size_t size, struct dentry **found)
{
	int error = look_up(directory, name, size, found);

	while (!error && (*found)->mount) {
		struct dentry *root = dentry_get((*found)->mount->root);

		dentry_put(*found);
		*found = root;
	}
	return error;
}

bool
dentry_is_empty_locked(struct dentry *directory)
{
	DEBUG_ASSERT(mutex_is_held(&names_lock));
	return directory->inode->directory.by_name.nr == 0;
}

bool
dentry_is_within_locked(struct dentry *dentry, struct dentry *ancestor)
{
	DEBUG_ASSERT(mutex_is_held(&names_lock));
	while (dentry && dentry != ancestor)
		dentry = dentry->parent;
	return dentry != NULL;
}

/* ---- Listing ------------------------------------------------------------------------------- */

static bool
list_dots(struct dentry *directory, uint64_t place, list_fn *emit, void *arg)
{
	struct dentry *parent = directory->parent ? directory->parent : directory;
	struct listed dot = { ".", 1, directory->inode->number, S_IFDIR, 1 };
	struct listed dot_dot = { "..", 2, parent->inode->number, S_IFDIR, FIRST_PLACE };

	return (place > 0 || emit(&dot, arg)) && (place > 1 || emit(&dot_dot, arg));
}

void
dentry_list_locked(struct dentry *directory, uint64_t place, list_fn *emit, void *arg)
{
	struct tree_node *node;

	DEBUG_ASSERT(mutex_is_held(&names_lock));
	if (place < FIRST_PLACE && !list_dots(directory, place, emit, arg))
		return;
	if (directory->inode->ops->names) {
		directory->inode->ops->names->list(directory->inode, MAX(place, FIRST_PLACE), emit,
						   arg);
		return;
	}
	node = tree_lower_bound(&directory->inode->directory.by_place, place);
	for (; node; node = tree_next(node)) {
		struct dentry *dentry = container_of(node, struct dentry, by_place);
		struct listed entry = { dentry->name, dentry->size, dentry->inode->number,
					dentry->inode->mode, node->key + 1 };

		if (!emit(&entry, arg))
			return;
	}
	if (directory->inode->ops->list)
		directory->inode->ops->list(directory, MAX(place, DYNAMIC_PLACE), emit, arg);
}

/* ---- Paths --------------------------------------------------------------------------------- */

/*
 * From the end of the buffer forwards, as the names are found last first. Returns where the path
 * begins in it, or NULL if it does not fit.
 */
static char *
write_path(struct dentry *dentry, struct dentry *root, char *start, char *end, bool *deleted)
{
	char *at = end - 1;

	*at = '\0';
	for (; dentry != root && dentry->parent; dentry = dentry->parent) {
		if (!dentry->linked && !dentry->made_up)
			*deleted = true;
		if ((size_t)(at - start) < dentry->size + 1)
			return NULL;
		at -= dentry->size;
		memcpy(at, dentry->name, dentry->size);
		*--at = '/';
	}
	if (dentry != root && dentry != root_dentry) { /* in no tree: its name is all there is */
		if ((size_t)(at - start) < dentry->size)
			return NULL;
		at -= dentry->size;
		memcpy(at, dentry->name, dentry->size);
	} else if (!*at) {
		if (at == start)
			return NULL;
		*--at = '/';
	}
	return at;
}

int64_t
dentry_path(struct dentry *dentry, struct dentry *root, char *path, size_t size)
{
	bool deleted = false;
	size_t length;
	char *at;

	mutex_lock(&names_lock);
	at = size > 0 ? write_path(dentry, root, path, path + size, &deleted) : NULL;
	mutex_unlock(&names_lock);
	if (!at)
		return -ENAMETOOLONG;
	length = (size_t)(path + size - 1 - at);
	memmove(path, at, length + 1);
	return deleted ? -ENOENT : (int64_t)length;
}
