"""The SQL of ``agent_runtime/sql``: statements by name, and the steps that make the schema."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal
from urllib.parse import quote

from opentelemetry import propagate

from agent_runtime.identity import current_run

Dialect = Literal["postgres", "sqlite"]
_SQL = files("agent_runtime") / "sql"


@cache
def statement(dialect: Dialect, name: str) -> str:
    """The text of a statement, without what only its readers need."""
    lines = (_SQL / dialect / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("--"))
    return text.strip().removesuffix(";")


@cache
def schema_steps(dialect: Dialect) -> Sequence[str]:
    """What makes the schema, in order; the n-th leads to version n and is never changed again."""
    steps = sorted((_SQL / dialect / "schema").iterdir(), key=lambda step: step.name)
    return tuple(step.read_text(encoding="utf-8") for step in steps if step.name.endswith(".sql"))


def origin(thread_id: str | None) -> str:
    """An SQL comment that says for which thread and trace a statement is run.

    In the form of https://google.github.io/sqlcommenter/spec/, but meant to go in front, because a
    server shows only the beginning of a long statement.
    """
    tags: dict[str, str] = {}
    propagate.inject(tags)
    if thread_id is None and (identity := current_run.get(None)) is not None:
        thread_id = identity.thread_id
    if thread_id is not None:
        tags["thread_id"] = thread_id
    said = ",".join(f"{key}='{quote(tags[key], safe='')}'"
                    for key in ("thread_id", "traceparent") if key in tags)  # fmt: skip
    return f"/*{said}*/ " if said else ""
