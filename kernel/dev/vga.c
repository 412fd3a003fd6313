/* SPDX-License-Identifier: MIT */
/*
 * The VGA screen in its text mode: 25 rows of 80 cells at 0xb8000, a character and an
 * attribute byte each.
 *
 * Whether it is there at all has to be found out. Machines started by UEFI have a
 * graphics screen or none, and many an emulator is started without. Three signs are
 * asked for, since each alone can lie: the BIOS noted mode 3 (80x25, colour), the
 * graphics controller decodes 0xb8000 as text, and the memory there keeps what is
 * written to it.
 *
 * The screen's memory is slow to read (the emulator traps each access), so the text is
 * kept in a copy, and scrolling only writes.
 *
 * Locking: everything here is guarded by the console lock in printk.c.
 *
 * Source: IBM VGA technical reference (1992), graphics controller index 6; the BIOS
 * data area as listed in Ralf Brown's interrupt list, 40:49h.
 */
#include <arch/cpu.h>
#include <page.h>
#include <string.h>

#include "../x86_64/insn.h"
#include "vga.h"

#define COLUMNS 80
#define ROWS	25
#define CELLS	(COLUMNS * ROWS)

#define SCREEN	       0xb8000 /* physical */
#define BIOS_MODE      0x449   /* physical: the current video mode */
#define MODE_80X25     3
#define GC_INDEX       0x3ce /* graphics controller */
#define GC_DATA	       0x3cf
#define GC_MISC	       6
#define GC_MISC_MASK   0x0d /* memory map select, and graphics/text */
#define GC_MISC_B8TEXT 0x0c
#define CRTC_INDEX     0x3d4
#define CRTC_DATA      0x3d5
#define CRTC_CURSOR    14 /* high byte; 15: low byte */

#define BLANK ((uint16_t)(0x07 << 8 | ' ')) /* light grey on black */

static volatile uint16_t *screen; /* NULL until vga_probe() has found it */
static uint16_t copy[CELLS];
static unsigned cursor; /* cell, in [0, CELLS) */

static bool
memory_answers(volatile uint16_t *cell)
{
	uint16_t old = *cell;
	bool answers;

	*cell = 0x0755;
	answers = *cell == 0x0755;
	*cell = 0x07aa;
	answers = answers && *cell == 0x07aa;
	*cell = old;
	return answers;
}

bool
vga_probe(void)
{
	volatile uint16_t *memory = phys_to_virt(SCREEN);

	if (*(volatile uint8_t *)phys_to_virt(BIOS_MODE) != MODE_80X25)
		return false;
	outb(GC_INDEX, GC_MISC);
	if ((inb(GC_DATA) & GC_MISC_MASK) != GC_MISC_B8TEXT || !memory_answers(memory))
		return false;

	screen = memory;
	for (unsigned i = 0; i < CELLS; i++)
		screen[i] = copy[i] = BLANK;
	return true;
}

static void
scroll(void)
{
	memmove(copy, copy + COLUMNS, (CELLS - COLUMNS) * sizeof(copy[0]));
	for (unsigned i = CELLS - COLUMNS; i < CELLS; i++)
		copy[i] = BLANK;
	for (unsigned i = 0; i < CELLS; i++)
		screen[i] = copy[i];
	cursor -= COLUMNS;
}

static void
put(char c)
{
	if (c == '\n')
		cursor += COLUMNS - cursor % COLUMNS;
	else if (c == '\r')
		cursor -= cursor % COLUMNS;
	else if (c == '\t')
		cursor += 8 - cursor % 8;
	else {
		copy[cursor] = (uint16_t)(0x07 << 8 | (uint8_t)c);
		screen[cursor] = copy[cursor];
		cursor++;
	}
	if (cursor >= CELLS)
		scroll();
}

void
vga_write(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		put(text[i]);
	outb(CRTC_INDEX, CRTC_CURSOR);
	outb(CRTC_DATA, (uint8_t)(cursor >> 8));
	outb(CRTC_INDEX, CRTC_CURSOR + 1);
	outb(CRTC_DATA, (uint8_t)cursor);
}
