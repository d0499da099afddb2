"""The shipped SQL: `sql/views/` builds what users query, every other folder holds questions."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

VIEWS = (
    "runs",
    "llm_calls",
    "tool_calls",
    "nodes",
    "usage",
    "spans",
    "logs",
    "metrics",
    "prices",
)
"""The views that are an interface: names and columns may be added, never renamed."""

FACTS = ("span_facts", "log_facts")
"""The steps that all others read the lake through."""

# Every file of sql/views/, each after those it rests on.
ORDER = (
    "asked",
    "earlier_spans",
    "log_facts",
    "other_traces",
    "span_facts",
    "prices",
    "spans",
    "logs",
    "metrics",
    "trace_identity",
    "outermost_agents",
    "stray_calls",
    "agentless_roots",
    "run_members",
    "told_endings",
    "overruled",
    "run_troubles",
    "run_spans",
    "thread_runs",
    "run_lines",
    "log_runs",
    "run_summaries",
    "call_lines",
    "line_runs",
    "log_only_runs",
    "repeated_calls",
    "inside_calls",
    "nested_calls",
    "sibling_calls",
    "merged_calls",
    "retold_calls",
    "rollup_spans",
    "rolled_up",
    "line_usage",
    "models_used",
    "call_prices",
    "llm_spans",
    "line_calls",
    "billed",
    "merged_tools",
    "tool_spans",
    "summed_tools",
    "llm_calls",
    "usage",
    "tool_calls",
    "nodes",
    "run_endings",
    "run_starts",
    "lone_starts",
    "brief_run_starts",
    "runs",
    "run_success",
    "run_tools",
)
SQL = files("analytics") / "sql"
# The one table made outside SQL, and the step it is made of.
MATCHED = {"price_matches": "models_used"}
SOURCE = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")


class UnknownQuestion(LookupError):  # noqa: N818  (a name of the interface)
    """No shipped .sql file has this name; the message lists near ones."""


@dataclass(frozen=True, slots=True)
class Question:
    """A file of a folder other than `sql/views/`: one SELECT, its header the documentation."""

    name: str
    sql: str
    rests_on: frozenset[str]


@dataclass(frozen=True, slots=True)
class Step:
    """A file of `sql/views/`: a statement that creates one table or view from others."""

    name: str
    sql: str
    rests_on: frozenset[str]


def question_named(name: str) -> Question:
    """The question of that name. Raises UnknownQuestion."""
    shipped = questions()
    if name not in shipped:
        near = get_close_matches(name, shipped, n=3, cutoff=0.4) or shipped
        raise UnknownQuestion(f"no question {name!r}; did you mean {', '.join(near)}?")
    return shipped[name]


@cache
def questions() -> dict[str, Question]:
    """Every question by name, such as ``slo/ttfb``, sorted."""
    found: dict[str, Question] = {}
    for room in SQL.iterdir():
        if room.is_dir() and room.name != "views":
            for file in room.iterdir():
                if file.name.endswith(".sql"):
                    name = f"{room.name}/{file.name.removesuffix('.sql')}"
                    sql = file.read_text(encoding="utf-8")
                    found[name] = Question(name, sql, _sources_of(sql))
    return dict(sorted(found.items()))


def steps_for(names: Iterable[str]) -> tuple[Step, ...]:
    """The steps that create these tables and views, those they rest on first."""
    wanted = set(names)
    chosen = []
    for name in reversed(ORDER):
        if name in wanted:
            step = _steps()[name]
            chosen.append(step)
            wanted |= step.rests_on
    return tuple(reversed(chosen))


def in_passing(steps: Sequence[Step], sql: str) -> tuple[Step, ...]:
    """The steps of a question that is asked alone: what is read in one place only stays a view.

    So no more than the columns it needs is worked out, and less is held in memory. What a recursion
    gives is mostly little, which DuckDB cannot foresee of a view: it would join the wrong way.
    """
    facts = (step.sql for step in steps if step.name in FACTS)  # read everywhere, so theirs too
    texts = (sql, *(step.sql for step in steps), *facts)
    read = Counter(name for text in texts for name in _read_in(text))
    return tuple(
        as_view(step) if read[step.name] == 1 and "RECURSIVE" not in step.sql else step
        for step in steps
    )


def briefly(sql: str) -> tuple[Step, ...]:
    """The steps of a question that reads `run_starts` alone, which are those of `brief_run_starts`.

    There are none for any other question.
    """
    if {name for name in _read_in(sql) if name in ORDER} != {"run_starts"}:
        return ()
    return run_starts_of("brief_run_starts")


@cache
def run_starts_of(stand_in: str) -> tuple[Step, ...]:
    """The steps of another step that stands in for `run_starts`."""
    last = f"CREATE OR REPLACE TEMP VIEW run_starts AS FROM {stand_in}"
    steps = in_passing(steps_for(_sources_of(last)), last)
    return (
        *(_of_other_traces(step) if step.name == "span_facts" else step for step in steps),
        Step("run_starts", last, _sources_of(last)),
    )


def as_view(step: Step) -> Step:
    """The step, worked out anew wherever it is read."""
    return replace(step, sql=step.sql.replace("TEMP TABLE", "TEMP VIEW", 1))


def _of_other_traces(facts: Step) -> Step:
    """The spans that brief_run_starts leaves to the steps before it, which see no others."""
    only = "FROM lake_spans SEMI JOIN other_traces USING (trace_id)"
    return replace(facts, sql=facts.sql.replace("FROM lake_spans", only))


@cache
def _steps() -> dict[str, Step]:
    steps = {}
    for name in ORDER:
        sql = (SQL / "views" / f"{name}.sql").read_text(encoding="utf-8")
        steps[name] = Step(name, sql, _sources_of(sql))
    return steps


def _sources_of(sql: str) -> frozenset[str]:
    """The tables that shipped SQL reads; names of its own (WITH) are among them."""
    return frozenset(_read_in(sql))


def _read_in(sql: str) -> Sequence[str]:
    """The same, once for every place in which it is read."""
    return [MATCHED.get(source, source) for source in SOURCE.findall(sql)]
