# SPDX-License-Identifier: MIT
"""Backtraces through a trap: from the handler to the code that was interrupted.

trap_entry (kernel/x86_64/entry.S) is written in assembly and tells GDB nothing about its
frame. Where it calls trap_dispatch(), a made-up call frame of two words lies at RSP and a
struct trap_frame with all registers of the interrupted code above it.

GDB takes the interrupted instruction for a call, so if it is the first of its line, the line
before it is shown. ("x/i" on the frame's $pc shows the instruction itself.)
"""

import gdb
import gdb.unwinder
from kernel import Memory, address_of, evaluate, kernel_type

_CALL_FRAME = 16  # bytes
_CALL_OPCODE, _CALL = 0xE8, 5  # the latter is its length
_ENTRY_SIZE = 128  # at least that of trap_entry up to the call

# GDB's names for what struct trap_frame names in the same way.
_REGISTERS = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "rip",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip


class _FrameId:
    def __init__(self, sp: gdb.Value, pc: gdb.Value) -> None:
        self.sp = sp
        self.pc = pc


class TrapUnwinder(gdb.unwinder.Unwinder):
    """Knows the frame of trap_entry, while it waits for trap_dispatch()."""

    def __init__(self) -> None:
        super().__init__("ikos-trap")
        self._return_address: int | None = None

    def _find_return_address(self) -> int:
        """Where trap_dispatch() returns to: behind the only call in trap_entry."""
        if self._return_address is None:
            self._return_address = 0
            at = address_of(evaluate("&trap_entry"))
            target = address_of(evaluate("&trap_dispatch"))
            code = Memory().read(at, _ENTRY_SIZE)
            for i in range(len(code) - _CALL):
                rel = int.from_bytes(code[i + 1 : i + _CALL], "little", signed=True)
                if code[i] == _CALL_OPCODE and at + i + _CALL + rel == target:
                    self._return_address = at + i + _CALL
        return self._return_address

    def __call__(self, pending: gdb.PendingFrame) -> gdb.UnwindInfo | None:
        pc = pending.read_register("rip")
        try:
            if address_of(pc) != self._find_return_address():
                return None
        except gdb.GdbError:  # no such symbols, or not mapped yet
            self._return_address = None
            return None
        sp = pending.read_register("rsp")
        frame_type = kernel_type("struct trap_frame").pointer()
        frame = (sp.cast(gdb.lookup_type("long")) + _CALL_FRAME).cast(frame_type)
        info = pending.create_unwind_info(_FrameId(sp, pc))
        for name in _REGISTERS:
            value = frame.dereference()[name]
            info.add_saved_register(name, value.cast(pending.read_register(name).type))
        return info


gdb.unwinder.register_unwinder(None, TrapUnwinder(), replace=True)
