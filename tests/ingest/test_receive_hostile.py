"""Whatever bytes come over a real socket: an answer that OTLP knows, never a fault of ours."""

import copy
import gzip
import http.client
import json
import random
import select
import socket
import zlib
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import zstandard
from google.protobuf import json_format
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from ingest import ReceiverSettings
from ingest.receive.signals import SIGNALS, Signal
from tests.ingest.batches import spans
from tests.ingest.running import RunningReceiver
from tests.ingest.test_accepted_is_writable import FIXTURES, damaged

LIMIT = 1024 * 1024
PATHS = ("/v1/traces", "/v1/logs")
PROTOBUF, JSON = "application/x-protobuf", "application/json"
COMPRESS = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
DOCUMENTS: tuple[dict[str, Any], ...] = (
    {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"scope": {"name": "s", "version": "1"}, "spans": [{
            "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
            "parentSpanId": "eee19b7ec3c1b173", "name": "chat", "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1700000001000000000,
            "attributes": [
                {"key": "n", "value": {"intValue": "1"}},
                {"key": "d", "value": {"doubleValue": 1.5}},
                {"key": "b", "value": {"bytesValue": "aGk="}},
                {"key": "a", "value": {"arrayValue": {"values": [{"boolValue": True}]}}},
            ],
            "events": [{"timeUnixNano": "1700000000000000001", "name": "e", "attributes": []}],
            "links": [{"traceId": "5b8efff798038103d269b633813fc60c",
                       "spanId": "eee19b7ec3c1b174"}],
            "status": {"code": 2, "message": "m"},
        }]}],
    }]},
    {"resourceLogs": [{"scopeLogs": [{"logRecords": [{
        "timeUnixNano": "1700000000000000000", "severityNumber": 9, "severityText": "INFO",
        "body": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}},
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
    }]}]}]},
)  # fmt: skip


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    """One receiver for all that is thrown at it, with a limit of 1 MiB."""
    data = tmp_path_factory.mktemp("hostile")
    running = RunningReceiver(
        ReceiverSettings(data, http_port=0, grpc_port=0, min_free_bytes=0, max_body_bytes=LIMIT)
    )
    try:
        yield running
        answer = post(running, spans().SerializeToString(), {"content-type": PROTOBUF})
        assert answer[0] == 200, "it does not take a sound batch any more"
    finally:
        running.stop()


def exchange(
    receiver: RunningReceiver, request: bytes, *, whole: bool
) -> tuple[int, str, bytes] | None:
    """Send bytes; status, content type and body of the answer, None if it just hung up.

    After a request that is not `whole` the sender goes, or both would wait for each other.
    """
    host, _, port = receiver.http.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            connection.sendall(request)
            if not whole and not select.select([connection], [], [], 0.02)[0]:
                connection.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, response.headers.get_content_type(), response.read()
        except (ConnectionError, http.client.BadStatusLine):
            return None


def post(
    receiver: RunningReceiver, body: bytes, headers: dict[str, str], path: str = PATHS[0]
) -> tuple[int, str, bytes]:
    """A request that is HTTP, whatever its body is."""
    lines = [
        f"POST {path} HTTP/1.1",
        "connection: close",
        *(f"{k}: {v}" for k, v in headers.items()),
    ]
    if "transfer-encoding" not in headers:
        lines.append(f"content-length: {len(body)}")
    answer = exchange(
        receiver, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, whole=True
    )
    assert answer is not None, "no answer to a whole request"
    return answer


def check(answer: tuple[int, str, bytes], content_type: str) -> None:
    """Success, or an error that the sender can read and shall not retry."""
    status, answered, body = answer
    assert status in {200, 400, 413, 415}, body
    assert answered == content_type
    if status != 200:
        parsed = (
            json_format.Parse(body, Status()) if content_type == JSON else Status.FromString(body)
        )
        assert parsed.message
        assert parsed.code


def chunked(body: bytes, size: int) -> bytes:
    """The body in chunks of `size`."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


anything_in_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(
        [2**63, -(2**63) - 1, 2**64, 1e308, -0.5, "NaN", "-Infinity", "1e3", " 1", ""]
    )
    | st.floats()
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=10) | st.just("stringValue"), inner, max_size=3)
    ),
    max_leaves=8,
)


def places(node: object) -> Iterator[tuple[Any, Any]]:
    """Every place in a document at which something stands."""
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key
        if isinstance(child, dict | list):
            yield from places(child)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A sound request in JSON with something else in one or two places."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 2))):
        parent, key = draw(st.sampled_from(list(places(document))))
        parent[key] = draw(anything_in_json)
    return json.dumps(document).encode()


damaged_protobuf = st.builds(
    lambda path, seed: damaged(path.read_bytes(), random.Random(seed)),
    st.sampled_from(FIXTURES),
    st.integers(0, 2**32),
)
bodies = st.tuples(st.just(PROTOBUF), damaged_protobuf | st.binary(max_size=200)) | st.tuples(
    st.just(JSON), documents() | st.binary(max_size=200) | st.text(max_size=50).map(str.encode)
)


@given(bodies, st.sampled_from(list(COMPRESS)), st.sampled_from(PATHS), st.integers(1, 300))
def test_any_body(
    receiver: RunningReceiver, body: tuple[str, bytes], encoding: str, path: str, chunk: int
) -> None:
    """Damaged protobuf, JSON with anything anywhere, noise; whole or in chunks."""
    content_type, plain = body
    headers = {"content-type": content_type, "content-encoding": encoding}
    sent = COMPRESS[encoding](plain)
    if chunk % 2:
        sent, headers = chunked(sent, chunk), headers | {"transfer-encoding": "chunked"}
    check(post(receiver, sent, headers, path), content_type)


@given(
    bodies,
    st.sampled_from(list(COMPRESS)),
    st.sampled_from(["gzip", "deflate", "zstd", "br", "GZIP", "gzip, gzip", "\xff"]),
    st.integers(0, 2**32),
    st.integers(0, 3),
)
def test_compression_that_lies(
    receiver: RunningReceiver,
    body: tuple[str, bytes],
    real: str,
    said: str,
    seed: int,
    repeats: int,
) -> None:
    """A damaged stream, one in another format than it says, several in a row."""
    content_type, plain = body
    sent = COMPRESS[real](plain) * repeats
    sent = damaged(sent, random.Random(seed)) if len(sent) > 30 and seed % 2 else sent
    headers = {"content-type": content_type, "content-encoding": said}
    check(post(receiver, sent, headers), content_type)


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("size", [LIMIT + 1, 64 * LIMIT])
def test_a_bomb(receiver: RunningReceiver, content_type: str, encoding: str, size: int) -> None:
    """A small body that expands over the limit is too large, however large it would become."""
    headers = {"content-type": content_type, "content-encoding": encoding}
    answer = post(receiver, COMPRESS[encoding](bytes(size)), headers)
    check(answer, content_type)
    assert answer[0] == 413


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_noise_instead_of_http(receiver: RunningReceiver, noise: bytes) -> None:
    """What is not HTTP is hung up on or told so, no worse."""
    answer = exchange(receiver, noise, whole=False)
    assert answer is None or 400 <= answer[0] < 500


@given(
    st.sampled_from(["POST", "GET", "PUT", "OPTIONS", "TRACE", "X"]),
    st.sampled_from([*PATHS, "/", "*", "/v1/traces/", "/v1/%2e%2e/traces", "/\xff", "http://x/v1/logs"]),
    st.dictionaries(
        st.sampled_from(
            ["content-length", "transfer-encoding", "content-type", "content-encoding", "expect",
             "connection", "upgrade", "x"]
        ),
        st.sampled_from(
            ["0", "5", "-1", "99999999999999999999", "1,1", "chunked", "gzip, chunked", "close",
             "100-continue", "websocket", "h2c", PROTOBUF, JSON, f"{JSON}; charset=utf-16", "\xe9",
             "a" * 5000, ""]
        ),
    ),
    st.sampled_from([b"", b"{}", b"0\r\n\r\n", b"5\r\nhello", b"-1\r\n", b"f" * 18 + b"\r\n"]),
)  # fmt: skip
def test_any_frame(
    receiver: RunningReceiver, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    """Methods, paths, lengths, chunks and headers that make no sense are the sender's fault."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    answer = exchange(
        receiver, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, whole=False
    )
    assert answer is None or answer[0] < 500 or answer[0] == 501, answer


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate, chunked"])
def test_a_transfer_coding_that_is_not_understood(receiver: RunningReceiver, coding: str) -> None:
    """Only chunked is undone here; a body in another coding is not taken for what it says."""
    headers = {"content-type": JSON, "transfer-encoding": coding}
    status, _, body = post(receiver, chunked(b"{}", 10), headers)
    assert status == 501
    assert repr(coding) in json_format.Parse(body, Status()).message


@given(damaged_protobuf | st.binary(max_size=200), st.sampled_from(SIGNALS))
def test_any_body_over_grpc(receiver: RunningReceiver, body: bytes, signal: Signal) -> None:
    """Over gRPC too it is taken or INVALID_ARGUMENT, with the status in the details."""
    with grpc.insecure_channel(receiver.grpc) as channel:
        export = channel.unary_unary(f"/{signal.service}/Export")
        try:
            signal.response.FromString(export(body, timeout=30))
        except grpc.RpcError as error:
            refusal = error
        else:
            return
    assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = dict(refusal.trailing_metadata())["grpc-status-details-bin"]
    assert Status.FromString(details).message == refusal.details()
