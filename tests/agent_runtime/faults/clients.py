"""Many clients at once, each with a thread and a user of its own, and what they must agree with."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import httpx

from demo.model_server.ledger import Call
from tests.agent_runtime.conftest import Answer
from tests.agent_runtime.payments import Payments

Line = dict[str, Any]
UNHEARD = ("FirstTokenTimeout", "ProviderUnreachable")
"""Calls that failed so, or were cut, may not have reached the vendor."""


async def ask(
    client: httpx.AsyncClient, url: str, thread: str, body: Mapping[str, Any], action: str = "runs"
) -> Answer:
    """Start or resume a run as the user named like the thread, and read it to its end.

    A body that is cut off raises: httpx does not take it for whole.
    """
    events, times, name, began = [], [], "", asyncio.get_running_loop().time()
    async with client.stream(
        "POST",
        f"{url}/threads/{thread}/{action}",
        json=body,
        headers={"X-Tenant-Id": "acme", "X-User-Id": thread},
    ) as response:
        async for line in response.aiter_lines():
            kind, _, value = line.partition(": ")
            if kind == "event":
                name = value
            elif kind == "data":
                events.append((name, json.loads(value)))
                times.append(asyncio.get_running_loop().time() - began)
    return Answer(response.status_code, events, times)


def ask_all(url: str, asked: Mapping[str, str]) -> dict[str, Answer]:
    """Ask what each thread's user says, all at the same time."""

    async def all_at_once() -> list[Answer]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            return await asyncio.gather(
                *(ask(client, url, thread, {"input": said}) for thread, said in asked.items())
            )

    return dict(zip(asked, asyncio.run(all_at_once()), strict=True))


def resume_all(url: str, threads: Iterable[str]) -> dict[str, Answer]:
    """Resume each thread, all at the same time."""
    threads = list(threads)

    async def all_at_once() -> list[Answer]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(timeout=120, limits=limits) as client:
            return await asyncio.gather(
                *(ask(client, url, thread, {}, "resume") for thread in threads)
            )

    return dict(zip(threads, asyncio.run(all_at_once()), strict=True))


def assert_all_agree(
    answers: Mapping[str, Answer], lines: Sequence[Line], calls: Sequence[Call]
) -> None:
    """What clients were told, what the log says and what the vendor's ledger has are the same."""
    runs = {answer.events[0][1]["run_id"]: answer for answer in answers.values()}
    summaries = {line["run_id"]: line for line in lines if line["event"] == "agent.run"}
    assert len([line for line in lines if line["event"] == "agent.run"]) == len(summaries)
    assert summaries.keys() == runs.keys()
    nodes, tools = (Counter(line["run_id"] for line in lines if line["event"] == event
                            and line["outcome"] != "interrupt")
                    for event in ("agent.node", "agent.tool"))  # fmt: skip
    unheard = Counter(
        line["run_id"] for line in lines if line["event"] == "agent.cost"
        and (line["outcome"] == "interrupt" or str(line["error_class"]).endswith(UNHEARD))
    )  # fmt: skip
    ledger: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        ledger[call.metadata["thread_id"]].append(call)
    for run_id, answer in runs.items():
        line = summaries[run_id]
        assert (answer.end["outcome"], answer.end["outcome_reason"]) == (
            line["outcome"], line["outcome_reason"],
        )  # fmt: skip
        assert nodes[run_id] == len(answer.data("node.end")) + (line["outcome"] == "error")
        # A write goes on behind a run that is cut, whose client hears of it when it is resumed.
        begun, ended = (len(answer.data(name)) for name in ("tool.start", "tool.end"))
        assert ended <= tools[run_id] <= (begun if line["outcome"] == "interrupt" else ended)
        assert 0 <= line["llm_calls"] - len(ledger[line["user_id"]]) <= unheard[run_id]
        tokens = {kind: line[kind] for kind in answer.end["usage"]}
        assert tokens == answer.end["usage"]
        if line["usage_source"] == "provider":
            # A call that was cut before its answer began is billed, but nobody was told.
            book = [call for call in ledger[line["user_id"]] if call.ending == "completed"]
            assert line["prompt_tokens"] == sum(call.prompt_tokens for call in book)
            assert line["completion_tokens"] == sum(call.completion_tokens for call in book)


def assert_charged_once(
    operations: Mapping[str, int],
    answers: Iterable[tuple[str, Answer]],
    lines: Sequence[Line],
    payments: Payments,
) -> None:
    """So many operations of each thread are as many effects at the payment service, which would
    charge twice if it were asked to; each is one that log and client know, and none other."""
    effects = Counter(body["thread"] for _, body in payments.effects)
    assert effects == Counter(operations), sorted(effects.items() ^ operations.items())
    charged = {(body["thread"], key) for key, body in payments.effects}
    assert len(charged) == len(payments.effects)
    done = [line for line in lines if line["event"] == "agent.tool"
            and line["tool_name"] == "take_money" and line["outcome"] == "success"]  # fmt: skip
    assert {(line["thread_id"], line["idempotency_key"]) for line in done} == charged
    acted = Counter(line["idempotency_key"] for line in done if not line["replayed"])
    assert all(times == 1 for times in acted.values())
    told = {
        (thread, data["tool_call_id"])
        for thread, answer in answers
        for data in answer.data("tool.end")
        if data["tool"] == "take_money" and not data["is_error"]
    }
    assert told == {(line["thread_id"], line["tool_call_id"]) for line in done}
    assert len(told) == len(charged)
