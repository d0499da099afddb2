"""A data directory that cannot be had, as a verdict for the user."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.failure import Failure


@contextmanager
def sole(data: Path, task: str, patience_seconds: float = 0.0) -> Iterator[None]:
    """Hold the lock of ``task`` on ``data``, see `ingest.sole`.

    :raises Failure: when another process holds it, or the directory cannot be written.
    """
    from ingest import DirectoryInUse, sole

    lock = sole(data, task, patience_seconds)
    try:
        lock.__enter__()
    except DirectoryInUse as error:
        raise Failure(f"{error} with --data") from None
    except OSError as error:
        raise Failure(
            f"{data}: {error.strerror}; choose a directory that can be written with --data", 2
        ) from None
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
