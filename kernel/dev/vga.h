/* SPDX-License-Identifier: MIT */
/* The VGA text screen, for printk.c. */
#ifndef DEV_VGA_H
#define DEV_VGA_H

#include <types.h>

/* Look for a screen in text mode. Returns whether there is one. */
bool vga_probe(void);

/* Write to the screen that vga_probe() found. The caller holds the console lock. */
void vga_write(const char *text, size_t size);

#endif
