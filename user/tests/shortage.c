/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out, at each place where that can happen: the first request for memory that an
 * operation makes fails, then the second alone, and so on until it makes no more. Each time it ends
 * well, or with an error and works when it is done again, or with the end of the process that
 * tried; and memory is as it was before: as many frames free, objects in use, page tables.
 *
 * /proc/self/fail-nth makes requests fail; where there is none, each operation is done once.
 */
#include "ktap.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define MOST_REQUESTS 600 /* of one operation */
#define PATIENCE      200 /* looks at the books, a millisecond apart */
#define NAME	      "/tmp/shortage"
#define OTHER_NAME    "/tmp/shortage-2"

/* How a process that tried may end by itself. */
enum { SURVIVED, NOT_REACHED, WRONG };

/* Counted by the processes that try. */
static struct tally {
	unsigned errors, kills, trials;
} * tally;

static bool supported;	  /* by the kernel */
static int fail_nth = -1; /* /proc/self/fail-nth of a process that tries */

/* What the operations use. */
static char *memory; /* MEMORY_PAGES pages */
static int file;     /* of FILE_PAGES pages */

#define MEMORY_PAGES 8
#define FILE_PAGES   64

/* ---- Failures on purpose ------------------------------------------------------------------ */

static void
fail_at(unsigned long nth)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%lu", nth);

	if (fail_nth >= 0)
		need(pwrite(fail_nth, text, size, 0) == size);
}

static bool
has_failed(void)
{
	char first = '0';

	if (fail_nth < 0)
		return false;
	need(pread(fail_nth, &first, 1, 0) == 1);
	fail_at(0);
	return first == '0';
}

/* ---- The books ------------------------------------------------------------------------------ */

struct books {
	long frames; /* free, or in slabs */
	long objects, tables, anonymous, files;
};

static char *
text_of(const char *path)
{
	static char text[32768];
	int fd = open(path, O_RDONLY);
	ssize_t size = 0, got;

	need(fd >= 0);
	while ((got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += got;
	need(got == 0 && close(fd) == 0);
	text[size] = '\0';
	return text;
}

static long
amount(const char *text, const char *name)
{
	const char *found = strstr(text, name);

	need(found);
	return strtol(found + strlen(name), NULL, 10) / 4;
}

static struct books
look(void)
{
	struct books books = { 0 };
	const char *text = text_of("/proc/meminfo");

	books.frames = amount(text, "\nMemFree:") + amount(text, "\nSlab:");
	books.tables = amount(text, "\nPageTables:");
	books.anonymous = amount(text, "\nAnonPages:");
	books.files = amount(text, "\nCached:");
	text = text_of("/proc/slabinfo");
	for (const char *line = strstr(text, "tunables"); line; line = strchr(line + 1, '\n')) {
		long in_use;

		if (sscanf(line, "\n%*s %ld", &in_use) == 1)
			books.objects += in_use;
	}
	return books;
}

/* What has ended gives its memory back soon, not at once. Returns whether all is as before. */
static bool
balances(const struct books *before)
{
	struct books now = { 0 };

	for (int i = 0; i < PATIENCE; i++) {
		now = look();
		if (!memcmp(before, &now, sizeof(now)))
			return true;
		usleep(1000);
	}
	printf("# frames %ld, then %ld; objects %ld, %ld; tables %ld, %ld; "
	       "anonymous %ld, %ld; files %ld, %ld\n",
	       before->frames, now.frames, before->objects, now.objects, before->tables, now.tables,
	       before->anonymous, now.anonymous, before->files, now.files);
	return false;
}

/* ---- Trying --------------------------------------------------------------------------------- */

/* Returns 0 or an error number; all that it made is gone again. */
typedef int operation(void);

static bool
is_shortage(int error)
{
	return error == ENOMEM || error == EAGAIN || error == ENOSPC || error == ENOLCK;
}

/* So that no access to the stack is among the requests: fork() left it to be copied. */
static void
touch_stack(void)
{
	volatile char below[4 * PAGE];

	for (size_t at = 0; at < sizeof(below); at += PAGE)
		below[at] = 1;
}

static _Noreturn void
try(operation *operate, unsigned long nth)
{
	bool failed;
	int error;

	touch_stack();
	fail_at(nth);
	error = operate();
	failed = has_failed();
	if (!error)
		_exit(failed ? SURVIVED : NOT_REACHED);
	if (!failed || !is_shortage(error)) {
		printf("# error %d (%s), request %lu\n", error, strerror(error), nth);
		fflush(stdout);
		_exit(WRONG);
	}
	tally->errors++;
	error = operate();
	if (error)
		printf("# done again: %s, request %lu\n", strerror(error), nth);
	fflush(stdout);
	_exit(error ? WRONG : SURVIVED);
}

/* In a process of its own, with the nth request failing. */
static int
trial(operation *prepare, operation *operate, unsigned long nth)
{
	pid_t pid = fork();
	int end;

	need(pid >= 0);
	if (pid == 0) {
		if (supported)
			need((fail_nth = open("/proc/self/fail-nth", O_RDWR)) >= 0);
		if (prepare && prepare())
			_exit(WRONG);
		try(operate, nth);
	}
	end = ended(pid);
	tally->trials++;
	tally->kills += end == -SIGKILL;
	unlink(NAME);
	unlink(OTHER_NAME);
	rmdir(NAME);
	need(ftruncate(file, FILE_PAGES * PAGE) == 0);
	return end;
}

/* What is missing after a trial may be kept for the next one; missing again, it is lost. */
static void
nothing_is_lost(const char *name, operation *prepare, operation *operate, unsigned long nth,
		struct books *before)
{
	bool good = balances(before);
	int end = 0;

	if (!good) {
		*before = look();
		end = trial(prepare, operate, nth);
		good = balances(before);
		*before = look();
	}
	if (!ktap_check(good, __FILE__, __LINE__))
		printf("%s, request %lu: memory is missing (ended with %d)\n", name, nth, end);
}

static void
every_request(const char *name, operation *prepare, operation *operate)
{
	struct books before;
	int end = NOT_REACHED;

	*tally = (struct tally){ 0 };
	/* At first some memory is taken that is kept. */
	for (int i = 0; i < 3; i++)
		is(trial(prepare, operate, MOST_REQUESTS), NOT_REACHED);
	if (!supported)
		return;
	before = look();
	for (unsigned long nth = 1; nth < MOST_REQUESTS; nth++) {
		end = trial(prepare, operate, nth);
		if (!ktap_check(end == SURVIVED || end == NOT_REACHED || end == -SIGKILL, __FILE__,
				__LINE__))
			printf("%s, request %lu: ended with %d\n", name, nth, end);
		nothing_is_lost(name, prepare, operate, nth, &before);
		if (end == NOT_REACHED)
			break;
	}
	is(end, NOT_REACHED);
	printf("# %s: %u requests, %u errors, %u killed\n", name, tally->trials - 4, tally->errors,
	       tally->kills);
}

#define EVERY_REQUEST(prepare, operate) every_request(#operate, prepare, operate)

static void
begin(void)
{
	tally = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(tally != MAP_FAILED);
	supported = access("/proc/self/fail-nth", W_OK) == 0;
	memory = map(MEMORY_PAGES);
	memset(memory, 1, MEMORY_PAGES * PAGE);
	file = file_of(FILE_PAGES);
	if (supported)
		(void)look(); /* so that what it uses is there */
}

CASE(what_may_be_written)
{
	int fd = open("/proc/self/fail-nth", O_RDWR);

	if (fd < 0)
		return;
	fails(write(fd, "x", 1), EINVAL);
	fails(write(fd, "-1", 2), EINVAL);
	fails(write(fd, "1111111111111111111111111", 25), EINVAL);
	is(pwrite(fd, "12\n", 3, 0), 3);
	char left[4] = "";
	is(pread(fd, left, sizeof(left), 0), 3);
	yes(!strcmp(left, "12\n"));
	is(pwrite(fd, "0", 1, 0), 1);
}

/* ---- Faults --------------------------------------------------------------------------------- */

static volatile char *spot; /* what is touched */

static int
at_fresh(void)
{
	spot = map(1);
	return 0;
}

/* Where no table is yet, but the uppermost. */
static int
at_far(void)
{
	spot = mmap((void *)0x200000000000, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return spot == MAP_FAILED;
}

static int
at_zeroes(void)
{
	spot = map(1);
	return *spot;
}

static int
at_copied(void)
{
	spot = memory;
	return 0;
}

static int
at_file(int prot, int flags)
{
	char *start = mmap(NULL, FILE_PAGES * PAGE, prot, flags, file, 0);

	spot = start + 20 * PAGE;
	return start == MAP_FAILED;
}

static int
at_private_file(void)
{
	return at_file(PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static int
at_private_file_read(void)
{
	return at_private_file() || *spot != 21;
}

static int
at_shared_file(void)
{
	return at_file(PROT_READ | PROT_WRITE, MAP_SHARED);
}

/* Where the file has no page yet, and has it no more when the trial is over. */
static int
at_hole(void)
{
	if (ftruncate(file, FILE_PAGES * PAGE) || ftruncate(file, 2 * FILE_PAGES * PAGE))
		return 1;
	spot = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, (FILE_PAGES + 3) * PAGE);
	return spot == MAP_FAILED;
}

static int
at_shared_memory(void)
{
	spot = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return spot == MAP_FAILED;
}

static int
at_stack(void)
{
	spot = (char *)__builtin_frame_address(0) - 100 * PAGE;
	return 0;
}

static int
read_there(void)
{
	(void)*spot;
	return 0;
}

static int
write_there(void)
{
	*spot = 5;
	return 0;
}

/* The kernel writes there, and reads. */
static int
read_to_there(void)
{
	return pread(file, (char *)spot, 1, 0) == 1 ? 0 : errno;
}

static int
write_from_there(void)
{
	return pwrite(file, (char *)spot, 1, 0) == 1 ? 0 : errno;
}

static void
each_access(operation *prepare, const char *what)
{
	every_request(what, prepare, read_there);
	every_request(what, prepare, write_there);
	every_request(what, prepare, read_to_there);
	every_request(what, prepare, write_from_there);
}

#define EACH_ACCESS(prepare) each_access(prepare, #prepare)

CASE(faults_of_anonymous_memory)
{
	begin();
	EACH_ACCESS(at_fresh);
	EACH_ACCESS(at_far);
	EACH_ACCESS(at_zeroes);
	EACH_ACCESS(at_copied);
	EACH_ACCESS(at_stack);
	if (supported) {
		every_request("killed", at_far, write_there);
		is(tally->kills, 4); /* three tables and a frame */
	}
}

CASE(faults_of_files)
{
	begin();
	EACH_ACCESS(at_private_file);
	EACH_ACCESS(at_private_file_read);
	EACH_ACCESS(at_shared_file);
	EACH_ACCESS(at_shared_memory);
}

CASE(faults_of_holes)
{
	begin();
	every_request("at_hole", at_hole, read_there);
}

/* ---- Memory calls ---------------------------------------------------------------------------- */

static int
outcome(bool good)
{
	return good ? 0 : errno;
}

static int
map_anonymous(void)
{
	char *fresh = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return outcome(fresh != MAP_FAILED && !munmap(fresh, 4 * PAGE));
}

static int
map_shared(void)
{
	char *fresh = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return outcome(fresh != MAP_FAILED && !munmap(fresh, 4 * PAGE));
}

static int
map_file(void)
{
	char *fresh = mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, file, 0);

	return outcome(fresh != MAP_FAILED && !munmap(fresh, 4 * PAGE));
}

static int
map_populated(void)
{
	char *fresh = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return outcome(fresh != MAP_FAILED && !munmap(fresh, 4 * PAGE));
}

static int
map_into_the_middle(void)
{
	return outcome(mmap(memory + 2 * PAGE, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, file,
			    0) != MAP_FAILED);
}

static int
unmap_the_middle(void)
{
	return outcome(!munmap(memory + 2 * PAGE, 2 * PAGE));
}

static int
protect_the_middle(void)
{
	return outcome(!mprotect(memory + 2 * PAGE, 2 * PAGE, PROT_READ));
}

static int
lock_the_middle(void)
{
	return outcome(!mlock(memory + 2 * PAGE, 2 * PAGE));
}

static int
advise_the_middle(void)
{
	return outcome(!madvise(memory + 2 * PAGE, 2 * PAGE, MADV_DONTFORK));
}

static int
move_the_middle(void)
{
	static char *place;

	if (!place)
		place = mmap(NULL, 600 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED || place == NULL) {
		place = NULL;
		return errno;
	}
	return outcome(mremap(memory + 2 * PAGE, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			      place + 299 * PAGE) != MAP_FAILED);
}

static int
grow_the_heap(void)
{
	char *before = (char *)syscall(SYS_brk, 0), *end = before + 4 * PAGE;

	if ((char *)syscall(SYS_brk, end) != end)
		return ENOMEM;
	*before = 1;
	return (char *)syscall(SYS_brk, before) == before ? 0 : ENOMEM;
}

CASE(calls_that_map)
{
	begin();
	EVERY_REQUEST(NULL, map_anonymous);
	EVERY_REQUEST(NULL, map_shared);
	EVERY_REQUEST(NULL, map_file);
	EVERY_REQUEST(NULL, map_populated);
	EVERY_REQUEST(NULL, map_into_the_middle);
	EVERY_REQUEST(NULL, move_the_middle);
	EVERY_REQUEST(NULL, grow_the_heap);
}

CASE(calls_that_split)
{
	begin();
	EVERY_REQUEST(NULL, unmap_the_middle);
	EVERY_REQUEST(NULL, protect_the_middle);
	EVERY_REQUEST(NULL, lock_the_middle);
	EVERY_REQUEST(NULL, advise_the_middle);
	if (supported) {
		every_request("two more regions", NULL, protect_the_middle);
		is(tally->errors, 2);
	}
}

/* ---- Processes and threads ------------------------------------------------------------------- */

static int
fork_and_wait(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return outcome(pid > 0 && ended(pid) == 0);
}

static int
vfork_and_wait(void)
{
	pid_t pid = vfork();

	if (pid == 0)
		_exit(0);
	return outcome(pid > 0 && ended(pid) == 0);
}

static void *
end_at_once(void *arg)
{
	return arg;
}

static int
start_thread(void)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, end_at_once, NULL);

	return error ? error : pthread_join(thread, NULL);
}

CASE(processes_and_threads)
{
	begin();
	EVERY_REQUEST(NULL, fork_and_wait);
	EVERY_REQUEST(NULL, vfork_and_wait);
	EVERY_REQUEST(NULL, start_thread);
}

/* ---- Programs -------------------------------------------------------------------------------- */

#define BASE 0x10000000ul

/*
 * pread(fd, stack, 8, 0); exit(first byte): what it reads of fail-nth is '0' if the request has
 * failed and it lives nevertheless. The number of fd comes at FD_AT.
 */
#define CODE                                                                                       \
	"\xbf....\x6a\x00\x48\x89\xe6\xba\x08\x00\x00\x00\x45\x31\xd2\xb8\x11\x00\x00\x00\x0f\x05" \
	"\x0f\xb6\x3c\x24\xb8\x3c\x00\x00\x00\x0f\x05"
#define FD_AT 1

struct program {
	Elf64_Ehdr header;
	Elf64_Phdr segment[2];
	char code[64];
	char data[64];
};

/* Of code, and of data most of which is zeroes that the file does not have. */
static void
write_program(const char *name, int type)
{
	struct program program = {
		.header = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = type,
			.e_machine = EM_X86_64,
			.e_version = EV_CURRENT,
			.e_entry = BASE + offsetof(struct program, code),
			.e_phoff = offsetof(struct program, segment),
			.e_ehsize = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.segment = { {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_vaddr = BASE,
			.p_filesz = sizeof(struct program),
			.p_memsz = sizeof(struct program),
			.p_align = PAGE,
		}, {
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W,
			.p_offset = offsetof(struct program, data),
			.p_vaddr = BASE + 16 * PAGE + offsetof(struct program, data),
			.p_filesz = sizeof(program.data),
			.p_memsz = 3 * PAGE,
			.p_align = PAGE,
		} },
	};
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	memcpy(program.code, CODE, sizeof(CODE) - 1);
	memcpy(program.code + FD_AT, &fail_nth, sizeof(fail_nth));
	need(fd >= 0 && write(fd, &program, sizeof(program)) == sizeof(program));
	need(close(fd) == 0);
}

static int
static_program(void)
{
	write_program(NAME, ET_EXEC);
	return 0;
}

static int
relocatable_program(void)
{
	write_program(NAME, ET_DYN);
	return 0;
}

static int
script(void)
{
	static const char line[] = "#! " OTHER_NAME " -argument\n";
	int fd = open(NAME, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	write_program(OTHER_NAME, ET_EXEC);
	need(fd >= 0 && write(fd, line, sizeof(line)) == sizeof(line) && close(fd) == 0);
	return 0;
}

/* With enough arguments and environment for several pages of stack. */
static int
execute(void)
{
	static char word[600];
	char *words[12];

	memset(word, 'x', sizeof(word) - 1);
	for (int i = 0; i < 11; i++)
		words[i] = word;
	words[11] = NULL;
	execve(NAME, words, words);
	return errno;
}

/* How a program ends says how far it got: it cannot say so itself. */
static void
every_request_of_exec(const char *name, operation *prepare)
{
	struct books before;
	unsigned long nth = 1;
	int end = 0;

	*tally = (struct tally){ 0 };
	for (int i = 0; i < 3; i++)
		end = trial(prepare, execute, MOST_REQUESTS);
	if (!supported) {
		is(end, 0);
		return;
	}
	before = look();
	for (; nth < MOST_REQUESTS; nth++) {
		end = trial(prepare, execute, nth);
		if (end > '0' && end <= '9')
			break;
		if (!ktap_check(end == '0' || end == -SIGKILL, __FILE__, __LINE__))
			printf("%s, request %lu: ended with %d\n", name, nth, end);
		nothing_is_lost(name, prepare, execute, nth, &before);
	}
	yes(nth < MOST_REQUESTS);
	yes(tally->errors > 10);
	yes(tally->kills > 0);
	printf("# %s: %lu requests, %u errors, %u killed\n", name, nth - 1, tally->errors,
	       tally->kills);
}

CASE(execution)
{
	begin();
	every_request_of_exec("static", static_program);
	every_request_of_exec("relocatable", relocatable_program);
	every_request_of_exec("script", script);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static int
create_and_remove(void)
{
	int fd = open(NAME, O_RDWR | O_CREAT, 0600), error;

	if (fd < 0)
		return errno;
	error = outcome(write(fd, "", 1) == 1);
	close(fd);
	unlink(NAME);
	return error;
}

static int
write_much(void)
{
	static char bytes[8 * PAGE];
	int fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	ssize_t size;
	int error;

	if (fd < 0)
		return errno;
	size = pwrite(fd, bytes, sizeof(bytes), 100 * PAGE + 5);
	error = size < 0 ? errno : size < (ssize_t)sizeof(bytes) ? ENOSPC : 0;
	close(fd);
	unlink(NAME);
	return error;
}

static int
make_directory(void)
{
	int error = outcome(!mkdir(NAME, 0700));

	if (!error && rmdir(NAME)) {
		error = errno;
		rmdir(NAME);
	}
	return error;
}

static int
link_and_rename(void)
{
	int error = outcome(!symlink("/somewhere/else", NAME));

	if (error)
		return error;
	if (rename(NAME, OTHER_NAME)) {
		error = errno;
		unlink(NAME);
		return error;
	}
	if (!unlink(OTHER_NAME))
		return 0;
	error = errno;
	unlink(OTHER_NAME);
	return error;
}

/* What fails may be the unmounting: then it is done once more. */
static int
use_mount(void)
{
	int fd = open(NAME "/file", O_RDWR | O_CREAT, 0600);
	int error = outcome(fd >= 0 && write(fd, "", 1) == 1);

	if (fd >= 0)
		close(fd);
	if (!error)
		error = outcome(!link(NAME "/file", NAME "/again"));
	if (!umount(NAME))
		return error;
	error = errno;
	umount(NAME);
	return error;
}

static int
mount_memory(void)
{
	int error = outcome(!mkdir(NAME, 0700));

	if (error)
		return error;
	error = outcome(!mount("memory", NAME, "tmpfs", 0, "size=1m,nr_inodes=9"));
	if (!error)
		error = use_mount();
	if (error == EPERM) /* only root may, and not every one */
		error = 0;
	if (!rmdir(NAME))
		return error;
	error = errno;
	rmdir(NAME);
	return error;
}

static int
list_directory(void)
{
	DIR *directory = opendir("/bin");
	int error;

	if (!directory)
		return errno;
	errno = 0;
	while (readdir(directory))
		;
	error = errno;
	closedir(directory);
	return error;
}

static int
through_a_pipe(void)
{
	static char bytes[3 * PAGE];
	int end[2], error;

	if (pipe(end))
		return errno;
	error = outcome(write(end[1], bytes, sizeof(bytes)) == sizeof(bytes));
	if (!error)
		error = outcome(read(end[0], bytes, sizeof(bytes)) == sizeof(bytes));
	close(end[0]);
	close(end[1]);
	return error;
}

static int
count_events(void)
{
	int fd = eventfd(1, 0);

	return fd < 0 ? errno : outcome(!close(fd));
}

static int
read_signals(void)
{
	sigset_t none;
	int fd;

	sigemptyset(&none);
	fd = signalfd(-1, &none, 0);
	return fd < 0 ? errno : outcome(!close(fd));
}

static int
high_descriptor(void)
{
	int fd = dup2(file, 900);

	return fd < 0 ? errno : outcome(!close(fd));
}

static int
lock_ranges(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_len = 100 };
	int error = outcome(!fcntl(file, F_SETLK, &lock));

	lock = (struct flock){ .l_type = F_UNLCK, .l_start = 50, .l_len = 10 };
	if (!error)
		error = outcome(!fcntl(file, F_SETLK, &lock));
	return error ? error : outcome(!flock(file, LOCK_SH));
}

static int
poll_many(void)
{
	struct pollfd fds[200];

	for (int i = 0; i < 200; i++)
		fds[i] = (struct pollfd){ .fd = file, .events = POLLIN };
	return outcome(poll(fds, 200, 0) == 200);
}

static int
read_maps(void)
{
	static char text[PAGE];
	int fd = open("/proc/self/maps", O_RDONLY), error;

	if (fd < 0)
		return errno;
	error = outcome(read(fd, text, sizeof(text)) > 0);
	close(fd);
	return error;
}

static int
where_am_i(void)
{
	char path[200];

	return outcome(getcwd(path, sizeof(path)) && readlink("/proc/self/exe", path, 200) > 0);
}

CASE(calls_on_names)
{
	begin();
	EVERY_REQUEST(NULL, create_and_remove);
	EVERY_REQUEST(NULL, make_directory);
	EVERY_REQUEST(NULL, link_and_rename);
	EVERY_REQUEST(NULL, mount_memory);
	EVERY_REQUEST(NULL, list_directory);
	EVERY_REQUEST(NULL, where_am_i);
}

CASE(calls_on_open_files)
{
	begin();
	EVERY_REQUEST(NULL, write_much);
	EVERY_REQUEST(NULL, through_a_pipe);
	EVERY_REQUEST(NULL, count_events);
	EVERY_REQUEST(NULL, read_signals);
	EVERY_REQUEST(NULL, high_descriptor);
	EVERY_REQUEST(NULL, lock_ranges);
	EVERY_REQUEST(NULL, poll_many);
	EVERY_REQUEST(NULL, read_maps);
}
