/* SPDX-License-Identifier: MIT */
/*
 * The only instructions of the kernel that touch the memory of programs.
 *
 * Each that may fault has an entry in the section usercopy_table: its own address, and where to
 * go on if the page fault cannot be resolved. Every function returns the number of bytes that
 * were left over, or 1 for a single word that could not be reached.
 *
 * Where the processor has SMAP, such an instruction must stand between stac and clac, which
 * others do not know; so there are two doors, of which usercopy_smap chooses one.
 *
 * Copies go by words of 8 bytes, and the fewer than 8 that are left by bytes. A string
 * instruction that faults has counted in RCX what it has not done, so what is left over is known.
 * After a word that faults, bytes are tried: all that can be copied is.
 */
	.text

/* The instruction that follows may fault, and then goes on at \fixup. */
	.macro	may_fault fixup
	.pushsection usercopy_table, "a"
	.balign	8
	.quad	1f, \fixup
	.popsection
1:
	.endm

	.macro	open_door
	cmpb	$0, usercopy_smap(%rip)
	je	2f
	stac
2:
	.endm

	.macro	close_door
	cmpb	$0, usercopy_smap(%rip)
	je	2f
	clac
2:
	.endm

/*
 * size_t usercopy_bytes(void *to, const void *from, size_t size)
 *                       rdi       rsi               rdx
 */
	.globl	usercopy_bytes
	.type	usercopy_bytes, @function
usercopy_bytes:
	open_door
	movq	%rdx, %rcx
	shrq	$3, %rcx
	andl	$7, %edx
	may_fault .Lcopy_words_left
	rep movsq
	movl	%edx, %ecx
.Lcopy_bytes:
	may_fault .Lcopy_bytes_left
	rep movsb
.Lcopy_bytes_left:
	close_door
	movq	%rcx, %rax
	ret
.Lcopy_words_left:
	leaq	(%rdx, %rcx, 8), %rcx
	jmp	.Lcopy_bytes
	.size	usercopy_bytes, . - usercopy_bytes

/*
 * size_t usercopy_clear(void *to, size_t size)
 *                       rdi       rsi
 */
	.globl	usercopy_clear
	.type	usercopy_clear, @function
usercopy_clear:
	open_door
	xorl	%eax, %eax
	movq	%rsi, %rcx
	shrq	$3, %rcx
	andl	$7, %esi
	may_fault .Lclear_words_left
	rep stosq
	movl	%esi, %ecx
.Lclear_bytes:
	may_fault .Lclear_bytes_left
	rep stosb
.Lclear_bytes_left:
	close_door
	movq	%rcx, %rax
	ret
.Lclear_words_left:
	leaq	(%rsi, %rcx, 8), %rcx
	jmp	.Lclear_bytes
	.size	usercopy_clear, . - usercopy_clear

/*
 * size_t usercopy_string(char *to, const char *from, size_t size)
 *                        rdi       rsi               rdx
 *
 * Up to size bytes, or to the final 0 and with it; *to is the program's no more. Returns how
 * many bytes were copied, or -1 if one could not be read.
 */
	.globl	usercopy_string
	.type	usercopy_string, @function
usercopy_string:
	open_door
	xorl	%eax, %eax
.Lstring_byte:
	cmpq	%rdx, %rax
	je	.Lstring_end
	may_fault .Lstring_bad
	movb	(%rsi, %rax), %cl
	movb	%cl, (%rdi, %rax)
	incq	%rax
	testb	%cl, %cl
	jnz	.Lstring_byte
.Lstring_end:
	close_door
	ret
.Lstring_bad:
	movq	$-1, %rax
	jmp	.Lstring_end
	.size	usercopy_string, . - usercopy_string

/* size_t usercopy_read_u32(uint32_t *value, const uint32_t *from) */
	.globl	usercopy_read_u32
	.type	usercopy_read_u32, @function
usercopy_read_u32:
	open_door
	movl	$1, %eax
	may_fault .Lread
	movl	(%rsi), %ecx
	movl	%ecx, (%rdi)
	xorl	%eax, %eax
.Lread:
	close_door
	ret
	.size	usercopy_read_u32, . - usercopy_read_u32

/*
 * size_t usercopy_exchange_u32(uint32_t *at, uint32_t *expected, uint32_t desired)
 *                              rdi           rsi                 edx
 *
 * Store desired if *at is *expected, and what it was in *expected, in one piece.
 */
	.globl	usercopy_exchange_u32
	.type	usercopy_exchange_u32, @function
usercopy_exchange_u32:
	open_door
	movl	$1, %r8d
	movl	(%rsi), %eax
	may_fault .Lexchanged
	lock cmpxchgl %edx, (%rdi)
	movl	%eax, (%rsi)
	xorl	%r8d, %r8d
.Lexchanged:
	close_door
	movl	%r8d, %eax
	ret
	.size	usercopy_exchange_u32, . - usercopy_exchange_u32

	.data
	.globl	usercopy_smap
usercopy_smap: /* is there a door to open? */
	.byte	0

	.section .note.GNU-stack, "", @progbits
