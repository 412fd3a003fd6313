# SPDX-License-Identifier: MIT
"""Lab 2: what zones must do, case by case, seen from outside the guest.

Each case mirrors its C function in tests/: the same random draws, the same requests. What an
answer may be is judged by grading/zone_model.py; at the end of a case the node is read from the
guest's memory, and must agree.
"""

import itertools
from collections.abc import Callable, Generator

from grading.evidence import Record
from grading.oracle import Context, Expect, Script, case
from grading.zone_model import (
    BLOCK, CHOICES, FRAMES, GFP_ATOMIC, GFP_BITS, GFP_DMA, GFP_HIGHMEM, GFP_KERNEL, GFP_MOVABLE,
    GFP_NOFAIL, GFP_NORETRY, GFP_NOWAIT, GFP_RECLAIMABLE, GFP_USER, GFP_ZERO, HIGH, LIST_ORDERS,
    MAX_ORDER, MOBILITIES, MOVABLE, NORMAL, NO_FRAME, SLOTS, UNMOVABLE, ZONES, ZONE_NAMES, Done,
    Ev, Lab, route, unpack,
)  # fmt: skip


def lab_case(script: Callable[[Lab], Done]) -> Callable[[Context], Script]:
    """Register a script on a Lab, with the look at memory behind it."""
    return _register(script, None)


def panic_case(panic: str) -> Callable[[Callable[[Lab], Done]], Callable[[Context], Script]]:
    """The same of a case that ends in that panic."""
    return lambda script: _register(script, panic)


def _register(script: Callable[[Lab], Done], panic: str | None) -> Callable[[Context], Script]:
    def run(ctx: Context) -> Script:
        lab = Lab(ctx)
        yield from script(lab)
        if lab.node:
            lab.final()

    run.__name__ = script.__name__
    return case(run, panic=panic)  # type: ignore[no-any-return]


# ---- flags, marks, zones: tests/zone_cases.c -----------------------------------------


def legal(gfp: int) -> bool:
    return all((gfp & choice).bit_count() <= 1 for choice in CHOICES)


@lab_case
def routes(lab: Lab) -> Done:
    for gfp in filter(legal, range(1 << GFP_BITS)):
        zone, mobility = route(gfp)
        what = f"the zone (a) and the mobility (b) of flags {gfp:#x}"
        yield Expect(Ev.ROUTE, arg=gfp, a=zone, b=mobility, what=what)


def refused(gfp: int) -> Done:
    yield Expect(Ev.REFUSED, arg=gfp, what=f"ask with flags {gfp:#x}, which must be refused")


def refuse_pair(lab: Lab, choice: int) -> Done:
    pair = choice
    for bit in range(GFP_BITS):
        if choice >> bit & 1:
            yield from lab.alloc(bit, 1 << bit, 4)
    while pair.bit_count() > 2:
        pair = choice & ~(1 << lab.prng.below(GFP_BITS))
    yield from refused(pair)


@panic_case("zone: flags contradict each other")
def flags_waiting(lab: Lab) -> Done:
    yield from lab.begin()
    yield from refuse_pair(lab, CHOICES[lab.prng.below(2)])


@panic_case("zone: flags contradict each other")
def flags_refused(lab: Lab) -> Done:
    yield from lab.begin()
    yield from refuse_pair(lab, CHOICES[2 + lab.prng.below(len(CHOICES) - 2)])


@panic_case("zone: unknown flags")
def flags_unknown(lab: Lab) -> Done:
    yield from lab.begin()
    unknown = 1 << GFP_BITS + lab.prng.below(32 - GFP_BITS)
    known = lab.random_gfp()
    yield from lab.alloc(0, known, 4)
    yield from refused(unknown | known)


def marks_of(lab: Lab) -> Done:
    for z in ZONES:
        what = f"marks (a) and reserves (b) of zone {ZONE_NAMES[z]}, 16 bits each"
        packed = sum(frames << 16 * i for i, frames in enumerate(lab.marks[z]))
        reserves = sum(frames << 16 * i for i, frames in enumerate(lab.reserve[z]))
        yield Expect(Ev.MARKS, arg=z, a=packed, b=reserves, what=what)


@lab_case
def marks(lab: Lab) -> Done:
    min_free = 0 if lab.prng.below(2) else 50 + lab.prng.below(700)
    yield from lab.begin_empty((1, 3, 2, 2), min_free)
    at = 0
    while at < FRAMES:
        end = min(at + 1 + lab.prng.below(FRAMES // 8), FRAMES)
        yield from lab.add(at, end)
        yield from marks_of(lab)
        at = end
    flags = (GFP_KERNEL, GFP_NOWAIT, GFP_ATOMIC, GFP_ATOMIC | GFP_HIGHMEM | GFP_ZERO, GFP_NOFAIL)
    for z, mark, gfp in itertools.product(ZONES, range(3), flags):
        what = f"the mark {mark} of zone {ZONE_NAMES[z]} for flags {gfp:#x}"
        yield Expect(Ev.MARK, arg=gfp | z << 16 | mark << 20, a=lab.mark(z, gfp, mark), what=what)


@lab_case
def allows(lab: Lab) -> Done:
    yield from lab.begin()
    yield from lab.trace(200, 100, 4, 9)
    for _ in range(500):
        z, order = lab.prng.below(4), lab.prng.below(MAX_ORDER + 1)
        preferred = z + lab.prng.below(4 - z)
        needed = (1 << order) + lab.reserve[z][preferred]
        free = lab.free_levels[z]
        mark = max(free - needed, 0) + lab.prng.below(3)
        mark -= min(mark, 1)
        what = (
            f"may 2^{order} frames be taken from {free} in zone {ZONE_NAMES[z]}, so that {mark}"
            f" and the reserve against {ZONE_NAMES[preferred]} stay?"
        )
        arg = order | z << 8 | preferred << 12
        yield Expect(Ev.ALLOWS, arg=arg, a=mark, b=free, c=free >= needed + mark, what=what)


FROM_ABOVE = (GFP_USER, GFP_HIGHMEM, GFP_KERNEL, GFP_DMA)


@lab_case
def zone_order(lab: Lab) -> Done:
    yield from lab.begin()
    for flags in FROM_ABOVE:
        order = 4 + lab.prng.below(4)
        yield from lab.alloc_until_none(0, flags | GFP_NOWAIT, order)
        yield from lab.free_all()
    yield from lab.check()


@lab_case
def reserves(lab: Lab) -> Done:
    yield from lab.begin()
    slot = 0
    for flags in FROM_ABOVE:
        slot = yield from lab.alloc_until_none(slot, flags | GFP_NOWAIT, 4)
    yield from lab.free_all()
    yield from lab.check()


@lab_case
def depth(lab: Lab) -> Done:
    blocks = 2 + lab.prng.below(3)
    yield from lab.begin_with((1, blocks, 1, 0), 200 + lab.prng.below(400))
    slot = 0
    for flags in (GFP_NORETRY, GFP_KERNEL, GFP_NOWAIT, GFP_ATOMIC):
        slot = yield from lab.alloc_until_none(slot, flags, 4)
    slot = yield from lab.alloc_until_none(slot, GFP_KERNEL, 0)
    while sum(lab.free_levels[:HIGH]) + sum(lab.cached[:HIGH]):
        yield from lab.must_alloc(slot, GFP_NOFAIL, 0)
        slot += 1
    yield from lab.must_not_alloc(slot, GFP_ATOMIC, 0)
    yield from lab.must_not_alloc(slot, GFP_KERNEL, 0)
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


def whole_blocks(lab: Lab) -> Done:
    """All memory, in page blocks, as far as the marks allow."""
    yield from lab.alloc_until_none(0, GFP_ATOMIC | GFP_USER, MAX_ORDER)


@lab_case
def shortage(lab: Lab) -> Done:
    yield from lab.begin()
    yield from lab.trace(3000, 250, 4, 10)
    yield from lab.check()
    yield from lab.free_all()
    yield from lab.check()
    yield from whole_blocks(lab)


@lab_case
def failures(lab: Lab) -> Done:
    yield from lab.begin()
    every = 2 + lab.prng.below(6)
    yield Expect(Ev.FAULTS, a=every, what=f"make one request in {every} fail")
    lab.may_fail = True
    yield from lab.trace(2000, 100, 0, 8)
    failed = sum(lab.nr_failed)
    requests = sum(lab.nr_alloc) + failed
    if not requests / every / 2 <= failed <= requests / every * 2:
        lab.ctx.fail(f"{failed} of {requests} failed, not about {requests / every:.0f}")
    for slot in range(100, 150):
        yield from lab.must_alloc(slot, GFP_NOFAIL, 4)
    yield Expect(Ev.FAULTS, a=0, what="make no more requests fail")
    lab.may_fail = False
    yield from lab.trace(200, 100, 0, 8)
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()
    yield from whole_blocks(lab)


@lab_case
def mixed(lab: Lab) -> Done:
    yield from lab.begin()
    yield from lab.trace(5000, 400, 0, MAX_ORDER)
    yield from lab.check()
    yield from lab.drain()
    yield from lab.trace(1000, 400, 0, 3)
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()
    yield from whole_blocks(lab)


@lab_case
def statistics(lab: Lab) -> Done:
    yield from lab.begin()
    yield from lab.trace(1500, 250, 4, MAX_ORDER)
    yield from lab.alloc_until_none(300, GFP_NOWAIT | GFP_RECLAIMABLE, 5)
    yield from lab.free_all()
    yield from lab.stats()
    yield from lab.trace(1000, 100, 0, 3)
    yield from lab.stats()
    yield from lab.drain()
    yield from lab.free_all()
    yield from lab.check()


# ---- page blocks: tests/group_cases.c --------------------------------------------------

OF_MOBILITY = (GFP_KERNEL, GFP_RECLAIMABLE, GFP_MOVABLE)


def group_trace(lab: Lab, rounds: int, slots: int, least: int, most: int) -> Done:
    for _ in range(rounds):
        slot = lab.prng.below(slots)
        if slot in lab.slots:
            yield from lab.free(slot)
        else:
            gfp = OF_MOBILITY[lab.prng.below(3)] | GFP_NOWAIT
            yield from lab.alloc(slot, gfp, least + lab.random_order(most - least))


def one_zone(lab: Lab, blocks: int) -> Done:
    yield from lab.begin_with((0, blocks, 0, 0), 64)


@lab_case
def grouping(lab: Lab) -> Done:
    yield from one_zone(lab, 8)
    yield from group_trace(lab, 2000, 60, 4, 6)
    yield from lab.check()
    yield from lab.stats()
    lab.ctx.check(lab.nr_borrowed[NORMAL] == 0, "blocks were borrowed with most memory free")
    yield from lab.free_all()
    yield from lab.check()


@lab_case
def stealing(lab: Lab) -> Done:
    yield from one_zone(lab, 8)
    for _ in range(4):
        gfp = OF_MOBILITY[lab.prng.below(3)] | GFP_NOWAIT
        yield from lab.alloc_until_none(100, gfp, 5 + lab.prng.below(4))
        yield from lab.check()
        yield from lab.free_all()
        yield from group_trace(lab, 300, 100, 4, 8)
        yield from lab.stats()
        yield from lab.free_all()
    yield from lab.check()
    yield from lab.must_alloc(0, GFP_NOWAIT, MAX_ORDER)


@lab_case
def borrowing(lab: Lab) -> Done:
    yield from one_zone(lab, 4)
    owner = OF_MOBILITY[lab.prng.below(3)]
    last = yield from lab.alloc_until_none(0, owner | GFP_ATOMIC, MAX_ORDER - 1)
    for slot in range(last):
        if (lab.slots[slot][0] - lab.first) >> MAX_ORDER - 1 & 1:
            yield from lab.free(slot)
    yield from lab.check()
    slot = 100
    for gfp in OF_MOBILITY:
        for _ in range(2 + lab.prng.below(6)):
            yield from lab.must_alloc(slot, gfp | GFP_NOWAIT, 4)
            slot += 1
    yield from lab.stats()
    yield from lab.check()
    for i in range(100, slot):
        yield from lab.free(i)
    yield from lab.check()
    yield from lab.must_alloc(100, owner | GFP_NOWAIT, MAX_ORDER - 1)
    yield from lab.stats()
    yield from lab.free_all()
    yield from lab.check()


@lab_case
def group_pressure(lab: Lab) -> Done:
    yield from one_zone(lab, 4)
    yield from group_trace(lab, 3000, 150, 4, 9)
    yield from lab.check()
    yield from lab.stats()
    yield from lab.free_all()
    yield from lab.check()


# ---- lists, and waiting: tests/list_cases.c ---------------------------------------------


def with_lists(lab: Lab, blocks: int, limit: int) -> Done:
    yield from one_zone(lab, blocks)
    for mobility in MOBILITIES:
        yield from lab.set_limit(NORMAL, mobility, 0, limit)


@lab_case
def lists(lab: Lab) -> Done:
    yield from one_zone(lab, 4)
    lab.big_batches = True
    for order in range(LIST_ORDERS):
        limit = 4 + lab.prng.below(60)
        yield from lab.set_limit(NORMAL, UNMOVABLE, order, limit)
        for slot in range(3 * limit):
            yield from lab.must_alloc(slot, GFP_KERNEL, order)
        for slot in range(3 * limit):
            yield from lab.free(slot)
        yield from lab.check()
        for slot in range(3 * limit):
            yield from lab.must_alloc(slot, GFP_KERNEL, order)
        yield from lab.free_all()
    yield from lab.check()
    yield from lab.stats()


@lab_case
def list_limit(lab: Lab) -> Done:
    yield from with_lists(lab, 2, 1 + lab.prng.below(6))
    yield from lab.trace(3000, 100, 0, 3)
    yield from lab.check()
    yield from lab.free_all()
    yield from lab.check()


@lab_case
def batch_at_mark(lab: Lab) -> Done:
    yield from with_lists(lab, 1, 20 + lab.prng.below(40))
    slot = yield from lab.alloc_until_none(0, GFP_NOWAIT | GFP_MOVABLE, 4)
    slot = yield from lab.alloc_until_none(slot, GFP_NOWAIT, 0)
    yield from lab.alloc_until_none(slot, GFP_ATOMIC, 0)
    yield from lab.check()
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


@lab_case
def draining(lab: Lab) -> Done:
    yield from lab.begin()
    yield from lab.trace(1000, 300, 0, 3)
    yield from lab.drain()
    yield from lab.check()
    yield from lab.trace(1000, 300, 0, 3)
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()
    yield from whole_blocks(lab)


@lab_case
def drain_cpus(lab: Lab) -> Done:
    yield from lab.begin()
    for _ in range(4):
        yield from lab.trace(300, 60, 0, 3)
        yield from lab.free_all()
    yield from lab.check()
    held = {cpu for (cpu, _, _, _), level in lab.listed.items() if level}
    lab.ctx.check(len(held) == 4, "not all CPUs have blocks in their lists")
    yield from lab.drain()
    yield from lab.check()
    yield from whole_blocks(lab)


@lab_case
def drain_on_demand(lab: Lab) -> Done:
    yield from with_lists(lab, 1, 200 + lab.prng.below(200))
    for slot in range(150):
        yield from lab.must_alloc(slot, GFP_MOVABLE, 0)
    yield from lab.free_all()
    slot = yield from lab.alloc_until_none(0, GFP_NOWAIT, 5)
    slot = yield from lab.alloc_until_none(slot, GFP_NOWAIT, 0)
    yield from lab.must_alloc(slot, GFP_KERNEL, 0)
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


@lab_case
def waiting(lab: Lab) -> Done:
    yield from one_zone(lab, 1)
    order = 6 + lab.prng.below(2)
    last = yield from lab.alloc_until_none(0, GFP_NOWAIT, 4)
    for flags, asked in ((GFP_NOWAIT, 0), (GFP_ATOMIC, 0), (GFP_KERNEL, 1)):
        yield from lab.must_not_alloc(last, flags, order)
        lab.ctx.check(lab.nr_asked == asked, f"asked for reclaim {lab.nr_asked} times")
    run = lab.first
    while any(run + at not in lab.slot_at for at in range(0, 1 << order, 16)):
        run += 1 << order
    lab.victims = [lab.slot_at[run + at] for at in reversed(range(0, 1 << order, 16))]
    yield from lab.must_not_alloc(last, GFP_NORETRY, order)
    lab.ctx.check(lab.nr_asked == 2, f"GFP_NORETRY asked for reclaim {lab.nr_asked - 1} times")
    yield from lab.must_alloc(last, GFP_KERNEL, order)
    yield from lab.free_all()
    yield from lab.check()


@lab_case
def nofail_waits(lab: Lab) -> Done:
    yield from one_zone(lab, 1)
    for slot in range(BLOCK >> 5):
        yield from lab.must_alloc(slot, GFP_NOFAIL, 5)
    lab.prng.next()  # how long the other thread is left alone
    victim = lab.prng.below(BLOCK >> 5)
    first, _ = lab.slots.pop(victim)
    yield Expect(Ev.FREE, arg=5, a=first, what="free one of all the blocks")
    lab.model.release(first, 32)
    for _ in range(2):  # the thread may run before the call returns
        record = yield Expect((Ev.FREED, Ev.ALLOC), what="see what happens")
        if record.kind == Ev.ALLOC:
            lab.ctx.check(record.a != NO_FRAME, "GFP_NOFAIL got none")
            lab.model.alloc(record.a, 5)
            lab.slots[SLOTS - 1] = (record.a, 5)
    lab.free_levels = [0] * 4
    lab.check_sums()
    yield from lab.free_all()
    yield from lab.check()


# ---- compaction: tests/compaction_cases.c -------------------------------------------------

HUGE_ORDER = 9
STRIDE = 7919


def fragment(lab: Lab, most: int, keep: int) -> Generator[Expect, Record, int]:
    last = 0
    while (yield from lab.alloc(last, GFP_NOWAIT | GFP_MOVABLE, lab.prng.below(most + 1))):
        last += 1
    for slot in range(last):
        if lab.prng.below(keep) == 0:
            yield from lab.set_mover(slot)
    for i in range(last):
        slot = i * STRIDE % last
        if lab.slots[slot][0] not in lab.movers:
            yield from lab.free(slot)
    yield from lab.drain()
    return last


@lab_case
def compaction(lab: Lab) -> Done:
    yield from lab.begin_with((0, 4, 0, 1), 64)
    yield from lab.must_alloc(SLOTS - 1, GFP_NOWAIT | GFP_USER, 0)
    yield from lab.set_mover(SLOTS - 1)
    last = yield from fragment(lab, 2, 6)
    yield from lab.must_not_alloc(last, GFP_NOWAIT | GFP_MOVABLE, HUGE_ORDER)
    yield from lab.must_compact(NORMAL, HUGE_ORDER)
    yield from lab.check()
    yield from lab.must_alloc(last, GFP_NOWAIT | GFP_MOVABLE, HUGE_ORDER)
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


@lab_case
def compaction_orders(lab: Lab) -> Done:
    yield from one_zone(lab, 3)
    last = yield from fragment(lab, 4, 5)
    for turn in range(16):
        order = 6 + lab.prng.below(4)
        if (yield from lab.compact(NORMAL, order)):
            yield from lab.alloc(last + turn, GFP_NOWAIT | GFP_MOVABLE, order)
    yield from lab.check()
    yield from lab.stats()
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


@lab_case
def compaction_unmovable(lab: Lab) -> Done:
    yield from one_zone(lab, 3)
    last = yield from fragment(lab, 1, 8)
    spared = lab.prng.below(3 * BLOCK >> HUGE_ORDER)
    held = {spared}
    for slot in range(last):
        if slot not in lab.slots:
            continue
        first = lab.slots[slot][0]
        run = (first - lab.first) >> HUGE_ORDER
        if run == spared or (run in held and lab.prng.below(8)):
            continue
        held.add(run)
        yield Expect(Ev.MOVER, arg=slot, a=first, b=1, what="let a block no longer be moved")
        lab.movers.remove(first)
    yield from lab.must_compact(NORMAL, HUGE_ORDER)
    yield from lab.must_alloc(last, GFP_NOWAIT | GFP_MOVABLE, HUGE_ORDER)
    if (yield from lab.compact(NORMAL, HUGE_ORDER)):
        lab.ctx.fail("no run could be emptied any more")
    yield from lab.check()
    yield from lab.stats()
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


@lab_case
def compaction_busy(lab: Lab) -> Done:
    yield from one_zone(lab, 3)
    last = yield from fragment(lab, 2, 6)
    for _ in range(4):
        lab.prng.next()  # how many moves succeed
        yield from lab.compact(NORMAL, HUGE_ORDER)
        yield from lab.check()
        slot = lab.prng.below(last)
        while slot not in lab.slots:
            slot = (slot + 1) % last
        yield from lab.free(slot)
    yield from lab.drain()
    yield from lab.must_compact(NORMAL, HUGE_ORDER)
    yield from lab.stats()
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


@lab_case
def compaction_groups(lab: Lab) -> Done:
    yield from one_zone(lab, 2)
    yield from lab.must_alloc(SLOTS - 1, GFP_NOWAIT, 4)
    last = yield from fragment(lab, 1, 6)
    yield from lab.must_compact(NORMAL, 8)
    yield from lab.check()
    while (yield from lab.compact(NORMAL, 8)) and (
        yield from lab.alloc(last, GFP_NOWAIT, 8)
    ):
        last += 1
    yield from lab.check()
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


@lab_case
def compaction_alloc(lab: Lab) -> Done:
    yield from one_zone(lab, 4)
    last = yield from fragment(lab, 2, 6)
    for flags in (GFP_NOWAIT | GFP_MOVABLE, GFP_ATOMIC | GFP_MOVABLE):
        yield from lab.must_not_alloc(last, flags, HUGE_ORDER)
    for slot, flags in ((last, GFP_MOVABLE), (last + 1, GFP_KERNEL)):
        least = min(lab.run_costs(NORMAL, HUGE_ORDER).values())
        before = lab.nr_moved[NORMAL]
        yield from lab.must_alloc(slot, flags, HUGE_ORDER)
        moved = lab.nr_moved[NORMAL] - before
        if moved > least:
            lab.ctx.fail(f"moved {moved} frames, but the cheapest run needs {least}")
        lab.nr_compacted[NORMAL] = None
    yield from lab.check()
    yield from lab.stats()
    yield from lab.free_all()
    yield from lab.drain()
    yield from lab.check()


# ---- cost, several CPUs: tests/cost_cases.c ------------------------------------------------

MOST_PAIR = 160  # instructions of a pair of calls that a list serves, in a debug kernel
MOST_BATCHED = 900  # of a pair when lists are filled and emptied, on average


@lab_case
def cost(lab: Lab) -> Done:
    names = (
        "a pair of order 4", "a pair of order 0", "a pair of order 3",
        "a pair of order 0 of many", "a pair of order 0 with thousands of blocks",
        "a pair of order 0 of many, with thousands of blocks",
        "a pair of order 4 with more memory",
    )  # fmt: skip
    costs: list[int] = []

    def measure(count: int) -> Done:
        for _ in range(count):
            record = yield Expect(Ev.COST, arg=len(costs), what=f"cost of {names[len(costs)]}")
            costs.append(record.a)

    def limit(which: int, most: int, why: str) -> None:
        if costs[which] > most:
            lab.ctx.fail(f"{names[which]} costs {costs[which]} instructions: {why}")

    yield from one_zone(lab, 1)
    yield from measure(4)
    # The node of the case is another one now.
    first = Lab(lab.ctx)
    vars(lab).update(vars(first))
    yield from lab.begin_with((1, 3, 2, 2), 64)
    yield from lab.set_limit(NORMAL, MOVABLE, 0, 500)
    last = yield from lab.alloc_until_none(0, GFP_NOWAIT | GFP_MOVABLE, 0)
    for slot in range(0, last, 2):
        yield from lab.free(slot)
    yield from measure(2)
    # 512 pairs went through the lists of unmovable blocks.
    yield from after_batches(lab)
    yield from measure(1)
    yield from lab.check()
    for which in (1, 2, 4):
        limit(which, MOST_PAIR, f"at most {MOST_PAIR} are needed when a list has a block")
    for which in (3, 5):
        limit(which, MOST_BATCHED, f"at most {MOST_BATCHED} are needed on average")
    limit(4, costs[1] * 3 // 2, f"with one page block it is {costs[1]}")
    limit(6, costs[0] * 3 // 2, f"with one page block it is {costs[0]}")


def after_batches(lab: Lab) -> Done:
    """Levels that are not known: taken from the first record that says them."""
    for slot in sorted(lab.slots):
        first, order = lab.slots.pop(slot)
        yield Expect(Ev.FREE, arg=order, a=first, what=f"free {first:#x}")
        lab.model.release(first, 1 << order)
        yield Expect(Ev.FREED, what=f"free {first:#x}")
    record = yield Expect(Ev.DRAIN, c=0, what="empty all lists")
    lab.free_levels, lab.cached = unpack(record.b), [0] * 4
    lab.listed.clear()
    lab.check_sums()
    lab.groups_known = False


@lab_case
def smp_stress(lab: Lab) -> Done:
    yield from lab.begin_with((0, 1, 0, 1), 64)
    nr_alloc = nr_free = nr_failed = 0
    # Eight workers of 2500 rounds: a free is logged before, an allocation after the call, so
    # in the order of the transcript no two blocks may overlap.
    while True:
        record = yield Expect((Ev.ALLOC, Ev.FREE, Ev.CHECK), what="work on four CPUs")
        if record.kind == Ev.CHECK:
            break
        if record.kind == Ev.FREE:
            lab.model.release_block(record.a, record.arg)
            nr_free += 1
        elif record.a != NO_FRAME:
            gfp, order = record.arg & 0xFFF, record.arg >> 12
            lab.model.alloc(record.a, order)
            lab.ctx.check(lab.zone_of(record.a) <= route(gfp)[0], "the zone does not suit")
            nr_alloc += 1
        else:
            nr_failed += 1
    if nr_alloc < 5000 or nr_alloc != nr_free:
        lab.ctx.fail(f"{nr_alloc} blocks were handed out and {nr_free} came back")
    lab.ctx.check(record.a == 0, "the checker found contradictions")
    lab.free_levels, lab.cached = unpack(record.b), unpack(record.c)
    lab.check_sums()
    sums = [0, 0, 0]
    for z, page in itertools.product(ZONES, range(4)):
        record = yield Expect(Ev.STATS, arg=z | page << 8, what="statistics")
        if page == 0:
            sums = [have + more for have, more in zip(sums, record[3:6], strict=True)]
    if sums != [nr_alloc, nr_free, nr_failed]:
        lab.ctx.fail(
            f"{nr_alloc} requests got a block, {nr_free} blocks came back, {nr_failed} requests"
            f" failed; but counted were {sums[0]}, {sums[1]}, {sums[2]}"
        )
    yield from lab.drain()
    yield from lab.check()
    lab.groups_known = False


# ---- the caller's mistakes: tests/misuse_cases.c --------------------------------------------


def misuse(frame: int, order: int) -> Done:
    yield Expect(Ev.MISUSE, arg=order, a=frame, what=f"wrongly free {frame:#x}, order {order}")


def victim(lab: Lab, order: int) -> Generator[Expect, Record, int]:
    yield from lab.trace(400, 80, 0, 6)
    yield from lab.must_alloc(SLOTS - 1, GFP_ATOMIC | GFP_USER, order)
    return lab.slots[SLOTS - 1][0]


@panic_case("zone: double free")
def double_free_listed(lab: Lab) -> Done:
    yield from lab.begin()
    order = lab.prng.below(LIST_ORDERS)
    frame = yield from victim(lab, order)
    yield from lab.free(SLOTS - 1)
    yield from misuse(frame, order)


@panic_case("zone: double free")
def double_free(lab: Lab) -> Done:
    yield from lab.begin()
    order = LIST_ORDERS + lab.prng.below(4)
    frame = yield from victim(lab, order)
    yield from lab.free(SLOTS - 1)
    yield from misuse(frame, order)


@panic_case("zone: double free")
def double_free_merged(lab: Lab) -> Done:
    yield from lab.begin()
    order = LIST_ORDERS + lab.prng.below(5)
    yield from lab.must_alloc(0, GFP_DMA, order)
    yield from lab.must_alloc(1, GFP_DMA, order)
    upper = max(lab.slots[0][0], lab.slots[1][0])
    yield from lab.free_all()
    yield from misuse(upper, order)


@panic_case("zone: wrong order")
def wrong_order(lab: Lab) -> Done:
    yield from lab.begin()
    order = lab.prng.below(LIST_ORDERS - 1)
    frame = yield from victim(lab, order)
    yield from misuse(frame, order + 1)


@panic_case("zone: wrong order")
def wrong_order_small(lab: Lab) -> Done:
    yield from lab.begin()
    order = LIST_ORDERS + lab.prng.below(4)
    frame = yield from victim(lab, order)
    yield from misuse(frame, lab.prng.below(LIST_ORDERS))


@panic_case("zone: wrong order")
def wrong_order_large(lab: Lab) -> Done:
    yield from lab.begin()
    order = lab.prng.below(LIST_ORDERS)
    frame = yield from victim(lab, order)
    yield from misuse(frame, LIST_ORDERS + lab.prng.below(20))


@panic_case("zone: inside a block")
def free_tail(lab: Lab) -> Done:
    yield from lab.begin()
    order = 1 + lab.prng.below(6)
    frame = yield from victim(lab, order)
    yield from misuse(frame + 1 + lab.prng.below((1 << order) - 1), 0)


@panic_case("zone: frame was never given out")
def free_reserved(lab: Lab) -> Done:
    yield from lab.begin_empty((1, 3, 1, 1), 0)
    hole = 6 * BLOCK if lab.prng.below(2) else lab.prng.below(512)
    yield from lab.add(BLOCK // 2, 6 * BLOCK)
    yield from lab.trace(400, 80, 0, 6)
    yield from misuse(lab.first + hole, lab.prng.below(6))
