"""A day of an agent team at random, with what really happened kept beside the telemetry."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

from tests.analytics.telemetry import NOON, Telemetry, ms

MILLION = Decimal(1_000_000)
USD_PER_MILLION = {
    "gpt-4o": (Decimal("2.5"), Decimal("1.25"), Decimal(10)),
    "gpt-4o-mini": (Decimal("0.15"), Decimal("0.075"), Decimal("0.6")),
    "our-own-7b": None,
}
"""(input, cached input, output) as OpenAI published them; the last has no price."""


@dataclass(frozen=True)
class Call:
    model: str
    at: datetime
    input_tokens: int
    cached: int
    output_tokens: int

    @property
    def usd(self) -> Decimal | None:
        if (price := USD_PER_MILLION[self.model]) is None:
            return None
        fresh, cached, output = price
        return (
            (self.input_tokens - self.cached) * fresh
            + self.cached * cached
            + self.output_tokens * output
        ) / MILLION


@dataclass(frozen=True)
class ToolUse:
    tool: str
    at: datetime
    failed: bool


@dataclass(frozen=True)
class Request:
    number: int
    tenant: str | None
    user: str
    agent: str
    thread: str
    at: datetime
    took: float
    ttfb_ms: float | None
    outcome: str
    reason: str | None
    calls: tuple[Call, ...]
    tools: tuple[ToolUse, ...]


def requests(seed: int, count: int = 150) -> list[Request]:
    """Requests over four hours from noon, a tenth of them outside the first three."""
    random = Random(seed)
    found = []
    for number in range(count):
        at = NOON + timedelta(seconds=random.uniform(0, 4 * 3600))
        outcome, reason = random.choice(
            [("success", None)] * 8
            + [("error", "provider"), ("error", "client_disconnect"), ("interrupt", "human"),
               ("interrupt", None), ("interrupt", "shutdown"), ("interrupt", "recursion_limit")]
        )  # fmt: skip
        found.append(
            Request(
                number,
                tenant=random.choice(["acme", "globex", "initech", None]),
                user=f"user-{random.randrange(9)}",
                agent=random.choice(["support", "sales"]),
                thread=f"thread-{random.randrange(40)}",
                at=at,
                took=random.uniform(50, 5000),
                ttfb_ms=random.choice([None, *[random.expovariate(1 / 700)] * 4]),
                outcome=outcome,
                reason=reason,
                calls=tuple(
                    Call(
                        random.choice(list(USD_PER_MILLION)),
                        at + ms(index),
                        tokens := random.randrange(1, 50_000),
                        random.randrange(tokens),
                        random.randrange(5_000),
                    )
                    for index in range(random.randrange(4))
                ),
                tools=tuple(
                    ToolUse(
                        random.choice(["search", "refund"]),
                        at + ms(10 + index),
                        random.random() < 0.3,
                    )
                    for index in range(random.randrange(5))
                ),
            )
        )
    return found


def recorded(happened: list[Request]) -> Telemetry:
    """The spans such requests leave; every third repeats them, as a retried export does."""
    telemetry = Telemetry()
    for request in happened:
        first = len(telemetry.spans)
        agent = telemetry.agent(
            at=request.at, took=request.took, run_id=f"run-{request.number}",
            tenant_id=request.tenant, user_id=request.user, agent_name=request.agent,
            thread_id=request.thread, ttfb_ms=request.ttfb_ms, outcome=request.outcome,
            outcome_reason=request.reason,
        )  # fmt: skip
        node = telemetry.node(under=agent, at=request.at)
        for index, call in enumerate(request.calls):
            telemetry.llm(
                under=node, at=call.at, request_model=call.model,
                response_id=f"resp-{request.number}-{index}", input_tokens=call.input_tokens,
                cache_read_tokens=call.cached, output_tokens=call.output_tokens,
            )  # fmt: skip
        for use in request.tools:
            telemetry.tool(under=node, at=use.at, tool_name=use.tool,
                           outcome="error" if use.failed else "success")  # fmt: skip
        if request.number % 3 == 0:
            telemetry.spans += telemetry.spans[first:]
    return telemetry


def logged(happened: list[Request]) -> Telemetry:
    """The lines such requests leave, one per call and a summary; every third repeats them."""
    telemetry = Telemetry()
    for request in happened:
        first = len(telemetry.logs)
        whose = {
            "run_id": f"run-{request.number}", "tenant_id": request.tenant,
            "user_id": request.user, "agent_name": request.agent, "thread_id": request.thread,
        }  # fmt: skip
        for index, call in enumerate(request.calls):
            telemetry.log(
                "agent.cost", at=call.at, duration_ms=0.0, provider="openai", outcome="success",
                request_model=call.model, response_id=f"resp-{request.number}-{index}",
                input_tokens=call.input_tokens, cache_read_tokens=call.cached,
                output_tokens=call.output_tokens, **whose,
            )  # fmt: skip
        for use in request.tools:
            telemetry.log("agent.tool", at=use.at, duration_ms=0.0, tool_name=use.tool,
                          outcome="error" if use.failed else "success", **whose)  # fmt: skip
        telemetry.log(
            "agent.run", at=request.at + ms(request.took), duration_ms=request.took,
            ttfb_ms=request.ttfb_ms, outcome=request.outcome, outcome_reason=request.reason,
            llm_calls=len(request.calls), tool_calls=len(request.tools),
            tool_errors=sum(use.failed for use in request.tools),
            input_tokens=sum(call.input_tokens for call in request.calls),
            output_tokens=sum(call.output_tokens for call in request.calls),
            provider="openai", request_model="gpt-4o", **whose,
        )  # fmt: skip
        if request.number % 3 == 0:
            telemetry.logs += telemetry.logs[first:]
    return telemetry
