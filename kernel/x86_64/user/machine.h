/* SPDX-License-Identifier: MIT */
/* What the files of kernel/x86_64/user share. */
#ifndef X86_USER_MACHINE_H
#define X86_USER_MACHINE_H

#include "../../proc/user/user.h"
#include "../x86.h"

#define VECTOR_SYSCALL 0x100 /* in a trap frame: of a system call, to be left by SYSRET */

#define RFLAGS_FIXED (1ul << 1) /* always set */
#define RFLAGS_CF    (1ul << 0)
#define RFLAGS_TF    (1ul << 8)
#define RFLAGS_DF    (1ul << 10)
#define RFLAGS_IOPL  (3ul << 12)
#define RFLAGS_NT    (1ul << 14)
#define RFLAGS_RF    (1ul << 16)
#define RFLAGS_AC    (1ul << 18)

/* What a program may change in RFLAGS: the results of arithmetic, TF, DF and AC. */
#define RFLAGS_USER (0x8d5ul | RFLAGS_TF | RFLAGS_DF | RFLAGS_AC)

/* ---- syscall_entry.S, usercopy.S --------------------------------------------------------- */

void syscall_entry(void);
extern uint8_t usercopy_smap;

/* ../entry.S: go on in user mode with that frame. Interrupts are off. */
void trap_to_user(void);

/* ---- user_thread.c ----------------------------------------------------------------------- */

/* The frame of the running thread, which is a program's. */
struct trap_frame *user_frame(void);

/* ---- user_trap.c ------------------------------------------------------------------------- */

extern const struct user_traps x86_user_traps;

/* See to everything that waits before the program goes on. Interrupts are off, and on return. */
void user_leave(struct trap_frame *frame);

/* ---- user_map.c -------------------------------------------------------------------------- */

/* Entries of a processor with that bit against execution, and that C-bit; 0: it has none. */
struct mmu_format;
void mmu_format_make(struct mmu_format *format, uint64_t no_exec, uint64_t encrypted);

/* ---- keys.c ------------------------------------------------------------------------------ */

void keys_init(void); /* are there any? Once, after fpu_init() */

/* All rights of the running thread, two bits a key; 0 where there are no keys. */
uint32_t keys_read(void);
void keys_write(uint32_t keys);

/* As a program begins, and a signal handler: only memory without a key may be accessed. */
#define KEYS_DEFAULT 0x55555554u

/* ---- fpu.c ------------------------------------------------------------------------------- */

void fpu_init(void);	 /* what there is to save. Once */
void fpu_init_cpu(void); /* turn it on. On each CPU, interrupts off */

/* Between the registers and an area. Interrupts are off. */
void fpu_save(void *area);
void fpu_load(const void *area);

/* From the frame of a signal: make it an area that can be loaded, whatever the program wrote. */
void fpu_sanitize(void *area);

/* Only what FXSAVE stores is there; the rest is to be as after a reset. With XSAVE only. */
void fpu_mark_legacy(void *area);

size_t fpu_area_size(void);  /* bytes */
uint64_t fpu_features(void); /* XCR0; 0 without XSAVE */

/*
 * What is on a program's stack while a handler runs is longer: it begins as an area, and has the
 * protection keys at an offset, or nowhere (0), and the header (at FPU_PRESENT_AT) says so.
 */
#define FPU_PRESENT_AT 512
size_t fpu_frame_size(void);
size_t fpu_keys_offset(void);
uint64_t fpu_frame_present(const void *area);
bool fpu_frame_has_keys(const void *area);

void *fpu_area_alloc(void); /* like after a reset; NULL: no memory */
void fpu_area_free(void *area);
void fpu_area_reset(void *area);

#endif
