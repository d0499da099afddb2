"""The demo's answers, printed by the very commands a user would run."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from demo.processes import DemoFailed, own_environment

COMMAND = (sys.executable, "-m", "cli")


@dataclass(frozen=True, slots=True)
class Question:
    """What a user wants to know, and the arguments of `quietpager` that answer it."""

    title: str
    arguments: Sequence[str]


QUESTIONS = (
    Question("Do users get what they were promised?", ("slo", "--window", "1h")),
    Question("Which tools fail?", ("tools", "--since", "1h")),
    Question("Who spent the money?", ("cost", "--by", "tenant,model", "--since", "1h")),
    Question("What woke somebody up?", ("alerts",)),
)


def sidecar_command(config: Path) -> Sequence[str]:
    """The command that runs the sidecar."""
    return (*COMMAND, "up", "--config", str(config))


def print_answers(config: Path) -> None:
    """Ask every question and print question, command and answer on stdout."""
    for question in QUESTIONS:
        command = f"quietpager {' '.join(question.arguments)}"
        typer.echo(f"\n{question.title}\n$ {command}\n")
        done = subprocess.run(  # noqa: S603 - our own program
            (*COMMAND, *question.arguments, "--config", str(config)),
            check=False, env=own_environment(),
        )  # fmt: skip
        if done.returncode:
            raise DemoFailed(f"{command} failed with exit code {done.returncode}")


def count_runs(config: Path) -> int:
    """How many runs have reached the lake."""
    query = "SELECT count(*) AS runs FROM runs"
    done = subprocess.run(  # noqa: S603 - our own program
        (*COMMAND, "sql", "--config", str(config), "--format", "csv", query),
        check=False, capture_output=True, text=True, env=own_environment(),
    )  # fmt: skip
    if done.returncode:
        raise DemoFailed(f"quietpager sql failed: {done.stderr.strip()}")
    return int(done.stdout.split()[-1])
