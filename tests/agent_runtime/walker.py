"""Runs of a graph of nodes, each in a process of its own: `python walker.py`.

Reads lines with a JSON array of `Walk`s, forks a child for each, all at once, and answers with an
array of what became of them, null for those that were killed. Each node notes in a ledger that it
did its work.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import structlog

from agent_runtime import END, Context, Graph, Refused, Runtime, State

NODES = 4
PAUSE_S = 0.02


class Walk(TypedDict, total=False):
    """One run."""

    dsn: str
    thread: str
    ledger: str
    resume: bool
    die: str
    """Where the process kills itself: "before 2" is before node 2 does anything, "after 2" when it
    has done everything and is not finished; empty for nowhere."""
    die_after_s: float
    """When it is killed wherever it is; 0 for never."""
    lease_s: float


def note(walk: Walk, number: int) -> None:
    with Path(walk["ledger"]).open("a") as ledger:
        ledger.write(f"{number}\n")


def graph_of(walk: Walk) -> Graph:
    graph = Graph()

    def node(number: int) -> None:
        @graph.node(entry=number == 0, name=f"n{number}")
        async def step(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
            if walk["die"] == f"before {number}":
                os.kill(os.getpid(), signal.SIGKILL)
            note(walk, number)
            await asyncio.sleep(PAUSE_S)
            if walk["die"] == f"after {number}":
                os.kill(os.getpid(), signal.SIGKILL)
            visited = [*state.values.get("visited", []), number]
            return {"visited": visited}, f"n{number + 1}" if number + 1 < NODES else END

    for number in range(NODES):
        node(number)
    return graph


async def play(walk: Walk) -> dict[str, Any]:
    who = {"thread_id": walk["thread"], "tenant_id": "acme", "user_id": "ada"}
    runtime = Runtime(
        graph_of(walk), agent_name="walker", store=walk["dsn"], lease_s=walk["lease_s"]
    )
    async with runtime:
        try:
            if walk["resume"]:
                result = await runtime.resume(**who)
            else:
                result = await runtime.run("hello", **who)
        except Refused as error:
            return {"refused": type(error).__name__}
        at, _ = await runtime.thread(walk["thread"], tenant_id="acme")
    return {
        "outcome": result.outcome.kind,
        "error": repr(result.outcome.error),
        "visited": list(at.state.values["visited"]),
        "said": [message.content for message in at.state.messages],
        "next": at.next_node,
    }


def forked(walk: Walk) -> tuple[int, int]:
    """The child's id, and the pipe on which it answers."""
    reader, writer = os.pipe()
    if child := os.fork():
        os.close(writer)
        return child, reader
    signal.setitimer(signal.ITIMER_REAL, walk["die_after_s"])  # which kills, as nobody handles it
    try:
        os.write(writer, json.dumps(asyncio.run(play(walk))).encode())
    finally:
        os._exit(0)


def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    Runtime(graph_of(Walk()), agent_name="walker")  # what children need is loaded before they are
    for line in sys.stdin:
        answers = []
        for child, reader in [forked(walk) for walk in json.loads(line)]:
            with os.fdopen(reader) as pipe:
                answer = pipe.read()
            os.waitpid(child, 0)
            answers.append(json.loads(answer) if answer else None)
        print(json.dumps(answers), flush=True)


if __name__ == "__main__":
    main()
