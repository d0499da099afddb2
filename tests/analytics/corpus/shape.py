"""What a shape of the corpus is: the spans that were sent, and what is right to conclude from them.

A shape is sent as OTLP and read by the extraction that ingest uses, so that it says nothing of how
attributes become columns. It is built again for every delivery: what its builder adds is what
happened, `Shape.expected` what Quietpager must say of it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.ingest.values import START, pairs

MODEL = "gpt-4o"
PER_MILLION = {"input": Decimal("2.5"), "cached": Decimal("1.25"), "output": Decimal(10)}
"""USD, as OpenAI published it; every priced call of the corpus is of this model."""

KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUSES = {"unset": 0, "ok": 1, "error": 2}


@dataclass(frozen=True)
class Used:
    """Tokens; cached ones are part of the input."""

    input: int = 0
    output: int = 0
    cached: int = 0

    @property
    def usd(self) -> Decimal:
        fresh = self.input - self.cached
        return (
            fresh * PER_MILLION["input"]
            + self.cached * PER_MILLION["cached"]
            + self.output * PER_MILLION["output"]
        ) / 1_000_000


@dataclass(frozen=True)
class Expected:
    """What is right.

    `used` is by tenant (None: nobody named one). `runs` holds of each run its tenant and how it
    ended; `run` and `call` hold values that all its runs, or its only call, have, `tools` those
    of each tool call in order. `outside_runs` are input tokens of calls that belong to no run
    (yet).
    """

    used: dict[str | None, Used]
    llm_calls: int
    runs: tuple[tuple[str | None, str], ...] = ((None, "success"),)
    tool_calls: int = 0
    unpriced: int = 0
    outside_runs: int = 0
    run: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Sent:
    """A span and who sent it."""

    span: Span
    service: str
    scope: str
    resource: dict[str, Any]
    late: bool


class Happened:
    """Collects the spans of one shape, with ids of its own."""

    def __init__(self, shape: str) -> None:
        self.shape = shape
        self.sent: list[Sent] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self._traces = 0

    def trace(self) -> bytes:
        """A new trace."""
        self._traces += 1
        return self._digest(f"trace {self._traces}", 16)

    def response(self, name: str = "") -> str:
        """An id as providers draw them: nobody draws the same again."""
        return f"chatcmpl-{self._digest(f'response {name}', 14).hex()}"

    def span(
        self,
        name: str,
        under: Span | bytes | None = None,
        *,
        used: Used | None = None,
        at: float = 0,
        took: float = 100,
        kind: str = "internal",
        status: str = "unset",
        service: str = "app",
        scope: str = "app",
        resource: dict[str, Any] | None = None,
        raised: str | None = None,
        late: bool = False,
        **attributes: Any,
    ) -> Span:
        """A span below `under`: a span, a trace it is the root of, or None for a new trace.

        `at` is in ms after the shape began. `late`: it arrives after all others. `__` in the name
        of an attribute is a dot.
        """
        parent = under if isinstance(under, Span) else None
        number = len(self.sent)
        began = START + int(at * 1e6)
        span = Span(
            trace_id=parent.trace_id if parent else under or self.trace(),  # type: ignore[arg-type] # stub
            span_id=self._digest(f"span {number}", 8),
            parent_span_id=parent.span_id if parent else b"",
            name=name,
            kind=KINDS[kind],  # type: ignore[arg-type] # stub
            start_time_unix_nano=began,
            end_time_unix_nano=began + int(took * 1e6),
            status=Status(code=STATUSES[status]),  # type: ignore[arg-type] # stub
        )
        if used:
            attributes |= {
                "gen_ai.usage.input_tokens": used.input,
                "gen_ai.usage.output_tokens": used.output,
            }
            if used.cached:
                attributes["gen_ai.usage.cache_read.input_tokens"] = used.cached
        if raised:
            event = span.events.add(name="exception", time_unix_nano=began)
            event.attributes.extend(pairs({"exception.type": raised, "exception.message": "no"}))
        span.attributes.extend(
            pairs({key.replace("__", "."): value for key, value in attributes.items()})
        )
        self.sent.append(Sent(span, service, scope, resource or {}, late))
        return span

    def agent(self, under: Span | bytes | None = None, **fields: Any) -> Span:
        return self.span("invoke_agent bot", under, **_operation("invoke_agent"), **fields)

    def llm(self, under: Span | bytes | None = None, **fields: Any) -> Span:
        model = {"gen_ai.request.model": MODEL, "gen_ai.provider.name": "openai"}
        ending = {"gen_ai.response.finish_reasons": ["stop"]} if fields.get("used") else {}
        return self.span(
            f"chat {MODEL}", under, kind=fields.pop("kind", "client"),
            **_operation("chat") | model | ending | fields,
        )  # fmt: skip

    def tool(self, under: Span | bytes | None = None, **fields: Any) -> Span:
        name = {"gen_ai.tool.name": "search"}
        return self.span("execute_tool search", under, **_operation("execute_tool") | name | fields)

    def again(self, span: Span, **changes: Any) -> Span:
        """The same span delivered once more, with other fields where given."""
        [first] = [sent for sent in self.sent if sent.span is span]
        copy = Span.FromString(span.SerializeToString())
        for name, value in changes.items():
            setattr(copy, name, value)
        self.sent.append(Sent(copy, first.service, first.scope, first.resource, late=True))
        return copy

    def counted(self, metric: str, tokens: int) -> None:
        """A metric that counts the tokens too."""
        request = ExportMetricsServiceRequest()
        point = request.resource_metrics.add().scope_metrics.add().metrics.add(name=metric)
        point.sum.data_points.add(as_int=tokens, time_unix_nano=START)
        self.metrics.append(request)

    def _digest(self, name: str, size: int) -> bytes:
        return hashlib.blake2b(f"{self.shape}/{name}".encode(), digest_size=size).digest()


@dataclass(frozen=True)
class Shape:
    """One entry of the corpus."""

    name: str
    why: str
    build: Callable[[Happened], Expected]

    def happened(self) -> tuple[Happened, Expected]:
        told = Happened(self.name)
        return told, self.build(told)


SHAPES: dict[str, Shape] = {}


def shape(build: Callable[[Happened], Expected]) -> Callable[[Happened], Expected]:
    """Adds a builder to the corpus: its name is the shape's, its docstring says what is right."""
    name = build.__name__
    assert name not in SHAPES, f"two shapes are called {name}"
    assert build.__doc__, f"{name} does not say why"
    SHAPES[name] = Shape(name, build.__doc__, build)
    return build


def request_of(sent: Sent) -> ExportTraceServiceRequest:
    """An export of one span."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs({"service.name": sent.service} | sent.resource))
    scope = group.scope_spans.add()
    scope.scope.name = sent.scope
    scope.spans.append(sent.span)
    return request


def in_order(sent: list[Sent]) -> Iterator[Sent]:
    """As they arrive: the late ones last."""
    yield from (each for each in sent if not each.late)
    yield from (each for each in sent if each.late)


def _operation(name: str) -> dict[str, Any]:
    return {"gen_ai.operation.name": name}
