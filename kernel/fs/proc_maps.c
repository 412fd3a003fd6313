/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/maps and smaps: the regions of an address space, in Linux's words.
 *
 * Linux shares out what several map: "Pss". Here a page that others map too counts half, whoever
 * they are and however many.
 */
#include <address_space.h>
#include <process.h>
#include <string.h>

#include "procfs.h"

#define PATH_COLUMN 73 /* where the path of a region begins */

struct showing {
	struct text *text;
	char *path; /* room for PATH_MAX bytes */
	struct region_info sum;
	size_t nr;
};

static size_t
kib(size_t pages)
{
	return pages * (PAGE_SIZE >> 10);
}

static void
name_region(const struct region_info *region, char *path)
{
	path[0] = '\0';
	if (region->heap)
		strlcpy(path, "[heap]", PATH_MAX);
	else if (region->stack)
		strlcpy(path, "[stack]", PATH_MAX);
	else if (region->object)
		object_path(region->object, path, PATH_MAX);
	else if (region->flags & MAP_SHARED)
		strlcpy(path, "/dev/zero (deleted)", PATH_MAX);
	if (region->object && !path[0] && !object_inode(region->object))
		strlcpy(path, "/dev/zero (deleted)", PATH_MAX);
}

static void
show_region(struct showing *s, const struct region_info *region)
{
	struct inode *inode = region->object ? object_inode(region->object) : NULL;
	size_t before = s->text->size;

	text_printf(s->text, "%08lx-%08lx %c%c%c%c %08lx 00:%02x %lu ",
		    (unsigned long)region->start, (unsigned long)region->end,
		    region->prot & PROT_READ ? 'r' : '-', region->prot & PROT_WRITE ? 'w' : '-',
		    region->prot & PROT_EXEC ? 'x' : '-', region->flags & MAP_SHARED ? 's' : 'p',
		    (unsigned long)region->offset, inode ? 1 : 0,
		    inode ? (unsigned long)inode->number : 0);
	name_region(region, s->path);
	if (s->path[0]) {
		int padding = PATH_COLUMN - (int)(s->text->size - before);

		text_printf(s->text, "%*s%s", MAX(padding, 0), "", s->path);
	}
	text_printf(s->text, "\n");
}

static bool
show_map(const struct region_info *region, void *arg)
{
	show_region(arg, region);
	return true;
}

static void
show_kib(struct text *text, const char *name, size_t pages)
{
	text_printf(text, "%s:%*s%8lu kB\n", name, (int)(15 - strlen(name)), "",
		    (unsigned long)kib(pages));
}

static void
show_amounts(struct text *text, const struct region_info *region)
{
	size_t shared = region->shared_clean + region->shared_dirty;

	show_kib(text, "Rss", region->resident);
	show_kib(text, "Pss", region->resident - shared + shared / 2);
	show_kib(text, "Shared_Clean", region->shared_clean);
	show_kib(text, "Shared_Dirty", region->shared_dirty);
	show_kib(text, "Private_Clean", region->private_clean);
	show_kib(text, "Private_Dirty", region->private_dirty);
	show_kib(text, "Referenced", region->resident);
	show_kib(text, "Anonymous", region->anonymous);
	show_kib(text, "LazyFree", 0);
	show_kib(text, "AnonHugePages", region->huge);
	show_kib(text, "Swap", 0);
	show_kib(text, "SwapPss", 0);
	show_kib(text, "Locked", region->locked);
}

static bool
show_smap(const struct region_info *region, void *arg)
{
	struct showing *s = arg;

	show_region(s, region);
	show_kib(s->text, "Size", (region->end - region->start) >> PAGE_SHIFT);
	show_kib(s->text, "KernelPageSize", 1);
	show_kib(s->text, "MMUPageSize", 1);
	show_amounts(s->text, region);
	text_printf(s->text, "THPeligible:           %d\nProtectionKey:  %8u\n", region->wants_huge,
		    region->key);
	text_printf(s->text, "VmFlags:%s%s%s%s mr mw me%s%s%s%s%s%s%s \n",
		    region->prot & PROT_READ ? " rd" : "", region->prot & PROT_WRITE ? " wr" : "",
		    region->prot & PROT_EXEC ? " ex" : "", region->flags & MAP_SHARED ? " sh" : "",
		    region->stack ? " gd" : "", region->flags & MAP_LOCKED ? " lo" : "",
		    region->no_fork ? " dc" : "", region->wipe_on_fork ? " wf" : "",
		    region->no_dump ? " dd" : "", region->huge_advice > 0 ? " hg" : "",
		    region->huge_advice < 0 ? " nh" : "");
	return true;
}

static bool
add_up(const struct region_info *region, void *arg)
{
	struct showing *s = arg;
	struct region_info *sum = &s->sum;

	if (s->nr++ == 0)
		sum->start = region->start;
	sum->end = region->end;
	sum->resident += region->resident;
	sum->anonymous += region->anonymous;
	sum->huge += region->huge;
	sum->private_dirty += region->private_dirty;
	sum->private_clean += region->private_clean;
	sum->shared_dirty += region->shared_dirty;
	sum->shared_clean += region->shared_clean;
	sum->locked += region->locked;
	return true;
}

/* Call fn for the regions of a process. What has ended has none, and its text is empty. */
static int
for_each_region(struct showing *s, int pid, bool (*fn)(const struct region_info *, void *))
{
	struct address_space *space = process_space(pid);

	if (!space)
		return 0;
	s->path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (s->path)
		space_each_region(space, fn, s);
	space_put(space);
	kfree(s->path);
	return s->path ? 0 : -ENOMEM;
}

int
show_maps(struct text *text, int pid)
{
	struct showing s = { .text = text };

	return for_each_region(&s, pid, show_map);
}

int
show_smaps(struct text *text, int pid)
{
	struct showing s = { .text = text };

	return for_each_region(&s, pid, show_smap);
}

int
show_smaps_rollup(struct text *text, int pid)
{
	struct showing s = { .text = text };
	int error = for_each_region(&s, pid, add_up);

	if (error || s.nr == 0)
		return error;
	text_printf(text, "%08lx-%08lx ---p 00000000 00:00 0 ", (unsigned long)s.sum.start,
		    (unsigned long)s.sum.end);
	text_printf(text, "%*s[rollup]\n", PATH_COLUMN - (int)text->size, "");
	show_amounts(text, &s.sum);
	return 0;
}
