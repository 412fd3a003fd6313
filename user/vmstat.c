/* SPDX-License-Identifier: MIT */
/*
 * Memory and faults of the whole machine, over time.
 *
 *	vmstat [SECONDS [TIMES]]	one line since the start, or one each so many seconds
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The number after a key in a file of lines "key number" or "key: number kB". */
static unsigned long
field(const char *path, const char *key)
{
	char line[256], name[64];
	unsigned long value;
	FILE *file = fopen(path, "r");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63[^: ]%*[: ]%lu", name, &value) == 2 && !strcmp(name, key)) {
			fclose(file);
			return value;
		}
	}
	fclose(file);
	return 0;
}

struct sample {
	unsigned long faults, major, switches;
};

static struct sample
sample(void)
{
	return (struct sample){
		.faults = field("/proc/vmstat", "pgfault"),
		.major = field("/proc/vmstat", "pgmajfault"),
		.switches = field("/proc/stat", "ctxt"),
	};
}

static void
print(struct sample before, struct sample now)
{
	printf("%9lu %9lu %9lu %9lu %9lu %9lu %9lu\n", field("/proc/meminfo", "MemFree"),
	       field("/proc/meminfo", "Cached"), field("/proc/meminfo", "AnonPages"),
	       field("/proc/meminfo", "PageTables"), now.faults - before.faults,
	       now.major - before.major, now.switches - before.switches);
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	unsigned seconds = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	unsigned times = argc > 2 ? strtoul(argv[2], NULL, 0) : seconds ? UINT_MAX : 1;
	struct sample before = { 0 };

	printf("%9s %9s %9s %9s %9s %9s %9s\n", "free kB", "cached", "anonymous", "tables",
	       "faults", "major", "switches");
	for (unsigned i = 0; i < times; i++) {
		struct sample now = sample();

		print(before, now);
		before = now;
		if (i + 1 < times)
			sleep(seconds);
	}
	return 0;
}
