"""Calls that two libraries tell, made at random: none is lost, and few are counted twice.

They tell them side by side below one parent, each in a tree of its own, or the client in traces of
its own.
"""

from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import Analytics
from tests.analytics.telemetry import NOON, Telemetry, ms


@dataclass(frozen=True)
class Made:
    """A call of an agent; `waits` ms after the one before began, or after it ended."""

    waits: int
    beside: bool
    took: int
    streamed: bool
    tokens: int | None
    failed: bool


MADE = st.builds(
    Made,
    waits=st.integers(50, 500),
    beside=st.booleans(),
    took=st.integers(1, 400),
    streamed=st.booleans(),
    tokens=st.none() | st.integers(1, 3),
    failed=st.booleans(),
)


Place = Literal["siblings", "trees", "strays"]


def told(made: list[Made], libraries: list[str], place: Place = "siblings") -> Telemetry:
    """What such calls leave below one agent when these libraries are instrumented."""
    telemetry, at, end = Telemetry(), NOON, NOON
    agent = telemetry.agent()
    step = telemetry.span("node", under=agent) if place == "trees" else agent
    for number, call in enumerate(made):
        at = (at if call.beside else end) + ms(call.waits)
        end = max(end, at + ms(call.took))
        both = {
            "under": agent, "input_tokens": call.tokens, "output_tokens": call.tokens,
            "outcome": "error" if call.failed else "success",
        }  # fmt: skip
        handed_out = call.streamed and place == "siblings"
        if "framework" in libraries:
            taken = {"took": 1, "ttfb_ms": call.took - 0.5} if handed_out else {"took": call.took}
            telemetry.llm(at=at, scope_name="framework", **both | taken)
        if "client" in libraries:
            below = {"under": None if call.streamed and place == "strays" else step}
            telemetry.llm(at=at + ms(0.5), took=call.took, scope_name="client",
                          response_id=f"a-response-{number}", **both | below)  # fmt: skip
    return telemetry


@pytest.mark.parametrize("place", ["siblings", "trees", "strays"])
@pytest.mark.parametrize("libraries", [["framework"], ["client"], ["framework", "client"]])
@settings(max_examples=20, deadline=None)
@given(made=st.lists(MADE, min_size=1, max_size=6))
def test_no_call_is_lost(
    libraries: list[str],
    made: list[Made],
    place: Place,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """There are at least the calls that were made, and no more where none is beside another."""
    lake = told(made, libraries, place).lake(tmp_path_factory.mktemp("lake"))
    with Analytics(lake, threads=1) as analytics:
        (answer,) = analytics.query(
            "SELECT COUNT(*) AS calls, CAST(SUM(input_tokens) AS BIGINT) AS tokens FROM llm_calls"
        ).to_pylist()
    tokens = sum(call.tokens or 0 for call in made)
    assert answer["calls"] >= len(made)
    assert (answer["tokens"] or 0) >= tokens
    alike = place == "trees" and any(call.tokens is None for call in made)
    if len(libraries) == 1 or not (alike or any(call.beside for call in made)):
        assert (answer["calls"], answer["tokens"] or 0) == (len(made), tokens)


@pytest.mark.parametrize(("spans", "calls"), [(2000, 1000), (2002, 2002)])
def test_of_very_many_siblings_none_is_paired(
    spans: int, calls: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each is held against all others, and one trace may not keep the rest waiting."""
    one = Made(waits=50, beside=False, took=100, streamed=False, tokens=1, failed=False)
    telemetry = told([one] * (spans // 2), ["framework", "client"])
    lake = telemetry.lake(tmp_path_factory.mktemp("lake"))
    with Analytics(lake, threads=1) as analytics:
        (found,) = analytics.query("SELECT COUNT(*) AS n FROM llm_calls").to_pylist()
    assert found["n"] == calls
