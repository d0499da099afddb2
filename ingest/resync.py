"""Where a damaged segment goes on: what is whole behind damage is found without its lengths.

Every record ends with a trailer, whose tag can be searched for; what stands before it proves by
its checksum where it began. The work is bounded: a record whose own content has many of what looks
like trailers may stay unfound, and is then set aside with the damage.
"""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from ingest.record import MAX_LENGTH_BYTES, TRAILER_BYTES, TRAILER_TAG, Record, checked, varint

_LOOK_ALIKES = 4
"""How many trailers a record may seem to have in its content and be found nevertheless."""

_MAX_ENDS = 100_000
_MAX_CHECKED_BYTES = 1 << 30
"""How many trailers are tried in one search, and how much is put to the checksum: seconds."""


def without_length(data: bytes, offset: int) -> tuple[int, int, Record] | None:
    """The record at `offset` if nothing but its length is damaged; first, where its message stands.

    Its trailer shows where it ends, and so how many bytes its length had.
    """
    for count, end in enumerate(_ends(data, offset)):
        if count > _LOOK_ALIKES:
            break
        for size in range(1, MAX_LENGTH_BYTES + 1):
            start = offset + size
            if len(varint(end - start)) == size and (record := _checked(data, start, end)):
                return start, end, record
    return None


def next_whole(data: bytes, offset: int) -> int:
    """Where the first whole record behind `offset` begins; the end of `data` when there is none."""
    earlier = deque([offset], maxlen=_LOOK_ALIKES + 1)
    left = _MAX_CHECKED_BYTES
    for end in islice(_ends(data, offset), _MAX_ENDS):
        for begin, start in _lengths_to(data, earlier[0] + 1, end):
            left -= end - start
            if left < 0:
                return len(data)
            if _checked(data, start, end):
                return begin
        earlier.append(end - TRAILER_BYTES)
    return len(data)


def _ends(data: bytes, offset: int) -> Iterator[int]:
    """Where something ends that has a trailer, behind `offset`."""
    tag = data.find(TRAILER_TAG, offset + 1)
    while 0 <= tag <= len(data) - TRAILER_BYTES:
        yield tag + TRAILER_BYTES
        tag = data.find(TRAILER_TAG, tag + 1)


def _checked(data: bytes, start: int, end: int) -> Record | None:
    return checked(memoryview(data)[start:end])


def _lengths_to(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """What from `begin` on can be read as a length that leads to `end`, and where it ends.

    All bytes but the first of such a length are the same for 128 places in a row: they are searched
    for together.
    """
    for size in range(1, MAX_LENGTH_BYTES + 1):
        shortest, longest = 1 << 7 * (size - 1), (1 << 7 * size) - 1
        longest = min(longest, end - size - begin)
        for high in range(max(shortest, TRAILER_BYTES) >> 7, (longest >> 7) + 1):
            rest = varint(high) if size > 1 else b""
            last = end - size - (high << 7)
            at = max(begin, last - 0x7F)
            while at <= last and (at := data.find(rest, at + 1, last + size) - 1) >= 0:
                length = end - size - at
                if length >= TRAILER_BYTES and data.startswith(varint(length), at):
                    yield at, at + size
                at += 1
