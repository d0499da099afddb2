"""How long runs wait for a connection to PostgreSQL, by the size of the pool.

    python benchmarks/pool.py [--seconds 20] [--pools 2,5,10,20] [--runs 500] [--rate 20] [--json]

500 runs of six nodes are open in one process, each node waiting some four seconds for its model; 20
a second come and as many go, at random, however slow the store is: an open loop. Then 500 begin in
the same moment, for which no pool can be sized: they queue behind processor and database. The
server is Debian's, started for this, on this machine, and writes its log to the disk (`fsync`).
What each figure is, is in benchmarks/README.md.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import open_runs
import uvloop
from figures import progress, quantile
from options import positive

from agent_runtime import SqliteStore
from agent_runtime.store.postgres import POOL_SIZE
from tests import postgres

Figures = dict[str, float]


def main() -> None:
    """Measure every size and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=positive, default=20.0,
                        help="how long each is measured when all runs are open (20)")  # fmt: skip
    parser.add_argument("--pools", type=_sizes, default=(2, 5, 10, 20),
                        help="sizes of the pool (2,5,10,20)")  # fmt: skip
    parser.add_argument("--runs", type=int, default=500, help="open at a time (500)")
    parser.add_argument("--rate", type=positive, default=20.0,
                        help="runs that come in a second (20)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    if (programs := postgres.binaries()) is None:
        sys.exit(f"no PostgreSQL in {postgres.BINARIES}; apt install postgresql")
    load = open_runs.Load(chosen.runs, chosen.rate, chosen.seconds)
    with tempfile.TemporaryDirectory(prefix="quietpager-bench-") as folder:
        lines = Path(folder) / "lines"
        with postgres.running(programs, fsync=True) as cluster:
            pools = {size: _pool(cluster.database(), size, load, lines) for size in chosen.pools}
        progress(f"SQLite: {_described(load)}")
        sqlite = _runs(open_runs.Watched(SqliteStore(Path(folder) / "threads.db")), load, lines)
    figures = {"cores": os.cpu_count(), "runs": load.open, "rate_per_s": load.per_second,
               "default_pool": POOL_SIZE, "pools": pools, "sqlite": sqlite}  # fmt: skip
    print(json.dumps(figures) if chosen.json else _table(pools, sqlite))


def _sizes(said: str) -> tuple[int, ...]:
    sizes = tuple(map(int, said.split(",")))
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{said}: a pool has at least one connection")
    return sizes


def _described(load: open_runs.Load) -> str:
    return f"{load.open} runs open, {load.per_second:g} a second, {load.seconds:g} s"


def _pool(dsn: str, size: int, load: open_runs.Load, lines: Path) -> Figures:
    progress(f"pool of {size}: {_described(load)}")
    figures = _runs(open_runs.on_postgres(dsn, size), load, lines)
    progress(f"pool of {size}: the same statements over as many connections, without a pool")
    by_hand = uvloop.run(open_runs.by_hand(dsn, size, load.open))
    return figures | {
        "by_hand_runs_per_s": by_hand,
        "ratio": figures["at_once_runs_per_s"] / by_hand,
    }


def _runs(store: open_runs.Watched, load: open_runs.Load, lines: Path) -> Figures:
    come, at_once = uvloop.run(open_runs.measure(store, load, lines))
    return {
        "open": come.open,
        "runs_per_s": come.per_second,
        "failed": come.failed,
        "checkouts_per_s": come.checkouts_per_s,
        "held_while_all_wait": at_once.held_while_all_wait,
        "at_once_runs_per_s": at_once.per_second,
        "at_once_failed": at_once.failed,
        **_percentiles("checkout_wait", come.checkout_waits_ms),
        **_percentiles("run_wait", come.run_waits_ms),
        **_percentiles("at_once_checkout_wait", at_once.checkout_waits_ms),
        **_percentiles("at_once_run_wait", at_once.run_waits_ms),
    }


def _percentiles(name: str, values: Sequence[float]) -> Figures:
    return {f"{name}_p{each}_ms": quantile(values, each) for each in (50, 95, 99)}


def _table(pools: Mapping[int, Figures], sqlite: Figures) -> str:
    rows = []
    for name, of in [*((f"pool of {size}", each) for size, each in pools.items()),
                     ("SQLite", sqlite)]:  # fmt: skip
        rows += [
            (f"{name}: open, runs, checkouts, failed runs",
             (f"{of['open']:.0f}, {of['runs_per_s']:.0f}/s, {of['checkouts_per_s']:.0f}/s, "
              f"{of['failed']:.0f}")),
            ("  wait of a checkout, p50 / p95 / p99", _ms(of, "checkout_wait")),
            ("  of a run", _ms(of, "run_wait")),
            ("  held while all wait for the model", f"{of['held_while_all_wait']:.0f}"),
            ("  all at once: runs, failed runs",
             f"{of['at_once_runs_per_s']:.0f}/s, {of['at_once_failed']:.0f}"),
            ("  all at once: wait of a checkout", _ms(of, "at_once_checkout_wait")),
            ("  all at once: of a run", _ms(of, "at_once_run_wait")),
        ]  # fmt: skip
        if "ratio" in of:
            rows.append((
                "  by hand over as many connections, ratio",
                f"{of['by_hand_runs_per_s']:.0f} runs/s, {of['ratio']:.2f}",
            ))  # fmt: skip
    return "\n".join(f"{name:<44} {value}" for name, value in rows)


def _ms(figures: Figures, name: str) -> str:
    return " / ".join(f"{figures[f'{name}_p{each}_ms']:,.2f}" for each in (50, 95, 99)) + " ms"


if __name__ == "__main__":
    main()
