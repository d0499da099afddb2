"""The conversation on pydantic-ai, without any telemetry."""

from collections.abc import Mapping

from protocol import QUESTION, Task, answer, settings, timed
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def make_tasks() -> Mapping[str, Task]:
    provider = OpenAIProvider(base_url=settings()["model_url"], api_key="k")
    agent = Agent(OpenAIChatModel("gpt-4o-mini", provider=provider), name="support")

    @agent.tool_plain
    async def find_order(order_id: int) -> str:
        """Where an order is."""
        return "shipped this morning"

    async def converse() -> str:
        said = ""
        async with agent.run_stream(QUESTION) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                said += piece
        return said

    return {"conversation": lambda: timed(converse)}


if __name__ == "__main__":
    answer(make_tasks)
