/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/fail-nth: making a certain request for memory fail, as Linux has it when it is built
 * for that. What is written is a number n: the nth request that the thread makes from then on
 * fails. What is read is how many are left until then; 0: it has happened.
 *
 * So a program can have each request of a system call fail in turn, and see that the call says
 * ENOMEM, and leaves nothing behind. Neither reading nor writing makes such a request itself.
 */
#include <cmdline.h>
#include <page_allocator.h>
#include <printk.h>
#include <process.h>
#include <string.h>

#include "procfs.h"

#define NUMBER_SIZE 24 /* room for any, with what ends it */

static int64_t
fail_read(struct file *file, struct transfer *to, uint64_t offset)
{
	const struct thread *thread = process_thread((int)file->inode->private.number);
	char text[NUMBER_SIZE];
	size_t size;

	if (!thread)
		return -ESRCH;
	size = (size_t)ksnprintf(text, sizeof(text), "%lu\n",
				 (unsigned long)page_allocator_nth_fault(thread));
	if (offset >= size)
		return 0;
	return transfer_out_part(to, text + offset, MIN(to->left, size - offset));
}

static int64_t
fail_write(struct file *file, struct transfer *from, uint64_t *offset)
{
	const struct thread *thread = process_thread((int)file->inode->private.number);
	char text[NUMBER_SIZE];
	size_t size = from->left;
	uint64_t nth;

	(void)offset;
	if (!thread)
		return -ESRCH;
	if (size == 0 || size >= sizeof(text))
		return -EINVAL;
	if (transfer_in(from, text, size))
		return -EFAULT;
	text[text[size - 1] == '\n' ? size - 1 : size] = '\0';
	if (parse_u64(text, &nth))
		return -EINVAL;
	page_allocator_set_nth_fault(thread, nth);
	return (int64_t)size;
}

static const struct file_ops fail_ops = {
	.name = "fail-nth",
	.seekable = true,
	.read = fail_read,
	.write = fail_write,
};

const struct inode_ops proc_fail_ops = { .file_ops = &fail_ops };
