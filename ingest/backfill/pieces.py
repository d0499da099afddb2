"""Pieces of requests: what one message or line of a file gives, before it is sent with others."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import orjson
import zstandard

from ingest.backfill.content import Damage, is_zstd
from ingest.backfill.frames import MAX_MESSAGE_BYTES, Frame
from ingest.backfill.signals import SHAPES, TAKEN, count, parse, parse_as
from ingest.backfill.structlog_lines import Clock, is_broken_json, request_of
from ingest.limits import short
from ingest.receive.decode import Format
from lake.mapping import AttributeMap
from lake.mapping_file import SHIPPED


class Unusable(Exception):  # noqa: N818 - a finding about one message, the rest goes on
    """A message or line that cannot be sent, in words, and how many records it had if known."""

    def __init__(self, what: str, signal: str = "unknown", records: int = 1) -> None:
        super().__init__(what)
        self.signal = signal
        self.records = records


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a request: protobuf, or the resources of one in JSON. `place` is in the file."""

    signal: str
    form: Format
    content: Any
    size: int
    records: int
    place: str

    @property
    def kind(self) -> tuple[str, Format]:
        """Pieces of one kind can be sent together."""
        return self.signal, self.form


Cutter = Callable[[Frame], list[Piece]]
"""Makes the pieces of a frame. Raises Unusable, and Damage when the file ends inside it."""


def body_of(pieces: list[Piece]) -> bytes:
    """One request of pieces of one kind."""
    if pieces[0].form is Format.PROTOBUF:  # messages put together are the message of all fields
        return b"".join(piece.content for piece in pieces)
    resources = [resource for piece in pieces for resource in piece.content]
    return orjson.dumps({SHAPES[pieces[0].signal].json_levels[0]: resources})


class OtlpMessages:
    """Cuts messages of OTLP, protobuf or JSON, each perhaps compressed by itself.

    `signal` says what protobuf holds; it is found out when None.
    """

    def __init__(self, signal: str | None) -> None:
        self._signal = signal
        self._likely = signal

    def __call__(self, frame: Frame) -> list[Piece]:
        body = frame.body
        if is_zstd(body):
            body = _decompressed(body)
        if body.startswith(b"{"):
            return list(_json_pieces(body, frame))
        return self._protobuf_piece(body, frame)

    def _protobuf_piece(self, body: bytes, frame: Frame) -> list[Piece]:
        if self._signal is None:
            found = parse(body, self._likely)
        else:
            request = parse_as(body, self._signal)
            found = None if request is None else (self._signal, request)
        if found is None:
            what = self._signal or "traces, logs or metrics; name it with --signal"
            raise Unusable(f"not an OTLP message of {what}", self._signal or "unknown")
        self._likely, request = found
        records = count(request, self._likely)
        if not records:
            return []
        _check_taken(self._likely, records)
        return [Piece(self._likely, Format.PROTOBUF, body, len(body), records, frame.place)]


class JsonLines(OtlpMessages):
    """Cuts lines of OTLP in JSON."""

    def __call__(self, frame: Frame) -> list[Piece]:
        try:
            return list(_json_pieces(frame.body, frame))
        except Unusable:
            if not frame.whole:
                raise Damage(frame.place, "the file ends inside a line") from None
            raise


class LogLines:
    """Cuts lines of a JSON log file, read from the file at `path`, into log records."""

    def __init__(
        self,
        path: PurePath | None,
        clock: Clock,
        keep_content_for: Collection[str] = (),
        mapping: AttributeMap = SHIPPED,
    ) -> None:
        self._path = path
        self._clock = clock
        self._keep_content_for = frozenset(map(short, keep_content_for))
        self._mapping = mapping

    def __call__(self, frame: Frame) -> list[Piece]:
        if not frame.whole and is_broken_json(frame.body):
            raise Damage(frame.place, "the file ends inside a line")
        request = request_of(
            frame.body, self._path, frame.offset, self._clock, self._keep_content_for,
            self._mapping,
        )  # fmt: skip
        return [Piece("logs", Format.PROTOBUF, request, len(request), 1, frame.place)]


def _decompressed(body: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
            plain = reader.read(MAX_MESSAGE_BYTES + 1)
    except zstandard.ZstdError as fault:
        raise Unusable(f"not what zstd wrote: {fault}") from None
    if len(plain) > MAX_MESSAGE_BYTES:
        raise Unusable(f"decompresses to more than {MAX_MESSAGE_BYTES} bytes")
    return plain


def _json_pieces(body: bytes, frame: Frame) -> Iterator[Piece]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise Unusable(f"not JSON: {fault}") from None
    keys = [key for key in document if key.startswith("resource")] if _is_object(document) else []
    if not keys:
        raise Unusable("not an OTLP request in JSON: no resourceSpans, resourceLogs or the like")
    for key in keys:
        resources = document[key] if isinstance(document[key], list) else []
        signal = next((n for n, shape in SHAPES.items() if shape.json_levels[0] == key), None)
        if signal is None:
            raise Unusable(f"{key} is not taken; Quietpager takes {', '.join(TAKEN)}", key)
        if records := _records(resources, SHAPES[signal].json_levels):
            _check_taken(signal, records)
            share = len(body) // len(keys)
            yield Piece(signal, Format.JSON, resources, share, records, frame.place)


def _records(resources: list[Any], levels: tuple[str, str, str]) -> int:
    """Records within; data points where a record has them."""
    found = resources
    for level in levels[1:]:
        found = [each for parent in found if _is_object(parent) for each in _list(parent, level)]
    return sum(map(_points, found)) if levels[2] == "metrics" else len(found)


def _points(metric: object) -> int:
    if not _is_object(metric):
        return 1
    data = [value for value in metric.values() if _is_object(value)]  # type: ignore[attr-defined]
    return sum(len(_list(each, "dataPoints")) for each in data)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _list(parent: dict[str, Any], field: str) -> list[Any]:
    children = parent.get(field)
    return children if isinstance(children, list) else []


def _check_taken(signal: str, records: int) -> None:
    if signal not in TAKEN:
        taken = " and ".join(TAKEN)
        raise Unusable(f"{signal} are not taken by this version, only {taken}", signal, records)
