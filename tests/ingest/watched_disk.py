"""The real disk, which can be told to refuse, and which remembers in what order it was synced."""

import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Happening = tuple[str, int]
"""What was done ("create", "sync", "rename"), and the inode it was done to."""


class WatchedDisk:
    """Stands before `os.open`, `os.fsync`, `os.fdatasync`, `os.rename` and `os.replace`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.happened: list[Happening] = []
        self.refuses_directory_syncs = False
        self.refuses_renames = False
        self.reports_renames_as_failed = False
        self.sync_failure: BaseException | None = None
        monkeypatch.setattr(os, "open", self._opening(os.open))
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._syncing(getattr(os, name)))
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._renaming(getattr(os, name)))

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def open_file(path: Path, flags: int, *mode: int, **options: int) -> int:
            fd = real(path, flags, *mode, **options)
            if flags & os.O_CREAT:
                self.happened.append(("create", os.fstat(fd).st_ino))
            return fd

        return open_file

    def _syncing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            found = os.fstat(fd)
            if self.refuses_directory_syncs and stat.S_ISDIR(found.st_mode):
                raise OSError(errno.EIO, "Input/output error")
            if self.sync_failure is not None:
                raise self.sync_failure
            real(fd)
            self.happened.append(("sync", found.st_ino))

        return sync

    def _renaming(self, real: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def rename(source: Path, target: Path) -> None:
            if self.refuses_renames:
                raise OSError(errno.EIO, "Input/output error")
            real(source, target)
            self.happened.append(("rename", Path(target).stat().st_ino))
            if self.reports_renames_as_failed:
                raise OSError(errno.EIO, "Input/output error")

        return rename


def creation_of(path: Path) -> Happening:
    """What a creation of `path` leaves in `happened`."""
    return "create", path.stat().st_ino


def sync_of(path: Path) -> Happening:
    """What a sync of `path` leaves in `happened`."""
    return "sync", path.stat().st_ino


def rename_to(path: Path) -> Happening:
    """What a renaming to `path` leaves in `happened`."""
    return "rename", path.stat().st_ino


@contextmanager
def no_more_descriptors() -> Iterator[None]:
    """Every open of this process fails with EMFILE: use it briefly."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
