/* SPDX-License-Identifier: MIT */
/*
 * Random numbers that programs and their layout are made of.
 *
 * A stream cipher (ChaCha20) is run on a key that nobody knows. Each block that it makes is cut in
 * two: one half becomes the next key, the other is given away. So whoever learns the state later
 * cannot compute what was given out before ("fast key erasure").
 *
 *	key --> block of 64 bytes --> [ next key | 32 bytes for callers ] --> block ...
 *
 * The first key comes from the processor's generator, or, where there is none, from the jitter of
 * how long instructions take (arch_random()). With seed= on the command line it comes from that,
 * and nothing else does: then the same run draws the same numbers.
 *
 * Sources: RFC 8439, 2.3; D. J. Bernstein, "Fast-key-erasure random-number generators", 2017.
 */
#include <arch.h>
#include <ktest.h>
#include <random.h>
#include <string.h>

#include "user.h"

#define ROUNDS	  20
#define KEY_WORDS 8

static struct {
	spinlock_t lock;
	bool seeded;		 /* (l) */
	uint32_t key[KEY_WORDS]; /* (l) */
	uint8_t bytes[32];	 /* (l) to be given away, and cleared then */
	size_t left;		 /* (l) of them */
	uint64_t blocks;	 /* (l) */
} pool = { .lock = SPINLOCK_INIT("random", RANK_MODULE) };

static inline uint32_t
rotate(uint32_t x, unsigned bits)
{
	return x << bits | x >> (32 - bits);
}

/* RFC 8439, 2.1. */
static inline void
quarter_round(uint32_t *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
	x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);
}

/* RFC 8439, 2.3. */
static void
make_block(const uint32_t key[KEY_WORDS], uint64_t number, uint32_t out[16])
{
	uint32_t start[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	memcpy(start + 4, key, KEY_WORDS * sizeof(*key));
	start[12] = (uint32_t)number;
	start[13] = (uint32_t)(number >> 32);
	memcpy(out, start, sizeof(start));
	for (unsigned i = 0; i < ROUNDS; i += 2) {
		for (unsigned column = 0; column < 4; column++)
			quarter_round(out, column, column + 4, column + 8, column + 12);
		for (unsigned k = 0; k < 4; k++)
			quarter_round(out, k, 4 + (k + 1) % 4, 8 + (k + 2) % 4, 12 + (k + 3) % 4);
	}
	for (unsigned i = 0; i < 16; i++)
		out[i] += start[i];
}

static void
seed_locked(void)
{
	struct prng prng;

	assert_held(&pool.lock);
	prng_seed(&prng, ktest_seed());
	for (unsigned i = 0; i < KEY_WORDS; i += 2) {
		uint64_t word = ktest_seed_given() ? prng_next(&prng) : arch_random();

		memcpy(&pool.key[i], &word, sizeof(word));
	}
	pool.seeded = true;
}

static void
refill_locked(void)
{
	uint32_t block[16];

	assert_held(&pool.lock);
	if (!pool.seeded)
		seed_locked();
	if (!ktest_seed_given())
		pool.key[0] ^= (uint32_t)arch_cycles();
	make_block(pool.key, pool.blocks++, block);
	memcpy(pool.key, block, sizeof(pool.key));
	memcpy(pool.bytes, block + KEY_WORDS, sizeof(pool.bytes));
	pool.left = sizeof(pool.bytes);
	memset(block, 0, sizeof(block));
}

void
random_bytes(void *to, size_t size)
{
	uint8_t *out = to;

	while (size > 0) {
		irqflags_t flags = spin_lock_irqsave(&pool.lock);
		size_t bytes;

		if (pool.left == 0)
			refill_locked();
		bytes = MIN(size, pool.left);
		pool.left -= bytes;
		memcpy(out, pool.bytes + pool.left, bytes);
		memset(pool.bytes + pool.left, 0, bytes);
		spin_unlock_irqrestore(&pool.lock, flags);
		out += bytes;
		size -= bytes;
	}
}

uint64_t
random_u64(void)
{
	uint64_t value;

	random_bytes(&value, sizeof(value));
	return value;
}

static int64_t
sys_getrandom(const uint64_t *arg)
{
	size_t size = MIN(arg[1], INT32_MAX), piece;
	uint8_t bytes[32];

	if (arg[2] & ~7ul) /* GRND_* */
		return -EINVAL;
	for (size_t done = 0; done < size; done += piece) {
		piece = MIN(size - done, sizeof(bytes));
		random_bytes(bytes, piece);
		if (copy_to_user(arg[0] + done, bytes, piece))
			return -EFAULT;
		if (signal_pending() && done + piece >= 256)
			return (int64_t)(done + piece);
	}
	return (int64_t)size;
}
SYSCALL(318, getrandom, 3, sys_getrandom);
