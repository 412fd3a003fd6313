# SPDX-License-Identifier: MIT
"""Running a compiler on files that nobody has vouched for.

A submission's source can make a compiler read files, fill a disk or run for hours. Inside the
sandbox (bubblewrap) there is no network and no process of anybody else, the only files are the
system's programs and libraries, read-only, and one directory that may be written, which is
seen as /work. Limits hold for each process: memory, CPU time, size of files; and wall time for
all of it. Without the sandbox only the limits are left.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import GradingError

# What a compiler needs of the system; those that there are.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
_INSIDE = "/work"
_OUTPUT_MIB = 1  # of what a command prints, that much is kept
_ALLOW = (
    "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; on Ubuntu also"
    " kernel.apparmor_restrict_unprivileged_userns=0)"
)


@dataclass(frozen=True)
class Limits:
    cpu_s: int = 20
    wall_s: float = 120.0
    memory_mib: int = 1024
    file_mib: int = 64
    processes: int = 256


@dataclass(frozen=True)
class Done:
    status: int
    output: str  # standard output and standard error
    too_slow: bool = False  # it was ended for the wall time


class Confined:
    """Runs commands in bubblewrap."""

    def __init__(self, limits: Limits = Limits(), bwrap: str = "bwrap") -> None:
        """Raises GradingError, with what to do, if there can be no sandbox here."""
        self._limits = limits
        path = shutil.which(bwrap)
        if path is None:
            raise GradingError(
                "a submission is built in a sandbox, and there is no bwrap: install bubblewrap"
                " (or say --no-sandbox if you trust the submission)"
            )
        self._bwrap = path
        probe = _execute([*self._confine(None), "true"], Path("/"), 10)
        if probe.status != 0:
            reason = probe.output.strip().partition("\n")[0] or f"status {probe.status}"
            raise GradingError(
                f"a submission is built in a sandbox, and bwrap cannot make one ({reason}):"
                f" {_ALLOW}, or say --no-sandbox if you trust the submission"
            )

    def run(
        self, directory: Path, command: Sequence[str], output_mib: int = _OUTPUT_MIB
    ) -> Done:
        """Run a command in a directory, the only one that it can write to."""
        limits = self._limits
        limited = _limited(limits, [f"--nproc={limits.processes}"], command)
        command = [*self._confine(directory), *limited]
        return _execute(command, directory, limits.wall_s, output_mib)

    def _confine(self, directory: Path | None) -> list[str]:
        words = [self._bwrap, "--unshare-all", "--die-with-parent", "--new-session"]
        words += ["--cap-drop", "ALL"]
        words += ["--clearenv", "--setenv", "PATH", _PATH, "--setenv", "LC_ALL", "C"]
        for name in _SYSTEM:
            if os.path.islink(name):
                words += ["--symlink", os.readlink(name), name]
            elif os.path.isdir(name):
                words += ["--ro-bind", name, name]
        for name in _SETTINGS:
            words += ["--ro-bind-try", name, name]
        words += ["--dev", "/dev", "--tmpfs", "/tmp"]
        if directory:
            words += ["--bind", str(directory), _INSIDE, "--chdir", _INSIDE]
        return [*words, "--remount-ro", "/", "--"]


class Unconfined:
    """Runs commands with the limits only: for code that is trusted."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self._limits = limits

    def run(
        self, directory: Path, command: Sequence[str], output_mib: int = _OUTPUT_MIB
    ) -> Done:
        # No limit on processes: those of the user's other programs would count.
        command = _limited(self._limits, [], command)
        return _execute(command, directory, self._limits.wall_s, output_mib)


Runner = Confined | Unconfined


def _limited(limits: Limits, more: list[str], command: Sequence[str]) -> list[str]:
    """The command, behind one that sets limits."""
    return [
        "prlimit",
        f"--as={limits.memory_mib << 20}",
        f"--cpu={limits.cpu_s}",
        f"--fsize={limits.file_mib << 20}",
        "--core=0",
        *more,
        "--",
        *command,
    ]


def _execute(
    command: Sequence[str], directory: Path, wall_s: float, output_mib: int = _OUTPUT_MIB
) -> Done:
    output = os.memfd_create("output")
    try:
        try:
            process = subprocess.Popen(
                command,
                cwd=directory,
                env={"PATH": os.environ.get("PATH", _PATH), "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise GradingError(f"cannot run {command[0]}: {error.strerror}") from error
        too_slow = False
        try:
            process.wait(wall_s)
        except subprocess.TimeoutExpired:
            too_slow = True
        finally:
            # Its children too: bubblewrap's die with it, the others are of its group.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        text = os.pread(output, output_mib << 20, 0).decode(errors="replace")
        return Done(process.returncode, text, too_slow)
    finally:
        os.close(output)
