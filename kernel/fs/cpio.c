/* SPDX-License-Identifier: MIT */
/*
 * The archive format "newc" of cpio, which initrds come in.
 *
 *	+----------------+--------+-----+----------+-----+--
 *	| header, 110    | name   | pad | contents | pad | next header
 *	+----------------+--------+-----+----------+-----+--
 *
 * The header is text: a magic number and thirteen numbers of eight hexadecimal digits. Name and
 * contents are padded to a multiple of four. An entry called "TRAILER!!!" is the last; behind it
 * zeroes may follow, and then another archive, as they are strung together for Linux.
 *
 * The archive comes from outside: nothing in it is believed. Every size is compared with what is
 * left before it is used, in a form that cannot overflow, and damage is reported with its place.
 *
 * Source of the format: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
#include "cpio.h"

#include <errno.h>
#include <string.h>

#define HEADER_SIZE 110
#define NAME_LIMIT  4096 /* with its final 0 */

/* The numbers of a header, in order. */
enum {
	INODE,
	MODE,
	UID,
	GID,
	LINKS,
	MTIME,
	FILE_SIZE,
	MAJOR,
	MINOR,
	DEVICE_MAJOR,
	DEVICE_MINOR,
	NAME_SIZE,
	CHECKSUM,
	NR_NUMBERS,
};

void
cpio_begin(struct cpio_reader *reader, const void *archive, size_t size)
{
	*reader = (struct cpio_reader){ .archive = archive, .size = size };
}

static int
damaged(struct cpio_reader *reader, const char *problem)
{
	reader->problem = problem;
	return -EINVAL;
}

static int
hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
parse_numbers(const uint8_t *text, uint32_t number[NR_NUMBERS])
{
	for (unsigned i = 0; i < NR_NUMBERS; i++) {
		number[i] = 0;
		for (unsigned digit = 0; digit < 8; digit++) {
			int value = hex_digit(*text++);

			if (value < 0)
				return false;
			number[i] = number[i] << 4 | (uint32_t)value;
		}
	}
	return true;
}

static int
read_header(struct cpio_reader *reader, uint32_t number[NR_NUMBERS], bool *checksum)
{
	const uint8_t *header = reader->archive + reader->at;

	if (reader->size - reader->at < HEADER_SIZE)
		return damaged(reader, "the archive ends without a trailer");
	if (memcmp(header, "07070", 5) != 0 || (header[5] != '1' && header[5] != '2'))
		return damaged(reader, "not a header of cpio's newc format");
	*checksum = header[5] == '2';
	if (!parse_numbers(header + 6, number))
		return damaged(reader, "a header holds what is no number");
	return 0;
}

/* From here, size bytes and padding to a multiple of four: where they end, or SIZE_MAX. */
static size_t
end_of(const struct cpio_reader *reader, size_t at, size_t size)
{
	if (at > reader->size || size > reader->size - at)
		return SIZE_MAX;
	return MIN(ALIGN_UP(at + size, 4ul), reader->size);
}

static bool
checksum_holds(const struct cpio_entry *entry, uint32_t checksum)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < entry->size; i++)
		sum += entry->data[i];
	return sum == checksum;
}

static int
read_name(struct cpio_reader *reader, size_t size, struct cpio_entry *entry, size_t *end)
{
	size_t at = reader->at + HEADER_SIZE;

	if (size < 2 || size > NAME_LIMIT)
		return damaged(reader, "a name is empty or too long");
	*end = end_of(reader, at, size);
	if (*end == SIZE_MAX)
		return damaged(reader, "the archive ends in a name");
	entry->name = (const char *)reader->archive + at;
	entry->name_size = size - 1;
	if (strnlen(entry->name, size) != size - 1)
		return damaged(reader, "a name does not end where it should");
	return 0;
}

/* Behind a trailer: the next archive, if there is one. */
static bool
find_next_archive(struct cpio_reader *reader)
{
	while (reader->at < reader->size && reader->archive[reader->at] == 0)
		reader->at++;
	return reader->at < reader->size;
}

int
cpio_next(struct cpio_reader *reader, struct cpio_entry *entry)
{
	uint32_t number[NR_NUMBERS];
	size_t data, end;
	bool checksum;

	for (;;) {
		if (read_header(reader, number, &checksum) ||
		    read_name(reader, number[NAME_SIZE], entry, &data))
			return -EINVAL;
		end = end_of(reader, data, number[FILE_SIZE]);
		if (end == SIZE_MAX)
			return damaged(reader, "the archive ends in a file");
		if (strcmp(entry->name, "TRAILER!!!") != 0)
			break;
		reader->at = end;
		if (!find_next_archive(reader))
			return 0;
	}
	entry->inode = number[INODE];
	entry->mode = number[MODE];
	entry->uid = number[UID];
	entry->gid = number[GID];
	entry->links = number[LINKS];
	entry->mtime = number[MTIME];
	entry->major = number[MAJOR];
	entry->minor = number[MINOR];
	entry->device_major = number[DEVICE_MAJOR];
	entry->device_minor = number[DEVICE_MINOR];
	entry->data = reader->archive + data;
	entry->size = number[FILE_SIZE];
	if (checksum && !checksum_holds(entry, number[CHECKSUM]))
		return damaged(reader, "a checksum does not hold");
	reader->at = end;
	return 1;
}
