# SPDX-License-Identifier: MIT
"""Structures of the kernel by address, member by member, and trees of them.

A member is read when it is asked for, through Memory, so a pointer that leads nowhere is a
GdbError in words. Trees are followed without believing in them.
"""

import re
from functools import cache

import gdb
from kernel import Memory, kernel_type

_TREE_LIMIT = 1 << 17  # nodes, more than one space may have regions
_TEXT_LIMIT = 256


@cache
def _member(type_name: str, path: str) -> tuple[int, int]:
    """Offset and size of a member such as "range.node.key" or "child[1]", in bytes."""
    found, offset = kernel_type(type_name), 0
    for word in re.findall(r"\w+", path):
        found = found.strip_typedefs()
        if word.isdigit():
            found = found.target()
            offset += int(word) * found.sizeof
            continue
        field = next((f for f in found.fields() if f.name == word), None)
        if field is None:
            raise gdb.GdbError(f"{type_name} has no {path}: is this a kernel of another version?")
        offset += field.bitpos // 8
        found = field.type
    return offset, found.sizeof


class View:
    """The structure of that type at an address."""

    def __init__(self, memory: Memory, type_name: str, address: int) -> None:
        self.memory, self.type_name, self.address = memory, type_name, address

    def number(self, path: str) -> int:
        offset, size = _member(self.type_name, path)
        return int.from_bytes(self.memory.read(self.address + offset, size), "little")

    def at(self, path: str) -> int:
        """The address of a member."""
        return self.address + _member(self.type_name, path)[0]

    def view(self, type_name: str, path: str) -> "View | None":
        """What a member points at; None for NULL."""
        address = self.number(path)
        return View(self.memory, type_name, address) if address else None

    def text(self, path: str) -> str:
        """An array of characters, up to its 0."""
        offset, size = _member(self.type_name, path)
        return printable(self.memory.read(self.address + offset, size))


def printable(raw: bytes) -> str:
    text = raw.partition(b"\0")[0].decode("latin-1")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def string_at(memory: Memory, address: int, size: int) -> str:
    return printable(memory.read(address, min(size, _TEXT_LIMIT)))


def container(address: int, type_name: str, path: str) -> int:
    """Of a structure, from the address of a member."""
    return address - _member(type_name, path)[0]


class Tree:
    """The nodes of a struct tree in order, as far as it can be followed, and what is wrong."""

    def __init__(self, tree: View) -> None:
        self._memory = tree.memory
        self.nodes: list[int] = []
        self.errors: list[str] = []
        self._seen: set[int] = set()
        if root := tree.number("root"):
            self._follow(root)
        if not self.errors and len(self.nodes) != tree.number("nr"):
            self.errors.append(f"it has {len(self.nodes)} nodes, and says {tree.number('nr')}")

    def _follow(self, root: int) -> None:
        """In order, without recursion: a damaged tree may be of any depth."""
        way: list[int] = []
        at, above = root, 0
        while at or way:
            while at and self._good(at, above):
                way.append(at)
                above, at = at, self._node(at).number("child[0]")
            if not way:
                return
            here = way.pop()
            self.nodes.append(here)
            above, at = here, self._node(here).number("child[1]")

    def _node(self, address: int) -> View:
        return View(self._memory, "struct tree_node", address)

    def _good(self, at: int, above: int) -> bool:
        """Can this node be believed? If not, what hangs from it is left out."""
        where = f"below {above:#x}" if above else "at the root"
        if at % 8 or not self._memory.is_readable(at, 48):
            self.errors.append(f"{where} is {at:#x}, which is no node")
        elif at in self._seen or len(self._seen) >= _TREE_LIMIT:
            self.errors.append(f"{where} is {at:#x}, which was there before")
        elif self._node(at).number("parent") != above:
            parent = self._node(at).number("parent")
            self.errors.append(f"{where} is {at:#x}, whose parent is {parent:#x}")
        else:
            self._seen.add(at)
            return True
        return False
