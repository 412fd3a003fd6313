/* SPDX-License-Identifier: MIT */
/*
 * The transcript of a graded case, at memory speed.
 *
 * The grader gives the guest a file as its memory, and reads the transcript there: it
 * looks up the symbol "evidence" in the kernel's ELF file, finds the area at that
 * symbol's physical address, and the records where the area says.
 *
 * Logging takes no lock: one atomic add on evidence.written draws the record's index,
 * and no two CPUs ever write the same record. It can be called with any lock held, from
 * interrupt handlers, and from a panic.
 *
 * The stores into a record are not ordered against the add. They need not be: the grader
 * reads when the guest has ended or is at rest, and by then all of them are done. Only a
 * guest that is stopped in the middle may leave a record drawn and not written; since
 * the memory starts out zeroed, it has kind 0.
 */
#include <arch/cpu.h>
#include <boot_allocator.h>
#include <cmdline.h>
#include <errno.h>
#include <evidence.h>
#include <page.h>
#include <printk.h>

/*
 * In .data, not .bss: so that the magic is there from the start, and what the grader
 * finds in the place of a kernel that never ran is told apart from one without records.
 */
struct evidence_area evidence = {
	.magic = EVIDENCE_MAGIC,
	.version = EVIDENCE_VERSION,
	.record_size = sizeof(struct evidence_record),
};

static uint64_t evidence_size; /* bytes asked for on the command line, 0: none */

static int
parse_evidence(const char *value)
{
	uint64_t size;

	if (parse_u64(value, &size) != 0 || size < PAGE_SIZE || size > GiB(4))
		return -EINVAL;
	evidence_size = size;
	return 0;
}

CMDLINE_OPTION(evidence, "evidence", "bytes for the transcript, 4K to 4G", parse_evidence);

void
evidence_init(void)
{
	paddr_t records;

	if (evidence_size == 0)
		return;
	/* Below 4 GiB, where an offset in the memory file equals the physical address. */
	records = boot_alloc(evidence_size, PAGE_SIZE, GiB(4));
	if (!records) {
		kprintf("evidence: no %lu bytes of memory below 4 GiB: not recording\n",
			evidence_size);
		return;
	}
	evidence.base = phys_to_virt(records);
	evidence.capacity = evidence_size / sizeof(struct evidence_record);
	evidence.records = records;
}

void
evidence_log(unsigned kind, uint32_t arg, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t index;

	if (!evidence.records)
		return;
	index = __atomic_fetch_add(&evidence.written, 1, __ATOMIC_RELAXED);
	if (index >= evidence.capacity)
		return;
	evidence.base[index] = (struct evidence_record){
		.kind = (uint16_t)kind,
		.cpu = (uint16_t)arch_cpu_id(),
		.arg = arg,
		.a = a,
		.b = b,
		.c = c,
	};
}
