"""One run that two libraries tell in one trace, each in a tree of its own, and what looks like it.

As Langfuse's handler and OpenInference do, say, that both follow LangChain's callbacks.
"""

from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100, 400)
SECOND = Used(2000, 200, 800)
TWO_CALLS = Used(3000, 300, 1200)


@dataclass(frozen=True)
class Trees:
    """A step of the agent as each of two libraries tells it."""

    happened: Happened
    handler: Span
    tracer: Span

    def llm(self, name: str = "", at: float = 0, took: float = 100, **fields: Any) -> None:
        """A call that both tell, of which only one knows the response."""
        known = {} if "status" in fields else {"gen_ai.response.id": self.happened.response(name)}
        self.happened.llm(self.handler, scope="handler", at=at, took=took, **fields)
        self.happened.llm(self.tracer, scope="tracer", at=at + 2, took=took - 1, **known | fields)

    def tool(self, at: float = 0, took: float = 100, **fields: Any) -> None:
        """The same of a tool, of which only one knows the id of the call."""
        known = {"gen_ai.tool.call.id": f"call at {at}"}
        self.happened.tool(self.handler, scope="handler", at=at, took=took, **fields)
        self.happened.tool(self.tracer, scope="tracer", at=at + 2, took=took - 1, **known | fields)


def trees(happened: Happened) -> Trees:
    agent = happened.agent(took=9000)
    steps = (happened.span("step", agent, took=8000, scope=s) for s in ("handler", "tracer"))
    return Trees(happened, *steps)


@shape
def two_trees_of_one_run(happened: Happened) -> Expected:
    """Every call and tool is told once by each, below parents that are not the same."""
    told = trees(happened)
    told.llm("first", used=CALL)
    told.tool(at=200)
    told.llm("second", at=400, used=SECOND)
    return Expected({None: TWO_CALLS}, llm_calls=2, tool_calls=1, run={"tool_errors": 0})


@shape
def failures_in_two_trees(happened: Happened) -> Expected:
    """A tool that failed is one; calls have neither counts nor a response, and may be two."""
    told = trees(happened)
    told.llm(status="error", error__type="RateLimitError")
    told.tool(at=200, status="error", error__type="ValueError")
    return Expected(
        {}, llm_calls=2, tool_calls=1, run={"tool_errors": 1},
        tools=({"outcome": "error", "error_class": "ValueError"},),
    )  # fmt: skip


@shape
def parallel_calls_in_two_trees(happened: Happened) -> Expected:
    """Their counts tell them apart."""
    told = trees(happened)
    told.llm("first", used=CALL)
    told.llm("second", at=5, used=SECOND)
    return Expected({None: TWO_CALLS}, llm_calls=2)


@shape
def parallel_calls_that_are_alike_in_two_trees(happened: Happened) -> Expected:
    """Nothing says which is which: rather twice than lost."""
    told = trees(happened)
    told.llm("first", used=CALL)
    told.llm("second", at=5, used=CALL)
    told.tool(at=200)
    told.tool(at=205)
    return Expected({None: Used(4000, 400, 1600)}, llm_calls=4, tool_calls=4)


@shape
def retries_in_two_trees(happened: Happened) -> Expected:
    """Tries of a tool that follow one another at once are told apart by their times."""
    told = trees(happened)
    for at in (0, 6, 12):
        told.llm(at=at, took=4, status="error", error__type="RateLimitError")
        told.tool(at=at + 100, took=4, status="error", error__type="TimeoutError")
    told.llm(at=200, used=CALL)
    return Expected({None: CALL}, llm_calls=7, tool_calls=3, run={"tool_errors": 3})


@shape
def calls_of_parallel_steps_without_counts(happened: Happened) -> Expected:
    """One asks through the framework, one by itself: nothing but the time is the same."""
    told = trees(happened)
    told.llm("one")
    return Expected({}, llm_calls=2, unpriced=2)


@shape
def tools_of_two_steps_of_one_library(happened: Happened) -> Expected:
    """Both steps are of one tree, though another library tells one of the tools."""
    agent = happened.agent()
    steps = [happened.span("step", agent, scope="framework") for _ in range(2)]
    happened.tool(steps[0], scope="framework")
    happened.tool(steps[1], scope="other", at=5, gen_ai__tool__call__id="call_1")
    return Expected({}, llm_calls=0, tool_calls=2)


@shape
def siblings_in_parallel_steps(happened: Happened) -> Expected:
    """Those below one parent are one call, though they are like those of the other step."""
    agent = happened.agent()
    for name in ("first", "second"):
        step = happened.span("step", agent)
        happened.llm(step, used=CALL, scope="framework")
        happened.llm(
            step, used=CALL, scope="openai", at=2, took=97,
            gen_ai__response__id=happened.response(name),
        )  # fmt: skip
    return Expected({None: Used(2000, 200, 800)}, llm_calls=2)


@shape
def calls_of_two_trees_that_only_look_like_one(happened: Happened) -> Expected:
    """Other counts, another model or none, another response, or another end: calls of their own."""
    told = trees(happened)
    other = {"gen_ai.request.model": "gpt-4o-mini"}
    response = {"gen_ai.response.id": happened.response("one")}
    another = {"gen_ai.response.id": happened.response("another")}
    for number, (one, two) in enumerate([
        ({"used": CALL}, {"used": SECOND}),
        ({"used": CALL}, {}),
        ({}, other),
        ({}, {"gen_ai.request.model": ""}),
        (response, another),
        ({"took": 300}, {"took": 200}),
        ({}, {"at": 60}),
    ]):  # fmt: skip
        for parent, scope, fields in ((told.handler, "handler", one), (told.tracer, "tracer", two)):
            at = number * 1000 + fields.pop("at", 0)
            happened.llm(parent, scope=scope, at=at, **fields)
    return Expected({None: Used(4000, 400, 1600)}, llm_calls=14, unpriced=11)


@shape
def tools_of_two_trees_that_only_look_like_one(happened: Happened) -> Expected:
    """Another name, another id, another end, or another service: calls of their own."""
    told = trees(happened)
    for number, (one, two) in enumerate([
        ({}, {"gen_ai.tool.name": "read"}),
        ({"gen_ai.tool.call.id": "call_1"}, {"gen_ai.tool.call.id": "call_2"}),
        ({"took": 300}, {"took": 200}),
        ({}, {"at": 25}),
        ({}, {"service": "another"}),
    ]):  # fmt: skip
        for parent, scope, fields in ((told.handler, "handler", one), (told.tracer, "tracer", two)):
            at = number * 1000 + fields.pop("at", 0)
            happened.tool(parent, scope=scope, at=at, **fields)
    return Expected({}, llm_calls=0, tool_calls=10)
