"""What a file of telemetry is recognised as, and how it is cut; whatever the file holds."""

import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from ingest.backfill.content import Content, Damage
from ingest.backfill.frames import Frame, delimited, lines, prefixed, resources, split_lines
from ingest.backfill.pieces import JsonLines, LogLines, OtlpMessages, Piece, Unusable, body_of
from ingest.backfill.recognise import FileFormat, recognise, refuse_json_of_many_lines
from ingest.backfill.signals import REQUESTS, count, parse
from ingest.backfill.structlog_lines import Clock, request_of
from ingest.record import encode_record
from tests.ingest.batches import logs, spans

RECORDED = [
    path
    for path in sorted((Path(__file__).parent.parent / "fixtures" / "otlp").glob("*.pb"))
    if path.stat().st_size  # one library sent nothing
]
ZSTD = zstandard.ZstdCompressor()
NOW = 1_795_000_000_000_000_000


def varint(value: int) -> bytes:
    """As protobuf writes a length."""
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def with_prefix(messages: list[bytes]) -> bytes:
    """As the file exporter writes what is not lines (fileexporter's file_writer.go)."""
    return b"".join(len(m).to_bytes(4, "big") + m for m in messages)


def with_varint(messages: list[bytes]) -> bytes:
    """As protobuf's own delimited streams are."""
    return b"".join(varint(len(m)) + m for m in messages)


def metrics() -> ExportMetricsServiceRequest:
    """A gauge of one point and a sum of two."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    scope.metrics.add(name="a gauge of sixte").gauge.data_points.add(as_int=1, time_unix_nano=NOW)
    total = scope.metrics.add(name="requests", unit="1").sum
    total.data_points.add(as_int=2, time_unix_nano=NOW)
    total.data_points.add(as_int=3, time_unix_nano=NOW)
    return request


READERS: dict[FileFormat, Callable[[io.BytesIO], Iterator[Frame]]] = {
    FileFormat.otlp_prefixed: lambda file: prefixed(file, 0),
    FileFormat.otlp_delimited: lambda file: delimited(file, 0),
    FileFormat.otlp_proto: lambda file: resources(file, 0),
    FileFormat.otlp_json: lambda file: lines(file, 0, longest=1000),
    FileFormat.structlog: lambda file: split_lines(file, 0, 0, longest=1000),
}
CUTTERS: dict[FileFormat, Callable[[Frame], list[Piece]]] = {
    FileFormat.otlp_prefixed: OtlpMessages(None),
    FileFormat.otlp_delimited: OtlpMessages(None),
    FileFormat.otlp_proto: OtlpMessages(None),
    FileFormat.otlp_json: JsonLines(None),
    FileFormat.structlog: LogLines(Path("/a.jsonl"), Clock(NOW)),
}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_signal_of_a_recording_is_found_out(path: Path) -> None:
    """Each recorded request is of the signal it was sent as, and is one whole OTLP message."""
    found = parse(path.read_bytes())
    assert found is not None
    assert found[0] == ("logs" if path.name.startswith("logs") else "traces")
    assert recognise(path.read_bytes()) is FileFormat.otlp_proto


@pytest.mark.parametrize(
    ("request_", "signal", "records"),
    [(spans(3), "traces", 3), (logs(2), "logs", 2), (metrics(), "metrics", 3)],
    ids=["traces", "logs", "metrics"],
)
@pytest.mark.parametrize("likely", [None, *REQUESTS])
def test_the_signal_does_not_depend_on_what_came_before(
    request_: ExportLogsServiceRequest, signal: str, records: int, likely: str | None
) -> None:
    """Spans, log records and metrics are told apart by their fields, and counted."""
    found = parse(request_.SerializeToString(), likely)
    assert found is not None
    assert (found[0], count(found[1], found[0])) == (signal, records)


def test_a_log_record_without_any_number_is_still_one() -> None:
    """A log record with a body and attributes only is taken for no other signal."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.string_value = "hello"
    record.attributes.add(key="k").value.string_value = "v"
    for likely in REQUESTS:
        found = parse(request.SerializeToString(), likely)
        assert found is not None
        assert found[0] == "logs"


MESSAGES = [spans(3).SerializeToString(), logs(2).SerializeToString()]


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (with_prefix(MESSAGES), FileFormat.otlp_prefixed),
        (with_prefix([ZSTD.compress(m) for m in MESSAGES]), FileFormat.otlp_prefixed),
        (with_prefix([b"", *MESSAGES]), FileFormat.otlp_prefixed),
        (with_varint(MESSAGES), FileFormat.otlp_delimited),
        (
            b"".join(encode_record(m, NOW, 1, bytes(16)) for m in MESSAGES),
            FileFormat.otlp_delimited,
        ),
        (MESSAGES[0], FileFormat.otlp_proto),
        (spans(10_000).SerializeToString(), FileFormat.otlp_proto),
        (with_varint([spans(10_000).SerializeToString()]), FileFormat.otlp_delimited),
        (with_prefix([spans(10_000).SerializeToString()]), FileFormat.otlp_prefixed),
        (b'{"resourceSpans":[]}\n', FileFormat.otlp_json),
        (b'\n{"resourceProfiles":[]}\n', FileFormat.otlp_json),
        (b'{"resourceSpans":[' + b" " * 2**20, FileFormat.otlp_json),
        (b'{"event":"x"}\n', FileFormat.structlog),
        (b'\xef\xbb\xbf{"event":"x"}\n', FileFormat.structlog),
        (b'\xef\xbb\xbf{"resourceLogs":[]}\n', FileFormat.otlp_json),
        (b'Traceback:\n  File "x"\n{"level":"info"}', FileFormat.structlog),
        (b'{"a":1}\n', None),
        (b"plain text\n", None),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), None),
        (b"", None),
        (bytes(1000), None),
    ],
)
def test_a_format_is_recognised_by_its_content(content: bytes, form: FileFormat | None) -> None:
    """The first bytes tell it, also of a journal segment or where the first message is longer."""
    assert recognise(content[: 2**20]) is form


@given(st.data())
def test_frames_put_together_are_the_file(data: st.DataObject) -> None:
    """No byte is passed over by any reader, whatever the bytes are, and damage is a Damage."""
    junk = st.binary(max_size=300)
    good = st.sampled_from([with_prefix(MESSAGES), with_varint(MESSAGES), b"".join(MESSAGES)])
    content = data.draw(st.one_of(junk, st.builds(lambda a, b: a + b, good, junk)))
    form = data.draw(st.sampled_from(list(READERS)))
    recognise(content)
    read, place = b"", ""
    try:
        for frame in READERS[form](io.BytesIO(content)):
            read += frame.raw
            if frame.body:
                try_to_cut(form, frame)
    except Damage as damage:
        place = damage.place
    assert content.startswith(read) and place.startswith("byte") if place else read == content


def try_to_cut(form: FileFormat, frame: Frame) -> None:
    """Whatever is in a frame, it becomes pieces or one of the two findings."""
    with suppress(Unusable, Damage):
        for piece in CUTTERS[form](frame):
            assert body_of([piece])


@given(st.integers(min_value=1), st.sampled_from(list(READERS)))
def test_a_torn_file_gives_all_before_the_tear(seed: int, form: FileFormat) -> None:
    """Cut anywhere, a file gives exactly the messages before the cut, and says where it ends."""
    random_ = random.Random(seed)
    batch = [spans(n).SerializeToString() for n in (1, 2, 3)]
    texts = [json.dumps({"resourceSpans": [{"n": n}], "event": "x"}).encode() for n in range(3)]
    parts = {
        FileFormat.otlp_prefixed: [with_prefix([m]) for m in batch],
        FileFormat.otlp_delimited: [with_varint([m]) for m in batch],
        FileFormat.otlp_proto: batch,
    }.get(form, [text + b"\n" for text in texts])
    content = b"".join(parts)
    cut = random_.randrange(1, len(content))
    whole, size = 0, 0
    while size + len(parts[whole]) <= cut:
        size += len(parts[whole])
        whole += 1
    bodies, damage = 0, ""
    try:
        for frame in READERS[form](io.BytesIO(content[:cut])):
            CUTTERS[form](frame)
            bodies += bool(frame.body)
    except Damage as found:
        damage = str(found)
    if form in {FileFormat.otlp_json, FileFormat.structlog}:
        whole += cut - size == len(parts[whole]) - 1  # only the newline is missing
        torn = cut != size and bodies == whole < 3 and cut - size < len(parts[whole]) - 1
    else:
        torn = cut != size
    assert bodies == whole
    assert bool(damage) == torn
    assert not damage or "the file ends inside" in damage


@given(st.binary(max_size=5000), st.integers(min_value=1, max_value=40), st.booleans())
def test_a_zstd_stream_is_read_up_to_where_it_is_cut(data: bytes, pieces: int, cut: bool) -> None:
    """Frame after frame decompresses to the content; a cut loses nothing before it and is told."""
    step = max(1, len(data) // pieces)
    frames = [ZSTD.compress(data[i : i + step]) for i in range(0, len(data), step)] or [
        ZSTD.compress(b"")
    ]
    compressed = b"".join(frames)
    content = Content.of(io.BytesIO(compressed[:-1] if cut else compressed))
    plain = content.stream.read()
    before_last = len(data) - len(data[(len(frames) - 1) * step :])
    assert data.startswith(plain) and len(plain) >= before_last if cut else plain == data
    assert bool(content.damage) == cut


@given(st.binary(max_size=2000))
def test_junk_behind_the_magic_of_zstd_is_damage(junk: bytes) -> None:
    """A file that only pretends to be zstd ends in a finding, not in an error."""
    content = Content.of(io.BytesIO(b"\x28\xb5\x2f\xfd" + junk))
    content.stream.read()
    assert content.damage or zstandard.decompress(b"\x28\xb5\x2f\xfd" + junk, 2**20) is not None


@pytest.mark.parametrize("kind", [0x50, 0x5F])
def test_a_zstd_stream_may_begin_with_a_frame_to_skip(kind: int) -> None:
    """As pzstd and seekable zstd write them, before the content and behind it."""
    skipped = bytes([kind]) + b"\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"size"
    content = Content.of(io.BytesIO(skipped + ZSTD.compress(b"the content") + skipped))
    assert (content.stream.read(), content.damage) == (b"the content", "")


def test_a_byte_order_mark_is_no_part_of_a_line() -> None:
    """It stands before the first, and before others where files were put together; it is not lost
    from what the frames are together."""
    line = b'\xef\xbb\xbf{"event":"x"}\n'
    for read in (
        lines(io.BytesIO(line + line), 0, longest=99),
        split_lines(io.BytesIO(line + line), 0, 0, longest=99),
    ):
        first, second = read
        assert first.raw + second.raw == line + line
        assert (first.body, second.body) == (b'{"event":"x"}', b'{"event":"x"}')


@pytest.mark.parametrize(
    ("content", "remedy"),
    [
        (b'[{"resourceSpans": []}]', r"one JSON array; .* jq -c '\.\[\]' FILE"),
        (b'\xef\xbb\xbf[\n  {\n    "event": "x"}]', "one JSON array"),
        (b"[]\n", "one JSON array"),
        (b'{\n  "resourceSpans": [\n', r"over several lines; .* jq -c '\.' FILE"),
    ],
)
def test_json_that_is_not_of_lines_is_refused_with_the_remedy(content: bytes, remedy: str) -> None:
    """It is no protobuf, however well its first bytes would do as a length."""
    with pytest.raises(Damage, match=remedy):
        refuse_json_of_many_lines(content)


@pytest.mark.parametrize("length", range(2, 100))
def test_protobuf_that_begins_as_json_does_is_not_refused(length: int) -> None:
    """A length may be the code of a bracket, and what follows the code of a line's end."""
    body = b"\x0a" + bytes([length - 2]) + bytes(length)
    refuse_json_of_many_lines(with_varint([body]) + with_varint([body]))


def test_gzip_is_refused_with_the_remedy() -> None:
    """gzip is not read; the message says how to import it nevertheless."""
    with pytest.raises(Damage, match="zcat FILE"):
        Content.of(io.BytesIO(b"\x1f\x8b\x08\x00"))


def test_a_line_or_message_over_the_limit_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long for the receiver is named, never held in memory, and the rest is read."""
    monkeypatch.setattr("ingest.backfill.frames.MAX_MESSAGE_BYTES", 100)
    monkeypatch.setattr("ingest.backfill.frames._CHUNK_BYTES", 64)
    content = with_prefix([b"a" * 300, b"b"])
    found = list(prefixed(io.BytesIO(content), 0))
    assert [frame.fault for frame in found if frame.fault] == [
        "a message of 300 bytes; the receiver takes 100"
    ]
    assert [frame.body for frame in found if frame.body] == [b"b"]
    assert b"".join(frame.raw for frame in found) == content
    assert max(len(frame.raw) for frame in found) <= 64
    long_lines = list(lines(io.BytesIO(b"x" * 300 + b"\nshort\n"), 0, longest=100))
    assert [(f.place, f.body) for f in long_lines if f.body] == [("line 2", b"short")]


@given(st.binary(max_size=400))
def test_any_line_of_a_log_becomes_a_record(line: bytes) -> None:
    """No line is lost for being odd: a record comes of it, with a time."""
    request = ExportLogsServiceRequest.FromString(request_of(line, None, 0, Clock(NOW)))
    (record,) = request.resource_logs[0].scope_logs[0].log_records
    assert record.time_unix_nano or record.observed_time_unix_nano


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(
    st.sampled_from(["event", "level", "timestamp", "trace_id", "span_id", "trace_flags",
                     "service.name", "prompt", "x"]), JSON))  # fmt: skip
def test_any_json_object_becomes_a_record(document: dict[str, object]) -> None:
    """Fields of unexpected types, lone surrogates and endless numbers are no reason to fail."""
    line = json.dumps(document).encode()
    request = ExportLogsServiceRequest.FromString(request_of(line, None, 0, Clock(NOW)))
    (record,) = request.resource_logs[0].scope_logs[0].log_records
    assert "prompt" not in {pair.key for pair in record.attributes}


def test_lines_without_a_time_follow_the_line_before() -> None:
    """Each line of a traceback is put a microsecond after the one before it, every time alike."""
    clock = Clock(NOW)
    lines_ = [b'{"event":"x","timestamp":"2026-11-24T10:00:00Z"}', b"Traceback", b"Traceback",
              b'{"event":"y","timestamp":"2026-11-24T10:00:01Z"}', b"ValueError"]  # fmt: skip
    times = []
    for line in lines_:
        request = ExportLogsServiceRequest.FromString(request_of(line, None, 0, clock))
        times.append(request.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano)
    ten = 1_795_514_400_000_000_000
    assert [time - ten for time in times] == [0, 1000, 2000, 10**9, 10**9 + 1000]


def test_protobuf_pieces_are_sent_as_one_message() -> None:
    """Messages put together are one request with the records of all."""
    cut = OtlpMessages(None)
    batch = [spans(2).SerializeToString(), spans(3).SerializeToString()]
    pieces = [piece for m in batch for piece in cut(Frame("byte 0", m, m))]
    found = parse(body_of(pieces))
    assert found is not None
    assert count(found[1], "traces") == 5 == sum(piece.records for piece in pieces)


def test_what_is_not_received_is_named() -> None:
    """Profiles, which no OTLP receiver here takes, are refused by their name."""
    frame = Frame("line 1", b"", b'{"resourceProfiles":[{"scopeProfiles":[]}]}')
    with pytest.raises(Unusable, match="resourceProfiles is not taken"):
        JsonLines(None)(frame)


def test_a_message_cannot_decompress_without_end() -> None:
    """A message that expands beyond the receiver's limit is refused, not unpacked."""
    bomb = ZSTD.compress(bytes(65 * 1024 * 1024))
    with pytest.raises(Unusable, match="decompresses to more than"):
        OtlpMessages(None)(Frame("byte 0", bomb, bomb))
