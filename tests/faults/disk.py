"""A disk that is really full: a small tmpfs, wherever this machine lets us have one."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

MIB = 1024 * 1024
SIZE = 48 * MIB
LARGEST = 256 * MIB
NAMESPACES = (
    ("--mount",),  # root who may mount
    ("--user", "--map-root-user", "--mount"),  # anybody, where the kernel lets users have theirs
)


@dataclass(frozen=True)
class SmallDisk:
    """A file system of some 48 MiB.

    `path` is where processes that run `inside` find it, `seen` where the test does.
    """

    path: Path
    seen: Path
    inside: Sequence[str] = ()

    def fill(self) -> None:
        """Take every byte that is left."""
        with (self.seen / "ballast").open("ab", buffering=0) as ballast:
            for size in (MIB, 4096):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self, count: int | None = None) -> None:
        """Give `count` bytes back, or all that `fill` took."""
        ballast = self.seen / "ballast"
        if count is None:
            ballast.unlink()
        else:
            os.truncate(ballast, max(0, ballast.stat().st_size - count))

    def used(self) -> int:
        """Bytes that lie on it."""
        return shutil.disk_usage(self.seen).used


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """A small tmpfs mounted at `folder` in a namespace of its own.

    Containers often forbid both mounting and namespaces, but have small ones of their own, /dev/shm
    among them: then a directory there, on what another file leaves of it.
    """
    folder.mkdir()
    for namespace in NAMESPACES:
        holder = subprocess.Popen(
            ["unshare", *namespace, "sh", "-c", _MOUNT, "sh", str(folder), str(SIZE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with holder:
            if holder.stdout.readline() == b"mounted\n":
                own = [option for option in namespace if option != "--map-root-user"]
                enter = ("nsenter", "--target", str(holder.pid), *own)
                keep = ("--preserve-credentials",) if "--user" in own else ()
                seen = Path(f"/proc/{holder.pid}/root{folder}")
                yield SmallDisk(folder, seen, (*enter, *keep))
                holder.stdin.close()
                return
    with _part_of_a_tmpfs() as part:
        yield SmallDisk(part, part)


_MOUNT = 'mount -t tmpfs -o size="$2" tmpfs "$1" && echo mounted && read -r _'


@contextmanager
def _part_of_a_tmpfs() -> Iterator[Path]:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    small = [
        Path(mount[1])
        for mount in mounts
        if mount[2] == "tmpfs"
        and os.access(mount[1], os.W_OK)
        and shutil.disk_usage(mount[1]).total <= LARGEST
        and shutil.disk_usage(mount[1]).free >= SIZE
    ]
    if not small:
        pytest.skip("no small file system: neither mount, user namespaces nor a small /dev/shm")
    root = max(small, key=lambda path: path.name == "shm")
    part, rest = root / f"quietpager-{uuid.uuid4().hex}", root / f"rest-{uuid.uuid4().hex}"
    part.mkdir()
    try:
        with rest.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(root).free - SIZE))
        yield part
    finally:
        rest.unlink(missing_ok=True)
        shutil.rmtree(part)
