# SPDX-License-Identifier: MIT
"""QEMU as a child that cannot outlive its parent.

It runs in a session of its own, so that Ctrl-C at the debugger's prompt stops the guest and
not the emulator. It is ended when the block that started it is left, and by the system if this
process should be killed. It is ended with TERM: a recording that is killed outright is lost.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType

from grading.machine import Machine

from .errors import DebuggingError

_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_START_LIMIT_S = 60.0
_SOCKETS = Path("/proc/net/unix")
_ACCEPTS = 1 << 16  # among the flags of a socket there
_STOP_LIMIT_S = 5.0
_POLL_S = 0.02
_LOG_BYTES = 1 << 18


class Emulator:
    """The grader's machine, started; what it prints goes to serial."""

    def __init__(
        self, machine: Machine, serial: int, options: Sequence[str], icount: str = ""
    ) -> None:
        """serial: a file descriptor. icount: what is added to the machine's option of that name."""
        ram, self._log, self._errors = (os.memfd_create("ikos") for _ in range(3))
        try:
            os.ftruncate(ram, machine.memory_mib << 20)
            command = machine.command(ram, serial, self._log)
            if icount:
                command[command.index("-icount") + 1] += f",{icount}"
            self._process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=(ram, serial, self._log),
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            raise DebuggingError(
                f"cannot start {machine.qemu}: {error.strerror}; run scripts/setup"
            ) from error
        finally:
            os.close(ram)

    def __enter__(self) -> "Emulator":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        os.close(self._log)
        os.close(self._errors)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, limit_s: float) -> int | None:
        """The exit status, or None if it has not ended by itself within the limit."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None

    def wait_for(self, path: Path) -> None:
        """Wait until the emulator listens at a socket."""
        deadline = time.monotonic() + _START_LIMIT_S
        while not _is_listening(path):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DebuggingError(f"the emulator did not start: {self.complaint()}")
            time.sleep(_POLL_S)

    def complaint(self) -> str:
        """What the emulator wrote to its standard error."""
        text = os.pread(self._errors, 1 << 16, 0).decode(errors="replace")
        lines = [line for line in text.splitlines() if line.strip() and "warning:" not in line]
        return "; ".join(lines) or "it gave no reason"

    def log(self) -> str:
        """The end of what the emulator logged."""
        start = max(os.fstat(self._log).st_size - _LOG_BYTES, 0)
        return os.pread(self._log, _LOG_BYTES, start).decode(errors="replace")


def _is_listening(path: Path) -> bool:
    """Its name is there a moment earlier than whoever listens. Only Linux tells."""
    try:
        sockets = _SOCKETS.read_text().splitlines()
    except OSError:
        return path.exists()
    ours = [line.split() for line in sockets if line.endswith(f" {path}")]
    return any(int(fields[3], 16) & _ACCEPTS for fields in ours)


def waiting_at(socket: Path) -> list[str]:
    """Options: do not start, wait for a debugger at a socket."""
    return ["-S", "-gdb", f"unix:{socket},server=on,wait=off"]


def _die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):  # only Linux can
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_in_good_order() -> None:
    """From now on the first TERM, HUP or Ctrl-C raises KeyboardInterrupt, and no further one
    disturbs what that leads to: ending the emulator and removing files."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ikos-") as name:
        yield Path(name)


@contextlib.contextmanager
def serial_to_stdout() -> Iterator[int]:
    """A file descriptor for a guest's serial line: what comes there is printed.

    It is printed as it comes, amid what GDB prints. Who reads GDB's answers has it written to
    a file instead, which the environment names: SERIAL.
    """
    if file := os.environ.get("SERIAL"):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    reader, writer = os.pipe()
    copier = threading.Thread(target=_copy, args=(reader,), daemon=True)
    copier.start()
    try:
        yield writer
    finally:
        os.close(writer)  # the emulator, the other writer, has ended
        copier.join(_STOP_LIMIT_S)


def _copy(reader: int) -> None:
    while data := os.read(reader, 4096):
        sys.stdout.buffer.write(data.replace(b"\r", b""))
        sys.stdout.buffer.flush()
    os.close(reader)
