"""The benchmark of the runtime measures what it says. How fast anything is, no test asks."""

import json

import pytest

from tests.benchmarks.conftest import Run

FIGURES = {
    "node_overhead_p95_ms",
    "conversation_p50_ms",
    "conversation_cpu_ms",
    "by_hand_p50_ms",
    "ttfb_overhead_p95_ms",
    "ttfb_overhead_at_edge_p95_ms",
    "ttfb_overhead_direct_p95_ms",
    "streams",
    "server_cpu_ms_per_token",
    "server_rss_mb",
}


@pytest.mark.timeout(300)
def test_a_short_run_gives_every_figure(run: Run) -> None:
    """A few streams and conversations over real processes give one JSON object of plain numbers;
    every answer was whole, and client, log and ledger agreed."""
    short = ("--seconds", "1", "--streams", "20", "--tokens", "5", "--peers", "none", "--json")
    answer = run(*short)
    assert answer.returncode == 0, answer.stderr
    figures = json.loads(answer.stdout.splitlines()[-1])
    assert figures["peers"] == {}
    assert {name: type(figures[name]) for name in FIGURES} == dict.fromkeys(FIGURES, float)
    assert all(figures[name] > 0 for name in FIGURES)
    assert figures["ttfb_overhead_p95_ms"] > figures["ttfb_overhead_at_edge_p95_ms"]
    assert figures["runs"] > 0


def test_a_peer_it_does_not_know_is_named(run: Run) -> None:
    """One line that names the value, before anything runs."""
    answer = run("--peers", "crewai")
    assert answer.returncode == 2
    assert "no peer 'crewai'; there are langgraph, pydantic-ai, or none" in answer.stderr
