"""Journal files that something damaged: every record that is whole is read, and nothing else."""

import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.record import (
    TRAILER_BYTES,
    TRAILER_TAG,
    CorruptRecord,
    JournalError,
    encode_record,
    varint,
)
from ingest.recovery import recover
from ingest.segments import closed_segments, digest_of, load_digests, read_records
from tests.ingest.batches import unnoted

requests = st.lists(st.binary(max_size=400), min_size=1, max_size=6)
edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "zero", "double"]),
        st.integers(0, 2**16),
        st.binary(min_size=1, max_size=40),
    ),
    max_size=4,
)


def encoded(bodies: list[bytes]) -> list[bytes]:
    return [encode_record(body, 7 + n, 1, digest_of(body)) for n, body in enumerate(bodies)]


def edited(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    """The file after bytes were changed, lost, put in, zeroed (a lost page) or repeated."""
    damaged = bytearray(content)
    for kind, where, what in changes:
        at = where % (len(damaged) + 1)
        end = at + len(what)
        match kind:
            case "flip" if at < len(damaged):
                damaged[at] ^= what[0] or 1
            case "cut":
                del damaged[at:end]
            case "insert":
                damaged[at:at] = what
            case "zero":
                damaged[at:end] = bytes(len(damaged[at:end]))
            case "double":
                damaged[at:at] = damaged[:at]
    return bytes(damaged)


def read(path: Path) -> tuple[list[bytes], list[JournalError]]:
    """The requests that can be read, and the damage."""
    damage: list[JournalError] = []
    found = [bytes(record.request) for record in read_records(path, damage.append)]
    return found, damage


@given(requests, edits)
def test_nothing_is_read_that_was_not_written(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], changes: list
) -> None:
    """Any damage: no crash, no record but those written; a file with damage is known for it."""
    path = tmp_path_factory.mktemp("segments") / f"{1:020d}.journal"
    content = b"".join(encoded(bodies))
    path.write_bytes(edited(content, changes))
    found, damage = read(path)
    assert set(found) <= set(bodies)
    assert damage or len(path.read_bytes()) == sum(
        len(encode_record(body, 7, 1, digest_of(body))) for body in found
    )
    load_digests(path.parent, since=0.0)


@given(requests, edits)
def test_recovery_survives_any_damage(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], changes: list
) -> None:
    """What recovery makes of a damaged open segment holds every record that could be read."""
    directory = tmp_path_factory.mktemp("crash")
    path = directory / f"{1:020d}.open"
    path.write_bytes(edited(b"".join(encoded(bodies)), changes))
    readable, _ = read(path)
    recover(directory, unnoted)
    assert not path.exists()
    recovered = [each for segment in closed_segments(directory) for each in read(segment.path)[0]]
    assert recovered == readable


@given(requests, st.data())
def test_a_changed_byte_costs_one_record(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], data: st.DataObject
) -> None:
    """The records behind a changed one are read too; if it is the length that changed, all are."""
    path = tmp_path_factory.mktemp("segments") / f"{1:020d}.journal"
    records = encoded(bodies)
    starts = [0, *(sum(map(len, records[: n + 1])) for n in range(len(records)))]
    hit = data.draw(st.integers(0, len(records) - 1))
    start, end = list(pairwise(starts))[hit]
    at = data.draw(st.integers(start, end - 1))
    damaged = bytearray(b"".join(records))
    damaged[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    found, (damage,) = read(path)
    assert damage.offset == start
    if at - start < len(varint(len(bodies[hit]) + TRAILER_BYTES)):
        assert found == bodies
    else:
        assert found == bodies[:hit] + bodies[hit + 1 :]


@given(requests, st.data())
def test_every_record_that_a_hole_does_not_touch_is_read(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], data: st.DataObject
) -> None:
    """Bytes are lost anywhere, over the ends of records or not: the others are found again."""
    path = tmp_path_factory.mktemp("segments") / f"{1:020d}.journal"
    records = encoded(bodies)
    content = b"".join(records)
    begin = data.draw(st.integers(0, len(content) - 1))
    end = data.draw(st.integers(begin + 1, len(content)))
    path.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    found, _ = read(path)
    starts = [0, *(sum(map(len, records[: n + 1])) for n in range(len(records)))]
    whole = [
        body
        for body, (start, stop) in zip(bodies, pairwise(starts), strict=True)
        if stop <= begin or start >= end
    ]
    assert Counter(found) >= Counter(whole)


def test_the_search_for_the_next_record_is_bounded(tmp_path: Path) -> None:
    """Thousands of damaged records, and content full of trailers: each byte is met a few times."""
    path = tmp_path / f"{1:020d}.journal"
    lying = encode_record(TRAILER_TAG * 50_000, 7, 1, bytes(16))
    records = encoded([bytes([n % 251]) * 300 for n in range(4_000)])
    damaged = bytearray(lying + b"".join(records))
    damaged[5] ^= 1
    at = len(lying)
    for record in records[:-1]:
        damaged[at] = damaged[at + 100] = 0xFF
        at += len(record)
    path.write_bytes(damaged)
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event == "c_call"

    sys.setprofile(count)
    try:
        found, _ = read(path)
    finally:
        sys.setprofile(None)
    assert found == [bytes([3_999 % 251]) * 300]
    assert counted < 10 * len(damaged)


def test_the_receiver_starts_over_a_damaged_open_segment(tmp_path: Path) -> None:
    """A changed byte in an open segment: the others stay, in the segment the writer will read."""
    records = encoded([b"first", b"second", b"third"])
    damaged = bytearray(b"".join(records))
    damaged[len(records[0]) + 3] ^= 1
    (tmp_path / f"{3:020d}.open").write_bytes(damaged)
    (found,) = recover(tmp_path, unnoted)
    assert isinstance(found, CorruptRecord)
    (segment,) = closed_segments(tmp_path)
    assert read(segment.path)[0] == [b"first", b"third"]
