/* SPDX-License-Identifier: MIT */
/*
 * What is mapped in a process, and how much of it is there.
 *
 *	pmap [PID...]	of this process, if none is named
 *
 * Sums what /proc/PID/smaps tells of each mapping; where there is no smaps, only sizes from maps.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mapping {
	unsigned long start, end;
	char rights[5];
	char name[256];
	unsigned long resident, dirty; /* kB */
};

static void
print(const struct mapping *mapping)
{
	printf("%016lx %8lu %8lu %8lu %s  %s\n", mapping->start,
	       (mapping->end - mapping->start) / 1024, mapping->resident, mapping->dirty,
	       mapping->rights, *mapping->name ? mapping->name : "[ anon ]");
}

/* A line that begins a mapping: START-END RIGHTS OFFSET DEVICE INODE [NAME]. */
static int
parse(const char *line, struct mapping *mapping)
{
	memset(mapping, 0, sizeof(*mapping));
	return sscanf(line, "%lx-%lx %4s %*x %*s %*u %255[^\n]", &mapping->start, &mapping->end,
		      mapping->rights, mapping->name) >= 3;
}

static FILE *
open_for(const char *pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%s/%s", pid, file);
	return fopen(path, "r");
}

static int
show(const char *pid)
{
	struct mapping mapping = { 0 }, total = { 0 }, next;
	unsigned long kilobytes, size = 0;
	FILE *file = open_for(pid, "smaps");
	char line[512];

	if (!file)
		file = open_for(pid, "maps");
	if (!file) {
		fprintf(stderr, "pmap: %s: %s\n", pid, strerror(errno));
		return 1;
	}
	printf("%-16s %8s %8s %8s %s  %s\n", "address", "kB", "there", "dirty", "mode", "mapping");
	while (fgets(line, sizeof(line), file)) {
		if (parse(line, &next)) {
			if (mapping.end)
				print(&mapping);
			mapping = next;
			size += (next.end - next.start) / 1024;
		} else if (sscanf(line, "Rss: %lu", &kilobytes) == 1) {
			mapping.resident = kilobytes;
			total.resident += kilobytes;
		} else if (sscanf(line, "Private_Dirty: %lu", &kilobytes) == 1) {
			mapping.dirty = kilobytes;
			total.dirty += kilobytes;
		}
	}
	if (mapping.end)
		print(&mapping);
	printf("%-16s %8lu %8lu %8lu\n", "total", size, total.resident, total.dirty);
	fclose(file);
	return 0;
}

int
main(int argc, char **argv)
{
	int status = 0;

	if (argc == 1)
		return show("self");
	for (int i = 1; i < argc; i++)
		status |= show(argv[i]);
	return status;
}
