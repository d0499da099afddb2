"""What nodes leave each other: the same in the run that left it and in one that goes on."""

import asyncio
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime import END, Context, RunResult, Runtime, State, StateNotStorable

from .agents import WHO, graph_of


class Colour(Enum):
    RED = "red"


class Fruit(StrEnum):
    APPLE = "apple"


class Size(IntEnum):
    BIG = 2


def test_later_nodes_see_what_a_resumed_run_sees(dsn: str) -> None:
    """Tuples, members of enums that are text or numbers, and text that is no Unicode."""
    seen: list[Mapping[str, Any]] = []
    left = {"a": (1, (2.5, None)), "b": Fruit.APPLE, "c": Size.BIG, "d": "caf\udce9", "e": 2**70,
            "f": {Fruit.APPLE: [True, {}]}}  # fmt: skip

    async def leave(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return left, "look"

    async def look(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        seen.append(state.values)
        if len(seen) == 1:
            raise ConnectionError("down")
        return {}, END

    async def run() -> None:
        async with Runtime(graph_of(leave, look), agent_name="a", store=dsn) as runtime:
            await runtime.run("go", thread_id="t", **WHO)
            await runtime.resume("t", **WHO)

    asyncio.run(run())
    first, resumed = seen
    assert first == resumed
    assert repr(first) == repr(resumed)
    assert resumed["a"] == [1, [2.5, None]]


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, UUID(int=1), Colour.RED, Decimal(1), datetime.now(UTC),
     {1, 2}, b"bytes", {1: "a"}, object()],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_json_is_refused(value: object) -> None:
    """The node fails that left it, however deep; the error says where it is and what to use."""

    async def leave(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"found": [{"score": value}]}, END

    async def run() -> RunResult:
        async with Runtime(graph_of(leave), agent_name="a") as runtime:
            return await runtime.run("go", thread_id="t", **WHO)

    error = asyncio.run(run()).outcome.error
    assert isinstance(error, StateNotStorable)
    assert "values['found'][0]['score'] of the state cannot be kept" in str(error)


def test_what_holds_itself_is_refused() -> None:
    """By an error of the same kind."""
    whole: list[Any] = []
    whole.append(whole)
    with pytest.raises(StateNotStorable, match="they hold themselves"):
        State(()).updated({"whole": whole})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(st.dictionaries(st.text().filter(lambda key: key != "messages"), JSON))
def test_what_is_json_stays_as_it_is(values: dict[str, Any]) -> None:
    """Nothing of it is refused or changed."""
    assert State(()).updated(values).values == values
