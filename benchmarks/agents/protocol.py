"""What the programs beside it are asked, and how they answer. Standard library only: each runs in
the environment of its own framework.

A program is given its settings as one JSON argument. Then each line of stdin is a task and seconds,
and each line that it answers is what came out, as JSON. What its framework prints goes to a file.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

QUESTION = "Please find order 1042."
NODES = 24
"""Of the graph that does nothing."""

Task = Callable[[], Awaitable[list[float]]]
"""Does something once and says how long each part of it took, in ms."""


def settings() -> dict[str, Any]:
    """What the program was given."""
    return json.loads(sys.argv[1])


def answer(make_tasks: Callable[[], Mapping[str, Task]]) -> None:
    """Do what stdin asks for, until it ends. Tasks are made once their output goes to a file."""
    with os.fdopen(os.dup(1), "w") as answers, Path(settings()["log"]).open("ab") as log:
        os.dup2(log.fileno(), 1)
        asyncio.run(_answer(make_tasks(), answers))


async def _answer(tasks: Mapping[str, Task], answers: Any) -> None:
    print(json.dumps(sorted(tasks)), file=answers, flush=True)
    # Nothing else is to be done while waiting for the next line, so it may block.
    for line in sys.stdin:
        name, seconds = json.loads(line)
        print(json.dumps(await _repeat(tasks[name], seconds)), file=answers, flush=True)


async def _repeat(task: Task, seconds: float) -> dict[str, Any]:
    took: list[float] = []
    times = 0
    began, cpu = time.perf_counter(), time.process_time()
    while times == 0 or time.perf_counter() - began < seconds:
        took += await task()
        times += 1
    return {
        "times": times,
        "took_ms": took,
        "cpu_ms": (time.process_time() - cpu) * 1000 / times,
    }


async def timed(conversation: Callable[[], Awaitable[str]]) -> list[float]:
    """One conversation, from the question until the last word of the answer, in ms."""
    began = time.perf_counter()
    text = await conversation()
    took = (time.perf_counter() - began) * 1000
    if text != (wanted := settings()["answer"]):
        raise RuntimeError(f"the answer is {text!r}, not {wanted!r}")
    return [took]


def between(moments: list[float]) -> list[float]:
    """From each moment to the next, in ms."""
    return [(after - before) * 1000 for before, after in pairwise(moments)]
