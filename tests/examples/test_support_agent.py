"""The support agent of the examples, as its README starts it, asked over HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo.model_server import ModelServer, Rule, running
from examples.support_agent.shop import Books, create_shop
from tests.agent_runtime.conftest import listening, wait_until
from tests.agent_runtime.faults.served import is_ready

CUSTOMER = {"X-Tenant-Id": "acme", "X-User-Id": "ada"}
COLLEAGUE = CUSTOMER | {"X-Staff-Token": "of-the-shop"}
YES, NO = {"approved": True}, {"approved": False}
Event = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Agent:
    """The running agent and its log."""

    url: str
    log: Path

    def post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] = CUSTOMER
    ) -> list[Event]:
        """The events that answer a request."""
        answer = httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
        return [
            (kind.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
            for kind, data in (block for block in blocks if len(block) == 2)
        ]

    def ask(self, thread: str, text: str) -> list[Event]:
        """The events of a run."""
        return self.post(f"/threads/ada:{thread}/runs", {"input": text})

    def answer(self, thread: str, value: Mapping[str, bool]) -> list[Event]:
        """The events of the run that goes on with a colleague's answer to what is asked now."""
        asked = httpx.get(f"{self.url}/threads/ada:{thread}", headers=CUSTOMER).json()
        body = {"question": asked["question"], "value": value}
        return self.post(f"/threads/ada:{thread}/resume", body, COLLEAGUE)

    def summary(self, events: list[Event]) -> dict[str, Any]:
        """The run's line."""
        run_id = events[0][1]["run_id"]

        def found() -> list[dict[str, Any]]:
            complete = self.log.read_text().rpartition("\n")[0].splitlines()[1:]
            lines = [json.loads(line) for line in complete]
            return [line for line in lines if (line["event"], line.get("run_id"))
                    == ("agent.run", run_id)]  # fmt: skip

        wait_until(found)  # the client may have read the end before the line is written
        [line] = found()
        return line


@contextmanager
def started(
    repository: Path, home: Path, *, by: signal.Signals = signal.SIGTERM, **settings: str
) -> Iterator[Agent]:
    """`python -m examples.support_agent`, ended by a signal."""
    log = home / "agent.log"
    theirs = ("OPENAI_", "OTEL_", "SHOP_", "AGENT_RUNTIME_", "STAFF_")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(theirs)},
        "AGENT_RUNTIME_STORE": f"sqlite:///{home}/threads.db",
        "OTEL_SDK_DISABLED": "true",
        **settings,
    }
    with log.open("w") as stdout, log.with_suffix(".err").open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.support_agent", "--port", "0"],
            cwd=repository, env=environment, stdout=stdout, stderr=stderr, text=True,
        )  # fmt: skip
    try:
        wait_until(lambda: log.read_text().endswith("\n"), 60)
        url = log.read_text().split()[0]
        wait_until(lambda: is_ready(url), 60)
        yield Agent(url, log)
    finally:
        process.send_signal(by)
        assert process.wait(30) in (0, -by, 128 + by), log.with_suffix(".err").read_text()


@dataclass(frozen=True)
class World:
    """An agent whose shop and model are the test's."""

    agent: Agent
    books: Books
    vendor: ModelServer


@pytest.fixture(scope="module")
def world(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One agent for all tests; each has threads, orders or users of its own."""
    books = Books(orders=dict.fromkeys(range(1, 9), 1900) | dict.fromkeys(range(9, 14), 12_900))
    home = tmp_path_factory.mktemp("agent")
    with (
        running(Rule(first_token_ms=0, token_ms=0)) as vendor,
        listening(create_shop(books)) as shop,
        started(
            repository, home,
            SHOP_URL=shop, OPENAI_BASE_URL=vendor.base_url, OPENAI_API_KEY="k",
            STAFF_TOKEN=COLLEAGUE["X-Staff-Token"],
        ) as agent,
    ):  # fmt: skip
        yield World(agent, books, vendor)


def test_one_command_starts_everything(repository: Path, tmp_path: Path) -> None:
    """What the README says to type needs nothing that is not on this machine."""
    with started(repository, tmp_path) as agent:
        events = agent.ask("t1", "Please refund order 1042.")
        assert ("tool.end", False) in outcomes_of_tools(events)
        assert events[-1][1]["outcome"] == "success"


def test_a_search_is_looked_up(world: World) -> None:
    """The model gets what the shop's pages say, and the shop learns for which thread."""
    events = world.agent.ask("search-1", "Please search for delivery.")
    assert events[-1][1]["outcome"] == "success"
    assert "ada:search-1" in world.books.threads
    assert world.agent.summary(events)["tool_calls"] == 1


def test_an_order_is_paid_back_once(world: World) -> None:
    """Asked for in two threads it is one refund; the second answer is the first one's."""
    for thread in ("refund-1", "refund-2"):
        events = world.agent.ask(thread, "Please refund order 3.")
        assert outcomes_of_tools(events) == [("tool.end", False)]
    assert refunded(world, 3) == 1


def test_a_large_refund_waits_for_a_colleague(world: World) -> None:
    """The run ends with the question; nothing is paid until it is resumed with a yes."""
    asked = world.agent.ask("large-1", "Please refund order 9.")
    [question] = [data for name, data in asked if name == "interrupted"]
    assert question["payload"]["cents"] == 12_900
    assert (asked[-1][1]["outcome"], asked[-1][1]["outcome_reason"]) == ("interrupt", "human")
    assert refunded(world, 9) == 0
    resumed = world.agent.answer("large-1", YES)
    assert resumed[-1][1]["outcome"] == "success"
    assert refunded(world, 9) == 1


def test_a_colleague_approves_only_what_they_have_seen(world: World) -> None:
    """The customer asks for another refund meanwhile: the answer to the first one pays neither."""
    asked = world.agent.ask("large-3", "Please refund order 12.")
    [seen] = [data for name, data in asked if name == "interrupted"]
    world.agent.ask("large-3", "Please refund order 13.")
    path = f"{world.agent.url}/threads/ada:large-3/resume"
    for question in ({"question": seen["question"]}, {}):
        refused = httpx.post(path, json={"value": YES} | question, headers=COLLEAGUE)
        assert refused.status_code == 409
    assert (refunded(world, 12), refunded(world, 13)) == (0, 0)
    for _ in range(2):
        httpx.post(path, json={"value": YES, "question": seen["question"]}, headers=COLLEAGUE)
    world.agent.answer("large-3", YES)
    assert (refunded(world, 12), refunded(world, 13)) == (0, 1)


@pytest.mark.parametrize("token", [None, "", "of-the-shopper", "möbel"])
def test_a_customer_cannot_approve_their_own_refund(world: World, token: str | None) -> None:
    """Without the token of staff an answer is refused, and the question stays."""
    thread = f"own-{token and len(token)}"
    world.agent.ask(thread, "Please refund order 11.")
    headers = CUSTOMER if token is None else CUSTOMER | {"X-Staff-Token": token.encode()}
    path = f"{world.agent.url}/threads/ada:{thread}"
    refused = httpx.post(f"{path}/resume", json={"value": YES}, headers=headers)
    assert refused.status_code == 403
    assert httpx.get(path, headers=CUSTOMER).json()["asked"]["cents"] == 12_900
    again = world.agent.post(f"/threads/ada:{thread}/resume", {})
    assert (again[-1][1]["outcome"], again[-1][1]["outcome_reason"]) == ("interrupt", "human")
    assert refunded(world, 11) == 0


@pytest.mark.parametrize("user", ["bob", "ad", "ada:t1", "ADA"])
def test_a_thread_is_its_users(world: World, user: str) -> None:
    """Nobody else of the tenant reads it, speaks in it or goes on with it, or learns that it is
    there; a thread that names nobody is nobody's."""
    world.agent.ask("secret", "Good morning.")
    hers = f"{world.agent.url}/threads/ada:secret"
    before = httpx.get(hers, headers=CUSTOMER).json()
    other = {"X-Tenant-Id": "acme", "X-User-Id": user}
    for thread in ("ada:secret", "ada:none", "secret"):
        path = f"{world.agent.url}/threads/{thread}"
        refused = [
            httpx.get(path, headers=other),
            httpx.post(f"{path}/runs", json={"input": "What did ada say?"}, headers=other),
            httpx.post(f"{path}/resume", headers=other),
        ]
        assert {each.status_code for each in refused} == {404}
        assert len({each.text for each in refused}) == 1
        assert "ada" not in refused[0].text.replace(user, "")
    assert httpx.get(hers, headers=CUSTOMER).json() == before


def test_ctrl_c_ends_it_without_a_traceback(repository: Path, tmp_path: Path) -> None:
    """All that it started ends with it, and says nothing of it."""
    with started(repository, tmp_path, by=signal.SIGINT) as agent:
        agent.ask("t1", "Please refund order 1042.")
    said = agent.log.with_suffix(".err").read_text()
    assert "The support agent listens on" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("port", "settings", "says"),
    [
        ("99999", {}, r"port 99999 cannot be listened on \(.*65535.*--port"),
        ("taken", {}, r"port \d+ cannot be listened on \(Address already in use\); .*--port"),
        ("0", {"APPROVE_ABOVE_CENTS": "x"}, "APPROVE_ABOVE_CENTS='x' must be a whole number"),
        ("0", {"AGENT_RUNTIME_STORE": "sqlite:////no/t.db"}, "store cannot be used: /no/t.db: "),
    ],
)
def test_what_is_set_wrong_is_a_line(
    repository: Path, port: str, settings: dict[str, str], says: str
) -> None:
    """It names what is wrong, and what to do; there is no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1]) if port == "taken" else port
        ended = subprocess.run(
            [sys.executable, "-m", "examples.support_agent", "--port", number],
            cwd=repository, env=os.environ | settings, text=True, check=False,
            capture_output=True, timeout=60,
        )  # fmt: skip
    assert ended.returncode != 0
    assert re.search(says, ended.stderr)
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("body", ["null", "", "{}"])
def test_a_resume_may_say_nothing(world: World, body: str) -> None:
    """Then it is no answer, and needs no staff: there is nothing to resume."""
    world.agent.ask("null-1", "Good morning.")
    path = f"{world.agent.url}/threads/ada:null-1/resume"
    headers = CUSTOMER | {"content-type": "application/json"}
    assert httpx.post(path, content=body, headers=headers).status_code == 409


def test_what_a_colleague_does_not_approve_is_not_done(world: World) -> None:
    """With anything but a yes the model is told so, and nothing is paid."""
    world.agent.ask("large-2", "Please refund order 10.")
    resumed = world.agent.answer("large-2", NO)
    assert resumed[-1][1]["outcome"] == "success"
    assert outcomes_of_tools(resumed) == []
    assert refunded(world, 10) == 0


def test_an_order_that_is_not_there_is_no_error_of_the_run(world: World) -> None:
    """The shop refuses, the model sees it, the customer gets an answer."""
    events = world.agent.ask("unknown-1", "Please refund order 77.")
    assert outcomes_of_tools(events) == [("tool.end", True)]
    assert events[-1][1]["outcome"] == "success"
    assert world.agent.summary(events)["tool_errors"] == 1


def test_without_its_memory_it_answers(world: World) -> None:
    """A memory that hangs costs its 0.3 s: the answer comes, and the line says what it lacked."""
    world.books.memory_hangs = True
    try:
        events = world.agent.ask("forgetful", "Good morning.")
    finally:
        world.books.memory_hangs = False
    assert events[-1][1]["outcome"] == "success"
    assert world.agent.summary(events)["degraded"] == ["memory"]
    remembering = world.agent.ask("forgetful", "Good morning again.")
    assert world.agent.summary(remembering)["degraded"] == []


def test_while_the_shop_is_down_the_customer_gets_a_sentence(world: World) -> None:
    """Nothing is paid whose amount is not known; the model is told and says so, and once the shop
    is back, the same thread gets its refund."""
    world.books.down = True
    try:
        events = world.agent.ask("down-1", "Please refund order 5.")
    finally:
        world.books.down = False
    assert events[-1][1]["outcome"] == "success"
    assert "".join(data["text"] for name, data in events if name == "token")
    line = world.agent.summary(events)
    assert (line["llm_calls"], line["degraded"]) == (2, ["memory", "orders"])
    assert refunded(world, 5) == 0
    world.agent.ask("down-1", "Please refund order 5.")
    assert refunded(world, 5) == 1


def outcomes_of_tools(events: list[Event]) -> list[tuple[str, bool]]:
    return [(name, data["is_error"]) for name, data in events if name == "tool.end"]


def refunded(world: World, order: int) -> int:
    """How often an order was paid back."""
    return [paid["order_id"] for paid in world.books.refunds.values()].count(order)
