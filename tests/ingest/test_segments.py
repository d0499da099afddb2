"""A segment gives back exactly what was put in, or says where it is damaged."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.record import TRAILER_BYTES, CorruptRecord, JournalError, TornTail, encode_record
from ingest.recovery import quarantine, recover
from ingest.segments import (
    Segment,
    closed_segments,
    digest_of,
    load_digests,
    next_sequence,
    prune_digests,
    read_records,
    retire,
)
from tests.ingest.batches import unnoted

requests = st.lists(st.binary(max_size=300), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("segments") / "00000000000000000001.open"


def records_of(bodies: list[bytes]) -> list[bytes]:
    return [encode_record(body, 1_000 + i, 1, digest_of(body)) for i, body in enumerate(bodies)]


def read_until_damage(path: Path) -> tuple[list[bytes], JournalError | None]:
    read = []
    try:
        for record in read_records(path):
            read.append(bytes(record.request))
    except JournalError as damage:
        return read, damage
    return read, None


@given(requests)
def test_round_trip(path: Path, bodies: list[bytes]) -> None:
    """Requests, receive times and digests come back as written."""
    path.write_bytes(b"".join(records_of(bodies)))
    records = list(read_records(path))
    assert [bytes(record.request) for record in records] == bodies
    assert [record.received_unix_nano for record in records] == [
        1_000 + i for i in range(len(bodies))
    ]
    assert [record.digest for record in records] == [digest_of(body) for body in bodies]


@given(requests, st.data())
def test_any_prefix_keeps_the_whole_records(
    path: Path, bodies: list[bytes], data: st.DataObject
) -> None:
    """Cut anywhere: exactly the whole records before the cut are read, then TornTail."""
    encoded = records_of(bodies)
    whole = b"".join(encoded)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    ends = [sum(map(len, encoded[: i + 1])) for i in range(len(encoded))]
    kept = sum(end <= cut for end in ends)
    read, damage = read_until_damage(path)
    assert read == bodies[:kept]
    if cut in {0, *ends}:
        assert damage is None
    else:
        assert isinstance(damage, TornTail)
        assert damage.offset == (ends[kept - 1] if kept else 0)


@given(requests, st.data())
def test_any_changed_byte_is_found(path: Path, bodies: list[bytes], data: st.DataObject) -> None:
    """Change any byte to any other: the records before it are read, then the damage is named."""
    encoded = records_of(bodies)
    damaged = bytearray(b"".join(encoded))
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    starts = [sum(map(len, encoded[:i])) for i in range(len(encoded))]
    hit = max(i for i, start in enumerate(starts) if start <= at)
    read, damage = read_until_damage(path)
    assert read == bodies[:hit]
    assert damage is not None
    assert damage.offset == starts[hit]


@dataclass
class Noted:
    """What a ledger is told of one segment."""

    accepted: int = 0
    uncounted_bytes: int = 0

    def __call__(
        self,
        sequence: int,
        accepted: Mapping[int, int],
        retried: Mapping[int, int],
        uncounted_bytes: int = 0,
        /,
    ) -> None:
        self.accepted, self.uncounted_bytes = sum(accepted.values()), uncounted_bytes


@given(requests, st.binary(min_size=1, max_size=64))
def test_recovery_keeps_whole_records_whatever_follows(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], junk: bytes
) -> None:
    """After a crash the open segment is closed with its whole records in front."""
    directory = tmp_path_factory.mktemp("crash")
    whole = b"".join(records_of(bodies))
    (directory / f"{7:020d}.open").write_bytes(whole + junk)
    recover(directory, unnoted)
    assert not list(directory.glob("*.open"))
    (segment,) = closed_segments(directory)
    assert segment.sequence == 7
    assert segment.path.read_bytes() in {whole, whole + junk}


@given(requests, st.data())
def test_recovery_cuts_an_unfinished_record(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], data: st.DataObject
) -> None:
    """A crash leaves the last record short, with zeros for what did not get to the disk or not."""
    directory = tmp_path_factory.mktemp("crash")
    *before, last = records_of(bodies)
    cut = data.draw(st.integers(0, len(last) - TRAILER_BYTES))
    zeros = data.draw(st.sampled_from([0, len(last) - cut])) if cut else 4096
    path = directory / f"{7:020d}.open"
    path.write_bytes(b"".join(before) + last[:cut] + bytes(zeros))
    noted = Noted()
    (found,) = recover(directory, noted)
    assert found.offset == len(b"".join(before))
    assert [segment.path.read_bytes() for segment in closed_segments(directory)] == (
        [b"".join(before)] if before else []
    )
    assert (noted.accepted, noted.uncounted_bytes) == (len(before), 0)


def test_recovery_removes_a_segment_without_a_whole_record(tmp_path: Path) -> None:
    """A crash before the first record leaves nothing for the writer."""
    (tmp_path / f"{1:020d}.open").write_bytes(records_of([b"abc"])[0][:10])
    (found,) = recover(tmp_path, unnoted)
    assert isinstance(found, TornTail)
    assert not closed_segments(tmp_path)


@given(requests, st.data())
def test_recovery_cuts_no_record_that_was_whole(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes], data: st.DataObject
) -> None:
    """One changed byte of the last record is no torn tail: the writer sets all of it aside."""
    directory = tmp_path_factory.mktemp("crash")
    *before, last = records_of(bodies)
    start = len(b"".join(before))
    at = data.draw(st.integers(0, len(last) - TRAILER_BYTES - 1))
    damaged = bytearray(b"".join(before) + last)
    damaged[start + at] ^= 1 << data.draw(st.integers(0, 7))
    (directory / f"{3:020d}.open").write_bytes(damaged)
    noted = Noted()
    (found,) = recover(directory, noted)
    assert (type(found), found.offset) == (CorruptRecord, start)
    (segment,) = closed_segments(directory)
    assert segment.path.read_bytes() == damaged
    assert noted.uncounted_bytes > 0


def test_a_protobuf_reader_reads_a_segment(tmp_path: Path) -> None:
    """The trailer is an unknown field: the official classes parse the message and see the spans."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="chat")
    record = encode_record(request.SerializeToString(), 5, 1, bytes(16))
    parsed = ExportTraceServiceRequest.FromString(record[1:])
    assert parsed.resource_spans[0].scope_spans[0].spans[0].name == "chat"


def test_closed_segments_come_in_sequence_order(tmp_path: Path) -> None:
    """Only closed segments are listed, oldest first, also from a directory yet to be made."""
    for name in ("11.journal", "2.journal", "12.open", "3.journal.partial"):
        (tmp_path / name).touch()
    assert [segment.sequence for segment in closed_segments(tmp_path)] == [2, 11]
    assert closed_segments(tmp_path / "missing") == []


def test_a_retired_segment_leaves_its_digests(tmp_path: Path) -> None:
    """Retiring deletes the segment and keeps 16 bytes per batch; doing it twice is harmless."""
    segment = Segment(4, tmp_path / f"{4:020d}.journal")
    segment.path.write_bytes(records_of([b"a"])[0])
    for _ in range(2):
        retire(segment, [digest_of(b"a")])
        assert not segment.path.exists()
        assert (tmp_path / "digests" / f"{4:020d}").read_bytes() == digest_of(b"a")


def test_a_quarantined_segment_keeps_its_bytes_and_reason(tmp_path: Path) -> None:
    """A segment that cannot be decoded moves aside whole, with the reason beside it."""
    segment = Segment(4, tmp_path / f"{4:020d}.journal")
    segment.path.write_bytes(b"what is this")
    target = quarantine(segment, "not OTLP")
    assert closed_segments(tmp_path) == []
    assert target.read_bytes() == b"what is this"
    assert target.with_suffix(".reason").read_text() == "not OTLP"


def test_sequences_never_repeat(tmp_path: Path) -> None:
    """The next sequence is above every segment, digest file and quarantined segment, and more.

    That is: above what it is told of, and no less than the clock, in case the directory forgot.
    """
    assert next_sequence(tmp_path, lambda: 1_700_000_000.0) == 1_700_000_000_000
    (tmp_path / f"{5:020d}.journal").touch()
    assert next_sequence(tmp_path, lambda: 0.0) == 6
    retire(Segment(8, tmp_path / f"{8:020d}.journal"), [])
    assert next_sequence(tmp_path, lambda: 0.0) == 9
    (tmp_path / f"{11:020d}.journal").touch()
    quarantine(Segment(11, tmp_path / f"{11:020d}.journal"), "why")
    assert next_sequence(tmp_path, lambda: 0.0) == 12
    assert next_sequence(tmp_path, lambda: 0.0, above=20) == 21
    assert next_sequence(tmp_path, lambda: 1_700_000_000.0, above=20) == 1_700_000_000_000


def test_digests_are_remembered_from_segments_and_digest_files(tmp_path: Path) -> None:
    """Both count, older ones than asked for do not, and the oldest comes first."""
    for sequence, body, accepted in ((0, b"old", 5), (2, b"b", 200)):
        (tmp_path / f"{sequence:020d}.journal").write_bytes(
            encode_record(body, accepted * 10**9, 1, digest_of(body))
        )
    retire(Segment(1, tmp_path / "1.journal"), [digest_of(b"a")])
    os.utime(tmp_path / "digests" / f"{1:020d}", (100, 100))
    remembered = load_digests(tmp_path, since=50.0)
    assert list(remembered.items()) == [(digest_of(b"a"), 100.0), (digest_of(b"b"), 200.0)]


def test_damaged_segments_do_not_keep_the_receiver_from_starting(tmp_path: Path) -> None:
    """Digests are taken from what can be read of them; an empty or cut segment is no obstacle."""
    first, second = (
        encode_record(body, 9_000_000_000, 1, digest_of(body)) for body in (b"a", b"b")
    )
    (tmp_path / f"{1:020d}.journal").touch()
    (tmp_path / f"{2:020d}.journal").write_bytes(first + second[:-5])
    assert load_digests(tmp_path, since=0.0) == {digest_of(b"a"): 9.0}


def test_digests_behind_a_damaged_length_are_remembered(tmp_path: Path) -> None:
    """Those records are stored: sent again, they must be known."""
    records = records_of([b"a", b"b", b"c"])
    damaged = bytearray(b"".join(records))
    damaged[len(records[0])] ^= 0x40
    (tmp_path / f"{1:020d}.journal").write_bytes(damaged)
    assert list(load_digests(tmp_path, since=-1.0)) == [
        digest_of(each) for each in (b"a", b"b", b"c")
    ]


def test_pruning_keeps_the_newest_digest_file(tmp_path: Path) -> None:
    """Old digest files go; the newest stays as the memory of the last sequence."""
    for sequence in (1, 2, 3):
        retire(Segment(sequence, tmp_path / f"{sequence}.journal"), [])
        os.utime(tmp_path / "digests" / f"{sequence:020d}", (sequence, sequence))
    prune_digests(tmp_path, before=10.0)
    assert [path.name for path in (tmp_path / "digests").iterdir()] == [f"{3:020d}"]


def test_a_digest_file_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    """The writer gives it its name when it is whole; the other one may be gone by then."""
    retire(Segment(1, tmp_path / "1.journal"), [b"a" * 16])
    (tmp_path / "digests" / f"{2:020d}.partial").symlink_to("gone")
    assert list(load_digests(tmp_path, since=0.0)) == [b"a" * 16]
    prune_digests(tmp_path, before=0.0)
    assert next_sequence(tmp_path, lambda: 0.0) == 3  # its sequence is taken all the same
