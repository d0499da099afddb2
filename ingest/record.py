"""How a record stands in a segment of the journal.

A segment is a plain stream of varint-length-delimited OTLP export requests. Each message ends
with one extra protobuf field (number 1000, 32 bytes) that OTLP readers skip as unknown:

    received_unix_nano  8 bytes  little-endian
    records             4 bytes  little-endian: spans, log records or data points in the request
    digest             16 bytes  of the request as the client sent it, before any refusal
    crc32c              4 bytes  little-endian, over the request and what stands before

so any protobuf reader can read the file, and every record is checksummed nevertheless.
"""

from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

from crc32c import crc32c

TRAILER_BYTES = 35
TRAILER_TAG = b"\xc2\x3e\x20"  # field 1000, length-delimited, 32 bytes
MAX_LENGTH_BYTES = 5


class JournalError(Exception):
    """A segment that is not what was written."""

    def __init__(self, path: Path, offset: int, what: str) -> None:
        super().__init__(f"{path}: {what} at byte {offset}")
        self.path = path
        self.offset = offset


class TornTail(JournalError):  # noqa: N818 - a finding, not always an error: a crash leaves one
    """The file ends inside the record that begins at `offset`."""


class CorruptRecord(JournalError):  # noqa: N818 - the same
    """The record that begins at `offset` fails its checksum or has no trailer."""


@dataclass(frozen=True)
class Record:
    """One accepted export request: when (UTC, unix ns), how many records it has, its digest."""

    request: memoryview
    received_unix_nano: int
    records: int
    digest: bytes


def encode_record(request: bytes, received_unix_nano: int, records: int, digest: bytes) -> bytes:
    """A record as it stands in a segment."""
    tail = received_unix_nano.to_bytes(8, "little") + records.to_bytes(4, "little") + digest
    checksum = crc32c(tail, crc32c(request)).to_bytes(4, "little")
    length = varint(len(request) + TRAILER_BYTES)
    return b"".join((length, request, TRAILER_TAG, tail, checksum))


def checked(message: memoryview) -> Record | None:
    """The record that a message holds, None when it is not as it was written."""
    request, trailer = message[:-TRAILER_BYTES], message[-TRAILER_BYTES:]
    tag, tail, checksum = trailer[:3], trailer[3:31], trailer[31:]
    if tag != TRAILER_TAG or crc32c(tail, crc32c(request)) != int.from_bytes(checksum, "little"):
        return None
    received, records = int.from_bytes(tail[:8], "little"), int.from_bytes(tail[8:12], "little")
    return Record(request, received, records, bytes(tail[12:]))


def record_bounds(path: Path, data: memoryview | mmap, offset: int) -> tuple[int, int]:
    """Where the message of the record at `offset` begins and ends."""
    head = data[offset : offset + MAX_LENGTH_BYTES]
    if (found := _length_in(head)) is None:
        if len(head) < MAX_LENGTH_BYTES:
            raise TornTail(path, offset, "the file ends inside a length")
        raise CorruptRecord(path, offset, "the record has no length")
    size, length = found
    start = offset + size
    if length < TRAILER_BYTES:
        raise CorruptRecord(path, offset, "the record is too short")
    if start + length > len(data):
        raise TornTail(path, offset, "the file ends inside the record")
    return start, start + length


def first_received(path: Path) -> int | None:
    """When the first record of a segment was received (unix ns), None while it is not whole.

    Only its length and its trailer are read.
    """
    with path.open("rb") as file:
        size, length = _length_in(file.read(MAX_LENGTH_BYTES)) or (0, 0)
        if length < TRAILER_BYTES:
            return None
        file.seek(size + length - TRAILER_BYTES)
        trailer = file.read(TRAILER_BYTES)
    if len(trailer) < TRAILER_BYTES or not trailer.startswith(TRAILER_TAG):
        return None
    return int.from_bytes(trailer[3:11], "little")


def _length_in(head: memoryview | bytes) -> tuple[int, int] | None:
    """How many bytes a record's length takes, and the length; None if it does not end there."""
    length = 0
    for position, byte in enumerate(head):
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return position + 1, length
    return None


def varint(value: int) -> bytes:
    """How protobuf writes a length."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
