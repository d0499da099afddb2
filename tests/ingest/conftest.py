from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest import ReceiverSettings
from tests.ingest.running import RunningReceiver
from tests.ingest.watched_disk import WatchedDisk


@pytest.fixture
def anyio_backend() -> str:
    """Coroutine tests run on asyncio, as the receiver does."""
    return "asyncio"


@pytest.fixture
def start_receiver(tmp_path: Path) -> Iterator[Callable[..., RunningReceiver]]:
    """Start a receiver on free ports with the given settings; it is stopped after the test."""
    started: list[RunningReceiver] = []

    def start(**settings: Any) -> RunningReceiver:
        defaults = {"data": tmp_path / "data", "http_port": 0, "grpc_port": 0, "min_free_bytes": 0}
        receiver = RunningReceiver(ReceiverSettings(**(defaults | settings)))
        started.append(receiver)
        return receiver

    yield start
    for receiver in started:
        receiver.stop()


@pytest.fixture
def receiver(start_receiver: Callable[..., RunningReceiver]) -> RunningReceiver:
    """A receiver with the default limits."""
    return start_receiver()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> WatchedDisk:
    return WatchedDisk(monkeypatch)
