/* SPDX-License-Identifier: MIT */
/*
 * /proc/stat, uptime, loadavg, version, cpuinfo and the like, and sys/kernel.
 *
 * The load is what Linux says it is, the number of threads that run or want to, averaged with a
 * weight that falls by 1/e in one, five and fifteen minutes. Linux counts every five seconds; here
 * it is counted when somebody looks, and taken to have been so since the last look. So nothing runs
 * for it where nobody looks, and a program that looks often gets what it would on Linux.
 */
#include <abi/shm.h>
#include <arch.h>
#include <bootinfo.h>
#include <cmdline.h>
#include <percpu.h>
#include <printk.h>
#include <process.h>
#include <random.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "procfs.h"

/* ---- Who runs ------------------------------------------------------------------------------ */

struct population {
	unsigned nr, running;
	int last; /* highest number */
};

static struct population
count_processes(void)
{
	struct population population = { 0 };
	struct process_info info;

	for (int pid = 1; process_info_next(pid, &info); pid = info.pid + 1) {
		population.nr += info.nr_threads;
		population.running += info.state == 'R';
		population.last = info.pid;
	}
	return population;
}

/* ---- loadavg ------------------------------------------------------------------------------- */

#define LOAD_ONE   2048u /* 1.00 */
#define LOAD_STEP  (5 * NSEC_PER_SEC)
#define LOAD_STEPS 720 /* an hour: older than that counts nothing */

/* What is left of LOAD_ONE after a step of five seconds, for 1, 5 and 15 minutes. */
static const unsigned decay[3] = { 1884, 2014, 2037 };

static struct {
	spinlock_t lock;
	uint64_t counted_at; /* (l) */
	unsigned load[3];    /* (l) */
} average = { .lock = SPINLOCK_INIT("load", RANK_MODULE) };

static void
get_load(unsigned running, unsigned load[3])
{
	irqflags_t flags = spin_lock_irqsave(&average.lock);
	uint64_t steps = (time_ns() - average.counted_at) / LOAD_STEP;

	average.counted_at += steps * LOAD_STEP;
	for (uint64_t step = 0; step < MIN(steps, (uint64_t)LOAD_STEPS); step++) {
		for (unsigned i = 0; i < 3; i++)
			average.load[i] = (average.load[i] * decay[i] +
					   running * LOAD_ONE * (LOAD_ONE - decay[i])) /
					  LOAD_ONE;
	}
	memcpy(load, average.load, sizeof(average.load));
	spin_unlock_irqrestore(&average.lock, flags);
}

static int
show_loadavg(struct text *text, int pid)
{
	struct population population = count_processes();
	unsigned load[3];

	(void)pid;
	get_load(population.running, load);
	for (unsigned i = 0; i < 3; i++) {
		unsigned hundredths = (load[i] * 100 + LOAD_ONE / 2) / LOAD_ONE;

		text_printf(text, "%u.%02u ", hundredths / 100, hundredths % 100);
	}
	text_printf(text, "%u/%u %d\n", population.running, population.nr, population.last);
	return 0;
}

/* ---- stat, uptime -------------------------------------------------------------------------- */

static void
add_times(struct cpu_times *sum, const struct cpu_times *times)
{
	sum->user_ns += times->user_ns;
	sum->system_ns += times->system_ns;
	sum->idle_ns += times->idle_ns;
	sum->nr_switches += times->nr_switches;
}

static void
show_cpu(struct text *text, const char *name, const struct cpu_times *times)
{
	text_printf(text, "%s %lu 0 %lu %lu 0 0 0 0 0 0\n", name,
		    (unsigned long)(times->user_ns / TICK_NS),
		    (unsigned long)(times->system_ns / TICK_NS),
		    (unsigned long)(times->idle_ns / TICK_NS));
}

static int
show_stat(struct text *text, int pid)
{
	struct cpu_times times[MAX_CPUS], sum = { 0 };
	struct population population = count_processes();

	(void)pid;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		sched_get_cpu_times(cpu, &times[cpu]);
		add_times(&sum, &times[cpu]);
	}
	show_cpu(text, "cpu ", &sum);
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		char name[16];

		ksnprintf(name, sizeof(name), "cpu%u", cpu);
		show_cpu(text, name, &times[cpu]);
	}
	text_printf(text, "intr 0\nctxt %lu\nbtime %lu\nprocesses %d\n",
		    (unsigned long)sum.nr_switches,
		    (unsigned long)(((uint64_t)fs_now() - time_ns()) / NSEC_PER_SEC),
		    population.last);
	text_printf(text, "procs_running %u\nprocs_blocked 0\n", population.running);
	return 0;
}

static void
show_seconds(struct text *text, uint64_t ns, const char *after)
{
	text_printf(text, "%lu.%02lu%s", (unsigned long)(ns / NSEC_PER_SEC),
		    (unsigned long)(ns % NSEC_PER_SEC / TICK_NS), after);
}

static int
show_uptime(struct text *text, int pid)
{
	struct cpu_times sum = { 0 };

	(void)pid;
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++) {
		struct cpu_times times;

		sched_get_cpu_times(cpu, &times);
		add_times(&sum, &times);
	}
	show_seconds(text, time_ns(), " ");
	show_seconds(text, sum.idle_ns, "\n");
	return 0;
}

/* ---- What it runs on ----------------------------------------------------------------------- */

static int
show_version(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "Linux version " SYSTEM_RELEASE " (IKOS) (" __VERSION__ ") #1 SMP\n");
	return 0;
}

static int
show_cpuinfo(struct text *text, int pid)
{
	char buffer[49], flags[320];
	const char *model = arch_cpu_name(buffer);

	(void)pid;
	(void)arch_cpu_flags(flags, sizeof(flags));
	for (unsigned cpu = 0; cpu < nr_cpus; cpu++)
		text_printf(text,
			    "processor\t: %u\nmodel name\t: %s\nphysical id\t: 0\nsiblings\t: %u\n"
			    "core id\t\t: %u\ncpu cores\t: %u\nflags\t\t: %s\n"
			    "address sizes\t: %u bits physical, 48 bits virtual\n\n",
			    cpu, model, nr_cpus, cpu, nr_cpus, flags, arch_physical_bits());
	return 0;
}

static int
show_filesystems(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "nodev\tproc\n");
	for (const struct fs_type *const *type = fs_types; *type; type++)
		text_printf(text, "%s\t%s\n", (*type)->in_memory ? "nodev" : "", (*type)->name);
	return 0;
}

/* The line has been cut into words where it lies: blanks have become zeroes. */
static int
show_cmdline(struct text *text, int pid)
{
	const char *line = boot_info.cmdline;
	size_t size = sizeof(boot_info.cmdline);

	(void)pid;
	while (size > 0 && line[size - 1] == '\0')
		size--;
	for (size_t i = 0; i < size; i++)
		text_add(text, line[i] ? &line[i] : " ", 1);
	text_add(text, "\n", 1);
	return 0;
}

const struct proc_file proc_system_files[] = {
	{ "stat", 0444, show_stat },	   { "uptime", 0444, show_uptime },
	{ "loadavg", 0444, show_loadavg }, { "version", 0444, show_version },
	{ "cpuinfo", 0444, show_cpuinfo }, { "filesystems", 0444, show_filesystems },
	{ "cmdline", 0444, show_cmdline }, { NULL, 0, NULL },
};

/* ---- sys/kernel ---------------------------------------------------------------------------- */

static int
show_ostype(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "Linux\n");
	return 0;
}

/* Nothing has been loaded or forced that could be to blame for a fault. */
static int
show_tainted(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "0\n");
	return 0;
}

static int
show_osrelease(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, SYSTEM_RELEASE "\n");
	return 0;
}

static int
show_hostname(struct text *text, int pid)
{
	char name[65];

	(void)pid;
	system_node_name(name, sizeof(name));
	text_printf(text, "%s\n", name);
	return 0;
}

static int
show_pid_max(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "%lu\n", (unsigned long)__atomic_load_n(&pid_max, __ATOMIC_RELAXED));
	return 0;
}

static int
show_shmmax(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "%lu\n",
		    (unsigned long)__atomic_load_n(&shm_limits.size_max, __ATOMIC_RELAXED));
	return 0;
}

static int
show_shmall(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "%lu\n",
		    (unsigned long)__atomic_load_n(&shm_limits.pages_max, __ATOMIC_RELAXED));
	return 0;
}

static int
show_shmmni(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "%lu\n",
		    (unsigned long)__atomic_load_n(&shm_limits.segments_max, __ATOMIC_RELAXED));
	return 0;
}

static int
show_uuid(struct text *text, int pid)
{
	uint8_t b[16];

	(void)pid;
	random_bytes(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122: version 4, of random numbers */
	b[8] = (b[8] & 0x3f) | 0x80;
	for (unsigned i = 0; i < sizeof(b); i++)
		text_printf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
	text_printf(text, "\n");
	return 0;
}

static int
show_randomize_va_space(struct text *text, int pid)
{
	(void)pid;
	text_printf(text, "%lu\n",
		    (unsigned long)__atomic_load_n(&randomize_va_space, __ATOMIC_RELAXED));
	return 0;
}

const struct proc_file proc_kernel_files[] = {
	{ "ostype", 0444, show_ostype },
	{ "osrelease", 0444, show_osrelease },
	{ "hostname", 0444, show_hostname },
	{ "pid_max", 0644, show_pid_max },
	{ "randomize_va_space", 0644, show_randomize_va_space },
	{ "shmall", 0644, show_shmall },
	{ "shmmax", 0644, show_shmmax },
	{ "shmmni", 0644, show_shmmni },
	{ "tainted", 0444, show_tainted },
	{ NULL, 0, NULL },
};

/* ---- sysvipc ------------------------------------------------------------------------------- */

static int
show_shm(struct text *text, int pid)
{
	struct abi_shmid_ds what;
	unsigned place = 0;
	size_t resident;
	int number;

	(void)pid;
	text_printf(text,
		    "       key      shmid perms                  size  cpid  lpid nattch   uid"
		    "   gid  cuid  cgid      atime      dtime      ctime"
		    "                   rss                  swap\n");
	while ((number = shm_next(&place, &what, &resident)) >= 0) {
		text_printf(text, "%10d %10d  %4o %21lu %5d %5d  %5lu %5u %5u %5u %5u",
			    what.perm.key, number, what.perm.mode, (unsigned long)what.size,
			    what.creator, what.last, (unsigned long)what.nr_attached, what.perm.uid,
			    what.perm.gid, what.perm.creator_uid, what.perm.creator_gid);
		text_printf(text, " %10ld %10ld %10ld %21lu %21u\n", (long)what.attached_at,
			    (long)what.detached_at, (long)what.changed_at,
			    (unsigned long)(resident * PAGE_SIZE), 0u);
	}
	return 0;
}

const struct proc_file proc_sysvipc_files[] = { { "shm", 0444, show_shm }, { NULL, 0, NULL } };

const struct proc_file proc_random_files[] = { { "uuid", 0444, show_uuid }, { NULL, 0, NULL } };

const struct proc_setting proc_settings[] = {
	{ "max_map_count", &regions_max, 0, INT32_MAX },
	{ "pid_max", &pid_max, PID_MAX_MIN, PID_MAX_MAX },
	{ "randomize_va_space", &randomize_va_space, 0, LAYOUT_RANDOM_HEAP },
	{ "shmall", &shm_limits.pages_max, 0, UINT64_MAX },
	{ "shmmax", &shm_limits.size_max, 0, UINT64_MAX },
	{ "shmmni", &shm_limits.segments_max, 0, SHM_SEGMENTS_MAX },
	{ NULL, NULL, 0, 0 },
};
