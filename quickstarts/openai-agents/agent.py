"""An agent on the OpenAI Agents SDK: two questions in one thread; the second's tool fails."""

from agents import Agent, RunConfig, Runner, function_tool
from agents.memory import SQLiteSession
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)

ORDERS = {1042: "shipped this morning"}


@function_tool
def find_order(order_id: int) -> str:
    """Where an order is."""
    return ORDERS[order_id]


support = Agent(name="support", model="gpt-4o-mini", tools=[find_order])
session = SQLiteSession("thread-1")
named = RunConfig(workflow_name="support")

for question in ("Please find order 1042.", "And please find order 7."):
    with using_attributes(session_id="thread-1", user_id="ada", metadata={"tenant_id": "acme"}):
        result = Runner.run_sync(support, question, session=session, run_config=named)
    print(result.final_output)
