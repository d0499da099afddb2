"""Runs commands of the real `quietpager`, and makes telemetry for it."""

import io
import os
import subprocess
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from cli.app import answer
from tests.sidecar import COMMAND, ENVIRONMENT


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def quietpager(*arguments: str, **options: str) -> Done:
    """Run a command in this process: it would take seconds to load in one of its own.

    Not `up`, which becomes another program.
    """
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    with (
        patch.dict(os.environ, ENVIRONMENT | options, clear=True),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        code = answer(arguments)
    return Done(code, *(stream.buffer.getvalue().decode() for stream in (stdout, stderr)))


def process(
    *arguments: str, cwd: Path | None = None, **options: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user's shell would."""
    return subprocess.run(
        (*COMMAND, *arguments),
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT | options,
        cwd=cwd,
        timeout=60,
    )


def attribute(key: str, value: str | int | float) -> dict[str, object]:
    kind = {str: "stringValue", int: "intValue", float: "doubleValue"}[type(value)]
    return {"key": key, "value": {kind: value}}


def span(
    number: int, name: str, parent: int | None = None, **attributes: object
) -> dict[str, object]:
    """A span of 100 ms, `number` seconds ago; a dunder in a name stands for a dot."""
    begin = time.time_ns() - number * 10**9
    return {
        "traceId": f"{(parent or number):032x}",
        "spanId": f"{number:016x}",
        "name": name,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 10**8),
        "status": {"code": 2 if "error__type" in attributes else 1},
        "attributes": [
            attribute(key.replace("__", "."), value)  # type: ignore[arg-type]
            for key, value in attributes.items()
        ],
    } | ({"parentSpanId": f"{parent:016x}"} if parent else {})


def run(number: int, tenant: str, model: str, *, tool_fails: bool) -> list[dict[str, object]]:
    """A run with one model call and one tool call."""
    who = {
        "tenant__id": tenant,
        "user__id": f"{tenant}-user",
        "gen_ai__conversation__id": f"thread-{number}",
        "agent__run__id": f"run-{number}",
        "gen_ai__agent__name": "support",
    }
    failure = {"error__type": "Timeout"} if tool_fails else {}
    return [
        span(number, "invoke_agent support", gen_ai__operation__name="invoke_agent",
             agent__ttfb_ms=100.0 + number, agent__outcome="success", **who),
        span(number + 1, f"chat {model}", number, gen_ai__operation__name="chat",
             gen_ai__provider__name="openai", gen_ai__request__model=model,
             gen_ai__response__model=model, gen_ai__response__id=f"r{number}",
             gen_ai__usage__input_tokens=1000, gen_ai__usage__output_tokens=100, **who),
        span(number + 2, "execute_tool lookup", number, gen_ai__operation__name="execute_tool",
             gen_ai__tool__name="lookup", **who, **failure),
    ]  # fmt: skip
