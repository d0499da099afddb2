"""A support agent on LangGraph: two questions in one thread; the second's tool fails."""

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
LangChainInstrumentor().instrument(tracer_provider=provider)

ORDERS = {1042: "shipped this morning"}


@tool
def find_order(order_id: int) -> str:
    """Where an order is."""
    return ORDERS[order_id]


model = ChatOpenAI(model="gpt-4o-mini", stream_usage=True).bind_tools([find_order])


def agent(state: MessagesState) -> dict:
    return {"messages": [model.invoke(state["messages"])]}


graph = StateGraph(MessagesState)
graph.add_node("agent", agent)
graph.add_node("tools", ToolNode([find_order], handle_tool_errors=True))
graph.add_edge(START, "agent")
graph.add_conditional_edges("agent", tools_condition)
graph.add_edge("tools", "agent")
app = graph.compile(checkpointer=InMemorySaver(), name="support")

config = {
    "configurable": {"thread_id": "thread-1"},
    "metadata": {
        "lc_agent_name": "support",
        "thread_id": "thread-1",
        "tenant_id": "acme",
        "user_id": "ada",
    },
}
for question in ("Please find order 1042.", "And please find order 7."):
    for piece, _ in app.stream({"messages": [("user", question)]}, config, stream_mode="messages"):
        if piece.type == "AIMessageChunk":
            print(piece.text, end="", flush=True)
    print()
