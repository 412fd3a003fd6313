/* SPDX-License-Identifier: MIT */
/*
 * Pipes: order and number of bytes, atomic small writes, ends that go, waiting and not waiting.
 */
#include <abi/poll.h>
#include <thread.h>

#include "fs_helpers.h"

#define PIPE_BYTES 65536

static void
make_pipe(struct ktest *t, unsigned flags, struct file *end[2])
{
	assert_eq(t, pipe_make(flags, end), 0);
}

static void
close_both(struct file *end[2])
{
	file_put(end[0]);
	file_put(end[1]);
}

KTEST(fs_pipe, bytes_come_in_order)
{
	struct file *end[2];
	char text[16];

	make_pipe(t, 0, end);
	expect_eq(t, write_bytes(end[1], "hello ", 6), 6);
	expect_eq(t, write_bytes(end[1], "world", 5), 5);
	expect_eq(t, read_bytes(end[0], text, 3), 3);
	expect_eq(t, read_bytes(end[0], text + 3, 13), 8);
	expect_true(t, memcmp(text, "hello world", 11) == 0);
	expect_eq(t, read_bytes(end[1], text, 1), -EBADF);
	expect_eq(t, write_bytes(end[0], text, 1), -EBADF);
	expect_eq(t, file_seek(end[0], 0, SEEK_CUR), -ESPIPE);
	close_both(end);
}

KTEST(fs_pipe, ends_that_go)
{
	struct file *end[2];
	char text[8];

	make_pipe(t, 0, end);
	expect_eq(t, write_bytes(end[1], "left", 4), 4);
	expect_eq(t, end[0]->ops->poll(end[0]), POLLIN | POLLRDNORM);
	file_put(end[1]);
	expect_eq(t, end[0]->ops->poll(end[0]), POLLIN | POLLRDNORM | POLLHUP);
	expect_eq(t, read_bytes(end[0], text, 8), 4);
	expect_eq(t, read_bytes(end[0], text, 8), 0);
	file_put(end[0]);

	make_pipe(t, 0, end);
	file_put(end[0]);
	expect_eq(t, end[1]->ops->poll(end[1]), POLLOUT | POLLWRNORM | POLLERR);
	expect_eq(t, write_bytes(end[1], "x", 1), -EPIPE);
	file_put(end[1]);
}

KTEST(fs_pipe, without_waiting)
{
	static char block[4096];
	struct file *end[2];
	unsigned written = 0;

	make_pipe(t, O_NONBLOCK, end);
	expect_eq(t, read_bytes(end[0], block, 1), -EAGAIN);
	while (write_bytes(end[1], block, sizeof(block)) == sizeof(block))
		written += sizeof(block);
	expect_eq(t, written, PIPE_BYTES);
	expect_eq(t, write_bytes(end[1], block, 1), -EAGAIN);
	expect_eq(t, end[1]->ops->poll(end[1]), 0);
	expect_eq(t, read_bytes(end[0], block, 100), 100);
	/* A small write is done whole or not at all, a large one as far as there is room. */
	expect_eq(t, write_bytes(end[1], block, 101), -EAGAIN);
	expect_eq(t, end[1]->ops->poll(end[1]), 0);
	expect_eq(t, read_bytes(end[0], block, 3996), 3996);
	expect_eq(t, end[1]->ops->poll(end[1]), POLLOUT | POLLWRNORM);
	close_both(end);
}

/* ---- Threads ------------------------------------------------------------------------------- */

#define STREAM 300000u

struct streaming {
	struct file *end;
	uint64_t seed;
	unsigned wrong;
};

static void
write_stream(void *arg)
{
	static uint8_t bytes[20000];
	struct streaming *s = arg;
	struct prng prng;
	unsigned at = 0;

	prng_seed(&prng, s->seed);
	while (at < STREAM) {
		size_t size = MIN(1 + prng_below(&prng, sizeof(bytes)), (uint64_t)(STREAM - at));

		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)((at + i) * 7);
		s->wrong += write_bytes(s->end, bytes, size) != (int64_t)size;
		at += (unsigned)size;
	}
	file_put(s->end);
}

KTEST(fs_pipe, long_stream, .budget_ms = 60000)
{
	static uint8_t bytes[20000];
	struct streaming writer = { .seed = t->seed };
	struct thread *thread;
	struct file *end[2];
	unsigned at = 0, wrong = 0;
	int64_t size;

	make_pipe(t, 0, end);
	writer.end = end[1];
	thread = thread_create("writer", write_stream, &writer, CPU_ANY);
	assert_true(t, thread != NULL);
	while ((size = read_bytes(end[0], bytes, 1 + prng_below(&t->prng, sizeof(bytes)))) > 0) {
		for (int64_t i = 0; i < size; i++)
			wrong += bytes[i] != (uint8_t)((at + (unsigned)i) * 7);
		at += (unsigned)size;
	}
	thread_join(thread);
	expect_eq(t, size, 0);
	expect_eq(t, at, STREAM);
	expect_eq(t, wrong + writer.wrong, 0);
	file_put(end[0]);
}

#define WRITERS 3
#define RECORDS 80
#define RECORD	1000

static void
write_records(void *arg)
{
	struct streaming *s = arg;
	char record[RECORD];

	memset(record, (int)s->seed, sizeof(record));
	for (unsigned i = 0; i < RECORDS; i++)
		s->wrong += write_bytes(s->end, record, RECORD) != RECORD;
	file_put(s->end);
}

/* Up to PIPE_BUF bytes are never torn apart, whoever writes at the same time. */
KTEST(fs_pipe, records_stay_whole, .budget_ms = 60000)
{
	struct streaming writers[WRITERS];
	struct thread *threads[WRITERS];
	unsigned got = 0, torn = 0;
	struct file *end[2];
	char record[RECORD];

	make_pipe(t, 0, end);
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct streaming){ .end = file_get(end[1]), .seed = 'a' + i };
		threads[i] = thread_create("writer", write_records, &writers[i], CPU_ANY);
	}
	file_put(end[1]);
	while (read_bytes(end[0], record, RECORD) == RECORD) {
		for (unsigned i = 1; i < RECORD; i++)
			torn += record[i] != record[0];
		got++;
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		thread_join(threads[i]);
		torn += writers[i].wrong;
	}
	expect_eq(t, got, WRITERS * RECORDS);
	expect_eq(t, torn, 0);
	file_put(end[0]);
}

/* ---- Named pipes --------------------------------------------------------------------------- */

static void
open_and_write(void *arg)
{
	struct file *file;

	(void)arg;
	if (open_at_path("/fs_fifo", O_WRONLY, &file) == 0) {
		(void)write_bytes(file, "named", 5);
		file_put(file);
	}
}

static void
make_fifo(struct ktest *t)
{
	struct dentry *made = NULL;

	mutex_lock(&names_lock);
	expect_eq(t,
		  name_create_locked(root_dentry, "fs_fifo", 7, ramfs_create(S_IFIFO | 0600, 0),
				     &made),
		  0);
	mutex_unlock(&names_lock);
	dentry_put(made);
}

KTEST(fs_pipe, named_pipes_wait_for_each_other, .budget_ms = 10000)
{
	struct thread *thread;
	struct file *file;
	char text[8];

	make_fifo(t);
	expect_eq(t, open_at_path("/fs_fifo", O_WRONLY | O_NONBLOCK, &file), -ENXIO);
	thread = thread_create("writer", open_and_write, NULL, CPU_ANY);
	assert_eq(t, open_at_path("/fs_fifo", O_RDONLY, &file), 0);
	expect_eq(t, read_bytes(file, text, sizeof(text)), 5);
	thread_join(thread);
	expect_eq(t, read_bytes(file, text, sizeof(text)), 0);
	file_put(file);
	expect_eq(t, open_at_path("/fs_fifo", O_RDONLY | O_NONBLOCK, &file), 0);
	expect_eq(t, read_bytes(file, text, sizeof(text)), 0);
	file_put(file);
	expect_eq(t, remove_path("/fs_fifo", false), 0);
}

#define MEETINGS 150

static bool enough; /* atomic: the reader wants no more */

static void
write_often(void *arg)
{
	while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE)) {
		open_and_write(arg);
		thread_yield();
	}
}

/*
 * A writer that is gone before the reader looks has been there all the same: no opening waits
 * for ever. Bytes may be lost, as a reader may leave between a writer's opening and its writing.
 */
KTEST(fs_pipe, named_pipes_meet_often, .budget_ms = 30000)
{
	struct thread *thread;
	struct file *file;
	unsigned got = 0;

	make_fifo(t);
	enough = false;
	thread = thread_create("writer", write_often, NULL, CPU_ANY);
	assert_true(t, thread != NULL);
	for (unsigned i = 0; i < MEETINGS; i++) {
		char text[8];
		int64_t size;

		assert_eq(t, open_at_path("/fs_fifo", O_RDONLY, &file), 0);
		while ((size = read_bytes(file, text, sizeof(text))) > 0)
			got += (unsigned)size;
		file_put(file);
	}
	expect_true(t, got > 0 && got % 5 == 0);
	__atomic_store_n(&enough, true, __ATOMIC_RELEASE);
	assert_eq(t, open_at_path("/fs_fifo", O_RDONLY | O_NONBLOCK, &file), 0);
	thread_join(thread); /* it may have waited for a reader */
	file_put(file);
	expect_eq(t, remove_path("/fs_fifo", false), 0);
}
