"""The same conversation on several frameworks in turn, and what a node costs that does nothing."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import environments
import httpx
from figures import progress, quantile

from demo import vendor
from demo.processes import running

PROGRAMS = Path(__file__).parent / "agents"
TURNS = 5
"""How often each is asked: what else the machine does then hits all of them alike."""
WARM_UP_SECONDS = 0.5
CALLS_A_CONVERSATION = 2
ANSWER = "Order 1042 was shipped this morning and should reach you within two working days."
RULES = (
    {"first_token_ms": 0, "token_ms": 0, "text": ANSWER},
    {"tool_calls": [{"name": "find_order", "arguments": {"order_id": 1042}}]},
)


@dataclass(frozen=True)
class Framework:
    """A program below `agents/`, and the packages that it needs; none for our own environment."""

    program: str
    packages: Sequence[str] = ()


OURS, BY_HAND = "agent_runtime", "by hand"
PEERS: Mapping[str, Framework] = {
    "langgraph": Framework("on_langgraph.py", ("langgraph", "langchain-openai")),
    "pydantic-ai": Framework("on_pydantic_ai.py", ("pydantic-ai-slim[openai]",)),
}
_ALWAYS: Mapping[str, Framework] = {
    BY_HAND: Framework("by_hand.py"),
    OURS: Framework("ours.py"),
}


@dataclass
class Measured:
    """What came of a task, in ms: how long it took each time, and processor time, by turn."""

    took_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def p(self, percentile: int) -> float:
        """So many percent of the repetitions took no longer, in ms."""
        return quantile(self.took_ms, percentile)

    @property
    def cpu(self) -> float:
        """Processor time of one repetition in half of the turns, in ms."""
        return statistics.median(self.cpu_ms)


@dataclass(frozen=True)
class Results:
    """By framework; nodes only of those that have graphs of them."""

    conversations: Mapping[str, Measured]
    nodes: Mapping[str, Measured]
    versions: Mapping[str, str]


class Agent:
    """A running program that does what it is asked, one task at a time."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self._process = process
        self._log = log
        self.tasks: Sequence[str] = self._answer()
        self.conversations = 0

    def do(self, task: str, seconds: float, into: Measured) -> None:
        """Have it repeat a task for so long and add what came out."""
        assert self._process.stdin is not None
        print(json.dumps([task, seconds]), file=self._process.stdin, flush=True)
        result = self._answer()
        into.took_ms += result["took_ms"]
        into.cpu_ms.append(result["cpu_ms"])
        self.conversations += result["times"] if task == "conversation" else 0

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"{self._process.args[1]}: {self._log.read_text()[-1000:]}")
        return json.loads(line)


def compare(folder: Path, seconds: float, peers: Sequence[str]) -> Results:
    """Converse for `seconds` on each framework, then walk through nodes for as long.

    :raises RuntimeError: when one cannot, or did not ask the model twice a conversation.
    """
    chosen = {**_ALWAYS, **{name: PEERS[name] for name in peers}}
    pythons = {name: _python(name, framework) for name, framework in chosen.items()}
    with ExitStack() as parts:
        model_url = parts.enter_context(server("models", folder, "-m", "demo.model_server"))
        otlp_url = parts.enter_context(server("sink", folder, str(PROGRAMS / "sink.py")))
        vendor.follow(model_url, *RULES)
        given = {"model_url": model_url, "otlp_url": otlp_url, "answer": ANSWER,
                 "store": f"sqlite:///{folder}/threads.db"}  # fmt: skip
        agents = {
            name: parts.enter_context(
                _agent(pythons[name], PROGRAMS / framework.program, given, folder / f"{name}.log")
            )
            for name, framework in chosen.items()
        }
        conversations = _in_turn(agents, "conversation", seconds)
        wanted = CALLS_A_CONVERSATION * sum(agent.conversations for agent in agents.values())
        if (calls := len(calls_in_ledger(model_url))) != wanted:
            raise RuntimeError(f"the model was called {calls} times for {wanted // 2} answers")
        graphs = {name: agent for name, agent in agents.items() if "nodes" in agent.tasks}
        return Results(
            conversations,
            _in_turn(graphs, "nodes", seconds),
            {name: _version(pythons[name], PEERS[name]) for name in peers},
        )


@contextmanager
def server(name: str, folder: Path, *program: str) -> Iterator[str]:
    """A program of ours that prints its URL when it is ready; drained at the end."""
    with running(name, [sys.executable, *program], folder / f"{name}.log") as process:
        (url,) = process.lines(1)
        yield url


def calls_in_ledger(model_url: str) -> Sequence[Mapping[str, Any]]:
    """Every call that the model server took, as its ledger has them."""
    answer = httpx.get(httpx.URL(model_url).join("/ledger"), timeout=60).raise_for_status()
    return answer.json()["calls"]


def _in_turn(agents: Mapping[str, Agent], task: str, seconds: float) -> Mapping[str, Measured]:
    results = {name: Measured() for name in agents}
    for name, agent in agents.items():
        progress(f"{task} on {name}, {seconds:.0f} s in {TURNS} turns")
        agent.do(task, min(WARM_UP_SECONDS, seconds), Measured())
    for _ in range(TURNS):
        for name, agent in agents.items():
            agent.do(task, seconds / TURNS, results[name])
    return results


@contextmanager
def _agent(python: Path, program: Path, given: Mapping[str, str], log: Path) -> Iterator[Agent]:
    settings = json.dumps({**given, "log": str(log)})
    # Keys and exporters of whoever runs the benchmark must not change what is measured.
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("OPENAI_", "OTEL_", "LANG", "LOGFIRE_"))}  # fmt: skip
    with log.open("w") as stderr, subprocess.Popen(
        [str(python), str(program), settings],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment,
    ) as process:  # fmt: skip
        try:
            yield Agent(process, log)
        finally:
            process.kill()


def _python(name: str, framework: Framework) -> Path:
    if not framework.packages:
        return Path(sys.executable)
    return environments.installed(name, *framework.packages) / "python"


def _version(python: Path, framework: Framework) -> str:
    package, _, _ = framework.packages[0].partition("[")
    (version,) = environments.versions(python.parent, [package])
    return version
