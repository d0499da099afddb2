"""A data directory with an hour of traffic, and the dashboard over it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from analytics import Analytics
from lake import Lake
from tests.dashboards.agent_traffic import traffic
from tests.dashboards.serving import dashboard, served
from tests.dashboards.watching import watch_past

RUNS = 600


@dataclass(frozen=True)
class Filled:
    """A served data directory."""

    data: Path
    url: str
    now: datetime


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """The dashboard over four tenants' last hour, in which one alert began to fire."""
    data = tmp_path_factory.mktemp("filled")
    now = datetime.now(UTC)
    lake = Lake(data / "lake")
    lake.append("spans", traffic(now, length=timedelta(minutes=58), runs=RUNS), 1)
    watch_past(
        Analytics(lake),
        data / "state" / "alerts.sqlite",
        since=now - timedelta(minutes=13),
        until=now,
    )
    with served(dashboard(data)) as url:
        yield Filled(data, url, now)


@pytest.fixture
def client(filled: Filled) -> Iterator[httpx.Client]:
    """A client of the filled dashboard."""
    with httpx.Client(base_url=filled.url, timeout=30) as client:
        yield client


@pytest.fixture
def empty_url(tmp_path: Path) -> Iterator[str]:
    """The dashboard over a data directory in which nothing was ever written."""
    with served(dashboard(tmp_path)) as url:
        yield url
