"""No bytes, however wrong, do more than get their request refused."""

import gzip
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress

import orjson
import pytest
import zstandard
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from ingest.receive.compression import decompress
from ingest.receive.decode import Format, decode_batch
from ingest.receive.refusal import Kind, Refusal
from ingest.receive.signals import LOGS, METRICS, SIGNALS, TRACES, Signal
from tests.ingest.batches import logs, metrics, spans
from tests.ingest.values import START

LIMIT = 1_000_000
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}
BATCHES: dict[Signal, Callable[[int], Message]] = {TRACES: spans, LOGS: logs, METRICS: metrics}
encodings = st.sampled_from(sorted(COMPRESS))


def outcome(body: bytes, signal: Signal, form: Format) -> Kind | None:
    """The kind of refusal, or None when the request can be journalled."""
    try:
        batch = decode_batch(body, signal, form, "", limit=LIMIT, received_unix_nano=time.time_ns())
    except Refusal as refusal:
        return refusal.kind
    signal.request.FromString(batch.request)
    return None


@given(st.binary(max_size=5000), encodings)
def test_compression_round_trip(body: bytes, encoding: str) -> None:
    """What was compressed comes back."""
    assert decompress(COMPRESS[encoding](body), encoding, LIMIT) == body


@given(st.lists(st.binary(max_size=500), min_size=2, max_size=4), st.sampled_from(["gzip", "zstd"]))
def test_several_members_are_one_body(bodies: list[bytes], encoding: str) -> None:
    """gzip members and zstd frames may follow one another."""
    compressed = b"".join(COMPRESS[encoding](body) for body in bodies)
    assert decompress(compressed, encoding, LIMIT) == b"".join(bodies)


@given(st.binary(min_size=1, max_size=5000), encodings, st.data())
def test_a_cut_body_is_malformed(body: bytes, encoding: str, data: st.DataObject) -> None:
    """A compressed body that ends early is never taken for the whole."""
    compressed = COMPRESS[encoding](body)
    cut = data.draw(st.integers(1, len(compressed) - 1))
    with pytest.raises(Refusal, match=f"not valid {encoding}") as caught:
        decompress(compressed[:cut], encoding, LIMIT)
    assert caught.value.kind is Kind.MALFORMED


@given(st.binary(max_size=2000), encodings)
def test_junk_is_malformed_or_harmless(body: bytes, encoding: str) -> None:
    """Arbitrary bytes in a declared encoding never raise anything but a refusal."""
    with suppress(Refusal):
        decompress(body, encoding, LIMIT)


@pytest.mark.parametrize("encoding", sorted(COMPRESS))
def test_a_bomb_costs_little_memory(encoding: str) -> None:
    """300 MB of zeros are given up soon after the limit."""
    if encoding == "zstd":
        compressor = zstandard.ZstdCompressor(level=19).compressobj()
    else:
        compressor = zlib.compressobj(9, wbits=31 if encoding == "gzip" else 15)
    zeros = bytes(1_000_000)
    bomb = b"".join(compressor.compress(zeros) for _ in range(300)) + compressor.flush()
    assert len(bomb) < 400_000
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as caught:
            decompress(bomb, encoding, LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.kind is Kind.TOO_LARGE
    assert peak < 80_000_000


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_chain_of_empty_members_is_malformed(encoding: str) -> None:
    """A body of countless empty members would keep a core busy for nothing."""
    with pytest.raises(Refusal, match="more than 1000 members"):
        decompress(COMPRESS[encoding](b"") * 1001, encoding, LIMIT)


@given(st.binary(max_size=300), st.sampled_from(SIGNALS))
def test_any_bytes_are_accepted_or_malformed(body: bytes, signal: Signal) -> None:
    """Junk is malformed protobuf, or happens to be a request."""
    assert outcome(body, signal, Format.PROTOBUF) in {None, Kind.MALFORMED}


@given(st.integers(0, 2**32), st.sampled_from(SIGNALS))
def test_a_damaged_request_is_accepted_or_malformed(seed: int, signal: Signal) -> None:
    """Change any few bytes of a real request: it is malformed, refused in part, or still sound."""
    rng = random.Random(seed)
    body = bytearray(BATCHES[signal](3).SerializeToString())
    for _ in range(rng.randint(1, 4)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    assert outcome(bytes(body), signal, Format.PROTOBUF) in {None, Kind.MALFORMED}


NAMES = """
    resourceSpans scopeSpans spans resourceLogs scopeLogs logRecords traceId spanId links attributes
    key value stringValue intValue arrayValue values kvlistValue body kind startTimeUnixNano
    endTimeUnixNano status code x resourceMetrics scopeMetrics metrics name gauge sum histogram
    exponentialHistogram summary dataPoints exemplars timeUnixNano asInt asDouble bucketCounts
    explicitBounds positive offset quantileValues flags
"""
names = st.sampled_from(NAMES.split())
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70).filter(lambda n: -(2**63) <= n < 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "zz", "ab", "5b8efff798038103d269b633813fc60c", "1", "SPAN_KIND_SERVER"])
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=25,
)


def test_null_in_json_is_no_value() -> None:
    """As protobuf's JSON has it: a root may say that its parent is null."""
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "parentSpanId": None, "name": "chat", "startTimeUnixNano": START, "endTimeUnixNano": START,
        "status": None, "events": None, "links": [],
    }  # fmt: skip
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    batch = decode_batch(body, TRACES, Format.JSON, "", limit=LIMIT, received_unix_nano=START)
    [sent] = TRACES.request.FromString(batch.request).resource_spans[0].scope_spans[0].spans
    assert (sent.span_id.hex(), sent.parent_span_id) == ("eee19b7ec3c1b174", b"")


@given(documents, st.sampled_from(SIGNALS))
def test_any_json_is_accepted_or_malformed(document: object, signal: Signal) -> None:
    """JSON of any shape under OTLP's own names never is a fault of ours."""
    assert outcome(orjson.dumps(document), signal, Format.JSON) in {None, Kind.MALFORMED}


@given(documents)
def test_any_span_in_json_is_accepted_or_malformed(document: object) -> None:
    """The same inside a span."""
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [document]}]}]}
    assert outcome(orjson.dumps(body), TRACES, Format.JSON) in {None, Kind.MALFORMED}


@given(documents, st.sampled_from(["gauge", "histogram", "exponentialHistogram", "summary"]))
def test_any_data_point_in_json_is_accepted_or_malformed(document: object, kind: str) -> None:
    """The same inside a metric."""
    metric = {"name": "m", kind: {"dataPoints": [document]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    assert outcome(orjson.dumps(body), METRICS, Format.JSON) in {None, Kind.MALFORMED}


@pytest.mark.parametrize("depth", [50, 400, 5000])
def test_deep_nesting_is_refused_not_followed(depth: int) -> None:
    """A tower of arrays is malformed in both encodings, and nothing overflows."""
    value = '{"arrayValue":{"values":[' * depth + '{"intValue":1}' + "]}}" * depth
    attribute = f'{{"key":"k","value":{value}}}'
    span = f'{{"traceId":"{"ab" * 16}","spanId":"{"ab" * 8}","attributes":[{attribute}]}}'
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}'
    assert outcome(body.encode(), TRACES, Format.JSON) is Kind.MALFORMED
