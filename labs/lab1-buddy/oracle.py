# SPDX-License-Identifier: MIT
"""Lab 1: what the buddy allocator must do, case by case, seen from outside the guest.

Each case mirrors its C function in tests/: the same random draws, the same requests. The
answers are the allocator's own choice, within what FrameModel allows: any free run of the
right size and alignment will do, so a solution may keep its free blocks as it likes and
merge them now or later. "None" is only an answer when no such run exists.

At the end of a case the pages of all frames are read from the guest's memory: blocks that
are in use, blocks that are free and frames that are neither must be marked as such, and
free lists, if the solution uses them, must hold what is free and nothing else.
"""

import enum
from collections.abc import Callable, Generator, Iterator

from grading.evidence import Record
from grading.frame_check import check_free_memory
from grading.frames import FrameModel
from grading.oracle import Context, Expect, Refused, Script, case

MAX_ORDER = 10
BLOCK = 1 << MAX_ORDER
FRAMES = 8192
BLOCKS = FRAMES >> MAX_ORDER
NO_FRAME = (1 << 64) - 1
EINVAL = 22


class Ev(enum.IntEnum):
    """enum lab1_record in tests/lab.h."""

    ARENA = 64
    ADD = 65
    ALLOC = 66
    FREE = 67
    EXACT = 68
    RANGE = 69
    RESERVE = 70
    FREE_RANGE = 71
    TOTALS = 72
    STATS = 73
    PEAK = 74
    FRAGMENTATION = 75
    MISUSE = 76
    FAULTS = 77
    COST = 78


Step = Generator[Expect, Record, bool]
Done = Generator[Expect, Record, None]


class Lab:
    """The other side of struct lab: slots, and the model that answers are held to."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.prng = ctx.prng
        self.model = FrameModel(max_order=MAX_ORDER)
        self.first = 0
        self.buddy = 0
        self.slots: dict[int, tuple[int, int, int | None]] = {}  # first, frames, order
        self.may_fail = False  # while failures are made on purpose
        self.nr_alloc = [0] * (MAX_ORDER + 1)
        self.nr_free = [0] * (MAX_ORDER + 1)
        self.nr_failed = 0
        self.peak = 0

    def begin(self, *ranges: tuple[int, int]) -> Done:
        record = yield Expect(Ev.ARENA, what="make an allocator")
        self.first, self.buddy = record.a, record.c
        self.ctx.check(
            record.b - record.a == FRAMES and record.a % BLOCK == 0,
            "the arena is not the one that the runner set aside",
        )
        self.model.base = self.first
        for first, end in ranges:
            yield from self.add(first, end)

    def add(self, first: int, end: int) -> Done:
        first, end = self.first + first, self.first + end
        yield Expect(Ev.ADD, a=first, b=end, what=f"add frames [{first:#x}, {end:#x})")
        self.model.add(first, end)

    def answered(self, got: int, frames: int, possible: Callable[[], bool]) -> bool:
        """Count an answer. Returns whether it was frames."""
        if got != NO_FRAME:
            self.peak = max(self.peak, self.model.managed.bit_count() - self.model.frames_free)
            return True
        self.nr_failed += 1
        if not self.may_fail and possible():
            self.ctx.fail(f"got none, but an aligned run of {frames} free frames exists")
        return False

    def alloc(self, slot: int, order: int) -> Step:
        record = yield Expect(Ev.ALLOC, arg=order, what=f"allocate order {order}")
        if record.a != NO_FRAME:
            self.model.alloc(record.a, order)
            self.slots[slot] = (record.a, 1 << order, order)
            self.nr_alloc[order] += 1
        return self.answered(record.a, 1 << order, lambda: self.model.can_alloc(order))

    def must_alloc(self, slot: int, order: int) -> Done:
        if not (yield from self.alloc(slot, order)):
            self.ctx.fail("got none")

    def exact(self, slot: int, frames: int) -> Step:
        order = (frames - 1).bit_length()
        record = yield Expect(Ev.EXACT, arg=frames, what=f"allocate exactly {frames} frames")
        if record.a != NO_FRAME:
            self.ctx.check(record.a % (1 << order) == 0, f"frame {record.a:#x} is not aligned")
            self.model.take(record.a, frames)
            self.slots[slot] = (record.a, frames, None)
        return self.answered(record.a, 1 << order, lambda: self.model.can_alloc(order))

    def must_exact(self, slot: int, frames: int) -> Done:
        if not (yield from self.exact(slot, frames)):
            self.ctx.fail("got none")

    def range(self, kind: Ev, slot: int, first: int, end: int) -> Step:
        first, end = self.first + first, self.first + end
        verb = "allocate" if kind == Ev.RANGE else "reserve"
        record = yield Expect(kind, a=first, b=end, what=f"{verb} frames [{first:#x}, {end:#x})")
        free = self.model.is_free(first, end)
        if (record.arg == 0) != free:
            self.ctx.fail(f"returned {-record.arg}, but {'all' if free else 'not all'} are free")
        if kind == Ev.RESERVE and free:
            self.model.reserve(first, end)
        elif kind == Ev.RANGE:
            if free:
                self.model.take(first, end - first)
                self.slots[slot] = (first, end - first, None)
            self.answered(first if free else NO_FRAME, end - first, lambda: False)
        return free

    def wrong_range(self, kind: Ev, first: int, end: int) -> Done:
        first, end = (self.first + first) % (1 << 64), self.first + end
        what = f"ask for frames [{first:#x}, {end:#x}), which is no range of the allocator"
        yield Expect(kind, arg=EINVAL, a=first, b=end, what=what)

    def free(self, slot: int) -> Done:
        first, frames, order = self.slots.pop(slot)
        if order is None:
            yield Expect(Ev.FREE_RANGE, a=first, b=first + frames, what="give back a range")
        else:
            yield Expect(Ev.FREE, arg=order, a=first, what=f"free {first:#x}, order {order}")
            self.nr_free[order] += 1
        self.model.release(first, frames)

    def free_tail(self, slot: int, frames: int) -> Done:
        first, held, _ = self.slots[slot]
        end = first + held
        yield Expect(Ev.FREE_RANGE, a=end - frames, b=end, what="give back the end of a range")
        self.model.release(first, held)
        self.model.take(first, held - frames)
        self.slots[slot] = (first, held - frames, None)

    def free_all(self) -> Done:
        for slot in sorted(self.slots):
            yield from self.free(slot)

    def totals(self) -> Done:
        free, managed = self.model.frames_free, self.model.managed.bit_count()
        yield Expect(Ev.TOTALS, a=free, b=managed, c=free, what="compare the totals")

    def check_peak(self) -> Done:
        what = "frames_peak (a) and nr_failed (b)"
        yield Expect(Ev.PEAK, a=self.peak, b=self.nr_failed, what=what)

    def random_order(self, most: int) -> int:
        draw = self.prng.next() | 1 << most
        return (draw & -draw).bit_length() - 1

    def trace(self, rounds: int, slots: int, max_order: int) -> Done:
        for _ in range(rounds):
            slot = self.prng.below(slots)
            if slot in self.slots:
                yield from self.free(slot)
            else:
                yield from self.alloc(slot, self.random_order(max_order))

    def alloc_blocks(self) -> Done:
        """The whole arena, in largest blocks."""
        for slot in range(BLOCKS):
            yield from self.must_alloc(slot, MAX_ORDER)

    def alloc_frames(self, slot: int) -> Generator[Expect, Record, int]:
        """Frame by frame until there is none. Returns the first slot not used."""
        while (yield from self.alloc(slot, 0)):
            slot += 1
        return slot

    def final(self) -> None:
        """Look at the guest's memory as the case left it."""
        problem = check_free_memory(
            self.ctx.guest, self.buddy, self.model, (self.first, self.first + FRAMES)
        )
        if problem:
            raise Refused(f"in memory, as the case left it: {problem}")


def lab_case(script: Callable[[Lab], Done]) -> Callable[[Context], Script]:
    """Register a script on a Lab, with the look at memory behind it."""

    def run(ctx: Context) -> Script:
        lab = Lab(ctx)
        yield from script(lab)
        lab.final()

    run.__name__ = script.__name__.rstrip("_")  # range_ is the case range
    return case(run)  # type: ignore[return-value]


# ---- blocks: tests/buddy_cases.c ---------------------------------------------------


@lab_case
def pristine(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    yield from lab.totals()
    yield from lab.alloc_blocks()
    yield from lab.alloc(BLOCKS, MAX_ORDER)
    yield from lab.alloc(BLOCKS, 0)
    yield from lab.totals()


@lab_case
def split(lab: Lab) -> Done:
    yield from lab.begin()
    start = lab.prng.below(8) << MAX_ORDER
    order = lab.prng.below(MAX_ORDER)
    yield from lab.add(start, start + BLOCK)
    yield from lab.must_alloc(0, order)
    yield from lab.totals()
    yield from lab.alloc(1, MAX_ORDER)
    for slot, larger in enumerate(range(order, MAX_ORDER), 1):
        yield from lab.must_alloc(slot, larger)
    yield from lab.alloc(100, 0)
    yield from lab.totals()


@lab_case
def merge(lab: Lab) -> Done:
    yield from lab.begin((0, BLOCK))
    for slot in range(BLOCK):
        yield from lab.must_alloc(slot, 0)
    yield from lab.alloc(BLOCK, 0)
    for slot in random_slots(lab, BLOCK):
        yield from lab.free(slot)
    yield from lab.totals()
    yield from lab.must_alloc(0, MAX_ORDER)


@lab_case
def merge_stops(lab: Lab) -> Done:
    yield from lab.begin()
    kept = lab.prng.below(BLOCK)
    yield from lab.add(0, BLOCK)
    for slot in range(BLOCK):
        yield from lab.must_alloc(slot, 0)
    for slot in range(BLOCK):
        if slot != kept:
            yield from lab.free(slot)
    yield from lab.totals()
    for order in range(MAX_ORDER, -1, -1):
        yield from lab.alloc(BLOCK + order, order)
    yield from lab.alloc(2 * BLOCK, 0)


@lab_case
def alignment(lab: Lab) -> Done:
    yield from lab.begin()
    first = 1 + lab.prng.below(1000)
    end = FRAMES - 1 - lab.prng.below(1000)
    yield from lab.add(first, end)
    yield from lab.totals()
    for turn in range(40):
        for order in range(MAX_ORDER + 1):
            yield from lab.alloc(turn * (MAX_ORDER + 1) + order, order)
    yield from lab.totals()


@lab_case
def exhaustion(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    for _ in range(3):
        order = lab.prng.below(5)
        slot = 0
        while slot < FRAMES and (yield from lab.alloc(slot, order)):
            slot += 1
        yield from lab.totals()
        yield from lab.free_all()
        yield from lab.totals()
    yield from lab.alloc_blocks()


@lab_case
def mixed(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    yield from lab.trace(6000, 400, MAX_ORDER)
    yield from lab.totals()
    yield from lab.free_all()
    yield from lab.totals()
    yield from lab.alloc_blocks()


@lab_case
def pressure(lab: Lab) -> Done:
    yield from lab.begin((0, 2 * BLOCK))
    yield from lab.trace(6000, 600, MAX_ORDER)
    yield from lab.totals()
    yield from lab.free_all()
    yield from lab.must_alloc(0, MAX_ORDER)
    yield from lab.must_alloc(1, MAX_ORDER)


@lab_case
def holes(lab: Lab) -> Done:
    yield from lab.begin()
    at = 0
    while True:
        first = at + 1 + lab.prng.below(100)
        end = first + 1 + lab.prng.below(1500)
        if end > FRAMES:
            break
        yield from lab.add(first, end)
        at = end
    yield from lab.totals()
    yield from lab.trace(3000, 300, MAX_ORDER)
    yield from lab.totals()
    yield from lab.free_all()
    yield from lab.totals()
    yield from lab.alloc_frames(0)
    yield from lab.totals()


@lab_case
def late_memory(lab: Lab) -> Done:
    yield from lab.begin()
    last = 2 + lab.prng.below(BLOCK - 2)
    first = 1 + lab.prng.below(last - 1)
    yield from lab.add(last, 2 * BLOCK)
    yield from lab.trace(500, 50, 4)
    yield from lab.add(first, last)
    yield from lab.totals()
    yield from lab.trace(500, 50, 4)
    yield from lab.free_all()
    yield from lab.add(0, first)
    yield from lab.totals()
    yield from lab.must_alloc(0, MAX_ORDER)
    yield from lab.must_alloc(1, MAX_ORDER)
    yield from lab.alloc(2, 0)


@lab_case
def statistics(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    yield from lab.trace(2000, 200, 7)
    yield from lab.alloc(1001, MAX_ORDER)
    yield from lab.free_all()
    for slot in range(BLOCKS + 1):
        yield from lab.alloc(slot, MAX_ORDER)
    yield from lab.free(0)
    for order in range(MAX_ORDER + 1):
        yield Expect(
            Ev.STATS,
            arg=order,
            a=lab.nr_alloc[order],
            b=lab.nr_free[order],
            what=f"nr_alloc (a) and nr_free (b) of order {order}",
        )
    yield from lab.check_peak()
    yield from lab.totals()


def measures(order: int, unusable: int, index: int) -> Done:
    yield Expect(
        Ev.FRAGMENTATION,
        arg=order,
        a=unusable,
        b=index % (1 << 64),
        what=f"unusable (a) and fragmentation index (b) of order {order}",
    )


def all_measures(order: int, blocks: int, singles: int) -> Done:
    """The measures when that many blocks of an order from 1 are free, and single frames."""
    frames = (blocks << order) + singles
    for wanted in range(MAX_ORDER + 1):
        too_small = 0 if wanted == 0 else singles if wanted <= order else frames
        requests = frames * 1000 >> wanted
        index = -1000 if wanted <= order else 1000 - (1000 + requests) // (blocks + singles)
        yield from measures(wanted, too_small * 1000 // frames, index)


@lab_case
def fragmentation(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    yield from lab.trace(300, 60, 6)
    yield from lab.free_all()
    order = 1 + lab.prng.below(4)
    last = (FRAMES >> order) - 1
    for slot in range(last + (1 << order)):
        yield from lab.must_alloc(slot, order if slot < last else 0)
    yield from measures(0, 0, 0)

    def numbers() -> Iterator[tuple[int, int]]:
        return ((slot, (lab.slots[slot][0] - lab.first) >> order) for slot in range(last))

    empty = [slot for slot, number in numbers() if number % 4 == 1][:3]
    for slot in (*empty, last):
        yield from lab.free(slot)
    yield from all_measures(order, 3, 1)
    yield from lab.must_alloc(last, 0)
    for slot in empty:
        yield from lab.must_alloc(slot, order)

    odd = [slot for slot, number in numbers() if number % 2]
    for slot in odd:
        yield from lab.free(slot)
    yield from all_measures(order, len(odd), 0)
    yield from lab.alloc(FRAMES - 1, order + 1)
    yield from lab.free_all()
    yield from measures(MAX_ORDER, 0, -1000)
    yield from lab.must_alloc(0, MAX_ORDER)


# ---- runs of frames: tests/range_cases.c -------------------------------------------


@lab_case
def exact(lab: Lab) -> Done:
    yield from lab.begin((0, BLOCK))
    for turn in range(200):
        frames = 1 + lab.prng.below(BLOCK)
        yield from lab.must_exact(0, frames)
        if turn % 8 == 0:
            yield from lab.alloc_frames(1)
        yield from lab.totals()
        yield from lab.free_all()
    yield from lab.must_exact(0, 1)
    for order in range(MAX_ORDER):
        yield from lab.must_exact(1 + order, 1 << order)
    yield from lab.alloc(100, 0)


@lab_case
def exact_limits(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    for i, frames in enumerate((0, BLOCK + 1, 1 << 20, NO_FRAME)):
        yield Expect(Ev.EXACT, arg=i, a=NO_FRAME, b=frames, what=f"ask for {frames} frames")
    yield from lab.totals()
    yield from lab.must_exact(0, BLOCK)
    yield from lab.must_exact(1, 1)
    yield from lab.totals()


@lab_case
def range_(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    yield from lab.trace(300, 60, 6)
    for turn in range(300):
        first = lab.prng.below(FRAMES)
        end = first + 1 + lab.prng.below(700)
        if end <= FRAMES:
            yield from lab.range(Ev.RANGE, 100 + turn, first, end)
        yield from lab.trace(4, 60, 6)
    yield from lab.totals()
    yield from lab.check_peak()
    yield from lab.free_all()
    yield from lab.totals()
    for first, end in ((5, 5), (6, 5), (FRAMES - 1, FRAMES + 1), (-1, 1)):
        yield from lab.wrong_range(Ev.RANGE, first, end)
    for first, end in ((5, 5), (FRAMES - 1, FRAMES + 1)):
        yield from lab.wrong_range(Ev.RESERVE, first, end)
    yield from lab.totals()
    yield from lab.range(Ev.RANGE, 0, 0, FRAMES)
    yield from lab.free_all()
    yield from lab.totals()


def reserve_some(lab: Lab, rounds: int) -> Done:
    for _ in range(rounds):
        first = lab.prng.below(FRAMES - 64)
        yield from lab.range(Ev.RESERVE, 0, first, first + 1 + lab.prng.below(64))
    yield from lab.totals()


@lab_case
def reserve(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    yield from lab.trace(300, 100, 5)
    yield from reserve_some(lab, 60)
    yield from lab.trace(1500, 300, 8)
    yield from lab.free_all()
    yield from lab.totals()
    yield from lab.alloc_frames(0)
    yield from lab.totals()
    yield from lab.free_all()
    yield from reserve_some(lab, 20)


# ---- the caller's mistakes: tests/misuse_cases.c -----------------------------------


def misuse(lab: Lab, frame: int, order: int) -> Done:
    yield Expect(Ev.MISUSE, arg=order, a=frame, what=f"wrongly free {frame:#x}, order {order}")


def misuse_range(first: int, end: int) -> Done:
    yield Expect(Ev.MISUSE, a=first, b=end, what=f"wrongly free frames [{first:#x}, {end:#x})")


def victim(lab: Lab, order: int) -> Done:
    yield from lab.trace(400, 80, 6)
    yield from lab.must_alloc(FRAMES - 1, order)


@case(panic="buddy: double free")
def double_free(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    order = lab.prng.below(5)
    yield from victim(lab, order)
    frame = lab.slots[FRAMES - 1][0]
    yield from lab.free(FRAMES - 1)
    yield from misuse(lab, frame, order)
    lab.final()


@case(panic="buddy: double free")
def double_free_merged(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin()
    order = lab.prng.below(MAX_ORDER)
    yield from lab.add(0, BLOCK)
    yield from lab.must_alloc(0, order)
    yield from lab.must_alloc(1, order)
    upper = max(lab.slots[0][0], lab.slots[1][0])
    yield from lab.free_all()
    yield from misuse(lab, upper, order)
    lab.final()


@case(panic="buddy: double free")
def double_free_range(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    frames = (1 << 1 + lab.prng.below(6)) + 1
    yield from lab.trace(400, 80, 6)
    yield from lab.must_exact(FRAMES - 1, frames)
    first = lab.slots[FRAMES - 1][0]
    yield from lab.free_tail(FRAMES - 1, 1)
    yield from misuse_range(first, first + frames)
    lab.final()


@case(panic="buddy: wrong order")
def wrong_order(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    order = 1 + lab.prng.below(5)
    yield from victim(lab, order)
    yield from misuse(lab, lab.slots[FRAMES - 1][0], order + 1)
    lab.final()


@case(panic="buddy: wrong order")
def wrong_order_small(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    order = 1 + lab.prng.below(5)
    yield from victim(lab, order)
    yield from misuse(lab, lab.slots[FRAMES - 1][0], order - 1)
    lab.final()


@case(panic="buddy: wrong order")
def wrong_order_range(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    order = 1 + lab.prng.below(5)
    yield from lab.trace(400, 80, 6)
    yield from lab.must_exact(FRAMES - 1, 1 << order)
    first = lab.slots[FRAMES - 1][0]
    yield from misuse_range(first, first + (1 << order) // 2)
    lab.final()


@case(panic="buddy: tail of an allocated block")
def free_tail(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    order = 1 + lab.prng.below(6)
    yield from victim(lab, order)
    frame = lab.slots[FRAMES - 1][0] + 1 + lab.prng.below((1 << order) - 1)
    yield from misuse(lab, frame, 0)
    lab.final()


@case(panic="buddy: frame was never given out")
def free_reserved(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((BLOCK, 4 * BLOCK))
    yield from lab.trace(400, 80, 6)
    yield from misuse(lab, lab.first + lab.prng.below(2) * lab.prng.below(BLOCK), 0)
    lab.final()


@case(panic="buddy: not this allocator's frame")
def free_foreign(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    yield from lab.trace(400, 80, 6)
    yield from misuse(lab, lab.first + FRAMES, 0)
    lab.final()


@case(panic="buddy: not this allocator's frame")
def free_foreign_range(ctx: Context) -> Script:
    lab = Lab(ctx)
    yield from lab.begin((0, FRAMES))
    low = lab.prng.below(2)
    first, end = (0, 8) if low else (FRAMES - 8, FRAMES)
    yield from lab.range(Ev.RANGE, 0, first, end)
    yield from misuse_range(lab.first + first - low, lab.first + end + (not low))
    lab.final()


# ---- shortage, cost, several CPUs: tests/cost_cases.c ------------------------------


@lab_case
def failures(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    every = 2 + lab.prng.below(6)
    yield Expect(Ev.FAULTS, a=every, what=f"make one request in {every} fail")
    lab.may_fail = True
    yield from lab.trace(3000, 200, 8)
    yield Expect(Ev.FAULTS, a=0, what="make no more requests fail")
    lab.may_fail = False
    requests = sum(lab.nr_alloc) + lab.nr_failed
    expected = requests / every
    if not expected / 2 <= lab.nr_failed <= expected * 2:
        lab.ctx.fail(f"{lab.nr_failed} of {requests} requests failed, not about {expected:.0f}")
    yield from lab.totals()
    yield from lab.free_all()
    yield from lab.alloc_blocks()


def random_slots(lab: Lab, count: int) -> Iterator[int]:
    """All slots below count, all of them full, in a random order; each to be emptied."""
    for _ in range(count):
        slot = lab.prng.below(count)
        while slot not in lab.slots:
            slot = (slot + 1) % count
        yield slot


@lab_case
def worst_case(lab: Lab) -> Done:
    costs = []

    def measure(what: str) -> Done:
        for order in range(2):
            record = yield Expect(Ev.COST, what=f"cost of a pair of order {order}, {what}")
            costs.append(record.a)

    yield from lab.begin((0, BLOCK))
    yield from measure("one whole block free")
    for at in range(BLOCK, FRAMES, 2):
        yield from lab.add(at, at + 1)
    yield from measure("thousands of frames free")
    small, large = costs[2], (yield Expect(Ev.COST, what="cost of a pair of the largest order")).a
    if large > 2 * small:
        lab.ctx.fail(
            f"with such a block free, a pair of calls of order 0 costs {small} instructions, but"
            f" one of order {MAX_ORDER} {large}: the cost must not depend on the size of a block"
        )
    for slot in range((FRAMES - BLOCK) // 2):
        yield from lab.alloc(slot, 0)
    yield from measure("thousands of frames in use")
    for slot in random_slots(lab, (FRAMES - BLOCK) // 2):
        yield from lab.free(slot)
    record = yield Expect(Ev.COST, what="average cost of giving thousands of frames back")
    costs.append(record.a)
    for slot in range((FRAMES - BLOCK) // 2):
        yield from lab.alloc(slot, 0)
    record = yield Expect(Ev.COST, what="average cost of taking thousands of frames")
    costs.append(record.a)
    limit = 2 * max(costs[:2])
    for cost in costs[2:]:
        if cost > limit:
            lab.ctx.fail(
                f"a pair of calls costs {max(costs[:2])} instructions with one free block,"
                f" but {cost} with thousands: the cost must not depend on their number"
            )
    yield from lab.totals()


@lab_case
def smp_stress(lab: Lab) -> Done:
    yield from lab.begin((0, FRAMES))
    nr_alloc = nr_free = 0
    kinds = (Ev.ALLOC, Ev.FREE, Ev.EXACT, Ev.FREE_RANGE, Ev.TOTALS)
    # Four workers of 2000 rounds: a free is logged before, an allocation after the call, so
    # in the order of the transcript no two blocks may overlap.
    while True:
        record = yield Expect(kinds, what="work on four CPUs")
        if record.kind == Ev.TOTALS:
            break
        if record.kind in (Ev.FREE, Ev.FREE_RANGE):
            block = record.kind == Ev.FREE
            lab.model.release(record.a, 1 << record.arg if block else record.b - record.a)
            nr_free += 1
        elif record.a != NO_FRAME:
            if record.kind == Ev.ALLOC:
                lab.model.alloc(record.a, record.arg)
            else:
                lab.model.take(record.a, record.arg)
            nr_alloc += 1
        elif lab.model.frames_free > FRAMES // 2:
            lab.ctx.fail("got none, but most frames are free")
    if nr_alloc < 3000 or nr_alloc != nr_free:
        lab.ctx.fail(f"{nr_alloc} blocks were handed out and {nr_free} came back")
    if (record.a, record.b, record.c) != (FRAMES, FRAMES, FRAMES):
        lab.ctx.fail(f"all frames came back, but the totals are {record.a}, {record.b}, {record.c}")
    yield from lab.alloc_blocks()
