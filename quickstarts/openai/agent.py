"""A support agent on the OpenAI SDK: two questions in one thread, the second meets a failing tool."""

import json

from openai import OpenAI

# --- telemetry: add this
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument(tracer_provider=provider)
tracer = trace.get_tracer("support")
# --- telemetry: end

client = OpenAI()
ORDERS = {1042: "shipped this morning"}
TOOL = {
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


def find_order(order_id: int) -> str:
    return ORDERS[order_id]


def call_tool(call) -> str:
    who = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.function.name}
    try:
        with tracer.start_as_current_span(f"execute_tool {call.function.name}", attributes=who):
            return find_order(**json.loads(call.function.arguments))
    except KeyError as fault:
        return f"no order {fault}"


def answer(messages: list) -> str:
    while True:
        stream = client.chat.completions.create(
            model="gpt-4o-mini",
            messages=messages,
            tools=[TOOL],
            stream=True,
            stream_options={"include_usage": True},
        )
        text, calls = "", {}
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for part in choice.delta.tool_calls or ():
                    if part.id:
                        calls[part.index] = part
                    else:
                        calls[part.index].function.arguments += part.function.arguments
        if not calls:
            return text
        messages.append(
            {
                "role": "assistant",
                "tool_calls": [c.model_dump(exclude={"index"}) for c in calls.values()],
            }
        )
        for call in calls.values():
            messages.append({"role": "tool", "tool_call_id": call.id, "content": call_tool(call)})


messages = []
for question in ("Please find order 1042.", "And please find order 7."):
    messages.append({"role": "user", "content": question})
    with tracer.start_as_current_span(
        "invoke_agent support",
        attributes={
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "support",
            "tenant.id": "acme",
            "user.id": "ada",
            "gen_ai.conversation.id": "thread-1",
        },
    ):
        text = answer(messages)
    messages.append({"role": "assistant", "content": text})
    print(text)
