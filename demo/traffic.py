"""Users of four tenants who ask agents for help: an open loop, as in life.

Requests come at their own times, however slow the answers are: a closed loop would ask less when
the agent is slow, and hide what a slow agent does to its users.
"""

import asyncio
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from statistics import quantiles

import httpx

TIMEOUT = httpx.Timeout(30.0)
UNLIMITED = httpx.Limits(max_connections=None)
RECENT = 100

TENANTS = {"acme": 4, "globex": 3, "initech": 2, "umbrella": 1}
USERS_PER_TENANT = 5
AGENTS = {"support": 5, "research": 3, "billing": 2}
QUESTIONS: dict[str, Sequence[str]] = {
    "support": ("Where is my order 1042?", "The app logs me out every hour.", "Change my address."),
    "research": ("Compare our churn with last year's.", "What do users say about the new editor?"),
    "billing": ("Why was I charged twice?", "Refund invoice 88.", "Which plan am I on?"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A request as its user saw it."""

    tenant: str
    user: str
    agent: str
    thread_id: str
    run_id: str | None
    outcome: str
    """What the agent said at the end; ``broken`` when the stream broke off without it."""
    first_token_ms: float | None
    """From sending the request to receiving the first token, in ms; None when none came."""
    duration_ms: float


@dataclass
class Traffic:
    """What was asked and answered so far."""

    asked: int = 0
    answers: list[Answer] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """How many requests an agent took on: one that was refused is no run."""
        return sum(answer.run_id is not None for answer in self.answers)

    def summary(self) -> str:
        recent = [a.first_token_ms for a in self.answers[-RECENT:] if a.first_token_ms is not None]
        first = f"{quantiles(recent, n=20)[-1]:.0f} ms" if len(recent) > 1 else "–"
        bad = sum(answer.outcome != "success" for answer in self.answers)
        return (
            f"{self.asked} requests, {len(self.answers)} answered, {bad} badly; "
            f"first token p95 of the last {RECENT}: {first}"
        )


@contextmanager
def flowing(base_url: str, traffic: Traffic, per_second: float) -> Iterator[None]:
    """Traffic in a thread while in the context; every request is answered when it is left."""
    stop = threading.Event()

    async def flow() -> None:
        over = asyncio.Event()
        asking = asyncio.create_task(ask_for_help(base_url, traffic, per_second, over))
        await asyncio.to_thread(stop.wait)
        over.set()
        await asking

    thread = threading.Thread(target=lambda: asyncio.run(flow()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


async def ask_for_help(
    base_url: str, traffic: Traffic, per_second: float, stop: asyncio.Event, seed: int = 7
) -> None:
    """Send requests to the agents at ``base_url`` until ``stop`` is set; wait for the answers.

    They come at random times, ``per_second`` on average, as many users who know nothing of each
    other would send them.
    """
    dice = random.Random(seed)  # noqa: S311 - the same demo each time
    async with (
        httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT, limits=UNLIMITED) as client,
        asyncio.TaskGroup() as asking,
    ):
        due = time.monotonic()
        while not stop.is_set():
            asking.create_task(_ask(client, traffic, dice))
            traffic.asked += 1
            due += dice.expovariate(per_second)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.0, due - time.monotonic()))


async def _ask(client: httpx.AsyncClient, traffic: Traffic, dice: random.Random) -> None:
    tenant, agent = _pick(dice, TENANTS), _pick(dice, AGENTS)
    user = f"{tenant}-user-{dice.randrange(USERS_PER_TENANT) + 1}"
    thread_id = f"{user}-{agent}-{dice.randrange(10_000):04d}"
    question = dice.choice(QUESTIONS[agent])
    traffic.answers.append(await ask(client, tenant, user, agent, thread_id, question))


async def ask(
    client: httpx.AsyncClient, tenant: str, user: str, agent: str, thread_id: str, question: str
) -> Answer:
    """One request, read to its end, timed where the user is."""
    began = time.perf_counter()
    run_id, outcome, first_token_ms = None, "broken", None
    try:
        async with client.stream(
            "POST",
            f"/{agent}/threads/{thread_id}/runs",
            json={"input": question},
            headers={"x-tenant-id": tenant, "x-user-id": user},
        ) as response:
            async for event, data in _events(response):
                if event == "token" and first_token_ms is None:
                    first_token_ms = (time.perf_counter() - began) * 1000
                if event == "run.start":
                    run_id = data.get("run_id")
                if event == "run.end":
                    outcome = data.get("outcome", outcome)
    except httpx.HTTPError:
        outcome = "broken"
    duration_ms = (time.perf_counter() - began) * 1000
    return Answer(tenant, user, agent, thread_id, run_id, outcome, first_token_ms, duration_ms)


async def _events(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, str]]]:
    event = ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if name == "event":
            event = value.strip()
        elif name == "data":
            yield event, json.loads(value)


def _pick(dice: random.Random, weights: dict[str, int]) -> str:
    return dice.choices(list(weights), list(weights.values()))[0]
