/* SPDX-License-Identifier: MIT */
/* The console command memleak. */
#include <console.h>
#include <leak_detector.h>
#include <printk.h>

#define MAX_PRINTED 32

static void
print_leak(const struct leak *leak, void *arg)
{
	unsigned *nr = arg;

	if ((*nr)++ >= MAX_PRINTED)
		return;
	kprintf("leak: %p: %lu bytes of %s", leak->object, (unsigned long)leak->size, leak->cache);
	if (leak->alloc_site)
		kprintf(", allocated at %#lx", (unsigned long)leak->alloc_site);
	kprintf("\n");
}

static void
memleak(int argc, char **argv)
{
	unsigned printed = 0;
	int nr = leak_scan(print_leak, &printed);

	(void)argc;
	(void)argv;
	if (nr < 0)
		kprintf("memleak: no memory for the books\n");
	else if (nr > MAX_PRINTED)
		kprintf("memleak: and %d more\n", nr - MAX_PRINTED);
	else if (nr == 0)
		kprintf("memleak: every object can be reached\n");
}
CONSOLE_COMMAND(memleak, "memleak", "", "objects in use that no pointer leads to", memleak);
