"""`quietpager demo --once`: what a new user sees first."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.running import quietpager
from tests.sidecar import COMMAND, ENVIRONMENT

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def shown(home: Path) -> subprocess.CompletedProcess[str]:
    """The demo, once, for a user whose environment names a lake of their own."""
    theirs = {"QUIETPAGER_DATA": str(home.parent / "theirs"), "QUIETPAGER_RETENTION_DAYS": "0"}
    return subprocess.run(
        (*COMMAND, "demo", "--once", "--data", str(home)),
        capture_output=True, text=True, check=False, env=ENVIRONMENT | theirs,
        timeout=240,
    )  # fmt: skip


def test_ends_well(shown: subprocess.CompletedProcess[str], home: Path) -> None:
    """It exits 0, and so did everything it started."""
    assert shown.returncode == 0, shown.stderr
    stopped = [
        line
        for line in map(json.loads, re.findall(r"^{.*}$", log(home, "sidecar"), re.MULTILINE))
        if line["event"] == "process.stopped"
    ]
    assert [line["ending"] for line in stopped] == ["exit code 0"] * 3


def test_the_users_own_lake_is_left_alone(
    shown: subprocess.CompletedProcess[str], home: Path
) -> None:
    """Settings in the environment are the user's, not the demo's."""
    assert shown.returncode == 0, shown.stderr
    assert not (home.parent / "theirs").exists()


def test_alert(shown: subprocess.CompletedProcess[str]) -> None:
    """The slow tenant's alert is told as it arrives, first firing, then resolved."""
    told = re.findall(r"(FIRING|RESOLVED) +ttfb-p95: TTFB p95 .* for tenant globex", shown.stderr)

    assert told == ["FIRING", "RESOLVED"]


def test_answers(shown: subprocess.CompletedProcess[str]) -> None:
    """SLOs, tools, cost and alerts are answered on stdout, each after its command."""
    commands = re.findall(r"^\$ quietpager (\w+)", shown.stdout, re.MULTILINE)
    assert commands == ["slo", "tools", "cost", "alerts"]
    for words in (
        "First token under 1.5 s", "Cost per request",
        "find_invoice", "find_order", "search_documents",
        "acme       claude-sonnet-4-5", "globex     reviewer-7b",
        "ttfb-p95   globex   resolved",
    ):  # fmt: skip
        assert words in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr
    assert "The dashboard" not in shown.stdout, "it has ended"


def test_progress(shown: subprocess.CompletedProcess[str]) -> None:
    """It says what it does while it does it, in plain lines where there is no terminal."""
    assert len(re.findall(r"requests, \d+ answered", shown.stderr)) >= 3
    assert "\x1b" not in shown.stdout + shown.stderr


def test_data_is_kept(shown: subprocess.CompletedProcess[str], home: Path) -> None:
    """The data can be asked afterwards, also about what was not shown."""
    assert shown.returncode == 0, shown.stderr
    query = "SELECT count(DISTINCT agent_name) AS agents, bool_or(ttfb_ms > 1500) AS slow FROM runs"
    done = quietpager("sql", "--data", str(home), "--format", "csv", query)

    assert done.stdout == "agents,slow\n3,true\n"


def test_directory_in_use(tmp_path: Path) -> None:
    """A directory that holds something is left alone."""
    (tmp_path / "mine").touch()
    done = quietpager("demo", "--data", str(tmp_path))

    assert done.returncode == 1
    assert done.stderr == (
        f"quietpager: {tmp_path} is not empty; name a new directory with --data\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_early(number: int, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM end everything that was started, at any time."""
    demo = subprocess.Popen(
        (*COMMAND, "demo", "--data", str(tmp_path / "home")),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert demo.stderr is not None
    while "ask three agents" not in demo.stderr.readline():
        assert demo.poll() is None
    time.sleep(1)
    demo.send_signal(number)

    told = demo.stderr.read()
    assert demo.wait(60) == 0, told
    assert "stopped" in told
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert str(tmp_path) not in line.read_text()
        except OSError:
            continue


def log(home: Path, name: str) -> str:
    return (home / f"{name}.log").read_text()
