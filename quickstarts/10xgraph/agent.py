"""A support agent on 10xGraph: two questions in one thread; the second's tool fails."""

import asyncio

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from tenxgraph.core.graph import Agent, StateGraph, ToolNode
from tenxgraph.core.state import AgentState, Message
from tenxgraph.runtime.publisher.otel_publisher import OtelPublisher
from tenxgraph.storage.checkpointer import InMemoryCheckpointer
from tenxgraph.utils.constants import END

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("support")
graph = StateGraph(publisher=OtelPublisher())

ORDERS = {1042: "shipped this morning"}


def find_order(order_id: int) -> str:
    """Where an order is."""
    return ORDERS[order_id]


def route(state: AgentState) -> str:
    return "TOOL" if state.context and state.context[-1].tools_calls else END


graph.add_node("MAIN", Agent(model="openai/gpt-4o-mini", tool_node="TOOL"))
graph.add_node("TOOL", ToolNode([find_order]))
graph.add_conditional_edges("MAIN", route, {"TOOL": "TOOL", END: END})
graph.add_edge("TOOL", "MAIN")
graph.set_entry_point("MAIN")
app = graph.compile(checkpointer=InMemoryCheckpointer())


async def main() -> None:
    for question in ("Please find order 1042.", "And please find order 7."):
        asked = {"messages": [Message.text_message(question)]}
        who = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "support",
            "gen_ai.conversation.id": "thread-1",
            "tenant.id": "acme",
            "user.id": "ada",
        }
        with tracer.start_as_current_span("invoke_agent support", attributes=who):
            answer = await app.ainvoke(asked, config={"thread_id": "thread-1", "user_id": "ada"})
        print(answer["messages"][-1].text())
    await app.aclose()  # the publisher works in the background


asyncio.run(main())
