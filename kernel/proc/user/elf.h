/* SPDX-License-Identifier: MIT */
/*
 * Executable files: ELF for x86-64, System V ABI, chapter 5. Pure functions of bytes, which also
 * run on the host: tests/host/fuzz/fuzz_elf.c.
 */
#ifndef ELF_H
#define ELF_H

#include <types.h>

#define ELF_SEGMENTS_MAX 16 /* that are loaded */
#define ELF_HEADERS_MAX	 64

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF64");

struct elf_program_header {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_program_header) == 56, "ELF64");

/* Part of a file that is to be mapped: offset and vaddr agree modulo PAGE_SIZE. */
struct elf_segment {
	uintptr_t vaddr;
	uint64_t offset;
	size_t file_size, memory_size; /* what the file does not have is zeroes */
	unsigned prot;		       /* PROT_* */
};

struct elf_image {
	bool relocatable; /* ET_DYN: all addresses are relative to where it is put */
	uintptr_t entry;
	uintptr_t low, high; /* [low, high) is what all segments span, whole pages */
	uintptr_t headers;   /* where the program headers lie in memory, or 0 */
	unsigned nr_headers;
	bool executable_stack; /* it asks for one */
	uint64_t
	    interpreter_offset; /* where the file names its interpreter, if the size is not 0 */
	uint64_t interpreter_size;
	unsigned nr_segments;
	struct elf_segment segment[ELF_SEGMENTS_MAX];
};

/*
 * Is that the header of a program for this machine? 0 or -ENOEXEC. Then phnum program headers,
 * at most ELF_HEADERS_MAX, begin at byte phoff of the file.
 */
int elf_check_header(const struct elf_header *header) __must_check;

/*
 * Find out what to load. Returns 0, or -ENOEXEC for what is damaged or not supported; every number
 * in *image has been checked: segments rise, do not overlap, and lie in [USER_MIN, USER_WINDOW), or
 * could be put there if relocatable.
 */
int elf_parse(const struct elf_header *header, const struct elf_program_header *headers,
	      struct elf_image *image) __must_check;

#endif
