# SPDX-License-Identifier: MIT
"""The zones of a node as the commands see them: see include/zone.h. Read only, like kernel.py."""

from collections.abc import Iterator
from dataclasses import dataclass

import gdb
from kernel import (
    TOO_EARLY,
    Buddy,
    Frames,
    address_of,
    enumerators,
    evaluate,
    fetched,
    has_zones,
    kernel_type,
    structure,
    type_name,
)

# As in include/zone.h: page->lent of blocks that no list takes differs by LENT_LARGE, and parts
# of runs that are no blocks have LENT_RUN.
_LENT_LARGE = 0x40
LENT_RUN = 0x80


def mobilities() -> list[str]:
    """Their names, by number."""
    numbers = enumerators("enum mobility")
    return [name.lower() for name in numbers if name != "NR_MOBILITIES"]


def list_orders() -> int:
    """For how many orders there are lists."""
    lists = kernel_type("struct cpu_pages")["list"].type.target()
    return int(lists.range()[1]) + 1


def lent_mark(order: int) -> int:
    return order + 1 + (0 if order < list_orders() else _LENT_LARGE)


@dataclass
class CpuList:
    """A struct cpu_list, with where it is."""

    cpu: int
    group: int
    order: int
    first: int  # address of a page, or 0
    room: int
    limit: int

    @property
    def length(self) -> int:
        """How many blocks it says that it holds."""
        return self.limit - self.room


@dataclass
class Walk:
    """What following such a list came to."""

    blocks: list[int]  # frames, no more than the list says that it holds
    next: int  # what comes after them: 0 if the list is as long as it says


def walk(found: CpuList, frames: Frames) -> Walk:
    blocks: list[int] = []
    page = found.first
    while len(blocks) < found.length:
        pfn = frames.pfn_of_page(page)
        if pfn is None:
            break
        blocks.append(pfn)
        page = frames.memory.word(frames.page_address(pfn))  # link.next
    return Walk(blocks, page)


class Zone:
    """A struct zone."""

    def __init__(self, value: gdb.Value, expression: str) -> None:
        self.value = value
        self.expression = expression
        self.first, self.end = int(value["first"]), int(value["end"])
        self.type = int(value["type"])
        self.nr_free, self.nr_managed = int(value["nr_free"]), int(value["nr_managed"])
        self.groups = [
            Buddy(f"{expression}.group[{i}].buddy", value["group"][i]["buddy"])
            for i in range(len(mobilities()))
        ]

    @property
    def name(self) -> str:
        try:
            return str(self.value["name"].string())
        except gdb.error:
            return "?"

    def marks(self) -> list[int]:
        return [int(self.value["mark"][i]) for i in range(3)]

    def reserve(self, preferred: int) -> int:
        return int(self.value["reserve"][preferred])

    def nr_blocks(self, mobility: int) -> int:
        """Page blocks of a group, as the zone counts them."""
        return int(self.value["group"][mobility]["nr_blocks"])

    def block_mobilities(self, frames: Frames) -> bytes:
        """The mobility of each page block of the span."""
        count = (self.end - self.first) >> frames.max_order
        return frames.memory.read(address_of(self.value["block_mobility"]), count)

    def events(self) -> Iterator[tuple[str, int]]:
        """What zone->events counts, lists by order summed up."""
        for field in self.value["events"].type.fields():
            value = self.value["events"][field.name]
            if field.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
                low, high = field.type.strip_typedefs().range()
                yield field.name, sum(int(value[i]) for i in range(low, high + 1))
            else:
                yield field.name, int(value)


class Node:
    """A struct node, by an expression for it, for one of its zones, or for a pointer to one."""

    DEFAULT = "machine"

    def __init__(self, expression: str = "") -> None:
        self.expression = expression.strip() or self.DEFAULT
        if not has_zones():
            raise gdb.GdbError("this kernel has no zones: they come with lab 2")
        value = structure(self.expression, "struct node", "struct zone")
        only = None
        if type_name(value) == "struct zone":
            only = int(value["type"])
            if not int(value["node"]):
                raise gdb.GdbError(f"{self.expression} has not been set up yet{TOO_EARLY}")
            value = fetched(value["node"].dereference(), f"{self.expression}.node")
        self.value = value
        zones = value["zone"]
        if int(zones[zones.type.range()[1]]["end"]) == 0:
            raise gdb.GdbError(f"{self.expression} has not been set up yet{TOO_EARLY}")
        self.zones = [
            Zone(zones[i], self.expression if only is not None else self._zone_name(i))
            for i in range(zones.type.range()[1] + 1)
            if int(zones[i]["first"]) < int(zones[i]["end"]) and only in (None, i)
        ]

    def _zone_name(self, i: int) -> str:
        if self.expression.startswith("&"):
            return f"{self.expression[1:]}.zone[{i}]"
        kind = evaluate(self.expression).type.strip_typedefs().code
        return f"{self.expression}{'->' if kind == gdb.TYPE_CODE_PTR else '.'}zone[{i}]"

    def lists(self, zone: Zone) -> Iterator[CpuList]:
        """The lists that hold blocks of a zone."""
        kinds = len(mobilities())
        for cpu in range(int(gdb.parse_and_eval("nr_cpus"))):
            lists = self.value["cpu"][cpu]["list"]
            for group in range(zone.type * kinds, (zone.type + 1) * kinds):
                for order in range(list_orders()):
                    value = lists[group][order]
                    yield CpuList(
                        cpu, group, order, address_of(value["first"]),
                        int(value["room"]), int(value["limit"]),
                    )  # fmt: skip
