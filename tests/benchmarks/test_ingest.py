"""The benchmark of ingest measures what it says. How fast anything is, no test asks."""

import json

import pytest

from tests.benchmarks.conftest import Run

FIGURES = {
    "spans_per_s",
    "acknowledged_per_s",
    "ratio_to_parse",
    "ack_p99_ms",
    "rss_mb",
    "pss_mb",
    "rss_growth",
    "bytes_per_span",
    "otlp_bytes_per_span",
    "storage_ratio",
    "logs_records_per_s",
    "freshness_p50_s",
    "freshness_p99_s",
    "idle_cpu_percent",
    "idle_rss_mb",
    "idle_pss_mb",
    "ready_s",
}


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_short_run_gives_every_figure(run: Run) -> None:
    """Two seconds of real load through the real sidecar give one JSON object of plain numbers."""
    answer = run("--seconds", "2", "--peers", "none", "--json")
    assert answer.returncode == 0, answer.stderr
    figures = json.loads(answer.stdout.splitlines()[-1])
    assert figures["peers"] == {}
    assert figures.keys() >= FIGURES
    assert {name: type(figures[name]) for name in FIGURES} == dict.fromkeys(FIGURES, float)
    assert figures["spans"] > 0
    assert figures["spans"] % 1000 == 0
    assert figures["acknowledged_per_s"] > 0
    assert set(figures["rss_mb_by_process"]) >= {"supervisor", "receiver", "writer", "reader"}
    assert figures["rss_mb"] >= max(figures["rss_mb_by_process"].values()) > 0
    assert 340 < figures["otlp_bytes_per_span"] < 380
    assert 0 < figures["bytes_per_span"] < figures["otlp_bytes_per_span"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--peers", "jaeger"), "no peer 'jaeger'; there are phoenix, mlflow, rotel, or none"),
        (("--seconds", "0"), "0 must be more than 0"),
    ],
)
def test_what_it_cannot_do_is_said_before_anything_runs(
    run: Run, options: tuple[str, ...], said: str
) -> None:
    """A peer that it does not know, no time at all: one line that names the value."""
    answer = run(*options)
    assert answer.returncode == 2
    assert said in answer.stderr
