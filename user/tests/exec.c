/* SPDX-License-Identifier: MIT */
/* execve(): a tiny program made by hand, damaged in every way; and what a new image inherits. */
#include "ktap.h"

#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#define BASE	0x10000000ul
#define ANSWER	42
#define REFUSED 1000 /* plus the error number */

/* mov $42, %edi; mov $60, %eax; syscall: exit(42) */
#define EXIT_42 "\xbf\x2a\x00\x00\x00\xb8\x3c\x00\x00\x00\x0f\x05"

struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segment[2];
	char code[64];
};

static struct image
good_image(void)
{
	struct image image = {
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = BASE + offsetof(struct image, code),
			.e_phoff = offsetof(struct image, segment),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1,
		},
		.segment = { {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_vaddr = BASE,
			.p_paddr = BASE,
			.p_filesz = sizeof(struct image),
			.p_memsz = sizeof(struct image),
			.p_align = PAGE,
		} },
	};

	memcpy(image.code, EXIT_42, sizeof(EXIT_42) - 1);
	return image;
}

/* Execute a file of these bytes: its exit status, minus a signal, or REFUSED plus an error. */
static int
execute(const void *bytes, size_t size, int mode)
{
	char name[256];
	int fd = mkstemp(ktap_template(name)), result;
	pid_t pid;

	need(fd >= 0);
	need(write(fd, bytes, size) == (ssize_t)size);
	need(fchmod(fd, mode) == 0);
	need(close(fd) == 0);
	/* The error gets back through memory: an exit status has only 8 bits. */
	int *error = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(error != MAP_FAILED);
	pid = fork();
	if (pid == 0) {
		execve(name, (char *[]){ name, NULL }, (char *[]){ NULL });
		*error = errno;
		_exit(0);
	}
	result = ended(pid);
	if (*error)
		result = REFUSED + *error;
	need(unlink(name) == 0);
	return result;
}

static int
run(struct image image)
{
	return execute(&image, sizeof(image), 0755);
}

static int
run_text(const char *text)
{
	return execute(text, strlen(text), 0755);
}

CASE(the_good_one_runs)
{
	is(run(good_image()), ANSWER);
}

CASE(no_program)
{
	is(run_text(""), REFUSED + ENOEXEC);
	is(run_text("\n"), REFUSED + ENOEXEC);
	is(run_text("exit 42\n"), REFUSED + ENOEXEC);
	is(run_text("\x7f"
		    "ELF"),
	   REFUSED + ENOEXEC);
}

CASE(a_file_cut_short)
{
	struct image image = good_image();

	for (size_t size = 1; size < sizeof(Elf64_Ehdr); size += 7)
		is(execute(&image, size, 0755), REFUSED + ENOEXEC);
	is(execute(&image, sizeof(Elf64_Ehdr) + 10, 0755), REFUSED + ENOEXEC);
}

CASE(a_damaged_header)
{
	struct image image;

	image = good_image(), image.header.e_ident[EI_MAG3] = 'f';
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_type = ET_REL;
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_type = 0xffff;
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_machine = EM_AARCH64;
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_phentsize = 55;
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_phnum = 0;
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_phnum = 0xffff;
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_phoff = 1ul << 40;
	is(run(image), REFUSED + ENOEXEC);
	image = good_image(), image.header.e_phoff = -64ul;
	yes(run(image) > REFUSED);
}

/* Linux finds such damage when the old image is gone already, and kills. */
static bool
does_not_run(struct image image)
{
	int result = run(image);

	return result == -SIGSEGV || result == -SIGKILL || result > REFUSED;
}

CASE(damaged_segments)
{
	struct image image;

	image = good_image(), image.segment[0].p_vaddr = 0xffffffff80000000ul;
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_vaddr = 0x7ffffffff000ul;
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_vaddr = BASE + 8; /* unlike its offset */
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_memsz = 1ul << 48;
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_memsz = -1ul;
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_filesz = sizeof(image) + 1; /* more than memory */
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_filesz = image.segment[0].p_memsz = -8ul;
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_offset = 64 * PAGE; /* behind the file */
	is(run(image), -SIGBUS);
	image = good_image(), image.segment[0].p_type = PT_NULL; /* nothing to load */
	yes(does_not_run(image));
}

CASE(a_bad_entry)
{
	struct image image;

	image = good_image(), image.header.e_entry = 0;
	yes(does_not_run(image));
	image = good_image(), image.header.e_entry = BASE + 16 * PAGE;
	yes(does_not_run(image));
	image = good_image(), image.header.e_entry = 0xffffffff80000000ul;
	yes(does_not_run(image));
	image = good_image(), image.header.e_entry = 0x0123456789abcdeful;
	yes(does_not_run(image));
	image = good_image(), image.segment[0].p_flags = PF_R; /* not executable */
	is(run(image), -SIGSEGV);
}

CASE(the_rest_of_the_last_page_is_zero)
{
	struct image image = good_image();

	/* movzbl CODE+40, %edi; mov $60, %eax; syscall: exit() with what is there. */
	memcpy(image.code, "\x0f\xb6\x3c\x25\0\0\0\0\xb8\x3c\0\0\0\x0f\x05", 15);
	uint32_t at = BASE + offsetof(struct image, code) + 40;
	memcpy(image.code + 4, &at, 4);
	image.code[40] = 7;
	is(run(image), 7);
	/* The file has something there, but the segment ends before it. */
	image.segment[0].p_filesz = offsetof(struct image, code) + 40;
	image.segment[0].p_memsz = 3 * PAGE;
	image.segment[0].p_flags |= PF_W;
	is(run(image), 0);
}

CASE(an_interpreter_that_is_not_there)
{
	struct image image = good_image();

	image.header.e_phnum = 2;
	image.segment[1] = (Elf64_Phdr){
		.p_type = PT_INTERP,
		.p_offset = offsetof(struct image, code) + 32,
		.p_filesz = 13,
	};
	memcpy(image.code + 32, "/no/such/file", 14);
	image.segment[1].p_filesz = 14;
	yes(run(image) > REFUSED);
	image.segment[1].p_filesz = 13; /* no 0 at the end */
	is(run(image), REFUSED + ENOEXEC);
}

CASE(scripts)
{
	is(run_text("#!/bin/busybox sh\nexit 5\n"), 5);
	is(run_text("#! /bin/busybox \t sh \nexit 6\n"), 6);
	is(run_text("#!/bin/busybox true"), 0);
	is(run_text("#!/no/such/file\n"), REFUSED + ENOENT);
	is(run_text("#!/tmp\n"), REFUSED + EACCES);
	is(run_text("#!   \n"), REFUSED + ENOEXEC);
}

CASE(a_script_that_is_its_own_interpreter)
{
	char name[256], text[300];
	int fd = mkstemp(ktap_template(name));

	need(fd >= 0);
	snprintf(text, sizeof(text), "#!%s\n", name);
	need(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	need(fchmod(fd, 0755) == 0 && close(fd) == 0);
	fails(execve(name, (char *[]){ name, NULL }, (char *[]){ NULL }), ELOOP);
	is(unlink(name), 0);
}

CASE(rights_and_paths)
{
	struct image image = good_image();
	char *args[] = { "x", NULL }, longest[5000];

	is(execute(&image, sizeof(image), 0644), REFUSED + EACCES);
	fails(execve("/tmp", args, args + 1), EACCES);
	fails(execve("/no/such/file", args, args + 1), ENOENT);
	fails(execve("", args, args + 1), ENOENT);
	fails(execve("/bin/busybox/x", args, args + 1), ENOTDIR);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	fails(execve(longest, args, args + 1), ENAMETOOLONG);
}

CASE(bad_pointers)
{
	char *args[] = { "x", NULL }, *strings[] = { "x", (char *)8, NULL };

	fails(syscall(SYS_execve, 8, args, args + 1), EFAULT);
	fails(syscall(SYS_execve, "/bin/busybox", 8, args + 1), EFAULT);
	fails(syscall(SYS_execve, "/bin/busybox", args, 8), EFAULT);
	fails(syscall(SYS_execve, "/bin/busybox", strings, args + 1), EFAULT);
	fails(syscall(SYS_execve, "/bin/busybox", args, strings), EFAULT);
}

CASE(arguments_that_are_too_long)
{
	size_t length = 1 << 20;
	char *text = malloc(length);
	char *args[] = { "x", text, NULL };

	need(text);
	memset(text, 'a', length - 1);
	text[length - 1] = 0;
	fails(execve("/bin/busybox", args, args + 2), E2BIG);
}

/* What BusyBox, run with these arguments and this environment, prints into text. */
static int
output_of(char **args, char **environment, char *text, size_t size)
{
	int ends[2];
	size_t length = 0;
	ssize_t got;
	pid_t pid;

	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 1);
		close(ends[0]);
		close(ends[1]);
		execve("/bin/busybox", args, environment);
		_exit(126);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + length, size - 1 - length)) > 0)
		length += got;
	text[length] = 0;
	close(ends[0]);
	return ended(pid);
}

CASE(arguments_and_environment_arrive)
{
	char text[256];

	is(output_of((char *[]){ "echo", "a", "", "b c", NULL }, (char *[]){ NULL }, text,
		     sizeof(text)),
	   0);
	is(strcmp(text, "a  b c\n"), 0);
	is(output_of((char *[]){ "env", NULL }, (char *[]){ "A=1", "B=two words", NULL }, text,
		     sizeof(text)),
	   0);
	is(strcmp(text, "A=1\nB=two words\n"), 0);
}

CASE(long_arguments_arrive)
{
	static char text[70000], argument[60000];

	memset(argument, 'y', sizeof(argument) - 1);
	is(output_of((char *[]){ "echo", argument, NULL }, (char *[]){ NULL }, text, sizeof(text)),
	   0);
	is(strlen(text), sizeof(argument));
	is(strncmp(text, argument, sizeof(argument) - 1), 0);
}

CASE(descriptors)
{
	char text[64];
	int fd = file_of(1), other = file_of(1);

	need(dup2(fd, 20) == 20 && dup2(other, 21) == 21);
	is(fcntl(21, F_SETFD, FD_CLOEXEC), 0);
	is(output_of((char *[]){ "sh", "-c", "echo >&20", NULL }, (char *[]){ NULL }, text, 64), 0);
	yes(output_of((char *[]){ "sh", "-c", "exec 2>&-; echo >&21", NULL }, (char *[]){ NULL },
		      text, 64) != 0);
	is(fcntl(21, F_GETFD), FD_CLOEXEC);
}

CASE(the_process_stays_the_same)
{
	char text[64], expected[64];
	int ends[2];
	ssize_t got;
	pid_t pid;

	need(pipe(ends) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], 1);
		execl("/bin/busybox", "sh", "-c", "echo $$ $PPID", NULL);
		_exit(126);
	}
	is(ended(pid), 0);
	got = read(ends[0], text, sizeof(text) - 1);
	need(got > 0);
	text[got] = 0;
	snprintf(expected, sizeof(expected), "%d %d\n", pid, getpid());
	is(strcmp(text, expected), 0);
}

static void
nothing(int signal)
{
	(void)signal;
}

CASE(handlers_do_not_outlive_it)
{
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGUSR1, nothing);
		signal(SIGUSR2, SIG_IGN);
		execl("/bin/busybox", "sh", "-c", "kill -USR2 $$; kill -USR1 $$; exit 3", NULL);
		_exit(126);
	}
	is(ended(pid), -SIGUSR1);
}
