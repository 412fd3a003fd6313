# SPDX-License-Identifier: MIT
"""ext2 on disks made by mke2fs: programs work on them, e2fsck finds nothing, debugfs finds it all.

Each test boots with a script from the disk itself as the first program; see boot().
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
from pathlib import Path

import ext2_images as ext2
import pytest

ROOT = Path(__file__).resolve().parents[2]
INITRD = Path(os.environ.get("IKOS_INITRD") or ROOT / "build/initrd.cpio")
LIMIT_SECONDS = 400  # two CPUs that wait for each other on a busy host: 35 times as slow

# The script goes on from a copy, so that the disk it came from is not in use by it.
HEAD = """#!/bin/busybox sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
[ "$0" = /tmp/run ] || { mkdir -p /tmp; cp "$0" /tmp/run; exec /tmp/run; }
cd /tmp
{
"""
UNMOUNT = """
} </dev/null 2>&1
cd /; umount /mnt; echo "umount $?"
poweroff -f
"""
LEAVE = """
} </dev/null 2>&1
poweroff -f
"""


def fill(directory: Path, script: str, tail: str = UNMOUNT) -> Path:
    """A directory to make a disk of, with the script as /run."""
    directory.mkdir(exist_ok=True)
    run = directory / "run"
    run.write_text(HEAD + script + tail)
    run.chmod(0o755)
    return directory


def boot(
    kernel: Path, disk: Path, append: str = "", cpus: int = 1, interface: str = "virtio"
) -> str:
    """What the script printed."""
    if not INITRD.exists():
        pytest.skip(f"no initrd {INITRD}: run make initrd")
    try:
        run = subprocess.run(
            ext2.command(kernel, INITRD, disk, f"init=/mnt/run {append}", cpus, interface),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        pytest.fail(f"no end after {LIMIT_SECONDS} s: {(late.output or b'').decode()[-3000:]}")
    text = run.stdout.decode(errors="replace").replace("\r\n", "\n")
    assert run.returncode == ext2.PASSED, text[-3000:]
    return text


@pytest.mark.parametrize(
    ("block_size", "options", "interface"),
    [
        ("1024", ["-I", "128", "-O", "none"], "ide"),
        ("2048", ["-r", "0"], "virtio"),
        ("4096", ["-I", "256"], "virtio"),
    ],
)
def test_programs_find_what_posix_promises(
    kernel: Path, tmp_path: Path, block_size: str, options: list[str], interface: str
) -> None:
    """The same programs as on the host and in memory, with their files on the disk."""
    script = """
    mkdir /mnt/tmp; export TMPDIR=/mnt/tmp
    for test in storage files mmap mprotect exec; do /tests/$test; done
    rm -r /mnt/tmp/*; rmdir /mnt/tmp
    """
    disk = ext2.make(tmp_path / "disk.img", 32, "-b", block_size, *options,
                     root=fill(tmp_path / "root", script))  # fmt: skip
    text = boot(kernel, disk, cpus=2, interface=interface)
    assert "\nnot ok" not in text and text.count("# pass:") == 5, text
    assert "umount 0" in text
    ext2.check(disk)
    assert sorted(ext2.debugfs(disk, "ls -p /").split()) == sorted(
        ext2.debugfs(ext2.make(tmp_path / "same.img", 32, "-b", block_size, *options,
                               root=tmp_path / "root"), "ls -p /").split()
    )  # fmt: skip


def test_what_is_written_here_is_read_there(kernel: Path, tmp_path: Path) -> None:
    """Files of all shapes, made by BusyBox, compared byte for byte; and read from the host's."""
    root = tmp_path / "root"
    fill(root, """
    mkdir -p /mnt/out/deep/er; cd /mnt/out
    cp -a /mnt/in/. deep/er/
    for i in 1 2 3 4 5 6 7 8 9; do cat /mnt/in/large >>big; done
    dd if=/mnt/in/large of=sparse bs=1000 seek=5000 2>/dev/null
    dd if=/mnt/in/small of=big bs=1 seek=70001 conv=notrunc 2>/dev/null
    truncate -s 12345 deep/er/large
    ln deep/er/small hard; ln -s deep/er soft; ln -s "$(printf '%0300d' 7)" long
    mkfifo pipe; mknod device c 250 300
    md5sum /mnt/in/large /mnt/in/small
    rm -r deep/er/gone; mv deep/er/sub moved
    """)
    draw = random.Random(1)
    (root / "in/sub").mkdir(parents=True)
    (root / "in/gone/a/b").mkdir(parents=True)
    large, small = draw.randbytes(300_001), draw.randbytes(99)
    (root / "in/large").write_bytes(large)
    (root / "in/small").write_bytes(small)
    (root / "in/gone/a/b/file").write_bytes(small)
    for i in range(400):
        (root / f"in/sub/a-file-with-a-long-name-{i}").write_text(str(i))
    disk = ext2.make(tmp_path / "disk.img", 32, "-b", "1024", root=root)
    text = boot(kernel, disk, "fs.names=16")  # names go and are found again all the time
    assert "umount 0" in text
    ext2.check(disk)
    for name in ("large", "small"):
        md5 = subprocess.run(["md5sum", root / "in" / name], capture_output=True, check=True)
        assert md5.stdout.split()[0].decode() in text
    out = ext2.unpack(disk, tmp_path / "found") / "out"
    big = bytearray(large * 9)
    big[70001 : 70001 + len(small)] = small
    assert (out / "big").read_bytes() == bytes(big)
    assert (out / "sparse").read_bytes() == bytes(5_000_000) + large
    assert (out / "deep/er/large").read_bytes() == large[:12345]
    assert (out / "hard").read_bytes() == small
    assert os.readlink(out / "soft") == "deep/er"
    assert os.readlink(out / "long") == f"{7:0300d}"
    assert len(list((out / "moved").iterdir())) == 400
    assert (out / "moved/a-file-with-a-long-name-399").read_text() == "399"
    assert not (out / "deep/er/gone").exists()
    assert "Links: 2" in ext2.debugfs(disk, "stat /out/hard")
    assert "250:300 " in ext2.debugfs(disk, "stat /out/device").replace(" (", " ")


def test_what_a_mount_refuses(kernel: Path, tmp_path: Path) -> None:
    """nosuid, nodev and noexec: neither the files' modes nor the superuser change that."""
    # /tests/users, where it is asked to tell, ends with 0 if it has become user 4321.
    script = """
    cp /tests/users /mnt; chown 4321 /mnt/users; chmod 4755 /mnt/users
    mknod -m 666 /mnt/zero c 1 5
    echo "some:x:1234:1234::/:/bin/sh" >>/etc/passwd
    as_some() { su some -c "$1"; echo "status $?"; }
    as_some "TELL_USERS=1 /mnt/users"; as_some "head -c 1 /mnt/zero | wc -c"
    umount /mnt; mount -t ext2 -o nosuid,nodev,noexec /dev/vda /mnt; grep vda /proc/mounts
    head -c 1 /mnt/zero; /mnt/users; echo "status $?"
    umount /mnt; mount -t ext2 -o nosuid /dev/vda /mnt; as_some "TELL_USERS=1 /mnt/users"
    """
    disk = ext2.make(tmp_path / "disk.img", 16, root=fill(tmp_path / "root", script))
    text = boot(kernel, disk)
    assert text[text.index("status") :].splitlines()[:8] == [
        "status 0", "1", "status 0",
        "/dev/vda /mnt ext2 rw,nosuid,nodev,noexec 0 0",
        "head: /mnt/zero: Permission denied",
        "/tmp/run: line 13: /mnt/users: Permission denied",
        "status 126",
        "status 1",
    ]  # fmt: skip
    ext2.check(disk)


def test_mounting(kernel: Path, tmp_path: Path) -> None:
    script = """
    mkdir -p /other /tmp/empty
    echo "again: $(mount -t ext2 /dev/vda /other 2>&1)"
    umount /mnt; echo "unmounted $?"; ls -A /mnt | wc -l
    mount -t ext2 /dev/vda /other; echo "mounted $?"
    grep ext2 /proc/mounts /proc/filesystems
    cd /other; umount /other 2>/dev/null; echo "busy $?"; cd /
    exec 3</other/run; umount /other 2>/dev/null; echo "open $?"; exec 3<&-
    rmdir /other 2>/dev/null; echo "rmdir $?"
    mv /other /elsewhere 2>/dev/null; echo "mv $?"
    mv /other/run /run 2>/dev/null; ls /other
    ln /run /other/link 2>/dev/null; echo "link $?"
    ls -id /other/.. / | while read a b; do echo "up $a"; done
    umount /other; echo "unmounted $?"
    mount -o ro -t ext2 /dev/vda /mnt; grep vda /proc/mounts
    echo x >/mnt/new; mkdir /mnt/new; rmdir /mnt/lost+found; chmod 0 /mnt/lost+found
    mount -t ext3 /dev/vda /other; mount -t ext2 /dev/null /other; mount -t ext2 /dev/vda /none
    """
    disk = ext2.make(tmp_path / "disk.img", 8, root=fill(tmp_path / "root", script))
    text = boot(kernel, disk)
    lines = text.splitlines()
    for line in ("unmounted 0", "0", "mounted 0", "/proc/mounts:/dev/vda /other ext2 rw 0 0",
                 "/proc/filesystems:\text2", "busy 1", "open 1", "rmdir 1", "mv 1", "link 1",
                 "/dev/vda /mnt ext2 ro 0 0", "umount 0"):  # fmt: skip
        assert line in lines, (line, text)
    assert "again: mount: mounting /dev/vda on /other failed: Device or resource busy" in lines
    assert text.count("Read-only file system") == 4, text
    assert text.count("failed: No such device") == 1 and "Block device required" in text
    assert "failed: No such file or directory" in text
    ups = [line for line in lines if line.startswith("up ")]
    assert len(ups) == 2 and ups[0] == ups[1], text
    ext2.check(disk)


def test_a_full_disk(kernel: Path, tmp_path: Path) -> None:
    """Who writes hears of it, what was there is there, and what is removed makes room."""
    script = """
    cd /mnt
    cat /bin/busybox >kept; sync; md5sum </bin/busybox
    dd if=/dev/zero of=fill bs=3000 2>&1 | grep -o 'No space left on device'
    echo more >one; cat one; mkdir two; i=0
    while echo $i >small$i; do i=$((i + 1)); done 2>/dev/null; [ $i -lt 500 ] && echo stopped
    rm fill; echo again >three; cat three
    cat /bin/busybox >second; cmp second kept && echo same
    rm -f small* second; md5sum <kept; df . | tail -1
    """
    disk = ext2.make(tmp_path / "disk.img", 6, "-b", "1024", "-N", "256", "-m", "0",
                     root=fill(tmp_path / "root", script))  # fmt: skip
    text = boot(kernel, disk)
    lines = text.splitlines()
    assert "stopped" in lines and "again" in lines and "same" in lines, text
    assert "No space left on device" in text
    sums = [line for line in lines if line.endswith("  -")]
    assert len(sums) == 2 and sums[0] == sums[1], text
    ext2.check(disk)
    assert set(ext2.debugfs(disk, "ls -p /").split("\n")) > set()


def test_several_at_once(kernel: Path, tmp_path: Path) -> None:
    """Programs on two processors, each at work on the same disk, while it is written back."""
    script = """
    export TMPDIR=/mnt
    for i in 1 2 3; do /tests/storage renames mapping cut >/tmp/out$i & done
    for i in 1 2 3 4; do mkdir /mnt/tree$i; cp -r /etc /tests/storage /mnt/tree$i; sync; done
    for i in 1 3; do rm -r /mnt/tree$i; mv /mnt/tree$((i + 1)) /mnt/tree$i; done
    wait; cat /tmp/out*
    for i in 1 3; do cmp /tests/storage /mnt/tree$i/storage && echo "tree $i"; done
    """
    disk = ext2.make(tmp_path / "disk.img", 64, "-b", "1024", root=fill(tmp_path / "root", script))
    text = boot(kernel, disk, "fs.write_back=50 fs.dirty_expire=100", cpus=2)
    assert "\nnot ok" not in text and text.count("# pass:") == 3, text
    assert text.count("\ntree ") == 2 and "umount 0" in text, text
    ext2.check(disk)


def test_more_than_memory_holds(kernel: Path, tmp_path: Path) -> None:
    """Clean pages go when memory is short, dirty ones come to the disk first."""
    script = """
    cd /mnt
    for i in 1 2 3 4; do dd if=/dev/urandom of=file$i bs=65536 count=1200 2>/dev/null; done
    md5sum file* >sums; cat file* >/dev/null; md5sum -c sums; grep -c . /proc/meminfo >/dev/null
    """
    disk = ext2.make(tmp_path / "disk.img", 400, root=fill(tmp_path / "root", script))
    text = boot(kernel, disk)
    assert text.count(": OK") == 4, text
    assert "umount 0" in text
    ext2.check(disk)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("extent", "feature extent is not supported: not mounted"),
        ("64bit,extent", "is not supported: not mounted"),
        ("huge_file", "feature huge_file is not supported: mounted read-only"),
        ("^filetype,^sparse_super,^resize_inode", "mount: vda at /mnt"),
    ],
)
def test_features(kernel: Path, tmp_path: Path, feature: str, said: str) -> None:
    if not INITRD.exists():
        pytest.skip(f"no initrd {INITRD}: run make initrd")
    root = fill(tmp_path / "root", "mkdir /mnt/new; touch /mnt/new/file; ls -l /mnt")
    disk = ext2.make(tmp_path / "disk.img", 8, "-O", feature, root=root)
    run = subprocess.run(
        [*ext2.command(kernel, INITRD, disk, "init=/mnt/run")], input=b"poweroff\n",
        capture_output=True, timeout=LIMIT_SECONDS, check=False,
    )  # fmt: skip
    text = run.stdout.decode(errors="replace")
    assert said in text and "panic" not in text, text
    if "not mounted" not in said:
        ext2.check(disk)


def test_a_disk_that_fails(kernel: Path, tmp_path: Path) -> None:
    """fsync() says so to everybody who has the file open, once; the rest goes on."""
    script = """
    cd /mnt; sync
    /bin/disk_errors bad
    echo other >good; sync; cat good
    """
    root = fill(tmp_path / "root", script, LEAVE)
    (root / "bad").write_bytes(b"bad!" * 16384)
    disk = ext2.make(tmp_path / "disk.img", 8, "-b", "4096", root=root)
    block = int(ext2.debugfs(disk, "bmap /bad 5").split()[-1])
    rules = tmp_path / "rules"
    rules.write_text(f"""[inject-error]
event = "none"
iotype = "write"
errno = "5"
sector = "{block * 8}"
once = "off"
""")
    command = ext2.command(kernel, INITRD, Path(f"blkdebug:{rules}:{disk}"), "init=/mnt/run")
    run = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS,
        check=False,
    )  # fmt: skip
    text = run.stdout.decode(errors="replace").replace("\r\n", "\n")
    assert run.returncode == ext2.PASSED, text
    assert "first 5 0\nsecond 5 0\nmapping 5 0\nlater 0\n" in text, text
    assert "\nother\n" in text


def test_an_unclean_disk_is_mounted_and_said_to_be(kernel: Path, tmp_path: Path) -> None:
    root = fill(tmp_path / "root", "echo here", LEAVE)
    disk = ext2.make(tmp_path / "disk.img", 8, root=root)
    assert "was not unmounted" not in boot(kernel, disk)
    text = boot(kernel, disk)
    assert "ext2: vda was not unmounted; e2fsck would be good" in text and "\nhere\n" in text
    ext2.check(disk)


def test_no_old_bytes_of_the_disk_are_seen(kernel: Path, tmp_path: Path) -> None:
    """A disk full of something else: holes and the ends of files are zeroes."""
    script = """
    cd /mnt; echo x >a; truncate -s 100000 a; dd if=a of=b bs=1 seek=50000 2>/dev/null
    sync; tr -d '\\0' <a | wc -c; tr -d '\\0' <b | wc -c
    """
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"secret!!" * (1 << 20))
    root = fill(tmp_path / "root", script)
    subprocess.run(
        ["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext2", "-b", "1024", "-d", root, disk], check=True
    )
    text = boot(kernel, disk)
    assert "\n2\n2\n" in text, text
    ext2.check(disk)
    out = ext2.unpack(disk, tmp_path / "found")
    assert (out / "a").read_bytes() == b"x\n" + bytes(99998)
    assert b"secret" not in (out / "b").read_bytes()
    assert struct.unpack("<H", disk.read_bytes()[1024 + 56 : 1024 + 58]) == (0xEF53,)
