"""Cuts a stream into lines or messages, each with its place in the file.

Every byte of the stream is part of exactly one frame, so that the frames up to one of them, put
together, are the file up to there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from ingest.backfill.content import Damage

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""As the receiver's limit for one request; a longer message is passed over and reported."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors and loggers write before the first line of a UTF-8 file."""

_SPACE = b" \t\r\n"
_CHUNK_BYTES = 1024 * 1024
_MAX_VARINT_BYTES = 10
RESOURCES_TAG = 0x0A
"""Field 1, length-delimited: the resources of every OTLP export request and of `TracesData`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message or line: `raw` as it stands in the file, `body` of it without its framing.

    `offset` is the byte at which a line of a log begins. `fault` says why it cannot be imported.
    `whole` is False for a last line without its end, `ends` where more of the same message follows.
    """

    place: str
    raw: bytes
    body: bytes = b""
    offset: int = 0
    fault: str = ""
    whole: bool = True
    ends: bool = True


def lines(stream: BinaryIO, number: int, *, longest: int) -> Iterator[Frame]:
    """Lines after the `number` already read; one over `longest` bytes is passed over."""
    while raw := stream.readline(longest + 1):
        number += 1
        place = f"line {number}"
        if raw.endswith(b"\n") or len(raw) <= longest:
            yield Frame(place, raw, text_of(raw), whole=raw.endswith(b"\n"))
            continue
        yield Frame(place, raw, fault=f"longer than {longest} bytes", ends=False)
        while not raw.endswith(b"\n") and (raw := stream.readline(_CHUNK_BYTES)):
            yield Frame(place, raw, ends=raw.endswith(b"\n"))


def split_lines(stream: BinaryIO, number: int, offset: int, *, longest: int) -> Iterator[Frame]:
    """Lines after the `number` already read, which end at byte `offset`.

    Longer ones come in parts, as `file_log` has it.
    """
    begins = True
    while raw := stream.readline(longest):
        number += begins
        begins = raw.endswith(b"\n")
        whole = begins or len(raw) == longest
        yield Frame(f"line {number}", raw, text_of(raw), offset, whole=whole)
        offset += len(raw)


def text_of(line: bytes) -> bytes:
    """Without space around it and the mark that editors put before the first line of a file."""
    return line.strip(_SPACE).removeprefix(BYTE_ORDER_MARK)


def prefixed(stream: BinaryIO, offset: int) -> Iterator[Frame]:
    """Messages that each follow their length in 4 bytes, big-endian."""
    while length := stream.read(4):
        if len(length) < 4:
            raise Damage(f"byte {offset}", "the file ends inside the length of a message")
        for frame in _message(stream, offset, length, int.from_bytes(length, "big")):
            yield frame
            offset += len(frame.raw)


def delimited(stream: BinaryIO, offset: int) -> Iterator[Frame]:
    """Messages that each follow their length as a varint, protobuf's usual stream."""
    while prefix := _varint(stream, offset):
        for frame in _message(stream, offset, *prefix):
            yield frame
            offset += len(frame.raw)


def resources(stream: BinaryIO, offset: int) -> Iterator[Frame]:
    """The resources of one large message, each as a message of its own with just that resource.

    A message is the concatenation of its fields, so any run of them is a message, too.
    """
    while tag := stream.read(1):
        if tag[0] != RESOURCES_TAG:
            raise Damage(f"byte {offset}", f"{tag[0]:#04x} does not begin the resources of OTLP")
        prefix = _varint(stream, offset)
        if prefix is None:
            raise Damage(f"byte {offset}", "the file ends inside a length")
        for frame in _message(stream, offset, tag + prefix[0], prefix[1]):
            yield replace(frame, body=frame.raw if frame.body else b"")
            offset += len(frame.raw)


def _message(stream: BinaryIO, offset: int, prefix: bytes, length: int) -> Iterator[Frame]:
    """The message of `length` bytes behind `prefix`; in chunks without body if it is too large."""
    place = f"byte {offset}"
    torn = Damage(place, f"the file ends inside a message of {length} bytes")
    if length <= MAX_MESSAGE_BYTES:
        body = stream.read(length)
        if len(body) < length:
            raise torn
        yield Frame(place, prefix + body, body)
        return
    fault = f"a message of {length} bytes; the receiver takes {MAX_MESSAGE_BYTES}"
    yield Frame(place, prefix, fault=fault, ends=False)
    while length:
        chunk = stream.read(min(length, _CHUNK_BYTES))
        if not chunk:
            raise torn
        length -= len(chunk)
        yield Frame(place, chunk, ends=not length)


def _varint(stream: BinaryIO, offset: int) -> tuple[bytes, int] | None:
    """The next varint as it stands and its value; None at the end of the stream."""
    raw = b""
    while len(raw) < _MAX_VARINT_BYTES:
        byte = stream.read(1)
        if not byte:
            if raw:
                raise Damage(f"byte {offset}", "the file ends inside a length")
            return None
        raw += byte
        if byte[0] < 0x80:
            value = sum((part & 0x7F) << (7 * place) for place, part in enumerate(raw))
            return raw, value
    raise Damage(f"byte {offset}", "no length of a message")
