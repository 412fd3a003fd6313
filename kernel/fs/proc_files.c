/* SPDX-License-Identifier: MIT */
/*
 * The texts of /proc/PID, in Linux's formats: programs parse them by position and by word.
 *
 * Where this kernel has nothing to tell (capabilities, swap, tracing), the text says what Linux
 * says of a process that has none of it.
 */
#include <address_space.h>
#include <percpu.h>
#include <process.h>
#include <smp.h>
#include <string.h>

#include "procfs.h"
#include "tty.h"

static int
get_info(int pid, struct process_info *info)
{
	return process_info_of(pid, info) ? 0 : -ESRCH;
}

/* What its memory is; all zeroes once it has ended. */
static void
get_memory(int pid, struct space_stats *stats)
{
	struct address_space *space = process_space(pid);

	memset(stats, 0, sizeof(*stats));
	if (!space)
		return;
	space_get_stats(space, stats);
	space_put(space);
}

/* ---- stat, statm, status ------------------------------------------------------------------- */

static int
show_stat(struct text *text, int pid)
{
	struct space_stats memory;
	struct process_info info;
	int error = get_info(pid, &info), foreground;
	uintptr_t args[4] = { 0 };

	if (error)
		return error;
	get_memory(pid, &memory);
	foreground = tty_foreground_of(info.session);
	(void)process_arguments(pid, &args[0], &args[1], &args[2], &args[3]);
	/* pid to tpgid */
	text_printf(text, "%d (%s) %c %d %d %d %d %d ", info.pid, info.name, info.state,
		    info.parent, info.group, info.session,
		    foreground >= 0 ? (int)make_device(SERIAL_MAJOR, SERIAL_MINOR) : 0, foreground);
	/* flags to cmajflt */
	text_printf(text, "0 %lu %lu %lu %lu ", (unsigned long)info.faults_minor,
		    (unsigned long)info.children_minor, (unsigned long)info.faults_major,
		    (unsigned long)info.children_major);
	/* utime to itrealvalue */
	text_printf(text, "%lu %lu %lu 0 %d %d %u 0 ", (unsigned long)(info.user_ns / TICK_NS),
		    (unsigned long)(info.system_ns / TICK_NS),
		    (unsigned long)(info.children_ns / TICK_NS), info.priority, info.nice,
		    info.nr_threads);
	/* starttime to kstkeip */
	text_printf(text, "%lu %lu %lu 18446744073709551615 0 0 0 0 0 ",
		    (unsigned long)(info.started_ns / TICK_NS),
		    (unsigned long)(memory.mapped * PAGE_SIZE), (unsigned long)memory.resident);
	/* signal to rt_priority; then policy to cguest_time */
	text_printf(text, "%lu %lu %lu %lu 0 0 0 17 %u %d %d 0 0 0 ",
		    (unsigned long)(info.signals_pending & INT32_MAX),
		    (unsigned long)(info.signals_blocked & INT32_MAX),
		    (unsigned long)(info.signals_ignored & INT32_MAX),
		    (unsigned long)(info.signals_caught & INT32_MAX), info.cpu,
		    info.real_time_priority, info.policy);
	/* start_data to exit_code */
	text_printf(text, "0 0 0 %lu %lu %lu %lu 0\n", (unsigned long)args[0],
		    (unsigned long)args[1], (unsigned long)args[2], (unsigned long)args[3]);
	return 0;
}

static int
show_statm(struct text *text, int pid)
{
	struct space_stats memory;

	get_memory(pid, &memory);
	text_printf(text, "%lu %lu %lu %lu 0 %lu 0\n", (unsigned long)memory.mapped,
		    (unsigned long)memory.resident,
		    (unsigned long)(memory.resident - memory.resident_anonymous),
		    (unsigned long)memory.text, (unsigned long)(memory.data + memory.stack));
	return 0;
}

static const char *
state_name(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'T':
		return "stopped";
	case 'Z':
		return "zombie";
	default:
		return "disk sleep";
	}
}

static void
show_kib(struct text *text, const char *name, size_t pages)
{
	text_printf(text, "%s:\t%8lu kB\n", name, (unsigned long)(pages * (PAGE_SIZE >> 10)));
}

static void
show_status_memory(struct text *text, int pid)
{
	struct space_stats m;

	get_memory(pid, &m);
	if (m.mapped == 0)
		return;
	show_kib(text, "VmPeak", MAX(m.peak_mapped, m.mapped));
	show_kib(text, "VmSize", m.mapped);
	show_kib(text, "VmLck", m.locked);
	show_kib(text, "VmPin", 0);
	show_kib(text, "VmHWM", MAX(m.peak_resident, m.resident));
	show_kib(text, "VmRSS", m.resident);
	show_kib(text, "RssAnon", m.resident_anonymous);
	show_kib(text, "RssFile", m.resident - m.resident_anonymous);
	show_kib(text, "RssShmem", 0);
	show_kib(text, "VmData", m.data);
	show_kib(text, "VmStk", m.stack);
	show_kib(text, "VmExe", m.text);
	show_kib(text, "VmLib", 0);
	show_kib(text, "VmPTE", m.tables);
	show_kib(text, "VmSwap", 0);
}

static unsigned
count_files(int pid)
{
	struct fd_table *files = process_files(pid);
	unsigned nr = files ? fd_table_capacity(files) : 0;

	if (files)
		fd_table_put(files);
	return nr;
}

static unsigned
umask_of(int pid)
{
	struct fs_context *fs = process_context(pid);
	unsigned umask = fs ? fs->umask : 0;

	if (fs)
		fs_context_put(fs);
	return umask;
}

static void
show_signals(struct text *text, const struct process_info *info)
{
	text_printf(text,
		    "SigQ:\t0/0\nSigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n"
		    "SigIgn:\t%016lx\nSigCgt:\t%016lx\n",
		    0ul, (unsigned long)info->signals_pending, (unsigned long)info->signals_blocked,
		    (unsigned long)info->signals_ignored, (unsigned long)info->signals_caught);
}

/* All CPUs of an affinity as Linux lists them: "0-3,5". */
static void
show_cpu_list(struct text *text, uint64_t cpus)
{
	const char *comma = "";

	for (unsigned first = 0; first < nr_cpus; first++) {
		unsigned last = first;

		if (!(cpus >> first & 1))
			continue;
		while (last + 1 < nr_cpus && cpus >> (last + 1) & 1)
			last++;
		text_printf(text, first == last ? "%s%u" : "%s%u-%u", comma, first, last);
		comma = ",";
		first = last;
	}
}

static int
show_status(struct text *text, int pid)
{
	struct process_info info;
	int error = get_info(pid, &info);
	uint64_t cpus;

	if (error)
		return error;
	cpus = info.affinity & (UINT64_MAX >> (64 - nr_cpus));
	text_printf(text, "Name:\t%s\nUmask:\t%04o\nState:\t%c (%s)\n", info.name, umask_of(pid),
		    info.state, state_name(info.state));
	text_printf(text, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
		    info.group_leader, info.pid, info.parent);
	text_printf(text, "Uid:\t%u\t%u\t%u\t%u\n", info.uid[0], info.uid[1], info.uid[2],
		    info.uid[3]);
	text_printf(text, "Gid:\t%u\t%u\t%u\t%u\n", info.gid[0], info.gid[1], info.gid[2],
		    info.gid[3]);
	text_printf(text, "FDSize:\t%u\nGroups:\t", count_files(pid));
	for (unsigned i = 0; i < info.nr_groups; i++)
		text_printf(text, "%u ", info.groups[i]);
	text_printf(text, "\n");
	text_printf(text, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", info.group_leader,
		    info.pid, info.group, info.session);
	show_status_memory(text, pid);
	text_printf(text, "Threads:\t%u\n", info.nr_threads);
	show_signals(text, &info);
	text_printf(text, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", (unsigned long)cpus);
	show_cpu_list(text, cpus);
	text_printf(text, "\n");
	return 0;
}

/* ---- Arguments and environment ------------------------------------------------------------- */

#define ARGUMENTS_MAX MiB(1)

/* [start, end) of the process's memory. */
static int
show_memory(struct text *text, int pid, uintptr_t start, uintptr_t end)
{
	struct address_space *space = process_space(pid);
	char *buffer = kmalloc(PAGE_SIZE, GFP_KERNEL);
	size_t got = 1;

	end = MIN(end, start + ARGUMENTS_MAX);
	while (space && buffer && got > 0 && start < end) {
		got = space_read(space, start, buffer, MIN(PAGE_SIZE, end - start));
		text_add(text, buffer, got);
		start += got;
	}
	if (space)
		space_put(space);
	kfree(buffer);
	return buffer ? 0 : -ENOMEM;
}

static int
show_cmdline(struct text *text, int pid)
{
	uintptr_t a[4];

	return process_arguments(pid, &a[0], &a[1], &a[2], &a[3])
		   ? show_memory(text, pid, a[0], a[1])
		   : 0;
}

static int
show_environ(struct text *text, int pid)
{
	uintptr_t a[4];

	return process_arguments(pid, &a[0], &a[1], &a[2], &a[3])
		   ? show_memory(text, pid, a[2], a[3])
		   : 0;
}

/* ---- The rest ------------------------------------------------------------------------------ */

static int
show_comm(struct text *text, int pid)
{
	struct process_info info;
	int error = get_info(pid, &info);

	if (!error)
		text_printf(text, "%s\n", info.name);
	return error;
}

/* In the order of their numbers. */
static const struct {
	const char *name, *unit;
} limits[] = {
	{ "Max cpu time", "seconds" },	   { "Max file size", "bytes" },
	{ "Max data size", "bytes" },	   { "Max stack size", "bytes" },
	{ "Max core file size", "bytes" }, { "Max resident set", "bytes" },
	{ "Max processes", "processes" },  { "Max open files", "files" },
	{ "Max locked memory", "bytes" },  { "Max address space", "bytes" },
	{ "Max file locks", "locks" },	   { "Max pending signals", "signals" },
	{ "Max msgqueue size", "bytes" },  { "Max nice priority", "" },
	{ "Max realtime priority", "" },   { "Max realtime timeout", "us" },
};

static void
show_limit(struct text *text, uint64_t value)
{
	if (value == UINT64_MAX)
		text_printf(text, "%-20s ", "unlimited");
	else
		text_printf(text, "%-20lu ", (unsigned long)value);
}

static int
show_limits(struct text *text, int pid)
{
	text_printf(text, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit",
		    "Units");
	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
		uint64_t soft, hard;

		if (!process_get_limit(pid, i, &soft, &hard))
			return -ESRCH;
		text_printf(text, "%-25s ", limits[i].name);
		show_limit(text, soft);
		show_limit(text, hard);
		if (limits[i].unit[0])
			text_printf(text, "%-10s", limits[i].unit);
		text_printf(text, "\n");
	}
	return 0;
}

static int
show_mounts(struct text *text, int pid)
{
	char *path = kmalloc(PATH_MAX, GFP_KERNEL);
	struct mount *mount;

	(void)pid;
	if (!path)
		return -ENOMEM;
	text_printf(text, "tmpfs / tmpfs rw 0 0\nproc /proc proc rw 0 0\n");
	mutex_lock(&mounts_lock);
	list_for_each_entry (mount, &mounts, link) {
		dentry_show_path(mount->root, path, PATH_MAX);
		text_printf(text, "%s %s %s %s%s%s%s", mount->source, path, mount->type->name,
			    mount->read_only ? "ro" : "rw",
			    mount->refused & MOUNT_NO_SET_ID ? ",nosuid" : "",
			    mount->refused & MOUNT_NO_DEVICES ? ",nodev" : "",
			    mount->refused & MOUNT_NO_EXECUTE ? ",noexec" : "");
		if (mount->ops->show_options)
			mount->ops->show_options(mount, text);
		text_printf(text, " 0 0\n");
	}
	mutex_unlock(&mounts_lock);
	kfree(path);
	return 0;
}

const struct proc_file proc_process_files[] = {
	{ "stat", 0444, show_stat },	   { "statm", 0444, show_statm },
	{ "status", 0444, show_status },   { "maps", 0444, show_maps },
	{ "smaps", 0444, show_smaps },	   { "smaps_rollup", 0444, show_smaps_rollup },
	{ "cmdline", 0444, show_cmdline }, { "environ", 0400, show_environ },
	{ "comm", 0444, show_comm },	   { "limits", 0444, show_limits },
	{ "mounts", 0444, show_mounts },   { NULL, 0, NULL },
};
