"""A lake of a test's own, and questions about it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from analytics import Analytics, PriceOverride
from tests.analytics.telemetry import Telemetry

Opener = Callable[..., Analytics]
Rows = list[dict[str, Any]]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def opened(telemetry: Telemetry, tmp_path: Path) -> Iterator[Opener]:
    """Opens analytics over what `telemetry` holds by then."""
    with ExitStack() as stack:

        def open_(prices: Sequence[PriceOverride] = ()) -> Analytics:
            lake = telemetry.lake(tmp_path / "lake")
            return stack.enter_context(Analytics(lake, prices=prices, threads=1))

        yield open_


@pytest.fixture
def rows(opened: Opener) -> Callable[[str], Rows]:
    """The rows that a query gives over what `telemetry` holds by then."""

    def ask(sql: str, **params: object) -> Rows:
        answer: Rows = opened().query(sql, params).to_pylist()
        return answer

    return ask
