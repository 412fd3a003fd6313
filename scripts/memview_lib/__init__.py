# SPDX-License-Identifier: MIT
"""What scripts/memview is made of: from the kernel's trace ring to a page that shows it.

record    a run of the kernel
ring      the records, as the kernel left them
blocks    frames as blocks, and what an event does to them
history   which allocator each belongs to, how memory looked before the first, and whether
          the events lead to what was found in memory at the end
names     return addresses as text
page      the page for a browser
perfetto  the same for a timeline viewer
"""
