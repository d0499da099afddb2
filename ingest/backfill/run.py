"""One file from its first byte that is not acknowledged yet to its end."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ingest.backfill.content import Content, Damage
from ingest.backfill.frames import (
    MAX_MESSAGE_BYTES,
    Frame,
    delimited,
    lines,
    prefixed,
    resources,
    split_lines,
)
from ingest.backfill.pieces import Cutter, JsonLines, LogLines, OtlpMessages, Piece, Unusable
from ingest.backfill.progress import Progress, ProgressStore, Tally
from ingest.backfill.recognise import FileFormat, recognise, refuse_json_of_many_lines
from ingest.backfill.sender import Refused, Sender
from ingest.backfill.structlog_lines import LONGEST_LINE, Clock, first_time
from ingest.receive.decode import Format
from lake.mapping import AttributeMap
from lake.mapping_file import SHIPPED

BATCH_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Reading:
    """How a file is to be read; what is None is found out.

    `path` is where the collector read the log file: it is part of a log record's identity.
    Content is left in the lines of the tenants in `keep_content_for`, which `mapping` finds.
    """

    form: FileFormat | None = None
    signal: str | None = None
    path: Path | None = None
    keep_content_for: Collection[str] = ()
    mapping: AttributeMap = SHIPPED


@dataclass
class Imported:
    """What became of a file: the counts by signal, and why it was not read to its end, if so."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    damage: str = ""

    @property
    def complete(self) -> bool:
        """Whether every record of the file is in."""
        return not self.damage and not any(tally.refused for tally in self.tallies.values())


@dataclass(frozen=True)
class Listener:
    """Whom to tell while a file is imported."""

    refused: Callable[[Refused], None]
    advanced: Callable[[int], None]
    """How many records of the file this run has sent so far."""


class Unrecognised(Exception):  # noqa: N818 - a finding about a file
    """The file has none of the formats."""


def import_file(
    file: BinaryIO, reading: Reading, sender: Sender, store: ProgressStore, listener: Listener
) -> Imported:
    """Send what of `file` is not acknowledged yet, each batch remembered once it is.

    A file that cannot seek, such as a pipe, is sent from its beginning and not remembered.
    Raises Unrecognised, and NoReceiver from the sender; to call it again is to go on.
    """
    try:
        content = Content.of(file)
        refuse_json_of_many_lines(content.head)
    except Damage as damage:
        return Imported(damage=str(damage))
    if not content.head.strip():  # blank lines at most, however they were to be read
        return Imported(damage=content.damage)
    form = reading.form or recognise(content.head)
    if form is None:
        if not content.damage:
            raise Unrecognised
        return Imported(damage=content.damage)
    progress = Progress()
    if file.seekable():
        file.seek(0)
        progress = store.find(file, form)
        file.seek(0)
        content = Content.of(file)
        _skip(content, progress.offset)
    run = _Run(content, form, progress, sender, listener, store if file.seekable() else None)
    return run.to_end(reading, _clock(progress, content, file))


def _skip(content: Content, count: int) -> None:
    while count:
        count -= len(content.stream.read(min(count, BATCH_BYTES)))


def _clock(progress: Progress, content: Content, file: BinaryIO) -> Clock:
    """What lines without a time follow, found in the file so that it is the same every time."""
    told = progress.clock or first_time(content.head)
    if told is None:
        told = os.fstat(file.fileno()).st_mtime_ns if file.seekable() else time.time_ns()
    return Clock(told)


class _Run:
    """One import of one file: what is read and not yet sent, and what became of the rest."""

    def __init__(
        self,
        content: Content,
        form: FileFormat,
        progress: Progress,
        sender: Sender,
        listener: Listener,
        store: ProgressStore | None,
    ) -> None:
        self._content = content
        self._form = form
        self._progress = progress
        self._sender = sender
        self._listener = listener
        self._store = store
        self._saved_offset = progress.offset
        self._waiting: dict[tuple[str, Format], list[Piece]] = {}
        self._waiting_bytes = 0
        self._sent = 0

    def to_end(self, reading: Reading, clock: Clock) -> Imported:
        """Import the rest of the file, or what of it comes before damage."""
        damage = ""
        cut = self._cutter(reading, clock)
        try:
            for frame in self._frames():
                self._take(frame, cut)
                if frame.ends and self._waiting_bytes >= BATCH_BYTES:
                    self._flush(clock)
        except Damage as found:
            damage = str(found)
        self._flush(clock)
        if self._content.damage:
            damage = f"byte {self._progress.offset} decompressed: {self._content.damage}"
        return Imported(self._progress.tallies, damage)

    def _frames(self) -> Iterator[Frame]:
        stream, progress = self._content.stream, self._progress
        match self._form:
            case FileFormat.otlp_json:
                return lines(stream, progress.line, longest=MAX_MESSAGE_BYTES)
            case FileFormat.structlog:
                return split_lines(stream, progress.line, progress.offset, longest=LONGEST_LINE)
            case FileFormat.otlp_prefixed:
                return prefixed(stream, progress.offset)
            case FileFormat.otlp_delimited:
                return delimited(stream, progress.offset)
            case FileFormat.otlp_proto:
                return resources(stream, progress.offset)

    def _cutter(self, reading: Reading, clock: Clock) -> Cutter:
        match self._form:
            case FileFormat.otlp_json:
                return JsonLines(None)
            case FileFormat.structlog:
                return LogLines(reading.path, clock, reading.keep_content_for, reading.mapping)
        return OtlpMessages(reading.signal)

    def _take(self, frame: Frame, cut: Cutter) -> None:
        if frame.fault:
            self._refuse(Refused("unknown", 1, frame.place, frame.fault))
        try:
            for piece in cut(frame) if frame.body else ():
                self._waiting.setdefault(piece.kind, []).append(piece)
        except Unusable as fault:
            self._refuse(Refused(fault.signal, fault.records, frame.place, str(fault)))
        self._waiting_bytes += len(frame.raw)
        self._progress.advance(frame.raw)
        self._progress.line += frame.raw.endswith(b"\n")

    def _flush(self, clock: Clock) -> None:
        """Send what waits; once all of it is acknowledged, remember how far that is."""
        for (signal, _), pieces in self._waiting.items():
            refused = self._sender.send(pieces)
            accepted = sum(p.records for p in pieces) - sum(r.records for r in refused)
            self._progress.tally(signal).accepted += accepted
            self._sent += accepted
            for each in refused:
                self._refuse(each)
        self._waiting = {}
        self._waiting_bytes = 0
        if self._store is not None and self._progress.offset > self._saved_offset:
            self._progress.clock = clock.now
            self._store.save(self._progress, self._form)
            self._saved_offset = self._progress.offset
        self._listener.advanced(self._sent)

    def _refuse(self, refused: Refused) -> None:
        self._progress.tally(refused.signal).refused += refused.records
        self._listener.refused(refused)
