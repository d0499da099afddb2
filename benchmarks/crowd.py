"""Many streams at a time through a served agent: how much later the first token comes for it."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arrivals import Crowd, Seen, crowd
from figures import progress
from footprint import Footprint, watched
from frameworks import PROGRAMS, calls_in_ledger, server

from agent_runtime import pseudonym
from demo import vendor
from demo.processes import running

FIRST_TOKEN_MS = 500.0
TOKEN_MS = 200.0
WHO = {"x-tenant-id": "acme", "x-user-id": "%s"}


@dataclass(frozen=True)
class Answers:
    """What the model says: so many tokens, at the pace above."""

    tokens: int

    @property
    def seconds(self) -> float:
        """From the request to the last token."""
        return (FIRST_TOKEN_MS + TOKEN_MS * (self.tokens - 1)) / 1000

    @property
    def rule(self) -> Mapping[str, Any]:
        """For the model server."""
        text = "word " * (self.tokens - 1) + "end"
        return {"first_token_ms": FIRST_TOKEN_MS, "token_ms": TOKEN_MS, "text": text}


@dataclass(frozen=True)
class Crossing:
    """The streams that were asked for while the crowd had its size.

    `overheads_ms` is, of each, what its user waited for the first token beyond what the model
    server itself took from request to first token. `open` is how many were open on average.
    """

    overheads_ms: Sequence[float]
    open: float
    tokens_per_s: float


@dataclass(frozen=True)
class Measured:
    """The same crowd at the model server itself, and through the agent.

    `edge_overheads_ms` is by the runtime's own `ttfb_ms`, without what lies before and behind it.
    """

    direct: Crossing
    through: Crossing
    edge_overheads_ms: Sequence[float]
    footprint: Footprint
    """Of the agent."""
    model_server_cpu_s: float
    users_cpu_s: float
    """What the others on this machine took of it meanwhile."""
    tokens: int
    retries: int
    """Calls of the model that were made again, because the machine was too slow for them."""


def measure(
    folder: Path, seconds: float, streams: int, answers: Answers, processes: int
) -> Measured:
    """Keep so many streams open for `seconds`, after as long as it takes to get there.

    So many processes serve the agent.

    :raises RuntimeError: when an answer is not whole, or client, log and ledger do not agree.
    """
    with _models(folder) as (model_url, _):
        vendor.follow(model_url, dict(answers.rule))
        progress(f"{streams} streams at the model server itself, {seconds:.0f} s")
        asked = Crowd(
            model_url, "/chat/completions", _chat_request(), b'"delta":{"content":', b"[DONE]",
            streams / answers.seconds, answers.seconds + seconds,
        )  # fmt: skip
        seen, _ = crowd(asked)
        direct = _crossing(answers, seen, calls_in_ledger(model_url), seconds)
    with (
        _models(folder) as (model_url, model_pid),
        server("sink", folder, str(PROGRAMS / "sink.py")) as otlp_url,
        running(
            "agent",
            [sys.executable, str(PROGRAMS / "served.py"), model_url, otlp_url,
             f"sqlite:///{folder}/crowd.db", str(processes)],
            folder / "agent.log",
        ) as agent,
    ):  # fmt: skip
        agent_url = agent.lines(processes)[0]
        vendor.follow(model_url, dict(answers.rule))
        progress(f"{streams} streams through {processes} processes of it, {seconds:.0f} s")
        asked = Crowd(
            agent_url, "/threads/%s/runs", json.dumps({"input": "hello"}), b"event: token\n",
            b"event: run.end\n", streams / answers.seconds, answers.seconds + seconds, headers=WHO,
        )  # fmt: skip
        with watched(agent.pid) as footprint, watched(model_pid) as of_models:
            seen, users_cpu_s = crowd(asked)
        calls = calls_in_ledger(model_url)
    summaries = _summaries(folder / "agent.log")
    if failed := [line for line in summaries if line["outcome"] != "success"]:
        raise RuntimeError(f"{len(failed)} of {len(seen)} runs failed: {failed[0]}")
    if sorted(line["user_id"] for line in summaries) != sorted(each.user for each in seen):
        raise RuntimeError(f"{len(seen)} runs were asked for, {len(summaries)} have summaries")
    through = _crossing(answers, seen, calls, seconds)
    own = _own_seconds(calls, [each.user for each in seen])
    counted = {each.user for each in _counted(answers, seen)}
    edges = [line["ttfb_ms"] - own[line["user_id"]] * 1000
             for line in summaries if line["user_id"] in counted]  # fmt: skip
    retries = len(calls) - len(seen)
    tokens = sum(each.tokens for each in seen)
    return Measured(
        direct, through, edges, footprint, of_models.total_cpu_seconds, users_cpu_s, tokens, retries
    )


@contextmanager
def _models(folder: Path) -> Iterator[tuple[str, int]]:
    """The model server: its URL and its process."""
    program = [sys.executable, "-m", "demo.model_server"]
    with running("models", program, folder / "models.log") as process:
        (url,) = process.lines(1)
        yield url, process.pid


def _chat_request() -> str:
    return json.dumps({"model": "gpt-4o-mini", "stream": True,
                       "messages": [{"role": "user", "content": "hello"}],
                       "user": "%s"})  # fmt: skip


def _crossing(
    answers: Answers, seen: Sequence[Seen], calls: Sequence[Mapping[str, Any]], seconds: float
) -> Crossing:
    if broken := [each for each in seen if not each.whole or each.tokens != answers.tokens]:
        raise RuntimeError(f"{len(broken)} of {len(seen)} answers are not whole: {broken[0]}")
    own = _own_seconds(calls, [each.user for each in seen])
    if own.keys() != {each.user for each in seen}:
        raise RuntimeError(f"{len(seen)} users asked, the model answered {len(own)}")
    counted = _counted(answers, seen)
    overheads = [
        ((each.first_token_at or each.ended_at) - each.asked_at - own[each.user]) * 1000
        for each in counted
    ]
    began = seen[0].asked_at + answers.seconds
    ended = began + seconds
    present = sum(max(0.0, min(each.ended_at, ended) - max(each.asked_at, began)) for each in seen)
    size = present / seconds
    return Crossing(overheads, size, size * answers.tokens / answers.seconds)


def _counted(answers: Answers, seen: Sequence[Seen]) -> Sequence[Seen]:
    """Those who came when there were as many as there should be."""
    full = seen[0].asked_at + answers.seconds
    return [each for each in seen if each.asked_at >= full]


def _own_seconds(calls: Sequence[Mapping[str, Any]], users: Sequence[str]) -> dict[str, float]:
    """What the model server took from request to first token, by user, of what it completed.

    Users name themselves to it, and the agent tells it their pseudonyms. A call that was given up
    and made again is the runtime's affair.
    """
    tenant = WHO["x-tenant-id"]
    names = {user: user for user in users} | {pseudonym(tenant, user): user for user in users}
    return {
        names[call["user"]]: call["first_token_at"] - call["started_at"]
        for call in calls
        if call["user"] in names and call["ending"] == "completed"
    }


def _summaries(log: Path) -> Sequence[Mapping[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == "agent.run"]
