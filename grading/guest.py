# SPDX-License-Identifier: MIT
"""The guest's memory, read from outside after it ended.

Two kinds of kernel address are understood: those of the image, which the ELF file says
where to find, and all others, for which the guest's own page tables are walked from the root
that the kernel keeps in the variable kernel_cr3 (Intel SDM vol. 3, 4.5); arch_mmu_levels is
4 or 5, the levels of them.
Everything read was written by the code under test: nothing is trusted, and whatever
cannot be read raises GuestError.
"""

import mmap
import struct

from .errors import GuestError
from .symbols import Image

_PAGE = 4096
_PRESENT = 1 << 0
_LARGE = 1 << 7
_FRAME_MASK = ((1 << 52) - 1) & ~(_PAGE - 1)
_SHIFTS = {4: (39, 30, 21, 12), 5: (48, 39, 30, 21, 12)}


class Guest:
    """ram is physical memory from address 0, image the kernel that ran in it."""

    def __init__(self, ram: mmap.mmap | bytes, image: Image) -> None:
        self._ram = ram
        self._pages: dict[int, int] = {}  # virtual page -> physical address
        self.image = image

    @property
    def memory_size(self) -> int:
        """Bytes of physical memory."""
        return len(self._ram)

    def read_physical(self, paddr: int, size: int) -> bytes:
        if paddr < 0 or size < 0 or paddr + size > len(self._ram):
            raise GuestError(f"no memory at physical address {paddr:#x} ({size} bytes)")
        return self._ram[paddr : paddr + size]

    def check_image(self) -> None:
        """Raise GuestError if the kernel's code or constants are not what was loaded."""
        for paddr, content in self.image.constant:
            if self.read_physical(paddr, len(content)) != content:
                raise GuestError("the kernel's code or its constants were changed while it ran")

    def read(self, vaddr: int, size: int) -> bytes:
        """size bytes at a kernel virtual address."""
        if size > len(self._ram):
            raise GuestError(f"{size} bytes at {vaddr:#x} are more than there is memory")
        parts = []
        while size > 0:
            piece = min(size, _PAGE - vaddr % _PAGE)
            parts.append(self.read_physical(self.to_physical(vaddr), piece))
            vaddr += piece
            size -= piece
        return b"".join(parts)

    def read_uint(self, vaddr: int, size: int = 8) -> int:
        """An unsigned little-endian number."""
        return int.from_bytes(self.read(vaddr, size), "little")

    def member(self, vaddr: int, struct_name: str, path: str) -> int:
        """The number in a member of the structure at vaddr."""
        member = self.image.debug.member(struct_name, path)
        return self.read_uint(vaddr + member.offset, member.size)

    def to_physical(self, vaddr: int) -> int:
        paddr = self.image.to_physical(vaddr)
        if paddr is not None:
            return paddr
        page = vaddr & ~(_PAGE - 1)
        if page not in self._pages:
            self._pages[page] = self._walk(page)
        return self._pages[page] + vaddr % _PAGE

    def _variable(self, name: str) -> int:
        """The physical address of a variable of the kernel."""
        paddr = self.image.to_physical(self.image.address(name))
        if paddr is None:
            raise GuestError(f"the symbol {name} is not in the kernel image")
        return paddr

    def _walk(self, vaddr: int) -> int:
        table = self._read_entry(self._variable("kernel_cr3")) & _FRAME_MASK
        levels = int.from_bytes(self.read_physical(self._variable("arch_mmu_levels"), 4), "little")
        if levels not in _SHIFTS:
            raise GuestError(f"arch_mmu_levels is {levels}: page tables have 4 or 5 levels")
        for shift in _SHIFTS[levels]:
            entry = self._read_entry(table + (vaddr >> shift & 511) * 8)
            if not entry & _PRESENT:
                raise GuestError(f"kernel address {vaddr:#x} is not mapped")
            table = entry & _FRAME_MASK
            if shift == 12 or (shift < 39 and entry & _LARGE):
                offset_mask = (1 << shift) - 1
                return (table & ~offset_mask) + (vaddr & offset_mask)
        raise AssertionError("the last level always returns")

    def _read_entry(self, paddr: int) -> int:
        return int(struct.unpack("<Q", self.read_physical(paddr, 8))[0])
