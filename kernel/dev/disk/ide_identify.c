/* SPDX-License-Identifier: MIT */
/*
 * What the command IDENTIFY DEVICE tells: 256 words, by number (ATA/ATAPI-8 ACS, 7.16; older
 * drives leave what is newer than themselves zero).
 *
 *	27-46   the model, two characters a word, the first in the upper byte
 *	49      bit 8: DMA, bit 9: addresses by number of sector (LBA)
 *	60-61   sectors that can be reached with 28 bits
 *	82-83   what it can do, if bits 15 and 14 of word 83 are 01: 83 bit 10: 48-bit addresses,
 *	        83 bit 12 and 13: flushing the write cache
 *	100-103 sectors that can be reached with 48 bits
 *	106     if its bits 15 and 14 are 01: bit 12: a sector is longer than 256 words,
 *	117-118 namely so many
 */
#include "ide.h"

#include <string.h>

enum {
	WORD_MODEL = 27,
	MODEL_WORDS = 20,
	WORD_CAPABILITIES = 49,
	WORD_SECTORS_28 = 60,
	WORD_COMMANDS = 83,
	WORD_SECTORS_48 = 100,
	WORD_SECTOR_SIZE = 106,
};

#define CAPABILITY_DMA (1u << 8)
#define CAPABILITY_LBA (1u << 9)
#define COMMANDS_LBA48 (1u << 10)
#define COMMANDS_FLUSH (1u << 12 | 1u << 13)
#define SECTOR_IS_LONG (1u << 12)
#define VALIDITY       (3u << 14)
#define VALID	       (1u << 14)

/* Bits of a word that says by itself whether it means anything. */
static unsigned
valid_word(const uint16_t *words, unsigned number)
{
	return (words[number] & VALIDITY) == VALID ? words[number] : 0;
}

/* Without the blanks at its end, and with a mark for what cannot be printed. */
static void
copy_model(const uint16_t *words, char model[41])
{
	unsigned length = 0;

	for (unsigned i = 0; i < 2 * MODEL_WORDS; i++) {
		char c = (char)(words[WORD_MODEL + i / 2] >> (i % 2 ? 0 : 8));

		model[i] = c >= ' ' && c <= '~' ? c : '?';
		if (model[i] != ' ')
			length = i + 1;
	}
	model[length] = '\0';
}

const char *
ide_parse_identify(const uint16_t words[IDE_IDENTIFY_WORDS], struct ide_identity *identity)
{
	unsigned commands = valid_word(words, WORD_COMMANDS);
	uint64_t nr = words[WORD_SECTORS_28] | (uint64_t)words[WORD_SECTORS_28 + 1] << 16;

	*identity = (struct ide_identity){
		.lba48 = commands & COMMANDS_LBA48,
		.dma = words[WORD_CAPABILITIES] & CAPABILITY_DMA,
		.flush = commands & COMMANDS_FLUSH,
	};
	copy_model(words, identity->model);
	if (!(words[WORD_CAPABILITIES] & CAPABILITY_LBA))
		return "it has no linear addresses";
	if (valid_word(words, WORD_SECTOR_SIZE) & SECTOR_IS_LONG)
		return "its sectors are not of 512 bytes";
	/* All 28 bits cannot be a size. */
	nr = MIN(nr, (1ull << 28) - 1);
	if (identity->lba48) {
		nr = 0;
		for (unsigned i = 4; i-- > 0;)
			nr = nr << 16 | words[WORD_SECTORS_48 + i];
	}
	if (nr == 0 || nr >= IDE_UNIT_SECTORS)
		return "its size makes no sense";
	identity->nr_sectors = nr;
	return NULL;
}
