# SPDX-License-Identifier: MIT
"""How staging fails."""


class StageError(Exception):
    """Nothing was made: the text is one line that says what to do."""
