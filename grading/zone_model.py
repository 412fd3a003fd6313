# SPDX-License-Identifier: MIT
"""A model of a node with zones: what any correct solution of lab 2 must agree with.

Requests and their answers come from a transcript (labs/lab2-zones/oracle.py says in what order).
Which block is given out, from which page block of another group, by batches of what size, is the
solution's own choice. What is judged is which zones a request may take from and how far down
(Ask.judge_zone), who shares a page block with whom (Ask.judge_group), how the CPUs' lists fill and
empty (Ask._judge_batch, Lab.free), and what compaction may cost (Lab.compact).

Here the node is known by its records alone; zone_check.py compares with its memory.
"""

import enum
import itertools
from collections.abc import Generator, Sequence
from typing import NamedTuple

from .evidence import Record
from .frames import FrameModel, sum_of_heads
from .oracle import Context, Expect, Refused
from .zone_check import NodeView, check_node

MAX_ORDER = 10
BLOCK = 1 << MAX_ORDER
FRAMES = 8192
SLOTS = 8192
NO_FRAME = (1 << 64) - 1
LIST_ORDERS = 4

DMA, NORMAL, HIGH, MOVABLE_ZONE = range(4)
ZONES = range(4)
ZONE_NAMES = ("DMA", "Normal", "High", "Movable")
UNMOVABLE, RECLAIMABLE, MOVABLE = range(3)
MOBILITIES = range(3)
MOBILITY_NAMES = ("unmovable", "reclaimable", "movable")

GFP_KERNEL = 0
(
    GFP_ZERO, GFP_NOWAIT, GFP_ATOMIC, GFP_NOFAIL, GFP_NORETRY,
    GFP_DMA, GFP_HIGHMEM, GFP_MOVABLE, GFP_RECLAIMABLE,
) = (1 << bit for bit in range(9))  # fmt: skip
GFP_USER = GFP_HIGHMEM | GFP_MOVABLE
GFP_BITS = 9

# Two flags of one of these together make no sense.
CHOICES = (
    GFP_NOWAIT | GFP_ATOMIC | GFP_NOFAIL,
    GFP_NOWAIT | GFP_ATOMIC | GFP_NORETRY,
    GFP_NOFAIL | GFP_NORETRY,
    GFP_DMA | GFP_HIGHMEM,
    GFP_DMA | GFP_MOVABLE,
    GFP_MOVABLE | GFP_RECLAIMABLE,
)

# What a zone keeps from requests that prefer a higher one: 1/ratio of what lies above it.
RESERVE_RATIO = (256, 32, 32, 32)


class Ev(enum.IntEnum):
    """enum lab2_record in tests/lab.h."""

    NODE = 64
    ADD = 65
    ALLOC = 66
    FREE = 67
    FREED = 68
    DRAIN = 69
    ROUTE = 70
    MARKS = 71
    MARK = 72
    ALLOWS = 73
    LIMIT = 74
    MOVER = 75
    MOVE = 76
    COMPACT = 77
    RECLAIM = 78
    STATS = 79
    FAULTS = 80
    COST = 81
    MISUSE = 82
    CHECK = 83
    REFUSED = 84


Step = Generator[Expect, Record, bool]
Done = Generator[Expect, Record, None]
Levels = list[int]  # frames by zone


def route(gfp: int) -> tuple[int, int]:
    """The highest zone that suits a request, and its mobility."""
    mobility = (
        MOVABLE if gfp & GFP_MOVABLE else RECLAIMABLE if gfp & GFP_RECLAIMABLE else UNMOVABLE
    )
    if gfp & GFP_DMA:
        return DMA, mobility
    if gfp & GFP_HIGHMEM:
        return (MOVABLE_ZONE if gfp & GFP_MOVABLE else HIGH), mobility
    return NORMAL, mobility


def unpack(packed: int) -> Levels:
    return [packed >> 16 * z & 0xFFFF for z in ZONES]


def waits(gfp: int) -> bool:
    return not gfp & (GFP_NOWAIT | GFP_ATOMIC)


WHOLE = (1 << BLOCK) - 1
HEADS = [sum_of_heads(FRAMES, order) for order in range(MAX_ORDER + 1)]


def runs(free: int, order: int) -> int:
    """The first frames of all aligned runs of 2^order free frames, as a bitmap."""
    for i in range(order):
        free &= free >> (1 << i)
    return free & HEADS[order]


class Stage(NamedTuple):
    """One attempt of a request: what is free when it is made, and how far down it goes."""

    free: Levels
    frames: int  # bitmap of free frames
    exact: bool  # no frames lie in lists: what is free is in the zones
    mark: Levels
    reserve: bool
    drained: bool


class Lab:
    """The other side of struct lab: slots, and the model that answers are held to."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.prng = ctx.prng
        self.model = FrameModel(max_order=MAX_ORDER)
        self.first = 0
        self.node = 0
        self.blocks: Sequence[int] = ()  # page blocks of each zone
        self.spans: list[tuple[int, int]] = []  # frames of each zone, from the arena's first
        self.managed = [0] * 4
        self.marks: list[tuple[int, int, int]] = []
        self.reserve: list[list[int]] = []
        self.min_free = 0
        self.slots: dict[int, tuple[int, int]] = {}  # first frame, order
        self.slot_at: dict[int, int] = {}  # by first frame
        self.movers: set[int] = set()  # first frames
        self.free_levels: Levels = [0] * 4
        self.cached: Levels = [0] * 4
        # Blocks in each list: by CPU, zone, mobility and order.
        self.listed: dict[tuple[int, int, int, int], int] = {}
        self.limits: dict[tuple[int, int, int], int] = {}  # zone, mobility, order
        self.mobility: list[int] = []  # of each page block
        self.masks: list[int] = []  # frames of each zone
        self.may_fail = False  # while failures are made on purpose
        self.big_batches = False  # the group has enough: batches must be worth their name
        self.groups_known = True  # block_mobility at the end must be what we think
        self.victims: list[int] = []  # slots that the reclaimer gives back, one each time
        self.nr_asked = 0
        self.nr_alloc = [0] * 4
        self.nr_freed = [0] * 4
        self.nr_failed = [0] * 4
        self.nr_fallback = [0] * 4
        self.nr_stolen = [0] * 4
        self.nr_borrowed = [0] * 4
        self.nr_refills = [0] * 4
        self.nr_drains = [0] * 4
        self.nr_moved = [0] * 4
        self.nr_compacted: list[int | None] = [0, 0, 0, 0]
        self.nr_compact_failed: list[int | None] = [0, 0, 0, 0]  # None: not known
        self.peak: list[int | None] = [0, 0, 0, 0]

    # -- the node -------------------------------------------------------------------------

    def begin_empty(self, blocks: Sequence[int], min_free: int) -> Done:
        record = yield Expect(Ev.NODE, arg=min_free, what="make a node")
        packed = sum(count << 8 * z for z, count in enumerate(blocks))
        self.ctx.check(
            record.c == packed and record.a % BLOCK == 0, "the node is not the one of this seed"
        )
        self.first, self.node, self.blocks, self.min_free = record.a, record.b, blocks, min_free
        self.model.base = self.first
        ends = [end * BLOCK for end in itertools.accumulate(blocks)]
        self.spans = list(zip([0, *ends[:-1]], ends, strict=True))
        self.masks = [((1 << end) - 1) ^ ((1 << first) - 1) for first, end in self.spans]
        self.mobility = [MOVABLE] * sum(blocks)

    def begin_with(self, blocks: Sequence[int], min_free: int) -> Done:
        yield from self.begin_empty(blocks, min_free)
        yield from self.add(0, sum(blocks) * BLOCK)

    def begin(self) -> Done:
        normal = 2 + self.prng.below(2)
        high = 1 + self.prng.below(2)
        min_free = 100 + self.prng.below(300)
        yield from self.begin_with((1, normal, high, 7 - normal - high), min_free)

    def add(self, first: int, end: int) -> Done:
        yield Expect(Ev.ADD, a=self.first + first, b=self.first + end, what="add frames")
        self.model.add(self.first + first, self.first + end)
        for z, (low, high) in enumerate(self.spans):
            more = max(0, min(end, high) - max(first, low))
            self.managed[z] += more
            self.free_levels[z] += more
        self.set_marks()

    def set_marks(self) -> None:
        """As node_set_marks() shares it out, and zone_set_marks_locked() computes it."""
        low = self.managed[DMA] + self.managed[NORMAL]
        min_free = self.min_free or 2 * int(low**0.5)
        self.marks, self.reserve = [], []
        for z in ZONES:
            if z <= NORMAL:
                share = min_free * self.managed[z] // max(low, 1)
            else:
                share = min(self.managed[z] // 1024, 128)
            self.marks.append((share, share + share // 4, share + share // 2))
            self.reserve.append(
                [sum(self.managed[z + 1 : p + 1]) // RESERVE_RATIO[z] for p in ZONES]
            )
            frames = min(max(self.managed[z] // 1024, 8), 256)
            for mobility, order in itertools.product(MOBILITIES, range(LIST_ORDERS)):
                self.limits[z, mobility, order] = max(frames >> order, 1)

    def set_limit(self, zone: int, mobility: int, order: int, limit: int) -> Done:
        group = zone * 3 + mobility
        yield Expect(Ev.LIMIT, arg=order, a=group, b=limit, what="set the limit of lists")
        self.limits[zone, mobility, order] = limit

    def zone_of(self, pfn: int) -> int:
        at = pfn - self.first
        for z, (first, end) in enumerate(self.spans):
            if first <= at < end:
                return z
        self.ctx.fail(f"frame {pfn:#x} is not the node's")

    def frames_of(self, mobility: int) -> int:
        """A bitmap of the frames of all page blocks of a mobility."""
        return sum(WHOLE << b * BLOCK for b, kind in enumerate(self.mobility) if kind == mobility)

    def mark(self, zone: int, gfp: int, mark: int) -> int:
        frames = self.marks[zone][mark]
        return frames // 2 if gfp & GFP_ATOMIC else frames

    # -- allocation -------------------------------------------------------------------------

    def alloc(self, slot: int, gfp: int, order: int) -> Step:
        """A request. Returns whether it got a block."""
        what = f"allocate order {order}, flags {gfp:#x}"
        ask = Ask(self, gfp, order)
        kinds = (Ev.ALLOC, Ev.MOVE, Ev.RECLAIM) if waits(gfp) else Ev.ALLOC
        while True:
            record = yield Expect(kinds, what=what)
            if record.kind == Ev.MOVE:
                ask.moved += self.move(record)
            elif record.kind == Ev.RECLAIM:
                yield from self.reclaimed(record, ask)
            else:
                break
        if record.arg & 0xFFFF != gfp | order << 12:
            self.ctx.fail("the record is of another request")
        ask.cpu = record.cpu
        free, cached = unpack(record.b), unpack(record.c)
        if record.a == NO_FRAME:
            ask.judge_none(free, cached)
            self.nr_failed[ask.preferred] += 1
        else:
            ask.judge_zone(record, free, cached)
            self.slots[slot] = (record.a, order)
            self.slot_at[record.a] = slot
        self.free_levels, self.cached = free, cached
        self.check_sums()
        return record.a != NO_FRAME

    def must_alloc(self, slot: int, gfp: int, order: int) -> Done:
        if not (yield from self.alloc(slot, gfp, order)):
            self.ctx.fail("got none")

    def must_not_alloc(self, slot: int, gfp: int, order: int) -> Done:
        if (yield from self.alloc(slot, gfp, order)):
            self.ctx.fail("got a block, but there can be none")

    def alloc_until_none(
        self, slot: int, gfp: int, order: int
    ) -> Generator[Expect, Record, int]:
        while slot < SLOTS and (yield from self.alloc(slot, gfp, order)):
            slot += 1
        return slot

    def reclaimed(self, record: Record, ask: "Ask") -> Done:
        self.nr_asked += 1
        if not self.victims:
            self.ctx.check(record.arg == 0, "more was given back than there is")
            return
        yield from self.free(self.victims.pop(0))
        ask.after = [f + c for f, c in zip(self.free_levels, self.cached, strict=True)]

    def check_sums(self) -> None:
        """What is free and what is in use together are all that a zone has."""
        for z in ZONES:
            expected = (self.model.free & self.masks[z]).bit_count()
            if self.free_levels[z] + self.cached[z] != expected:
                self.ctx.fail(
                    f"zone {ZONE_NAMES[z]} should have {expected} free frames, but says"
                    f" {self.free_levels[z]} and {self.cached[z]} in lists"
                )

    # -- giving back ------------------------------------------------------------------------

    def free(self, slot: int) -> Done:
        first, order = self.slots.pop(slot)
        record = yield Expect(Ev.FREE, arg=order, a=first, what=f"free {first:#x}, order {order}")
        self.model.release(first, 1 << order)
        self.movers.discard(first)
        zone = self.zone_of(first)
        self.nr_freed[zone] += 1
        done = yield Expect(Ev.FREED, what=f"free {first:#x}, order {order}")
        free, cached = unpack(done.b), unpack(done.c)
        came = free[zone] - self.free_levels[zone]
        if order >= LIST_ORDERS:
            if came != 1 << order:
                self.ctx.fail(f"nr_free grew by {came}, not by {1 << order}")
        else:
            self._freed_to_list(record.cpu, first, order, came)
        self.free_levels, self.cached = free, cached
        self.check_sums()

    def _freed_to_list(self, cpu: int, first: int, order: int, came: int) -> None:
        """A block went to a list, from which a batch may have gone to the zone."""
        zone, block = self.zone_of(first), (first - self.first) // BLOCK
        key = (cpu, zone, self.mobility[block], order)
        limit = self.limits[key[1:]]
        level = self.listed.get(key, 0) + 1
        batch, rest = divmod(came, 1 << order)
        if rest or came < 0 or batch > level:
            self.ctx.fail(f"nr_free grew by {came} frames: no batch of blocks of a list")
        if batch == 0 and level > limit:
            self.ctx.fail(f"the list holds {level} blocks now, and its limit is {limit}")
        if batch and level <= limit // 2:
            self.ctx.fail(f"a list of only {level} blocks was shortened; its limit is {limit}")
        if batch and batch < limit // 4:
            self.ctx.fail(f"only {batch} blocks went back at a time; the list's limit is {limit}")
        self.nr_drains[zone] += bool(batch)
        self.listed[key] = level - batch

    def free_all(self) -> Done:
        for slot in sorted(self.slots):
            yield from self.free(slot)

    def drain(self) -> Done:
        record = yield Expect(Ev.DRAIN, what="empty all lists")
        self.drained(unpack(record.b), unpack(record.c))
        self.check_sums()

    def drained(self, free: Levels, cached: Levels) -> None:
        if any(cached):
            self.ctx.fail(f"lists still hold frames: {cached}, by zone")
        for (_, zone, _, _), level in self.listed.items():
            self.nr_drains[zone] += level > 0
        self.listed.clear()
        self.free_levels, self.cached = free, cached

    # -- moving -----------------------------------------------------------------------------

    def set_mover(self, slot: int) -> Done:
        first = self.slots[slot][0]
        yield Expect(Ev.MOVER, arg=slot, a=first, b=0, what="let a block be moved")
        self.movers.add(first)

    def move(self, record: Record) -> int:
        """A block was moved, or could not be. Returns how many frames."""
        source, target, order = record.a, record.b, record.arg
        if source not in self.movers or self.model.live_orders.get(source) != order:
            self.ctx.fail(f"{source:#x} was moved, which is no block that may be moved")
        zone = self.zone_of(source)
        self.ctx.check(self.zone_of(target) == zone, "a block was moved to another zone")
        self.model.alloc(target, order)
        if record.c:  # busy: stays where it is
            self.model.release(target, 1 << order)
            return 0
        self.model.release(source, 1 << order)
        self.movers.remove(source)
        self.movers.add(target)
        slot = self.slot_at.pop(source)
        self.slots[slot] = (target, order)
        self.slot_at[target] = slot
        self.nr_moved[zone] += 1 << order
        self.peak[zone] = None
        return 1 << order

    def run_costs(self, zone: int, order: int) -> dict[int, int]:
        """By the first frame of each run that could be emptied: how many frames are to move."""
        fixed, size = 0, 1 << order
        for first, block_order in self.model.live_orders.items():
            if first not in self.movers or block_order > order:
                fixed |= ((1 << (1 << block_order)) - 1) << (first - self.first)
        taken = self.model.managed & ~self.model.free
        costs = {}
        for first in range(*self.spans[zone], size):
            run = ((1 << size) - 1) << first
            if not fixed & run and self.model.managed & run == run:
                costs[first] = (taken & run).bit_count()
        return costs

    def has_room(self, zone: int, run: int, order: int) -> bool:
        """Is it sure that all blocks of a run find another place?"""
        span = range(self.first + run, self.first + run + (1 << order))
        orders = [o for first, o in self.model.live_orders.items() if first in span]
        if not orders:
            return True
        here = ((1 << (1 << order)) - 1) << run
        outside = self.model.free & self.masks[zone] & self.frames_of(MOVABLE) & ~here
        return runs(outside, max(orders)).bit_count() >= len(orders)

    def compact(self, zone: int, order: int) -> Step:
        """Returns whether a run was made."""
        what = f"compact zone {ZONE_NAMES[zone]}, order {order}"
        costs = self.run_costs(zone, order)
        known = not any(self.cached)
        there = runs(self.model.free & self.masks[zone], order) != 0
        least = 0 if there else min(costs.values(), default=0)
        possible = bool(costs) and all(
            self.has_room(zone, run, order) for run, cost in costs.items() if cost == least
        )
        moved, busy = 0, False
        while True:
            record = yield Expect((Ev.MOVE, Ev.COMPACT), what=what)
            if record.kind == Ev.COMPACT:
                break
            busy |= record.c != 0
            moved += self.move(record)
        self.ctx.check(record.arg == zone | order << 8, "the record is of another zone or order")
        if unpack(record.b) != self.free_levels or unpack(record.c) != self.cached:
            self.ctx.fail(
                f"before, {self.free_levels} frames were free, by zone; now {unpack(record.b)}"
            )
        self.peak[zone] = None
        if record.a:
            made = self.nr_compacted[zone]
            self.nr_compacted[zone] = None if there or made is None else made + 1
            if not runs(self.model.free & self.masks[zone], order):
                self.ctx.fail("says that there is a free run, but there is none")
            if known and not busy and moved > least:
                self.ctx.fail(f"moved {moved} frames, but the cheapest run needs {least}")
        else:
            failed = self.nr_compact_failed[zone]
            self.nr_compact_failed[zone] = None if failed is None else failed + 1
            if known and not busy and (there or possible):
                self.ctx.fail(f"made no run, but one can be had by moving {least} frames")
        return bool(record.a)

    def must_compact(self, zone: int, order: int) -> Done:
        if not (yield from self.compact(zone, order)):
            self.ctx.fail("made no run")

    # -- what the node says -----------------------------------------------------------------

    def check(self) -> Done:
        """The kernel's own checker found nothing, and nothing has moved."""
        record = yield Expect(Ev.CHECK, a=0, what="check the node")
        if unpack(record.b) != self.free_levels or unpack(record.c) != self.cached:
            self.ctx.fail(f"before, {self.free_levels} frames were free; now {unpack(record.b)}")

    def stats(self) -> Done:
        """Every counter, as far as it follows from what was asked."""
        for z in ZONES:
            values: list[tuple[str, Sequence[int | None]]] = [
                ("allocations, frees, failures",
                 (self.nr_alloc[z], self.nr_freed[z], self.nr_failed[z])),
                ("fallbacks, stolen blocks, borrowed",
                 (self.nr_fallback[z], self.nr_stolen[z], self.nr_borrowed[z])),
                ("refills, drains, peak",
                 (self.nr_refills[z], self.nr_drains[z], self.peak[z])),
                ("compactions, those that failed, frames moved",
                 (self.nr_compacted[z], self.nr_compact_failed[z], self.nr_moved[z])),
            ]  # fmt: skip
            for page, (names, (a, b, c)) in enumerate(values):
                what = f"statistics of zone {ZONE_NAMES[z]}: {names} (a, b, c)"
                yield Expect(Ev.STATS, arg=z | page << 8, a=a, b=b, c=c, what=what)

    # -- chance -------------------------------------------------------------------------------

    def random_order(self, most: int) -> int:
        draw = self.prng.next() | 1 << most
        return (draw & -draw).bit_length() - 1

    def random_gfp(self) -> int:
        usual = (
            GFP_NOWAIT,
            GFP_NOWAIT | GFP_RECLAIMABLE,
            GFP_NOWAIT | GFP_MOVABLE,
            GFP_NOWAIT | GFP_DMA,
            GFP_NOWAIT | GFP_HIGHMEM,
            GFP_NOWAIT | GFP_USER,
            GFP_ATOMIC,
            GFP_ATOMIC | GFP_USER,
        )
        return usual[self.prng.below(len(usual))]

    def trace(self, rounds: int, slots: int, least: int, most: int) -> Done:
        for _ in range(rounds):
            slot = self.prng.below(slots)
            if slot in self.slots:
                yield from self.free(slot)
            else:
                gfp = self.random_gfp()
                yield from self.alloc(slot, gfp, least + self.random_order(most - least))

    # -- the end --------------------------------------------------------------------------------

    def final(self) -> None:
        """Look at the guest's memory as the case left it."""
        spans = [(self.first + first, self.first + end) for first, end in self.spans]
        blocks = {self.first + b * BLOCK: m for b, m in enumerate(self.mobility)}
        problem = check_node(
            NodeView(self.ctx.guest, self.node, spans), self.model,
            blocks if self.groups_known else None, self.movers,
        )  # fmt: skip
        if problem:
            raise Refused(f"in memory, as the case left it: {problem}")


class Ask:
    """One request, and what was free when it was made."""

    def __init__(self, lab: Lab, gfp: int, order: int) -> None:
        self.lab = lab
        self.ctx = lab.ctx
        self.gfp, self.order, self.size = gfp, order, 1 << order
        self.preferred, self.mobility = route(gfp)
        self.free, self.cached = lab.free_levels, lab.cached
        self.after = [f + c for f, c in zip(self.free, self.cached, strict=True)]
        self.frames = lab.model.free
        self.moved = 0
        self.cpu = 0

    # -- which zone -------------------------------------------------------------------------

    def stages(self) -> list[Stage]:
        """The attempts that this request may make, in order."""
        low, least = ([self.lab.mark(z, self.gfp, mark) for z in ZONES] for mark in (1, 0))
        exact = not any(self.cached)
        stages = [
            Stage(self.free, self.frames, exact, low, reserve=True, drained=False),
            Stage(self.free, self.frames, exact, least, reserve=True, drained=False),
        ]
        if waits(self.gfp):
            now = self.lab.model.free
            stages.append(Stage(self.after, now, True, least, reserve=True, drained=True))
            if self.gfp & GFP_NOFAIL:
                stages.append(Stage(self.after, now, True, [0] * 4, reserve=False, drained=True))
        return stages

    def need(self, stage: Stage, zone: int) -> int:
        """How many frames must be free for it."""
        kept = self.lab.reserve[zone][self.preferred] if stage.reserve else 0
        return self.size + stage.mark[zone] + kept

    def would_serve(self, stage: Stage, zone: int) -> bool:
        """Must this zone have given a block in this attempt?"""
        if self.order < LIST_ORDERS and not stage.drained and self.listed(zone):
            return True
        if self.lab.managed[zone] == 0 or stage.free[zone] < self.need(stage, zone):
            return False
        if self.order == 0:
            return True
        return stage.exact and runs(stage.frames & self.lab.masks[zone], self.order) != 0

    def listed(self, zone: int) -> int:
        """Blocks in this CPU's list."""
        return self.lab.listed.get((self.cpu, zone, self.mobility, self.order), 0)

    def judge_zone(self, record: Record, free: Levels, cached: Levels) -> None:
        lab, zone = self.lab, self.lab.zone_of(record.a)
        if zone > self.preferred:
            self.ctx.fail(
                f"frame {record.a:#x} is in zone {ZONE_NAMES[zone]}, which does not suit"
            )
        listed = (
            self.order < LIST_ORDERS
            and free == self.free
            and cached[zone] == self.cached[zone] - self.size
        )
        key = (record.cpu, zone, self.mobility, self.order)
        if listed and lab.listed.get(key, 0) == 0:
            self.ctx.fail("a block came from a list that is empty")
        why = self._judge_stages(zone, listed, free)
        lab.model.alloc(record.a, self.order)
        self.judge_group(record, zone, listed)
        lab.nr_alloc[zone] += 1
        if zone != self.preferred and lab.managed[self.preferred]:
            lab.nr_fallback[zone] += 1
        if why.drained:
            self._drained()
        if listed:
            lab.listed[key] -= 1
        else:
            self._judge_batch(key, why, free)
        peak = lab.peak[zone]
        if peak is not None:
            lab.peak[zone] = max(peak, lab.managed[zone] - free[zone])

    def _judge_stages(self, zone: int, listed: bool, free: Levels) -> Stage:
        """The attempt that explains the answer."""
        names = ("low", "min", "min, after lists were emptied", "nothing kept")
        complaint = ""
        for stage, name in zip(self.stages(), names, strict=False):
            for higher in range(self.preferred, zone, -1):
                if self.would_serve(stage, higher):
                    self.ctx.fail(
                        complaint or f"came from zone {ZONE_NAMES[zone]}, but zone"
                        f" {ZONE_NAMES[higher]} has {stage.free[higher]} frames free and"
                        f" keeps {self.need(stage, higher) - self.size} (mark {name})"
                    )
            if listed and not stage.drained:
                return stage
            others = [z for z in ZONES if z != zone]
            unchanged = all(free[z] == stage.free[z] for z in others)
            need = self.need(stage, zone)
            gave = not listed and unchanged and free[zone] < stage.free[zone]
            if gave and stage.free[zone] >= need:
                return stage
            for lower in range(zone, -1, -1):
                if self.would_serve(stage, lower):
                    self.ctx.fail(
                        complaint or f"zone {ZONE_NAMES[lower]} has {stage.free[lower]} frames"
                        f" free and keeps {self.need(stage, lower) - self.size} (mark {name}):"
                        f" it comes before going further down in zone {ZONE_NAMES[zone]}"
                    )
            if stage.free[zone] < need:
                complaint = (
                    f"zone {ZONE_NAMES[zone]} gave {self.size} of {stage.free[zone]} free"
                    f" frames, but keeps {need - self.size} from such a request"
                )
        self.ctx.fail(complaint or "frames left other zones, or lists, without need")

    def judge_none(self, free: Levels, cached: Levels) -> None:
        lab = self.lab
        if lab.may_fail and not self.gfp & GFP_NOFAIL:
            if free != self.free or cached != self.cached:
                self.ctx.fail("a request that was made to fail has changed something")
            return
        if self.gfp & GFP_NOFAIL:
            self.ctx.fail("GFP_NOFAIL got none")
        for stage in self.stages():
            for zone in range(self.preferred, -1, -1):
                if self.would_serve(stage, zone):
                    self.ctx.fail(
                        f"got none, but zone {ZONE_NAMES[zone]} has {stage.free[zone]} frames"
                        f" free and keeps only {self.need(stage, zone) - self.size} from it"
                    )
        if not waits(self.gfp):
            if free != self.free or cached != self.cached:
                self.ctx.fail("a request that got none has changed something")
            return
        if self.order > 0:
            for zone in range(self.preferred + 1):
                self._judge_uncompacted(zone)
        self._drained()

    def _judge_uncompacted(self, zone: int) -> None:
        """A request that waits got none: would compaction have helped?"""
        lab = self.lab
        lab.nr_compact_failed[zone] = None
        if self.after[zone] < self.need(self.stages()[1], zone):
            return
        costs = lab.run_costs(zone, self.order)
        if costs and all(lab.has_room(zone, run, self.order) for run in costs):
            self.ctx.fail(
                f"got none, but a run could be had by moving {min(costs.values())} frames"
            )

    def _drained(self) -> None:
        """The request has emptied the lists."""
        for (_, zone, _, _), level in self.lab.listed.items():
            self.lab.nr_drains[zone] += level > 0
        self.lab.listed.clear()
        if self.order > 0:
            self.lab.nr_compact_failed = [None] * 4

    # -- batches ----------------------------------------------------------------------------

    def _judge_batch(self, key: tuple[int, int, int, int], stage: Stage, free: Levels) -> None:
        """Blocks left the zone: one for the caller, the others for the list."""
        lab, zone = self.lab, key[1]
        taken = stage.free[zone] - free[zone]
        if self.order >= LIST_ORDERS or not stage.reserve:
            # Nobody fills lists with what only GFP_NOFAIL may have.
            if taken != self.size:
                self.ctx.fail(f"{taken} frames left the zone for a request of {self.size}")
            return
        batch, rest = divmod(taken, self.size)
        limit = lab.limits[key[1:]]
        level = lab.listed.get(key, 0) + batch - 1
        lab.nr_refills[zone] += 1
        lab.listed[key] = level
        kept = self.need(stage, zone) - self.size
        if rest or level > limit:
            self.ctx.fail(f"{level} blocks are in the list now, and its limit is {limit}")
        if free[zone] < kept:
            self.ctx.fail(f"a batch left {free[zone]} frames, but {kept} must stay")
        plenty = 2 * limit * self.size
        if not lab.big_batches or free[zone] - kept < plenty:
            return
        # A batch comes from the group's own page blocks, which may just have run out.
        here = (lab.model.free & lab.masks[zone] & self._own()).bit_count() - sum(self.cached)
        if batch < limit // 4 and here >= plenty:
            self.ctx.fail(f"a batch of {batch} blocks for a list of {limit} is no batch")

    # -- groups -----------------------------------------------------------------------------

    def _own(self) -> int:
        """The frames of all page blocks of this mobility, free or not."""
        return self.lab.frames_of(self.mobility)

    def judge_group(self, record: Record, zone: int, listed: bool) -> None:
        lab = self.lab
        block = (record.a - lab.first) // BLOCK
        said_zone, said = divmod(record.arg >> 16, 3)
        if said_zone != zone:
            self.ctx.fail(f"page->group of frame {record.a:#x} is of another zone")
        # Without lists it is known what was free where.
        certain = not any(self.cached) and not self.moved
        frames = lab.masks[zone] & (self.frames if not self.moved else 0)
        whole = WHOLE << block * BLOCK
        was_free = self.frames & whole == whole
        own_has = runs(frames & self._own(), self.order) != 0
        name = MOBILITY_NAMES[self.mobility]
        if said != lab.mobility[block]:
            if not was_free and not self.moved:
                self.ctx.fail(f"page block {block} changed its group while it was in use")
            if said != self.mobility:
                self.ctx.fail(f"page block {block} changed its group for another mobility")
            if certain and own_has:
                self.ctx.fail(f"a page block was stolen, but {name} page blocks had enough")
            lab.mobility[block] = said
            lab.nr_stolen[zone] += 1
        elif said != self.mobility:
            if listed:
                self.ctx.fail("a list gave a block of another group")
            if certain and own_has:
                self.ctx.fail(f"a block was borrowed, but {name} page blocks had one")
            if certain and runs(frames, MAX_ORDER):
                self.ctx.fail("a block was borrowed, but there is a whole free page block")
            lab.nr_borrowed[zone] += 1
