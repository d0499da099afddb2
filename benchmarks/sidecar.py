"""The real `quietpager up` under measurement, and what is in its lake."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from lake import Lake

QUIETPAGER = (sys.executable, "-m", "cli")
REPOSITORY = Path(__file__).resolve().parent.parent
STALLED_SECONDS = 120.0
"""Without a new row for so long while some are waiting, the measurement is given up."""

_ENDPOINTS = 3
_DRAIN_SECONDS = 120.0
# A setting of whoever runs the benchmark must not change what is measured. Where Python may not
# keep what it compiled, each start compiles all libraries: 10 s of processor time in place of 5.
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("QUIETPAGER_") and name != "PYTHONDONTWRITEBYTECODE"
}


@dataclass(frozen=True)
class Sidecar:
    """A running sidecar: its process, its OTLP/HTTP URL and how long it took to be ready."""

    pid: int
    url: str
    ready_seconds: float


@contextmanager
def sidecar(data: Path) -> Iterator[Sidecar]:
    """`quietpager up` on `data` and free ports; drained at the end."""
    command = [*QUIETPAGER, "up", "--data", str(data)]
    for option in ("--otlp-http", "--otlp-grpc", "--dashboard"):
        command += [option, "127.0.0.1:0"]
    log = data.with_name(f"{data.name}.log")
    started = time.monotonic()
    with log.open("a") as stderr, subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=REPOSITORY, env=_ENVIRONMENT
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline().rstrip("\n") for _ in range(_ENDPOINTS)]
            ready = time.monotonic() - started
            if not lines[-1]:
                raise RuntimeError(f"quietpager up did not get ready: {log.read_text()[-2000:]}")
            endpoints = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in lines)
            yield Sidecar(process.pid, endpoints["OTLP/HTTP"], ready)
        finally:
            process.terminate()
            process.wait(_DRAIN_SECONDS)


def verified(data: Path) -> bool:
    """Does `quietpager verify` say that everything accepted is accounted for?"""
    command = [*QUIETPAGER, "verify", "--data", str(data)]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=_ENVIRONMENT
    )
    if answer.returncode:
        print(answer.stdout, answer.stderr, file=sys.stderr)
    return answer.returncode == 0


def rows(lake: Lake, table: str) -> int:
    """How many rows of `table` a query sees now."""
    (counted,) = ask(lake, f"SELECT count(*) FROM lake_{table}")
    return int(counted[0])


def each_once(lake: Lake, table: str, identity: str) -> bool:
    """No two rows have the same identity.

    Told by a 64-bit hash: among 30 million rows two are taken for one once in 40,000 runs.
    """
    (counted,) = ask(lake, f"SELECT count(*), count(DISTINCT hash({identity})) FROM lake_{table}")
    return counted[0] == counted[1]


def ask(lake: Lake, question: str) -> list[tuple[int | str, ...]]:
    """Put SQL to one snapshot of the lake."""
    with duckdb.connect() as connection:
        lake.snapshot().attach(connection)
        return connection.sql(question).fetchall()


def wait_for_rows(lake: Lake, table: str, wanted: int) -> None:
    """Return when a query sees `wanted` rows. Raises when no more are coming."""
    wait_until_counted(lambda: rows(lake, table), wanted, f"{table} in the lake", every=1.0)


def wait_until_counted(
    count: Callable[[], int], wanted: int, what: str, *, every: float = 0.5
) -> None:
    """Return when `count()` has reached `wanted`. Raises TimeoutError when it stands still."""
    seen, since = count(), time.monotonic()
    while seen < wanted:
        time.sleep(every)
        now = count()
        if now > seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > STALLED_SECONDS:
            raise TimeoutError(f"{what}: {seen} of {wanted}, and no more in {STALLED_SECONDS} s")


def live_bytes(lake: Lake, table: str) -> int:
    """Size of the Parquet files that the present version of the table consists of."""
    return sum(file.size_bytes for files in lake.days(table).values() for file in files)


def free_environment(**settings: str) -> Mapping[str, str]:
    """The environment of this process without Quietpager's settings, with `settings`."""
    return _ENVIRONMENT | settings
