"""One runtime in several event loops, as of a script that calls `asyncio.run` again and again."""

import asyncio
import gc
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import END, Context, Runtime, State
from demo.model_server import ModelServer

from .agents import WHO, graph_of, model_at
from .conftest import Telemetry


def test_a_runtime_outlives_its_event_loop(
    vendor: ModelServer, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """Models and services are called in each, through connections of its own."""
    model = model_at(vendor, max_attempts=1)

    async def calls(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        await ctx.http.get(vendor.base_url)
        return {"messages": [await ctx.chat(model, state.messages)]}, END

    runtime = Runtime(graph_of(calls), agent_name="a")
    for turn in ("one", "two", "three"):
        result = asyncio.run(runtime.run(turn, thread_id="t1", **WHO))
        assert result.outcome.error is None
    assert len(result.messages) == 6
    asyncio.run(runtime.aclose())
    gc.collect()
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []
