/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing ext2: a small disk with all kinds of files on it is damaged in places, mounted, walked
 * through, read, written, cut, renamed in and emptied. Whatever the bytes are, every call returns,
 * nothing is touched that is not the file system's, and all memory comes back.
 *
 *	input: how many places to damage; for each where and what; the rest are operations
 */
#include <block.h>
#include <page_allocator.h>
#include <page_cache.h>
#include <process.h>
#include <slab.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../kernel/fs/ext2/ext2.h"
#include "../../../kernel/fs/flock.h"
#include "../host.h"
#include "../machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLOCK	     1024u
#define GROUP	     256u /* blocks */
#define NR_GROUPS    2u
#define BLOCKS	     (1 + GROUP * NR_GROUPS)
#define INODES	     32u /* of a group */
#define INODE_SIZE   128u
#define TABLE_BLOCKS (INODES * INODE_SIZE / BLOCK)
#define SECTORS	     (BLOCKS * BLOCK / SECTOR_SIZE)

static uint8_t template[BLOCKS * BLOCK];

#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("line %d: %s\n", __LINE__, #condition);                             \
			fflush(stdout);                                                            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---- What the rest of the kernel would be ---------------------------------------------------- */

const struct file_ops directory_ops, fifo_ops, device_ops, path_ops;

uint64_t
wall_clock_ns(void)
{
	return 1600000000000000000ull;
}

uint64_t
process_limit(unsigned which)
{
	(void)which;
	return UINT64_MAX;
}

/* The superuser, who may all. */
void
process_file_user(struct file_user *who, bool real)
{
	(void)real;
	*who = (struct file_user){ 0 };
}

bool
process_in_group(const struct file_user *who, uint32_t gid)
{
	return who->gid == gid;
}

void
signal_current(int number, int code, uintptr_t address)
{
	(void)number;
	(void)code;
	(void)address;
}

void
flock_destroy(struct inode *inode)
{
	(void)inode;
}

void
pipe_destroy(struct pipe *pipe)
{
	(void)pipe;
}

int
mount_write_back(uint64_t rounds)
{
	return page_caches_write_back(rounds);
}

bool
inode_is_proc(const struct inode *inode)
{
	(void)inode;
	return false;
}

struct inode *
ramfs_create(uint32_t mode, uint64_t device)
{
	(void)mode;
	(void)device;
	return NULL;
}

struct inode *
ramfs_create_link(const char *target, size_t size)
{
	(void)target;
	(void)size;
	return NULL;
}

int
tmpfs_add_inode(struct mount *of, struct inode *inode)
{
	(void)of;
	(void)inode;
	return 0;
}

int
tmpfs_add_name(struct inode *inode)
{
	(void)inode;
	return 0;
}

void
tmpfs_forget_name(struct inode *inode)
{
	(void)inode;
}

int64_t
transfer_out_part(struct transfer *to, const void *from, size_t size)
{
	memcpy((void *)to->at, from, size);
	to->at += size;
	to->left -= size;
	return (int64_t)size;
}

int64_t
transfer_in_part(struct transfer *from, void *to, size_t size)
{
	memcpy(to, (const void *)from->at, size);
	from->at += size;
	from->left -= size;
	return (int64_t)size;
}

/* directory_inode_ops and the like, which only files in memory have. */
const struct inode_ops directory_inode_ops, regular_inode_ops;

/* ---- A disk ---------------------------------------------------------------------------------- */

static void
set_bits(uint8_t *bits, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		bits[from / 8] |= (uint8_t)(1u << from % 8);
}

static uint32_t
put_group(uint8_t *disk, struct ext2_group *group, uint32_t number)
{
	uint32_t start = 1 + number * GROUP, first = start + 2, used = 2 + 2 + TABLE_BLOCKS;

	group->block_bitmap = first;
	group->inode_bitmap = first + 1;
	group->inode_table = first + 2;
	if (number == 0)
		used++; /* the root's block */
	group->free_blocks = (uint16_t)(GROUP - used);
	group->free_inodes = (uint16_t)(number == 0 ? INODES - 10 : INODES);
	group->directories = number == 0;
	set_bits(disk + first * BLOCK, 0, used);
	set_bits(disk + (first + 1) * BLOCK, 0, number == 0 ? 10 : 0);
	set_bits(disk + (first + 1) * BLOCK, INODES, BLOCK * 8);
	return start + used - 1;
}

/* An empty file system, with a root directory. */
static void
format(uint8_t *disk)
{
	struct ext2_super *super = (struct ext2_super *)(disk + EXT2_SUPER_AT);
	struct ext2_group *groups = (struct ext2_group *)(disk + 2 * BLOCK);
	struct ext2_inode *root;
	struct ext2_entry *entry;
	uint32_t block;

	memset(disk, 0, BLOCKS * BLOCK);
	*super = (struct ext2_super){
		.inodes_count = INODES * NR_GROUPS,
		.blocks_count = BLOCKS,
		.first_data_block = 1,
		.blocks_per_group = GROUP,
		.inodes_per_group = INODES,
		.magic = EXT2_MAGIC,
		.state = EXT2_STATE_CLEAN,
		.revision = 1,
		.first_inode = 11,
		.inode_size = INODE_SIZE,
		.incompat = EXT2_INCOMPAT_TYPES,
	};
	block = put_group(disk, &groups[0], 0);
	(void)put_group(disk, &groups[1], 1);
	super->free_blocks = groups[0].free_blocks + groups[1].free_blocks;
	super->free_inodes = groups[0].free_inodes + groups[1].free_inodes;
	root = (struct ext2_inode *)(disk + groups[0].inode_table * BLOCK + INODE_SIZE);
	root->mode = S_IFDIR | 0755;
	root->links = 2;
	root->size = BLOCK;
	root->sectors = 2;
	root->block[0] = block;
	entry = (struct ext2_entry *)(disk + block * BLOCK);
	*entry = (struct ext2_entry){ EXT2_ROOT, 12, 1, 2 };
	entry->name[0] = '.';
	entry = (struct ext2_entry *)(disk + block * BLOCK + 12);
	*entry = (struct ext2_entry){ EXT2_ROOT, BLOCK - 12, 2, 2 };
	entry->name[0] = entry->name[1] = '.';
}

/* ---- Operations ------------------------------------------------------------------------------ */

struct input {
	const uint8_t *at;
	size_t left;
};

static uint32_t
take(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

static const char *const names[] = { "a",	   "b", "dir", "link", "a-long-name-of-a-file",
				     "lost+found", "e", "f" };
static struct mount mount;
static struct dentry *root;

/* A name in a directory, with a reference, or NULL. */
static struct dentry *
look(struct dentry *directory, const char *name)
{
	struct dentry *found;

	mutex_lock(&names_lock);
	if (dentry_lookup_locked(directory, name, strlen(name), &found) != 0)
		found = NULL;
	mutex_unlock(&names_lock);
	return found;
}

/* A directory: the root, or the one called "dir" in it if there is one. */
static struct dentry *
pick_directory(uint32_t how)
{
	struct dentry *found = how & 8 ? look(root, "dir") : NULL;

	if (found && S_ISDIR(found->inode->mode))
		return found;
	dentry_put(found);
	return dentry_get(root);
}

static void
make_one(struct dentry *directory, const char *name, uint32_t mode, const char *target)
{
	struct new_inode new = { .mode = mode,
				 .target = target,
				 .size = target ? strlen(target) : 0 };
	struct dentry *made = look(directory, name);
	struct inode *inode;

	mutex_lock(&names_lock);
	if (!made && name_may_create_locked(directory) == 0 &&
	    inode_make(directory, &new, &inode) == 0 &&
	    name_create_locked(directory, name, strlen(name), inode, &made) != 0)
		made = NULL;
	mutex_unlock(&names_lock);
	dentry_put(made);
}

static void
remove_one(struct dentry *directory, const char *name)
{
	struct dentry *found = look(directory, name);

	if (!found)
		return;
	mutex_lock(&names_lock);
	(void)name_remove_locked(found, S_ISDIR(found->inode->mode));
	mutex_unlock(&names_lock);
	dentry_put(found);
}

static void
rename_one(struct dentry *from, const char *name, struct dentry *to, const char *new_name)
{
	struct dentry *found = look(from, name), *target = look(to, new_name);

	mutex_lock(&names_lock);
	if (found)
		(void)name_rename_locked(found, to, new_name, strlen(new_name), target, 0);
	mutex_unlock(&names_lock);
	dentry_put(found);
	dentry_put(target);
}

static void
link_one(struct dentry *directory, const char *name, const char *new_name)
{
	struct dentry *found = look(directory, name), *made = look(directory, new_name);

	mutex_lock(&names_lock);
	if (found && !made && !S_ISDIR(found->inode->mode) && found->inode->links > 0 &&
	    name_create_locked(directory, new_name, strlen(new_name), inode_get(found->inode),
			       &made) != 0)
		made = NULL;
	mutex_unlock(&names_lock);
	dentry_put(found);
	dentry_put(made);
}

static bool
count_one(const struct listed *entry, void *arg)
{
	check(entry->size > 0 && entry->size <= 255);
	return --*(unsigned *)arg > 0;
}

/* Read, write or cut a file, or list a directory. */
static void
use_one(struct dentry *directory, const char *name, uint32_t how, uint64_t offset)
{
	struct dentry *found = look(directory, name);
	static uint8_t bytes[9000];
	unsigned most = 1000;
	uint32_t seen = 0;

	if (found && S_ISDIR(found->inode->mode)) {
		mutex_lock(&names_lock);
		dentry_list_locked(found, 0, count_one, &most);
		mutex_unlock(&names_lock);
	} else if (found && inode_has_pages(found->inode)) {
		struct transfer transfer = { (uintptr_t)bytes, sizeof(bytes), true };
		struct file file = { .inode = found->inode, .flags = O_RDWR };

		if (how == 0)
			(void)regular_ops.read(&file, &transfer, offset);
		else if (how == 1)
			(void)regular_ops.write(&file, &transfer, &offset);
		else if (how == 2)
			(void)file_pages_truncate(found->inode, offset);
		else
			(void)file_pages_sync(found->inode, &seen);
	}
	dentry_put(found);
}

static void
operate(struct input *input)
{
	uint32_t what = take(input), how = take(input), which = take(input);
	const char *name = names[which % 8], *other = names[which / 8 % 8];
	struct dentry *directory = pick_directory(how), *to = pick_directory(how >> 1);
	uint64_t offset = (uint64_t)take(input) << (how >> 4) * 2;

	switch (what % 10) {
	case 0:
		make_one(directory, name, S_IFREG | 0644, NULL);
		break;
	case 1:
		make_one(directory, name, S_IFDIR | 0755, NULL);
		break;
	case 2:
		make_one(directory, name, S_IFLNK | 0777,
			 how & 1 ? "short"
				 : "a target that is so long that it has a block of its own, "
				   "as it does not fit into the inode");
		break;
	case 3:
		remove_one(directory, name);
		break;
	case 4:
		rename_one(directory, name, to, other);
		break;
	case 5:
		link_one(directory, name, other);
		break;
	case 6:
		(void)page_caches_write_back(0);
		(void)mount.ops->sync(&mount);
		break;
	default:
		use_one(directory, name, what % 10 == 7 ? 0 : how & 3, offset);
	}
	dentry_put(directory);
	dentry_put(to);
}

/* ---- Running --------------------------------------------------------------------------------- */

static bool
mount_disk(struct block_device *device)
{
	mount = (struct mount){ .type = &ext2_type, .device = device };
	if (ext2_type.mount(&mount, NULL) != 0)
		return false;
	root = dentry_create("mnt", 3, inode_get(mount.root_inode));
	check(root != NULL);
	root->made_up = true;
	mount.root = root;
	return true;
}

static void
unmount_disk(void)
{
	(void)page_caches_write_back(0);
	mutex_lock(&names_lock);
	name_cache_shrink_locked(&mount);
	check(root->refs == 1);
	mutex_unlock(&names_lock);
	check(mount.ops->unmount(&mount) == 0);
	dentry_put(root);
	inode_put(mount.root_inode);
	mount.ops->free(&mount);
}

/* A disk with some of everything on it. */
static void
make_template(struct block_device *device)
{
	static const uint8_t script[] = {
		0, 0, 0, 0, 8, 0x01, 0,	   1, 8, 0x41, 0, 200, 8, 0x71, 0, 9, /* a, with maps */
		1, 0, 2, 0, 0, 8,    1,	   0, 8, 9,    1, 0,   2, 0,	3, 0, /* dir, b, link */
		2, 1, 4, 0, 5, 0,    0x30, 0, 1, 8,    2, 0,   1, 0,	5, 0, /* hard link */
	};
	struct input input = { script, sizeof(script) };

	format(block_ram_bytes(device));
	check(mount_disk(device));
	while (input.left > 0)
		operate(&input);
	unmount_disk();
	memcpy(template, block_ram_bytes(device), sizeof(template));
}

/* Where it hurts: the superblock, the groups, bitmaps, inodes, directories, maps, or anywhere. */
static uint32_t
place_of(struct input *input)
{
	static const uint32_t starts[] = { 1, 2, 3, 4, 5, 9, 5, 0 };
	static const uint32_t sizes[] = { 1, 1, 1, 1, TABLE_BLOCKS, 40, 2, BLOCKS };
	uint32_t which = take(input) % 8, at = take(input) | take(input) << 8 | take(input) << 16;

	return starts[which] * BLOCK + at % (sizes[which] * BLOCK);
}

static void
damage(uint8_t *disk, struct input *input)
{
	for (uint32_t nr = take(input) % 16; nr > 0; nr--) {
		uint32_t at = place_of(input), size = 1u << take(input) % 3;

		for (uint32_t i = 0; i < size && at + i < BLOCKS * BLOCK; i++)
			disk[at + i] = (uint8_t)take(input);
	}
}

static void
run(struct block_device *device, const uint8_t *data, size_t size)
{
	struct input input = { data, size };

	memcpy(block_ram_bytes(device), template, sizeof(template));
	damage(block_ram_bytes(device), &input);
	if (!mount_disk(device))
		return;
	for (unsigned i = 0; i < 8; i++)
		use_one(root, names[i], 0, 0);
	while (input.left > 0)
		operate(&input);
	unmount_disk();
}

static size_t
free_frames(void)
{
	(void)slab_reclaim(SIZE_MAX / 2);
	return page_allocator_nr_free();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t nothing[1];
	static bool made;
	struct block_device *device;
	size_t before;

	(void)host_start_machine(MiB(16));
	device = block_ram_create(SECTORS, false);
	check(device != NULL);
	if (!made)
		make_template(device);
	made = true;
	run(device, nothing, 0); /* what is kept from the first time on */
	before = free_frames();
	run(device, data, size);
	check(free_frames() == before);
	block_ram_destroy(device);
	return 0;
}
