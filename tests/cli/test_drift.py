"""`quietpager drift`: what only one side tells, in the exit code too."""

import json
from pathlib import Path

import pytest

from tests.analytics.telemetry import NOON, Telemetry, ms
from tests.cli.running import quietpager
from tests.sidecar import Sidecar

ALL = ("--since", "365d")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory in which five runs left spans only, one lines only, and one both."""
    telemetry = Telemetry()
    for number in range(5):
        telemetry.agent(run_id=f"run-{number}", at=NOON - ms(number), tenant_id="globex",
                        agent_name="support")  # fmt: skip
    telemetry.log("agent.run", run_id="logged", at=NOON - ms(9), tenant_id="acme")
    telemetry.agent(run_id="both")
    telemetry.log("agent.run", run_id="both")
    telemetry.lake(tmp_path / "lake")
    return tmp_path


def test_runs_that_left_one_source_only(data: Path) -> None:
    """Each is told, with its tenant and where it was seen; the exit code says drift."""
    asked = quietpager("drift", "--data", str(data), *ALL, "--format", "json")
    assert asked.returncode == 1, asked.stderr
    rows = json.loads(asked.stdout)
    assert [(row["run_id"], row["tenant_id"], row["seen_in"]) for row in rows] == [
        *((f"run-{number}", "globex", "spans") for number in range(5)),
        ("logged", "acme", "logs"),
    ]


def test_the_table_is_cut_at_the_limit(data: Path) -> None:
    """For people the newest come first, and how many more there are is said."""
    asked = quietpager("drift", "--data", str(data), *ALL, "--limit", "3")
    header, _, *rows = asked.stdout.splitlines()
    assert header.split()[:3] == ["run", "tenant", "agent"]
    assert [row.split()[0] for row in rows] == ["run-0", "run-1", "run-2"]
    assert asked.stderr == "3 more runs drift; see them with --limit 6\n"


def test_spans_alone_are_no_drift(sidecar: Sidecar) -> None:
    """An agent that sends no lines at all has nothing that could drift apart, and that is said."""
    said = "only spans came since 24h, no line of any run: there is nothing to compare\n"
    for form in ("table", "json"):
        asked = quietpager("drift", "--data", str(sidecar.data), "--format", form)
        assert (asked.returncode, asked.stderr) == (0, said)
    assert json.loads(asked.stdout) == []


def test_no_run_is_no_answer(tmp_path: Path) -> None:
    """Without a run nothing can be said: that is neither drift nor its absence."""
    asked = quietpager("drift", "--data", str(tmp_path), "--since", "1h")
    assert asked.returncode == 2
    assert "there was no run since 1h" in asked.stderr


def test_what_it_cannot_understand(tmp_path: Path) -> None:
    """A duration that is none is named, with an example."""
    asked = quietpager("drift", "--data", str(tmp_path), "--tolerance", "5")
    assert asked.returncode == 2
    assert asked.stderr.startswith("quietpager: --tolerance '5' is not a duration")
