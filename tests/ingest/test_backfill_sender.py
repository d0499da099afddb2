"""How an import speaks to the receiver: patient, exact about faults, sure whom it meets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from ingest import NoReceiver, Sender
from ingest.backfill.pieces import Piece
from ingest.identity import DATA_HEADER, identity_of
from ingest.receive.decode import Format
from tests.ingest.batches import journalled_spans, spans
from tests.ingest.running import RunningReceiver

PROTOBUF = {"content-type": "application/x-protobuf"}


def piece(content: bytes, place: str, records: int = 1) -> Piece:
    """A piece of a trace request."""
    return Piece("traces", Format.PROTOBUF, content, len(content), records, place)


def quiet(_: str) -> None:
    """Nobody listens to why it waits."""


def test_only_the_piece_at_fault_is_refused(receiver: RunningReceiver) -> None:
    """One unreadable message among good ones costs only itself, and its place is told."""
    pieces = [piece(spans(2).SerializeToString(), f"byte {n}", 2) for n in range(9)]
    pieces[4] = piece(b"\x0a\x05ab", "byte 4", 7)
    with Sender(receiver.http, receiver.data, quiet) as sender:
        (refused,) = sender.send(pieces)
    assert (refused.records, refused.place) == (7, "byte 4")
    assert "not a valid ExportTraceServiceRequest" in refused.why
    kept = journalled_spans(receiver.data)
    assert sum(len(r.resource_spans) for r in kept) == 8


def test_refused_spans_are_counted_as_the_receiver_says(receiver: RunningReceiver) -> None:
    """Of a request that is taken in part the refused number, the range and the reason are told."""
    bad = spans(1)
    bad.resource_spans[0].scope_spans[0].spans[0].span_id = b""
    pieces = [piece(spans(1).SerializeToString(), "line 3"),
              piece(bad.SerializeToString(), "line 4")]  # fmt: skip
    with Sender(receiver.http, receiver.data, quiet) as sender:
        (refused,) = sender.send(pieces)
    assert (refused.records, refused.place) == (1, "line 3 to 4")
    assert "1 of 2 spans refused" in refused.why


def test_a_receiver_that_stays_full_ends_the_import(
    start_receiver: Callable[..., RunningReceiver],
) -> None:
    """Out of patience the import ends with the receiver's reason, and heard of it meanwhile."""
    receiver = start_receiver(journal_budget_bytes=0)
    heard: list[str] = []
    with (
        Sender(receiver.http, receiver.data, heard.append, patience_seconds=2) as sender,
        pytest.raises(NoReceiver, match="the writer is behind"),
    ):
        sender.send([piece(spans(1).SerializeToString(), "byte 0")])
    assert heard
    assert "the writer is behind" in heard[0]


@contextmanager
def answering(*statuses: int, data: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A server with these answers, one after another; yields its URL and the bodies it got."""
    left, got = list(statuses), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status := left.pop(0))
            if status == 503:
                self.send_header("retry-after", "0")
            self.send_header(DATA_HEADER, identity_of(data))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


def test_it_comes_back_when_asked_to(tmp_path: Path) -> None:
    """503 is followed by the same bytes again, after the time that the receiver asked for."""
    with (
        answering(503, 503, 200, data=tmp_path) as (url, got),
        Sender(url, tmp_path, quiet) as sender,
    ):
        assert sender.send([piece(b"\x0a\x00", "byte 0")]) == []
    assert got == [b"\x0a\x00"] * 3


def test_an_answer_that_is_not_about_the_request_ends_the_import(tmp_path: Path) -> None:
    """A proxy's 403 would refuse every batch: nothing is given up for it."""
    with (
        answering(403, data=tmp_path) as (url, _),
        Sender(url, tmp_path, quiet) as sender,
        pytest.raises(NoReceiver, match="403 Forbidden"),
    ):
        sender.send([piece(b"\x0a\x00", "byte 0"), piece(b"\x0a\x00", "byte 2")])


def test_a_request_that_names_a_data_directory(receiver: RunningReceiver, tmp_path: Path) -> None:
    """A receiver confirms the name of its own directory, and stores nothing meant for another."""
    url, body = f"{receiver.http}/v1/traces", spans(1).SerializeToString()
    own = {DATA_HEADER: identity_of(receiver.data)}
    other = {DATA_HEADER: identity_of(tmp_path)}

    misdirected = httpx.post(url, content=body, headers=PROTOBUF | other)
    assert misdirected.status_code == 421
    assert journalled_spans(receiver.data) == []

    confirmed = httpx.post(url, content=body, headers=PROTOBUF | own)
    assert (confirmed.status_code, confirmed.headers[DATA_HEADER]) == (200, own[DATA_HEADER])
    assert len(journalled_spans(receiver.data)) == 1

    assert DATA_HEADER not in httpx.post(url, content=body, headers=PROTOBUF).headers
