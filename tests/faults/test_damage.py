"""A damaged file is named with what to do about it; all that does not need it goes on."""

import json
import os
import re
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import httpx
import pytest
from deltalake import DeltaTable

from cli.checks import examine
from cli.config import Config
from lake import Lake
from tests.cli.running import quietpager
from tests.faults.batches import commit, log_batch, rows_per_value, span_batch
from tests.faults.senders import PROTOBUF
from tests.sidecar import Processes

BATCHES = 4
LOG = "lake/spans/_delta_log"


def store(data: Path) -> list[str]:
    """Some commits of spans and one of logs; the span ids."""
    batches = [span_batch(20) for _ in range(BATCHES)]
    for _, body in batches:
        commit(data, "traces", body, 20)
    commit(data, "logs", log_batch(7)[1], 7)
    return [name for names, _ in batches for name in names]


def post(sidecar: Processes, count: int = 20) -> list[str]:
    names, body = span_batch(count)
    assert httpx.post(f"{sidecar.url}/v1/traces", content=body, headers=PROTOBUF).is_success
    return names


def count(data: Path, table: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of counting the rows of a table."""
    done = quietpager(
        "sql", "--data", str(data), "--format", "csv", f"SELECT count(*) FROM {table}"
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


def events(log: Path, name: str) -> list[dict[str, object]]:
    """The log lines of one event."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "nothing came of it in half a minute"
        time.sleep(0.1)


@pytest.mark.parametrize("state", ["open", "journal"])
def test_a_changed_byte_in_the_journal(tmp_path: Path, state: str) -> None:
    """The other batches of the segment are stored; it is kept, and one line says where."""
    data, log = tmp_path / "data", tmp_path / "log"
    with Processes(data, log) as sidecar:
        sidecar.start_and_wait("receiver")
        batches = [post(sidecar) for _ in range(3)]
        if state == "open":
            sidecar.kill()
        else:
            sidecar.stop()
        (segment,) = (data / "journal" / "traces").glob(f"*.{state}")
        flip(segment, segment.stat().st_size // 2)
        sidecar.start_and_wait()
        batches.append(post(sidecar))
        sidecar.stop()
    found = rows_per_value(Lake(data / "lake"), "spans", "span_id")
    assert found == dict.fromkeys(batches[0] + batches[2] + batches[3], 1)
    (line,) = events(log, "writer.quarantined")
    kept = Path(str(line["segment"]))
    assert kept.parent == data / "journal" / "traces" / "quarantine"
    assert "fails its checksum at byte" in str(line["reason"])
    assert kept.stat().st_size > 0


def killed_with(sidecar: Processes, data: Path) -> tuple[list[list[str]], Path]:
    """Three batches that were acknowledged, and the open segment that has them after the crash."""
    sidecar.start_and_wait("receiver")
    batches = [post(sidecar) for _ in range(3)]
    sidecar.kill()
    (segment,) = (data / "journal" / "traces").glob("*.open")
    return batches, segment


def test_a_changed_length_in_an_open_segment(tmp_path: Path) -> None:
    """Every record is whole, and stored; the segment is set aside all the same, and counted."""
    data, log = tmp_path / "data", tmp_path / "log"
    with Processes(data, log) as sidecar:
        batches, segment = killed_with(sidecar, data)
        content = bytearray(segment.read_bytes())
        content[1] ^= 0x40
        segment.write_bytes(content)
        sidecar.start_and_wait()
        wait_for(lambda: set_aside(sidecar) == 1)
        sidecar.stop()
    found = rows_per_value(Lake(data / "lake"), "spans", "span_id")
    assert found == dict.fromkeys(chain(*batches), 1)


@pytest.mark.parametrize("hit", [1, 2], ids=["middle", "last"])
def test_a_damaged_record_of_an_open_segment_is_in_no_clean_account(
    tmp_path: Path, hit: int
) -> None:
    """How many records it held nobody knows: the metric, doctor and verify say that it is there.

    Once somebody has dealt with what was set aside, and deleted it, nothing is left to say.
    """
    data, log = tmp_path / "data", tmp_path / "log"
    with Processes(data, log) as sidecar:
        batches, segment = killed_with(sidecar, data)
        size = segment.stat().st_size
        flip(segment, size * hit // 3 + 100)
        sidecar.start_and_wait()
        wait_for(lambda: set_aside(sidecar) == 1)
        sidecar.stop()
    found = rows_per_value(Lake(data / "lake"), "spans", "span_id")
    assert found == dict.fromkeys(chain(*batches[:hit], *batches[hit + 1 :]), 1)
    (kept,) = (data / "journal" / "traces" / "quarantine").glob("*.journal")
    assert kept.stat().st_size == size
    verified = quietpager("verify", "--data", str(data))
    assert verified.returncode == 1
    assert f"{size // 3:,} bytes in 1 segments of traces are damaged" in verified.stderr
    told = {(each.check, each.state) for each in examine(Config(data=data))}
    assert {("quarantine", "problem"), ("accounts", "problem")} <= told

    kept.unlink()
    kept.with_suffix(".reason").unlink()

    assert quietpager("verify", "--data", str(data)).returncode == 0


def set_aside(sidecar: Processes) -> float:
    """What the metric to alert on says of traces."""
    shown = httpx.get(f"{sidecar.url}/metrics").text
    (value,) = re.findall(
        r'^quietpager_ingest_quarantined_segments\{signal="traces"\} (\S+)', shown, re.MULTILINE
    )
    return float(value)


@pytest.mark.parametrize(
    "damage",
    [
        "cut",
        pytest.param("missing", marks=pytest.mark.nightly),
        pytest.param("changed", marks=pytest.mark.nightly),
    ],
)
def test_a_damaged_parquet_file(tmp_path: Path, damage: str) -> None:
    """Questions that need it say which file it is and what to do; the others are answered.

    The writer goes on, and what the message says puts it right.
    """
    data, log = tmp_path / "data", tmp_path / "log"
    names = store(data)
    file, *_ = sorted((data / "lake" / "spans").glob("day=*/*.parquet"))
    content = file.read_bytes()
    if damage == "cut":
        os.truncate(file, len(content) // 2)
    elif damage == "missing":
        file.unlink()
    else:
        file.write_bytes(bytes(len(content) // 2) + content[len(content) // 2 :])

    code, _, said = count(data, "runs")
    assert code == 1
    assert said.startswith(f"quietpager: {file}: cannot be read (")
    assert "restore it from a backup" in said
    assert "\n" not in said
    assert count(data, "logs") == (0, "count_star()\n7", "")
    with Processes(data, log) as sidecar:
        sidecar.start_and_wait()
        names += post(sidecar)
        sidecar.stop()

    file.unlink(missing_ok=True)
    DeltaTable(data / "lake" / "spans").repair()
    assert count(data, "spans") == (0, f"count_star()\n{len(names) - 20}", "")


def remove_an_entry(log: Path) -> Path:
    entry = log / f"{2:020d}.json"
    entry.unlink()
    return entry


def cut_an_entry(log: Path) -> Path:
    entry = log / f"{BATCHES:020d}.json"
    os.truncate(entry, 40)
    return entry


@pytest.mark.parametrize(
    ("damage", "remedy"),
    [
        (remove_an_entry, "is missing; restore it"),
        pytest.param(cut_an_entry, "restore it", marks=pytest.mark.nightly),
    ],
)
def test_a_damaged_delta_log(tmp_path: Path, damage: Callable[[Path], Path], remedy: str) -> None:
    """One line names the file of the log and what to do; the other table is read and written.

    Spans are still acknowledged, and are stored once the file is back.
    """
    data, log = tmp_path / "data", tmp_path / "log"
    names = store(data)
    before = {path: path.read_bytes() for path in (data / LOG).iterdir()}
    damaged = damage(data / LOG)

    code, _, said = count(data, "spans")
    assert code == 1
    assert said.startswith(f"quietpager: {damaged}: ")
    assert remedy in said
    assert "\n" not in said
    assert count(data, "logs") == (0, "count_star()\n7", "")

    with Processes(data, log) as sidecar:
        sidecar.start_and_wait()
        names += post(sidecar)
        lines, body = log_batch(5)
        assert httpx.post(f"{sidecar.url}/v1/logs", content=body, headers=PROTOBUF).is_success
        wait_for(lambda: lines[0] in rows_per_value(Lake(data / "lake"), "logs", "body"))
        wait_for(lambda: events(log, "writer.failed"))
        for failure in events(log, "writer.failed"):
            assert str(failure["reason"]).startswith(f"{damaged}: ")
        assert sidecar.end("receiver") == 0
        assert sidecar.end("writer") == 1, "it left something in the journal and does not say so"

        damaged.write_bytes(before[damaged])
        sidecar.start_and_wait()
        sidecar.stop()
    assert rows_per_value(Lake(data / "lake"), "spans", "span_id") == dict.fromkeys(names, 1)


@pytest.mark.parametrize("left", [0, 0.5])
def test_a_checkpoint_that_was_not_on_the_disk_at_a_power_cut(tmp_path: Path, left: float) -> None:
    """Who asks is told; the sidecar drops it when it starts, and every row is there."""
    data, log = tmp_path / "data", tmp_path / "log"
    names = store(data)
    DeltaTable(data / LOG.removesuffix("/_delta_log")).create_checkpoint()
    (checkpoint,) = (data / LOG).glob("*.checkpoint.parquet")
    os.truncate(checkpoint, int(checkpoint.stat().st_size * left))
    code, _, said = count(data, "spans")
    assert code == 1
    assert said.startswith(f"quietpager: {checkpoint}: ")
    assert "quietpager up does so when it starts" in said

    with Processes(data, log) as sidecar:
        sidecar.start_and_wait()
        wait_for(lambda: events(log, "writer.dropped_unwritten"))
        assert count(data, "spans") == (0, f"count_star()\n{len(names)}", "")
        names += post(sidecar)
        sidecar.stop()
    assert rows_per_value(Lake(data / "lake"), "spans", "span_id") == dict.fromkeys(names, 1)
