/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing the reader of executable files: any bytes are a file. What is accepted keeps all the
 * promises of elf.h, on which the loader relies without looking again.
 */
#include "../../../kernel/proc/user/elf.c"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(int condition)
{
	if (!condition)
		abort();
}

static void
check_image(const struct elf_image *image)
{
	uintptr_t last = image->relocatable ? 0 : USER_MIN;

	check(image->nr_segments >= 1 && image->nr_segments <= ELF_SEGMENTS_MAX);
	check(image->entry < USER_WINDOW);
	for (unsigned i = 0; i < image->nr_segments; i++) {
		const struct elf_segment *segment = &image->segment[i];

		check(segment->memory_size > 0 && segment->file_size <= segment->memory_size);
		check(segment->vaddr >= last && segment->vaddr < USER_WINDOW);
		check(segment->memory_size <= USER_WINDOW - segment->vaddr);
		check((segment->vaddr - segment->offset) % PAGE_SIZE == 0);
		check(segment->offset <= INT64_MAX &&
		      segment->file_size <= INT64_MAX - segment->offset);
		check(segment->file_size == segment->memory_size || segment->prot & PROT_WRITE);
		check(!(segment->prot & ~(unsigned)(PROT_READ | PROT_WRITE | PROT_EXEC)));
		last = segment->vaddr + segment->memory_size;
	}
	check(image->low % PAGE_SIZE == 0 && image->high % PAGE_SIZE == 0);
	check(image->low <= image->segment[0].vaddr && last <= image->high);
	check(image->high <= USER_WINDOW);
	check(!image->headers || (image->headers >= image->low && image->headers < image->high));
}

/*
 * Random bytes are hardly ever a header, and random numbers hardly ever fit. So the first bytes
 * choose how much is mended: the header, and the sizes of what the program headers say.
 */
static void
mend(struct elf_header *header, struct elf_program_header *program, uint8_t how)
{
	static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	memcpy(header->ident, ident, sizeof(ident));
	header->type = how & 1 ? ET_DYN : ET_EXEC;
	header->machine = EM_X86_64;
	header->version = EV_CURRENT;
	header->phentsize = sizeof(*program);
	header->phnum = (uint16_t)(how >> 1) % 8 + 1;
	header->phoff %= 4096;
	header->entry %= 1ul << (how >> 3);
	for (unsigned i = 0; i < header->phnum; i++) {
		if (!(how & 0x80))
			continue;
		program[i].type = program[i].type % 4;
		program[i].vaddr = (program[i].vaddr % 0x1000000) + i * 0x1000000;
		program[i].offset = (program[i].offset & ~0xffful) | (program[i].vaddr & 0xfff);
		program[i].memsz %= 0x1400000;
		program[i].filesz %= 0x1400000;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_program_header program[ELF_HEADERS_MAX];
	struct elf_header header;
	struct elf_image image;
	uint8_t how;

	if (size < 1 + sizeof(header))
		return 0;
	how = data[0];
	memcpy(&header, data + 1, sizeof(header));
	memset(program, 0, sizeof(program));
	memcpy(program, data + 1 + sizeof(header), MIN(size - 1 - sizeof(header), sizeof(program)));
	if (how)
		mend(&header, program, how);
	if (elf_check_header(&header))
		return 0;
	check(header.phnum >= 1 && header.phnum <= ELF_HEADERS_MAX);
	if (!elf_parse(&header, program, &image))
		check_image(&image);
	return 0;
}
