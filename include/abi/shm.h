/* SPDX-License-Identifier: MIT */
/* System V shared memory as programs see it: shmctl(2). */
#ifndef ABI_SHM_H
#define ABI_SHM_H

#include <types.h>

#define SHM_SIZE_MAX	 (1ull << 46) /* bytes of a segment */
#define SHM_SEGMENTS_MAX 4096

struct abi_ipc_perm {
	int32_t key;
	uint32_t uid, gid, creator_uid, creator_gid, mode;
	uint16_t sequence, pad;
	uint64_t unused[2];
};

struct abi_shmid_ds {
	struct abi_ipc_perm perm;
	uint64_t size;
	int64_t attached_at, detached_at, changed_at; /* seconds since 1970 */
	int32_t creator, last;
	uint64_t nr_attached, unused[2];
};
_Static_assert(sizeof(struct abi_shmid_ds) == 112, "Linux's layout");

/* The limits: IPC_INFO. */
struct abi_shminfo {
	uint64_t size_max, size_min, segments_max, attached_max, pages_max, unused[4];
};
_Static_assert(sizeof(struct abi_shminfo) == 72, "Linux's layout");

/* What there is: SHM_INFO. */
struct abi_shm_info {
	int32_t nr_segments, pad;
	uint64_t pages, resident, swapped, swap_attempts, swap_successes;
};
_Static_assert(sizeof(struct abi_shm_info) == 48, "Linux's layout");

#endif
