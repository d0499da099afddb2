"""Bodies that are small as bytes and huge as messages are refused before they are parsed."""

import random
import time

import pytest

from ingest.receive.crumbs import MAX_CRUMBS, MAX_JSON_OBJECTS, MAX_JSON_VALUES
from ingest.receive.decode import Format, decode_batch
from ingest.receive.refusal import Kind, Refusal
from ingest.receive.signals import TRACES
from tests.ingest.batches import spans

LIMIT = 64 * 1024 * 1024


def length(value: int) -> bytes:
    """A varint."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def message(tag: bytes, content: bytes) -> bytes:
    return tag + length(len(content)) + content


def in_a_scope(spans_of_it: bytes) -> bytes:
    return message(b"\x0a", message(b"\x12", spans_of_it))


def objects(start: bytes, item: bytes, count: int, end: bytes) -> bytes:
    return start + b",".join([item] * count) + end


@pytest.mark.parametrize(
    ("body", "form"),
    [
        pytest.param(in_a_scope(b"\x12\x00" * (MAX_CRUMBS + 1)), Format.PROTOBUF, id="spans"),
        pytest.param(
            in_a_scope(message(b"\x12", b"\x4a\x00" * (MAX_CRUMBS + 1))),
            Format.PROTOBUF,
            id="attributes",
        ),
        pytest.param(
            in_a_scope(b"\x12\x80\x80\x80\x00" * (MAX_CRUMBS + 1)),
            Format.PROTOBUF,
            id="lengths that are longer than they need be",
        ),
        pytest.param(
            objects(b'{"resourceSpans":[', b"{}", MAX_JSON_OBJECTS + 1, b"]}"),
            Format.JSON,
            id="JSON objects",
        ),
        pytest.param(
            objects(b'{"x":[', b'"a"', MAX_JSON_VALUES + 2, b"]}"), Format.JSON, id="JSON values"
        ),
    ],
)
def test_a_body_of_crumbs_is_too_large(body: bytes, form: Format) -> None:
    """It is within the limit of bytes, but would take gigabytes: 413."""
    assert len(body) < LIMIT
    with pytest.raises(Refusal) as refused:
        decode_batch(body, TRACES, form, "", limit=LIMIT, received_unix_nano=time.time_ns())
    assert refused.value.kind is Kind.TOO_LARGE
    assert "smaller batches" in refused.value.message


def test_a_large_honest_body_is_taken() -> None:
    """Real spans up to the limit are not mistaken for crumbs, whatever their ids are."""
    random.seed(0)
    one = spans(5000)
    for span in one.resource_spans[0].scope_spans[0].spans:
        for number in range(6):
            attribute = span.attributes.add(key=f"gen_ai.usage.{number}")
            attribute.value.int_value = random.randrange(3000)
    body = one.SerializeToString()
    body *= (LIMIT - 1) // len(body)
    batch = decode_batch(
        body, TRACES, Format.PROTOBUF, "", limit=LIMIT, received_unix_nano=time.time_ns()
    )
    assert batch.verdict.refused == 0
