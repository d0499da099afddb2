"""A support agent on the Anthropic SDK: two questions in one thread; the second's tool fails."""

import time

from anthropic import Anthropic
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
AnthropicInstrumentor().instrument(tracer_provider=provider)
tracer = provider.get_tracer("support")

client = Anthropic()
ORDERS = {1042: "shipped this morning"}
TOOLS = [
    {
        "name": "find_order",
        "description": "Where an order is.",
        "input_schema": {
            "type": "object",
            "properties": {"order_id": {"type": "integer"}},
            "required": ["order_id"],
        },
    }
]


def find_order(order_id: int) -> str:
    return ORDERS[order_id]


def call_tool(call) -> dict:
    what = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.name}
    result = {"type": "tool_result", "tool_use_id": call.id}
    try:
        with tracer.start_as_current_span(f"execute_tool {call.name}", attributes=what):
            return result | {"content": find_order(**call.input)}
    except KeyError as fault:
        return result | {"content": f"There is no order {fault}.", "is_error": True}


def answer(messages: list, run) -> None:
    started = time.monotonic()
    while True:
        with client.messages.stream(
            model="claude-haiku-4-5", max_tokens=500, messages=messages, tools=TOOLS
        ) as stream:
            for number, text in enumerate(stream.text_stream):
                if number == 0:
                    run.set_attribute("agent.ttfb_ms", 1000 * (time.monotonic() - started))
                print(text, end="", flush=True)
            said = stream.get_final_message()
        messages.append({"role": "assistant", "content": said.content})
        calls = [block for block in said.content if block.type == "tool_use"]
        if not calls:
            print()
            return
        messages.append({"role": "user", "content": [call_tool(call) for call in calls]})


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
        answer(messages, run)
