/* SPDX-License-Identifier: MIT */
/*
 * Inodes of ext2.
 *
 * An inode that is in use by anybody is in memory once, found by its number. Its place in the table
 * on the disk is changed by sync.c only, which copies it there when the order of writing allows
 * it; until then it is on a list, with a reference, in the order in which inodes got their names.
 *
 *	made     fresh: the disk shows it as free, whatever names lead to it
 *	named    on the list of what is to be written
 *	written  not fresh any more
 *	last name gone    dead: its end is to be written, in the order of deaths
 *	last user gone    its blocks are given back; its number, once the end has been written
 *
 * A dead inode lives on in memory as long as a program has it open. On the disk it is free from
 * the moment its end is written, so after a crash nothing has to be tidied up but bitmaps.
 */
#include <errno.h>
#include <page_cache.h>
#include <slab.h>

#include "ext2.h"

static KMEM_CACHE(node_cache, "ext2_node", sizeof(struct ext2_node), 0, 0, NULL);

/* ---- Kinds ----------------------------------------------------------------------------------- */

static const struct inode_ops directory_ops_on_disk = {
	.file_ops = &directory_ops,
	.names = &ext2_name_ops,
	.release = ext2_release,
};
static const struct inode_ops file_ops_on_disk = {
	.file_ops = &regular_ops,
	.truncate = ext2_truncate,
	.release = ext2_release,
};
static const struct inode_ops link_ops_on_disk = { .release = ext2_release };
static const struct inode_ops fifo_ops_on_disk = { .file_ops = &fifo_ops, .release = ext2_release };
static const struct inode_ops device_ops_on_disk = { .file_ops = &device_ops,
						     .release = ext2_release };

static const struct inode_ops unmade_ops = { .file_ops = NULL };

/* NULL: there is no such kind. */
static const struct inode_ops *
ops_for(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return &directory_ops_on_disk;
	case S_IFREG:
		return &file_ops_on_disk;
	case S_IFLNK:
		return &link_ops_on_disk;
	case S_IFIFO:
		return &fifo_ops_on_disk;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFSOCK:
		return &device_ops_on_disk;
	default:
		return NULL;
	}
}

/* Small device numbers stand in the first slot, others in the second. */
static void
encode_device(struct ext2_node *node, uint64_t device)
{
	uint32_t major = device_major(device), minor = device_minor(device);

	if (major < 256 && minor < 256)
		node->block[0] = major << 8 | minor;
	else
		node->block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static uint64_t
decode_device(const struct ext2_node *node)
{
	uint32_t new = node->block[1];

	if (node->block[0])
		return make_device(node->block[0] >> 8 & 0xff, node->block[0] & 0xff);
	return make_device(new >> 8 & 0xfff, (new & 0xff) | (new >> 12 & 0xfff00));
}

static bool
is_device(uint32_t mode)
{
	return S_ISCHR(mode) || S_ISBLK(mode);
}

/* ---- Times ----------------------------------------------------------------------------------- */

/* Seconds since 1970 as a signed number; extra: two more bits of them, and nanoseconds. */
static int64_t
decode_time(uint32_t seconds, uint32_t extra)
{
	int64_t full = (int32_t)seconds + ((int64_t)(extra & 3) << 32);

	return full * (int64_t)NSEC_PER_SEC + MIN(extra >> 2, (uint32_t)NSEC_PER_SEC - 1);
}

static uint32_t
encode_time(int64_t ns, uint32_t *extra)
{
	int64_t seconds = ns / (int64_t)NSEC_PER_SEC, rest = ns % (int64_t)NSEC_PER_SEC;

	if (rest < 0) {
		rest += (int64_t)NSEC_PER_SEC;
		seconds--;
	}
	*extra = (uint32_t)rest << 2 | (uint32_t)((seconds - (int32_t)seconds) >> 32 & 3);
	return (uint32_t)seconds;
}

static bool
has_extra_times(const struct ext2_fs *fs, const struct ext2_inode *raw)
{
	return fs->inode_size >= sizeof(*raw) && raw->extra_size >= EXT2_EXTRA_TIME &&
	       raw->extra_size <= fs->inode_size - EXT2_INODE_REV0;
}

/* ---- In the table ---------------------------------------------------------------------------- */

static int
find_raw(struct ext2_fs *fs, uint32_t number, struct ext2_buffer **buffer, struct ext2_inode **raw)
{
	uint32_t group = (number - 1) / fs->super.inodes_per_group;
	uint32_t byte = (number - 1) % fs->super.inodes_per_group * fs->inode_size;
	int error = ext2_get(fs, fs->groups[group].inode_table + byte / fs->block_size, EXT2_INODES,
			     buffer);

	if (!error)
		*raw = (struct ext2_inode *)((*buffer)->bytes + byte % fs->block_size);
	return error;
}

int
ext2_inode_buffer(struct ext2_node *node, struct ext2_buffer **buffer)
{
	struct ext2_inode *raw;

	return find_raw(node->fs, node_number(node), buffer, &raw);
}

static void
read_times(const struct ext2_fs *fs, struct inode *inode, const struct ext2_inode *raw)
{
	bool extra = has_extra_times(fs, raw);

	inode->accessed = decode_time(raw->accessed, extra ? raw->accessed_extra : 0);
	inode->modified = decode_time(raw->modified, extra ? raw->modified_extra : 0);
	inode->changed = decode_time(raw->changed, extra ? raw->changed_extra : 0);
}

static void
write_times(const struct ext2_fs *fs, struct inode *inode, struct ext2_inode *raw)
{
	uint32_t extra[3];

	raw->accessed = encode_time(__atomic_load_n(&inode->accessed, __ATOMIC_RELAXED), &extra[0]);
	raw->modified = encode_time(__atomic_load_n(&inode->modified, __ATOMIC_RELAXED), &extra[1]);
	raw->changed = encode_time(__atomic_load_n(&inode->changed, __ATOMIC_RELAXED), &extra[2]);
	if (!has_extra_times(fs, raw))
		return;
	raw->accessed_extra = extra[0];
	raw->modified_extra = extra[1];
	raw->changed_extra = extra[2];
}

static uint64_t
size_of(const struct ext2_node *node)
{
	struct inode *inode = node->inode;

	if (S_ISREG(inode->mode) || S_ISLNK(inode->mode) || S_ISDIR(inode->mode))
		return inode_size(inode);
	return 0;
}

/* Files of 2 GiB and more are said to be there, for those who cannot read them. */
static void
note_large(struct ext2_fs *fs, uint64_t size)
{
	if (size <= INT32_MAX || fs->super.ro_compat & EXT2_RO_LARGE)
		return;
	fs->super.ro_compat |= EXT2_RO_LARGE;
	fs->super_dirty = true;
}

int
ext2_store_inode(struct ext2_node *node, struct ext2_buffer **buffer)
{
	struct inode *inode = node->inode;
	struct ext2_fs *fs = node->fs;
	uint64_t size = size_of(node);
	struct ext2_inode *raw;
	int error = find_raw(fs, node_number(node), buffer, &raw);

	if (error)
		return error;
	if (node->fresh) {
		memset(raw, 0, fs->inode_size);
		if (fs->inode_size >= sizeof(*raw))
			raw->extra_size = EXT2_EXTRA_SIZE;
		node->fresh = false;
	}
	raw->mode = (uint16_t)__atomic_load_n(&inode->mode, __ATOMIC_RELAXED);
	raw->uid = (uint16_t)inode->uid;
	raw->uid_high = (uint16_t)(inode->uid >> 16);
	raw->gid = (uint16_t)inode->gid;
	raw->gid_high = (uint16_t)(inode->gid >> 16);
	raw->links = (uint16_t)__atomic_load_n(&inode->links, __ATOMIC_RELAXED);
	raw->size = (uint32_t)size;
	if (S_ISREG(inode->mode))
		raw->size_high = (uint32_t)(size >> 32);
	note_large(fs, size);
	raw->deleted = 0;
	raw->sectors = node->sectors;
	raw->flags = node->flags;
	memcpy(raw->block, node->block, sizeof(raw->block));
	write_times(fs, inode, raw);
	ext2_dirty(fs, *buffer);
	return 0;
}

int
ext2_store_end(struct ext2_node *node, struct ext2_buffer **buffer)
{
	struct ext2_fs *fs = node->fs;
	struct ext2_inode *raw;
	int error = find_raw(fs, node_number(node), buffer, &raw);

	if (error)
		return error;
	raw->links = 0;
	raw->size = raw->size_high = 0;
	raw->sectors = 0;
	raw->attributes = 0;
	raw->deleted = (uint32_t)(fs_now() / (int64_t)NSEC_PER_SEC);
	memset(raw->block, 0, sizeof(raw->block));
	ext2_dirty(fs, *buffer);
	return 0;
}

/* ---- In memory ------------------------------------------------------------------------------- */

/* The mode's kind is known. *made: an inode with one reference, in the tree. */
static int
create(struct ext2_fs *fs, uint32_t number, uint32_t mode, struct ext2_node **made)
{
	struct ext2_node *node = kmem_cache_alloc(&node_cache, GFP_ZERO);
	struct inode *inode = node ? inode_create(ops_for(mode), mode) : NULL;

	if (!inode)
		goto no_inode;
	inode->mount = fs->mount;
	inode->number = number;
	inode->links = S_ISDIR(mode) ? 2 : 0;
	if (S_ISREG(mode)) {
		inode->file = file_pages_create(inode, &ext2_store);
		if (!inode->file)
			goto no_file;
	}
	inode->node = node;
	node->fs = fs;
	node->inode = inode;
	node->is_directory = S_ISDIR(mode);
	node->by_number.key = number;
	tree_insert(&fs->nodes, &node->by_number);
	node->in_tree = true;
	*made = node;
	return 0;
no_file:
	inode->ops = &unmade_ops; /* there is nothing to release */
	inode_put(inode);
no_inode:
	if (node)
		kmem_cache_free(&node_cache, node);
	return -ENOMEM;
}

/* The target stands in the inode, or in a block of its own. */
static int
read_target(struct ext2_node *node, uint64_t size)
{
	const void *from = node->block;
	struct ext2_buffer *buffer;
	uint32_t block = 0;
	bool fresh;
	int error = 0;

	if (size == 0 || size >= MIN(node->fs->block_size, (uint32_t)PATH_MAX))
		return ext2_damaged(node->fs, "length of a link, inode", node_number(node));
	if (size >= EXT2_SHORT_TARGET) {
		error = ext2_map(node, 0, false, &block, &fresh);
		if (!error)
			error = block ? ext2_get(node->fs, block, EXT2_TEXT, &buffer) : -EIO;
		if (error)
			return error;
		from = buffer->bytes;
	}
	if (strnlen(from, size) != size)
		return ext2_damaged(node->fs, "text of a link, inode", node_number(node));
	node->inode->target = kmalloc(size + 1, GFP_KERNEL);
	if (!node->inode->target)
		return -ENOMEM;
	memcpy(node->inode->target, from, size);
	node->inode->target[size] = '\0';
	return 0;
}

/* Sizes, and what depends on the kind. */
static int
read_rest(struct ext2_node *node, const struct ext2_inode *raw)
{
	struct inode *inode = node->inode;
	struct ext2_fs *fs = node->fs;
	uint64_t size = raw->size;

	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		size |= (uint64_t)raw->size_high << 32;
		if (size > fs->max_size)
			return ext2_damaged(fs, "size of a file, inode", node_number(node));
		page_cache_extend(file_pages_cache(inode->file), size);
		return 0;
	case S_IFDIR:
		if (size % fs->block_size || size == 0 ||
		    size / fs->block_size > fs->super.blocks_count)
			return ext2_damaged(fs, "size of a directory, inode", node_number(node));
		inode->size = size;
		return 0;
	case S_IFLNK:
		return read_target(node, size);
	default:
		if (is_device(inode->mode))
			inode->device = decode_device(node);
		return 0;
	}
}

static int
read_inode(struct ext2_fs *fs, uint32_t number, struct inode **inode)
{
	struct ext2_buffer *buffer;
	struct ext2_inode *raw;
	struct ext2_node *node;
	int error = find_raw(fs, number, &buffer, &raw);

	if (error)
		return error;
	if (raw->links == 0 || !ops_for(raw->mode))
		return ext2_damaged(fs, "a name leads to inode", number);
	error = create(fs, number, raw->mode, &node);
	if (error)
		return error;
	node->named = true;
	node->flags = raw->flags;
	node->sectors = raw->sectors;
	node->attributes = raw->attributes;
	memcpy(node->block, raw->block, sizeof(node->block));
	node->inode->blocks = raw->sectors;
	node->inode->uid = raw->uid | (uint32_t)raw->uid_high << 16;
	node->inode->gid = raw->gid | (uint32_t)raw->gid_high << 16;
	node->inode->links = raw->links;
	read_times(fs, node->inode, raw);
	*inode = node->inode;
	error = read_rest(node, raw);
	if (!error)
		return 0;
	/* It goes without touching the disk. */
	tree_erase(&fs->nodes, &node->by_number);
	node->in_tree = false;
	(*inode)->links = 1;
	return error;
}

/* A reference, unless the last has gone. */
static bool
get_if_alive(struct inode *inode)
{
	unsigned refs = __atomic_load_n(&inode->refs, __ATOMIC_RELAXED);

	while (refs > 0 && !__atomic_compare_exchange_n(&inode->refs, &refs, refs + 1, false,
							__ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
	return refs > 0;
}

/*
 * An inode of which the last reference has gone, but which still waits for our lock to leave the
 * tree, has nothing that is not on the disk or in a buffer: it is taken out, and read again.
 */
int
ext2_get_inode(struct ext2_fs *fs, uint32_t number, struct inode **inode)
{
	struct tree_node *found = tree_find(&fs->nodes, number);
	struct inode *failed = NULL;
	int error;

	assert_ext2_locked(fs);
	if (number == 0 || number > fs->super.inodes_count ||
	    (number < fs->first_inode && number != EXT2_ROOT))
		return ext2_damaged(fs, "number of an inode", number);
	if (found) {
		struct ext2_node *node = container_of(found, struct ext2_node, by_number);

		if (get_if_alive(node->inode)) {
			*inode = node->inode;
			return 0;
		}
		if (node->is_dead)
			return ext2_damaged(fs, "a name leads to inode", number);
		tree_erase(&fs->nodes, found);
		node->in_tree = false;
	}
	*inode = NULL;
	error = read_inode(fs, number, inode);
	if (error && *inode) {
		failed = *inode;
		ext2_unlock(fs);
		inode_put(failed);
		ext2_lock(fs);
	}
	return error;
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

/* A link's text: in the inode if it is short. */
static int
write_target(struct ext2_node *node, const char *target, size_t size)
{
	void *to = node->block;
	struct ext2_buffer *buffer;
	uint32_t block;
	bool fresh;
	int error;

	if (size >= MIN(node->fs->block_size, (uint32_t)PATH_MAX))
		return -ENAMETOOLONG;
	if (size >= EXT2_SHORT_TARGET) {
		error = ext2_map(node, 0, true, &block, &fresh);
		if (!error)
			error = ext2_get_new(node->fs, block, EXT2_TEXT, &buffer);
		if (error)
			return error;
		to = buffer->bytes;
	}
	memcpy(to, target, size);
	node->inode->target = kmalloc(size + 1, GFP_KERNEL);
	if (!node->inode->target)
		return -ENOMEM;
	memcpy(node->inode->target, target, size);
	node->inode->target[size] = '\0';
	return 0;
}

static int
fill_new(struct ext2_node *node, uint32_t parent, const struct new_inode *new)
{
	if (S_ISDIR(new->mode))
		return ext2_make_directory(node, parent);
	if (S_ISLNK(new->mode))
		return write_target(node, new->target, new->size);
	if (is_device(new->mode)) {
		node->inode->device = new->device;
		encode_device(node, new->device);
	}
	return 0;
}

static int
make_locked(struct ext2_fs *fs, uint32_t parent, const struct new_inode *new, struct inode **made)
{
	struct ext2_node *node;
	uint32_t number;
	int error = ext2_allocate_inode(fs, parent, S_ISDIR(new->mode), &number);

	*made = NULL;
	if (error)
		return error;
	error = create(fs, number, new->mode, &node);
	if (error) {
		ext2_free_inode(fs, number, S_ISDIR(new->mode));
		return error;
	}
	node->fresh = true;
	*made = node->inode;
	return fill_new(node, parent, new);
}

int
ext2_make_inode(struct inode *directory, const struct new_inode *new, struct inode **made)
{
	struct ext2_fs *fs = ext2_of(directory);
	int error;

	if (!ops_for(new->mode))
		return -EINVAL;
	ext2_lock(fs);
	error = make_locked(fs, (uint32_t)directory->number, new, made);
	ext2_unlock(fs);
	if (error && *made)
		inode_put(*made);
	return error;
}

void
ext2_inode_dirty(struct inode *inode)
{
	struct ext2_node *node = node_of(inode);
	struct ext2_fs *fs;
	irqflags_t irq;

	if (!node || node->fs->read_only || !__atomic_load_n(&node->named, __ATOMIC_ACQUIRE))
		return;
	fs = node->fs;
	irq = spin_lock_irqsave(&fs->dirty_lock);
	if (!node->is_dirty && !node->is_dead) {
		node->is_dirty = true;
		list_add_tail(&node->dirty, &fs->dirty_nodes);
		inode_get(inode);
	}
	spin_unlock_irqrestore(&fs->dirty_lock, irq);
}

bool
ext2_inode_undirty(struct ext2_node *node)
{
	irqflags_t irq = spin_lock_irqsave(&node->fs->dirty_lock);
	bool was = node->is_dirty;

	if (was)
		list_del(&node->dirty);
	node->is_dirty = false;
	spin_unlock_irqrestore(&node->fs->dirty_lock, irq);
	return was;
}

void
ext2_die(struct ext2_node *node)
{
	irqflags_t irq = spin_lock_irqsave(&node->fs->dirty_lock);

	assert_ext2_locked(node->fs);
	if (!node->is_dead)
		list_add_tail(&node->dead, &node->fs->dead);
	node->is_dead = true;
	spin_unlock_irqrestore(&node->fs->dirty_lock, irq);
}

/* Extended attributes may be shared by several inodes. */
static void
free_attributes(struct ext2_node *node)
{
	struct ext2_attributes *header;
	struct ext2_buffer *buffer;

	if (!node->attributes || ext2_get(node->fs, node->attributes, EXT2_TEXT, &buffer) != 0)
		return;
	header = (struct ext2_attributes *)buffer->bytes;
	if (header->magic != EXT2_ATTRIBUTES_MAGIC)
		return;
	if (header->references > 1) {
		header->references--;
		ext2_dirty(node->fs, buffer);
	} else {
		(void)ext2_free(node->fs, node->attributes);
	}
}

static bool
has_blocks(const struct ext2_node *node)
{
	uint32_t mode = node->inode->mode;

	if (S_ISLNK(mode))
		return strlen(node->inode->target ? node->inode->target : "") >= EXT2_SHORT_TARGET;
	return S_ISREG(mode) || S_ISDIR(mode);
}

void
ext2_free_node(struct ext2_node *node)
{
	kmem_cache_free(&node_cache, node);
}

/* It has no name, or never got one, and no user: what it took is free again. */
static void
end_locked(struct ext2_node *node)
{
	if (has_blocks(node))
		ext2_cut(node, 0);
	free_attributes(node);
	ext2_die(node);
	node->inode = NULL; /* the node stays until its end has been written */
}

void
ext2_release(struct inode *inode)
{
	struct ext2_node *node = node_of(inode);
	struct ext2_fs *fs = ext2_of(inode);
	bool ends;

	ext2_lock(fs);
	if (node->in_tree)
		tree_erase(&fs->nodes, &node->by_number);
	ends = (node->is_dead || !node->named) && !fs->read_only;
	if (S_ISREG(inode->mode))
		file_pages_destroy(inode->file);
	if (S_ISFIFO(inode->mode) && inode->pipe)
		pipe_destroy(inode->pipe);
	if (ends)
		end_locked(node);
	ext2_unlock(fs);
	if (S_ISLNK(inode->mode))
		kfree(inode->target);
	if (!ends)
		ext2_free_node(node);
}
