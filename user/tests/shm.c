/* SPDX-License-Identifier: MIT */
/* Shared memory by number and by name: System V segments, and shm_open(). */
#include "ktap.h"

#include <fcntl.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/stat.h>

static key_t
fresh_key(void)
{
	return (key_t)(0x1b050000 + getpid());
}

CASE(written_by_one_read_by_another)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE, IPC_CREAT | 0600), status;
	char *memory = shmat(id, NULL, 0);

	need(id >= 0 && memory != (void *)-1);
	is(memory[2 * PAGE], 0);
	if (fork() == 0) {
		char *again = shmat(id, NULL, 0);

		memory[PAGE] = 'a';
		again[2 * PAGE] = 'b';
		_exit(again[PAGE] == 'a' ? 0 : 1);
	}
	yes(wait(&status) > 0);
	is(status, 0);
	is(memory[PAGE], 'a');
	is(memory[2 * PAGE], 'b');
	is(shmdt(memory), 0);
	faults(READ, memory, SIGSEGV, SEGV_MAPERR);
	is(shmctl(id, IPC_RMID, NULL), 0);
	fails(shmat(id, NULL, 0), EINVAL);
}

CASE(by_key)
{
	key_t key = fresh_key();
	int id = shmget(key, 100, IPC_CREAT | IPC_EXCL | 0640);

	need(id >= 0);
	is(shmget(key, 100, 0), id);
	is(shmget(key, 0, 0), id);
	is(shmget(key, 100, IPC_CREAT), id);
	fails(shmget(key, 100, IPC_CREAT | IPC_EXCL), EEXIST);
	fails(shmget(key, PAGE + 1, 0), EINVAL);
	is(shmctl(id, IPC_RMID, NULL), 0);
	fails(shmget(key, 100, 0), ENOENT);
	fails(shmget(key, 0, IPC_CREAT), EINVAL);
}

CASE(described)
{
	int id = shmget(fresh_key(), 5000, IPC_CREAT | 0604);
	struct shmid_ds what;
	char *first, *second;

	need(id >= 0);
	is(shmctl(id, IPC_STAT, &what), 0);
	is(what.shm_segsz, 5000);
	is(what.shm_perm.mode, 0604);
	is(what.shm_nattch, 0);
	is(what.shm_cpid, getpid());
	is(what.shm_atime, 0);
	first = shmat(id, NULL, 0);
	second = shmat(id, NULL, SHM_RDONLY);
	need(first != (void *)-1 && second != (void *)-1);
	is(shmctl(id, IPC_STAT, &what), 0);
	is(what.shm_nattch, 2);
	is(what.shm_lpid, getpid());
	yes(what.shm_atime != 0);
	first[4999] = 7;
	is(second[4999], 7);
	faults(WRITE, second, SIGSEGV, SEGV_ACCERR);
	is(shmdt(first), 0);
	what.shm_perm.mode = 0600;
	is(shmctl(id, IPC_SET, &what), 0);
	is(shmctl(id, IPC_STAT, &what), 0);
	is(what.shm_perm.mode, 0600);
	is(what.shm_nattch, 1);
	yes(what.shm_dtime != 0);
	is(shmctl(id, IPC_RMID, NULL), 0);
	is(second[4999], 7); /* until the last has left it */
	is(shmctl(id, IPC_STAT, &what), 0);
	yes(what.shm_perm.mode & 01000 /* SHM_DEST */);
	is(shmdt(second), 0);
	fails(shmctl(id, IPC_STAT, &what), EINVAL);
}

CASE(where)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	char *hole = map(4), *memory;

	need(id >= 0);
	is(munmap(hole, 4 * PAGE), 0);
	fails(shmat(id, hole + 1, 0), EINVAL);
	memory = shmat(id, hole + PAGE + 1, SHM_RND);
	yes(memory == hole + PAGE);
	fails(shmat(id, hole + PAGE, 0), EINVAL);
	yes(shmat(id, hole + PAGE, SHM_REMAP) == memory);
	fails(shmdt(hole), EINVAL);
	fails(shmdt(memory + 1), EINVAL);
	is(shmdt(memory), 0);
	fails(shmdt(memory), EINVAL);
	is(shmctl(id, IPC_RMID, NULL), 0);
}

/* What has been unmapped or mapped over in between stays as it is. */
CASE(detached_in_pieces)
{
	int id = shmget(IPC_PRIVATE, 5 * PAGE, IPC_CREAT | 0600);
	char *memory = shmat(id, NULL, 0);
	struct shmid_ds what;

	need(id >= 0 && memory != (void *)-1);
	is(munmap(memory + PAGE, PAGE), 0);
	need(mmap(memory + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	memory[3 * PAGE] = 9;
	is(shmdt(memory), 0);
	is(memory[3 * PAGE], 9);
	faults(READ, memory, SIGSEGV, SEGV_MAPERR);
	faults(READ, memory + 4 * PAGE, SIGSEGV, SEGV_MAPERR);
	is(shmctl(id, IPC_STAT, &what), 0);
	is(what.shm_nattch, 0);
	is(shmctl(id, IPC_RMID, NULL), 0);
}

CASE(given_up_by_exit)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600), status;
	struct shmid_ds what;

	need(id >= 0);
	if (fork() == 0) {
		need(shmat(id, NULL, 0) != (void *)-1);
		is(shmctl(id, IPC_RMID, NULL), 0);
		_exit(0);
	}
	yes(wait(&status) > 0);
	is(status, 0);
	fails(shmctl(id, IPC_STAT, &what), EINVAL);
}

CASE(refused)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);

	need(id >= 0);
	fails(shmat(-1, NULL, 0), EINVAL);
	fails(shmat(id + 12345, NULL, 0), EINVAL);
	fails(shmctl(id, 99, NULL), EINVAL);
	fails(shmctl(id, IPC_STAT, (void *)8), EFAULT);
	fails(shmget(IPC_PRIVATE, 0, 0600), EINVAL);
	fails(shmdt((void *)PAGE), EINVAL);
	is(shmctl(id, IPC_RMID, NULL), 0);
}

CASE(by_name)
{
	char name[32], *memory;
	int fd, status;
	struct stat what;

	sprintf(name, "/test-%d", (int)getpid());
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	need(fd >= 0);
	fails(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	is(ftruncate(fd, 2 * PAGE), 0);
	memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(memory != MAP_FAILED);
	if (fork() == 0) {
		int own = shm_open(name, O_RDWR, 0);
		char *again = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);

		again[PAGE] = 'x';
		_exit(0);
	}
	yes(wait(&status) > 0);
	is(status, 0);
	is(memory[PAGE], 'x');
	is(fstat(fd, &what), 0);
	is(what.st_size, 2 * PAGE);
	is(shm_unlink(name), 0);
	fails(shm_unlink(name), ENOENT);
	is(memory[PAGE], 'x');
}

/* ---- What there is ------------------------------------------------------------------------- */

CASE(all_segments)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE - 1, IPC_CREAT | 0600), found = -1, highest;
	struct shm_info sums = { 0 };
	struct shminfo limits = { 0 };
	struct shmid_ds what;
	unsigned long size_max = 0;
	char line[400];
	FILE *file;

	need(id >= 0);
	char *memory = shmat(id, NULL, 0);
	need(memory != (void *)-1);
	memory[0] = memory[PAGE] = 1;
	highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&sums);
	yes(highest >= 0);
	yes(sums.used_ids >= 1 && sums.shm_tot >= 3 && sums.shm_rss >= 2);
	is(shmctl(0, IPC_INFO, (struct shmid_ds *)&limits), highest);
	yes(limits.shmmax > 1 << 30 && limits.shmmin == 1 && limits.shmmni >= 4096);
	file = fopen("/proc/sys/kernel/shmmax", "r");
	need(file && fscanf(file, "%lu", &size_max) == 1);
	is(size_max, limits.shmmax);
	fclose(file);
	for (int place = 0; place <= highest; place++)
		if (shmctl(place, SHM_STAT, &what) == id)
			found = place;
	need(found >= 0);
	is(shmctl(found, SHM_STAT, &what), id);
	is(what.shm_segsz, 3 * PAGE - 1);
	is(what.shm_nattch, 1);
	fails(shmctl(highest + 1, SHM_STAT, &what), EINVAL);
	fails(shmctl(found, SHM_STAT, (void *)8), EFAULT);
	fails(shmctl(0, SHM_INFO, (void *)8), EFAULT);
	file = fopen("/proc/sysvipc/shm", "r");
	need(file);
	found = 0;
	while (fgets(line, sizeof(line), file)) {
		int key, number;
		unsigned mode;
		unsigned long size, attached;

		if (sscanf(line, "%d %d %o %lu %*d %*d %lu", &key, &number, &mode, &size,
			   &attached) == 5 &&
		    number == id)
			found = key == IPC_PRIVATE && mode == 0600 && size == 3 * PAGE - 1 &&
				attached == 1;
	}
	yes(found);
	is(shmctl(id, IPC_RMID, NULL), 0);
	is(shmdt(memory), 0);
}

/* ---- Limits that may be set --------------------------------------------------------------------
 */

/* What a file of /proc/sys/kernel says; and what it is to say. */
static unsigned long
limit(const char *name, const char *value)
{
	char path[64], text[32];
	unsigned long now = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	file = fopen(path, value ? "r+" : "r");
	need(file && fgets(text, sizeof(text), file));
	now = strtoul(text, NULL, 10);
	rewind(file);
	if (value)
		need(fputs(value, file) >= 0 && fflush(file) == 0);
	fclose(file);
	return now;
}

CASE(size_and_number_are_limited)
{
	char before[32];
	int id;

	if (getuid() != 0)
		skip("only the superuser can set limits");
	snprintf(before, sizeof(before), "%lu", limit("shmmax", "8192"));
	is(limit("shmmax", NULL), 8192);
	fails(shmget(IPC_PRIVATE, 8193, 0600), EINVAL);
	id = shmget(IPC_PRIVATE, 8192, 0600);
	yes(id >= 0);
	limit("shmmax", before);
	is(shmctl(id, IPC_RMID, NULL), 0);
	snprintf(before, sizeof(before), "%lu", limit("shmmni", "0"));
	fails(shmget(IPC_PRIVATE, 1, 0600), ENOSPC);
	limit("shmmni", before);
	snprintf(before, sizeof(before), "%lu", limit("shmall", "0"));
	fails(shmget(IPC_PRIVATE, 1, 0600), ENOSPC);
	limit("shmall", before);
	id = shmget(IPC_PRIVATE, 8193, 0600);
	yes(id >= 0);
	is(shmctl(id, IPC_RMID, NULL), 0);
}
