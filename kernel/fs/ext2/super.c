/* SPDX-License-Identifier: MIT */
/*
 * ext2 (Card, Ts'o and Tweedie 1994): mounting and unmounting.
 *
 *	    1 KiB   blocks of the first group
 *	| boot | superblock | descriptors | bitmap | bitmap | inodes .... | data .............. |
 *	                         |  of all    blocks  inodes
 *	                         |  groups
 *	| 2nd group:  superblock, descriptors (copies)  bitmap  bitmap  inodes  data ........... |
 *	| 3rd group:                                    bitmap  bitmap  inodes  data ........... |
 *
 * Which features a file system uses it says in three sets. Those of the first nobody needs to know;
 * who does not know one of the third may only read; who does not know one of the second must leave
 * it alone, and we name it.
 *
 * All numbers that others rely on are checked here, once: how large blocks and groups are, that
 * bitmaps and tables lie on the disk. So a block number of a group's own blocks needs no check.
 *
 * While it is mounted for writing, a file system is marked as not clean.
 */
#include <errno.h>
#include <page_cache.h>
#include <slab.h>

#include "ext2.h"

#define GROUPS_MAX 65536

/* ---- Damage ---------------------------------------------------------------------------------- */

int
ext2_damaged(struct ext2_fs *fs, const char *what, uint32_t number)
{
	if (!fs->damaged)
		kprintf("ext2: %s is damaged: %s %u; run e2fsck\n", fs->device->name, what, number);
	fs->damaged = true;
	fs->super.state |= EXT2_STATE_ERRORS;
	fs->super_dirty = true;
	return -EIO;
}

/* ---- Features -------------------------------------------------------------------------------- */

static const char *const incompatible[32] = {
	"compression",
	"filetype",
	"needs_recovery",
	"journal_dev",
	"meta_bg",
	NULL,
	"extent",
	"64bit",
	"mmp",
	"flex_bg",
	"ea_inode",
	NULL,
	"dirdata",
	"metadata_csum_seed",
	"large_dir",
	"inline_data",
	"encrypt",
	"casefold",
};
static const char *const only_readable[32] = {
	"sparse_super", "large_file",	"btree_dir",	 "huge_file", "uninit_bg",	"dir_nlink",
	"extra_isize",	"has_snapshot", "quota",	 "bigalloc",  "metadata_csum",	"replica",
	"read-only",	"project",	"shared_blocks", "verity",    "orphan_present",
};

static void
name_feature(const struct ext2_fs *fs, uint32_t set, const char *const *names, const char *result)
{
	unsigned bit = (unsigned)__builtin_ctz(set);

	if (names[bit])
		kprintf("ext2: %s: feature %s is not supported: %s\n", fs->device->name, names[bit],
			result);
	else
		kprintf("ext2: %s: feature %u is not supported: %s\n", fs->device->name, bit,
			result);
}

static int
check_features(struct ext2_fs *fs)
{
	const uint32_t known = EXT2_RO_SPARSE | EXT2_RO_LARGE | EXT2_RO_BTREE;
	struct ext2_super *super = &fs->super;

	if (super->revision == 0) {
		super->compat = super->incompat = super->ro_compat = 0;
		return 0;
	}
	if (super->incompat & ~(uint32_t)EXT2_INCOMPAT_TYPES) {
		name_feature(fs, super->incompat & ~(uint32_t)EXT2_INCOMPAT_TYPES, incompatible,
			     "not mounted");
		return -EINVAL;
	}
	if (super->ro_compat & ~known && !fs->read_only) {
		name_feature(fs, super->ro_compat & ~known, only_readable, "mounted read-only");
		fs->read_only = true;
	}
	if (super->last_orphan && !fs->read_only) {
		kprintf("ext2: %s: has orphans, run e2fsck: mounted read-only\n", fs->device->name);
		fs->read_only = true;
	}
	return 0;
}

/* ---- Geometry -------------------------------------------------------------------------------- */

static int
refuse(const struct ext2_fs *fs, const char *why)
{
	kprintf("ext2: %s: %s: not mounted\n", fs->device->name, why);
	return -EINVAL;
}

static int
check_sizes(struct ext2_fs *fs)
{
	const struct ext2_super *super = &fs->super;
	uint64_t sectors;

	if (super->log_block_size > 2)
		return refuse(fs, "blocks of more than 4 KiB");
	fs->block_size = 1024u << super->log_block_size;
	if (fs->block_size % fs->device->block_size)
		return refuse(fs, "blocks smaller than those of the disk");
	fs->blocks_per_page = PAGE_SIZE / fs->block_size;
	fs->map_slots = fs->block_size / sizeof(uint32_t);
	fs->inode_size = super->revision ? super->inode_size : EXT2_INODE_REV0;
	fs->first_inode = super->revision ? super->first_inode : EXT2_FIRST_REV0;
	fs->has_types = super->incompat & EXT2_INCOMPAT_TYPES;
	if (fs->inode_size < EXT2_INODE_REV0 || fs->inode_size > fs->block_size ||
	    (fs->inode_size & (fs->inode_size - 1)))
		return refuse(fs, "size of inodes makes no sense");
	if (super->first_data_block != (fs->block_size == 1024 ? 1 : 0) ||
	    super->blocks_count <= super->first_data_block + 1)
		return refuse(fs, "number of blocks makes no sense");
	sectors = (uint64_t)super->blocks_count * (fs->block_size / SECTOR_SIZE);
	if (sectors > fs->device->nr_sectors)
		return refuse(fs, "the disk is too small for it");
	return 0;
}

static int
check_groups(struct ext2_fs *fs)
{
	const struct ext2_super *super = &fs->super;
	uint32_t blocks = super->blocks_count - super->first_data_block, most = fs->block_size * 8;
	uint32_t per_block = fs->block_size / fs->inode_size;

	if (super->blocks_per_group < 8 || super->blocks_per_group > most ||
	    super->inodes_per_group == 0 || super->inodes_per_group > most)
		return refuse(fs, "size of groups makes no sense");
	fs->nr_groups = (blocks - 1) / super->blocks_per_group + 1;
	fs->table_blocks = (super->inodes_per_group - 1) / per_block + 1;
	if (fs->nr_groups > GROUPS_MAX)
		return refuse(fs, "too many groups");
	fs->descriptor_blocks =
	    (uint32_t)((fs->nr_groups * sizeof(*fs->groups) - 1) / fs->block_size + 1);
	if ((uint64_t)fs->nr_groups * super->inodes_per_group != super->inodes_count)
		return refuse(fs, "number of inodes makes no sense");
	if (fs->first_inode <= EXT2_ROOT || fs->first_inode > super->inodes_count)
		return refuse(fs, "first inode makes no sense");
	return 0;
}

/* Is a run of blocks in the group, behind the superblock and the descriptors? */
static bool
lies_in(const struct ext2_fs *fs, uint32_t group, uint32_t block, uint32_t nr)
{
	uint32_t start = ext2_group_start(fs, group);
	uint32_t end = MIN(start + fs->super.blocks_per_group, fs->super.blocks_count);

	start += ext2_has_super(fs, group) ? 1 + fs->descriptor_blocks : 0;
	return block >= start && block < end && nr <= end - block;
}

/* Where the descriptor says the group's own blocks are; they must not be each other's. */
static bool
group_makes_sense(const struct ext2_fs *fs, uint32_t number)
{
	const struct ext2_group *group = &fs->groups[number];
	uint32_t table = group->inode_table;

	return lies_in(fs, number, group->block_bitmap, 1) &&
	       lies_in(fs, number, group->inode_bitmap, 1) &&
	       lies_in(fs, number, table, fs->table_blocks) &&
	       group->block_bitmap != group->inode_bitmap &&
	       (group->block_bitmap < table || group->block_bitmap - table >= fs->table_blocks) &&
	       (group->inode_bitmap < table || group->inode_bitmap - table >= fs->table_blocks) &&
	       group->free_blocks <= fs->super.blocks_per_group &&
	       group->free_inodes <= fs->super.inodes_per_group;
}

static int
read_groups(struct ext2_fs *fs)
{
	size_t bytes = fs->nr_groups * sizeof(*fs->groups);
	size_t sectors = (bytes + SECTOR_SIZE - 1) / SECTOR_SIZE;
	uint64_t first =
	    (uint64_t)(fs->super.first_data_block + 1) * (fs->block_size / SECTOR_SIZE);
	int error;

	if (first + sectors > fs->device->nr_sectors)
		return refuse(fs, "no room for its groups");
	fs->groups = kmalloc_zeroed(sectors * SECTOR_SIZE, GFP_KERNEL);
	fs->freed = kmalloc_zeroed(fs->nr_groups * sizeof(*fs->freed), GFP_KERNEL);
	if (!fs->groups || !fs->freed)
		return -ENOMEM;
	error = block_read(fs->device, first, fs->groups, sectors);
	for (uint32_t i = 0; i < fs->nr_groups && !error; i++) {
		if (!group_makes_sense(fs, i))
			error = refuse(fs, "a group makes no sense");
	}
	return error;
}

static int
read_super(struct ext2_fs *fs)
{
	int error;

	if (fs->device->nr_sectors < (EXT2_SUPER_AT + EXT2_SUPER_SIZE) / SECTOR_SIZE)
		return -EINVAL;
	error = block_read(fs->device, EXT2_SUPER_AT / SECTOR_SIZE, &fs->super,
			   EXT2_SUPER_SIZE / SECTOR_SIZE);
	if (error)
		return error;
	if (fs->super.magic != EXT2_MAGIC)
		return -EINVAL; /* it is something else: no news */
	if (fs->super.revision > 1)
		return refuse(fs, "unknown revision");
	error = check_features(fs);
	if (!error)
		error = check_sizes(fs);
	if (!error)
		error = check_groups(fs);
	return error ? error : read_groups(fs);
}

/* Of a file: what maps can lead to, and 32 bits of sectors, some of which are maps, can count. */
static void
set_max_size(struct ext2_fs *fs)
{
	uint64_t countable = ((1ull << 32) - (1ull << 24)) * SECTOR_SIZE;

	fs->max_size = MIN(ext2_max_blocks(fs) * fs->block_size, countable);
	if (fs->super.revision == 0) /* which cannot say that there are large files */
		fs->max_size = INT32_MAX;
}

/* ---- Mounting -------------------------------------------------------------------------------- */

static struct ext2_fs *
create(struct mount *mount)
{
	struct ext2_fs *fs = kmalloc_zeroed(sizeof(*fs), GFP_KERNEL);

	if (!fs)
		return NULL;
	fs->mount = mount;
	fs->device = mount->device;
	fs->read_only = mount->read_only;
	mutex_init(&fs->lock);
	mutex_init(&fs->syncing);
	spin_init(&fs->dirty_lock, "ext2 inodes", RANK_DIRTY);
	tree_init(&fs->buffers, NULL);
	tree_init(&fs->nodes, NULL);
	list_init(&fs->used);
	list_init(&fs->gone);
	list_init(&fs->dead);
	list_init(&fs->dirty_nodes);
	for (unsigned kind = 0; kind < EXT2_KINDS; kind++)
		list_init(&fs->dirty_buffers[kind]);
	return fs;
}

static void
destroy(struct ext2_fs *fs)
{
	ext2_free_buffers(fs);
	for (uint32_t i = 0; fs->freed && i < fs->nr_groups; i++)
		kfree(fs->freed[i]);
	kfree(fs->freed);
	kfree(fs->groups);
	kfree(fs);
}

static int
get_root(struct ext2_fs *fs)
{
	struct ext2_place place;
	struct inode *root;
	int error;

	ext2_lock(fs);
	error = ext2_get_inode(fs, EXT2_ROOT, &root);
	if (!error && S_ISDIR(root->mode) &&
	    ext2_find(node_of(root), "lost+found", 10, &place) == 0)
		fs->lost_found = place.entry->inode;
	ext2_unlock(fs);
	if (error)
		return error;
	if (!S_ISDIR(root->mode)) {
		inode_put(root);
		return refuse(fs, "its root is no directory");
	}
	fs->mount->root_inode = root;
	return 0;
}

/* From now on a crash leaves it marked. */
static int
mark_mounted(struct ext2_fs *fs)
{
	int error;

	if (!(fs->super.state & EXT2_STATE_CLEAN))
		kprintf("ext2: %s was not unmounted; e2fsck would be good\n", fs->device->name);
	if (fs->read_only)
		return 0;
	fs->super.state &= (uint16_t)~EXT2_STATE_CLEAN;
	fs->super.mount_count++;
	fs->super.mount_time = (uint32_t)(fs_now() / (int64_t)NSEC_PER_SEC);
	error = ext2_write_super(fs);
	return error ? error : block_flush(fs->device);
}

static const struct mount_ops ext2_mount_ops;

static int
ext2_mount(struct mount *mount, char *options)
{
	struct ext2_fs *fs = create(mount);
	int error = fs ? read_super(fs) : -ENOMEM;

	(void)options; /* all that we would do with them is done */
	if (error)
		goto no_super;
	set_max_size(fs);
	mount->private = fs;
	mount->ops = &ext2_mount_ops;
	mount->read_only = fs->read_only;
	error = get_root(fs);
	if (error)
		goto no_super;
	error = mark_mounted(fs);
	if (!error)
		return 0;
	inode_put(mount->root_inode);
no_super:
	if (fs)
		destroy(fs);
	return error;
}

/* What is dirty keeps inodes in use, and so does a program: who is left after this is in use. */
static int
ext2_unmount(struct mount *mount)
{
	struct ext2_fs *fs = mount->private;
	int error = ext2_sync(fs);
	bool busy;

	if (error)
		kprintf("ext2: %s cannot be written: error %d\n", fs->device->name, -error);
	error = error ? error : ext2_sync(fs); /* inodes that ended only now */
	ext2_lock(fs);
	busy = fs->nodes.nr > 1;
	ext2_unlock(fs);
	if (busy)
		return -EBUSY;
	if (fs->read_only || error)
		return error;
	if (!(fs->super.state & EXT2_STATE_ERRORS))
		fs->super.state |= EXT2_STATE_CLEAN;
	error = ext2_write_super(fs);
	return error ? error : block_flush(fs->device);
}

static void
ext2_free_mount(struct mount *mount)
{
	destroy(mount->private);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static int
sync_mount(struct mount *mount)
{
	return ext2_sync(mount->private);
}

static int
sync_inode(struct inode *inode)
{
	return ext2_sync(ext2_of(inode));
}

static void
ext2_statfs(struct mount *mount, struct abi_statfs *statfs)
{
	struct ext2_fs *fs = mount->private;
	uint32_t reserved;

	ext2_lock(fs);
	reserved = MIN(fs->super.reserved_blocks, fs->super.free_blocks);
	statfs->type = EXT2_MAGIC;
	statfs->bsize = statfs->frsize = fs->block_size;
	statfs->blocks = fs->super.blocks_count - fs->super.first_data_block -
			 fs->nr_groups * (fs->table_blocks + 2);
	statfs->bfree = fs->super.free_blocks + fs->nr_freed;
	statfs->bavail = statfs->bfree - reserved;
	statfs->files = fs->super.inodes_count;
	statfs->ffree = fs->super.free_inodes;
	ext2_unlock(fs);
}

static const struct mount_ops ext2_mount_ops = {
	.dirty = ext2_inode_dirty,
	.sync = sync_mount,
	.sync_inode = sync_inode,
	.statfs = ext2_statfs,
	.unmount = ext2_unmount,
	.free = ext2_free_mount,
};

const struct fs_type ext2_type = { .name = "ext2", .mount = ext2_mount };
