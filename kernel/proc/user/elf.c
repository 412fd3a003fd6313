/* SPDX-License-Identifier: MIT */
/*
 * Reading the headers of an executable file.
 *
 * Whoever wrote the file chose every number in it. So each is compared with its limits before
 * it is used, and additions cannot wrap: after elf_parse() the loader need not doubt anything.
 *
 *	file      | header | program headers | text | data |
 *	                                        |      |       bss: more memory than file
 *	memory    low                        | text | data ....| high
 *
 * What is not supported, and refused: other machines, and data without room for its zeroes.
 *
 * Source: Tool Interface Standard, ELF Specification 1.2; System V ABI, AMD64 supplement.
 */
#include <abi/mman.h>
#include <address_space.h>
#include <errno.h>
#include <string.h>

#include "elf.h"

#define ELFCLASS64  2
#define ELFDATA2LSB 1
#define EV_CURRENT  1
#define ET_EXEC	    2
#define ET_DYN	    3
#define EM_X86_64   62

#define PT_LOAD	  1
#define PT_INTERP 3
#define PT_STACK  0x6474e551 /* PT_GNU_STACK: the rights of the stack */

#define PF_X 1u
#define PF_W 2u
#define PF_R 4u

int
elf_check_header(const struct elf_header *header)
{
	static const uint8_t magic[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT };

	if (memcmp(header->ident, magic, sizeof(magic)) != 0)
		return -ENOEXEC;
	if (header->type != ET_EXEC && header->type != ET_DYN)
		return -ENOEXEC;
	if (header->machine != EM_X86_64 || header->version != EV_CURRENT)
		return -ENOEXEC;
	if (header->phentsize != sizeof(struct elf_program_header))
		return -ENOEXEC;
	if (header->phnum < 1 || header->phnum > ELF_HEADERS_MAX || header->phoff > INT64_MAX)
		return -ENOEXEC;
	return 0;
}

static unsigned
prot_of(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

/* Append a segment that is to be loaded. */
static int
add_segment(struct elf_image *image, const struct elf_program_header *header)
{
	struct elf_segment *last = &image->segment[image->nr_segments];
	uintptr_t end, floor = image->relocatable ? 0 : USER_MIN;

	if (header->memsz == 0)
		return 0;
	if (image->nr_segments == ELF_SEGMENTS_MAX || header->filesz > header->memsz)
		return -ENOEXEC;
	if (header->vaddr < floor || __builtin_add_overflow(header->vaddr, header->memsz, &end) ||
	    end > USER_WINDOW)
		return -ENOEXEC;
	if ((header->vaddr - header->offset) % PAGE_SIZE != 0 || header->offset > INT64_MAX ||
	    header->filesz > INT64_MAX - header->offset)
		return -ENOEXEC;
	if (image->nr_segments > 0 && header->vaddr < last[-1].vaddr + last[-1].memory_size)
		return -ENOEXEC;
	/* The end of the last page of file is to be cleared. */
	if (header->filesz < header->memsz && !(header->flags & PF_W))
		return -ENOEXEC;
	*last = (struct elf_segment){
		.vaddr = header->vaddr,
		.offset = header->offset,
		.file_size = header->filesz,
		.memory_size = header->memsz,
		.prot = prot_of(header->flags),
	};
	image->nr_segments++;
	return 0;
}

/* The segment that holds size bytes of the file at offset shows them in memory, too. */
static uintptr_t
address_of(const struct elf_image *image, uint64_t offset, size_t size)
{
	for (unsigned i = 0; i < image->nr_segments; i++) {
		const struct elf_segment *segment = &image->segment[i];

		if (offset >= segment->offset && size <= segment->file_size &&
		    offset - segment->offset <= segment->file_size - size)
			return segment->vaddr + (offset - segment->offset);
	}
	return 0;
}

int
elf_parse(const struct elf_header *header, const struct elf_program_header *headers,
	  struct elf_image *image)
{
	const struct elf_segment *last;

	memset(image, 0, sizeof(*image));
	image->relocatable = header->type == ET_DYN;
	image->entry = header->entry;
	image->nr_headers = header->phnum;
	for (unsigned i = 0; i < header->phnum; i++) {
		if (headers[i].type == PT_INTERP) {
			image->interpreter_offset = headers[i].offset;
			image->interpreter_size = headers[i].filesz;
		}
		if (headers[i].type == PT_STACK)
			image->executable_stack = headers[i].flags & PF_X;
		if (headers[i].type == PT_LOAD && add_segment(image, &headers[i]))
			return -ENOEXEC;
	}
	if (image->nr_segments == 0)
		return -ENOEXEC;
	last = &image->segment[image->nr_segments - 1];
	image->low = ALIGN_DOWN(image->segment[0].vaddr, PAGE_SIZE);
	image->high = ALIGN_UP(last->vaddr + last->memory_size, PAGE_SIZE);
	if (image->entry >= USER_WINDOW)
		return -ENOEXEC;
	image->headers =
	    address_of(image, header->phoff, header->phnum * sizeof(struct elf_program_header));
	return 0;
}
