"""One agent in a process of its own, with its vendor and services, for all who only disturb it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from demo.model_server import ModelServer, Rule, running
from demo.model_server.ledger import Call
from tests.agent_runtime.conftest import Answer, wait_until

from .clients import ask_all
from .served import Served, Services, services, serving


@pytest.fixture
def books() -> Iterator[Services]:
    """What the agent calls besides its model."""
    with services() as books:
        yield books


@dataclass
class World:
    """The agent and all that it talks to; `calls` and `lines` are those since the test began."""

    agent: Served
    vendor: ModelServer
    books: Services
    calls_before: int = field(init=False)
    lines_before: int = field(init=False)

    def __post_init__(self) -> None:
        self.calls_before = len(self.vendor.calls())
        self.lines_before = len(self.agent.lines())
        self.books.requests.clear()
        self.books.memory = "up"
        self.books.payments.effects.clear()
        self.books.payments.faults.clear()

    def ask(self, **asked: str) -> dict[str, Answer]:
        """What each thread's user says, all at the same time; returns when all have their lines."""
        expected = len(self.lines("agent.run")) + len(asked)
        answers = ask_all(self.agent.url, asked)
        wait_until(lambda: len(self.lines("agent.run")) >= expected)
        return answers

    def calls(self) -> list[Call]:
        """The vendor's ledger."""
        return list(self.vendor.calls()[self.calls_before :])

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """The agent's lines."""
        lines = self.agent.lines()[self.lines_before :]
        return [line for line in lines if event in (None, line["event"])]


@pytest.fixture(scope="session")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The parts, which stay up for all tests."""
    home = tmp_path_factory.mktemp("agent")
    with (
        running(Rule(first_token_ms=0, token_ms=0)) as vendor,
        services() as books,
        serving(home, vendor, books.url, fallback=["openai:m2"]) as agent,
    ):
        yield World(agent, vendor, books)


@pytest.fixture
def world(standing: World) -> World:
    """The parts, as if they were new; each test has threads of its own."""
    return World(standing.agent, standing.vendor, standing.books)
