"""How long answers take: the alert, the dashboard's page and a first query, over little and much.

    python benchmarks/questions.py [--seconds 20] [--spans 4000,1000000] [--json]

The spans are those of benchmarks/ingest.py, written to a lake as the writer does. Each question is
of a range that was not asked for before, so nothing is kept of the answer before it. What each
figure is, is in benchmarks/README.md.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import duckdb
import pyarrow as pa
from figures import progress
from options import positive
from otlp_bodies import RECORDS_PER_REQUEST, RECORDS_PER_TRACE, SpanRequests

from analytics import Analytics, engine, load_slos
from analytics.alerts import AlertHistory
from dashboards.build import build_overview
from dashboards.pages import Selection
from lake import TABLES, Lake

# The ingest.py of this folder would come before the package of that name.
sys.path.append(sys.path.pop(0))
from ingest.decode import decode
from ingest.rows import span_rows

FILES = 40
"""As many as a busy quarter of an hour leaves before they are merged."""
WINDOW = timedelta(hours=1)
LEAST = 3

Asked = Callable[[Analytics, datetime], object]


@dataclass(frozen=True)
class Took:
    """Medians of one question."""

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Measure every size and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=positive, default=20.0,
                        help="how long each question is asked again and again (20)")  # fmt: skip
    parser.add_argument("--spans", type=_sizes, default=(4000, 1_000_000),
                        help="sizes of the lake, in spans (4000,1000000)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    figures = {size: _measure(size, chosen.seconds) for size in chosen.spans}
    print(json.dumps(figures) if chosen.json else _table(figures))


def _sizes(said: str) -> tuple[int, ...]:
    sizes = tuple(map(int, said.split(",")))
    if any(size < 1 or size % (FILES * RECORDS_PER_TRACE) for size in sizes):
        raise argparse.ArgumentTypeError(
            f"{said}: each must be a multiple of {FILES * RECORDS_PER_TRACE}, for there are "
            f"{FILES} files of whole traces"
        )
    return sizes


def _measure(size: int, seconds: float) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="quietpager-bench-") as folder:
        progress(f"{size:,} spans: writing them")
        lake = Lake(Path(folder) / "lake")
        _fill(lake, size)
        asked: Mapping[str, Asked] = {"alert": _alert, "page": _page, "query": _query}
        figures = {"read_s": _read(lake, seconds).seconds}
        for name, ask in asked.items():
            progress(f"{size:,} spans: {name}")
            took = _asked_again(lake, ask, seconds)
            with _each_step_reads():
                anew = _asked_again(lake, ask, seconds)
            figures |= {
                f"{name}_s": took.seconds,
                f"{name}_cpu_s": took.cpu_seconds,
                f"{name}_to_read": took.seconds / figures["read_s"],
                f"{name}_cpu_anew_to_cpu": anew.cpu_seconds / took.cpu_seconds,
            }
        return figures


def _fill(lake: Lake, size: int) -> None:
    requests, of_file = SpanRequests(0), size // FILES
    nothing = TABLES["spans"].arrow.empty_table()
    for position in range(1, FILES + 1):
        bodies = [requests.body() for _ in range(-(-of_file // RECORDS_PER_REQUEST))]
        decoded = decode("traces", bodies, [time.time_ns()] * len(bodies))
        rows = pa.concat_tables([nothing, *span_rows(decoded)])
        lake.append("spans", rows.slice(0, of_file), position)


def _alert(analytics: Analytics, now: datetime) -> object:
    return analytics.ask("alerts/ttfb_p95", since=now - timedelta(minutes=5), until=now)


def _page(analytics: Analytics, now: datetime) -> object:
    history = AlertHistory(Path("there-is-none.sqlite"))
    return build_overview(analytics, load_slos(), history, Selection(), now=now)


def _query(analytics: Analytics, now: datetime) -> object:
    return analytics.query("SELECT COUNT(*), SUM(cost_usd) FROM runs", since=now - WINDOW)


def _asked_again(lake: Lake, ask: Asked, seconds: float) -> Took:
    """Ask for so long, each time of a moment later: a range that was never asked for."""
    walls: list[float] = []
    cpus: list[float] = []
    with Analytics(lake) as whole, whole.in_passing() as passing:
        analytics = passing if ask is _alert else whole
        ask(analytics, datetime.now(UTC))  # prices and SLOs are read once
        until = time.monotonic() + seconds
        while time.monotonic() < until or len(walls) < LEAST:
            wall, cpu = time.perf_counter(), time.process_time()
            ask(analytics, datetime.now(UTC))
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    return Took(median(walls), median(cpus))


@contextmanager
def _each_step_reads() -> Iterator[None]:
    """Let no step hold what it read for the others, however little it is."""
    held, engine.HELD_ROWS = engine.HELD_ROWS, 0
    try:
        yield
    finally:
        engine.HELD_ROWS = held


def _read(lake: Lake, seconds: float) -> Took:
    """What DuckDB takes to read every column that questions use into a table of its own, once."""
    walls: list[float] = []
    cpus: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(walls) < LEAST:
        with duckdb.connect(config={"memory_limit": "4GB", "threads": 2}) as connection:
            wall, cpu = time.perf_counter(), time.process_time()
            lake.snapshot().attach(connection)
            connection.execute(
                "CREATE TABLE once AS SELECT * EXCLUDE "
                "(attributes, resource_attributes, events, links) FROM lake_spans"
            )
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    return Took(median(walls), median(cpus))


def _table(figures: Mapping[int, Mapping[str, float]]) -> str:
    lines = []
    for size, of_size in figures.items():
        once = f"{of_size['read_s']:.3f} s"
        lines.append(f"{size:,} spans in {FILES} files, which are read once in {once}")
        for name in ("alert", "page", "query"):
            took, cpu = (f"{of_size[f'{name}{unit}']:.2f} s" for unit in ("_s", "_cpu_s"))
            lines.append(
                f"  {name:<6} {took:>8}, of the processor {cpu:>8}; "
                f"times reading once: {of_size[f'{name}_to_read']:5.1f}; "
                f"processor when each step reads, times this: "
                f"{of_size[f'{name}_cpu_anew_to_cpu']:5.2f}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
