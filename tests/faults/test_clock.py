"""The system's clock jumps by hours, ahead or back: nothing is lost, doubled or stuck."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from ingest import WriterSettings, run_writer
from ingest.journal import DUPLICATE_WINDOW_SECONDS, Journal, closed_segments
from lake import Lake
from tests.faults.batches import rows_per_value, span_batch
from tests.faults.senders import PROTOBUF, check_journal_is_empty, check_lake, load
from tests.ingest.batches import unnoted
from tests.sidecar import Processes

HOUR = 3600.0
JUMPS = (5 * HOUR, -5 * HOUR)

Jump = Callable[[float], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Sets the clock of this process ahead by so many seconds."""
    real, by = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + by[0])
    monkeypatch.setattr(time, "time_ns", lambda: int((real() + by[0]) * 1e9))

    def add(seconds: float) -> None:
        by[0] += seconds

    return add


def drain(data: Path) -> None:
    """The writer's pass; what it leaves in the journal bears the time of the clock that jumped."""
    before = {*data.rglob("digests/*")}
    stop = threading.Event()
    stop.set()
    run_writer(WriterSettings(data=data), stop)
    for path in {*data.rglob("digests/*")} - before:
        os.utime(path, (time.time(), time.time()))


async def accept(journal: Journal, body: bytes) -> bool:
    return await journal.append(body, time.time_ns(), 1)


@pytest.mark.parametrize("seconds", JUMPS)
def test_retries_are_known_after_a_jump(tmp_path: Path, jump: Jump, seconds: float) -> None:
    """A batch sent again after the jump, over a restart too, is recognised; a new one is stored."""
    directory = tmp_path / "journal" / "traces"
    (old_names, old), (new_names, new) = span_batch(5), span_batch(5)

    async def run() -> None:
        journal = Journal(directory, unnoted)
        assert await accept(journal, old)
        jump(seconds)
        assert not await accept(journal, old)
        assert await accept(journal, new)
        await journal.close()
        drain(tmp_path)
        for _ in range(2):
            restarted = Journal(directory, unnoted)
            assert not await accept(restarted, old)
            assert not await accept(restarted, new)
            await restarted.close()
            jump(seconds)

    asyncio.run(run())
    names = old_names + new_names
    found = rows_per_value(Lake(tmp_path / "lake"), "spans", "span_id")
    assert found == dict.fromkeys(names, 1)


@pytest.mark.parametrize("seconds", JUMPS)
def test_a_jump_while_nothing_runs(tmp_path: Path, jump: Jump, seconds: float) -> None:
    """Sequence numbers go on, so the writer skips nothing; what was accepted before is known."""
    directory = tmp_path / "journal" / "traces"
    batches = [span_batch(5) for _ in range(3)]

    async def run() -> None:
        sequences = []
        for _, body in batches:
            journal = Journal(directory, unnoted)
            assert await accept(journal, body)
            await journal.close()
            sequences += [segment.sequence for segment in closed_segments(directory)]
            drain(tmp_path)
            jump(seconds)
        assert sequences == sorted(sequences)
        journal = Journal(directory, unnoted)
        assert not await accept(journal, batches[-1][1])
        await journal.close()

    asyncio.run(run())
    found = rows_per_value(Lake(tmp_path / "lake"), "spans", "span_id")
    assert found == dict.fromkeys((name for names, _ in batches for name in names), 1)


def test_segments_close_by_their_real_age(tmp_path: Path, jump: Jump) -> None:
    """After a jump back a segment does not stay open until the clock has caught up."""

    async def run() -> None:
        journal = Journal(tmp_path, unnoted, max_age_seconds=0.05)
        assert await accept(journal, b"one")
        jump(-5 * HOUR)
        while not closed_segments(tmp_path):  # noqa: ASYNC110 - it is a file that is waited for
            await asyncio.sleep(0.01)
        await journal.close()

    asyncio.run(run())


def test_the_window_still_ends(tmp_path: Path) -> None:
    """Two hours of running later the same bytes are a new batch."""
    clock = [1_700_000_000.0]

    async def run() -> None:
        journal = Journal(tmp_path, unnoted, now=lambda: clock[0])
        assert await accept(journal, b"one")
        clock[0] += DUPLICATE_WINDOW_SECONDS + 1
        assert await accept(journal, b"one")
        await journal.close()

    asyncio.run(run())


LIBRARIES = [
    os.environ.get("LIBFAKETIME", ""),
    *map(str, Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")),
]


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_jumps_under_load(tmp_path: Path) -> None:
    """Real processes whose clock jumps while they work (libfaketime): everything is there once."""
    library = next((path for path in LIBRARIES if path and Path(path).exists()), None)
    if library is None:
        pytest.skip("no libfaketime: apt install libfaketime, or name it in LIBFAKETIME")
    clock = tmp_path / "clock"
    clock.write_text("+0s")
    jumping = ("env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={clock}",
               "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1")  # fmt: skip
    data = tmp_path / "data"
    names, body = span_batch(50)
    with Processes(data, tmp_path / "log", inside=jumping) as sidecar, load(sidecar) as sending:
        sidecar.start_and_wait()
        again = [httpx.post(f"{sidecar.url}/v1/traces", content=body, headers=PROTOBUF)]
        for offset in ("+5h", "-3h", "+11h", "+0s"):
            clock.write_text(offset)
            sending.wait_until_each(lambda sent: len(sent.acknowledged), more=500)
            time.sleep(3)
            again.append(httpx.post(f"{sidecar.url}/v1/traces", content=body, headers=PROTOBUF))
        sending.finish()
        sidecar.stop()
    assert [answer.status_code for answer in again] == [200] * len(again)
    check_journal_is_empty(data)
    sending.spans[0].acknowledged += names
    check_lake(Lake(data / "lake"), sending)
