"""A support agent on pydantic-ai: two questions in one thread; the second's tool fails."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent, InstrumentationSettings, ModelRetry

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
Agent.instrument_all(InstrumentationSettings(include_content=False))

ORDERS = {1042: "shipped this morning"}
agent = Agent("openai:gpt-4o-mini", name="support")


@agent.tool_plain
def find_order(order_id: int) -> str:
    """Where an order is."""
    if order_id not in ORDERS:
        raise ModelRetry(f"no order {order_id}")
    return ORDERS[order_id]


history = []
for question in ("Please find order 1042.", "And please find order 7."):
    with agent.run_stream_sync(
        question,
        message_history=history,
        conversation_id="thread-1",
        metadata={"tenant_id": "acme", "user_id": "ada"},
    ) as result:
        for piece in result.stream_text(delta=True):
            print(piece, end="", flush=True)
        print()
        history = result.all_messages()
