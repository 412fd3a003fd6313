# SPDX-License-Identifier: MIT
"""Disks for tests that write to disks.

What stands in the first sector tells the kernel's tests that nothing on the disk is of value:
they refuse to touch any other. tests/kernel/block_scratch.h has the same words.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .machine import Disk

MARK = b"IKOS scratch disk\n"
SIZE = 32 * 16 * 63 * 512  # 15.75 MiB: whole cylinders, which Bochs insists on


def make_scratch(image: Path, size: int = SIZE) -> Path:
    """Of which the host keeps only what is written."""
    with image.open("wb") as file:
        file.truncate(size)
        file.write(MARK)
    return image


@contextmanager
def scratch_disks() -> Iterator[tuple[Disk, ...]]:
    """What a case that needs disks gets: hda, and vda, and vdb, which cannot be written."""
    with tempfile.TemporaryDirectory(prefix="ikos-") as folder:
        image = [make_scratch(Path(folder, f"disk{number}.img")) for number in range(3)]
        yield (
            Disk(image[0], "ide"),
            Disk(image[1]),
            Disk(image[2], read_only=True),
        )
