"""Operations that ``once_per`` names: equal values are the same one, however they are written."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import pydantic
import pytest

from agent_runtime import Context, RunResult, Runtime, Tool, tool
from agent_runtime.claims import digest

from .conftest import Telemetry
from .writing import WHO, asking, call


class Seats(pydantic.BaseModel):
    """What is booked, in no order."""

    rows: set[int | float] = set()
    price: Decimal = Decimal(0)


@dataclass
class Slot:
    """When."""

    begins: datetime


ListedAsSet = Annotated[list[str], pydantic.AfterValidator(set)]
ALIKE: Sequence[tuple[Any, Sequence[Any]]] = [
    (Decimal, ["10", "10.0", "10.00", 10, 10.0, "1e1"]),
    (Decimal, ["0.50", "0.5", 0.5]),
    (Decimal, ["0", "-0", "0.00"]),
    (Decimal, ["1e999999999", "10e999999998"]),
    (Annotated[Decimal, pydantic.Field(allow_inf_nan=True)], ["NaN", "nan"]),
    (int | float, [10, 10.0]),
    (datetime, ["2026-01-01T10:00:00Z", "2026-01-01T11:00:00+01:00", "2026-01-01T10:00+00:00"]),
    (datetime, ["0001-01-01T00:00:00+05:00", "0001-01-01T00:00+05:00"]),
    (set[str], [["a", "b"], ["b", "a"]]),
    (ListedAsSet, [["a", "b"], ["b", "a", "b"]]),
    (Seats, [{"rows": [1, 2], "price": "5.0"}, {"price": 5, "rows": [2.0, 1]}]),
    (dict[str, list[Seats]], [{"x": [{"rows": [1, 2]}]}, {"x": [{"rows": [2, 1]}]}]),
    (Slot, [{"begins": "2026-01-01T10:00:00Z"}, {"begins": "2026-01-01T12:00:00+02:00"}]),
]
APART: Sequence[tuple[Any, Sequence[Any]]] = [
    (str, ["10", "10.0"]),
    (Decimal, ["10", "10.01", "-10", "100"]),
    (Decimal, ["1" + "0" * 40 + ".5", "1" + "0" * 40 + ".25"]),
    (float, [10.0, 10.5, 1e300, 1.0000000000000002e300]),
    (datetime, ["2026-01-01T10:00:00Z", "2026-01-01T10:00:00"]),
    (list[str], [["a", "b"], ["b", "a"]]),
]


def paying(hint: Any, done: list[Any]) -> Tool:
    async def pay(what: Any, ctx: Context, note: str = "") -> str:
        done.append(what)
        return f"paid {len(done)}"

    pay.__annotations__["what"] = hint
    return tool(writes=True, once_per=["what"])(pay)


def results(pay: Tool, said: Sequence[Any], thread: str = "t1") -> list[str]:
    async def run() -> RunResult:
        calls = [call("pay", number, what=each) for number, each in enumerate(said)]
        async with Runtime(asking([pay], *calls), agent_name="shop") as runtime:
            return await runtime.run("pay", **WHO | {"thread_id": thread})

    return [each.content for each in asyncio.run(run()).messages if each.role == "tool"]


@pytest.mark.parametrize(("hint", "said"), ALIKE)
def test_values_that_are_equal_are_one_operation(
    telemetry: Telemetry, hint: Any, said: Sequence[Any]
) -> None:
    """It is done once, and all hear of it."""
    done: list[Any] = []
    assert results(paying(hint, done), said) == ["paid 1"] * len(said)
    assert len(done) == 1


@pytest.mark.parametrize(("hint", "said"), APART)
def test_values_that_differ_are_operations_of_their_own(
    telemetry: Telemetry, hint: Any, said: Sequence[Any]
) -> None:
    """Text is what it says, and no digit is lost."""
    done: list[Any] = []
    results(paying(hint, done), said)
    assert len(done) == len(said)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (str, "10.0"),
        (int, 10),
        (int, 2**70),
        (float, 10.5),
        (bool, True),
        (datetime, "2026-01-01T10:00:00Z"),
        (list[str], ["b", "a"]),
        (dict[str, Any], {"b": [1, None], "a": "x"}),
    ],
)
def test_plain_values_have_the_key_that_they_always_had(
    telemetry: Telemetry, hint: Any, value: Any
) -> None:
    """So that claims of versions before are found."""
    results(paying(hint, []), [value])
    [line] = telemetry.lines("agent.tool")
    parts = ["shop", "acme", "pay", {"what": value}]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert line["idempotency_key"] == key


@pytest.mark.parametrize(("hint", "value"), [(Decimal, "10.00"), (float, 10.0)])
def test_what_a_version_before_did_under_another_form_is_found(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, hint: Any, value: Any
) -> None:
    """Which had a key of its own: it is not done again."""
    done: list[Any] = []
    with monkeypatch.context() as before:
        before.setattr("agent_runtime.writing_calls.one_form", lambda value, dumped: dumped)
        results(paying(hint, done), [value])
    assert results(paying(hint, done), [value], "t2") == ["paid 1"]
    assert telemetry.lines("agent.tool")[0]["idempotency_key"] == digest(
        ["shop", "acme", "pay", {"what": value}]
    )
    assert len(done) == 1


def test_a_version_that_cannot_be_called_finds_the_operation(telemetry: Telemetry) -> None:
    """What it understands of the arguments is enough, in whichever form they were written."""
    done: list[Any] = []
    results(paying(Decimal, done), ["10.00"])

    @tool(writes=True, once_per=["what"])
    async def pay(what: Decimal, currency: str) -> str:
        return "paid otherwise"

    assert results(pay, ["10.00"], "t2") == ["paid 1"]
