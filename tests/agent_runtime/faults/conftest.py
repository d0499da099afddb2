"""A vendor and services that the tests of a module share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.model_server import ModelServer, Rule, running

from .served import Services, services


@pytest.fixture
def books() -> Iterator[Services]:
    """What the agent calls besides its model."""
    with services() as books:
        yield books


@pytest.fixture(scope="module")
def shared_vendor() -> Iterator[ModelServer]:
    """A vendor for all tests of a module; what it did before is in its ledger."""
    with running(Rule(first_token_ms=0, token_ms=0)) as server:
        yield server


@pytest.fixture(scope="module")
def shared_books() -> Iterator[Services]:
    """Services for all tests of a module."""
    with services() as books:
        yield books


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes of a module keep threads and logs."""
    return tmp_path_factory.mktemp("agent")
