"""OpenTelemetry metrics under the names of the GenAI conventions.

https://github.com/open-telemetry/semantic-conventions-genai: token histograms by
``gen_ai.token.type`` became counters of one kind each, and what is about calls of models has been
called ``inference`` since. Nothing here names a thread, user or tenant: spans and lines do.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import metrics

from agent_runtime.answer import Answer
from agent_runtime.errors import error_class
from agent_runtime.identity import RunIdentity
from agent_runtime.messages import OTEL_NAMES
from agent_runtime.outcome import Outcome
from agent_runtime.tally import Tally

Value = str | int | bool
Attributes = Mapping[str, Value]

SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
"""Buckets as the conventions advise."""

_METER = metrics.get_meter("agent_runtime")


def _histogram(name: str, unit: str, what: str) -> metrics.Histogram:
    buckets = SECONDS if unit == "s" else TOKENS
    return _METER.create_histogram(name, unit, what, explicit_bucket_boundaries_advisory=buckets)


_INFERENCE = "gen_ai.client.inference"
_DURATION = _histogram(f"{_INFERENCE}.duration", "s", "Calls of models, every attempt one")
_FIRST_CHUNK = _histogram(
    f"{_INFERENCE}.time_to_first_chunk", "s", "From asking to the first token"
)
_INPUT = _histogram(f"{_INFERENCE}.operation.input_tokens", "{token}", "Prompt of a call")
_OUTPUT = _histogram(f"{_INFERENCE}.operation.output_tokens", "{token}", "Completion of a call")
_USAGE = [
    _METER.create_counter(f"{_INFERENCE}.usage.{name}", "{token}", f"Tokens: {name}")
    for name in OTEL_NAMES
]
_TOOL = _histogram("gen_ai.execute_tool.duration", "s", "Calls of tools")
_AGENT = _histogram("gen_ai.invoke_agent.duration", "s", "Runs")
_AGENT_CALLS = _METER.create_histogram(
    "gen_ai.invoke_agent.inference_calls", "{inference_call}", "In a run"
)
_AGENT_TOOLS = _METER.create_histogram("gen_ai.invoke_agent.tool_calls", "{tool_call}", "In a run")


@contextmanager
def inference_measured(asked: Attributes, answer: Answer) -> Iterator[None]:
    """Around one attempt of calling a model."""
    with _timed(_DURATION, asked) as attributes:
        try:
            yield
        finally:
            if answer.model is not None:
                attributes["gen_ai.response.model"] = answer.model
            if answer.first_chunk_s is not None:
                _FIRST_CHUNK.record(answer.first_chunk_s, attributes)
            _count_tokens(answer, attributes)


def _count_tokens(answer: Answer, attributes: Attributes) -> None:
    """What the provider billed; guesses are for the lines, which can say that they are."""
    usage = answer.usage
    if usage is None or usage.source != "provider":
        return
    _INPUT.record(usage.input_tokens, attributes)
    _OUTPUT.record(usage.output_tokens, attributes)
    for counter, count in zip(_USAGE, usage.counts, strict=True):
        if count:
            counter.add(count, {**attributes, "gen_ai.token.modality": "text"})


@contextmanager
def tool_measured(name: str) -> Iterator[None]:
    """Around one call of a tool."""
    about = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name,
             "gen_ai.tool.type": "function"}  # fmt: skip
    with _timed(_TOOL, about):
        yield


def run_ended(identity: RunIdentity, outcome: Outcome, seconds: float, tally: Tally) -> None:
    """Note a run's summary."""
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": identity.agent_name}
    _AGENT_CALLS.record(tally.llm_calls, attributes)
    _AGENT_TOOLS.record(tally.tool_calls, attributes)
    if outcome.error is not None:
        attributes["error.type"] = error_class(outcome.error)
    _AGENT.record(seconds, attributes)


@contextmanager
def _timed(histogram: metrics.Histogram, about: Attributes) -> Iterator[dict[str, Value]]:
    began = time.perf_counter()
    attributes = dict(about)
    try:
        yield attributes
    except BaseException as error:
        attributes["error.type"] = error_class(error)
        raise
    finally:
        histogram.record(time.perf_counter() - began, attributes)
