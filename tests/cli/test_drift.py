"""`quietpager drift`: what only one side tells, in the exit code too."""

import json
from pathlib import Path

from tests.cli.running import quietpager
from tests.sidecar import Sidecar


def test_runs_that_left_spans_only(sidecar: Sidecar) -> None:
    """Every run of an agent without lines is told, with its tenant; the exit code says drift."""
    asked = quietpager("drift", "--data", str(sidecar.data), "--tenant", "globex",
                       "--format", "json")  # fmt: skip
    assert asked.returncode == 1, asked.stderr
    rows = json.loads(asked.stdout)
    assert len(rows) == 10
    assert {(row["tenant_id"], row["agent_name"], row["seen_in"]) for row in rows} == {
        ("globex", "support", "spans")
    }
    assert {"its agent sent no lines at all"} >= {
        row["reason"] for row in rows if "arrived" not in row["reason"]
    }


def test_the_table_is_cut_at_the_limit(sidecar: Sidecar) -> None:
    """For people the newest come first, and how many more there are is said."""
    asked = quietpager("drift", "--data", str(sidecar.data), "--limit", "3")
    header, _, *rows = asked.stdout.splitlines()
    assert header.split()[:3] == ["run", "tenant", "agent"]
    assert [row.split()[0] for row in rows] == ["run-10", "run-20", "run-30"]
    assert asked.stderr == "27 more runs drift; see them with --limit 30\n"


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
