"""Damage that no question notices is found by `quietpager verify`, and lately written by doctor."""

import json
import random
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.running import quietpager
from tests.faults.test_damage import BATCHES, LOG, count, flip, store


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Some commits of spans and one of logs."""
    store(tmp_path / "data")
    return tmp_path / "data"


def verified(data: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return quietpager("verify", "--data", str(data), "--format", "jsonl", *more)


def stored(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Rows that verify counts in the lake, by signal."""
    lines = map(json.loads, done.stdout.splitlines())
    return {line["signal"]: line["stored"] for line in lines}


def doctors(data: Path) -> dict[str, dict[str, str]]:
    done = quietpager("doctor", "--data", str(data), "--format", "json")
    return {each["check"]: each for each in json.loads(done.stdout)}


def test_a_sound_lake(data: Path) -> None:
    """Every file is read, and nothing is said of it."""
    done = verified(data)

    assert (done.returncode, done.stderr) == (0, "")
    assert stored(done) == {"traces": 20 * BATCHES, "logs": 7}
    assert doctors(data)["files"]["state"] == "ok"


def test_a_changed_bit_in_any_column(data: Path) -> None:
    """Where SQL answers as if nothing were, one line names the file and what to do."""
    [file] = (data / "lake" / "logs").glob("day=*/*.parquet")
    row_group = pq.read_metadata(file).row_group(0)
    chunks = [row_group.column(number) for number in range(row_group.num_columns)]
    sound = file.read_bytes()
    silent = 0
    for chunk in random.Random(5).sample(chunks, 6):
        begin = chunk.dictionary_page_offset or chunk.data_page_offset
        flip(file, begin + chunk.total_compressed_size - 1)

        done = verified(data)

        assert done.returncode == 1
        [said] = done.stderr.splitlines()[-1:]
        assert f"{file}: cannot be read (" in said
        assert "restore it from a backup" in said
        silent += count(data, "logs")[0] == 0
        file.write_bytes(sound)
    assert silent, "the questions notice all by themselves?"


def test_doctor_reads_what_was_written_last(data: Path) -> None:
    """A changed bit in a new file is a problem, with the remedy."""
    [file] = (data / "lake" / "logs").glob("day=*/*.parquet")
    chunk = pq.read_metadata(file).row_group(0).column(0)
    flip(file, chunk.data_page_offset + chunk.total_compressed_size - 1)

    found = doctors(data)["files"]

    assert found["state"] == "problem"
    assert found["found"].startswith(f"{file}: cannot be read (")
    assert found["remedy"].startswith("restore it from a backup")


@pytest.mark.parametrize("name", [b"\xe9everity", b"reverity"])
def test_a_footer_that_names_another_column(data: Path, name: bytes) -> None:
    """It has no checksum: the columns are held against the table's; SQL had them for NULL."""
    [file] = (data / "lake" / "logs").glob("day=*/*.parquet")
    file.write_bytes(file.read_bytes().replace(b"severity", name))

    done = verified(data)

    assert done.returncode == 1
    assert f"{file}: cannot be read (" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" not in count(data, "logs")[2]


def test_a_file_that_cannot_even_be_counted(data: Path) -> None:
    """The signal has no accounts then; the other has, and the file is named once."""
    file = min((data / "lake" / "spans").glob("day=*/*.parquet"))
    file.write_bytes(file.read_bytes()[:100])

    done = verified(data)

    assert done.returncode == 1
    assert stored(done) == {"logs": 7}
    assert done.stderr.count(str(file)) >= 1
    assert "traces cannot be accounted for: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_table_whose_log_is_damaged(data: Path) -> None:
    """The others are shown, and of that one the file that is missing."""
    entry = data / LOG / f"{2:020d}.json"
    entry.unlink()

    done = verified(data)

    assert done.returncode == 1
    assert stored(done) == {"logs": 7}
    assert done.stderr.strip() == (
        f"traces cannot be accounted for: {entry}: is missing; restore it from a backup"
    )


def test_a_table_that_lost_its_newest_commit(data: Path) -> None:
    """SQL answers with fewer rows; they are missing, and wait nowhere."""
    (data / LOG / f"{BATCHES:020d}.json").unlink()
    assert count(data, "spans") == (0, f"count_star()\n{20 * (BATCHES - 1)}", "")

    done = verified(data)

    assert done.returncode == 1
    assert "1 hours do not add up" in done.stderr
    assert '"missing":20' in done.stdout.replace(" ", "")


def test_the_accounts_alone_are_proved_without_reading_the_files(data: Path) -> None:
    """Of a lake that takes hours to read: damage in a page is not looked for."""
    [file] = (data / "lake" / "logs").glob("day=*/*.parquet")
    chunk = pq.read_metadata(file).row_group(0).column(0)
    flip(file, (chunk.dictionary_page_offset or chunk.data_page_offset) + 30)
    assert verified(data).returncode == 1

    done = verified(data, "--no-files")

    assert (done.returncode, done.stderr) == (0, "")
    assert stored(done) == {"traces": 20 * BATCHES, "logs": 7}
