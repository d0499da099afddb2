"""What a vendor, services and models may do to an agent, and that all who watch see the same."""

from collections import Counter, defaultdict
from itertools import pairwise

from agent_runtime import pseudonym
from demo.model_server import Rule, ToolCall
from demo.model_server.ledger import Call

from .clients import assert_all_agree, assert_charged_once
from .conftest import World

LOOK_UP = ToolCall(name="look_up", arguments={"topic": "beds"})
CHARGE = ToolCall(name="take_money", arguments={"cents": 500})
ATTEMPTS = 5
RETRY_AFTER_S = 0.3


def by_user(calls: list[Call]) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        found[call.metadata["thread_id"]].append(call)
    return found


def test_a_storm_is_weathered_and_all_agree(world: World) -> None:
    """A third of the calls fails in one way or another, and the payment service, too: waits are
    honoured, each charge that the model asked for is made once, or it is told that it was not, and
    clients, lines, the ledgers and the tools' book tell the same of each thread, and nothing of
    another."""
    world.books.payments.faults += ["lose the reply", "fail first", "answer too late"] * 4
    world.books.payments.late_s = 6  # than the tool waits
    world.vendor.follow(
        Rule(first_token_ms=20, token_ms=1, tool_calls=(LOOK_UP, CHARGE)),
        Rule(probability=0.15, status=503),
        Rule(probability=0.1, status=429, retry_after=RETRY_AFTER_S, retry_after_as="ms"),
        Rule(probability=0.1, cut_after_tokens=0),
    )
    answers = world.ask(**{f"storm-{number}": "2 turns" for number in range(30)})
    lines, calls = world.lines(), world.calls()
    assert_all_agree(answers, lines, calls)
    asked = Counter(call.metadata["thread_id"] for call in calls
                    if call.ending == "completed" and "take_money" in call.tool_calls)  # fmt: skip
    # The service may fail each time that a charge is sent, before it is made.
    charges = [line for line in lines if line["event"] == "agent.tool"
               and line["tool_name"] == "take_money"]  # fmt: skip
    failed = Counter(line["thread_id"] for line in charges if line["outcome"] == "error")
    assert failed.total() <= 2
    assert_charged_once(asked - failed, answers.items(), lines, world.books.payments)
    assert not world.books.payments.faults
    assert {answer.end["outcome"] for answer in answers.values()} <= {"success", "error"}
    tries = [line["attempt"] for line in lines if line["event"] == "agent.cost"]
    assert max(tries) > 1
    for run in by_user(calls).values():
        for refused, following in pairwise(run):
            # The next model is asked at once: it did not ask anybody to wait.
            if refused.status == 429 and refused.model == following.model:
                assert following.started_at - refused.started_at >= RETRY_AFTER_S
    _assert_each_thread_is_told_apart(world, lines)


def _assert_each_thread_is_told_apart(world: World, lines: list[dict[str, object]]) -> None:
    looked_up = Counter(line["thread_id"] for line in lines if line["event"] == "agent.tool"
                        and line["tool_name"] == "look_up")  # fmt: skip
    assert Counter(each["x-thread-id"] for each in world.books.calls("/look_up")) == looked_up
    threads = {line["trace_id"]: line["thread_id"] for line in lines}
    traces = {line["run_id"]: line["trace_id"] for line in lines}
    assert all(line["trace_id"] == traces[line["run_id"]] for line in lines)
    ours = [each for each in world.books.calls("/") if each["x-thread-id"] in set(threads.values())]
    assert len(ours) > len(traces)
    for headers in ours:
        assert threads[headers["traceparent"].split("-")[1]] == headers["x-thread-id"]


def test_a_vendor_that_is_down_is_given_up_in_time(world: World) -> None:
    """Five attempts of each model, spread by jitter, then an error that names what happened."""
    world.vendor.follow(Rule(status=503))
    answers = world.ask(**{f"down-{number}": "hello" for number in range(5)})
    assert_all_agree(answers, world.lines(), world.calls())
    waits = []
    for run in by_user(world.calls()).values():
        assert [call.model for call in run] == ["m"] * ATTEMPTS + ["m2"] * ATTEMPTS
        waits.append(run[1].started_at - run[0].started_at)
    assert len({round(wait, 2) for wait in waits}) > 1
    for line in world.lines("agent.run"):
        assert (line["outcome"], line["outcome_reason"]) == ("error", "provider")
        assert line["error_class"] == "agent_runtime.errors.ProviderRefused"


def test_a_model_that_is_down_for_a_moment_is_asked_again_by_the_next_run(world: World) -> None:
    """A run that has fallen back stays there for its turns; the next one begins with the first."""
    world.vendor.follow(Rule(first_token_ms=0), Rule(model="m", status=503, times=ATTEMPTS))
    world.ask(**{"moment-1": "3 turns"})
    world.ask(**{"moment-2": "3 turns"})
    fallen, after = by_user(world.calls()).values()
    assert [call.model for call in fallen] == ["m"] * ATTEMPTS + ["m2"] * 3
    assert [call.model for call in after] == ["m"] * 3


def test_a_memory_that_is_down_costs_a_moment(world: World) -> None:
    """It may hang or fail: the run succeeds, says so, and begins 0.3 s later at most."""
    world.vendor.follow(Rule(first_token_ms=0, token_ms=0))
    world.ask(**{"memory-up": "hello"})
    world.books.memory = "hangs"
    world.ask(**{"memory-hangs": "hello"})
    world.books.memory = "fails"
    world.ask(**{"memory-fails": "hello"})
    up, hangs, fails = world.lines("agent.run")
    assert [line["outcome"] for line in (up, hangs, fails)] == ["success"] * 3
    assert [line["degraded"] for line in (up, hangs, fails)] == [[], ["memory"], []]
    assert 300 <= hangs["ttfb_ms"] < 300 + up["ttfb_ms"] + 1000


def test_too_much_of_everything_is_cut_to_size(world: World) -> None:
    """Five megabytes from a tool and a storm of errors: prompts stay within their budget, memory
    is given back, and each error is counted once."""
    loud = ToolCall(name="recite", arguments={"characters": 5_000_000})
    wrong = tuple(ToolCall(name="recite", arguments={"characters": "many"}) for _ in range(20))
    world.vendor.follow(
        Rule(first_token_ms=0, token_ms=0, tool_calls=(loud,)),
        Rule(user=pseudonym("acme", "excess-errors"), tool_calls=wrong),
    )
    before = world.agent.memory_mb()
    answers = world.ask(**{f"excess-{number}": "hello" for number in range(4)})
    answers |= world.ask(**{"excess-errors": "hello"})
    assert_all_agree(answers, world.lines(), world.calls())
    assert {answer.end["outcome"] for answer in answers.values()} == {"success"}
    assert max(call.prompt_tokens for call in world.calls()) < 16_000 * 1.2
    assert world.agent.memory_mb() - before < 200
    line = next(line for line in world.lines("agent.run") if line["thread_id"] == "excess-errors")
    assert (line["tool_calls"], line["tool_errors"]) == (20, 20)
