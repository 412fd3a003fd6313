# SPDX-License-Identifier: MIT
"""ikos-processes: all processes, and what each runs in."""

import gdb
from kernel import Memory
from spaces import all_processes, current_cpu, current_process
from views import View


class IkosProcesses(gdb.Command):
    """List the processes: parent, state, threads, memory, what they execute.

    ikos-processes

    The star marks whose thread runs on the selected CPU ("info threads" lists the CPUs, "thread N"
    selects one). Pages are those of all regions, and those of them that are there. The space is
    the address of its struct address_space; processes made by vfork() have their parent's.
    """

    def __init__(self) -> None:
        super().__init__("ikos-processes", gdb.COMMAND_USER, gdb.COMPLETE_NONE)

    def invoke(self, argument: str, from_tty: bool) -> None:
        memory = Memory()
        processes, errors = all_processes(memory)
        here = current_process(memory, current_cpu())
        if processes:
            print("    pid  parent  state   threads    pages    there  space               program")
        for process in processes:
            star = "*" if here and here.pid == process.pid else " "
            print(
                f"  {star} {process.pid:3}  {process.parent:6}  {process.state:<6}"
                f"  {process.nr_threads:7}  {self._space(memory, process.space_address)}"
                f"  {process.name} {process.executable()}".rstrip()
            )
        for error in errors:
            print(f"  {error}")
        print("1 process" if len(processes) == 1 else f"{len(processes)} processes")

    @staticmethod
    def _space(memory: Memory, address: int) -> str:
        if not address:
            return f"{'-':>7}  {'-':>7}  {'-':<18}"
        try:
            space = View(memory, "struct address_space", address)
            return (
                f"{space.number('nr_mapped'):7}  {space.number('nr_resident'):7}  {address:#018x}"
            )
        except gdb.GdbError:
            return f"{'?':>7}  {'?':>7}  {address:#018x}"


IkosProcesses()
