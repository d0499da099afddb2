"""What is written to a file or directory, brought from the cache of the system to the disk."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Return when it is on the disk. Raises OSError when it cannot be written or is not there."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
