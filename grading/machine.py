# SPDX-License-Identifier: MIT
"""One boot of the emulator: what is started, what it may use up, and how it ended.

Guest memory, serial line and log are anonymous files (memfd) that the emulator opens
through /proc: nothing is left behind however a run ends, and the memory can be read
after the guest is gone.

Time. The kernel limits its own virtual time with a watchdog, so that a verdict does not
depend on the host. The limits here only catch a guest that got past the watchdog, and
protect the host. "Charged" time is wall time less the time the emulator was ready to run
but waited for a CPU: a loaded server does not make a kernel look as if it hung. Nor does a
slow one: once the kernel has printed its first line, time is counted in boots, that is in
what it took on this host to come so far.
"""

import enum
import math
import mmap
import os
import re
import select
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import GradingError

DEFAULT_QEMU = "qemu-system-x86_64"

# What power_off() makes of include/power.h's exit codes.
STATUS_PASS, STATUS_FAIL, STATUS_PANIC = 33, 35, 37

# A guest that breaks out of the emulator can at least start no program.
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

_POLL_MS = 20
_LOG_BYTES = 1 << 20
_LEAST_S = 10.0


class Ended(enum.Enum):
    EXIT = "wrote to the exit device"
    POWEROFF = "switched itself off without a status"
    TRIPLE_FAULT = "reset after a triple fault"
    RESET = "reset itself"
    STUCK = "did not end"
    FLOOD = "wrote too much to the serial line"
    TOO_SLOW = "got too little of the host's time"
    BROKEN = "the emulator failed"
    STOPPED = "was interrupted"


@dataclass(frozen=True)
class Limits:
    """When the host steps in."""

    charged_s: float = 20.0
    boots: float = math.inf  # and of charged time, after the first line, but at least 10 s
    wall_s: float = 300.0
    serial_bytes: int = 1 << 20

    def charged(self, boot_s: float | None) -> float:
        """The limit of charged time. boot_s: what the first line took, if it was printed."""
        if boot_s is None:
            return self.charged_s
        return min(self.charged_s, max(_LEAST_S, self.boots * boot_s))


@dataclass(frozen=True)
class Machine:
    """What to boot, on what."""

    kernel: Path
    append: str
    qemu: str = DEFAULT_QEMU
    cpus: int = 1
    memory_mib: int = 128
    cpu: str = "max"
    icount: bool = True
    initrd: Path | None = None

    def command(self, ram_fd: int, serial_fd: int, log_fd: int) -> list[str]:
        """The emulator's command line, with files given by number."""
        # -kernel, unlike a CD, boots in a fixed number of instructions: with icount, a
        # fixed seed and a fixed date the whole run repeats exactly.
        timing = ["-icount", "shift=0,sleep=off"] if self.icount else []
        memory = f"memory-backend-file,id=m0,size={self.memory_mib}M,share=on"
        return [
            self.qemu,
            "-accel", "tcg", *timing,
            "-cpu", self.cpu, "-m", f"{self.memory_mib}M", "-smp", str(self.cpus),
            "-seed", "1", "-rtc", "base=2020-01-01,clock=vm",
            "-nodefaults", "-display", "none", "-no-reboot", "-sandbox", _SANDBOX,
            "-serial", f"file:/proc/self/fd/{serial_fd}",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-object", f"{memory},mem-path=/proc/self/fd/{ram_fd}",
            "-machine", "memory-backend=m0",
            "-d", "cpu_reset,trace:qemu_system_shutdown_request",
            "-D", f"/proc/self/fd/{log_fd}",
            "-kernel", str(self.kernel), "-append", self.append,
            *(["-initrd", str(self.initrd)] if self.initrd else []),
        ]  # fmt: skip


@dataclass
class Run:
    """What came of a boot. ram is the guest's physical memory from address 0."""

    ended: Ended
    status: int
    serial: str
    ram: mmap.mmap
    error: str


def boot(machine: Machine, limits: Limits, stop: threading.Event) -> Run:
    """Run the machine until it ends, goes past a limit, or stop is set."""
    ram_fd, serial_fd, log_fd, error_fd = fds = [os.memfd_create("ikos") for _ in range(4)]
    try:
        os.ftruncate(ram_fd, machine.memory_mib << 20)
        process = _start(machine.command(ram_fd, serial_fd, log_fd), fds)
        try:
            cut_short = _watch(process.pid, serial_fd, log_fd, limits, stop)
        finally:
            process.kill()
            process.wait()
        return Run(
            ended=cut_short or _how_it_ended(process.returncode, _text(log_fd, _LOG_BYTES)),
            status=process.returncode,
            serial=_text(serial_fd, limits.serial_bytes),
            ram=mmap.mmap(ram_fd, machine.memory_mib << 20, prot=mmap.PROT_READ),
            error=_reason(process.returncode, _text(error_fd, _LOG_BYTES)),
        )
    finally:
        for fd in fds:
            os.close(fd)


def _text(fd: int, limit: int) -> str:
    return os.pread(fd, limit, 0).decode(errors="replace").replace("\r", "")


def _start(command: list[str], fds: list[int]) -> subprocess.Popen[bytes]:
    """fds: what the process may open; the last is its standard error."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=fds[-1],
            pass_fds=fds,
        )
    except OSError as error:
        raise GradingError(
            f"cannot start {command[0]}: {error.strerror}; install qemu-system-x86"
            " or say where it is with --qemu"
        ) from error


def _watch(
    pid: int, serial_fd: int, log_fd: int, limits: Limits, stop: threading.Event
) -> Ended | None:
    """Wait for the process to end by itself (None), or say why it must be ended."""
    start = time.monotonic()
    boot_s: float | None = None
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        while not poll.poll(_POLL_MS):
            wall = time.monotonic() - start
            if stop.is_set():
                return Ended.STOPPED
            printed = os.fstat(serial_fd).st_size
            if printed > limits.serial_bytes:
                return Ended.FLOOD
            if os.fstat(log_fd).st_size > _LOG_BYTES:  # a CPU that is reset for ever
                return Ended.STUCK
            if printed and boot_s is None:
                boot_s = wall - _waited_s(pid)
            allowed = limits.charged(boot_s)
            if wall > allowed and wall - _waited_s(pid) > allowed:
                return Ended.STUCK
            if wall > limits.wall_s:
                return Ended.TOO_SLOW
    finally:
        os.close(pidfd)
    return Ended.FLOOD if os.fstat(serial_fd).st_size > limits.serial_bytes else None


def _waited_s(pid: int) -> float:
    """How long the thread that waited longest was ready to run but had no CPU, seconds.

    With icount one thread runs all virtual CPUs. schedstat holds ns run, ns waited, slices.
    """
    waited = 0
    for entry in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            waited = max(waited, int(entry.read_text().split()[1]))
        except (OSError, IndexError):  # the thread has just ended
            continue
    return waited / 1e9


def _how_it_ended(status: int, log: str) -> Ended:
    if status < 0 or "CPU Reset" not in log:  # the latter is logged when a machine starts
        return Ended.BROKEN
    if status != 0:
        return Ended.EXIT
    if re.search(r"^Triple fault", log, re.MULTILINE):
        return Ended.TRIPLE_FAULT
    if re.search(r"^qemu_system_shutdown_request", log, re.MULTILINE):
        return Ended.POWEROFF
    return Ended.RESET


def _reason(status: int, error: str) -> str:
    """The emulator's own complaint, without its warnings."""
    lines = [line for line in error.splitlines() if line.strip() and "warning:" not in line]
    if status < 0:
        lines.append(f"ended by signal {-status}")
    return "; ".join(lines)
