"""A support agent on LiteLLM: two questions in one thread, the second meets a failing tool."""

import json

import litellm
from openinference.instrumentation import using_attributes
from openinference.instrumentation.litellm import LiteLLMInstrumentor
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
LiteLLMInstrumentor().instrument(tracer_provider=provider)
tracer = provider.get_tracer("support")

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


def result_of(call) -> str:
    attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": call.function.name}
    try:
        with tracer.start_as_current_span("execute_tool", attributes=attributes):
            return find_order(**json.loads(call.function.arguments))
    except KeyError as fault:
        return f"no order {fault}"


def answer(messages: list) -> str:
    while True:
        response = litellm.completion(model="openai/gpt-4o-mini", messages=messages, tools=TOOLS)
        said = response.choices[0].message
        messages.append(said)
        if not said.tool_calls:
            return said.content
        for call in said.tool_calls:
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result_of(call)})


messages = []
for question in ("Please find order 1042.", "And please find order 7."):
    messages.append({"role": "user", "content": question})
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"}
    with (
        using_attributes(session_id="thread-1", user_id="ada", metadata={"tenant_id": "acme"}),
        tracer.start_as_current_span("invoke_agent support", attributes=attributes),
    ):
        print(answer(messages))
