"""Which names of agent telemetry count as known, and which are new."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.decode import Signal, decode
from ingest.privacy.known import known_names, vetted_names
from ingest.privacy.words import Look, look_of
from ingest.segment_rows import ROWS_OF
from lake.mapping_file import SHIPPED
from tests.ingest.test_rows import FIXTURES
from tests.ingest.values import RECEIVED

KNOWN = known_names(SHIPPED)


def names_in(path: Path) -> Iterator[str]:
    signal: Signal = "logs" if path.stem.startswith("logs") else "traces"
    for rows in ROWS_OF[signal](decode(signal, [path.read_bytes()], [RECEIVED]), SHIPPED):
        for row in rows.to_pylist():
            events = [event["attributes"] for event in row.get("events") or []]
            for attributes in (row["attributes"], row["resource_attributes"], *events):
                yield from (name for name, _ in attributes)


def is_known(name: str) -> bool:
    return re.fullmatch(KNOWN.pattern, name) is not None


def test_recordings_have_no_name_that_nobody_has_looked_at() -> None:
    """Whatever real libraries sent is mapped, content, or left unmapped on purpose."""
    names = {name for path in FIXTURES.glob("*.pb") for name in names_in(path)}
    ours = {name for name in names if name.startswith(tuple(KNOWN.prefixes))}
    assert len(ours) > 150
    assert sorted(name for name in ours if not is_known(name)) == []


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.request.reasoning.budget", "gen_ai.response.new", "gen_ai.usage.new.input_tokens",
        "gen_ai.openai.request.new", "gen_ai.azure.new", "gen_ai.evaluation.new", "mcp.new",
        "gen_ai.agent.new", "gen_ai.tool.new", "gen_ai.conversation.new", "gen_ai.memory.new",
        "llm.request.new", "traceloop.entity.new", "ai.model.new", "langfuse.observation.new",
    ],
)  # fmt: skip
def test_a_new_name_of_a_ruled_namespace_is_new(name: str) -> None:
    """No wildcard hides it."""
    assert not is_known(name)


def test_names_that_users_and_vendors_choose_are_known() -> None:
    """A tail of theirs says nothing about a convention."""
    for name in (
        "traceloop.association.properties.mine", "langsmith.metadata.mine", "gen_ai.cost.mine",
        "gen_ai.usage.details.new_tokens", "ai.settings.mine",
    ):  # fmt: skip
        assert is_known(name)


def test_what_was_looked_at_is_no_content() -> None:
    """A name listed by hand that looks like content would be kept with what was said in it."""
    looking = {name for name in vetted_names() if look_of(name) & (Look.CERTAIN | Look.LIKELY)}
    assert looking == {
        "gen_ai.request.reasoning_summary", "gen_ai.request.tool_choice",  # settings of the call
        "llm.cost.prompt", "llm.cost.completion",  # dollars
    }  # fmt: skip
