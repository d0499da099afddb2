"""A run without a server: `python agent_script.py VENDOR OTLP`. Its lines go to stdout."""

import asyncio
import sys

from agent_runtime import Model, Runtime, configure_telemetry
from tests.agent_runtime.agents import chatting


async def main(vendor: str, otlp: str) -> None:
    configure_telemetry("script", otlp)
    model = Model("anthropic:claude-haiku-4-5", base_url=vendor, api_key="k")
    async with Runtime(chatting(model), agent_name="script") as runtime:
        await runtime.run("hello", thread_id="t", tenant_id="acme", user_id="ada")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
