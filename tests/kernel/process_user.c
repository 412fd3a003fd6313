/* SPDX-License-Identifier: MIT */
/* Running functions of tests in user mode. See process_user.h. */
#include <abi/mman.h>
#include <page_allocator.h>

#include "process_user.h"

#define LEAK_ROUNDS 40
#define KEPT_FRAMES 24 /* by caches and page lists: less than one for each round */

/* Set by process_run() for user_test_main(); one program at a time. */
static struct {
	const void *start;
	user_fn *program;
	uintptr_t from; /* where the code is copied from */
	const void *data;
	size_t size;
	int error;
} request;

static int
map(uintptr_t at, size_t size, unsigned prot)
{
	return space_map(process_current()->space, &at, size, prot,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0,
			 PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int
set_up(void)
{
	int error = map(CODE, CODE_SIZE, PROT_READ | PROT_WRITE);

	if (!error)
		error = map(DATA, DATA_SIZE, PROT_READ | PROT_WRITE);
	if (!error)
		error = space_map_stack(process_current()->space, STACK_TOP, KiB(256));
	if (!error)
		error = copy_to_user(CODE, (const void *)request.from, CODE_SIZE);
	if (!error)
		error =
		    space_protect(process_current()->space, CODE, CODE_SIZE, PROT_READ | PROT_EXEC);
	if (!error && request.size)
		error = copy_to_user(DATA, request.data, request.size);
	return error;
}

static uintptr_t
copy_of(const void *function)
{
	return (uintptr_t)function - request.from + CODE;
}

static void
user_test_main(void *arg)
{
	uintptr_t program = copy_of((const void *)request.program);
	uintptr_t sp = STACK_TOP - 64 - sizeof(program);

	(void)arg;
	request.error = set_up();
	if (!request.error)
		request.error = copy_to_user(sp, &program, sizeof(program));
	if (request.error)
		user_thread_exit(1);
	arch_user_start(thread_current(), copy_of(request.start), sp);
	arch_user_enter();
}

struct wait_status
process_run_from(struct ktest *t, const void *start, user_fn *program, const void *data,
		 size_t size)
{
	struct wait_status status;

	request.start = start;
	request.program = program;
	request.from = ALIGN_DOWN((uintptr_t)start - CODE_SIZE / 2, PAGE_SIZE);
	request.data = data;
	request.size = size;
	assert_true(t, copy_of((const void *)program) - CODE < CODE_SIZE);
	assert_true(t, process_make_first(user_test_main) != NULL);
	status = process_wait_first();
	assert_eq(t, request.error, 0);
	return status;
}

/* The first time, caches take frames that they keep. */
void
expect_no_leak(struct ktest *t, void (*fn)(struct ktest *t))
{
	size_t before;

	for (unsigned i = 0; i < 3; i++)
		fn(t);
	before = page_allocator_nr_free();
	for (unsigned i = 0; i < LEAK_ROUNDS; i++)
		fn(t);
	expect_le(t, before, page_allocator_nr_free() + KEPT_FRAMES);
}
