# SPDX-License-Identifier: MIT
"""What scripts/debug and scripts/replay share: a machine and a debugger, side by side."""
