/* SPDX-License-Identifier: MIT */
/*
 * Lab 4, graded cases: programs of the initrd, which know nothing of this kernel. What each of
 * them prints goes to a file, which is read when it has ended.
 */
#include <abi/fcntl.h>
#include <cmdline.h>
#include <page_allocator.h>
#include <printk.h>
#include <process.h>
#include <slab.h>
#include <string.h>

#include "../../../kernel/proc/user/user.h"
#include "lab.h"

#define REPORT	    "/report"
#define REPORT_SIZE KiB(64)

static char report[REPORT_SIZE];

/* Read what a program has printed. Returns how many bytes, or an error. */
static int64_t
read_report(void)
{
	struct fs_context *fs = fs_context_create();
	struct file *file;
	int64_t size;
	int error = fs ? file_open(fs, REPORT, O_RDONLY, 0, &file) : -ENOMEM;

	if (!error) {
		size = file_read_at(file, 0, report, REPORT_SIZE - 1);
		file_put(file);
	}
	if (fs)
		fs_context_put(fs);
	return error ? error : size;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), end_size = strlen(end);

	return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* One line of a report: is it a result, the plan, or what explains a failure? */
static void
take_line(struct ktest *t, const char *line, struct evidence_record *sum)
{
	uint64_t planned;

	if (strncmp(line, "ok ", 3) == 0) {
		sum->a++;
	} else if (strncmp(line, "vm_model: ", 10) == 0 && ends_with(line, ": no contradiction")) {
		sum->a++;
		sum->c++;
	} else if (strncmp(line, "not ok ", 7) == 0 || strncmp(line, "vm_model", 8) == 0) {
		sum->b++;
		ktest_note(t, "%s", line);
	} else if (strncmp(line, "1..", 3) == 0 && parse_u64(line + 3, &planned) == 0) {
		sum->c += planned;
	} else if (strncmp(line, "# user/", 7) == 0) {
		ktest_note(t, "%s", line + 2);
	}
}

static void
take_report(struct ktest *t, struct evidence_record *sum)
{
	int64_t size = read_report();
	char *line = report, *end;

	report[size > 0 ? size : 0] = '\0';
	for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		take_line(t, line, sum);
	}
}

/* Let a shell run a command, and log how it ended. */
static void
run(struct lab *lab, const char *command)
{
	char words[128];
	const char *const argv[] = { "sh", "-c", words, NULL };
	static const char *const envp[] = { "PATH=/bin", "HOME=/", NULL };
	struct evidence_record sum = { 0 };
	struct wait_status status;
	int error;

	ksnprintf(words, sizeof(words), "%s >" REPORT " 2>&1", command);
	error = process_start_first("/bin/sh", argv, envp);
	if (error == -ENOENT)
		ktest_skip(lab->t, "needs the initrd");
	assert_eq(lab->t, error, 0);
	status = process_wait_first();
	take_report(lab->t, &sum);
	evidence_log(EV_PROGRAM, (uint32_t)status.code << 8 | (uint32_t)status.status, sum.a, sum.b,
		     sum.c);
	expect_eq(lab->t, status.code, CLD_EXITED);
	expect_eq(lab->t, status.status, 0);
}

/* Faults of all programs so far, by kind. */
static void
log_totals(void)
{
	struct space_stats stats;

	space_get_totals(&stats);
	evidence_log(EV_STATS, 0, stats.faults_zero, stats.faults_anonymous, stats.faults_cow);
	evidence_log(EV_STATS, 1, stats.faults_reuse, stats.faults_file, stats.faults_stack);
	evidence_log(EV_STATS, 2, stats.resident, stats.faults_minor, stats.mapped);
}

/* mmap(), munmap(), mprotect(), brk(): what each promises, asked by a program. */
KTEST(spaces, program_maps, .budget_ms = 20000)
{
	struct lab *lab = lab4_begin(t);

	run(lab, "/tests/mmap");
	run(lab, "/tests/munmap");
	run(lab, "/tests/mprotect");
	run(lab, "/tests/brk");
	log_totals();
	lab4_end(lab);
}

/* fork() and stacks, likewise. */
KTEST(spaces, program_forks, .budget_ms = 20000)
{
	struct lab *lab = lab4_begin(t);

	run(lab, "/tests/fork");
	run(lab, "/tests/stack");
	log_totals();
	lab4_end(lab);
}

/*
 * Random operations on memory, of a program and its children, beside a model in the program. The
 * shell has a child before: whatever the program draws, some last owner writes to a page.
 */
KTEST(spaces, program_model, .budget_ms = 20000)
{
	struct lab *lab = lab4_begin(t);
	char command[64];

	ksnprintf(command, sizeof(command), "(:); /tests/vm_model %lu 800",
		  (unsigned long)(1 + prng_below(&t->prng, 1000000)));
	run(lab, command);
	log_totals();
	lab4_end(lab);
}
