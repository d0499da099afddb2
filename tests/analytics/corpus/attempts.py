"""Calls that had to be tried more than once."""

from tests.analytics.corpus.shape import Expected, Happened, Used, shape

CALL = Used(1000, 100)
REJECTED = Used(600, 60)


@shape
def retry_in_the_sdk(happened: Happened) -> Expected:
    """The SDK waited for a 429 inside its span: one call, one span."""
    happened.llm(happened.agent(), used=CALL, took=2000)
    return Expected({None: CALL}, llm_calls=1)


@shape
def retry_as_spans_side_by_side(happened: Happened) -> Expected:
    """Each try is a call; the one that was refused cost nothing and is not of unknown cost."""
    agent = happened.agent()
    happened.llm(agent, status="error", error__type="RateLimitError")
    happened.llm(agent, used=CALL, at=200)
    return Expected({None: CALL}, llm_calls=2)


@shape
def failed_try_below_the_call(happened: Happened) -> Expected:
    """A failed try inside the span of the call is a call beside the one that answered."""
    call = happened.llm(happened.agent(), used=CALL)
    happened.llm(call, status="error", error__type="RateLimitError")
    return Expected({None: CALL}, llm_calls=2)


@shape
def rejected_try_below_the_call(happened: Happened) -> Expected:
    """pydantic-ai: the chat span is the winner's, the rejected attempt below it was billed too."""
    call = happened.llm(happened.agent(), used=CALL)
    happened.llm(call, used=REJECTED, status="error", pydantic_ai__model_request__attempt=0)
    return Expected({None: Used(1600, 160)}, llm_calls=2)


@shape
def every_try_below_the_call(happened: Happened) -> Expected:
    """Attempts below a wrapper that repeats the last: the attempts are the calls."""
    call = happened.llm(happened.agent(), used=CALL)
    happened.llm(call, status="error", error__type="RateLimitError")
    happened.llm(call, used=CALL, at=50)
    return Expected({None: CALL}, llm_calls=2)


@shape
def one_failure_seen_twice(happened: Happened) -> Expected:
    """Framework and SDK report the same failed call: one call."""
    agent = happened.agent(status="error", error__type="APIError")
    outer = happened.llm(agent, status="error", error__type="APIError", scope="framework")
    happened.llm(outer, status="error", error__type="APIError", scope="sdk")
    return Expected({}, llm_calls=1, runs=((None, "error"),))


@shape
def fallback_model(happened: Happened) -> Expected:
    """The first model failed, the second answered: two calls in a run that went well."""
    agent = happened.agent()
    node = happened.span("with_fallbacks", agent, openinference__span__kind="CHAIN")
    happened.llm(node, status="error", raised="APIError", gen_ai__request__model="gpt-500")
    happened.llm(node, used=CALL, at=50)
    return Expected({None: CALL}, llm_calls=2)


@shape
def stream_without_usage(happened: Happened) -> Expected:
    """Nobody reports what a stream used: its cost is unknown, not zero."""
    happened.llm(happened.agent(), gen_ai__response__finish_reasons=["stop"])
    return Expected({}, llm_calls=1, unpriced=1, run={"input_tokens": None, "cost_usd": None})


@shape
def cut_stream(happened: Happened) -> Expected:
    """Neither usage nor a finish reason: the call is incomplete, its cost unknown."""
    happened.llm(happened.agent(), gen_ai__response__time_to_first_chunk=0.1)
    return Expected({}, llm_calls=1, unpriced=1, call={"outcome_reason": "incomplete"})


@shape
def stream_whose_usage_only_the_framework_has(happened: Happened) -> Expected:
    """The SDK's span of a stream has no usage, the framework's around it has: one call."""
    outer = happened.llm(happened.agent(), used=CALL, scope="framework")
    happened.llm(outer, scope="sdk", at=1, gen_ai__response__time_to_first_chunk=0.1)
    return Expected({None: CALL}, llm_calls=1, call={"ttfb_ms": 100.0})
