"""How the receiver slows its senders down while the writer is behind."""

from itertools import pairwise
from pathlib import Path

import grpc
import httpx
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from ingest.receive.pace import LONGEST_SECONDS, pause_seconds
from ingest.receive.settings import MIB
from tests.ingest.batches import spans
from tests.ingest.running import RunningReceiver

PROTOBUF = {"content-type": "application/x-protobuf"}
PAUSED = "quietpager_ingest_paused_seconds_total"


def paused_seconds(receiver: RunningReceiver) -> float:
    lines = httpx.get(f"{receiver.http}/metrics").text.splitlines()
    (value,) = [line.rpartition(" ")[2] for line in lines if line.startswith(PAUSED + " ")]
    return float(value)


def leave_waiting(receiver: RunningReceiver, size: int) -> Path:
    """A closed segment of `size` bytes that no writer takes."""
    segment = receiver.data / "journal" / "traces" / f"{1:020d}.journal"
    with segment.open("wb") as file:
        file.truncate(size)
    return segment


def post(receiver: RunningReceiver) -> int:
    body = spans().SerializeToString()
    return httpx.post(f"{receiver.http}/v1/traces", content=body, headers=PROTOBUF).status_code


@given(st.lists(st.integers(0, 2**40), min_size=2))
def test_the_wait_grows_with_the_backlog_to_its_bound(backlogs: list[int]) -> None:
    """More that waits never means a shorter pause, and no pause is longer than the longest."""
    pauses = [pause_seconds(backlog) for backlog in sorted(backlogs)]
    assert all(shorter <= longer for shorter, longer in pairwise(pauses))
    assert all(0 <= pause <= LONGEST_SECONDS for pause in pauses)


def test_nobody_waits_while_the_writer_is_near() -> None:
    """Two or three segments are how it works, not a backlog."""
    assert pause_seconds(32 * MIB) == 0.0
    assert pause_seconds(32 * MIB + 1) > 0.0


def test_senders_are_slowed_while_the_writer_is_behind(receiver: RunningReceiver) -> None:
    """Each request waits and is then acknowledged; once the writer has caught up, none waits."""
    assert post(receiver) == 200
    assert paused_seconds(receiver) == 0.0
    segment = leave_waiting(receiver, 1024 * MIB)
    while not paused_seconds(receiver):  # the backlog is looked at a few times a second
        assert post(receiver) == 200
    before = paused_seconds(receiver)
    for _ in range(2):
        assert post(receiver) == 200
    assert abs(paused_seconds(receiver) - before - 2 * LONGEST_SECONDS) < 1e-6
    segment.unlink()
    before = -1.0
    while paused_seconds(receiver) != before:
        before = paused_seconds(receiver)
        assert post(receiver) == 200


def test_grpc_senders_are_slowed_too(receiver: RunningReceiver) -> None:
    """A pause is no matter of the transport."""
    leave_waiting(receiver, 1024 * MIB)
    with grpc.insecure_channel(receiver.grpc) as channel:
        TraceServiceStub(channel).Export(spans())
    assert paused_seconds(receiver) > 0.0
