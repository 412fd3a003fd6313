# SPDX-License-Identifier: MIT
"""What can go wrong before there is anything to debug."""


class DebuggingError(Exception):
    """The text is one line that says what to do."""
