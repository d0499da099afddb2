"""A support agent on LiteLLM: two questions in one thread; the second's tool fails."""

import json

import litellm
from openinference.instrumentation.litellm import LiteLLMInstrumentor
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


def call_tool(name: str, arguments: str) -> str:
    what = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}
    try:
        with tracer.start_as_current_span(f"execute_tool {name}", attributes=what):
            return find_order(**json.loads(arguments))
    except KeyError as fault:
        return f"There is no order {fault}."


def answer(messages: list) -> str:
    while True:
        # By keyword: the instrumentation does not see a model that is given by position.
        response = litellm.completion(model="openai/gpt-4o-mini", messages=messages, tools=TOOLS)
        said = response.choices[0].message
        messages.append(said.model_dump(exclude_none=True))
        if not said.tool_calls:
            return said.content
        for call in said.tool_calls:
            found = call_tool(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": found})


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
    with tracer.start_as_current_span("invoke_agent support", attributes=who):
        print(answer(messages))
