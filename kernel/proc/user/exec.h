/* SPDX-License-Identifier: MIT */
/* A program on its way into a process: exec.c, exec_args.c. */
#ifndef EXEC_H
#define EXEC_H

#include "elf.h"
#include "user.h"

struct exec {
	char path[PATH_MAX];	/* as the program was called: the script's, if it is one */
	char program[PATH_MAX]; /* what is loaded */
	struct exec_args *args;
	struct file *file;
	struct elf_image image;
	struct file *interpreter_file; /* NULL: none */
	struct elf_image interpreter;
	uintptr_t interpreter_base;
	struct address_space *space; /* the new one */
	uintptr_t base;		     /* added to all addresses of the image */
	struct space_layout layout;
	uintptr_t heap;
};

/* Put arguments, environment and auxiliary vector on the stack. 0 and the stack pointer, or
 * -EFAULT. */
int exec_fill_stack(const struct exec *exec, uintptr_t *stack) __must_check;

#endif
