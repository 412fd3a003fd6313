# SPDX-License-Identifier: MIT
"""Return addresses as text: which function made the call, and in which line."""

import functools

from grading.errors import GradingError
from grading.symbols import Image


class Names:
    def __init__(self, image: Image | None) -> None:
        self._image = image

    @functools.cache  # noqa: B019: there is one, and it lives as long as the program
    def function(self, address: int) -> str:
        """The function that the call returns to."""
        if address == 0:
            return "unknown"
        found = self._image.function_at(address - 1) if self._image else None
        return found or f"{address:#x}"

    @functools.cache  # noqa: B019
    def place(self, address: int) -> str:
        """FILE:LINE of the call, or nothing."""
        if address == 0 or self._image is None:
            return ""
        try:
            # The call is the instruction before the one it returns to.
            return self._image.debug.line_at(address - 1) or ""
        except GradingError:
            return ""
