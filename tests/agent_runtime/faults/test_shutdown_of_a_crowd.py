"""SIGTERM with many streams open: all are told how they end; nothing is lost or done twice."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo.model_server import ModelServer, Rule, ToolCall
from tests.agent_runtime.conftest import Answer, wait_until

from .clients import ask_all, assert_all_agree, assert_charged_once, resume_all
from .served import Services, serving

CHARGE = ToolCall(name="take_money", arguments={"cents": 500})
TEXT = "word " * 12
CHARGE_S = 0.4
"""From the effect until the payment service says so: runs are cut in between."""
FIRST_TOKEN_MS = range(40, 540, 32)
"""By the last digit of the user's pseudonym, so that not all are in the same node at a time."""
TURN_S = 12 * 0.04 + CHARGE_S + 2 * 0.3


def end_in_the_middle(
    home: Path,
    vendor: ModelServer,
    books: Services,
    streams: int,
    seed: int,
    store: str | None = None,
) -> None:
    """Shut the agent down while so many streams are open, and resume on another process."""
    dice = random.Random(seed)
    vendor.follow(
        Rule(token_ms=40, text=TEXT, tool_calls=(CHARGE,)),
        *(Rule(user=f"*{digit:x}", first_token_ms=ms) for digit, ms in enumerate(FIRST_TOKEN_MS)),
    )
    books.payments.effects.clear()
    books.payments.late_s = CHARGE_S
    books.payments.faults = ["answer too late"] * 4 * streams
    before = len(vendor.calls())
    asked = {f"t{seed}-{number}": f"{dice.randint(1, 4)} turns" for number in range(streams)}
    with serving(home, vendor, books.url, finish_s=1.7 * TURN_S, drain_s=1.7 * TURN_S + 0.1,
                 store=store) as first:  # fmt: skip
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask_all, first.url, asked)
            wait_until(lambda: len(vendor.calls()) - before >= streams, 60)
            time.sleep(dice.uniform(0, TURN_S))
            first.signal()
            answers = asking.result()
        assert first.end() < 30
        lines = first.lines()
    assert_all_agree(answers, lines, vendor.calls()[before:])
    traced = Counter(span.name for span in books.spans if span.trace_id.hex() in
                     {line["trace_id"] for line in lines})  # fmt: skip
    assert traced["invoke_agent support"] == streams
    interrupted = {thread for thread, answer in answers.items() if was_interrupted(answer)}
    with serving(home, vendor, books.url, store=store) as second:
        resumed = resume_all(second.url, interrupted)
        lines += second.lines()
    assert {answer.end["outcome"] for answer in resumed.values()} <= {"success"}
    turns = {thread: int(said.split()[0]) for thread, said in asked.items()}
    assert_charged_once(turns, [*answers.items(), *resumed.items()], lines, books.payments)
    for thread, count in turns.items():
        last = resumed.get(thread, answers[thread])
        assert last.text.endswith(TEXT)
        nodes = [line for line in lines if line["event"] == "agent.node"
                 and line["thread_id"] == thread]  # fmt: skip
        steps = 4 * count - 1  # a turn is agent, tools and agent again, and a pause before the next
        assert {line["step"] for line in nodes} == set(range(1, steps + 1))
        finished = Counter(line["step"] for line in nodes if line["outcome"] == "success")
        assert set(finished.values()) == {1}
    assert len(interrupted) < streams


def was_interrupted(answer: Answer) -> bool:
    """Whether its client was told that it may be resumed; if it was not, it had its end."""
    told = answer.data("interrupted")
    assert answer.end["outcome"] == ("interrupt" if told else "success")
    assert all(data["reason"] == "shutdown" for data in told)
    # One that reads too slowly may have everything but the end, which it is told is to be had.
    return any(data["resume"] for data in told)


@pytest.mark.timeout(300)
def test_a_crowd_survives_a_shutdown(
    vendor: ModelServer, books: Services, tmp_path: Path, dsn: str
) -> None:
    """Streams end whole or with an interrupt, and resume elsewhere to the same text, each node run
    once and each charge made once; clients, lines, spans, and the ledgers of vendor and payment
    service agree."""
    end_in_the_middle(tmp_path, vendor, books, streams=12, seed=0, store=dsn)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_large_crowd_survives_fifty_shutdowns(
    vendor: ModelServer, books: Services, tmp_path: Path
) -> None:
    """The same with 200 streams, at fifty other moments."""
    for seed in range(1, 51):
        end_in_the_middle(tmp_path, vendor, books, streams=200, seed=seed)
