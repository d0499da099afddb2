"""The shipped SQL: each file under `sql/` is one question, named by its path without suffix."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

# In the order in which they rest on each other; the last ones are what users query.
VIEW_FILES = (
    "prices",
    "call_prices",
    "spans",
    "logs",
    "trace_identity",
    "run_spans",
    "run_members",
    "log_runs",
    "log_only_runs",
    "llm_spans",
    "rollup_spans",
    "billed",
    "tool_spans",
    "llm_calls",
    "usage",
    "tool_calls",
    "nodes",
    "runs",
    "run_success",
    "run_tools",
)
VIEWS = ("runs", "llm_calls", "tool_calls", "nodes", "usage", "spans", "logs", "prices")
"""The views that are an interface: names and columns may be added, never renamed."""

SQL = files("analytics") / "sql"
INNER = ("views", "internal")


class UnknownQuestion(LookupError):  # noqa: N818  (a name of the interface)
    """No shipped .sql file has this name; the message lists near ones."""


@dataclass(frozen=True, slots=True)
class Question:
    """One shipped .sql file."""

    name: str
    sql: str


def question(name: str) -> Question:
    """The question of that name. Raises UnknownQuestion."""
    shipped = questions()
    if name not in shipped:
        near = get_close_matches(name, shipped, n=3, cutoff=0.4) or shipped
        raise UnknownQuestion(f"no question {name!r}; did you mean {', '.join(near)}?")
    return shipped[name]


@cache
def questions() -> dict[str, Question]:
    """Every question by name, sorted; the views are not among them."""
    found: dict[str, Question] = {}
    for room in SQL.iterdir():
        if room.is_dir() and room.name not in INNER:
            for file in room.iterdir():
                if file.name.endswith(".sql"):
                    name = f"{room.name}/{file.name.removesuffix('.sql')}"
                    found[name] = Question(name, file.read_text(encoding="utf-8"))
    return dict(sorted(found.items()))


def view_sql(name: str) -> str:
    """The CREATE VIEW statement of one of `VIEW_FILES`."""
    return (SQL / "views" / f"{name}.sql").read_text(encoding="utf-8")


def internal_sql(name: str) -> str:
    """A statement the front door needs itself, from `sql/internal/`."""
    return (SQL / "internal" / f"{name}.sql").read_text(encoding="utf-8")
