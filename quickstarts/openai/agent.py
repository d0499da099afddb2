"""A support agent on the OpenAI SDK: two questions in one thread; the second's tool fails."""

import json
import time

from openai import OpenAI
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
OpenAIInstrumentor().instrument(tracer_provider=provider)
tracer = provider.get_tracer("support")

client = OpenAI()
ORDERS = {1042: "shipped this morning"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_order",
            "description": "Where an order is.",
            "parameters": {
                "type": "object",
                "properties": {"order_id": {"type": "integer"}},
                "required": ["order_id"],
            },
        },
    }
]


def find_order(order_id: int) -> str:
    return ORDERS[order_id]


def call_tool(name: str, arguments: str) -> str:
    what = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    try:
        with tracer.start_as_current_span(f"execute_tool {name}", attributes=what):
            return find_order(**json.loads(arguments))
    except KeyError as fault:
        return f"There is no order {fault}."


def answer(messages: list, run) -> str:
    started = time.monotonic()
    while True:
        text, calls = "", {}
        for chunk in client.chat.completions.create(
            model="gpt-4o-mini",
            messages=messages,
            tools=TOOLS,
            stream=True,
            stream_options={"include_usage": True},  # or the tokens of a stream are unknown
        ):
            for choice in chunk.choices:
                if choice.delta.content and not text:
                    run.set_attribute("agent.ttfb_ms", 1000 * (time.monotonic() - started))
                text += choice.delta.content or ""
                for part in choice.delta.tool_calls or ():
                    known = calls.setdefault(part.index, {"id": part.id, "name": "", "said": ""})
                    known["name"] += part.function.name or ""
                    known["said"] += part.function.arguments or ""
        if not calls:
            messages.append({"role": "assistant", "content": text})
            return text
        functions = [
            {"id": c["id"], "type": "function"}
            | {"function": {"name": c["name"], "arguments": c["said"]}}
            for c in calls.values()
        ]
        messages.append({"role": "assistant", "tool_calls": functions})
        for c in calls.values():
            found = call_tool(c["name"], c["said"])
            messages.append({"role": "tool", "tool_call_id": c["id"], "content": found})


messages = []
for question in ("Please find order 1042.", "And please find order 7."):
    messages.append({"role": "user", "content": question})
    who = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "support",
        "gen_ai.conversation.id": "thread-1",
        "tenant.id": "acme",
        "user.id": "ada",
    }
    with tracer.start_as_current_span("invoke_agent support", attributes=who) as run:
        print(answer(messages, run))
