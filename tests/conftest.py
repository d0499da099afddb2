"""What every test may count on: the tools of this machine, or a reason why a test was skipped."""

import os
import shutil
import signal
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests import postgres as servers

REPOSITORY = Path(__file__).resolve().parent.parent
NO_SKIPS = os.environ.get("QUIETPAGER_NO_SKIPS") == "1"
# A test that fails for being slow says more about the machine than about the code.
settings.register_profile("everyday", max_examples=50, deadline=None)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile("everyday")
# Whoever is begun in the background of a script ignores Ctrl-C, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# These wait for processes most of the time: begun first, they leave no worker alone at the end.
BEGUN_FIRST = ("quickstarts", "faults", "collector", "end_to_end", "demo")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With QUIETPAGER_NO_SKIPS=1 a skipped test fails: CI must not pass by leaving tests out."""
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: {reason} (QUIETPAGER_NO_SKIPS=1 forbids skipping)"
    return report


def pytest_itemcollected(item: pytest.Item) -> None:
    """Side by side, the tests of a module stay together; so do all that share a costly fixture."""
    shares = "sidecar" in getattr(item, "fixturenames", ())
    together = _room(item) == "quickstarts" or (_room(item) == "cli" and shares)
    item.add_marker(pytest.mark.xdist_group(_room(item) if together else item.path.stem))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits most."""
    items.sort(key=lambda item: (*BEGUN_FIRST, _room(item)).index(_room(item)))


def _room(item: pytest.Item) -> str:
    return item.nodeid.split("/")[1] if item.nodeid.startswith("tests/") else ""


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a test logs to may be closed when the next one begins."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def collector_binary() -> Path:
    """The OpenTelemetry Collector that `make collector` builds."""
    answer = subprocess.run(
        [REPOSITORY / "collector" / "build", "--path"], check=True, capture_output=True, text=True
    )
    binary = Path(answer.stdout.strip())
    if not binary.exists():
        pytest.skip(f"no collector at {binary}: install Go, then `make collector`")
    return binary


@pytest.fixture(scope="session")
def chromium() -> Path:
    """An installed Chromium or Chrome."""
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return Path(found)
    pytest.skip(f"no Chromium: none of {', '.join(CHROMIUM_NAMES)} is on PATH")


@pytest.fixture(scope="session")
def postgres() -> Iterator[servers.Cluster]:
    """A PostgreSQL server that is up; ask it for a database."""
    if (programs := servers.binaries()) is None:
        pytest.skip(f"no PostgreSQL in {servers.BINARIES}: apt install postgresql")
    with servers.running(programs) as cluster:
        yield cluster
