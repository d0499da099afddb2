"""Fixtures of the alert tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from analytics.alerts import AlertStore
from tests.analytics.alerts.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
def store(tmp_path: Path) -> AlertStore:
    return AlertStore(tmp_path / "state" / "alerts.sqlite")


@pytest.fixture(autouse=True)
def json_logs() -> None:
    """Log lines as the product writes them, instead of structlog's colourful tracebacks."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    )
