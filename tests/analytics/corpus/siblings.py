"""One call told by two libraries side by side, and calls that only look like one."""

from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100, 400)
SECOND = Used(2000, 200, 800)
TWO_CALLS = Used(3000, 300, 1200)


def by_framework(happened: Happened, under: Span, **fields: Any) -> None:
    """LlamaIndex tells a stream on two spans that it ends when it hands the stream out."""
    late = {"gen_ai.response.time_to_first_chunk": 2.9}
    outer = happened.llm(under, scope="llama_index", took=450, **fields | {"used": None})
    fields["at"] = fields.get("at", 0) + 1
    happened.llm(outer, scope="llama_index", took=440, **late | fields)


def by_client(happened: Happened, under: Span, name: str = "", **fields: Any) -> None:
    response = {
        "gen_ai.response.id": happened.response(name),
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.time_to_first_chunk": 0.4,
    }
    happened.llm(under, scope="openai", **{"at": 2500, "took": 430} | response | fields)


@shape
def a_stream_that_the_framework_hands_out(happened: Happened) -> Expected:
    """LlamaIndex with OpenInference: its spans end before the client's begins, beside them."""
    agent = happened.agent(took=4000)
    by_framework(happened, agent, used=CALL)
    by_client(happened, agent, used=CALL)
    return Expected({None: CALL}, llm_calls=1, call={
        "response_id": happened.response(), "response_model": "gpt-4o-2024-08-06", "ttfb_ms": 400,
    })  # fmt: skip


@shape
def a_stream_without_usage_that_the_framework_hands_out(happened: Happened) -> Expected:
    """Though no count says so, it is one call, of unknown cost."""
    agent = happened.agent(took=4000)
    by_framework(happened, agent)
    by_client(happened, agent)
    return Expected({}, llm_calls=1, unpriced=1)


@shape
def a_stream_whose_usage_only_the_framework_told(happened: Happened) -> Expected:
    """The call has the client's response and the framework's counts."""
    agent = happened.agent(took=4000)
    by_framework(happened, agent, used=CALL)
    by_client(happened, agent)
    return Expected({None: CALL}, llm_calls=1)


@shape
def a_call_around_which_the_framework_is_not(happened: Happened) -> Expected:
    """The client's span lies within the framework's in time, and beside it in the trace."""
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="framework", took=100)
    by_client(happened, agent, used=CALL, at=2, took=97)
    return Expected({None: CALL}, llm_calls=1)


@shape
def streams_of_steps_one_after_the_other(happened: Happened) -> Expected:
    """Each step's call is told twice, below one parent."""
    agent = happened.agent(took=9000)
    for step, used in enumerate((CALL, SECOND)):
        by_framework(happened, agent, used=used, at=step * 4000)
        by_client(happened, agent, str(step), used=used, at=step * 4000 + 2500)
    return Expected({None: TWO_CALLS}, llm_calls=2)


@shape
def a_call_of_each_library(happened: Happened) -> Expected:
    """Other counts are of another call, though it is made meanwhile."""
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="framework")
    by_client(happened, agent, used=SECOND, at=2, took=90)
    return Expected({None: TWO_CALLS}, llm_calls=2)


@shape
def a_call_of_another_model_meanwhile(happened: Happened) -> Expected:
    """Other models are of another call, whose counts nobody told."""
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="framework")
    other = {
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    }
    by_client(happened, agent, at=2, took=90, **other)
    return Expected({None: CALL}, llm_calls=2, unpriced=1)


@shape
def calls_one_after_the_other_by_two_libraries(happened: Happened) -> Expected:
    """The same counts again, but later: two calls."""
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="framework", took=100)
    by_client(happened, agent, used=CALL, at=101, took=15)
    return Expected({None: Used(2000, 200, 800)}, llm_calls=2)


@shape
def parallel_calls_of_one_library(happened: Happened) -> Expected:
    """One library tells each request once, whatever else tells some below the same parent."""
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="framework", took=100)
    happened.llm(agent, used=CALL, scope="framework", at=5, took=90)
    happened.llm(agent, used=SECOND, scope="other", at=200)
    return Expected({None: Used(4000, 400, 1600)}, llm_calls=3)


@shape
def a_try_that_failed_beside_the_call(happened: Happened) -> Expected:
    """The client tells each try, the framework their outcome: two calls."""
    agent = happened.agent(took=400)
    happened.llm(agent, used=CALL, scope="framework", took=400)
    happened.llm(agent, scope="openai", at=5, status="error", error__type="RateLimitError")
    by_client(happened, agent, used=CALL, at=200, took=190)
    return Expected({None: CALL}, llm_calls=2)


@shape
def calls_that_overlap(happened: Happened) -> Expected:
    """Neither is within the other: two calls."""
    agent = happened.agent()
    happened.llm(agent, used=CALL, scope="framework", took=100)
    by_client(happened, agent, used=CALL, at=50, took=130)
    return Expected({None: Used(2000, 200, 800)}, llm_calls=2)


@shape
def a_call_that_could_be_either_of_two(happened: Happened) -> Expected:
    """Nothing says of which: it stays a call, of unknown cost."""
    agent = happened.agent(took=400)
    happened.llm(agent, scope="framework", took=400)
    by_client(happened, agent, "first", used=CALL, at=2, took=190)
    by_client(happened, agent, "second", used=SECOND, at=200, took=190)
    return Expected({None: TWO_CALLS}, llm_calls=3, unpriced=1)
