# SPDX-License-Identifier: MIT
"""The two ways in which grading itself goes wrong."""


class GradingError(Exception):
    """Nothing can be graded: the text is one line that says what to do."""


class GuestError(Exception):
    """The guest's memory does not hold what it must: the submission's fault."""
