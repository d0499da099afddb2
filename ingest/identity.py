"""Which data directory a receiver stores into, so that nobody sends it another one's telemetry."""

from pathlib import Path

DATA_HEADER = "quietpager-data"
"""A request with this header is meant for the data directory it names, and for no other."""


def identity_of(data: Path) -> str:
    """The directory's device and inode: a copy of it, or one at the same path later, differs."""
    found = data.stat()
    return f"{found.st_dev:x}-{found.st_ino:x}"
