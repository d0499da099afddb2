"""Takes a tenant out of the segments that were set aside.

What of such a segment can be read and decoded is in the lake: its records here are copies. So all
that is worth keeping are the records that can not, and of these the ones that do not name the
tenant. The copies go with them: a span that names nobody may belong to a trace that does.
"""

from collections.abc import Iterator
from pathlib import Path

from ingest.decode import Signal
from ingest.naming import as_a_whole, quarantined_files_naming
from ingest.record import Record
from ingest.segment_rows import can_be_decoded
from ingest.segments import PARTIAL, pieces, sync_directory, write_durably
from lake import AttributeMap

_SIGNALS: dict[str, Signal] = {"traces": "traces", "logs": "logs", "metrics": "metrics"}


def take_out_of_quarantine(data: Path, tenant: str, mapping: AttributeMap) -> tuple[Path, ...]:
    """Rewrite or delete what names `tenant` as a whole; returns the files that this concerned.

    A file in which nothing else is left goes, and its reason with it. Each is replaced as a whole,
    so a crash leaves it as it was or as it shall be, and perhaps a copy half written, which goes
    the next time, whoever is taken out then. The caller holds the keeper's lock.
    """
    for half_written in (data / "journal").glob(f"*/quarantine/*{PARTIAL}"):
        if ".reason" not in half_written.suffixes:  # that may be the writer's, which goes on
            half_written.unlink()
    named = as_a_whole(tenant)
    found = [
        path
        for path in quarantined_files_naming(data, tenant)
        if path.exists() and named.search(path.read_bytes())
    ]
    for path in found:
        if path.suffix == ".reason":
            _say_less(path)
            continue
        left = b"".join(
            piece
            for piece in _unreadable(path, _SIGNALS[path.parent.parent.name], mapping)
            if not named.search(piece)
        )
        if left and not named.search(left):  # it may have stood across two of them
            write_durably(path, left)
        else:
            _delete(path)
    return tuple(found)


def _unreadable(path: Path, signal: Signal, mapping: AttributeMap) -> Iterator[memoryview]:
    for piece, what in pieces(path):
        if not isinstance(what, Record) or not can_be_decoded(signal, what, mapping):
            yield piece


def _say_less(reason: Path) -> None:
    """A reason quotes what could not be decoded."""
    if reason.exists():  # it may have gone with its segment
        write_durably(
            reason, b"it cannot be decoded; why is no longer told: it named an erased tenant"
        )


def _delete(segment: Path) -> None:
    # The reason first: killed in between, the next erasure finds the segment by the name in it.
    if segment.suffix == ".journal":  # the copy of a torn one has no reason
        segment.with_suffix(".reason").unlink(missing_ok=True)
    segment.unlink()
    sync_directory(segment.parent)
