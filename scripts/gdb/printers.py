# SPDX-License-Identifier: MIT
"""How GDB prints the kernel's structures: in words first. "print /r" shows them as they are."""

from collections.abc import Iterator

import gdb
import gdb.printing
from kernel import Frames, ListBroken, Memory, address_of, follow_list, plural

_LIST_SHOWN = 1000

_Child = tuple[str, gdb.Value]


def _members(value: gdb.Value) -> Iterator[_Child]:
    for field in value.type.fields():
        yield field.name, value[field]


class PagePrinter:
    """frame 0x5810: free, order 3"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        state = str(self._value["state"])
        try:
            frames = Frames(Memory())
            number = int(self._value["state"])
            state = frames.state_name(number)
            if number in (frames.free, frames.allocated):
                state += f", order {int(self._value['order'])}"
            address = self._value.address
            pfn = frames.pfn_of_page(address_of(address)) if address is not None else None
        except gdb.GdbError:
            pfn = None
        return f"frame {pfn:#x}: {state}" if pfn is not None else state

    def children(self) -> Iterator[_Child]:
        yield "link", self._value["link"]
        yield "owner", self._value["owner"]


class BuddyPrinter:
    """"frames": 31000 of 32000 frames free"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        free, managed = int(self._value["frames_free"]), int(self._value["frames_managed"])
        if int(self._value["end"]) == 0:
            return "not set up"
        return f"{free} of {managed} frames free (ikos-buddy shows the lists)"

    def children(self) -> Iterator[_Child]:
        return _members(self._value)


class ZonePrinter:
    """zone "Normal": 28331 of 28331 frames free"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        zone = self._value
        if int(zone["node"]) == 0:
            return "zone, not set up"
        try:
            name = zone["name"].string()
        except gdb.error:
            name = "?"
        return (
            f'zone "{name}": {int(zone["nr_free"])} of {int(zone["nr_managed"])} frames free'
            " (ikos-zones shows its groups)"
        )

    def children(self) -> Iterator[_Child]:
        """Without the groups: three buddy allocators fill screens."""
        return ((name, value) for name, value in _members(self._value) if name != "group")


class NodePrinter:
    """node [0x0, 0x8000): 32000 frames (ikos-zones shows its zones)"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        zones = self._value["zone"]
        last = zones.type.range()[1]
        if int(zones[last]["end"]) == 0:
            return "node, not set up"
        managed = sum(int(zones[i]["nr_managed"]) for i in range(last + 1))
        return (
            f"node [{int(zones[0]['first']):#x}, {int(zones[last]['end']):#x}):"
            f" {plural(managed, 'frame')} (ikos-zones shows its zones)"
        )

    def children(self) -> Iterator[_Child]:
        """Without the lists of all CPUs: there are thousands."""
        return ((name, value) for name, value in _members(self._value) if name != "cpu")


class CpuListPrinter:
    """3 blocks of at most 27, the first of them frame 0x5810"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        limit, room = int(self._value["limit"]), int(self._value["room"])
        text = f"{plural(limit - room, 'block')} of at most {limit}"
        if not int(self._value["first"]):
            return text
        try:
            pfn = Frames(Memory()).pfn_of_page(address_of(self._value["first"]))
        except gdb.GdbError:
            pfn = None
        return f"{text}, on top {'no page' if pfn is None else f'frame {pfn:#x}'}"

    def children(self) -> Iterator[_Child]:
        return _members(self._value)


class SpinlockPrinter:
    """lock "sched": held by CPU 0, 2 wait"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        lock = self._value
        try:
            name = f'lock "{lock["name"].string()}"' if int(lock["name"]) else "lock"
        except gdb.error:
            name = "lock with a bad name"
        drawn = int(lock["next"]) - int(lock["serving"]) & 0xFFFF
        if drawn == 0:
            return f"{name}: free"
        holder = int(lock["holder"])  # only debug builds note it
        by = f" by CPU {holder - 1}" if holder else ""
        return f"{name}: held{by}" + (f", {drawn - 1} wait" if drawn > 1 else "")


class ListPrinter:
    """list of 17"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        following, before = address_of(self._value["next"]), address_of(self._value["prev"])
        links = f"next {following:#x}, prev {before:#x}"
        if self._value.address is None:
            return links
        if following == before == 0:
            return "on no list"
        if following == before == address_of(self._value.address):
            return "empty list"
        return f"{self._length(address_of(self._value.address))} ({links})"

    @staticmethod
    def _length(head: int) -> str:
        count = 0
        try:
            for _ in follow_list(Memory(), head, _LIST_SHOWN):
                count += 1
        except ListBroken as broken:
            if count >= _LIST_SHOWN:
                return f"list of more than {_LIST_SHOWN}"
            return f"list, broken after {count}: {broken}"
        except gdb.GdbError:
            return "list"
        return f"list with {plural(count, 'other')}"


class ThreadPrinter:
    """"idle" (id 1): ready, CPU 0"""

    def __init__(self, value: gdb.Value) -> None:
        self._value = value

    def to_string(self) -> str:
        thread = self._value
        state = str(thread["state"]).removeprefix("THREAD_").lower()
        name = thread["name"].string(errors="replace")
        return f'"{name}" (id {int(thread["id"])}): {state}, CPU {int(thread["cpu"])}'

    def children(self) -> Iterator[_Child]:
        return _members(self._value)


def _collection() -> gdb.printing.RegexpCollectionPrettyPrinter:
    printers = gdb.printing.RegexpCollectionPrettyPrinter("ikos")
    printers.add_printer("page", "^page$", PagePrinter)
    printers.add_printer("buddy", "^buddy$", BuddyPrinter)
    printers.add_printer("zone", "^zone$", ZonePrinter)
    printers.add_printer("node", "^node$", NodePrinter)
    printers.add_printer("cpu_list", "^cpu_list$", CpuListPrinter)
    printers.add_printer("spinlock", "^spinlock(_t)?$", SpinlockPrinter)
    printers.add_printer("list_head", "^list_head$", ListPrinter)
    printers.add_printer("thread", "^thread$", ThreadPrinter)
    return printers


gdb.printing.register_pretty_printer(None, _collection(), replace=True)
