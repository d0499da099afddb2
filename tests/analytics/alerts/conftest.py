"""Fixtures of the alert tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics.alerts import AlertStore
from tests.analytics.alerts.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
def store(tmp_path: Path) -> AlertStore:
    return AlertStore(tmp_path / "state" / "alerts.sqlite")
