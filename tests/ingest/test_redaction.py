"""What `quietpager import` takes out of lines, before they are sent as the collector sends them."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from ingest.backfill.frames import Frame, split_lines
from ingest.backfill.pieces import LogLines
from ingest.backfill.recognise import FileFormat, recognise
from ingest.backfill.redaction import masked, redacted
from ingest.backfill.structlog_lines import Clock
from ingest.limits import MAX_NAME, short
from ingest.privacy.expressions import Expression
from ingest.privacy.table import CONTENT_DROPPED, content_table
from tests.ingest.content import CANARY
from tests.ingest.values import RECEIVED

MARK = b"\xef\xbb\xbf"
UNBROKEN = 1_000_000
"""Characters of a text that takes a second by its length, and days by the square of it."""


def record_of(line: bytes | dict[str, Any], *keep: str) -> LogRecord:
    """The log record that a line becomes."""
    raw = line if isinstance(line, bytes) else json.dumps(line).encode()
    [frame] = split_lines(_stream(raw + b"\n"), 0, 0, longest=1 << 20)
    [piece] = LogLines(None, Clock(RECEIVED), keep)(frame)
    request = ExportLogsServiceRequest.FromString(piece.content)
    return request.resource_logs[0].scope_logs[0].log_records[0]


def _stream(raw: bytes) -> Any:
    return io.BytesIO(raw)


def test_a_byte_order_mark_hides_no_content() -> None:
    """Editors put one before the first line of a file; it is a line like others."""
    line = MARK + json.dumps({"event": "e", "level": "info", "prompt": CANARY}).encode()
    record = record_of(line)
    assert record.body.string_value == "e"
    assert CANARY not in str(record)
    assert recognise(line + b"\n") is FileFormat.structlog
    assert [f.raw for f in split_lines(_stream(line), 0, 0, longest=1 << 20)] == [line]


@pytest.mark.parametrize(
    "text", ["a", "-eyJaaaaaaaaa", "a.", "@a.", "1-", "sk-", "api_key", "%"], ids=repr
)
def test_a_long_line_is_looked_at_once(text: str) -> None:
    """Whatever it is full of, in a text and in a name; by the square of it this would not end."""
    full = text * (UNBROKEN // len(text))
    assert redacted({full: full}).keys() == {full}


@given(st.text(st.sampled_from("ab1@.-_: =/eyJsk\n\"'\\4"), max_size=300), st.integers(0, 300))
def test_long_texts_and_short_ones_are_masked_alike(text: str, padding: int) -> None:
    """Python's expressions and RE2's find the same."""
    for pattern in content_table().masked.values():
        long = Expression(pattern).replaced(text + "\n" + " " * 300, "****")
        python = Expression(pattern)._python.sub("****", text + "\n" + " " * 300)
        assert long == python


def test_half_a_surrogate_pair_in_a_long_text() -> None:
    """JSON can spell it; it is stored as the collector stores it."""
    record = record_of(b'{"event":"e","note":"' + b"\\ud83d" + b"x" * 300 + b'"}')
    assert {a.key: a.value.string_value for a in record.attributes}["note"] == "\ufffd" + "x" * 300


@pytest.mark.parametrize("length", [MAX_NAME + 1, 3000])
def test_content_is_kept_for_a_tenant_whose_name_is_cut(length: int) -> None:
    """By the name that is sent and by the one that is stored."""
    name = "t" * length
    line = {"event": "e", "tenant_id": name, "prompt": CANARY}
    for configured in (name, short(name)):
        assert CANARY in str(record_of(line, configured))
    assert CANARY not in str(record_of(line, "t" * (length - 1)))


@pytest.mark.parametrize("body", ["what was said", None])
def test_the_body_of_a_content_event_is_dropped(body: str | None) -> None:
    """As the collector does, so that the record is the same."""
    line = {"event": body, "event.name": "gen_ai.choice", "tenant_id": "acme", "level": "info"}
    assert record_of(line).body.string_value == CONTENT_DROPPED
    assert record_of(line, "acme").body.string_value == (body or "")


def test_a_card_goes_without_its_surroundings() -> None:
    """The space behind it is not part of it."""
    assert masked("card 4111 1111 1111 1111 today") == "card **** today"
    assert masked("card 4111-1111-1111-1111, ok") == "card ****, ok"


def test_frames_stay_the_bytes_of_the_file() -> None:
    """Without the mark in the body, with it in what is remembered as read."""
    [frame] = split_lines(_stream(MARK + b" x\n"), 0, 0, longest=100)
    assert frame == Frame("line 1", MARK + b" x\n", b" x", 0)
