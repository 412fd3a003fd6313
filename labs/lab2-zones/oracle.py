# SPDX-License-Identifier: MIT
"""Lab 2: what zones must do, case by case, seen from outside the guest.

Each case mirrors its C function in tests/: the same random draws, the same requests. Which block
is given out, from which page block of another group, by batches of what size, is the solution's
own choice. What is judged is in class Lab: which zones a request may take from and how far down
(_judge_zone), who shares a page block with whom (_judge_group), how the CPUs' lists fill and
empty (_judge_batch, free), and what compaction may cost (Compaction).

At the end of a case the node is read from the guest's memory, and must agree.
"""

import enum
import itertools
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from grading.evidence import Record
from grading.frames import FrameModel, sum_of_heads
from grading.oracle import Context, Expect, Refused, Script, case
from grading.zone_check import NodeView, check_node

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


_WHOLE = (1 << BLOCK) - 1
_HEADS = [sum_of_heads(FRAMES, order) for order in range(MAX_ORDER + 1)]


def runs(free: int, order: int) -> int:
    """The first frames of all aligned runs of 2^order free frames, as a bitmap."""
    for i in range(order):
        free &= free >> (1 << i)
    return free & _HEADS[order]


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
        return sum(_WHOLE << b * BLOCK for b, kind in enumerate(self.mobility) if kind == mobility)

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
        least = min(costs.values(), default=0)
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
            self.nr_compacted[zone] = None if made is None else made + 1
            if not runs(self.model.free & self.masks[zone], order):
                self.ctx.fail("says that there is a free run, but there is none")
            if known and not busy and moved > least:
                self.ctx.fail(f"moved {moved} frames, but the cheapest run needs {least}")
        else:
            failed = self.nr_compact_failed[zone]
            self.nr_compact_failed[zone] = None if failed is None else failed + 1
            if known and not busy and possible:
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
            if unchanged and not listed and stage.free[zone] >= need and free[zone] < stage.free[zone]:
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
        whole = _WHOLE << block * BLOCK
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
    half = 1 + lab.prng.below(FRAMES - 1)
    yield from lab.begin_empty((1, 3, 2, 2), min_free)
    yield from lab.add(0, half)
    yield from marks_of(lab)
    yield from lab.add(half, FRAMES)
    yield from marks_of(lab)
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


def fragment(lab: Lab, most: int, keep: int) -> Generator[Expect, Record, int]:
    last = 0
    while (yield from lab.alloc(last, GFP_NOWAIT | GFP_MOVABLE, lab.prng.below(most + 1))):
        last += 1
    for slot in range(last):
        if lab.prng.below(keep) == 0:
            yield from lab.set_mover(slot)
        else:
            yield from lab.free(slot)
    yield from lab.drain()
    return last


@lab_case
def compaction(lab: Lab) -> Done:
    yield from one_zone(lab, 4)
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
    for turn in range(12):
        order = 4 + lab.prng.below(6)
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
    for slot in range(last):
        if slot not in lab.slots:
            continue
        first = lab.slots[slot][0]
        if (first - lab.first) >> HUGE_ORDER == spared or lab.prng.below(8):
            continue
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
    for slot in itertools.count(last):
        if not (yield from lab.compact(NORMAL, 8)):
            break
        yield from lab.alloc(slot, GFP_NOWAIT, 8)
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
    # Four workers of 1500 rounds: a free is logged before, an allocation after the call, so
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
    if nr_alloc < 1500 or nr_alloc != nr_free:
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
